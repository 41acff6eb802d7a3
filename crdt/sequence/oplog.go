package sequence

import (
	"sort"

	"github.com/atollsync/atoll/crdt/causal"
)

// opKind says what the ops of an opRun do, and where each goes from the one before it.
type opKind uint8

const (
	insertOp     opKind = iota // at the next position: text typed forwards
	deleteOp                   // at the same position: the delete key
	backDeleteOp               // at the position before: the backspace key
	moveOp                     // a run has but one of these; see move
)

// opRun is a stretch of a sequence's ops with consecutive local versions, each
// having seen the one before it, that together read as one op.
type opRun struct {
	lv   causal.LV
	n    int
	pos  int // of the first op, as its author saw the sequence
	kind opKind
	// low is the first op of this sequence outside the history of these, lv if there is none.
	low causal.LV
	// size is the length of the merged sequence before these.
	size int
	// same: the first op's history has the ops of the run before this one in the log, and
	// all that those saw, and nothing else.
	same bool
}

func (r *opRun) end() causal.LV { return r.lv + causal.LV(r.n) }

// serial reports whether all ops of the sequence before r are in its history.
func (r *opRun) serial() bool { return r.low == r.lv }

// growth returns by how much the first n ops of r change the length if all have an effect: if r is
// serial, or n is where it was joined.
func (r *opRun) growth(n int) int {
	switch r.kind {
	case insertOp:
		return n
	case moveOp:
		return 0
	}
	return -n
}

// part returns the ops of r in s, which must overlap it.
func (r *opRun) part(s causal.Span) opRun {
	p := *r
	if off := int(s.Start - r.lv); off > 0 {
		p.lv, p.n = s.Start, r.n-off
		switch r.kind {
		case insertOp:
			p.pos += off
		case backDeleteOp:
			p.pos -= off
		}
		p.same = true
	}
	if s.End < p.end() {
		p.n = int(s.End - p.lv)
	}
	return p
}

// opLog holds the ops of a sequence in the order in which it learned of them.
type opLog []opRun

// from returns the number of the first run that ends after lv.
func (l opLog) from(lv causal.LV) int {
	n := len(l)
	if n == 0 || l[n-1].end() <= lv {
		return n
	}
	if n == 1 || l[n-2].end() <= lv {
		return n - 1
	}
	return sort.Search(n, func(i int) bool { return l[i].end() > lv })
}

// firstIn returns the first op that lies in one of spans, which are ascending, and false
// if there is none.
func (l opLog) firstIn(spans []causal.Span) (causal.LV, bool) {
	if len(l) == 0 {
		return 0, false
	}
	last := l[len(l)-1].end()
	for _, s := range spans {
		if s.Start >= last {
			break
		}
		if r := &l[l.from(s.Start)]; r.lv < s.End {
			return max(r.lv, s.Start), true
		}
	}
	return 0, false
}

// base returns the highest version not above low such that no op from it on is concurrent with one before it.
func (l opLog) base(low causal.LV) causal.LV {
	for i := len(l) - 1; i >= 0 && l[i].end() > low; i-- {
		if !l[i].serial() {
			low = min(low, l[i].low)
		}
	}
	return low
}

// sizeAt returns the length that the ops before base make, base being as the method base returns it.
func (l opLog) sizeAt(base causal.LV) int {
	r := &l[l.from(base)]
	if base <= r.lv {
		return r.size
	}
	return r.size + r.growth(int(base-r.lv))
}

// add appends an op, joining it to the last run where the two read as one.
func (l *opLog) add(op opRun) {
	if n := len(*l); n > 0 {
		r := &(*l)[n-1]
		if r.end() == op.lv && r.serial() == op.serial() && (op.serial() || op.same) && r.join(&op) {
			return
		}
	}
	*l = append(*l, op)
}

// join makes op part of r if it goes on where r stops.
func (r *opRun) join(op *opRun) bool {
	switch r.kind {
	case moveOp:
		return false
	case insertOp:
		if op.kind != insertOp || op.pos != r.pos+r.n {
			return false
		}
	default:
		// A run that is cut must know its length, so each op of it but the last has deleted
		// something for each of its dots.
		if op.kind == insertOp || op.kind == moveOp || op.size != r.size-r.n {
			return false
		}
		switch {
		case op.pos == r.pos && r.kind == deleteOp:
		case op.pos == r.pos-r.n && op.n == 1 && (r.kind == backDeleteOp || r.n == 1):
			r.kind = backDeleteOp
		default:
			return false
		}
	}
	r.n += op.n
	return true
}

// truncate forgets the ops from lv on and returns the length that the rest make.
func (l *opLog) truncate(lv causal.LV, size int) int {
	i := l.from(lv)
	if i == len(*l) {
		return size
	}
	r := &(*l)[i]
	size = r.size
	if r.lv < lv {
		r.n = int(lv - r.lv)
		size += r.growth(r.n)
		i++
	}
	*l = (*l)[:i]
	return size
}
