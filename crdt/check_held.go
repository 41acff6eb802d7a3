package crdt

import (
	"errors"
	"fmt"
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// ErrUnhashed is returned by AddUnhashed for a history in which an actor's log is forked: which change builds on which
// branch takes hashes to tell.
var ErrUnhashed = errors.New("crdt: a forked log cannot be read without hashes")

// checkHeld compares the batch with the chains: it finds what is missing, how much is already held, and where
// the rest goes on: at the end of a branch, or in a new one.
func (k *checker) checkHeld() error {
	c := k.c
	for i := range k.b.Context {
		a := &k.b.Context[i]
		at, ok, err := k.heldTip(a.Tip)
		if err != nil {
			return err
		}
		if !ok {
			k.missing = append(k.missing, a.Tip)
			continue
		}
		if held, j := c.infos.at(at); held.time(j) != a.Time {
			return fmt.Errorf("%w: context %s says time %d, not %d", ErrInvalid, a.Dot(), a.Time, held.time(j))
		}
		k.anchors[i].held, k.anchors[i].lv = true, c.span(at).End-1
	}
	for i := range k.links {
		if ch := k.links[i].change; ch != nil && ch.Branches != nil {
			if err := k.checkNamed(ch); err != nil {
				return err
			}
		}
	}
	for i := range k.actors {
		ba := &k.actors[i]
		if ba.base >= 0 && !k.anchors[ba.base].held {
			continue // something is missing
		}
		if err := k.findHeld(ba); err != nil {
			return err
		}
	}
	return nil
}

// missingError returns the error about what is missing.
func (k *checker) missingError() error {
	slices.SortFunc(k.missing, Tip.Compare)
	return &MissingError{Tips: slices.Compact(k.missing)}
}

// heldTip is Chains.findTip, or without hashes goes by the dot alone.
func (k *checker) heldTip(t Tip) (i int, ok bool, err error) {
	if k.bare {
		i, ok = k.c.findEnd(t.Dot())
		return i, ok, nil
	}
	return k.c.findTip(t)
}

// checkNamed checks that what ch depends on and names the branch of is in the batch or held.
func (k *checker) checkNamed(ch *Change) error {
	if k.bare {
		return ErrUnhashed
	}
	for i := range ch.Refs {
		b := ch.branch(i)
		if b == nil || ch.Refs[i].Seq == 0 {
			continue
		}
		t := Tip{Actor: ch.Refs[i].Actor, Seq: b.Seq, Hash: b.Hash}
		if _, ok := k.inBatch(t); ok {
			continue
		}
		_, ok, err := k.c.findTip(t)
		if err != nil {
			return err
		}
		if !ok {
			k.missing = append(k.missing, t)
		}
	}
	return nil
}

// inBatch returns which link has the change that t ends.
func (k *checker) inBatch(t Tip) (l int, ok bool) {
	ai, ok := k.find(t.Actor)
	if !ok {
		return 0, false
	}
	l, ok = k.ending(ai, t.Seq)
	return l, ok && k.links[l].tipAt(t.Actor, t.Seq).Hash == t.Hash
}

// findHeld finds how much of an actor's part in the batch is held, and where the rest goes on.
func (k *checker) findHeld(ba *batchActor) error {
	c := k.c
	if ba.base >= 0 {
		ba.own = k.anchors[ba.base].lv
	}
	last := c.graph.Last(ba.Actor)
	if last >= ba.first {
		if k.bare {
			return ErrUnhashed
		}
		// A change binds all before it, so what is held of the part is a beginning of it: mostly all that reaches as far as the
		// actor's log does here.
		lo, hi := ba.first, min(last+1, ba.next)
		for seq := hi - 1; lo < hi; seq = (lo + hi) / 2 {
			theirs := k.links[k.linkOf(ba, seq)].tipAt(ba.Actor, seq)
			at, ok, err := c.findTip(theirs)
			if err != nil {
				return err
			}
			if ok {
				lo, ba.own = theirs.Seq+1, c.span(at).End-1
			} else {
				hi = seq
			}
		}
		ba.held = lo
	}
	if last == 0 || ba.held == ba.next {
		return nil
	}
	// The change that follows here, if there is one, and the batch's are two with the same first dot.
	ai, seq := c.graph.Branches(ba.Actor)[0], causal.Seq(1)
	if ba.own >= 0 {
		ai, seq = c.graph.ActorOf(ba.own), max(ba.first, ba.held)
		if c.graph.LastOf(ai) < seq {
			return nil
		}
	}
	if k.bare {
		return ErrUnhashed
	}
	lv, _ := c.graph.LVOf(ai, seq)
	ours, err := c.tipAt(c.change(lv))
	if err != nil {
		return err
	}
	theirs := k.links[k.linkOf(ba, seq)].tipAt(ba.Actor, seq)
	ba.leaves = &causal.Leaves{After: ba.own, Hash: theirs.Hash, Other: ours.Hash}
	k.out.forks = append(k.out.forks, Fork{Ours: ours, Theirs: theirs})
	return nil
}
