package crdt

import (
	"slices"
	"sort"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/sequence"
)

// listContent is what a List holds: elements in sequence order, each of them a place
// named by the dot that inserted it.
//
// Most elements only ever hold the value they were inserted with. They are kept as
// runs; an element gets a place of its own when an op first goes to it.
type listContent struct {
	ops      sequence.Sequence
	elements sequence.Elements // the local versions of those not deleted, in order
	runs     []elementRun      // by local version
	// places of elements that an op went to. A deleted element keeps its place if it holds
	// containers, because ops below those still count for the entries above the list.
	places map[causal.LV]*place
}

// elementRun is what one op inserted.
type elementRun struct {
	causal.Span
	values []Value // of a ListInsert; nil at elements deleted since
	kind   Kind    // of a ListNew, else Register
}

func (c *listContent) deletesWins() bool { return false }

// insert applies a ListInsert or ListNew.
func (c *listContent) insert(ps *pass, op *Op, t *touch) {
	span := causal.Span{Start: ps.lv, End: ps.lv + causal.LV(op.Len)}
	run := elementRun{Span: span, kind: op.Kind}
	if op.Code == CodeListInsert {
		// The op keeps its own, which others may look at.
		run.kind, run.values = Register, slices.Clone(op.Values)
	}
	at := c.runIndex(span.Start)
	c.runs = slices.Insert(c.runs, at, run)
	pos := c.ops.Insert(ps.s.graph, ps.history, ps.lv, op.Pos, op.Len)
	if ps.undoable() {
		ps.undo(func() {
			c.runs = slices.Delete(c.runs, at, at+1)
			c.ops.Truncate(span.Start)
		})
	}
	c.edit(ps, []sequence.Edit{{Pos: pos, Inserted: op.Len, LV: span.Start}}, t)
}

// delete applies a ListDelete of n elements.
func (c *listContent) delete(ps *pass, pos, n int, t *touch) {
	edits := c.ops.Delete(ps.s.graph, ps.history, ps.lv, pos, n, nil)
	if ps.undoable() {
		lv := ps.lv
		ps.undo(func() { c.ops.Truncate(lv) })
	}
	c.edit(ps, edits, t)
}

func (c *listContent) edit(ps *pass, edits []sequence.Edit, t *touch) {
	for _, e := range edits {
		if e.Deleted > 0 {
			gone := c.elements.Delete(e.Pos, e.Deleted)
			if ps.undoable() {
				ps.undo(func() {
					at := e.Pos
					for _, s := range gone {
						c.elements.Insert(at, s.Start, s.Len())
						at += s.Len()
					}
				})
			}
			for _, s := range gone {
				c.forget(ps, s)
			}
		}
		if e.Inserted > 0 {
			c.elements.Insert(e.Pos, e.LV, e.Inserted)
			if ps.undoable() {
				ps.undo(func() { c.elements.Delete(e.Pos, e.Inserted) })
			}
		}
		t.splice(Splice{Pos: e.Pos, Deleted: e.Deleted, Inserted: e.Inserted}, e.LV)
	}
}

// forget frees what deleted elements hold, as far as nothing can refer to it any more.
func (c *listContent) forget(ps *pass, gone causal.Span) {
	for i := c.runIndex(gone.Start+1) - 1; i >= 0 && i < len(c.runs) && c.runs[i].Start < gone.End; i++ {
		run := &c.runs[i]
		if run.values == nil {
			continue
		}
		from, to := max(gone.Start, run.Start)-run.Start, min(gone.End, run.End)-run.Start
		if ps.undoable() {
			old := slices.Clone(run.values[from:to])
			values := run.values
			ps.undo(func() { copy(values[from:to], old) })
		}
		clear(run.values[from:to])
	}
	if len(c.places) == 0 {
		return
	}
	for lv := gone.Start; lv < gone.End; lv++ {
		p := c.places[lv]
		if p == nil || slices.ContainsFunc(p.entries, func(e *entry) bool { return e.kind != Register }) {
			continue
		}
		delete(c.places, lv)
		if ps.undoable() {
			ps.undo(func() { c.places[lv] = p })
		}
	}
}

// runIndex returns the index of the first run that starts at lv or later.
func (c *listContent) runIndex(lv causal.LV) int {
	if n := len(c.runs); n == 0 || c.runs[n-1].Start < lv {
		return n
	}
	return sort.Search(len(c.runs), func(i int) bool { return c.runs[i].Start >= lv })
}

// inserted reports whether lv inserted an element of this list, deleted or not.
func (c *listContent) inserted(lv causal.LV) bool { return c.ops.IsInsert(lv) }

// place returns the place of the element that step names, which inserted admits.
func (c *listContent) place(ps *pass, step Step) *place {
	lv, _ := ps.find(step.Elem)
	p := c.places[lv]
	if p == nil {
		p = c.initial(lv)
		c.places[lv] = p
		if ps.undoable() {
			ps.undo(func() { delete(c.places, lv) })
		}
	}
	return p
}

// peek returns the place of an element for reading.
func (c *listContent) peek(lv causal.LV) *place {
	if p := c.places[lv]; p != nil {
		return p
	}
	return c.initial(lv)
}

// initial returns the place of an element as its insertion left it.
func (c *listContent) initial(lv causal.LV) *place {
	run := &c.runs[c.runIndex(lv+1)-1]
	e := &entry{kind: run.kind, alive: []causal.LV{lv}}
	if run.values != nil {
		e.content = &registerContent{puts: []put{{lv, run.values[lv-run.Start]}}}
	} else {
		e.content = newContent(run.kind)
	}
	return &place{entries: []*entry{e}}
}

// each calls f with the elements in order.
func (c *listContent) each(f func(lv causal.LV)) {
	c.elements.Spans(func(s causal.Span) bool {
		for lv := s.Start; lv < s.End; lv++ {
			f(lv)
		}
		return true
	})
}

// appendElement appends what an element shows: nil if nothing stands there.
func (c *listContent) appendElement(s *State, lv causal.LV, buf []byte) []byte {
	if c.places[lv] == nil {
		run := &c.runs[c.runIndex(lv+1)-1]
		if run.values != nil {
			return run.values[lv-run.Start].AppendTo(buf)
		}
	}
	if e := c.peek(lv).shown(s); e != nil {
		return e.content.appendValue(s, buf)
	}
	return Value{}.AppendTo(buf)
}

func (c *listContent) appendValue(s *State, buf []byte) []byte {
	buf = appendArrayHead(buf, c.elements.Len())
	c.each(func(lv causal.LV) { buf = c.appendElement(s, lv, buf) })
	return buf
}

func (c *listContent) appendDigest(s *State, buf []byte) []byte {
	buf = appendArrayHead(buf, c.elements.Len())
	c.each(func(lv causal.LV) {
		buf = appendWholeDot(buf, s.dot(lv))
		buf = c.peek(lv).appendDigest(s, buf)
	})
	return buf
}
