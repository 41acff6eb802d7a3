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
	lv causal.LV
	// low is the first op of this sequence outside the history of these, lv if there is none.
	low causal.LV
	n   int32
	pos int32 // of the first op, as its author saw the sequence
	// size is the length of the merged sequence before these.
	size int32
	kind opKind
	// same: the first op's history has the ops of the run before this one in the log, and
	// all that those saw, and nothing else.
	same bool
}

func (r *opRun) end() causal.LV { return r.lv + causal.LV(r.n) }

// serial reports whether all ops of the sequence before r are in its history.
func (r *opRun) serial() bool { return r.low == r.lv }

// growth returns by how much the first n ops of r change the length if all have an effect: if r is
// serial, or n is where it was joined.
func (r *opRun) growth(n int32) int32 {
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
	if off := int32(max(s.Start-r.lv, 0)); off > 0 {
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
		p.n = int32(s.End - p.lv)
	}
	return p
}

// opLog holds the ops of a sequence in the order in which it learned of them.
//
// Invariant: cold ends before runs begins, and is in order.
type opLog struct {
	cold []coldRuns // those far back, packed
	runs []opRun
}

// empty reports whether there are no ops.
func (l *opLog) empty() bool { return len(l.runs) == 0 && len(l.cold) == 0 }

// end returns the local version after the last op, 0 if there is none.
func (l *opLog) end() causal.LV {
	if n := len(l.runs); n > 0 {
		return l.runs[n-1].end()
	}
	return l.coldEnd()
}

func (l *opLog) coldEnd() causal.LV {
	if n := len(l.cold); n > 0 {
		return l.cold[n-1].end
	}
	return 0
}

// before returns the last op before the i-th of runs.
func (l *opLog) before(i int) causal.LV {
	if i > 0 {
		return l.runs[i-1].end() - 1
	}
	return l.coldEnd() - 1
}

// from returns the index in runs of the first that ends after lv.
func (l *opLog) from(lv causal.LV) int {
	n := len(l.runs)
	if n == 0 || l.runs[n-1].end() <= lv {
		return n
	}
	if n == 1 || l.runs[n-2].end() <= lv {
		return n - 1
	}
	return sort.Search(n, func(i int) bool { return l.runs[i].end() > lv })
}

// run returns the first run that ends after lv, and false if there is none.
func (l *opLog) run(lv causal.LV) (opRun, bool) {
	if lv < l.coldEnd() {
		c := &l.cold[sort.Search(len(l.cold), func(i int) bool { return l.cold[i].end > lv })]
		runs := c.unpack(nil)
		return runs[sort.Search(len(runs), func(i int) bool { return runs[i].end() > lv })], true
	}
	if i := l.from(lv); i < len(l.runs) {
		return l.runs[i], true
	}
	return opRun{}, false
}

// firstIn returns the first op that lies in one of spans, which are ascending, and false
// if there is none.
func (l *opLog) firstIn(spans []causal.Span) (causal.LV, bool) {
	if len(spans) == 0 {
		return 0, false
	}
	last := l.end()
	for _, s := range spans {
		if s.Start >= last {
			break
		}
		if r, ok := l.run(s.Start); ok && r.lv < s.End {
			return max(r.lv, s.Start), true
		}
	}
	return 0, false
}

// base returns the highest version not above low such that no op from it on is concurrent with one before it.
func (l *opLog) base(low causal.LV) causal.LV {
	low = baseAmong(l.runs, low)
	for i := len(l.cold) - 1; i >= 0 && l.cold[i].end > low; i-- {
		if l.cold[i].low < l.cold[i].end {
			low = baseAmong(l.cold[i].unpack(nil), low)
		}
	}
	return low
}

func baseAmong(runs []opRun, low causal.LV) causal.LV {
	for i := len(runs) - 1; i >= 0 && runs[i].end() > low; i-- {
		if !runs[i].serial() {
			low = min(low, runs[i].low)
		}
	}
	return low
}

