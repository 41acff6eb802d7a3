package crdt

import (
	"bytes"
	"unicode/utf8"

	"github.com/atollsync/atoll/crdt/causal"
)

// Typist writes into one Text as a person does who types: each edit is a change of its own, the same that a transaction would make, at
// a fraction of what that takes. An edit shows in the State at once, so positions mean what the State shows. It
// cannot be taken back: what is wrong with it is told at once, and then it does nothing.
//
// The changes become part of the State's chains when Commit is called. Until then the State is only to be read, as during a
// transaction, and neither its chains nor the batch are to be used.
//
// A Typist is made by TextView.Type. It is not safe for concurrent use.
type Typist struct {
	s     *State
	batch *Batch
	actor causal.Actor
	text  TextView
	first causal.LV // of its changes

	// row is the typing at batch's end to which changes are being added, nil if there is none. The chains have those up to held.
	row   *keystrokes
	held  typingMark
	fresh bool      // it is of t's making
	room  int       // the most bytes that one change may insert
	next  causal.LV // of the next op
	wrote causal.LV // of the last change that inserted, -1 if none did
}

// Type returns a Typist who writes into the Text as actor. The changes are appended to b, as by Tx.CommitTo.
func (v *TextView) Type(b *Batch, actor causal.Actor) *Typist {
	return &Typist{s: v.s, batch: b, actor: actor, text: *v, first: v.s.graph.Len()}
}

// Insert makes a change that inserts text at position pos, as TxText.Insert does, by a clock that shows time (unix ms). The errors are
// those of a transaction.
func (t *Typist) Insert(time int64, pos int, text string) error {
	n := 1
	if len(text) != 1 || text[0] >= utf8.RuneSelf { // else it is a key like most
		if n = utf8.RuneCountInString(text); !utf8.ValidString(text) {
			n = -1
		}
	}
	if !t.types(time, pos, n) || pos > t.s.spot.text.rope.Len() || len(text) > t.room {
		return t.Update(time, func(in *TxText) { in.Insert(pos, text) })
	}
	c := t.s.spot.text
	c.rope.Insert(c.ops.Insert(t.s.graph, causal.History{}, t.next, pos, n), text)
	t.wrote = t.next
	t.add(time, &typedOp{size: n, pos: pos, text: text})
	return nil
}

// Delete makes a change that deletes n code points from position pos, in the same way.
func (t *Typist) Delete(time int64, pos, n int) error {
	if !t.types(time, pos, n) || n > t.s.spot.text.rope.Len()-pos {
		return t.Update(time, func(in *TxText) { in.Delete(pos, n) })
	}
	s, c := t.s, t.s.spot.text
	s.edits = c.ops.Delete(s.graph, causal.History{}, t.next, pos, n, s.edits[:0])
	for _, e := range s.edits {
		c.rope.Delete(e.Pos, e.Deleted)
	}
	t.add(time, &typedOp{kind: typeDelete, size: n, pos: pos})
	return nil
}

// add adds a change to the row that the State shows.
func (t *Typist) add(time int64, op *typedOp) {
	t.row.add(time, op)
	t.batch.n++
	t.next += causal.LV(op.size)
}

// Update makes what edit does one change, by a transaction: for more than Insert and Delete can say. The TxText is good only during the call.
// If edit does nothing there is no change, and if it panics it has done nothing.
func (t *Typist) Update(time int64, edit func(*TxText)) error {
	t.Commit()
	tx := t.s.BeginQuietly(t.actor, time)
	defer tx.Rollback() // does nothing after CommitTo
	edit(&TxText{t.text, &tx})
	_, _, err := tx.CommitTo(t.batch)
	return err
}

// types reports whether an edit of n code points at pos goes into a row, if there is such a place. It begins one if there is
// none.
func (t *Typist) types(time int64, pos, n int) bool {
	return uint64(time) <= MaxTime && uint64(pos) <= MaxPosition && 0 < n && n <= MaxChangeLen &&
		(t.row != nil || t.begin()) && t.row.end() <= MaxSeq-MaxChangeLen
}

// begin begins a row, if the next change goes on from the one that was committed last, on the plain text at the State's spot.
func (t *Typist) begin() bool {
	s, b := t.s, t.batch
	if s.writing || !s.draft.goesOn(s, &t.actor) || !s.spot.at(t.text.at) || s.spot.enc == nil || s.spot.text.marks != nil {
		return false
	}
	if t.room = inlineOps/2 - len(s.spot.enc); t.room < 0 {
		return false
	}
	switch n := len(b.parts); {
	case n > 0 && b.parts[n-1].typing == nil:
		return false // it may be that what comes is put in columns with the last changes
	case n > 0 && b.parts[n-1].typing.isBy(t.actor, s.draft.next, &s.spot):
		t.row, t.fresh = b.parts[n-1].typing, false
	default:
		t.row, t.fresh = &keystrokes{actor: t.actor, seq: s.draft.next, slice: s.spot.path[0].Key, path: bytes.Clone(s.spot.enc)}, true
		b.parts = append(b.parts, batchPart{typing: t.row})
	}
	ps := &s.pass
	s.writing, ps.actor, ps.first, ps.base, ps.history = true, t.actor, s.draft.next, s.graph.Len(), causal.History{}
	t.held, t.next, t.wrote = t.row.mark(), ps.base, -1
	return true
}

// isBy reports whether t is what actor typed at a spot up to the op next.
func (t *keystrokes) isBy(actor causal.Actor, next causal.Seq, at *spot) bool {
	return t.actor == actor && t.end() == next && t.slice == at.path[0].Key && bytes.Equal(t.path, at.enc)
}

// Commit makes what was typed since the last Commit part of the chains, hashes included, and returns where all of t's changes are in the
// graph. It is to be called at the end. More may be typed afterwards.
func (t *Typist) Commit() causal.Span {
	if t.row != nil {
		t.commit()
	}
	return causal.Span{Start: t.first, End: t.s.graph.Len()}
}

// commit ends the row.
func (t *Typist) commit() {
	s, row := t.s, t.row
	t.row, s.writing = nil, false
	if t.wrote >= 0 {
		// Each insertion supersedes the one before it: only the last keeps what it is in alive.
		s.pass.lv, s.pass.journaled = t.wrote, false
		s.spot.keepAlive(&s.pass)
	}
	if t.next > s.pass.base {
		s.chains.addContext(t.batch, causal.Dot{Actor: t.actor, Seq: s.draft.next - 1}, s.pass.base-1)
		s.chains.authorRow(s.spot.typing(), row.cursorFrom(&t.held))
		s.draft.wroteKeystroke(s, causal.Span{Start: s.pass.base, End: t.next})
	}
	if t.fresh && row.n < leastTyping {
		t.batch.takeBack(row)
	}
}

// takeBack puts the changes of b's last part, a typing with too few, there one by one.
func (b *Batch) takeBack(few *keystrokes) {
	b.parts = b.parts[:len(b.parts)-1]
	b.n -= few.n
	few.changes(func(ch *Change) bool {
		b.Append(ch)
		return true
	})
}
