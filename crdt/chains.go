package crdt

import (
	"fmt"
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// EffectiveTime orders changes in time: milliseconds in the upper 48 bits and a count in the
// lower 16, which carries into them. It is the greater of a change's Time and one more than the greatest
// in its causal history, so it never contradicts causality whatever the clocks say.
type EffectiveTime uint64

// effectiveOf returns the effective time of a change with the given Time whose history reaches after, or that
// has none: it is the first.
func effectiveOf(time int64, after EffectiveTime, first bool) EffectiveTime {
	if first {
		return EffectiveTime(time) << 16
	}
	return max(EffectiveTime(time)<<16, after+1)
}

// Millis returns t in whole unix milliseconds.
func (t EffectiveTime) Millis() int64 { return int64(t >> 16) }

// Accepted is a change that a Chains holds.
type Accepted struct {
	*Change
	Span      causal.Span // the local versions of its ops
	Effective EffectiveTime
	Hash      Hash
}

// ChangeInfo is what a Chains remembers of a change: all but its ops, its deps and its hash, for which see HashAt.
type ChangeInfo struct {
	Span      causal.Span
	Dot       causal.Dot // of its last op
	Time      int64
	Effective EffectiveTime
	Signed    bool // a signature at this very change is held
}

// Chains is the hash chains of all actors of a store: what has been accepted. It owns
// the causal graph of their ops, and keeps signatures. It is not safe for concurrent use while it
// changes; any number of readers may share one that does not.
//
// The log of an actor may have more than one branch, each with a chain of its own: it begins, in the graph as here, where it
// leaves another. A change is then named by its dot and its hash.
//
// Invariant: infos cover the graph; chains are parallel to the graph's actors, all of which are ranked.
type Chains struct {
	store  StoreID
	graph  causal.Graph
	infos  infoTable
	chains []chain // by causal.ActorIndex
	digest Hash
	fresh  bool // digest is that of the tips

	end      chainEnd
	unhashed bool   // see AddUnhashed
	source   Source // of changes that rest; see Rest
	checker  checker
}

// chain is what is known of one actor.
type chain struct {
	last    int             // its last change, an index into infos
	next    causal.Seq      // the seq after that
	sigs    []keptSignature // ascending
	thinned int             // of sigs, those that stay for good
}

// NewChains returns the chains of the empty store with the given ID.
func NewChains(store StoreID) *Chains { return &Chains{store: store} }

// Store returns the store's ID.
func (c *Chains) Store() StoreID { return c.store }

// Graph returns the causal graph of all accepted ops. Only c adds to it.
func (c *Chains) Graph() *causal.Graph { return &c.graph }

// Len returns the number of changes.
func (c *Chains) Len() int { return c.infos.len }

// change returns the index of the change that holds lv.
func (c *Chains) change(lv causal.LV) int { return c.infos.find(lv) }

// span returns the local versions of the ops of change i.
func (c *Chains) span(i int) causal.Span {
	k, j := c.infos.at(i)
	return k.span(j)
}

// findEnd returns the index of the change whose last op is d, of several the first.
func (c *Chains) findEnd(d causal.Dot) (i int, ok bool) {
	lv, ok := c.graph.LV(d)
	if !ok {
		return 0, false
	}
	i = c.change(lv)
	return i, c.span(i).End == lv+1
}

// findTip returns the index of the change that t ends, and false if c does not hold it. A hash may have to be computed again, which fails
// if the source does.
func (c *Chains) findTip(t Tip) (i int, ok bool, err error) {
	if !c.graph.Forked() {
		if i, ok = c.findEnd(t.Dot()); !ok {
			return 0, false, nil
		}
		ok, err = c.hasHash(i, t.Hash)
		return i, ok, err
	}
	for _, lv := range c.graph.All(t.Dot()) {
		i := c.change(lv)
		if c.span(i).End != lv+1 {
			continue
		}
		if ok, err := c.hasHash(i, t.Hash); ok || err != nil {
			return i, ok, err
		}
	}
	return 0, false, nil
}

// hasHash reports whether want is the hash of change i.
func (c *Chains) hasHash(i int, want Hash) (bool, error) {
	k, j := c.infos.at(i)
	hash, err := c.hash(k, j)
	return err == nil && hash == want, err
}

// before returns the index of the change before the one that starts at lv in its actor's log, and false if there is none.
func (c *Chains) before(lv causal.LV) (i int, ok bool) {
	r := c.graph.Run(lv)
	seq := r.Seq + causal.Seq(lv-r.Start)
	own, ok := c.graph.LVOf(r.Actor, seq-1)
	if !ok {
		return 0, false
	}
	return c.change(own), true
}

// dep returns the local version of d, which the change that starts at lv depends on, and whose branch it does not name.
func (c *Chains) dep(lv causal.LV, d causal.Dot) (causal.LV, bool) {
	if c.graph.Forked() {
		// What a change depends on is in no other dependency's history, so all of it are parents.
		for _, p := range c.graph.Parents(lv) {
			if c.graph.Dot(p) == d {
				return p, true
			}
		}
	}
	return c.graph.LV(d)
}

// chainOf returns what is known of a, of its first branch if its log is forked, nil if nothing is.
func (c *Chains) chainOf(a causal.Actor) *chain {
	if n := c.graph.Len(); n > 0 && !c.graph.Forked() {
		if ai := c.graph.ActorOf(n - 1); c.graph.Actor(ai) == a {
			return &c.chains[ai] // who wrote last mostly writes next
		}
	}
	ai, ok := c.graph.ActorIndex(a)
	if !ok {
		return nil
	}
	return &c.chains[ai]
}

// ChangeAt returns the change that lv, which must be in the graph, is an op of.
func (c *Chains) ChangeAt(lv causal.LV) ChangeInfo {
	k, i := c.infos.at(c.change(lv))
	span := k.span(i)
	dot := c.graph.Dot(span.End - 1)
	_, signed := c.chains[c.graph.ActorOf(span.Start)].findSig(dot.Seq)
	return ChangeInfo{Span: span, Dot: dot, Time: k.time(i), Effective: k.effective(i), Signed: signed}
}

// Later reports whether op a is later than op b: by effective time, then actor, seq and, of two branches of one log, the
// hashes of the first changes after they part. Both must be in the graph.
func (c *Chains) Later(a, b causal.LV) bool {
	k, i := c.infos.locate(a)
	l, j := c.infos.locate(b)
	if k == l && i == j {
		return a > b
	}
	if x, y := k.effective(i), l.effective(j); x != y {
		return x > y
	}
	return c.graph.CompareDots(a, b) > 0
}

// effective returns the effective time of the change that holds lv.
func (c *Chains) effective(lv causal.LV) EffectiveTime {
	k, i := c.infos.locate(lv)
	return k.effective(i)
}

// EffectiveAfter returns the effective time of a change made at the given time by an author who saw parents.
func (c *Chains) EffectiveAfter(parents []causal.LV, time int64) EffectiveTime {
	var after EffectiveTime
	for _, p := range parents {
		after = max(after, c.effective(p))
	}
	return effectiveOf(time, after, len(parents) == 0)
}

// append adds a valid change whose Hash, Effective and Span are set.
func (c *Chains) append(a *Accepted, at origin, parents []causal.LV) {
	ch, ai, before := c.extend(a.Actor, a.Seq, a.Span, at, parents)
	i := c.infos.len
	ch.last, ch.next = i, a.Seq+causal.Seq(a.Span.Len())
	k, j := c.infos.add(&a.Hash, a.Span, a.Time, a.Effective, ai)
	k.setCount(j, ai, before, a.wireSize())
	if c.graph.Forked() {
		c.needForked(a)
		return
	}
	// Whatever the author saw last of others is a dependency.
	for _, p := range parents {
		if p != at.after {
			c.need(c.change(p))
		}
	}
}

// needForked notes that a depends on other actors' changes, or names them, where some log is forked.
func (c *Chains) needForked(a *Accepted) {
	for i := range a.Refs {
		if b := a.branch(i); b != nil {
			if at, ok, err := c.findTip(Tip{Actor: a.Refs[i].Actor, Seq: b.Seq, Hash: b.Hash}); ok && err == nil {
				c.need(at)
			}
		} else if lv, ok := c.dep(a.Span.Start, a.Refs[i]); ok && a.Refs[i].Seq > 0 {
			c.need(c.change(lv))
		}
	}
}

// origin says where an actor's ops go on: after the op after, or from the start of a log if that is -1; and if they leave the branch
// which that op is of, or start a second one, that they do.
type origin struct {
	after  causal.LV
	leaves *causal.Leaves
}

// extend adds ops of an actor to the graph, and returns the actor's chain, and what of the actor there is before them. The graph is to
// rank the new actors afterwards.
func (c *Chains) extend(actor causal.Actor, seq causal.Seq, want causal.Span, at origin, parents []causal.LV) (*chain, causal.ActorIndex, changeCount) {
	var span causal.Span
	switch {
	case at.leaves != nil:
		span = c.graph.AddBranch(actor, want.Len(), parents, *at.leaves)
	case at.after >= 0:
		span = c.graph.AddAfter(c.graph.ActorOf(at.after), want.Len(), parents)
	case seq == 1:
		span = c.graph.AddNew(actor, want.Len(), parents)
	}
	if span != want {
		panic(fmt.Sprintf("crdt: add %s:%d at %v: got %v", actor, seq, want, span))
	}
	c.fresh = false
	ai := c.graph.ActorOf(span.Start)
	if int(ai) == len(c.chains) {
		c.chains = append(c.chains, chain{last: -1})
	}
	ch := &c.chains[ai]
	switch {
	case ch.last >= 0:
		return ch, ai, c.count(ch.last)
	case at.leaves != nil && at.after >= 0:
		return ch, ai, c.count(c.change(at.after))
	}
	return ch, ai, changeCount{}
}

// count returns what of its actor there is up to change i, itself included.
func (c *Chains) count(i int) changeCount {
	k, j := c.infos.at(i)
	return k.count(j)
}

// wireSize returns about what c takes in a batch, in bytes.
func (c *Change) wireSize() int {
	n := 6 + 8*len(c.Refs) + c.branchesSize()
	for i := range c.Groups {
		n += len(c.Groups[i].Slice) + len(c.Groups[i].Ops) + 4
	}
	return n
}

// wireSizeOf is wireSize for a change without refs whose only slice has a name of the given size, and ops.
func wireSizeOf(name, ops int) int { return 6 + name + ops + 4 }

// Author makes ch, an own change whose author saw parents, part of c. It must be
// valid: the actor's next, its Deps the maximal parents other than the actor's own previous change.
// AddSignature should follow before it is sent.
func (c *Chains) Author(ch *Change, parents []causal.LV) Accepted {
	if err := ch.Validate(); err != nil {
		panic(err)
	}
	return c.author(ch, parents)
}

// author is Author for a change that was found valid.
func (c *Chains) author(ch *Change, parents []causal.LV) Accepted {
	if c.unhashed {
		panic("crdt: author a change of chains without hashes")
	}
	if c.graph.Forked() && len(c.graph.Branches(ch.Actor)) > 1 {
		panic(fmt.Sprintf("crdt: author %s, whose actor's log is forked", ch.Dot()))
	}
	own, at := -1, origin{after: -1}
	if chain := c.chainOf(ch.Actor); chain != nil {
		own = chain.last
		at.after = c.span(own).End - 1
		if !slices.Contains(parents, at.after) {
			parents = append(slices.Clone(parents), at.after)
		}
	}
	return c.hashAndAppend(ch, own, at, parents)
}

// hashAndAppend makes ch part of c, whose author saw parents, its own change before it among them: that with index own, -1 if there is none.
func (c *Chains) hashAndAppend(ch *Change, own int, at origin, parents []causal.LV) Accepted {
	var prev Hash
	var prevTime int64
	if own < 0 {
		prev = GenesisHash(c.store, ch.Actor)
	} else {
		k, i := c.infos.at(own)
		prev, _ = c.hash(k, i) // the last change of an actor has its hash, whatever rests
		prevTime = k.time(i)
	}
	room := &c.checker
	room.deps = room.deps[:0]
	for i := range ch.Refs {
		if ch.Refs[i].Seq == 0 {
			continue
		}
		h, ok := c.refHash(ch, i, parents)
		if !ok {
			panic(fmt.Sprintf("crdt: author %s: unknown dep %s", ch.Dot(), ch.Refs[i]))
		}
		room.deps = append(room.deps, h)
	}
	start := c.graph.Len()
	a := Accepted{
		Change:    ch,
		Span:      causal.Span{Start: start, End: start + causal.LV(ch.Len())},
		Effective: c.EffectiveAfter(parents, ch.Time),
	}
	a.Hash = room.hasher.hash(ch, &prev, prevTime, room.deps)
	if at.leaves != nil {
		at.leaves.Hash = a.Hash
	}
	c.append(&a, at, parents)
	c.graph.Rank()
	return a
}

// refHash returns the hash of the change that ch, whose author saw parents, depends on by its i-th ref.
func (c *Chains) refHash(ch *Change, i int, parents []causal.LV) (Hash, bool) {
	if b := ch.branch(i); b != nil {
		return b.Hash, true
	}
	if c.graph.Forked() {
		for _, p := range parents {
			if c.graph.Dot(p) == ch.Refs[i] {
				t, err := c.TipAt(p)
				return t.Hash, err == nil
			}
		}
	}
	return c.HashAt(ch.Refs[i])
}
