package crdt

import (
	"fmt"

	"github.com/atollsync/atoll/crdt/causal"
)

// draft is the change that a transaction writes, and what it takes to write it. A State has one, whose memory
// all its transactions use.
//
// Ops on the text at the State's spot are put off: they wait at the end of ops until something is read, an op
// goes elsewhere, or the transaction commits. So those that go on where the last one stopped can join it,
// those of a transaction that comes to nothing cost nothing, and what is played at Commit, when nothing
// can fail any more, need not be journaled.
type draft struct {
	time    int64
	ops     []*Op  // as written
	len     int    // dots of ops
	played  int    // of ops: the State shows these
	shown   int    // dots of those
	textLen int    // length of the text at the spot with all ops, if some are put off
	typed   []byte // the text of the last op, if it was put together of several inserts
	journal journal

	texts opRoom     // the ops that were put off
	room  changeRoom // changes
	txs   []Tx       // to give out
	// Who committed the last change, where it ends, and the number of their next op.
	author causal.Actor
	end    causal.LV
	next   causal.Seq
	// alone: this change goes on from that one, and neither the State nor its graph holds anything since.
	alone bool
}

// wrote takes notice of a change that was committed.
func (d *draft) wrote(a *Accepted) {
	if !d.alone {
		d.author = a.Actor
	}
	d.end, d.next = a.Span.End, a.Seq+causal.Seq(a.Span.Len())
}

// goesOn reports whether a change of actor is alone.
func (d *draft) goesOn(s *State, actor *causal.Actor) bool {
	heads := s.applied.Heads()
	return len(heads) == 1 && heads[0] == d.end-1 && s.graph.Len() == d.end && d.author == *actor
}

// opRoom is memory for text ops that nobody keeps.
type opRoom struct {
	chunks [][]Op
	used   int
}

const (
	opChunk   = 32
	maxChunks = 8 // kept between transactions
)

// op returns an op of which only the fields that a text op has may hold something.
func (r *opRoom) op() *Op {
	i := r.used / opChunk
	if i == len(r.chunks) {
		r.chunks = append(r.chunks, make([]Op, opChunk))
	}
	r.used++
	return &r.chunks[i][(r.used-1)%opChunk]
}

// reset takes all ops back.
func (r *opRoom) reset() {
	for i := range r.used {
		r.chunks[i/opChunk][i%opChunk].Text = "" // somebody else's memory
	}
	r.used = 0
	if len(r.chunks) > maxChunks {
		r.chunks = r.chunks[:maxChunks:maxChunks]
	}
}

// newTx returns a Tx. They are small and many, so they are made several at a time.
func (d *draft) newTx(s *State) *Tx {
	if len(d.txs) == 0 {
		d.txs = make([]Tx, 32)
	}
	tx := &d.txs[0]
	d.txs = d.txs[1:]
	tx.s = s
	return tx
}

// reset forgets the change.
func (d *draft) reset() {
	if len(d.ops) == 0 {
		return
	}
	clear(d.ops)
	d.ops, d.typed = d.ops[:0], d.typed[:0]
	if cap(d.ops) > opChunk*maxChunks {
		d.ops, d.typed = nil, nil
	}
	d.len, d.played, d.shown = 0, 0, 0
	d.texts.reset()
	d.journal.undos = nil
}

// isKeystroke reports whether the change is what most are: one short op at the spot, and nobody asks what happens.
func (d *draft) isKeystroke(s *State) bool {
	return len(d.ops) == 1 && d.played == 0 && s.pass.trace == nil && s.spot.enc != nil &&
		len(d.ops[0].Text)+len(d.typed)+len(s.spot.enc) < inlineOps && d.len < MaxChangeLen && s.pass.first <= MaxSeq-MaxChangeLen &&
		(d.alone || len(s.Heads()) <= 8)
}

// commitKeystroke commits such a change. All that Commit asks has been seen to, so it takes a fraction of the time.
func (d *draft) commitKeystroke(s *State) Accepted {
	d.close()
	ps, op := &s.pass, d.ops[0]
	ps.journal = nil
	ps.lv = ps.base
	ch := d.room.keystroke(&s.spot, op)
	ch.Actor, ch.Seq, ch.Time = ps.actor, ps.first, d.time
	if !d.alone {
		ch.Refs = d.room.refs(s, ps.actor)
	}
	a := s.chains.author(ch, s.Heads())
	if op.Code == CodeTextInsert {
		s.spot.insert(ps, op.Pos, op.Len, op.Text)
	} else {
		s.spot.delete(ps, op.Pos, op.Len)
	}
	s.applied.Take(s.graph, a.Span)
	d.wrote(&a)
	d.ops, d.len = d.ops[:0], 0
	d.texts.reset()
	return a
}

// do applies an op and returns its first local version.
func (tx *Tx) do(op *Op) causal.LV {
	tx.play()
	d := &tx.s.draft
	d.ops = append(d.ops, op)
	d.len += op.Len
	return tx.playNext()
}

// play applies the ops that were put off.
func (tx *Tx) play() {
	for d := &tx.s.draft; d.played < len(d.ops); {
		d.close()
		tx.playNext()
	}
}

// playNext applies the next op and returns its first local version.
func (tx *Tx) playNext() causal.LV {
	d, ps := &tx.s.draft, &tx.s.pass
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

// close completes the last op: none joins it any more.
func (d *draft) close() {
	if len(d.typed) > 0 {
		d.ops[len(d.ops)-1].Text = string(d.typed)
		d.typed = d.typed[:0]
	}
}

// putOff writes an op on the text at the spot, to be applied later.
func (tx *Tx) putOff(code Code, pos, n int, text string) {
	d := &tx.s.draft
	if d.played == len(d.ops) {
		d.textLen = tx.s.spot.text.rope.Len()
	} else if d.join(d.ops[len(d.ops)-1], code, pos, n, text) {
		return
	}
	d.close()
	op := d.texts.op()
	op.Code, op.Path, op.Pos, op.Len, op.Text = code, tx.s.spot.path, pos, n, text
	d.ops = append(d.ops, op)
	d.grow(code, n)
}

// grow counts what an op that is put off adds.
func (d *draft) grow(code Code, n int) {
	d.len += n
	if code == CodeTextDelete {
		n = -n
	}
	d.textLen += n
}

// join makes last, which was put off, do what the next op does too, if that is the same as doing one after the other.
func (d *draft) join(last *Op, code Code, pos, n int, text string) bool {
	switch {
	case last.Code != code:
		return false
	case code == CodeTextDelete:
		if pos > last.Pos || pos+n < last.Pos {
			return false
		}
		last.Pos = pos
	case pos != last.Pos+last.Len:
		return false
	default:
		if len(d.typed) == 0 {
			d.typed = append(d.typed, last.Text...)
		}
		d.typed = append(d.typed, text...)
	}
	last.Len += n
	d.grow(code, n)
	return true
}

// atSpot reports whether the text that a means stands and is at the spot, where ops can be put off.
func (tx *Tx) atSpot(a *address) bool {
	s := tx.s
	if s.spot.at(a) {
		return true
	}
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
