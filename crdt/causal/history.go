package causal

import "sort"

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
	return g.HistoryAmong(g.heads, version)
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

// Contains reports whether lv is in the history.
func (h History) Contains(lv LV) bool {
	if len(h.missing) == 0 {
		return true
	}
	i := sort.Search(len(h.missing), func(i int) bool { return h.missing[i].End > lv })
	return i == len(h.missing) || lv < h.missing[i].Start
}

// Unseen drops from lvs, which are ascending, in their array, what is in the history. Of many, it looks only at
// where the history ends among them: many who write at once are all unseen by the next.
func (h History) Unseen(lvs []LV) []LV {
	kept := 0
	if len(lvs) < 8 {
		for _, lv := range lvs {
			if !h.Contains(lv) {
				lvs[kept] = lv
				kept++
			}
		}
		return lvs[:kept]
	}
	at := 0
	for _, m := range h.missing {
		from := at + sort.Search(len(lvs)-at, func(i int) bool { return lvs[at+i] >= m.Start })
		at = from + sort.Search(len(lvs)-from, func(i int) bool { return lvs[from+i] >= m.End })
		if kept != from {
			copy(lvs[kept:], lvs[from:at])
		}
		kept += at - from
		if at == len(lvs) {
			break
		}
	}
	return lvs[:kept]
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
		out = AppendSpan(out, Span{at, m.Start})
		at = m.End
	}
	return AppendSpan(out, Span{at, h.end})
}
