package crdt

import (
	"fmt"
	"slices"
	"sort"

	"github.com/atollsync/atoll/crdt/causal"
)

// Copy makes chains from changes that other chains hold, in whichever causal order they are given: a part of a history, or all of it in another
// order. Logs may be forked: which op is meant is told by its local version in the other chains.
type Copy struct {
	chains *Chains
	parts  []copiedPart // by from
}

// copiedPart is ops that were copied one after the other.
type copiedPart struct {
	from causal.Span // in the other chains
	to   causal.LV
}

// NewCopy returns a copy, of nothing yet, of changes of store.
func NewCopy(store StoreID) *Copy { return &Copy{chains: NewChains(store)} }

// Chains returns what was copied. Other changes may be added to it, for which see Put.
func (k *Copy) Chains() *Chains { return k.chains }

// LV returns where op lv of the other chains is in the copy, and false if it was not copied.
func (k *Copy) LV(lv causal.LV) (causal.LV, bool) {
	i := k.find(lv)
	if i == len(k.parts) || k.parts[i].from.Start > lv {
		return 0, false
	}
	return k.parts[i].to + lv - k.parts[i].from.Start, true
}

// find returns the index of the first part that ends after lv.
func (k *Copy) find(lv causal.LV) int {
	return sort.Search(len(k.parts), func(i int) bool { return k.parts[i].from.End > lv })
}

// LVs returns where lvs are in the copy, in the same order, and false if one was not copied.
func (k *Copy) LVs(lvs []causal.LV) ([]causal.LV, bool) {
	out := make([]causal.LV, len(lvs))
	for i, lv := range lvs {
		var ok bool
		if out[i], ok = k.LV(lv); !ok {
			return nil, false
		}
	}
	return out, true
}

// Put notes that what the other chains hold as span is in the copy, or something that takes its place, from op to on.
func (k *Copy) Put(span causal.Span, to causal.LV) {
	i := k.find(span.Start)
	if i > 0 && k.parts[i-1].from.End == span.Start && k.parts[i-1].to+causal.LV(k.parts[i-1].from.Len()) == to {
		k.parts[i-1].from.End = span.End
		return
	}
	k.parts = slices.Insert(k.parts, i, copiedPart{span, to})
}

// Add copies ch, which the other chains hold as span, whose author saw parents, in their local versions. own is the op before it in its
// actor's log, -1 if there is none. It returns an error if one of these was not copied.
func (k *Copy) Add(ch *Change, span causal.Span, own causal.LV, parents []causal.LV) (Accepted, error) {
	c := k.chains
	seen, ok := k.LVs(parents)
	before, at := -1, origin{after: -1}
	if own >= 0 && ok {
		if at.after, ok = k.LV(own); ok {
			before = c.change(at.after)
			if !slices.Contains(seen, at.after) {
				seen = append(seen, at.after)
			}
		}
	}
	if !ok {
		return Accepted{}, fmt.Errorf("crdt: copy %s: what it builds on was not copied", ch.Dot())
	}
	var err error
	if at.leaves, err = c.leaves(ch, at.after); err != nil {
		return Accepted{}, fmt.Errorf("crdt: copy %s: %w", ch.Dot(), err)
	}
	a := c.hashAndAppend(ch, before, at, seen)
	k.Put(span, a.Span.Start)
	return a, nil
}

// leaves says where ch, which follows op own in its actor's log, or nothing if that is -1, starts another branch of the log than is held, but
// for ch's own hash. It is nil if ch goes on where a branch ends, or is the first of its actor.
func (c *Chains) leaves(ch *Change, own causal.LV) (*causal.Leaves, error) {
	var ai causal.ActorIndex
	if own >= 0 {
		ai = c.graph.ActorOf(own)
	} else if all := c.graph.Branches(ch.Actor); len(all) > 0 {
		ai = all[0]
	} else {
		return nil, nil
	}
	lv, ok := c.graph.LVOf(ai, ch.Seq)
	if !ok {
		return nil, nil
	}
	other, err := c.TipAt(lv)
	if err != nil {
		return nil, err
	}
	return &causal.Leaves{After: own, Other: other.Hash}, nil
}
