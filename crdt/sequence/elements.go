package sequence

import (
	"fmt"

	"github.com/atollsync/atoll/crdt/causal"
)

// Elements holds the elements of a list in document order, each named by the local
// version of the op that inserted it, and finds them by position and by name. Runs of consecutive names cost
// as much as one. The zero value is the empty list. Reading is safe for concurrent use, while
// nothing edits the same Elements.
type Elements struct {
	tree    spanTree
	index   idIndex
	reached reached
}

// reached is where Reach found an element, 1 more than its position, until something is edited: who is about to edit it by name need not
// look for it again. The zero value is none.
type reached struct {
	lv  causal.LV
	end int
}

// Len returns the number of elements.
func (e *Elements) Len() int { return int(e.tree.total.seen) }

// Insert puts the elements lv, lv+1, ..., n of them and none of them there yet, before
// position pos, 0 <= pos <= Len(). They may be some of a run of names the rest of which are elsewhere.
func (e *Elements) Insert(pos int, lv causal.LV, n int) {
	if pos < 0 || n < 0 || pos > e.Len() {
		panic(fmt.Sprintf("sequence: insert %d at %d of a list of %d", n, pos, e.Len()))
	}
	if n == 0 {
		return
	}
	t := &e.tree
	if len(t.leaves) == 0 {
		t.reset(0)
	}
	e.reached = reached{}
	defer t.flush() // reading changes nothing
	p, off, joins := e.gap(pos, lv)
	if joins {
		t.grow(p, int32(n))
		e.joinNext(p)
		return
	}
	ref := t.newSpan(span{id: lv, n: int32(n)})
	e.index.insert(lv, ref)
	e.put(p, off, ref)
}

// gap returns the place before position pos, for a span from lv on: if off is above 0 that is in the span at p, after so many of its elements. If
// joins is true it is after the span at p, of which the new one is the continuation.
func (e *Elements) gap(pos int, lv causal.LV) (p place, off int, joins bool) {
	t := &e.tree
	if pos == 0 {
		return place{t.first, 0}, 0, false
	}
	p, off, _ = t.seekNear(pos - 1)
	s := &t.spans[t.ref(p)]
	if off++; off < int(s.n) {
		return p, off, false
	}
	if s.end() == lv {
		return p, 0, true
	}
	return place{p.leaf, p.slot + 1}, 0, false
}

// put puts a span that the index knows in the place that gap returned.
func (e *Elements) put(p place, off int, ref int32) {
	if off == 0 {
		e.joinNext(e.tree.link(p, ref, inSeen))
		return
	}
	// What follows is the rest of the span that was cut here, so these two do not join.
	right := e.tree.wedge(p, off, ref, inSeen)
	e.index.insert(e.tree.spans[right].id, right)
}

// split cuts the span at p in two at off.
func (e *Elements) split(p place, off int) {
	ref, _ := e.tree.split(p, off)
	e.index.insert(e.tree.spans[ref].id, ref)
}

// Move takes the element at from out, 0 <= from < Len(), and puts it in so that it stands at to, 0 <= to < Len().
func (e *Elements) Move(from, to int) {
	if n := e.Len(); from < 0 || to < 0 || from >= n || to >= n {
		panic(fmt.Sprintf("sequence: move from %d to %d of a list of %d", from, to, n))
	}
	t := &e.tree
	p, off, _ := t.seekNear(from)
	ref := t.ref(p)
	lv := t.spans[ref].id + causal.LV(off)
	e.reached = reached{}
	defer t.flush()
	whole := t.spans[ref].n == 1
	if whole { // A span of its own goes as it is.
		before, next := t.prior(p), t.after(p)
		left := none
		if t.valid(before) && t.valid(next) && t.spans[t.ref(before)].end() == t.spans[t.ref(next)].id {
			left = t.ref(before)
		}
		t.unlink(p)
		if left != none {
			e.joinNext(t.at(left))
		}
	} else {
		e.pull(p, off, 1)
	}
	p, off, joins := e.gap(to, lv)
	if joins {
		t.grow(p, 1)
		if whole {
			e.index.remove(lv)
			t.drop(ref)
		}
		e.joinNext(p)
		return
	}
	if !whole {
		ref = t.newSpan(span{id: lv, n: 1})
		e.index.insert(lv, ref)
	}
	e.put(p, off, ref)
}