// sizeAt returns the length that the ops before base make, base being as the method base returns it.
func (l *opLog) sizeAt(base causal.LV) int {
	r, _ := l.run(base)
	if base <= r.lv {
		return int(r.size)
	}
	return int(r.size + r.growth(int32(base-r.lv)))
}

// warm unpacks what is needed for runs to hold all ops from lv on.
func (l *opLog) warm(lv causal.LV) { l.warmFor(lv, 1) }

// warmFor is warm with room for the log to become so many times as long as it is from lv on.
func (l *opLog) warmFor(lv causal.LV, ahead float64) {
	if lv < l.coldEnd() {
		*l = l.unpacked(lv, ahead)
	}
}

// warmed returns a log of which runs holds all ops from lv on. l stays as it is, and nothing may be added to what is returned
// while it is in use.
func (l *opLog) warmed(lv causal.LV) opLog {
	if lv >= l.coldEnd() {
		return *l
	}
	return l.unpacked(lv, 1)
}

// unpacked is warmed where some of that is packed, with room as for warmFor.
func (l *opLog) unpacked(lv causal.LV, ahead float64) opLog {
	keep := sort.Search(len(l.cold), func(i int) bool { return l.cold[i].end > lv })
	n := len(l.runs)
	for i := keep; i < len(l.cold); i++ {
		n += l.cold[i].n
	}
	runs := make([]opRun, 0, int(ahead*float64(n)))
	for i := keep; i < len(l.cold); i++ {
		runs = l.cold[i].unpack(runs)
	}
	return opLog{cold: l.cold[:keep:keep], runs: append(runs, l.runs...)}
}

// cool packs everything.
func (l *opLog) cool() {
	if n := len(l.cold); n > 0 && l.cold[n-1].n < coldCap {
		l.warm(l.cold[n-1].first)
	}
	for len(l.runs) > 0 {
		l.coolFirst(min(coldCap, len(l.runs)))
	}
	l.runs = nil
}

// coolFirst packs the first n of runs.
func (l *opLog) coolFirst(n int) {
	l.cold = append(l.cold, packRuns(l.runs[:n]))
	l.runs = append(l.runs[:0], l.runs[n:]...)
}

// last returns the last run if serial ops of the given kind that start at lv follow it, nil if not.
func (l *opLog) last(kind opKind, lv causal.LV) *opRun {
	if len(l.runs) == 0 {
		return nil
	}
	r := &l.runs[len(l.runs)-1]
	if r.kind != kind || r.lv+causal.LV(r.n) != lv || r.low != r.lv {
		return nil
	}
	return r
}

// typeOn makes n more insertions at pos, by the ops from lv on, part of the last run if they go on where that stops, without a look at
// anything else. It misses what add would join in rarer cases.
func (l *opLog) typeOn(lv causal.LV, pos, n int) bool {
	r := l.last(insertOp, lv)
	if r == nil || pos != int(r.pos+r.n) {
		return false
	}
	r.n += int32(n)
	return true
}

// goBack is typeOn for n deletions of one element each, the first at pos and each of the others right before the one before it.
func (l *opLog) goBack(lv causal.LV, pos, n int) bool {
	r := l.last(backDeleteOp, lv)
	if r == nil || pos != int(r.pos-r.n) || pos-n < -1 {
		return false
	}
	r.n += int32(n)
	return true
}

// add appends an op, joining it to the last run where the two read as one.
func (l *opLog) add(op opRun) {
	if n := len(l.runs); n > 0 {
		r := &l.runs[n-1]
		if r.end() == op.lv && r.serial() == op.serial() && (op.serial() || op.same) && r.join(&op) {
			return
		}
	}
	if len(l.runs) == cap(l.runs) {
		l.runs = longer(l.runs, outlook{})
	}
	l.runs = append(l.runs, op)
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
	l.warm(lv)
	i := l.from(lv)
	if i == len(l.runs) {
		return size
	}
	r := &l.runs[i]
	size = int(r.size)
	if r.lv < lv {
		r.n = int32(lv - r.lv)
		size += int(r.growth(r.n))
		i++
	}
	l.runs = l.runs[:i]
	return size
}
