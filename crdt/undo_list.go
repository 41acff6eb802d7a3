package crdt

import (
	"cmp"
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/sequence"
)

// listUndo is how to undo what a change did in a list.
type listUndo struct {
	edits []listEdit // in order
	left  int        // elements there are then
}

// listEdit deletes what the change inserted, brings an element back or moves one.
type listEdit struct {
	pos     int // in what is shown before any edit
	deleted int
	elem    causal.LV // what comes back, or moves
	moves   bool
	from    int // where what moves is shown
	index   int // of where it goes, to tell apart what goes to one pos
}

// listSlot is N elements next to each other, or a place where an element that was moved stood once.
type listSlot struct {
	sequence.Stretch
	index int
	// before: the elements would stand here had nothing ever been undone, but what is undone now not been done. after: without
	// the change too.
	before, after bool
}

func (u *undoer) listUndo(at *undoSpot, c *listContent) *listUndo {
	l := &listUndo{left: c.elements.Len()}
	var shown []shownSpan
	pos := 0
	c.elements.Spans(func(s causal.Span) bool {
		shown = append(shown, shownSpan{s, pos})
		for s.Start < s.End {
			did, k := u.lineage.elems.within(s.Start, s.Len(), u.span)
			if did {
				l.delete(pos, k)
			}
			s.Start, pos = s.Start+causal.LV(k), pos+k
		}
		return true
	})
	if at.done.cut && at.was != nil {
		u.listReturns(l, u.listSlots(&at.was.content.(*listContent).ops), c, shown)
	}
	slices.SortStableFunc(l.edits, func(a, b listEdit) int {
		// What comes to where something is deleted comes before that.
		return cmp.Or(cmp.Compare(a.pos, b.pos), cmp.Compare(min(a.deleted, 1), min(b.deleted, 1)), cmp.Compare(a.index, b.index))
	})
	return l
}

func (l *listUndo) delete(pos, n int) {
	l.left -= n
	if k := len(l.edits) - 1; k >= 0 && l.edits[k].pos+l.edits[k].deleted == pos {
		l.edits[k].deleted += n
		return
	}
	l.edits = append(l.edits, listEdit{pos: pos, deleted: n})
}

// listSlots returns all elements that there ever were in a list, and where they stood.
func (u *undoer) listSlots(ops *sequence.Sequence) (out []listSlot) {
	all, _ := u.stretches(ops, true)
	n := 0
	ops.Compare(u.tx.s.graph, u.a, u.b, true, func(then sequence.Stretch) bool {
		for then.N > 0 {
			s := &all[0]
			k := min(s.N, then.N)
			slot := listSlot{Stretch: *s, index: n, before: then.A, after: then.B}
			slot.N = k
			out = append(out, slot)
			s.LV, s.N, then.N, n = s.LV+causal.LV(k), s.N-k, then.N-k, n+k
			if s.N == 0 {
				all = all[1:]
			}
		}
		return true
	})
	return out
}

