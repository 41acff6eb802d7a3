package sequence

import (
	"math"
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// Ids of elements in a tracker: that of the op that inserted it, or, for what stood
// there when the tracker was made, a number from firstOld on.
const (
	atStart  causal.LV = math.MinInt // the left origin of what has none
	atEnd    causal.LV = math.MaxInt // the end of everything
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
	old        int // elements at base
	tree       spanTree
	origins    []origin    // by span ref
	lefts      []causal.LV // by span ref, the left origins
	steps      []step
	moved      []movedElement
	later      func(a, b causal.LV) bool // orders moves; nil if there are none
	off        []causal.Span             // may cover ops of other sequences too
	room       []causal.Span             // for finding out by how much it changes
	crowds     map[siblings]*crowd
	tip        tip
	ranges     *ranges // whose anchors hang on t; nil if there are none
	// astray: the seen version is not that of the last op that was applied and that op.
	astray bool
}

// origin says where a span was inserted, but for its left origin, and how it stands now. That of the second and
// further elements of a span follows from the span: each has the one before it as left origin and
// no right origin. Left origins, which only insertions ask for, are kept apart: toggling goes all over this.
type origin struct {
	// right is the span that starts with the right origin, none if there is none.
	right int32
	// seen is 0 if the seen version does not have the span, 1 if it shows it, and more if it has it but does not show it:
	// 1+d if it has d deletes of it.
	seen int32
	// moved is 1 + the place in the tracker's moved of the element whose slot this span is, one long, if ops of the
	// tracker moved it.
	moved int32
	// next is the span that was split off this one and has the ids that follow, none if there is none.
	next int32
}

// tip is where the last op stopped, if that was an insertion and the seen version is still that of its author: typing goes on there
// without a search.
type tip struct {
	lv          causal.LV // what comes next, 0 if there is no tip
	ref         int32
	pos, merged int
}

// reset makes t track what comes after base, where the sequence has size elements. About ops log runs are to come.
func (t *tracker) reset(base causal.LV, size, ops int) {
	t.base, t.done, t.old = base, base, size
	spans := ops + ops/2 // what one op is next to, others have mostly cut already
	t.tree.reset(spans)
	t.origins, t.lefts = emptied(t.origins, spans), emptied(t.lefts, spans)
	t.steps, t.moved, t.off, t.tip = emptied(t.steps, ops), t.moved[:0], nil, tip{}
	t.crowds = nil
	t.astray = false
	if size > 0 {
		t.tree.insert(place{}, firstOld, size, inSeen|inMerged|inKnown|inOld)
		t.addOrigin(atStart, origin{right: none, seen: 1, next: none})
	}
}

// applied notes that op, the next of the log, has been applied.
func (t *tracker) applied(op *opRun) {
	t.done, t.astray = op.end(), false
	if t.ranges != nil {
		t.ranges.hung.at = t.done
	}
}

// addOrigin sets the origins of the span that was added to the tree last. Refs count up, since
// no span ever leaves a tracker.
func (t *tracker) addOrigin(left causal.LV, o origin) {
	if len(t.origins) == cap(t.origins) {
		t.origins = longer(t.origins, t.tree.outlook)
	}
	t.origins = append(t.origins, o)
	if len(t.lefts) == cap(t.lefts) {
		t.lefts = longer(t.lefts, t.tree.outlook)
	}
	t.lefts = append(t.lefts, left)
}

// split cuts the span at p at off, which lies inside it.
func (t *tracker) split(p place, off int) (int32, place) {
	left := t.tree.ref(p)
	ref, q := t.tree.split(p, off)
	t.addOrigin(t.follow(left, ref))
	return ref, q
}

// follow notes that right has been split off left, and returns its origins.
func (t *tracker) follow(left, right int32) (causal.LV, origin) {
	o := t.origins[left]
	o.right = none
	t.origins[left].next = right
	return t.tree.spans[right].id - 1, o
}

// wedge puts n new elements from lv on into the span at p, off elements after its start, and returns their span.
func (t *tracker) wedge(p place, off int, lv causal.LV, n int) int32 {
	left := t.tree.ref(p)
	ref := t.tree.newSpan(span{id: lv, n: int32(n)})
	right := t.tree.wedge(p, off, ref, inSeen|inMerged|inKnown)
	before, o := t.follow(left, right)
	t.addOrigin(before, origin{right: right, seen: 1, next: none})
	t.addOrigin(before, o)
	return ref
}

// restate gives the span at p a new state in the seen version, and in the merged one.
func (t *tracker) restate(p place, seen int32, merged bool) {
	t.origins[t.tree.ref(p)].seen = seen
	c := t.tree.in(p)&inOld | countsOf(seen)
	if merged {
		c |= inMerged
	}
	t.tree.count(p, c)
}

// countsOf returns where the seen version counts the elements of a span whose state there is seen.
func countsOf(seen int32) counts {
	switch seen {
	case 0:
		return 0
	case 1:
		return inSeen | inKnown
	}
	return inKnown
}

// stands reports whether the span at p is there in the merged version.
func (t *tracker) stands(p place) bool { return t.tree.in(p)&inMerged != 0 }

// insert applies the insertion of the elements lv, lv+1, ..., or of the slot lv if kind is moveOp, at pos of the seen
// version, and returns where that is in the merged one and the span.
func (t *tracker) insert(g *causal.Graph, kind opKind, lv causal.LV, n, pos int) (int, int32) {
	if t.tip.lv == lv && t.tip.pos == pos && kind == insertOp && lv > 0 {
		t.lengthen(t.tip.ref, lv, n)
		merged := t.tip.merged
		t.tip.lv, t.tip.pos, t.tip.merged = lv+causal.LV(n), pos+n, merged+n
		if t.ranges != nil {
			t.ranges.inserted(t, merged, n, t.tip.ref)
		}
		return merged, t.tip.ref
	}
	merged, ref, extended := t.put(g, kind, lv, n, pos)
	if extended {
		t.lengthen(ref, lv, n)
	} else {
		t.addStep(kind, lv, n, ref)
	}
	t.tip = tip{lv + causal.LV(n), ref, pos + n, merged + n}
	if t.ranges != nil {
		t.ranges.inserted(t, merged, n, ref)
	}
	return merged, ref
}

// lengthen makes a span, which ends with what the last step inserted, n elements from lv on longer.
func (t *tracker) lengthen(ref int32, lv causal.LV, n int) {
	t.tree.grow(t.tree.at(ref), int32(n))
	if last := &t.steps[len(t.steps)-1]; last.ref == ref {
		last.lengthen(n)
	} else {
		// What the last step inserted has been cut. Were this part of it, the way here would lead through all the pieces.
		t.addStep(insertOp, lv, n, ref)
	}
}

// put finds the place of an insertion, and puts a new span there unless it extends the one before it.
func (t *tracker) put(g *causal.Graph, kind opKind, lv causal.LV, n, pos int) (merged int, ref int32, extended bool) {
	if pos == 0 {
		merged, ref = t.integrate(g, lv, n, place{t.tree.first, 0}, atStart, 0)
		return merged, ref, false
	}
	p, off, merged := t.tree.seekNear(pos - 1)
	ref = t.tree.ref(p)
	s := &t.tree.spans[ref]
	off++
	left := s.id + causal.LV(off) - 1
	if t.stands(p) {
		merged += off
	}
	if off < int(s.n) {
		return merged, t.wedge(p, off, lv, n), false
	}
	if kind == insertOp && left == lv-1 && s.end() == lv && t.origins[ref].moved == 0 && t.stands(p) {
		return merged, ref, true // it goes on where its author stopped
	}
	merged, ref = t.integrate(g, lv, n, place{p.leaf, p.slot + 1}, left, merged)
	return merged, ref, false
}

// integrate inserts n elements from lv on after left, whose last element is right before p;
// merged counts what comes before p. It returns what comes before the new span, and that.
// Between there and the next element
// that the author saw there may be others, concurrent with the new ones. The order among them is
// that of YjsMod, and so of FugueMax.
func (t *tracker) integrate(g *causal.Graph, lv causal.LV, n int, p place, left causal.LV, merged int) (int, int32) {
	at := t.tree.settle(p)
	end, right := t.tree.known(at), none
	if t.tree.valid(end) {
		if ref := t.tree.ref(end); t.lefts[ref] == left {
			right = ref
		}
	}
	if at == end {
		return merged, t.add(p, lv, n, left, right)
	}
	// What stands last there decides it where it is no later than the new ones among its siblings, or
	// lies outside the right origin's left children: as when prepending, or in the order of dots.
	among := t.crowds[siblings{left, right}]
	var own seat
	next := none // among, the sibling that comes after the new ones
	if among != nil {
		own = among.find(g, lv)
	}
	if q, ok := t.last(g, lv, at, end, left, right); ok {
		w := t.tree.total
		if t.tree.valid(end) {
			w = t.tree.before(end)
		}
		ref := t.add(q, lv, n, left, right)
		if among != nil {
			among.add(g, own, lv, ref)
		}
		return int(w.merged), ref
	}
	from, met, scanning := at, 0, false
	if among != nil {
		var prev int32
		if prev, next = among.around(own); prev != none {
			from = t.tree.at(prev)
			merged = int(t.tree.before(from).merged)
		}
	}
	total := merged
scan:
	for q := from; q != end; {
		ref := t.tree.ref(q)
		if t.lefts[ref] == left {
			switch c := t.compareRight(t.origins[ref].right, right); {
			case c == 0 && among != nil && ref != next:
				scanning = false
			case c == 0 && (among != nil || g.CompareDots(lv, t.tree.spans[ref].id) < 0):
				break scan
			default:
				scanning = c < 0
			}
			met++
		} else if t.compareLeft(t.lefts[ref], left) < 0 {
			break
		}
		if t.stands(q) {
			total += int(t.tree.spans[ref].n)
		}
		q.slot++
		if !scanning {
			p, merged = q, total
		}
		q = t.tree.settle(q)
	}
	if met > crowdFrom && among == nil {
		among = t.gather(g, at, end, left, right)
		own = among.find(g, lv)
	}
	ref := t.add(p, lv, n, left, right)
	if among != nil {
		among.add(g, own, lv, ref)
	}
	return merged, ref
}

// last returns the place before end, and true if the span that stands there, between at and end, shows
// that elements from lv on with these origins come after all between at and end.
func (t *tracker) last(g *causal.Graph, lv causal.LV, at, end place, left causal.LV, right int32) (place, bool) {
	q := end
	if q.slot == 0 {
		q.leaf = t.tree.leaves[q.leaf].prev
		q.slot = int(t.tree.leaves[q.leaf].n)
	}
	p := q
	q.slot--
	ref := t.tree.ref(q)
	among, its := t.lefts[ref] == left, t.origins[ref].right
	switch {
	case its == right && among: // a sibling, the last one
		return p, g.CompareDots(t.tree.spans[ref].id, lv) < 0
	case right == none:
		return p, false
	case its != none:
		return p, its != right
	}
	return p, among // a child of the left origin, as the right origin itself
}

// add puts a new span at p and returns it.
func (t *tracker) add(p place, lv causal.LV, n int, left causal.LV, right int32) int32 {
	ref, _ := t.tree.insert(p, lv, n, inSeen|inMerged|inKnown)
	t.addOrigin(left, origin{right: right, seen: 1, next: none})
	return ref
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
	ra, rb := t.refOf(a), t.refOf(b)
	if ra == rb {
		return int(a - b)
	}
	return t.tree.compare(ra, rb)
}

// compareRight orders right origins by document order.
func (t *tracker) compareRight(a, b int32) int {
	switch {
	case a == b:
		return 0
	case a == none:
		return 1
	case b == none:
		return -1
	}
	return t.tree.compare(a, b)
}

// delete applies the deletion of n elements at pos of the seen version by the ops from lv on, and adds
// what it does to the merged version to edits. pos+n must not be above the length of the seen version.
func (t *tracker) delete(op *opRun, edits []Edit) []Edit {
	t.tip = tip{}
	pos, lv, before := int(op.pos), op.lv, len(edits)
	if op.kind == backDeleteOp {
		pos -= int(op.n) - 1
		lv = op.end()
	}
	first := len(t.steps)
	p, off, merged := t.tree.seekNear(pos)
	for left := int(op.n); ; {
		if off > 0 {
			if t.stands(p) {
				merged += off
			}
			_, p = t.split(p, off)
		}
		ref := t.tree.ref(p)
		n := t.tree.size(p)
		if left < n {
			t.split(p, left)
			p, n = t.tree.at(ref), left
		}
		left -= n
		if op.kind == backDeleteOp {
			lv -= causal.LV(n)
			t.addStep(op.kind, lv, n, ref)
		} else {
			t.addStep(op.kind, lv, n, ref)
			lv += causal.LV(n)
		}
		next := false
		if m := t.origins[ref].moved; m != 0 {
			edits = t.deleteMoved(&t.moved[m-1], before, edits)
		} else {
			if t.stands(p) {
				edits = appendDelete(edits, before, merged, n)
				if t.ranges != nil {
					t.ranges.deleted(t, merged, n, ref)
				}
			}
			t.restate(p, 2, false)
			var between int
			if left > 0 {
				p, between, next = t.tree.nextSeen(p)
				off, merged = 0, merged+between
			}
		}
		if left == 0 {
			break
		}
		if !next {
			p, off, merged = t.tree.seekNear(pos)
		}
	}
	if op.kind == backDeleteOp {
		slices.Reverse(t.steps[first:]) // the last of the elements went first
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
