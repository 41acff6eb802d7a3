package causal

import (
	"slices"
	"sort"
)

// Walks down the graph visit what they meet in descending order, stretch by stretch: when they come to
// a stretch they come to its highest op first, and with it to all below it there.

// roomFor is how many ops a walk keeps in mind without allocating.
const roomFor = 32

// start adds version to a walk's queue. Versions are mostly ascending, and a heap takes what descends at the least cost.
func (g *Graph) start(queue metHeap, version []LV, flags uint8) metHeap {
	i := len(g.runs)
	for _, lv := range slices.Backward(version) {
		i = g.runFrom(i, lv)
		queue = queue.push(met{lv, g.stretchOf(i), flags})
	}
	return queue
}

// runFrom returns the index of the run that holds lv, for those who come from run i, mostly one not far above, or from none if that is the number of runs.
func (g *Graph) runFrom(i int, lv LV) int {
	if i == len(g.runs) || lv >= g.runs[i].End {
		return g.runIndex(lv)
	}
	return g.runBelow(i+1, lv)
}

// down adds the parents of the stretch that starts with run i, as far as they are not below least, to a walk's queue.
func (g *Graph) down(queue metHeap, i int32, least LV, flags uint8) metHeap {
	lo, hi := g.parentsOf(int(i))
	for k := lo; k < hi; k++ {
		if p := g.parents[k]; p >= least {
			queue = queue.push(met{p, g.parentStretches[k], flags})
		}
	}
	return queue
}

// Maximal returns the members of lvs that are in no other's history, ascending.
// lvs is left as it is.
func (g *Graph) Maximal(lvs []LV) []LV { return g.maximal(slices.Clone(lvs)) }

// maximal is Maximal in the array of lvs.
func (g *Graph) maximal(lvs []LV) []LV {
	slices.Sort(lvs)
	lvs = slices.Compact(lvs)
	if len(lvs) < 2 || g.AreHeads(lvs, -1) {
		return lvs
	}
	if g.holdHeads(lvs) {
		return append(lvs[:0], g.heads...) // who wrote something has mostly seen everything; the rest is in their history
	}
	// One walk down from all of them together, as far as the least: what is met as a parent, or lower in a stretch that has another, is in
	// another's history.
	const covered = none // in place of the stretch of such a one
	var roomForStretches [roomFor]int32
	stretches := g.stretchesOf(roomForStretches[:0], lvs)
	least, next := lvs[0], len(lvs)-1
	var room [roomFor]uint64
	ahead := newStretchSet(stretches[0], stretches[next], room[:])
	for i, s := range stretches {
		ahead.add(s)
		if i > 0 && stretches[i-1] == s {
			stretches[i-1] = covered
		}
	}
	for {
		s := ahead.take()
		for next >= 0 && (stretches[next] == s || stretches[next] == covered) {
			next--
		}
		if next < 0 {
			break
		}
		among := stretches[next] // nobody who has not been met lies above it
		for k, hi := g.parentsOf(int(s)); k < hi; k++ {
			p := g.parents[k]
			if p < least {
				continue
			}
			up := g.parentStretches[k]
			ahead.add(up)
			if up > among {
				continue
			}
			if i := notAbove(lvs[:next+1], p) - 1; i >= 0 && stretches[i] == up {
				stretches[i] = covered
			}
		}
	}
	kept := 0
	for i, s := range stretches {
		if s != covered {
			lvs[kept] = lvs[i]
			kept++
		}
	}
	return lvs[:kept]
}

// stretchesOf appends the stretches that lvs, which are ascending, lie in to buf.
func (g *Graph) stretchesOf(buf []int32, lvs []LV) []int32 {
	i := len(g.runs)
	for _, lv := range slices.Backward(lvs) {
		i = g.runFrom(i, lv)
		buf = append(buf, g.stretchOf(i))
	}
	slices.Reverse(buf)
	return buf
}

