package simulations

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// What is in the queue comes out by time, and at one time in the order in which it went in.
func TestQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		var want, got []happening
		for _, ms := range rapid.SliceOfN(rapid.IntRange(0, 9), 0, 200).Draw(t, "times") {
			q.push(happening{at: time.Duration(ms)})
			want = append(want, happening{at: time.Duration(ms), number: q.number})
		}
		slices.SortStableFunc(want, func(a, b happening) int { return int(a.at - b.at) })
		for q.len() > 0 {
			got = append(got, q.pop())
		}
		if !slices.EqualFunc(got, want, func(a, b happening) bool { return a.at == b.at && a.number == b.number }) {
			t.Fatalf("got %v\nwant %v", got, want)
		}
	})
}

// Schedules are what their names say, by the calendar of the run.
func TestSchedules(t *testing.T) {
	hour := time.Hour
	tests := []struct {
		preset          string
		online, offline []time.Duration // since Monday, 00:00
	}{
		{"always", []time.Duration{0, 3 * day, 6*day + 12*hour}, nil},
		{"weekend", []time.Duration{9 * hour, 4*day + 12*hour, 7*day + 12*hour}, []time.Duration{4*day + 20*hour, 5*day + 12*hour, 7*day + 6*hour}},
		{"office", []time.Duration{12 * hour, 4*day + 12*hour}, []time.Duration{4 * hour, 20 * hour, 5*day + 12*hour, 6*day + 12*hour}},
		{"evenings", []time.Duration{20*hour + 30*time.Minute, 6*day + 20*hour + 30*time.Minute}, []time.Duration{12 * hour, 2 * hour, 6*day + 12*hour}},
		{"commuter", []time.Duration{12 * hour, 5*day + 12*hour}, []time.Duration{8 * hour, 18*hour + 15*time.Minute, 27 * hour}},
		{"three-weeks", []time.Duration{hour, 22 * day}, []time.Duration{3 * hour, 20 * day}},
		{"never", nil, []time.Duration{0, 10 * day}},
	}
	for _, test := range tests {
		for seed := range uint64(20) {
			spans := Schedule{Preset: test.preset}.offline(monday, 28*day, rand.New(rand.NewPCG(seed, 1)))
			off := func(at time.Duration) bool {
				return slices.ContainsFunc(spans, func(w Window) bool { return w.From <= at && at < w.To })
			}
			for _, at := range test.online {
				if off(at) {
					t.Errorf("%s, seed %d: offline at %v", test.preset, seed, at)
				}
			}
			for _, at := range test.offline {
				if !off(at) {
					t.Errorf("%s, seed %d: online at %v", test.preset, seed, at)
				}
			}
			for i := 1; i < len(spans); i++ {
				if spans[i].From <= spans[i-1].To {
					t.Fatalf("%s, seed %d: %v", test.preset, seed, spans)
				}
			}
		}
	}
	if got := len(Presets); got != len(tests)+1 { // flaky is drawn
		t.Errorf("%d presets, %d are tested", got, len(tests)+1)
	}
}

// Every topology lets every device reach every other, islands by the ferry alone.
func TestTopologies(t *testing.T) {
	for _, top := range []Topology{Full, Ring, Star, Random, Islands} {
		for n := 1; n <= 40; n += 3 {
			pairs, island := edges(top, n, 6, []int{0}, rand.New(rand.NewPCG(1, uint64(n))))
			if got := reached(pairs); got != n {
				t.Errorf("%s: %d of %d devices are reached", top, got, n)
			}
			for _, p := range pairs {
				if top == Islands && p[0] != 0 && p[1] != 0 && island[p[0]] != island[p[1]] {
					t.Errorf("islands: %v cross the water without the ferry", p)
				}
			}
			if top == Random && n > 10 && (len(pairs) < 2*n || len(pairs) > 3*n) {
				t.Errorf("random: %d links between %d devices, of degree 6", len(pairs), n)
			}
		}
	}
}

// reached returns how many devices are reached from the first one.
func reached(pairs [][2]int) int {
	seen := map[int]bool{0: true}
	for grown := true; grown; {
		grown = false
		for _, p := range pairs {
			if seen[p[0]] != seen[p[1]] {
				seen[p[0]], seen[p[1]], grown = true, true, true
			}
		}
	}
	return len(seen)
}

// A stream keeps its order, whatever the jitter, and takes the time that its latency and bandwidth ask for.
func TestLink(t *testing.T) {
	s, err := New(&Scenario{Seed: 1, For: time.Hour, Devices: []Group{{Name: "a"}, {Name: "b"}},
		Network: Network{Link: Link{Latency: 50 * time.Millisecond, Jitter: 200 * time.Millisecond, Bandwidth: 1_000}}})
	if err != nil {
		t.Fatal(err)
	}
	s.forUntil(10*time.Second, nil)
	l := s.links[0]
	if !l.up {
		t.Fatal("the two did not connect")
	}
	for s.queue.len() > 0 {
		s.queue.pop()
	}
	begin := s.now
	for range 100 {
		s.send(&parcel{link: l, from: l.a, to: l.b, size: 100, raw: []byte{0}, index: -1})
	}
	last := begin
	for n := 1; s.queue.len() > 0; n++ {
		h := s.queue.pop()
		least := begin + time.Duration(n)*100*time.Millisecond + 50*time.Millisecond
		if h.at < last || h.at < least || h.at > least+200*time.Millisecond+time.Duration(n)*time.Microsecond {
			t.Fatalf("message %d arrives at %v, after %v; by bandwidth and latency not before %v", n, h.at-begin, last-begin, least-begin)
		}
		last = h.at
	}
}
