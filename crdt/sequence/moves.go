package sequence

import (
	"slices"
	"sort"

	"github.com/atollsync/atoll/crdt/causal"
)

// A move inserts a slot, named by the move's own local version, and the element shows at the
// slot of its latest move. The insertion is the first slot, which every move saw. To the walker slots are
// elements like others, of which all but one are tombstones; which one is not, it looks up anew in every version.

// move is what the log keeps of a move beside its run.
type move struct {
	lv, elem causal.LV
	// from is where the move's author saw the element, -1 if the author saw it deleted. A replay finds it by
	// that, since elements that stood there before a tracker's base have no other name in it.
	from int
}

// movedElement is an element that ops of a tracker moved.
type movedElement struct {
	// slots are those the tracker has, the latest last. The first is where the element stood before all these moves,
	// unless the author of the only one saw it deleted.
	slots   []slot
	shown   int   // the slot at which the seen version would show the element, -1 if it has none
	deletes int32 // of the element, in the seen version
	deleted bool  // in the merged version
}

type slot struct {
	id    causal.LV
	ref   int32
	known bool // to the seen version
}

// Moves yields the moves of s with the elements they moved, in the order of their local versions.
func (s *Sequence) Moves(yield func(lv, elem causal.LV) bool) {
	for _, m := range s.moves {
		if !yield(m.lv, m.elem) {
			return
		}
	}
}

// moveIndex returns the index of the first move from lv on.
func (s *Sequence) moveIndex(lv causal.LV) int {
	if n := len(s.moves); n == 0 || s.moves[n-1].lv < lv {
		return n
	}
	return sort.Search(len(s.moves), func(i int) bool { return s.moves[i].lv >= lv })
}

// Move applies the op lv, which moves the element inserted by elem, an op of s that its author saw, to
// pos, counted in the sequence the author saw without the element. at returns where an element is in the merged
// sequence, false if it is deleted there, and later which of two moves of an element decides, in a total order that
// respects causality. s keeps later and asks it again when it replays.
//
// What that does to the merged sequence is appended to edits: the element is deleted in one place and inserted,
// under its own name, in another; nothing if it is deleted, by whomever, or another move is later. A
// pos beyond the end means the end, one below 0 the start. The rest is as for Insert.
func (s *Sequence) Move(g *causal.Graph, h causal.History, lv, elem causal.LV, pos int,
	at func(elem causal.LV) (int, bool), later func(a, b causal.LV) bool, edits []Edit) []Edit {
	s.check(lv)
	s.later = later
	op := opRun{lv: lv, low: lv, n: 1, size: int32(s.length), kind: moveOp}
	m := move{lv: lv, elem: elem, from: -1}
	from, stands := at(elem)
	low, concurrent := s.lowest(h, lv)
	if !concurrent {
		rest := s.length
		if stands {
			m.from = from
			rest--
		}
		pos = min(max(pos, 0), rest)
		op.pos = int32(pos)
		s.log.add(op)
		s.moves = append(s.moves, m)
		s.retire()
		if stands && from != pos {
			edits = append(edits, Edit{Pos: from, Deleted: 1}, Edit{Pos: pos, Inserted: 1, LV: elem})
		}
		return edits
	}
	op.low = low
	if !stands {
		// Deleted in the merged sequence, it is found by name alone, in a tracker with a base before its insertion.
		low = min(low, elem)
	}
	t := s.open(g, low)
	t.astray = t.move(h.Missing()) || t.astray
	op.same = !t.astray
	m.from = t.find(elem, from, stands)
	before := len(edits)
	edits = t.relocate(g, &op, &m, pos, edits)
	t.applied(&op)
	s.log.add(op)
	s.moves = append(s.moves, m)
	if k := len(edits); k == before+2 && edits[before].Pos == edits[before+1].Pos {
		edits = edits[:before] // to where it is
	}
	return edits
}

// find returns where the seen version shows an element, -1 if it does not. at is where the merged one shows it if
// it stands there; else the element must have been inserted since base.
func (t *tracker) find(elem causal.LV, at int, stands bool) int {
	var p place
	var off int
	if stands {
		p, off = t.tree.seekIn(inMerged, at)
	} else {
		ref := t.refOf(elem)
		p, off = t.tree.at(ref), int(elem-t.tree.spans[ref].id)
	}
	if m := t.origins[t.tree.ref(p)].moved; m != 0 {
		e := &t.moved[m-1]
		if e.shown < 0 {
			return -1
		}
		p, off = t.tree.at(e.slots[e.shown].ref), 0
	}
	if t.tree.in(p)&inSeen == 0 {
		return -1
	}
	return int(t.tree.before(p).seen) + off
}

