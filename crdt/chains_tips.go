package crdt

import (
	"crypto/sha256"
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// Tip returns the end of a's chain, and false if nothing of a is held. If the log is forked that is the end of the branch
// that came first: see TipOf.
func (c *Chains) Tip(a causal.Actor) (Tip, bool) {
	ch := c.chainOf(a)
	if ch == nil {
		return Tip{}, false
	}
	return c.tip(ch.last), true
}

// TipOf returns the end of the branch with index i in the graph.
func (c *Chains) TipOf(i causal.ActorIndex) Tip { return c.tip(c.chains[i].last) }

// TipAt returns the end of the change that lv is an op of. Its hash may have to be computed again (see Rest), which fails if the source does.
func (c *Chains) TipAt(lv causal.LV) (Tip, error) { return c.tipAt(c.change(lv)) }

// tip returns the Tip that ends in change i.
func (c *Chains) tip(i int) Tip {
	t, err := c.tipAt(i)
	if err != nil {
		panic(err) // the last change of an actor has its hash, whatever rests
	}
	return t
}

// tipAt is tip for any change: its hash may have to be computed again, which fails if the source does.
func (c *Chains) tipAt(i int) (Tip, error) {
	k, j := c.infos.at(i)
	d := c.graph.Dot(k.span(j).End - 1)
	hash, err := c.hash(k, j)
	return Tip{Actor: d.Actor, Seq: d.Seq, Hash: hash}, err
}

// Tips returns the ends of all chains, one for each branch of a log, sorted by actor, seq and hash, in a new slice.
func (c *Chains) Tips() []Tip {
	order := c.graph.ByName()
	out := make([]Tip, len(order))
	for i, ai := range order {
		out[i] = c.tip(c.chains[ai].last)
	}
	if c.graph.Forked() {
		slices.SortFunc(out, Tip.Compare)
	}
	return out
}

// Digest returns the SHA-256 over all tips: equal digests mean equal stores.
func (c *Chains) Digest() Hash {
	if !c.fresh {
		h := sha256.New()
		var room [1 << 10]byte
		buf := room[:0]
		add := func(t Tip) {
			buf = t.Actor.AppendTo(buf)
			buf = appendUint(buf, uint64(t.Seq))
			buf = append(buf, t.Hash[:]...)
			if len(buf) > len(room)*7/8 {
				h.Write(buf)
				buf = buf[:0]
			}
		}
		if c.graph.Forked() {
			for _, t := range c.Tips() {
				add(t)
			}
		} else {
			for _, ai := range c.graph.ByName() { // as Tips, without the room for all of them
				add(c.tip(c.chains[ai].last))
			}
		}
		h.Write(buf)
		c.digest, c.fresh = Hash(h.Sum(nil)), true
	}
	return c.digest
}

// HashAt returns the hash of the change whose last op is d, of the first that came if the log is forked, and false if c holds none. It may be computed again (see Rest);
// if the source fails, the answer is false as well.
func (c *Chains) HashAt(d causal.Dot) (Hash, bool) {
	i, ok := c.findEnd(d)
	if !ok {
		return Hash{}, false
	}
	k, j := c.infos.at(i)
	hash, err := c.hash(k, j)
	return hash, err == nil
}

// Holds reports whether t is the end of a change that c holds. Its hash may have to be computed again (see Rest), which fails if
// the source does.
func (c *Chains) Holds(t Tip) (bool, error) {
	_, ok, err := c.findTip(t)
	return ok, err
}

// Find returns the last op of the change that t ends, and false if c does not hold it. It fails as Holds does.
func (c *Chains) Find(t Tip) (causal.LV, bool, error) {
	i, ok, err := c.findTip(t)
	if !ok || err != nil {
		return 0, false, err
	}
	return c.span(i).End - 1, true, nil
}
