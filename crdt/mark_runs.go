package crdt

import (
	"slices"

	"github.com/atollsync/atoll/crdt/sequence"
)

// MarkRange says that the code points [From, To) of a Text bear a mark.
type MarkRange struct {
	From int `json:"from"`
	To   int `json:"to"`
	Mark
}

// canvas is what the marks and unmarks of one name come to: cells between the places where any of them starts or ends, each
// painted by the latest that covers it.
type canvas struct {
	cuts []int // ascending
	// next leads from each cell towards the first from there on that is not painted; itself if that is it.
	next []int
	by   []int // the op that painted a cell, if next leads on
}

// free returns the first cell from i on that is not painted, len(c.by) if there is none.
func (c *canvas) free(i int) int {
	for c.next[i] != i {
		c.next[i] = c.next[c.next[i]]
		i = c.next[i]
	}
	return i
}

// paint paints what is left of [from, to).
func (c *canvas) paint(from, to, by int) {
	i, _ := slices.BinarySearch(c.cuts, from)
	for i = c.free(i); c.cuts[i] < to; i = c.free(i) {
		c.by[i], c.next[i] = by, i+1
	}
}

// runs returns the marks that the code points of [from, to) bear of the first n ops, by name, then in order.
func (m *textMarks) runs(ends []sequence.Anchor, n, from, to int) []MarkRange {
	span := func(i int) (int, int) { return max(from, ends[2*i].Pos()), min(to, ends[2*i+1].Pos()) }
	byName := make(map[string]*canvas)
	for i := range m.ops[:n] {
		a, b := span(i)
		if a >= b {
			continue
		}
		c := byName[m.ops[i].Name]
		if c == nil {
			c = new(canvas)
			byName[m.ops[i].Name] = c
		}
		c.cuts = append(c.cuts, a, b)
	}
	for _, c := range byName {
		slices.Sort(c.cuts)
		c.cuts = slices.Compact(c.cuts)
		c.next, c.by = make([]int, len(c.cuts)), make([]int, len(c.cuts)-1)
		for i := range c.next {
			c.next[i] = i
		}
	}
	for _, i := range m.latest {
		if a, b := span(i); i < n && a < b {
			byName[m.ops[i].Name].paint(a, b, i)
		}
	}
	var out []MarkRange
	for _, name := range sortedKeys(byName) {
		c := byName[name]
		for i, by := range c.by {
			if c.next[i] == i || m.ops[by].unmark {
				continue
			}
			r := MarkRange{c.cuts[i], c.cuts[i+1], m.ops[by].Mark}
			if k := len(out) - 1; k >= 0 && out[k].To == r.From && out[k].Mark == r.Mark {
				out[k].To = r.To
			} else {
				out = append(out, r)
			}
		}
	}
	return out
}