// relocate applies a move to pos, or the place nearest to it that the seen version allows, which becomes that of op. m says
// where the move comes from. What it does to the merged version is added to edits.
func (t *tracker) relocate(g *causal.Graph, op *opRun, m *move, pos int, edits []Edit) []Edit {
	i := t.lift(m.from)
	e := &t.moved[i]
	rank := sort.Search(len(e.slots), func(k int) bool { return k > 0 && t.later(e.slots[k].id, op.lv) })
	latest := rank == len(e.slots) && !e.deleted
	if latest {
		p := t.tree.at(e.slots[rank-1].ref)
		edits = append(edits, Edit{Pos: int(t.tree.before(p).merged), Deleted: 1})
		t.restate(p, t.origins[t.tree.ref(p)].seen, false)
	}
	pos = min(max(pos, 0), int(t.tree.total.seen))
	op.pos = int32(pos)
	at, ref := t.insert(g, moveOp, op.lv, 1, pos)
	t.tip = tip{}
	t.origins[ref].moved = i + 1
	e.slots = slices.Insert(e.slots, rank, slot{id: op.lv, ref: ref, known: true})
	e.shown = rank
	seen := int32(1)
	if e.deletes > 0 {
		seen = 2
	}
	t.restate(t.tree.at(ref), seen, latest)
	if latest {
		edits = append(edits, Edit{Pos: at, Inserted: 1, LV: m.elem})
	}
	return edits
}

// lift hides the element at pos of the seen version and returns its place in t.moved; for -1 that of one that is
// deleted for all who will see it.
func (t *tracker) lift(pos int) int32 {
	if pos < 0 {
		t.moved = append(t.moved, movedElement{shown: -1, deletes: 1, deleted: true})
		return int32(len(t.moved) - 1)
	}
	p, off, _ := t.tree.seek(pos)
	if off > 0 {
		_, p = t.split(p, off)
	}
	ref := t.tree.ref(p)
	if t.tree.spans[ref].n > 1 {
		t.split(p, 1)
		p = t.tree.at(ref)
	}
	o, merged := &t.origins[ref], t.stands(p)
	if o.moved == 0 {
		t.moved = append(t.moved, movedElement{
			slots:   []slot{{id: t.tree.spans[ref].id, ref: ref, known: true}},
			deleted: !merged,
		})
		o.moved = int32(len(t.moved))
	}
	t.restate(p, 2, merged)
	return o.moved - 1
}

// deleteMoved deletes a moved element that the seen version shows, and adds what that does to the merged version
// to edits, those of the same op being from start on.
func (t *tracker) deleteMoved(e *movedElement, start int, edits []Edit) []Edit {
	e.deletes++
	if !e.deleted {
		e.deleted = true
		p := t.tree.at(e.slots[len(e.slots)-1].ref)
		edits = appendDelete(edits, start, int(t.tree.before(p).merged), 1)
		t.restate(p, t.origins[t.tree.ref(p)].seen, false)
	}
	t.show(e)
	return edits
}

// shiftSlot takes a slot of a moved element out of the seen version, if by is -1, or back into it.
func (t *tracker) shiftSlot(ref, by int32) {
	id := t.tree.spans[ref].id
	e := &t.moved[t.origins[ref].moved-1]
	i := sort.Search(len(e.slots), func(k int) bool { return e.slots[k].id == id || k > 0 && t.later(e.slots[k].id, id) })
	e.slots[i].known = by > 0
	p := t.tree.at(ref)
	merged := t.stands(p)
	if by < 0 {
		t.restate(p, 0, merged)
		if i != e.shown {
			return
		}
		for e.shown >= 0 && !e.slots[e.shown].known {
			e.shown--
		}
	} else {
		t.restate(p, 2, merged)
		if i < e.shown {
			return
		}
		if e.shown >= 0 {
			q := t.tree.at(e.slots[e.shown].ref)
			t.restate(q, 2, t.stands(q))
		}
		e.shown = i
	}
	t.show(e)
}

// show makes the seen version show e at its slot there, or not if it is deleted.
func (t *tracker) show(e *movedElement) {
	if e.shown < 0 {
		return
	}
	seen := int32(1)
	if e.deletes > 0 {
		seen = 2
	}
	p := t.tree.at(e.slots[e.shown].ref)
	t.restate(p, seen, t.stands(p))
}
