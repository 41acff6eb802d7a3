package crdt

import (
	"github.com/atollsync/atoll/crdt/causal"
)

// undonePlace is what a change did at and below a place.
type undonePlace struct {
	step    Step // the place
	deleted bool // it deleted what stood there
	// last is the entry it wrote to last, after deleting, kind 0 if it did not: what its author then saw there.
	last    entryName
	entries []*undoneEntry
}

// undoneEntry is what a change did in an entry.
type undoneEntry struct {
	name    entryName
	touched bool
	delta   int64 // Counter
	sets    []*Op // Set, RemoveWinsSet
	edited  bool  // Text, List: elements were inserted, deleted or moved
	cut     bool  // Text, List: elements were deleted or moved
	marked  bool  // Text: there were marks or unmarks
	below   []*undonePlace
	index   map[Step]*undonePlace // by place

	text *textUndo // once it was looked for
}

// entryName names an entry at its place.
type entryName struct {
	kind  Kind
	birth causal.Dot
}

func (e *entry) name() entryName { return entryName{e.kind, e.birth} }

// note notes an op at or below e, to which the first depth steps of its path lead.
func (e *undoneEntry) note(op *Op, depth int) {
	if depth == len(op.Path) {
		switch op.Code {
		case CodeTouch:
			e.touched = true
		case CodeAdd:
			e.delta += op.Delta
		case CodeSetAdd, CodeSetRemove, CodeSetClear, CodeRWSetAdd, CodeRWSetRemove, CodeRWSetClear:
			e.sets = append(e.sets, op)
		case CodeTextInsert, CodeListInsert, CodeListNew:
			e.edited = true
		case CodeTextDelete, CodeListDelete, CodeListMove:
			e.edited, e.cut = true, true
		case CodeTextMark, CodeTextUnmark:
			e.marked = true
		}
		return
	}
	step := op.Path[depth]
	p := e.place(Step{Key: step.Key, Elem: step.Elem})
	if op.Code == CodeDelete && depth == len(op.Path)-1 {
		p.deleted, p.last = true, entryName{}
		return
	}
	name := entryName{step.Kind, step.Birth}
	if op.Code.Class() == ClassWrite {
		p.last = name
	}
	p.entry(name, true).note(op, depth+1)
}

func (e *undoneEntry) place(step Step) *undonePlace {
	p := e.index[step]
	if p == nil {
		p = &undonePlace{step: step}
		if e.index == nil {
			e.index = make(map[Step]*undonePlace)
		}
		e.index[step] = p
		e.below = append(e.below, p)
	}
	return p
}

// entry returns what was done in an entry: nothing, if nothing was and it is not to be added.
func (p *undonePlace) entry(name entryName, add bool) *undoneEntry {
	for _, e := range p.entries {
		if e.name == name {
			return e
		}
	}
	e := &undoneEntry{name: name}
	if add {
		p.entries = append(p.entries, e)
	}
	return e
}

// undoSpot is an entry that a change had to do with, where it is now.
type undoSpot struct {
	up   *undoSpot
	step Step // the place, as the change names it
	done *undoneEntry
	// path leads to it in the transaction's state, where cur stands. was is the entry that the change named: cur
	// itself, unless that is copied, with an element it is in, from a deleted one.
	path     Path
	cur, was *entry
	copied   bool
}

// place returns the place below c that step leads to, for reading, nil if there never was one.
func (s *State) placeBelow(c content, step Step) *place {
	switch c := c.(type) {
	case *mapContent:
		return c.places[step.Key]
	case *listContent:
		if lv, ok := s.elemIn(c, step.Elem); ok && c.inserted(lv) {
			return c.peek(lv)
		}
	}
	return nil
}
