package simulations

import "time"

// LinkPresets are kinds of links by name. Latencies are one way. Those between places are what light takes in fibre, 5 us a
// kilometre, over 1,000, 4,700, 6,000 and 19,000 km with the 1.5 times of detours that cables make; that of a geostationary satellite
// is twice 35,786 km at the speed of light and the modems' time. The rest are round figures of the usual order.
var LinkPresets = []struct {
	Name, Meaning string
	Link          Link
}{
	{"lan", "one building: wired or good Wi-Fi", Link{Latency: 500 * time.Microsecond, Jitter: 500 * time.Microsecond, Bandwidth: 60_000_000}},
	{"wifi", "a crowded Wi-Fi", Link{Latency: 3 * time.Millisecond, Jitter: 15 * time.Millisecond, Loss: 1, Bandwidth: 5_000_000}},
	{"city", "two homes in one city", Link{Latency: 8 * time.Millisecond, Jitter: 4 * time.Millisecond, Bandwidth: 5_000_000}},
	{"continent", "two ends of one continent", Link{Latency: 35 * time.Millisecond, Jitter: 6 * time.Millisecond, Bandwidth: 5_000_000}},
	{"ocean", "across the Atlantic", Link{Latency: 45 * time.Millisecond, Jitter: 8 * time.Millisecond, Bandwidth: 5_000_000}},
	{"antipodes", "to the other side of the world", Link{Latency: 140 * time.Millisecond, Jitter: 20 * time.Millisecond, Bandwidth: 3_000_000}},
	{"mobile", "a phone on 4G", Link{Latency: 30 * time.Millisecond, Jitter: 40 * time.Millisecond, Loss: 1, Bandwidth: 1_000_000}},
	{"edge", "a phone with one bar", Link{Latency: 250 * time.Millisecond, Jitter: 500 * time.Millisecond, Loss: 5, Bandwidth: 15_000}},
	{"satellite", "by a geostationary satellite", Link{Latency: 300 * time.Millisecond, Jitter: 20 * time.Millisecond, Loss: 0.5, Bandwidth: 500_000}},
}

// defaultLatency is that of a link of which nothing is said.
const defaultLatency = 20 * time.Millisecond

// over returns l with what is not zero in m in its place.
func (l Link) over(m Link) Link {
	m = m.resolved()
	if m.Latency != 0 {
		l.Latency = m.Latency
	}
	if m.Jitter != 0 {
		l.Jitter = m.Jitter
	}
	if m.Loss != 0 {
		l.Loss = m.Loss
	}
	if m.Duplicate != 0 {
		l.Duplicate = m.Duplicate
	}
	if m.Reorder != 0 {
		l.Reorder = m.Reorder
	}
	if m.Bandwidth != 0 {
		l.Bandwidth = m.Bandwidth
	}
	return l
}

// resolved returns l with its preset's fields where it has none.
func (l Link) resolved() Link {
	for _, p := range LinkPresets {
		if l.Preset == p.Name {
			name := l.Preset
			l.Preset = ""
			l = p.Link.over(l)
			l.Preset = name
			return l
		}
	}
	return l
}
