package crdt

import (
	"cmp"
	"crypto/ed25519"
	"fmt"
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// keptSignature is a signature at the change with index change.
type keptSignature struct {
	seq    causal.Seq
	change int
	sig    [ed25519.SignatureSize]byte
}

// Signatures are kept at least this often, counted per actor.
const (
	keepChanges = 1000
	keepBytes   = 64 << 10
)

// sigWindow is the number of an actor's latest signatures that are held whatever
// depends on them: another's change may still arrive that does, and a batch can only end, for
// an actor, in a signature.
const sigWindow = 64

// AddSignature keeps s, a signature at a change that c holds: the one that came last, if several end in its dot. It does not verify s. Signatures that no other
// actor's change depends on are thinned out as they age.
func (c *Chains) AddSignature(s Signature) {
	i, ok := c.findEnd(s.Dot)
	if c.graph.Forked() {
		// Of several changes it is at the one that came last.
		for _, lv := range c.graph.All(s.Dot) {
			if n := c.change(lv); c.span(n).End == lv+1 && (!ok || n > i) {
				i, ok = n, true
			}
		}
	}
	if !ok {
		panic(fmt.Sprintf("crdt: signature at %s, where no change ends", s.Dot))
	}
	c.addSignature(i, s)
}

// addSignature keeps s, a signature at change i.
func (c *Chains) addSignature(i int, s Signature) {
	ch := &c.chains[c.graph.ActorOf(c.span(i).Start)]
	at, found := ch.findSig(s.Dot.Seq)
	if found {
		return
	}
	ch.sigs = slices.Insert(ch.sigs, at, keptSignature{seq: s.Dot.Seq, change: i, sig: s.Sig})
	if at < ch.thinned {
		ch.thinned++
	}
	if len(ch.sigs)-ch.thinned >= 2*sigWindow {
		c.thin(ch)
	}
}

// SignatureAt returns the signature kept at the change that ends with op lv, and false if there is none.
func (c *Chains) SignatureAt(lv causal.LV) (Signature, bool) {
	ch, d := &c.chains[c.graph.ActorOf(lv)], c.graph.Dot(lv)
	i, ok := ch.findSig(d.Seq)
	if !ok {
		return Signature{}, false
	}
	return Signature{Dot: d, Sig: ch.sigs[i].sig}, true
}

// thin drops signatures older than the last sigWindow that nothing needs.
func (c *Chains) thin(ch *chain) {
	end := len(ch.sigs) - sigWindow
	kept := ch.sigs[:ch.thinned]
	for i := ch.thinned; i < end; i++ {
		var before changeCount
		if len(kept) > 0 {
			before = c.count(kept[len(kept)-1].change)
		}
		if c.keeps(before, ch.sigs[i], ch.sigs[i+1]) {
			kept = append(kept, ch.sigs[i])
		}
	}
	ch.thinned = len(kept)
	ch.sigs = append(kept, ch.sigs[end:]...)
}

// keeps reports whether a signature is kept for good: another actor's change depends on
// the change signed, or without it those before and after were too far apart.
func (c *Chains) keeps(before changeCount, this, after keptSignature) bool {
	if k, i := c.infos.at(this.change); k.isNeeded(i) {
		return true
	}
	next := c.count(after.change)
	return next.changes-before.changes > keepChanges || next.bytes-before.bytes > keepBytes
}

// keptSigs returns the signatures of a batch that holds the ops [from, to) of the branch with index ai: the last one, and those that are
// kept for good.
func (c *Chains) keptSigs(ai causal.ActorIndex, from, to causal.Seq) (out []Signature) {
	own, a := &c.chains[ai], c.graph.Actor(ai)
	i, _ := own.findSig(from)
	if i == len(own.sigs) || own.sigs[i].seq >= to {
		return nil
	}
	var before changeCount
	if lv, ok := c.graph.LVOf(ai, from-1); ok {
		before = c.count(c.change(lv))
	}
	for ; i < len(own.sigs) && own.sigs[i].seq < to; i++ {
		k := own.sigs[i]
		if last := i+1 == len(own.sigs) || own.sigs[i+1].seq >= to; last || c.keeps(before, k, own.sigs[i+1]) {
			out = append(out, Signature{Dot: causal.Dot{Actor: a, Seq: k.seq}, Sig: k.sig})
			before = c.count(k.change)
		}
	}
	return out
}

func (ch *chain) findSig(seq causal.Seq) (int, bool) {
	return slices.BinarySearchFunc(ch.sigs, seq, func(k keptSignature, seq causal.Seq) int {
		return cmp.Compare(k.seq, seq)
	})
}
