package sequence

import (
	"fmt"
	"math"

	"github.com/atollsync/atoll/crdt/causal"
)

// Edit is a change to the merged sequence: at Pos, Deleted elements go, and then Inserted
// others come, the local versions of which count up from LV: new ones, or one that was moved.
type Edit struct {
	Pos, Deleted, Inserted int
	LV                     causal.LV
}

// Sequence holds the ops of one list or text and merges concurrent ones. It knows
// how long the merged sequence is, not what is in it: its owner plays the Edits it returns on
// a Rope or on Elements. The zero value is an empty sequence. A Sequence
// is not safe for concurrent use.
//
// Ops come in the order of their local versions, each after all that it saw. The merged
// sequence depends on the set of ops alone, not on that order.
type Sequence struct {
	log    opLog
	length int
	// tracker is nil unless the last ops merged something; see retire.
	tracker *tracker
	spare   *tracker                  // a small one that was dropped, of which only the memory is of use
	moves   []move                    // by lv
	ranges  *ranges                   // nil if there are none
	asked   asked                     // see lowest
	later   func(a, b causal.LV) bool // see Move
}

// Len returns the number of elements of the merged sequence.
func (s *Sequence) Len() int { return s.length }

// IsInsert reports whether lv is an element that was inserted into s, deleted since or not.
func (s *Sequence) IsInsert(lv causal.LV) bool {
	r, ok := s.log.run(lv)
	return ok && r.lv <= lv && r.kind == insertOp
}

// Insert applies the insertion of n > 0 elements, named lv, lv+1, ..., at pos of the sequence that the
// op's author saw, and returns where they go, in one piece, in the merged sequence. h is the causal
// history of the change the op is part of; earlier ops of the same change count as seen. lv must be above that of any op
// s has. A pos beyond the end of what the author saw means that end, one below 0 the start.
//
// g must hold lv, unless no op of s is missing from h: then it is not asked, so that a
// change can be applied while it is being written.
func (s *Sequence) Insert(g *causal.Graph, h causal.History, lv causal.LV, pos, n int) (at int) {
	if n <= 0 {
		panic(fmt.Sprintf("sequence: insert %d elements", n))
	}
	if h.Complete() && s.log.typeOn(lv, pos, n) {
		s.length += n
		return pos
	}
	s.check(lv)
	op := opRun{lv: lv, low: lv, n: int32(n), size: int32(s.length), kind: insertOp}
	low, concurrent := s.lowest(h, lv)
	if !concurrent {
		at = min(max(pos, 0), s.length)
		op.pos = int32(at)
		s.log.add(op)
		s.length += n
		s.retire()
		return at
	}
	op.low = low
	t := s.open(g, low)
	t.astray = t.move(h.Missing()) || t.astray
	op.same = !t.astray
	pos = min(max(pos, 0), int(t.tree.total.seen))
	op.pos = int32(pos)
	at, _ = t.insert(g, insertOp, lv, n, pos)
	t.applied(&op)
	s.log.add(op)
	s.length += n
	return at
}

// Delete applies the deletion of n elements at pos of the sequence that the op's author
// saw, by the ops lv, lv+1, ..., one each. What lies outside that sequence is not deleted. What that does to
// the merged sequence is appended to edits, which the caller may use again. The rest is as for Insert.
func (s *Sequence) Delete(g *causal.Graph, h causal.History, lv causal.LV, pos, n int, edits []Edit) []Edit {
	if n == 1 && h.Complete() && s.log.goBack(lv, pos, 1) {
		s.length--
		return append(edits, Edit{Pos: pos, Deleted: 1})
	}
	s.check(lv)
	low, concurrent := s.lowest(h, lv)
	if !concurrent {
		if lv, pos, n = clamp(lv, pos, n, s.length); n > 0 {
			s.log.add(opRun{lv: lv, low: lv, n: int32(n), pos: int32(pos), size: int32(s.length), kind: deleteOp})
			s.length -= n
			s.retire()
			edits = append(edits, Edit{Pos: pos, Deleted: n})
		}
		return edits
	}
	t := s.open(g, low)
	t.astray = t.move(h.Missing()) || t.astray
	if lv, pos, n = clamp(lv, pos, n, int(t.tree.total.seen)); n <= 0 {
		return edits
	}
	op := opRun{lv: lv, low: low, n: int32(n), pos: int32(pos), size: int32(s.length), kind: deleteOp, same: !t.astray}
	from := len(edits)
	edits = t.delete(&op, edits)
	t.applied(&op)
	s.log.add(op)
	for _, e := range edits[from:] {
		s.length -= e.Deleted
	}
	return edits
}

