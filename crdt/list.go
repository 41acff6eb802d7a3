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
	// For the next op to use again.
	edits []sequence.Edit
	gone  []causal.Span
}

// elementRun is what ops that follow one another inserted.
type elementRun struct {
	causal.Span
	values packedValues // of ListInserts, without those of elements deleted since
	kind   Kind         // of a ListNew, else 0
}

func (c *listContent) deletesWins() bool { return false }

// insert applies a ListInsert or ListNew.
func (c *listContent) insert(ps *pass, op *Op, t *touch) {
	span := causal.Span{Start: ps.lv, End: ps.lv + causal.LV(op.Len)}
	pos := c.ops.Insert(ps.s.graph, ps.history, span.Start, op.Pos, op.Len)
	c.addRun(span, op)
	c.elements.Insert(pos, span.Start, op.Len)
	if ps.undoable() {
		ps.undo(func() {
			c.elements.Delete(pos, span.Len(), nil)
			c.cutRuns(span.Start)
			c.ops.Truncate(span.Start)
		})
	}
	t.splice(Splice{Pos: pos, Inserted: op.Len}, span.Start)
}

// addRun notes what op, the latest there is, inserts as span.
func (c *listContent) addRun(span causal.Span, op *Op) {
	if n := len(c.runs); n > 0 {
		r := &c.runs[n-1]
		if r.End == span.Start && r.kind == op.Kind && r.values.hasRoom(op.Values) {
			r.End = span.End
			r.values.append(op.Values)
			return
		}
	}
	c.runs = append(c.runs, elementRun{Span: span, kind: op.Kind, values: packValues(op.Values)})
}

// cutRuns forgets what was inserted from lv on.
func (c *listContent) cutRuns(lv causal.LV) {
	i := c.runIndex(lv)
	clear(c.runs[i:])
	c.runs = c.runs[:i]
	if i == 0 {
		return
	}
	if r := &c.runs[i-1]; r.End > lv {
		if r.End = lv; r.kind == 0 {
			r.values.truncate(r.Len())
		}
	}
}

// delete applies a ListDelete of n elements.
func (c *listContent) delete(ps *pass, pos, n int, t *touch) {
	lv := ps.lv
	c.edits = c.ops.Delete(ps.s.graph, ps.history, lv, pos, n, c.edits[:0])
	if ps.undoable() {
		ps.undo(func() { c.ops.Truncate(lv) })
	}
	for _, e := range c.edits {
		gone := c.elements.Delete(e.Pos, e.Deleted, c.gone[:0])
		if c.gone = gone; cap(gone) > maxRoom {
			c.gone = nil
		}
		if ps.undoable() {
			back := slices.Clone(gone)
			ps.undo(func() {
				at := e.Pos
				for _, s := range back {
					c.elements.Insert(at, s.Start, s.Len())
					at += s.Len()
				}
			})
		}
		t.splice(Splice{Pos: e.Pos, Deleted: e.Deleted}, 0)
		for _, s := range gone {
			c.forget(ps, s)
		}
	}
}

// move applies a ListMove of an element that its author saw: a slot at op.Pos, at which the element shows from now on,
// unless it is deleted or a later move was applied before.
func (c *listContent) move(ps *pass, op *Op, t *touch) {
	lv := ps.lv
	elem, _ := ps.find(op.Elem, op.Branch)
	c.edits = c.ops.Move(ps.s.graph, ps.history, lv, elem, op.Pos, c.elements.Index, ps.s.later, c.edits[:0])
	from, to := 0, 0
	if len(c.edits) > 0 { // out of one place and into another
		from, to = c.edits[0].Pos, c.edits[1].Pos
		c.elements.Move(from, to)
		t.splice(Splice{Pos: from, Deleted: 1}, 0)
		t.splice(Splice{Pos: to, Inserted: 1}, elem)
	}
	if ps.undoable() {
		ps.undo(func() {
			if from != to {
				c.elements.Move(to, from)
			}
			c.ops.Truncate(lv)
		})
	}
}

