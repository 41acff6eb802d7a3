package crdt

import (
	"bytes"
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// CommitTo is Commit for those who need the change only as the last of b, a batch that is being made of what is committed, and do not ask
// what happened. It returns where the change is in the graph.
//
// A keystroke that goes on where b stops, in a transaction begun quietly, goes from the text to b's columns: it never becomes a
// Change, which saves a quarter of the time.
//
// b starts as the zero Batch, and takes no more than TargetBatchChanges changes or so before it is encoded: its limits are the caller's
// to heed. Its context comes from the chains. Its signatures are for the caller to make, when it is complete.
func (tx *Tx) CommitTo(b *Batch) (span causal.Span, ok bool, err error) {
	s := tx.s
	if t := b.lastTyping(); t != nil && tx.isKeystroke() && s.draft.goesOnFrom(s, t) {
		var op typedOp
		s.draft.playKeystroke(s, &op)
		span = s.chains.authorKeystroke(s.spot.typing(), &op, s.draft.time)
		t.add(s.draft.time, &op)
		b.n++
		s.draft.wroteKeystroke(s, span)
		s.draft.row, s.draft.rowText = t, s.spot.text
		tx.finish()
		return span, true, nil
	}
	a, _, ok, err := tx.Commit()
	if ok {
		s.chains.addTo(b, &a)
	}
	return a.Span, ok, err
}

// lastTyping returns the typing that b ends in, nil if it ends in something else.
func (b *Batch) lastTyping() *keystrokes {
	if n := len(b.parts); n > 0 {
		return b.parts[n-1].typing
	}
	return nil
}

// goesOnFrom reports whether the change, a keystroke, goes on where t stops.
func (d *draft) goesOnFrom(s *State, t *keystrokes) bool {
	return t.end() == s.pass.first && (t == d.row && s.spot.text == d.rowText ||
		t.actor == s.pass.actor && t.slice == s.spot.path[0].Key && bytes.Equal(t.path, s.spot.enc))
}

// addTo appends ch, the change that c accepted last, to b, and completes b's context.
func (c *Chains) addTo(b *Batch, a *Accepted) {
	ch := a.Change
	need := func(d causal.Dot, lv causal.LV) {
		if d.Seq == 0 || b.covers(d) {
			return
		}
		at, found := slices.BinarySearchFunc(b.Context, d, func(a Anchor, d causal.Dot) int { return a.Dot().Compare(d) })
		if found {
			return
		}
		a, err := c.anchorAt(lv)
		if err != nil {
			panic(err) // the last change of an actor has its hash, and so has one that another's depends on
		}
		b.Context = slices.Insert(b.Context, at, a)
	}
	own, _ := c.graph.LVOf(c.graph.ActorOf(a.Span.Start), ch.Seq-1)
	need(causal.Dot{Actor: ch.Actor, Seq: ch.Seq - 1}, own)
	for i, d := range ch.Refs {
		if d.Seq > 0 && ch.branch(i) == nil {
			lv, _ := c.dep(a.Span.Start, d)
			need(d, lv)
		}
	}
	b.Append(ch)
}

// covers reports whether b, which is being made, holds d, an op of the history of the change that comes next.
func (b *Batch) covers(d causal.Dot) bool {
	for i := len(b.parts) - 1; i >= 0; i-- {
		if p := &b.parts[i]; b.actorOf(p) == d.Actor && b.seqOf(p) <= d.Seq {
			return true
		}
	}
	return false
}
