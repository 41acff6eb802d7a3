package crdt

import (
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/sequence"
)

// textMarks are the marks and unmarks of a Text.
type textMarks struct {
	ops    []markOp // in the order of their local versions, which is that of the ranges of the sequence: what each covers
	latest []int    // indexes of ops, the latest first
	stale  bool     // ops have been applied to the text since the ranges were settled
}

// markOp is a mark or unmark.
type markOp struct {
	Mark
	lv     causal.LV
	unmark bool
	growth Growth
}

// mark applies a TextMark or TextUnmark.
func (c *textContent) mark(ps *pass, op *Op, t *touch) {
	if c.marks == nil {
		c.marks = new(textMarks)
		if ps.undoable() {
			ps.undo(func() { c.marks = nil })
		}
	}
	m := c.marks
	c.ops.AddRange(ps.s.graph, ps.history, ps.lv, op.Pos, op.Count, op.Growth&GrowStart != 0, op.Growth&GrowEnd != 0)
	n := len(m.ops)
	m.ops = append(m.ops, markOp{Mark: Mark{op.Name, op.Value}, lv: ps.lv, unmark: op.Code == CodeTextUnmark, growth: op.Growth})
	at, _ := slices.BinarySearchFunc(m.latest, n, func(i, n int) int { return ps.s.byLatest(m.ops[i].lv, m.ops[n].lv) })
	m.latest = slices.Insert(m.latest, at, n)
	if ps.undoable() {
		ps.undo(func() {
			c.ops.Truncate(m.ops[n].lv)
			m.ops = slices.Delete(m.ops, n, n+1)
			m.latest = slices.DeleteFunc(m.latest, func(i int) bool { return i == n })
		})
	}
	c.disturb(ps.s)
	t.mark()
}

// disturb notes that where the marks of c are has to be found anew.
func (c *textContent) disturb(s *State) {
	if c.marks != nil && !c.marks.stale {
		c.marks.stale = true
		s.unsettled = append(s.unsettled, c)
	}
}

// Settle finds where the marks of texts are now, after ApplyQuietly, which leaves that to others. A reader of marks that
// finds it undone does it for itself each time: there may be several, and reading changes nothing.
func (s *State) Settle() {
	if len(s.unsettled) > 0 {
		s.settle()
	}
}

func (s *State) settle() {
	for i, c := range s.unsettled {
		if c.marks != nil { // the transaction that made the first was taken back
			c.ops.Settle(s.graph)
			c.marks.stale = false
		}
		s.unsettled[i] = nil
	}
	s.unsettled = s.unsettled[:0]
}

// ends returns the places where each op of c's marks starts and ends, by index. Read-only.
func (c *textContent) ends(s *State) []sequence.Anchor {
	switch {
	case !c.marks.stale:
	case s.writing:
		c.ops.Settle(s.graph) // nobody else may read now
	default:
		return c.ops.SettledEnds(s.graph)
	}
	return c.ops.Ends()
}

// appendMarks appends the ops by dot, with the places where they are: others may yet type there.
func (c *textContent) appendMarks(s *State, buf []byte) []byte {
	if c.marks == nil {
		return appendArrayHead(buf, 0)
	}
	m := c.marks
	ends := c.ends(s)
	order := slices.Clone(m.latest)
	slices.SortFunc(order, func(i, j int) int { return s.dot(m.ops[i].lv).Compare(s.dot(m.ops[j].lv)) })
	buf = appendArrayHead(buf, len(order))
	for _, i := range order {
		op := &m.ops[i]
		buf = appendWholeDot(buf, s.dot(op.lv))
		buf = appendStr(buf, op.Name)
		if op.unmark {
			buf = appendUint(buf, uint64(CodeTextUnmark))
		} else {
			buf = appendUint(buf, uint64(CodeTextMark))
			buf = op.Value.AppendTo(buf)
		}
		buf = appendUint(buf, uint64(op.growth))
		buf = appendInt(buf, int64(ends[2*i]))
		buf = appendInt(buf, int64(ends[2*i+1]))
	}
	return buf
}
