package crdt

import (
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// CommitTo is Commit for those who need the change only as the last of b, a batch that is being made of what is committed, and do not ask
// what happened. It returns where the change is in the graph. For keystrokes see TextView.Type.
//
// b starts as the zero Batch, and takes no more than TargetBatchChanges changes or so before it is encoded: its limits are the caller's
// to heed. Its context comes from the chains. Its signatures are for the caller to make, when it is complete.
func (tx *Tx) CommitTo(b *Batch) (span causal.Span, ok bool, err error) {
	a, _, ok, err := tx.Commit()
	if ok {
		tx.s.chains.addTo(b, &a)
	}
	return a.Span, ok, err
}

// addTo appends ch, the change that c accepted last, to b, and completes b's context.
func (c *Chains) addTo(b *Batch, a *Accepted) {
	ch := a.Change
	own, _ := c.graph.LVOf(c.graph.ActorOf(a.Span.Start), ch.Seq-1)
	c.addContext(b, causal.Dot{Actor: ch.Actor, Seq: ch.Seq - 1}, own)
	for i, d := range ch.Refs {
		if d.Seq > 0 && ch.branch(i) == nil {
			lv, _ := c.dep(a.Span.Start, d)
			c.addContext(b, d, lv)
		}
	}
	b.Append(ch)
}

// addContext completes b's context for a change that builds on the one that d, which is lv, ends: nothing does on none.
func (c *Chains) addContext(b *Batch, d causal.Dot, lv causal.LV) {
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

// covers reports whether b, which is being made, holds d, an op of the history of the change that comes next.
func (b *Batch) covers(d causal.Dot) bool {
	for i := len(b.parts) - 1; i >= 0; i-- {
		if p := &b.parts[i]; b.actorOf(p) == d.Actor && b.seqOf(p) <= d.Seq {
			return true
		}
	}
	return false
}
