package sequence

import "github.com/atollsync/atoll/crdt/causal"

// Anchor is a place in the merged sequence that stays where it is while the sequence is edited: right before
// the element at i (2*i) or right after it (2*i+1). The place before everything is right after the
// element at -1, that after everything right before the one at Len(). Anchors compare as the places do.
//
// When the element is deleted, those who know of that insert to the left of it: they put what they insert right
// behind the element they see before it. So the anchor is then the place right before the next element.
type Anchor int

// Before returns the place right before the element at i.
func Before(i int) Anchor { return Anchor(2 * i) }

// After returns the place right after the element at i.
func After(i int) Anchor { return Anchor(2*i + 1) }

// Pos returns the number of elements before a.
func (a Anchor) Pos() int { return int(a+1) >> 1 }

// elem returns the position of the element at which a lies, -1 for the place before everything.
func (a Anchor) elem() int { return int(a >> 1) }

// side is 0 for the place right before an element and 1 for that right after it.
func (a Anchor) side() Anchor { return a & 1 }

// shift moves anchors on by what op did, an op that had seen all of the version the anchors are at.
func shift(anchors []Anchor, op *opRun) {
	n := Anchor(2 * op.n)
	switch op.kind {
	case insertOp:
		at := Before(int(op.pos))
		for i, a := range anchors {
			if a >= at {
				anchors[i] = a + n
			}
		}
	case deleteOp, backDeleteOp:
		from := Before(int(op.pos))
		if op.kind == backDeleteOp {
			from -= n - 2
		}
		for i, a := range anchors {
			if a >= from+n {
				anchors[i] = a - n
			} else if a > from {
				anchors[i] = from
			}
		}
	}
}

// anchored is a stretch of a sequence as the author of an op saw it.
type anchored struct {
	lv     causal.LV // the op
	low    causal.LV // the first op of the sequence it did not see, lv if there is none
	size   int       // the length of what it saw, if it saw everything
	pos, n int
	grow   growth
}

// growth says which ends of a stretch take in what is inserted right there.
type growth struct{ start, end bool }

func (o *anchored) serial() bool { return o.low == o.lv }

// cut returns where the stretch starts and ends in what its author saw, of which size is the length.
// The two are the same if nothing of it lies in there.
func (o *anchored) cut(size int) (from, to int) {
	from = min(max(o.pos, 0), size)
	return from, from + min(max(o.n, 0), size-from)
}

// ends returns the ends of the stretch in what its author saw. An empty stretch has both in one place.
func (o *anchored) ends(size int) (start, end Anchor) {
	from, to := o.cut(size)
	if from == to {
		return After(-1), After(-1)
	}
	start, end = Before(from), After(to-1)
	if o.grow.start {
		start = After(from - 1)
	}
	if o.grow.end {
		end = Before(to)
	}
	return start, end
}
