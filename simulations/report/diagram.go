package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/atollsync/atoll/simulations"
)

// Sizes of the space-time diagram.
const (
	columnWidth = 92.0
	timeWidth   = 64.0
	minGap      = 3.0  // between two moments at which something happens
	maxGap      = 34.0 // however long nothing does
	maxColumns  = 12
	maxPrinted  = 1800.0 // height up to which it is printed
)

// diagram draws who sent what when: a column for each device, time downwards. Times at which nothing happens are
// drawn short, since weeks may lie between two messages. nil if the run's messages were not kept.
func diagram(r *simulations.Result) *drawing {
	if len(r.Sent) == 0 || len(r.Devices) > maxColumns {
		return nil
	}
	scale := newScale(r)
	s := &svg{width: timeWidth + columnWidth*float64(len(r.Devices)), height: scale.y[len(scale.y)-1] + 12}
	x := func(d int) float64 { return timeWidth + (float64(d)+0.5)*columnWidth }
	for _, l := range scale.labels() {
		s.line(timeWidth-4, l.y, s.width, l.y, "grid")
		s.text(timeWidth-8, l.y+3, "name", l.words)
	}
	for i, d := range r.Devices {
		s.add(`<line x1="%.1f" y1="22" x2="%.1f" y2="%.1f" class="lifeline"/>`, x(i), x(i), s.height-4)
		s.text(x(i), 14, "device", short(d.Name, 13))
	}
	for _, sp := range r.Spans {
		if isNetwork(sp) {
			continue
		}
		for _, d := range sp.Devices {
			if d >= 0 && d < len(r.Devices) {
				from, to := scale.at(sp.From), scale.at(sp.To)
				s.rect(x(d)-4, from, 8, max(1.5, to-from), "span "+class(sp.What), describe(r, sp))
			}
		}
	}
	kinds := make(map[string]int)
	for _, m := range r.Sent {
		if m.From < 0 || m.From >= len(r.Devices) || m.To < 0 || m.To >= len(r.Devices) {
			continue
		}
		kinds[m.Kind]++
		drawMessage(s, r, m, x(m.From), x(m.To), scale)
	}
	column := make(map[string]int)
	for i, d := range r.Devices {
		column[d.Name] = i
	}
	for _, op := range r.Ops {
		if i, ok := column[op.Device]; ok {
			words := fmt.Sprintf("%s: %s writes: %s", formatSpan(op.At), op.Device, op.Op)
			s.add(`<g class="op" tabindex="0"><circle cx="%.1f" cy="%.1f" r="3.2"/>%s</g>`, x(i), scale.at(op.At), title(words))
		}
	}
	out := &drawing{SVG: s.html("Who sent what when", true), Long: s.height > maxPrinted}
	for k := range kinds {
		out.Kinds = append(out.Kinds, k)
	}
	slices.SortFunc(out.Kinds, func(a, b string) int {
		return cmp.Or(cmp.Compare(kinds[b], kinds[a]), strings.Compare(a, b))
	})
	out.Note = "Time runs downwards; stretches in which nothing happens are drawn short. A line is a message, a dot is a write, a bar a time without network or down. Click one to read it."
	return out
}

// drawMessage draws one message from one column to another, or as far as it came.
func drawMessage(s *svg, r *simulations.Result, m simulations.SentMessage, from, to float64, scale scale) {
	y1, y2 := scale.at(m.Sent), scale.at(m.Arrived)
	words := fmt.Sprintf("%s from %s to %s, %s, sent at %s", m.Kind, r.Devices[m.From].Name, r.Devices[m.To].Name, formatBytes(m.Size), formatSpan(m.Sent))
	lost := ""
	if m.Lost != "" {
		words += ", lost: " + m.Lost
		lost = " lost"
		y2 = y1 + 8
		to = from + (to-from)*0.45
	} else {
		words += fmt.Sprintf(", arrived %s later", formatSpan(m.Arrived-m.Sent))
	}
	if m.Text != "" {
		words += "\n" + m.Text
	}
	s.add(`<g class="m k-%s%s" tabindex="0"><line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="hit"/><line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`,
		kindClass(m.Kind), lost, from, y1, to, y2, from, y1, to, y2)
	if m.Lost != "" {
		s.add(`<path d="M%.1f %.1fl6 6m0 -6l-6 6"/>`, to-3, y2-3)
	} else {
		angle := math.Atan2(y2-y1, to-from)
		head := func(turn float64) (float64, float64) {
			return to - 6*math.Cos(angle+turn), y2 - 6*math.Sin(angle+turn)
		}
		ax, ay := head(0.4)
		bx, by := head(-0.4)
		s.add(`<path d="M%.1f %.1fL%.1f %.1fL%.1f %.1f"/>`, ax, ay, to, y2, bx, by)
	}
	s.add(`%s</g>`, title(words))
}

// kindClass makes the name of a kind of message one of a style.
func kindClass(kind string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(kind) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			b.WriteRune(c)
		}
	}
	return b.String()
}

// scale places moments from top to bottom: in their order, and further apart the longer the time between them, within bounds.
type scale struct {
	times []time.Duration
	y     []float64
}

func newScale(r *simulations.Result) scale {
	var s scale
	for _, m := range r.Sent {
		s.times = append(s.times, m.Sent)
		if m.Lost == "" {
			s.times = append(s.times, m.Arrived)
		}
	}
	for _, op := range r.Ops {
		s.times = append(s.times, op.At)
	}
	for _, sp := range r.Spans {
		if !isNetwork(sp) {
			s.times = append(s.times, sp.From, sp.To)
		}
	}
	slices.Sort(s.times)
	s.times = slices.Compact(s.times)
	y := 30.0
	for i := range s.times {
		if i > 0 {
			gap := (s.times[i] - s.times[i-1]).Seconds()
			y += min(maxGap, minGap+6*math.Log2(1+gap*20))
		}
		s.y = append(s.y, y)
	}
	return s
}

// at returns the place of a moment, between those that have one.
func (s scale) at(t time.Duration) float64 {
	i, ok := slices.BinarySearch(s.times, t)
	switch {
	case ok:
		return s.y[i]
	case i == 0:
		return s.y[0]
	case i == len(s.times):
		return s.y[len(s.y)-1]
	}
	part := float64(t-s.times[i-1]) / float64(s.times[i]-s.times[i-1])
	return s.y[i-1] + part*(s.y[i]-s.y[i-1])
}

// scaleLabel is a time written beside the diagram.
type scaleLabel struct {
	y     float64
	words string
}

// labels returns times to write at the side, no two too close.
func (s scale) labels() []scaleLabel {
	var out []scaleLabel
	last := math.Inf(-1)
	for i, t := range s.times {
		if s.y[i]-last >= 40 || i > 0 && s.y[i]-s.y[i-1] >= maxGap && s.y[i]-last >= 14 {
			out = append(out, scaleLabel{s.y[i], formatSpan(t)})
			last = s.y[i]
		}
	}
	return out
}
