package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/atollsync/atoll/simulations"
)

// Sizes of the timeline.
const (
	timelineWidth = 760.0
	rowHeight     = 18.0
	nameWidth     = 108.0
	bandHeight    = 15.0
	maxBands      = 8 // rows of what concerns the network as a whole
	maxTicks      = 400
)

// timeline draws when what was amiss: a row for each device, and above them the network's partitions. nil if nothing was.
func timeline(r *simulations.Result) *drawing {
	if len(r.Devices) == 0 || r.Ended <= 0 {
		return nil
	}
	var bands []simulations.Span
	own := make(map[int][]simulations.Span)
	for _, s := range r.Spans {
		if isNetwork(s) {
			bands = append(bands, s)
			continue
		}
		for _, d := range s.Devices {
			own[d] = append(own[d], s)
		}
	}
	rows, more := timelineRows(r, own)
	lanes, hidden := pack(bands)
	x := func(at time.Duration) float64 {
		return nameWidth + float64(at)/float64(r.Ended)*(timelineWidth-nameWidth-8)
	}
	top := 6 + float64(len(lanes))*(bandHeight+3)
	s := &svg{width: timelineWidth, height: top + float64(len(rows))*rowHeight + 24}
	bottom := top + float64(len(rows))*rowHeight

	step := roundStep(r.Ended, 9)
	for at, n := time.Duration(0), 0; at <= r.Ended && n < 100; at, n = at+step, n+1 {
		s.line(x(at), top-3, x(at), bottom, "grid")
		s.text(x(at), bottom+14, "tick", formatSpan(at))
	}
	for i, lane := range lanes {
		y := 4 + float64(i)*(bandHeight+3)
		for _, b := range lane {
			w := max(1.5, x(b.To)-x(b.From))
			s.rect(x(b.From), y, w, bandHeight, "span "+class(b.What), describe(r, b))
			s.rect(x(b.From), top-3, w, bottom-top+3, "shade", describe(r, b))
			if label := b.What; w > 6.2*float64(len(label))+4 {
				s.text(x(b.From)+3, y+11, "inside", label)
			}
		}
	}
	for i, d := range rows {
		y := top + float64(i)*rowHeight
		name := r.Devices[d].Name
		if r.Devices[d].Liar {
			name += " (liar)"
		}
		s.text(nameWidth-6, y+13, "name", short(name, 17))
		s.rect(x(0), y+8, x(r.Ended)-x(0), 2, "life", name)
		for _, sp := range own[d] {
			s.rect(x(sp.From), y+3, max(1.5, x(sp.To)-x(sp.From)), rowHeight-6, "span "+class(sp.What), describe(r, sp))
		}
	}
	drawOps(s, r, rows, x, top)
	if r.Healed > 0 && r.Healed < r.Ended {
		s.line(x(r.Healed), top-3, x(r.Healed), bottom, "healed")
	}
	if r.Converged > 0 {
		s.line(x(r.Converged), top-3, x(r.Converged), bottom, "converged")
	}
	note := "Bars are times without network or down; ticks are changes that a device made. Dashed: everything was healed."
	if r.Converged > 0 {
		note += " Green: all honest devices held the same."
	}
	if more > 0 {
		note += fmt.Sprintf(" %d devices to which most happened are shown, of %d.", len(rows), len(r.Devices))
	}
	if hidden > 0 {
		note += fmt.Sprintf(" %d more cuts overlap these.", hidden)
	}
	return &drawing{SVG: s.html("What happened when", false), Note: note}
}

// isNetwork reports whether a span is about the network, not about single devices.
func isNetwork(s simulations.Span) bool {
	return s.What == "partition" || s.What == "cut" || len(s.Devices) == 0
}

// timelineRows returns the devices that get a row: all, or those to which most happened.
func timelineRows(r *simulations.Result, own map[int][]simulations.Span) (rows []int, more int) {
	for i := range r.Devices {
		rows = append(rows, i)
	}
	if len(rows) <= maxRows {
		return rows, 0
	}
	slices.SortStableFunc(rows, func(a, b int) int { return cmp.Compare(len(own[b]), len(own[a])) })
	rows = rows[:maxRows]
	slices.Sort(rows)
	return rows, len(r.Devices) - maxRows
}

// pack puts spans that overlap into different lanes. hidden is how many found none.
func pack(spans []simulations.Span) (lanes [][]simulations.Span, hidden int) {
	slices.SortStableFunc(spans, func(a, b simulations.Span) int { return cmp.Compare(a.From, b.From) })
next:
	for _, s := range spans {
		for i, lane := range lanes {
			if lane[len(lane)-1].To <= s.From {
				lanes[i] = append(lane, s)
				continue next
			}
		}
		if len(lanes) == maxBands {
			hidden++
			continue
		}
		lanes = append(lanes, []simulations.Span{s})
	}
	return lanes, hidden
}

// drawOps marks what devices wrote, thinned to what can be seen.
func drawOps(s *svg, r *simulations.Result, rows []int, x func(time.Duration) float64, top float64) {
	row := make(map[string]int, len(rows))
	for i, d := range rows {
		row[r.Devices[d].Name] = i
	}
	last := make(map[int]float64)
	for _, op := range r.Ops {
		i, ok := row[op.Device]
		if !ok {
			continue
		}
		at := x(op.At)
		if before, ok := last[i]; ok && at-before < (timelineWidth-nameWidth)/maxTicks {
			continue
		}
		last[i] = at
		y := top + float64(i)*rowHeight
		s.rect(at-0.5, y+5, 1, rowHeight-10, "op", formatSpan(op.At)+": "+op.Device+": "+short(op.Op.String(), 120))
	}
}

// describe says what a span is in words.
func describe(r *simulations.Result, s simulations.Span) string {
	var b strings.Builder
	b.WriteString(s.What)
	if s.Detail != "" {
		b.WriteString(": " + s.Detail)
	} else if len(s.Devices) > 0 {
		b.WriteString(": " + names(r, s.Devices))
	}
	fmt.Fprintf(&b, ", from %s to %s (%s)", formatSpan(s.From), formatSpan(s.To), formatSpan(s.To-s.From))
	return b.String()
}

// names lists devices, a few of many.
func names(r *simulations.Result, devices []int) string {
	var out []string
	for i, d := range devices {
		if i == 6 {
			out = append(out, fmt.Sprintf("and %d more", len(devices)-i))
			break
		}
		if d >= 0 && d < len(r.Devices) {
			out = append(out, r.Devices[d].Name)
		}
	}
	return strings.Join(out, ", ")
}

// class returns the style of a kind of span.
func class(what string) string {
	switch what {
	case "partition", "cut":
		return "cut"
	case "offline":
		return "offline"
	case "down":
		return "down"
	}
	return "fault"
}

// short cuts words that are too long for their place.
func short(words string, n int) string {
	r := []rune(words)
	if len(r) <= n {
		return words
	}
	return string(r[:n-1]) + "…"
}
