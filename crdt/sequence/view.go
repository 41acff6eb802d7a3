package sequence

import (
	"math"
	"sort"

	"github.com/atollsync/atoll/crdt/causal"
)

// What is asked of a Sequence about versions it has left behind is answered by replaying its log into
// a tracker of the asker's own, from the highest version below all that was asked for, and moving that
// to and fro. So it costs what happened since, needs nothing to be kept beside the log, and any number of
// readers may ask at once.
//
// A version is told by what it lacks: the spans of ops, ascending, that are not in it but in what the sequence
// has merged, as causal.History.Missing gives them. Ops of other sequences in them are passed over.

// Resolve returns where in the merged sequence a position between two elements of another version is now. right says to
// which of the two it belongs: the one after it, else the one before it. It stays next to that one wherever
// others insert. Where it was deleted it is the place where it stood, and what is inserted
// there later comes before that. At the end, to the right, it is the end, and at the start, to the left, the start. A
// position outside the version means the nearest in it.
func (s *Sequence) Resolve(g *causal.Graph, lacks []causal.Span, pos int, right bool) int {
	pos = max(pos, 0)
	low, some := s.log.firstIn(lacks)
	if !some {
		return min(pos, s.length)
	}
	if now, ok := s.follow(low, pos, right); ok {
		return now
	}
	t := s.replayed(g, low, math.MaxInt)
	t.move(lacks)
	if pos = min(pos, int(t.tree.total.seen)); !right {
		pos--
	}
	switch pos {
	case -1:
		return 0
	case int(t.tree.total.seen):
		return s.length
	}
	p, off, now := t.tree.seek(pos)
	if !t.stands(p) {
		return now
	}
	if !right {
		off++
	}
	return now + off
}

// follow takes a position of the version that ended before low through the ops since, if all of
// them are serial, and reports whether they are. See Resolve.
func (s *Sequence) follow(low causal.LV, pos int, right bool) (int, bool) {
	log := s.log.warmed(low)
	l := log.runs
	first := log.from(low)
	for i := first; i < len(l); i++ {
		if !l[i].serial() {
			return 0, false
		}
	}
	pos = min(pos, log.sizeAt(low))
	// at is the element that the position belongs to, and once that is deleted the position.
	at, deleted := pos, false
	if !right {
		at--
	}
	for i := first; i < len(l); i++ {
		op := l[i].part(causal.Span{Start: low, End: l[i].end()})
		to, n, inserted := int(op.pos), int(op.n), 0
		from := to
		switch op.kind {
		case insertOp:
			n, inserted = 0, n
		case backDeleteOp:
			from -= n - 1
		case moveOp:
			if from = s.moves[s.moveIndex(op.lv)].from; from < 0 {
				continue
			}
			inserted = 1
		}
		switch {
		case at >= from+n:
			at -= n
		case at >= from:
			at, deleted = from, true
		}
		// What goes to where a deleted element stood goes before it: right after the one on its left.
		if to <= at {
			at += inserted
		}
	}
	if !right && !deleted {
		at++
	}
	return at, true
}

// Stretch is N elements that stand next to each other, deleted or not, named LV, LV+1, ... by the ops that
// inserted them, and are alike in two versions. What stood before all that was asked for has no
// name, and an LV below 0. An element that was moved is in a stretch of its own at each place where it ever stood.
type Stretch struct {
	LV   causal.LV
	N    int
	A, B bool // the version shows them
}

// Compare calls yield with all elements that two versions differ in and those between and around them, in
// document order, until yield returns false. If whole all elements there ever were are given, and have names; the cost is then that of the
// whole log, and otherwise of what happened since the versions were one. That the versions are
// closed, and hold whatever their ops saw, is not required: an op that is lacked is as if it had not been made, but that
// later ones keep their places.
func (s *Sequence) Compare(g *causal.Graph, a, b []causal.Span, whole bool, yield func(Stretch) bool) {
	if s.log.empty() {
		return
	}
	end := s.log.end()
	low := end
	for _, lacks := range [2][]causal.Span{a, b} {
		if lv, ok := s.log.firstIn(lacks); ok {
			low = min(low, lv)
		}
	}
	switch {
	case whole:
		first, _ := s.log.run(0)
		low = first.lv
	case low == end && s.length == 0:
		return
	case low == end:
		yield(Stretch{LV: firstOld, N: s.length, A: true, B: true})
		return
	}
	if !whole && len(a) > 0 && len(b) > 0 && a[len(a)-1].End >= end && b[len(b)-1].End >= end {
		end = max(a[len(a)-1].Start, b[len(b)-1].Start) // what comes after is in neither
	}
	t := s.replayed(g, low, end)
	t.move(a)
	as := t.cells(a, nil)
	t.move(b)
	bs := t.cells(b, nil)
	// The same elements in the same order, but perhaps cut in other places.
	for i, j := 0, 0; i < len(as); {
		x, y := &as[i], &bs[j]
		n := min(x.n, y.n)
		if !yield(Stretch{LV: x.id, N: n, A: x.shown, B: y.shown}) {
			return
		}
		x.id, x.n = x.id+causal.LV(n), x.n-n
		y.id, y.n = y.id+causal.LV(n), y.n-n
		if x.n == 0 {
			i++
		}
		if y.n == 0 {
			j++
		}
	}
}

// replayed returns a new tracker of the ops of s before end, with a base not above low, which must be an op of s. Nothing of s
// changes.
func (s *Sequence) replayed(g *causal.Graph, low, end causal.LV) *tracker {
	t := new(tracker)
	base := s.log.base(low)
	log := s.log.warmed(base)
	t.reset(base, log.sizeAt(base), len(log.runs)-log.from(base))
	s.replay(g, &log, t, end)
	return t
}

// cell is n elements of a tracker, and whether a version shows them.
type cell struct {
	id    causal.LV
	n     int
	shown bool
}

// cells appends all elements of t in document order. lacks is what the seen version lacks.
func (t *tracker) cells(lacks []causal.Span, out []cell) []cell {
	joins := false // the next to the last one
	for leaf := t.tree.first; leaf != none; leaf = t.tree.leaves[leaf].next {
		l := &t.tree.leaves[leaf]
		for _, ref := range l.refs[:l.n] {
			span := &t.tree.spans[ref]
			o := &t.origins[ref]
			c := cell{id: span.id, n: int(span.n), shown: o.seen == 1 && !contains(lacks, span.id)}
			if o.moved != 0 {
				c.id = t.moved[o.moved-1].slots[0].id
			} else if k := len(out) - 1; joins && out[k].shown == c.shown && out[k].id+causal.LV(out[k].n) == c.id {
				out[k].n += c.n
				continue
			}
			out = append(out, c)
			joins = o.moved == 0
		}
	}
	return out
}

// contains reports whether lv lies in one of spans, which are ascending.
func contains(spans []causal.Span, lv causal.LV) bool {
	i := sort.Search(len(spans), func(i int) bool { return spans[i].End > lv })
	return i < len(spans) && spans[i].Start <= lv
}
