package crdt

import (
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/sequence"
)

// marks undoes what the change marked and unmarked in a text: where that decides, what would be seen without it is marked
// again.
func (u *undoer) marks(at *undoSpot, c *textContent) {
	if c.marks == nil {
		return
	}
	m := c.marks
	ends := c.ends(u.tx.s)
	before, after := m.without(ends, u.a), m.without(ends, u.b)
	n := c.rope.Len()
	var ops []*Op
	for _, e := range diffMarks(m.runs(before, len(m.ops), 0, n), m.runs(after, len(m.ops), 0, n)) {
		op := Op{Code: CodeTextUnmark, Len: 1, Path: at.path, Pos: e.From, Count: e.To - e.From, Name: e.Name, Growth: m.growth(before, e)}
		if e.Value != nil {
			op.Code, op.Value, op.Growth = CodeTextMark, *e.Value, m.growth(after, e)
		}
		ops = append(ops, &op)
	}
	for _, op := range ops {
		u.tx.do(op)
	}
}

// without returns ends with those of the ops in lacks moved together, so that they cover nothing.
func (m *textMarks) without(ends []sequence.Anchor, lacks []causal.Span) []sequence.Anchor {
	ends = slices.Clone(ends)
	for i := range m.ops {
		if slices.ContainsFunc(lacks, func(s causal.Span) bool { return s.Contains(m.ops[i].lv) }) {
			ends[2*i+1] = ends[2*i]
		}
	}
	return ends
}

// growth returns how the op grows that decides where e starts, not at all if there is none.
func (m *textMarks) growth(ends []sequence.Anchor, e MarkEdit) Growth {
	for _, i := range m.latest {
		if m.ops[i].Name == e.Name && ends[2*i].Pos() <= e.From && e.From < ends[2*i+1].Pos() {
			return m.ops[i].growth
		}
	}
	return GrowNone
}
