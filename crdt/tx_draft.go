package crdt

import (
	"fmt"
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// draft is the change that a transaction writes, and what it takes to write it. A State has one, whose memory
// all its transactions use.
//
// Ops on the text at the State's spot, and those on lists of which nobody asks what they do, are put off: they wait until something is read, an op
// goes elsewhere, or the transaction commits. So those that go on where the last one stopped can join it,
// those of a transaction that comes to nothing cost nothing, and what is played at Commit, when nothing
// can fail any more, need not be journaled.
type draft struct {
	n       uint64 // how many there were
	err     error  // that sticks; ErrTx once the transaction is over
	time    int64
	ops     []*Op // as written, but for those put off, which come after
	played  int   // of ops: the State shows these
	shown   int   // dots of those
	journal journal
	first   Op      // the first of ops: most changes have but one
	last    Path    // of the op written last
	steps   Path    // room for finding out the next
	put     []putOp // the ops put off
	text    string  // what they insert, while it is but one
	typed   []byte  // the same, once there are others
	textLen int     // length of the text at the spot with them

	room changeRoom // changes
	// Where the last change ends that the pass's actor committed, -1 if another transaction began since that did not go on from
	// it, and the number of their next op.
	end  causal.LV
	next causal.Seq
	// alone: this change goes on from that one, and neither the State nor its graph holds anything since.
	alone bool
}

// putOp is a TextInsert or TextDelete of n code points that is put off.
type putOp struct {
	code     Code
	pos, n   int
	from, to int // of the draft's typed: what it inserts
}

// maxRoom is the number of ops, and of bytes they insert, for which a draft keeps room between transactions.
const maxRoom = 1 << 10

// wrote takes notice of a change that was committed.
func (d *draft) wrote(a *Accepted) {
	d.end, d.next = a.Span.End, a.Seq+causal.Seq(a.Span.Len())
}

// goesOn reports whether a change of actor is alone. If so the pass's actor is that one already.
func (d *draft) goesOn(s *State, actor *causal.Actor) bool {
	heads := s.applied.Heads()
	return len(heads) == 1 && heads[0] == d.end-1 && s.graph.Len() == d.end && s.pass.actor.Nonce == actor.Nonce && s.pass.actor.Device == actor.Device
}

// goElsewhere begins a change of actor that is not alone.
func (d *draft) goElsewhere(s *State, actor *causal.Actor) error {
	ps := &s.pass
	d.end = -1
	ps.actor = *actor
	last := s.graph.Last(*actor)
	ps.first = last + 1
	if lv, ok := s.graph.LV(causal.Dot{Actor: *actor, Seq: last}); ok && !s.graph.Contains(s.Heads(), lv) {
		return fmt.Errorf("crdt: begin at %v: %s has written beyond it", s.Version(), *actor)
	}
	if s.graph.Forked() && len(s.graph.Branches(*actor)) > 1 {
		return ErrForked
	}
	return nil
}

// reset forgets the change.
func (d *draft) reset() {
	d.put, d.text, d.typed = d.put[:0], "", d.typed[:0]
	if len(d.ops) > 0 || cap(d.put) > maxRoom || cap(d.typed) > maxRoom {
		d.clear()
	}
}

// clear is reset for a change of more than a few ops put off.
func (d *draft) clear() {
	if cap(d.put) > maxRoom || cap(d.typed) > maxRoom {
		d.put, d.typed = nil, nil
	}
	if len(d.ops) > 0 {
		d.played, d.shown, d.first = 0, 0, Op{}
		d.ops, d.journal.undos = emptied(d.ops), emptied(d.journal.undos)
	}
}

// emptied returns s without its elements, to be used again unless it is large.
func emptied[T any](s []T) []T {
	if cap(s) > maxRoom {
		return nil
	}
	clear(s)
	return s[:0]
}

// isTyping reports whether the change is what most are: edits of the text at the spot alone, of which nobody asks what
// else happens. It may be that a few could not be put off: those that made the text stand.
func (d *draft) isTyping(s *State) bool {
	if len(d.put) == 0 || len(d.ops) > 4 || s.spot.enc == nil {
		return false
	}
	if s.pass.trace != nil {
		return len(d.ops) == 0 && s.spot.isPlain(s)
	}
	for _, op := range d.ops {
		if !op.isTyping() || !s.spot.is(op.Path) {
			return false
		}
	}
	return true
}

// commitTyping is Commit for such a change. There is little left to be asked about it, so it takes a fraction of the time. On error
// nothing has changed.
func (d *draft) commitTyping(s *State) (Accepted, error) {
	ps := &s.pass
	typed := d.inserted()
	ch := d.room.typing(&s.spot, d, typed)
	ch.Actor, ch.Seq, ch.Time = ps.actor, ps.first, d.time
	switch {
	case d.alone:
	case s.graph.Forked():
		ch.Refs, ch.Branches = s.chains.refsAt(ps.actor, s.Heads(), nil)
	default:
		ch.Refs = d.room.refs(s, ps.actor)
	}
	if !ch.isShort() {
		if err := ch.Validate(); err != nil {
			return Accepted{}, err
		}
	}
	// Nothing below can fail.
	ps.journaled = false
	ps.lv = ps.base + causal.LV(d.shown)
	for i := range d.put {
		op := &d.put[i]
		if op.code == CodeTextInsert {
			s.spot.insert(ps, op.pos, op.n, typed[op.from:op.to])
		} else {
			s.spot.delete(ps, op.pos, op.n)
		}
		ps.lv += causal.LV(op.n)
	}
	var a Accepted
	if d.alone {
		a = s.chains.authorNext(ch)
	} else {
		a = s.chains.author(ch, s.Heads())
	}
	s.applied.Take(s.graph, a.Span)
	d.wrote(&a)
	return a, nil
}

// isShort reports whether c, made by a transaction on one slice, is surely valid.
func (c *Change) isShort() bool {
	g := &c.Groups[0]
	return len(g.Ops) <= inlineOps && len(c.Refs) <= 8 && c.Branches == nil && g.Len < 1<<31 && c.Seq < MaxSeq-1<<31
}

// do applies an op and returns its first local version.
func (tx *Tx) do(op *Op) causal.LV {
	tx.s.play()
	tx.s.draft.add(op)
	return tx.s.playNext()
}

// doLater is do for those who need not know. The op is put off: if it is the last of its transaction, and of most it is
// the only one, nothing can fail any more when it is played, so that it need not be journaled.
func (tx *Tx) doLater(op *Op) {
	if tx.s.pass.trace != nil {
		tx.do(op) // what it does is looked at
		return
	}
	tx.s.play()
	tx.s.spot.leave(op)
	tx.s.draft.add(op)
}

// add appends a copy of op to those written.
func (d *draft) add(op *Op) {
	if len(d.ops) == 0 {
		d.first = *op
		d.ops = append(d.ops, &d.first)
		return
	}
	more := *op
	d.ops = append(d.ops, &more)
}

// share returns a path that is the same as path and stays so: that of the op before, if it led there too.
func (d *draft) share(path Path) Path {
	if !slices.Equal(d.last, path) {
		d.last = slices.Clip(slices.Clone(path))
	}
	return d.last
}

// play applies the ops that were put off.
func (s *State) play() {
	d := &s.draft
	d.write(s.spot.path)
	for d.played < len(d.ops) {
		s.playNext()
	}
}

// write makes those that were put off ops of path, which is the spot's.
func (d *draft) write(path Path) {
	typed := d.inserted()
	for _, p := range d.put {
		d.ops = append(d.ops, &Op{Code: p.code, Path: path, Pos: p.pos, Len: p.n, Text: typed[p.from:p.to]})
	}
	d.put, d.text, d.typed = d.put[:0], "", d.typed[:0]
}

// playNext applies the next op and returns its first local version.
func (s *State) playNext() causal.LV {
	d, ps := &s.draft, &s.pass
	op := d.ops[d.played]
	ps.lv = ps.base + causal.LV(d.shown)
	if ps.trace != nil {
		ps.trace.expect(ps, op)
	}
	if !ps.apply(op) {
		panic(fmt.Sprintf("crdt: authored a void op: %v", op))
	}
	d.played++
	d.shown += op.Len
	return ps.lv
}

// inserted returns what the ops put off insert, one after the other.
func (d *draft) inserted() string {
	if len(d.typed) == 0 {
		return d.text
	}
	return string(d.typed)
}

// putOff writes an op on the text at the spot, to be applied later.
func (tx *Tx) putOff(code Code, pos, n int, text string) {
	d := &tx.s.draft
	last, from := len(d.put)-1, 0
	if last < 0 {
		d.text, d.textLen = text, tx.s.spot.text.rope.Len()
	} else {
		if len(d.typed) == 0 {
			d.typed = append(d.typed, d.text...)
		}
		from = len(d.typed)
		if len(text) == 1 {
			d.typed = append(d.typed, text[0])
		} else {
			d.typed = append(d.typed, text...)
		}
	}
	if code == CodeTextDelete {
		d.textLen -= n
	} else {
		d.textLen += n
	}
	if last < 0 || !d.put[last].join(code, pos, n) {
		d.put = append(d.put, putOp{})
		last++
		p := &d.put[last] // field by field: a putOp made elsewhere and copied takes several times as long
		p.code, p.pos, p.n, p.from = code, pos, n, from
	}
	d.put[last].to = from + len(text)
}

// join makes p do what the next op does too, if that is the same as doing one after the other.
func (p *putOp) join(code Code, pos, n int) bool {
	switch {
	case p.code != code:
		return false
	case code == CodeTextDelete:
		if pos > p.pos || pos+n < p.pos {
			return false
		}
		p.pos = pos
	case pos != p.pos+p.n:
		return false
	}
	p.n += n
	return true
}

// toSpot moves the spot to the text that a means, if that stands, so that ops on it can be put off, and reports whether it is there.
func (tx *Tx) toSpot(a *address) bool {
	s := tx.s
	if s.entry(a) == nil {
		return false
	}
	path, ok := tx.enter(a, ClassNeither)
	if ok && !s.spot.is(path) {
		ok = s.spot.move(s, path)
	}
	s.spot.shown = ok
	return ok
}
