package sequence

import (
	"math"
	"slices"
	"sort"

	"github.com/atollsync/atoll/crdt/causal"
)

// Ids of elements in a tracker: that of the op that inserted it, or, for what stood
// there when the tracker was made, a number from firstOld on.
const (
	atStart  causal.LV = math.MinInt // the left origin of what has none
	atEnd    causal.LV = math.MaxInt // the right origin of what has none
	firstOld causal.LV = math.MinInt + 1
)

// tracker is the walker's internal state: every element that stood at its base version or
// was inserted since, deleted or not, in document order, and for each whether it is
// there in the version some author saw (seen) and in the merged one.
//
// Invariant: the ops of the log in [base, done) have been applied. All of them, and all that come later, have all
// ops before base in their history. Those in off have been taken back from the seen version.
type tracker struct {
	base, done causal.LV
	tree       spanTree
	origins    []origin // by span ref
	deletes    []deleted
	moved      []movedElement
	later      func(a, b causal.LV) bool // orders moves; nil if there are none
	off        []causal.Span             // may cover ops of other sequences too
	// astray: the seen version is not that of the last op that was applied and that op.
	astray bool
}

// origin says where a span was inserted, and how it stands now. That of the second and
// further elements of a span follows from the span: each has the one before it as left origin and
// no right origin.
type origin struct {
	left, right causal.LV
	// seen is 0 if the seen version does not have the span, 1 if it shows it, and more if it has it but does not show it:
	// 1+d if it has d deletes of it.
	seen int32
	// moved is 1 + the place in the tracker's moved of the element whose slot this span is, one long, if ops of the
	// tracker moved it.
	moved int32
}

// deleted says which elements the delete ops lv, lv+1, ... deleted: id, id+1, ..., or for
// back those in descending order from id+n-1.
type deleted struct {
	lv   causal.LV
	id   causal.LV
	n    int
	back bool
}

func (d *deleted) end() causal.LV { return d.lv + causal.LV(d.n) }

// reset makes t track what comes after base, where the sequence has size elements.
func (t *tracker) reset(base causal.LV, size int) {
	t.base, t.done = base, base
	t.tree.reset()
	t.origins, t.deletes, t.moved, t.off = t.origins[:0], t.deletes[:0], t.moved[:0], nil
	t.astray = false
	if size > 0 {
		t.tree.insert(place{}, firstOld, size, width{size, size})
		t.addOrigin(origin{left: atStart, right: atEnd, seen: 1})
	}
}

// applied notes that op, the next of the log, has been applied.
func (t *tracker) applied(op *opRun) { t.done, t.astray = op.end(), false }

// addOrigin sets the origin of the span that was added to the tree last. Refs count up, since
// no span ever leaves a tracker.
func (t *tracker) addOrigin(o origin) { t.origins = append(t.origins, o) }

// split cuts the span at p at off, which lies inside it.
func (t *tracker) split(p place, off int) (int32, place) {
	left := t.tree.ref(p)
	ref, q := t.tree.split(p, off)
	o := t.origins[left]
	o.left, o.right = t.tree.spans[ref].id-1, atEnd
	t.addOrigin(o)
	return ref, q
}

// restate gives the span at p a new state in the seen version, and in the merged one.
func (t *tracker) restate(p place, seen int32, merged bool) {
	ref := t.tree.ref(p)
	t.origins[ref].seen = seen
	n, w := t.tree.spans[ref].n, t.tree.width(p)
	d := width{-w.seen, -w.merged}
	if seen == 1 {
		d.seen += n
	}
	if merged {
		d.merged += n
	}
	if d != (width{}) {
		t.tree.widen(p, d)
	}
}

// insert applies the insertion of the elements lv, lv+1, ... at pos of the seen
// version, and returns where that is in the merged one.
func (t *tracker) insert(g *causal.Graph, lv causal.LV, n, pos int) int {
	if pos == 0 {
		return t.integrate(g, lv, n, place{t.tree.first, 0}, atStart, 0)
	}
	p, off, merged := t.tree.seek(pos - 1)
	ref := t.tree.ref(p)
	s := &t.tree.spans[ref]
	off++
	left := s.id + causal.LV(off) - 1
	if t.tree.width(p).merged > 0 {
		merged += off
	}
	if off < s.n {
		right, q := t.split(p, off)
		t.add(q, lv, n, left, t.tree.spans[right].id)
		return merged
	}
	return t.integrate(g, lv, n, place{p.leaf, p.slot + 1}, left, merged)
}