// notAbove returns how many of lvs, which are ascending, are not above lv.
func notAbove(lvs []LV, lv LV) int {
	lo, hi := 0, len(lvs)
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); lvs[mid] <= lv {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// holdHeads reports whether all heads of g are among lvs, which are ascending.
func (g *Graph) holdHeads(lvs []LV) bool {
	if len(g.heads) > len(lvs) {
		return false
	}
	for _, head := range g.heads {
		if _, ok := slices.BinarySearch(lvs, head); !ok {
			return false
		}
	}
	return true
}

// AreHeads reports whether all of lvs, which are ascending, are heads of g and different, but for one that may be among them.
func (g *Graph) AreHeads(lvs []LV, but LV) bool {
	for i, lv := range slices.Backward(lvs) {
		if i > 0 && lvs[i-1] == lv {
			return false
		}
		if _, ok := slices.BinarySearch(g.heads, lv); !ok && lv != but {
			return false
		}
	}
	return true
}

// Contains reports whether lv is in the causal history of version (which
// includes its own members).
func (g *Graph) Contains(version []LV, lv LV) bool {
	if lv < 0 || lv >= g.Len() {
		return false
	}
	if slices.Contains(version, lv) {
		return true
	}
	var room [roomFor]met
	queue := g.start(room[:0], version, 0)
	for len(queue) > 0 && queue[0].lv >= lv {
		m := queue[0]
		if lv >= g.runs[m.stretch].Start {
			return true
		}
		queue = g.down(queue.skip(m.stretch), m.stretch, lv, 0)
	}
	return false
}

// within returns what of the history of the parents of run i lies in spans, ascending, in the array of buf if there
// is room. Spans are what some history lacks, so below an op outside them there is nothing to look for: the
// cost is that of what is returned.
func (g *Graph) within(buf []Span, i int, spans []Span) []Span {
	var room [roomFor]met
	queue := g.down(room[:0], int32(i), 0, 0)
	out := buf[:0]
	for len(queue) > 0 && len(spans) > 0 {
		m := queue[0]
		queue = queue.skip(m.stretch)
		i := len(spans) - 1
		if i > 0 && spans[i].Start > m.lv {
			i = sort.Search(i, func(i int) bool { return spans[i].End > m.lv })
		}
		if !spans[i].Contains(m.lv) {
			continue
		}
		start := max(g.runs[m.stretch].Start, spans[i].Start)
		out = prependSpan(out, Span{start, m.lv + 1})
		spans = spans[:i+1]
		if start == g.runs[m.stretch].Start {
			queue = g.down(queue, m.stretch, 0, 0)
		}
	}
	slices.Reverse(out)
	return out
}

// Diff returns what is only in the history of a and only in that of b, each
// ascending. Its cost is that of the part of the graph where they differ.
func (g *Graph) Diff(a, b []LV) (onlyA, onlyB []Span) {
	if slices.Equal(a, b) {
		return nil, nil
	}
	const inA, inB, both = 1, 2, 3
	var room [roomFor]met
	queue := g.start(g.start(room[:0], a, inA), b, inB)
	apart := len(queue) // of what is queued, that which is not in both
	var roomA, roomB [roomFor]Span
	backA, backB := roomA[:0], roomB[:0] // in descending order
	for apart > 0 {
		m := queue[0]
		queue = queue.pop()
		if m.flags != both {
			apart--
		}
		// Walk down the stretch; what is queued inside it joins on the way.
		start, end := g.runs[m.stretch].Start, m.lv+1
		for len(queue) > 0 && queue[0].stretch == m.stretch {
			next := queue[0]
			queue = queue.pop()
			if next.flags != both {
				apart--
			}
			if m.flags|next.flags != m.flags {
				if above := (Span{next.lv + 1, end}); m.flags == inA {
					backA = prependSpan(backA, above)
				} else {
					backB = prependSpan(backB, above)
				}
				m.flags = both
			}
		}
		n := len(queue)
		queue = g.down(queue, m.stretch, 0, m.flags)
		switch m.flags {
		case inA:
			backA = prependSpan(backA, Span{start, end})
			apart += len(queue) - n
		case inB:
			backB = prependSpan(backB, Span{start, end})
			apart += len(queue) - n
		}
	}
	return ascending(backA), ascending(backB)
}

// prependSpan adds s, which lies before all of spans, to spans kept in descending order.
func prependSpan(spans []Span, s Span) []Span {
	if s.Start >= s.End {
		return spans
	}
	if n := len(spans); n > 0 && spans[n-1].Start == s.End {
		spans[n-1].Start = s.Start
		return spans
	}
	return append(spans, s)
}

// ascending returns what prependSpan made in ascending order, in a new slice.
func ascending(spans []Span) []Span {
	if len(spans) == 0 {
		return nil
	}
	out := make([]Span, len(spans))
	for i, s := range spans {
		out[len(out)-1-i] = s
	}
	return out
}