// forget frees what deleted elements hold, as far as nothing can refer to it any more.
func (c *listContent) forget(ps *pass, gone causal.Span) {
	for i := c.runIndex(gone.Start+1) - 1; i >= 0 && i < len(c.runs) && c.runs[i].Start < gone.End; i++ {
		run := &c.runs[i]
		if run.kind != 0 {
			continue
		}
		from, to := int(max(gone.Start, run.Start)-run.Start), int(min(gone.End, run.End)-run.Start)
		run.values.forget(from, to)
		if ps.undoable() {
			ps.undo(func() { c.runs[i].values.recall(from, to) })
		} else {
			run.values.free()
		}
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

// run returns the run that lv was inserted by, nil if lv is no element that was inserted into this list, deleted or not.
func (c *listContent) run(lv causal.LV) *elementRun {
	if i := c.runIndex(lv+1) - 1; i >= 0 && lv < c.runs[i].End {
		return &c.runs[i]
	}
	return nil
}

// inserted reports whether lv is an element that was inserted into this list, deleted or not.
func (c *listContent) inserted(lv causal.LV) bool { return c.run(lv) != nil }

// holds reports whether lv is an element of c that is not deleted.
func (c *listContent) holds(lv causal.LV) bool {
	_, ok := c.elements.Index(lv)
	return ok
}

// list returns what e holds if it is a List; e may be nil.
func (e *entry) list() (*listContent, bool) {
	if e == nil {
		return nil, false
	}
	c, ok := e.content.(*listContent)
	return c, ok
}

// place returns the place of the element that step names, which inserted admits.
func (c *listContent) place(ps *pass, step Step) *place {
	lv, _ := ps.find(step.Elem, step.Branch)
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

// elementPlace is the place of an element with what its insertion left there, in one piece of memory.
type elementPlace struct {
	place    place
	entry    entry
	register registerContent
	entries  [1]*entry
	alive    [1]causal.LV
	puts     [1]put
}

// initial returns the place of an element as its insertion left it.
func (c *listContent) initial(lv causal.LV) *place { return new(elementPlace).set(c.run(lv), lv) }

// set makes p that of an element of run as its insertion left it.
func (p *elementPlace) set(run *elementRun, lv causal.LV) *place {
	*p = elementPlace{alive: [1]causal.LV{lv}}
	p.entry.alive = p.alive[:]
	if run.kind == 0 {
		p.puts[0] = put{lv, run.values.at(int(lv - run.Start))}
		p.register.puts = p.puts[:]
		p.entry.kind, p.entry.content = Register, &p.register
	} else {
		p.entry.kind, p.entry.content = run.kind, newContent(run.kind)
	}
	p.entries[0] = &p.entry
	p.place.entries = p.entries[:]
	return &p.place
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
		if run := c.run(lv); run.kind == 0 {
			return run.values.appendTo(buf, int(lv-run.Start))
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

// latestMoves returns the latest move of each element that was moved, deleted since or not.
func (c *listContent) latestMoves(s *State) map[causal.LV]causal.LV {
	latest := make(map[causal.LV]causal.LV)
	for lv, elem := range c.ops.Moves {
		if before, ok := latest[elem]; !ok || s.later(lv, before) {
			latest[elem] = lv
		}
	}
	return latest
}

// appendDigest appends the elements, each with the slot at which it shows: a move that comes later may be
// concurrent with that of the slot.
func (c *listContent) appendDigest(s *State, buf []byte) []byte {
	latest := c.latestMoves(s)
	buf = appendArrayHead(buf, c.elements.Len())
	var room elementPlace
	c.each(func(lv causal.LV) {
		buf = appendWholeDot(buf, s.dot(lv))
		slot, moved := latest[lv]
		if !moved {
			slot = lv
		}
		buf = appendWholeDot(buf, s.dot(slot))
		p := c.places[lv]
		if p == nil {
			p = room.set(c.run(lv), lv)
		}
		buf = p.appendDigest(s, buf)
	})
	return buf
}