// integrate inserts n elements from lv on after left, whose last element is right before p;
// merged counts what comes before p. Between there and the next element
// that the author saw there may be others, concurrent with the new ones. The order among them is
// that of YjsMod, and so of FugueMax.
func (t *tracker) integrate(g *causal.Graph, lv causal.LV, n int, p place, left causal.LV, merged int) int {
	at := t.tree.settle(p)
	end, right := at, atEnd
	for t.tree.valid(end) {
		ref := t.tree.ref(end)
		if o := &t.origins[ref]; o.seen > 0 {
			if o.left == left {
				right = t.tree.spans[ref].id
			}
			break
		}
		end = t.tree.after(end)
	}
	if at == end {
		if right != atEnd || !t.extend(p, lv, n, left) {
			t.add(p, lv, n, left, right)
		}
		return merged
	}
	// What stands last there decides it where it is no later than the new ones among its siblings, or
	// lies outside the right origin's left children: as when prepending, or in the order of dots.
	if p, ok := t.last(g, lv, at, end, left, right); ok {
		w := t.tree.total
		if t.tree.valid(end) {
			w = t.tree.before(end)
		}
		t.add(p, lv, n, left, right)
		return w.merged
	}
	total, scanning := merged, false
scan:
	for q := at; q != end; {
		ref := t.tree.ref(q)
		o := &t.origins[ref]
		if o.left == left {
			switch c := t.compareRight(o.right, right); {
			case c == 0 && g.CompareDots(lv, t.tree.spans[ref].id) < 0:
				break scan
			default:
				scanning = c < 0
			}
		} else if t.compareLeft(o.left, left) < 0 {
			break
		}
		total += t.tree.width(q).merged
		q.slot++
		if !scanning {
			p, merged = q, total
		}
		q = t.tree.settle(q)
	}
	t.add(p, lv, n, left, right)
	return merged
}

// last returns the place before end, and true if the span that stands there, between at and end, shows
// that elements from lv on with these origins come after all between at and end.
func (t *tracker) last(g *causal.Graph, lv causal.LV, at, end place, left, right causal.LV) (place, bool) {
	q := end
	if q.slot == 0 {
		q.leaf = t.tree.leaves[q.leaf].prev
		q.slot = int(t.tree.leaves[q.leaf].n)
	}
	p := q
	q.slot--
	ref := t.tree.ref(q)
	o := &t.origins[ref]
	switch {
	case o.right == right && o.left == left: // a sibling, the last one
		return p, g.CompareDots(t.tree.spans[ref].id, lv) < 0
	case right == atEnd:
		return p, false
	case o.right != atEnd:
		return p, o.right != right
	}
	return p, o.left == left // a child of the left origin, as the right origin itself
}

// add puts a new span at p.
func (t *tracker) add(p place, lv causal.LV, n int, left, right causal.LV) {
	t.tree.insert(p, lv, n, width{n, n})
	t.addOrigin(origin{left: left, right: right, seen: 1})
}

// extend makes n elements from lv on, which have no right origin, part of the span
// before p if they go on where that stops.
func (t *tracker) extend(p place, lv causal.LV, n int, left causal.LV) bool {
	if p.slot == 0 || left != lv-1 {
		return false
	}
	p.slot--
	ref := t.tree.ref(p)
	s, o := &t.tree.spans[ref], &t.origins[ref]
	if s.end() != lv || o.seen != 1 || o.moved != 0 || t.tree.width(p).merged == 0 {
		return false
	}
	s.n += n
	t.tree.widen(p, width{n, n})
	return true
}

// compareLeft orders left origins by document order.
func (t *tracker) compareLeft(a, b causal.LV) int {
	switch {
	case a == b:
		return 0
	case a == atStart:
		return -1
	case b == atStart:
		return 1
	}
	return t.compare(a, b)
}

// compareRight orders right origins by document order.
func (t *tracker) compareRight(a, b causal.LV) int {
	switch {
	case a == b:
		return 0
	case a == atEnd:
		return 1
	case b == atEnd:
		return -1
	}
	return t.compare(a, b)
}

func (t *tracker) compare(a, b causal.LV) int {
	ra, _ := t.tree.index.floor(a)
	rb, _ := t.tree.index.floor(b)
	if ra == rb {
		return int(a - b)
	}
	return t.tree.compare(ra, rb)
}