// pull takes n elements from off on out of the span at p. Places taken earlier are no longer valid.
func (e *Elements) pull(p place, off, n int) {
	t := &e.tree
	ref := t.ref(p)
	if off+n < int(t.spans[ref].n) {
		e.split(p, off+n)
		p = t.at(ref)
	}
	if off > 0 {
		t.grow(p, int32(off)-t.spans[ref].n)
		return
	}
	e.index.remove(t.spans[ref].id)
	t.remove(p)
}

// joinNext makes the span at p and the one after it one if the names go on: what was taken out of a run is back, or what
// was put into it has gone.
func (e *Elements) joinNext(p place) {
	t := &e.tree
	q := t.after(p)
	if !t.valid(q) {
		return
	}
	s, next := &t.spans[t.ref(p)], t.spans[t.ref(q)]
	if s.end() == next.id {
		t.grow(p, next.n)
		e.index.remove(next.id)
		t.remove(q)
	}
}

// Delete removes n elements at pos, 0 <= pos <= pos+n <= Len(), and appends them in order to gone, the
// memory of which the caller may use again.
func (e *Elements) Delete(pos, n int, gone []causal.Span) []causal.Span {
	if pos < 0 || n < 0 || pos+n > e.Len() {
		panic(fmt.Sprintf("sequence: delete %d at %d of a list of %d", n, pos, e.Len()))
	}
	t := &e.tree
	e.reached = reached{}
	defer t.flush()
	first := len(gone)
	left := none // the span that may join what comes after those deleted
	for n > 0 {
		p, off, _ := t.seekNear(pos)
		if before := t.prior(p); len(gone) == first && off == 0 && t.valid(before) {
			left = t.ref(before)
		}
		s := t.spans[t.ref(p)]
		k := min(n, int(s.n)-off)
		from := s.id + causal.LV(off)
		if last := len(gone) - 1; last >= first && gone[last].End == from {
			gone[last].End += causal.LV(k)
		} else {
			gone = append(gone, causal.Span{Start: from, End: from + causal.LV(k)})
		}
		e.pull(p, off, k)
		n -= k
	}
	if left != none {
		e.joinNext(t.at(left))
	}
	return gone
}

// At returns the element at pos, 0 <= pos < Len().
func (e *Elements) At(pos int) causal.LV {
	e.expect(pos)
	p, off, _ := e.tree.seek(pos)
	return e.tree.spans[e.tree.ref(p)].id + causal.LV(off)
}

// Reach is At for whoever edits e, and is about to do so there: it spares looking for the place again.
func (e *Elements) Reach(pos int) causal.LV {
	e.expect(pos)
	p, off, _ := e.tree.seekNear(pos)
	lv := e.tree.spans[e.tree.ref(p)].id + causal.LV(off)
	e.reached = reached{lv, pos + 1}
	return lv
}

// expect panics unless there is an element at pos.
func (e *Elements) expect(pos int) {
	if pos < 0 || pos >= e.Len() {
		panic(fmt.Sprintf("sequence: element %d of a list of %d", pos, e.Len()))
	}
}

// Index returns the position of lv, and false if lv is no element of e.
func (e *Elements) Index(lv causal.LV) (int, bool) {
	if e.reached.end > 0 && e.reached.lv == lv {
		return e.reached.end - 1, true
	}
	t := &e.tree
	ref, ok := e.index.floor(lv)
	if !ok || lv >= t.spans[ref].end() {
		return 0, false
	}
	return t.seenBefore(t.at(ref)) + int(lv-t.spans[ref].id), true
}

// Spans calls yield with the elements in order, as spans of consecutive names,
// until yield returns false.
func (e *Elements) Spans(yield func(causal.Span) bool) {
	t := &e.tree
	if len(t.leaves) == 0 {
		return
	}
	for leaf := t.first; leaf != none; leaf = t.leaves[leaf].next {
		l := &t.leaves[leaf]
		for _, ref := range l.refs[:l.n] {
			s := &t.spans[ref]
			if !yield(causal.Span{Start: s.id, End: s.end()}) {
				return
			}
		}
	}
}
