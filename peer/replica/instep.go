package replica

import (
	"slices"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// A digest costs a look at every actor, and in a store where many write there is hardly a second without a change. But two peers who get
// each other's changes and acknowledgements know without asking that they hold the same. A replica counts what a peer is known to
// hold, so that this is told at the price of comparing two numbers: as long as no log is forked and nothing is known to be held there
// and not here, one set of changes is part of the other, and they are equal if as large.

// tally counts what a peer is known to hold.
type tally struct {
	ops   uint64
	ahead []causal.Actor // the peer was heard to hold more of their logs than was held here
	lost  bool           // what is known cannot be counted like that
}

// tally counts t, which took the place of a tip with seq old in what p is known to hold.
func (r *Replica) tally(p *peer, old causal.Seq, t crdt.Tip) {
	p.count.ops += uint64(t.Seq - old)
	if t.Seq > r.graph.Last(t.Actor) {
		p.inStepAt = -1
		if !slices.Contains(p.count.ahead, t.Actor) {
			p.count.ahead = append(p.count.ahead, t.Actor)
		}
	}
}

// inStep reports whether p is known to hold exactly what this replica does. That it is not does not mean that it does not.
func (r *Replica) inStep(p *peer) bool {
	n := r.graph.Len()
	if p.inStepAt == n && n > 0 {
		return true
	}
	c := &p.count
	if c.lost || len(p.apart) > 0 || r.graph.Forked() || r.self.held {
		return false
	}
	c.ahead = slices.DeleteFunc(c.ahead, func(a causal.Actor) bool {
		t := p.known.of(a)
		if len(t) == 1 && t[0].Seq > r.graph.Last(a) {
			return false
		}
		for i := range t {
			r.checkTip(p, t[i])
		}
		return true
	})
	if len(c.ahead) > 0 || len(p.apart) > 0 || c.ops != uint64(n) {
		return false
	}
	p.inStepAt = n
	return true
}

// pairsPerPace is how many pairs of actors there are in a store for each step of stretch.
const pairsPerPace = 256

// pace returns how many times longer than otherwise to wait before digests are compared with p: 1 unless it is in step, and there are many
// actors.
func (r *Replica) pace(p *peer) int64 {
	s := r.stretch()
	switch {
	case r.paced(p):
		return min(4*s, r.maxStretch()) // what is amiss is found by what is acknowledged
	case s > 1 && (r.inStep(p) || p.outSince < 0 || r.now-p.outSince < outOfStep):
		return s
	}
	return 1
}

// keepsUp reports whether p holds what this replica does, as far as can be known.
func (r *Replica) keepsUp(p *peer) bool { return r.paced(p) || r.inStep(p) }

// outOfStep is how long a peer must have been out of step to be taken to be: what it lacks, or has been heard to hold, is mostly on its way.
const outOfStep = 3_000

// stretch returns how many times longer than in a small store to wait between two of what costs more the more actors there are.
func (r *Replica) stretch() int64 {
	n := int64(len(r.graph.Actors()))
	return min(1+n*n/pairsPerPace, r.maxStretch())
}

func (r *Replica) maxStretch() int64 {
	return max(1, r.limits.MaxDigestInterval/r.limits.DigestInterval)
}