// delete applies the deletion of n elements at pos of the seen version by the ops from lv on, and adds
// what it does to the merged version to edits. pos+n must not be above the length of the seen version.
func (t *tracker) delete(op *opRun, edits []Edit) []Edit {
	pos, lv, before := op.pos, op.lv, len(edits)
	if op.kind == backDeleteOp {
		pos -= op.n - 1
		lv = op.end()
	}
	for left := op.n; left > 0; {
		p, off, merged := t.tree.seek(pos)
		if off > 0 {
			if t.tree.width(p).merged > 0 {
				merged += off
			}
			_, p = t.split(p, off)
		}
		ref := t.tree.ref(p)
		if left < t.tree.spans[ref].n {
			t.split(p, left)
			p = t.tree.at(ref)
		}
		s := t.tree.spans[ref]
		left -= s.n
		d := deleted{lv: lv, id: s.id, n: s.n}
		if op.kind == backDeleteOp {
			lv -= causal.LV(s.n)
			d.lv, d.back = lv, true
		} else {
			lv += causal.LV(s.n)
		}
		t.deletes = append(t.deletes, d)
		if m := t.origins[ref].moved; m != 0 {
			edits = t.deleteMoved(&t.moved[m-1], before, edits)
			continue
		}
		if t.tree.width(p).merged > 0 {
			edits = appendDelete(edits, before, merged, s.n)
		}
		t.restate(p, 2, false)
	}
	if op.kind == backDeleteOp {
		// The last of the elements went first.
		i := len(t.deletes)
		for i > 0 && t.deletes[i-1].lv >= op.lv {
			i--
		}
		slices.Reverse(t.deletes[i:])
	}
	return edits
}

// appendDelete adds a deletion to edits, as part of the last one if that is of the same op, whose edits start at from, and
// it goes on where that was.
func appendDelete(edits []Edit, from, pos, n int) []Edit {
	if k := len(edits); k > from && edits[k-1].Pos == pos {
		edits[k-1].Deleted += n
		return edits
	}
	return append(edits, Edit{Pos: pos, Deleted: n})
}

// move takes the seen version from one that lacks t.off to one that lacks off, and
// reports whether the two differ.
func (t *tracker) move(log *opLog, off []causal.Span) bool {
	if sameSpans(t.off, off) {
		return false
	}
	retreat, advance := causal.Subtract(off, t.off), causal.Subtract(t.off, off)
	t.off = off
	moved := false
	for i := len(retreat) - 1; i >= 0; i-- {
		moved = t.retreat(log, retreat[i]) || moved
	}
	for _, s := range advance {
		moved = t.advance(log, s) || moved
	}
	return moved
}

// retreat takes the ops in s back from the seen version, the last first, and reports
// whether there were any.
func (t *tracker) retreat(log *opLog, s causal.Span) bool {
	s = causal.Span{Start: max(s.Start, t.base), End: min(s.End, t.done)}
	if s.Start >= s.End {
		return false
	}
	first := log.from(s.Start)
	i := first
	for i < len(log.runs) && log.runs[i].lv < s.End {
		i++
	}
	moved := i > first
	for i--; i >= first; i-- {
		t.shift(log.runs[i].part(s), -1)
	}
	return moved
}

// advance puts the ops in s back into the seen version, and reports whether there were any.
func (t *tracker) advance(log *opLog, s causal.Span) bool {
	s = causal.Span{Start: max(s.Start, t.base), End: min(s.End, t.done)}
	if s.Start >= s.End {
		return false
	}
	moved := false
	for i := log.from(s.Start); i < len(log.runs) && log.runs[i].lv < s.End; i++ {
		t.shift(log.runs[i].part(s), 1)
		moved = true
	}
	return moved
}

// shift adds by to the state of what op inserted or deleted.
func (t *tracker) shift(op opRun, by int32) {
	switch op.kind {
	case insertOp:
		t.shiftIDs(op.lv, op.end(), by, false)
		return
	case moveOp:
		t.shiftSlot(op.lv, by)
		return
	}
	i := sort.Search(len(t.deletes), func(i int) bool { return t.deletes[i].end() > op.lv })
	for ; i < len(t.deletes) && t.deletes[i].lv < op.end(); i++ {
		d := &t.deletes[i]
		lo, hi := max(op.lv, d.lv)-d.lv, min(op.end(), d.end())-d.lv
		if d.back {
			lo, hi = causal.LV(d.n)-hi, causal.LV(d.n)-lo
		}
		t.shiftIDs(d.id+lo, d.id+hi, by, true)
	}
}

// shiftIDs adds by to the state of the elements [from, to), for a deletion of them or their insertion.
func (t *tracker) shiftIDs(from, to causal.LV, by int32, deletion bool) {
	for from < to {
		ref, _ := t.tree.index.floor(from)
		p := t.tree.at(ref)
		if off := int(from - t.tree.spans[ref].id); off > 0 {
			ref, p = t.split(p, off)
		}
		if to < t.tree.spans[ref].end() {
			t.split(p, int(to-from))
			p = t.tree.at(ref)
		}
		o := &t.origins[ref]
		switch {
		case o.moved == 0:
			t.restate(p, o.seen+by, t.tree.width(p).merged > 0)
		case deletion:
			m := &t.moved[o.moved-1]
			m.deletes += by
			t.show(m)
		default:
			t.shiftSlot(from, by)
		}
		from = t.tree.spans[ref].end()
	}
}