// Backspace is Delete for n deletions of one element each, by the ops lv, lv+1, ...: the first at pos, and each of the others right
// before the one before it.
func (s *Sequence) Backspace(g *causal.Graph, h causal.History, lv causal.LV, pos, n int, edits []Edit) []Edit {
	for n > 0 {
		if h.Complete() && s.log.goBack(lv, pos, n) {
			s.length -= n
			return append(edits, Edit{Pos: pos - n + 1, Deleted: n})
		}
		edits = s.Delete(g, h, lv, pos, 1, edits)
		lv, pos, n = lv+1, pos-1, n-1
	}
	return edits
}

// asked is a question to opLog.firstIn and its answer.
type asked struct {
	spans []causal.Span
	low   causal.LV
	some  bool
}

// lowest returns the first op of s that h lacks, and false if there is none, for an op at lv. The ops of a change, and those of an author who
// goes on, lack the same ones, which are not looked for again.
func (s *Sequence) lowest(h causal.History, lv causal.LV) (causal.LV, bool) {
	spans := h.Missing()
	n := len(spans)
	if n == 0 {
		return 0, false
	}
	if a := &s.asked; n == len(a.spans) && &spans[0] == &a.spans[0] {
		return a.low, a.some
	}
	low, some := s.log.firstIn(spans)
	if spans[n-1].End <= lv { // so nothing comes that would change the answer
		s.asked = asked{spans, low, some}
	}
	return low, some
}

// check panics unless lv is above all that s has: out of order, an op could only be misread.
func (s *Sequence) check(lv causal.LV) {
	if end := s.log.end(); lv < end {
		panic(fmt.Sprintf("sequence: op %d after op %d", lv, end-1))
	}
}

// clamp cuts a deletion of n elements at pos, by the ops from lv on, to what lies in a sequence of the given length. The n that is
// left is not above 0 if that is nothing.
func clamp(lv causal.LV, pos, n, length int) (causal.LV, int, int) {
	if pos < 0 {
		lv, pos, n = lv-causal.LV(pos), 0, n+pos
	}
	return lv, pos, min(n, length-pos)
}

// Truncate forgets the ops from lv on, which must be the start of an op, and their ranges: those of a change that is
// given up. Len is then as it was before them. The owner restores the content.
func (s *Sequence) Truncate(lv causal.LV) {
	s.length = s.log.truncate(lv, s.length)
	s.asked = asked{}
	s.moves = s.moves[:s.moveIndex(lv)]
	if s.tracker != nil && s.tracker.done > lv {
		s.tracker = nil
	}
	if s.ranges != nil {
		s.ranges.truncate(s, lv)
	}
}

// Rest frees the memory that s keeps in order to go on, and packs its log. The next op that is
// concurrent with others builds again what it needs.
func (s *Sequence) Rest() {
	if s.ranges != nil {
		s.ranges.rest(s)
	}
	s.tracker, s.spare, s.asked = nil, nil, asked{}
	s.log.cool()
}

