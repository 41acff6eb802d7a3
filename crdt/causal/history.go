package causal

import (
	"slices"
	"sort"
)

// History is the causal history of a version, told by what it lacks: the ops
// that its Graph held, when asked, outside it. In a history without
// concurrency that is nothing, and every question costs one comparison. The zero
// value lacks nothing. A History is a value and stays true while the graph
// grows: ops that came after it was made count as contained, so that a change's ops see those
// before them in the same change.
type History struct {
	missing []Span
	end     LV // the graph's length when this was made
}

// History returns the causal history of version.
func (g *Graph) History(version []LV) History {
	missing, _ := g.Diff(g.heads, version)
	return History{missing: missing, end: g.Len()}
}

// Next returns the causal history of the op at lv, given h, that of the
// graph's version prev. It is History(Parents(lv)) at the price of a comparison where lv
// goes on from prev alone.
func (g *Graph) Next(h History, prev, lv LV) History {
	parents := g.Parents(lv)
	if len(parents) != 1 || parents[0] != prev || h.end != prev {
		return g.before(lv)
	}
	missing := h.missing
	if prev+1 < lv {
		missing = append(slices.Clip(missing), Span{prev + 1, lv})
	}
	return History{missing: missing, end: lv}
}

// before returns the causal history of the op at lv, of ops before lv only.
func (g *Graph) before(lv LV) History {
	all := []LV{}
	for _, p := range g.Parents(lv) {
		all = append(all, p)
	}
	return g.Before(lv, all)
}

// Before returns the causal history of version among the ops before lv, as if the graph ended there.
func (g *Graph) Before(lv LV, version []LV) History {
	if lv == g.Len() {
		return g.History(version)
	}
	h := g.History(version)
	i := sort.Search(len(h.missing), func(i int) bool { return h.missing[i].End > lv })
	missing := h.missing[:i:i]
	if i < len(h.missing) && h.missing[i].Start < lv {
		missing = append(missing, Span{h.missing[i].Start, lv})
	}
	return History{missing: missing, end: lv}
}

// Contains reports whether lv is in the history.
func (h History) Contains(lv LV) bool {
	if len(h.missing) == 0 {
		return true
	}
	i := sort.Search(len(h.missing), func(i int) bool { return h.missing[i].End > lv })
	return i == len(h.missing) || lv < h.missing[i].Start
}

// Complete reports whether the history lacks nothing that its graph held.
func (h History) Complete() bool { return len(h.missing) == 0 }

// Missing returns what the history lacks, ascending. Read-only.
func (h History) Missing() []Span { return h.missing }

// spans returns what the history holds, ascending.
func (h History) spans() []Span {
	var out []Span
	at := LV(0)
	for _, m := range h.missing {
		out = appendSpan(out, Span{at, m.Start})
		at = m.End
	}
	return appendSpan(out, Span{at, h.end})
}

// HistoryAmong returns the causal history of version as one sees it who holds the history of heads, which
// includes version's, and nothing else of the graph. Its cost is that of the part of the graph
// where they differ, however much the graph has grown beyond.
func (g *Graph) HistoryAmong(heads, version []LV) History {
	missing, _ := g.Diff(heads, version)
	h := History{missing: missing}
	for _, lv := range heads {
		h.end = max(h.end, lv+1)
	}
	return h
}