// listReturns finds what is to come back and what to move. c is what is shown of the list that the change edited, or of a copy
// of it.
func (u *undoer) listReturns(l *listUndo, slots []listSlot, c *listContent, shown []shownSpan) {
	goes := make(map[causal.LV]bool) // from where the change moved it, or what it stands for
	for _, s := range slots {
		if s.N == 1 && (s.A && !s.B || s.before && !s.after) {
			goes[s.LV] = true
		}
	}
	var moving []listEdit
	moves := make(map[causal.LV]bool)
	index := make(map[causal.LV]listSlot) // of elements that stood in several places, the one that counts
	var spans []indexedSpan
	for _, s := range slots {
		if s.N == 1 && goes[s.LV] && (s.B && !s.A || s.after && !s.before) {
			if elem, ok := u.represented(c, s.LV); ok && !moves[elem] {
				moves[elem] = true
				from, _ := c.elements.Index(elem)
				moving = append(moving, listEdit{elem: elem, moves: true, from: from, index: s.index})
			}
		}
		if s.N > 1 {
			spans = append(spans, indexedSpan{Span: causal.Span{Start: s.LV, End: s.LV + causal.LV(s.N)}, index: s.index})
		} else if old, ok := index[s.LV]; !ok || s.counts() > old.counts() {
			index[s.LV] = s
		}
	}
	for lv, s := range index {
		spans = append(spans, indexedSpan{Span: causal.Span{Start: lv, End: lv + 1}, index: s.index})
	}
	o := u.orderOf(spans, shown)
	for _, m := range moving {
		o.leave(m.elem)
	}
	for _, m := range moving {
		m.pos = o.gapAt(m.elem, m.index, m.index)
		l.edits = append(l.edits, m)
	}
	for _, s := range slots {
		for i := 0; s.B && !s.A && i < s.N; i++ {
			lv := s.LV + causal.LV(i)
			if _, ok := c.elements.Index(lv); ok || o.there[lv] {
				continue // it moved, or is back already
			}
			l.edits = append(l.edits, listEdit{pos: o.gap(lv), elem: lv, index: s.index + i})
			l.left++
		}
	}
}

// counts orders the places of an element that was moved: where it stands, would stand, would have stood.
func (s *listSlot) counts() int {
	switch {
	case s.A:
		return 4
	case s.B:
		return 3
	case s.after:
		return 2
	case s.before:
		return 1
	}
	return 0
}

// list undoes what the change did in a list itself.
func (u *undoer) list(at *undoSpot, c *listContent) {
	l := u.listUndo(at, c)
	by := 0         // how many more there are now of those before a position
	var moved []int // from where
	for i := 0; i < len(l.edits) && !u.tx.over(); {
		e := &l.edits[i]
		pos := e.pos + by
		for _, from := range moved {
			if from >= e.pos {
				pos++
			}
		}
		i++
		switch {
		case e.deleted > 0:
			u.tx.do(&Op{Code: CodeListDelete, Len: e.deleted, Path: at.path, Pos: pos})
			by -= e.deleted
		case e.moves:
			u.move(at, c, e.elem, pos)
			moved = append(moved, e.from)
		default:
			back := []causal.LV{e.elem}
			for ; i < len(l.edits) && l.edits[i].pos == e.pos && l.edits[i].deleted == 0 && !l.edits[i].moves; i++ {
				back = append(back, l.edits[i].elem)
			}
			by += u.restore(at, pos, back)
		}
	}
}

// represented returns the element of c that is lv or stands for it, and false if none is shown.
func (u *undoer) represented(c *listContent, lv causal.LV) (causal.LV, bool) {
	if _, ok := c.elements.Index(lv); ok {
		return lv, true
	}
	for _, elem := range u.lineage.elems.descendants(lv) {
		if _, ok := c.elements.Index(elem); ok {
			return elem, true
		}
	}
	return 0, false
}

// restore inserts copies of elements, as they were before the change, at a position, and returns how many.
func (u *undoer) restore(at *undoSpot, pos int, elems []causal.LV) (n int) {
	was := u.standingBefore(at)
	if was == nil {
		return 0
	}
	from := was.content.(*listContent)
	elems = slices.Clone(elems)
	kept := elems[:0]
	for _, lv := range elems {
		if elem, ok := u.represented(from, lv); ok {
			kept = append(kept, elem)
		}
	}
	c := copier{tx: u.tx, from: u.prior, lineage: u.lineage}
	for n < len(kept) {
		_, k := c.insert(at.path, pos+n, from, kept[n:])
		n += k
	}
	return n
}

// move moves an element to before what stands at a position.
func (u *undoer) move(at *undoSpot, c *listContent, elem causal.LV, to int) {
	from, _ := c.elements.Index(elem)
	if from < to {
		to--
	}
	if from != to {
		name, branch := u.tx.s.elem(elem)
		u.tx.do(&Op{Code: CodeListMove, Len: 1, Path: at.path, Elem: name, Branch: branch, Pos: to})
	}
}