// open returns a tracker that has all ops of s, with a base at which all of those
// before low were seen by everything since.
func (s *Sequence) open(g *causal.Graph, low causal.LV) *tracker {
	t := s.tracker
	if t == nil {
		t, s.spare = s.spare, nil
		if t == nil {
			t = new(tracker)
		}
	} else if low >= t.base && (low < t.done || !s.stale(t)) {
		if s.ranges != nil {
			s.ranges.forget(low)
		}
		s.expect(t, g)
		s.replay(g, &s.log, t, math.MaxInt)
		return t
	}
	base := s.base(low)
	// What comes in pieces may well be as long as what it is concurrent with: then nothing needs to grow.
	ahead := min(max(s.outlook(base, g).ahead(), 2), 8)
	s.log.warmFor(base, ahead)
	if s.ranges != nil {
		s.ranges.goTo(s, g, t, base)
	}
	s.tracker = t
	s.begin(t, &s.log, base, ahead, s.ranges)
	s.expect(t, g)
	s.replay(g, &s.log, t, math.MaxInt)
	return t
}

// begin makes t track what comes after base in log, which is to become ahead times as long from there on, where anchors of r are as they
// are, if there is an r.
func (s *Sequence) begin(t *tracker, log *opLog, base causal.LV, ahead float64, r *ranges) {
	t.reset(base, log.sizeAt(base), int(ahead*float64(len(log.runs)-log.from(base))))
	if t.ranges = r; r != nil {
		r.hang(base)
	}
}

// expect tells t, and the log, how much of g is still to come, which holds a batch before the first op of that is applied.
func (s *Sequence) expect(t *tracker, g *causal.Graph) {
	t.tree.outlook = s.outlook(t.base, g)
	if len(s.log.runs) == cap(s.log.runs) {
		s.log.runs = longer(s.log.runs, t.tree.outlook)
	}
}

// outlook says how many of the ops of g from base on s has, if all of them are its own.
func (s *Sequence) outlook(base causal.LV, g *causal.Graph) outlook {
	return outlook{of: g.Len() - base, done: s.log.end() - base}
}

// stale reports whether to start anew costs no more than to keep t: the ops that t does
// not have yet, all serial, are not few compared to those it has. A few there may always be: while people type at the same
// time, what comes next is mostly concurrent with what t has too, and to start anew is to go back to where they began.
func (s *Sequence) stale(t *tracker) bool {
	return 8*(len(s.log.runs)-s.log.from(t.done)) > t.tree.len()+64
}

// retire drops the tracker once so many serial ops came after it that building
// another is paid for. Without one, a log that grows is packed behind its last runs.
func (s *Sequence) retire() {
	switch {
	case s.tracker != nil:
		if s.stale(s.tracker) {
			if s.ranges != nil {
				s.ranges.takeDown(&s.log)
			}
			if s.tracker.tree.len() <= spareLen {
				s.spare = s.tracker // people who type at the same time need one again and again
			}
			s.tracker = nil
		}
	case len(s.log.runs) >= 2*coldCap:
		s.log.coolFirst(coldCap)
	}
}

// spareLen is the most spans of a tracker whose memory is kept.
const spareLen = 1 << 8

// replay applies to t the ops before end that it does not have yet, from log: that of s, warmed from t's base on. All of these
// must have all ops before that base in their history: see opLog.base.
func (s *Sequence) replay(g *causal.Graph, log *opLog, t *tracker, end causal.LV) {
	if s.later != nil {
		t.later = s.later
	}
	var edits []Edit
	for i := log.from(t.done); i < len(log.runs) && max(log.runs[i].lv, t.done) < end; i++ {
		r := &log.runs[i]
		if t.ranges != nil {
			t.ranges.hangBefore(g, t, r.lv)
		}
		op := r.part(causal.Span{Start: t.done, End: end})
		switch {
		case r.serial():
			t.move(nil)
		case !op.same && i > 0:
			gone, come := g.Diff([]causal.LV{log.before(i)}, g.Parents(op.lv))
			t.move(causal.Subtract(causal.Union(t.off, gone), come))
		}
		switch op.kind {
		case insertOp:
			t.insert(g, insertOp, op.lv, int(op.n), int(op.pos))
		case moveOp:
			edits = t.relocate(g, &op, &s.moves[s.moveIndex(op.lv)], int(op.pos), edits[:0])
		default:
			edits = t.delete(&op, edits[:0])
		}
		t.applied(&op)
	}
	if t.ranges != nil {
		t.ranges.hangBefore(g, t, end)
	}
}
