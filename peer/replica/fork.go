package replica

import (
	"fmt"
	"slices"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// Fork is two histories under one actor's name: two changes with overlapping dots and different
// hashes. The actor's device is at fault, or was restored from a backup. Both branches are kept, shown and passed on like
// any concurrent changes, and with them the proof.
type Fork struct {
	Actor        causal.Actor
	Ours, Theirs crdt.Tip
	// From is the device that showed it, zero if that is no longer known.
	From causal.Device
	// By is the actor whose signature stands for Theirs: Actor itself, who signed both branches. Zero: it was only claimed, in a
	// summary, by From.
	By causal.Actor
	// Evidence is the batch, encoded, in which Theirs came, signed. That Ours is signed is seen in the own log. Empty if only
	// claimed, or too large to keep.
	Evidence []byte
}

// Claimed reports whether nothing but From's word stands for f.
func (f Fork) Claimed() bool { return f.By.IsZero() }

// String renders f on one line.
func (f Fork) String() string {
	by := "claimed by " + f.From.String()
	if !f.Claimed() {
		by = "signed by " + f.By.String()
	}
	return fmt.Sprintf("%s: ours %d, theirs %d, %s", f.Actor, f.Ours.Seq, f.Theirs.Seq, by)
}

// maxEvidence is the size up to which the batch that shows a fork is kept.
const maxEvidence = 256 << 10

// forkTable holds one fork per actor, sorted by actor.
type forkTable struct {
	limit int
	forks []Fork
}

// noteFork reports a fork, once for each actor, and again when more stands for it.
func (r *Replica) noteFork(f Fork) {
	if len(f.Evidence) > maxEvidence {
		f.Evidence = nil
	}
	t := &r.forks
	i, ok := slices.BinarySearchFunc(t.forks, f.Actor, func(f Fork, a causal.Actor) int { return f.Actor.Compare(a) })
	switch {
	case ok && (f.Claimed() || !t.forks[i].Claimed()):
		return
	case ok:
		t.forks[i] = f
	case len(t.forks) < t.limit:
		t.forks = slices.Insert(t.forks, i, f)
	default:
		// Full: a signed one takes the place of a claim.
		claim := slices.IndexFunc(t.forks, Fork.Claimed)
		if f.Claimed() || claim < 0 {
			return
		}
		t.forks = slices.Delete(t.forks, claim, claim+1)
		i, _ = slices.BinarySearchFunc(t.forks, f.Actor, func(f Fork, a causal.Actor) int { return f.Actor.Compare(a) })
		t.forks = slices.Insert(t.forks, i, f)
	}
	if !r.restoring {
		r.out.forks = append(r.out.forks, f)
	}
}

// holds reports whether the change that t ends is held. With a log that cannot be read, it is taken to be.
func (r *Replica) holds(t crdt.Tip) bool {
	held, err := r.chains.Holds(t)
	return held || err != nil
}

// checkTip compares a tip that a peer said it has with the actor's log, as far as that is held.
func (r *Replica) checkTip(p *peer, t crdt.Tip) {
	if r.isUnsent(t.Dot()) {
		return
	}
	ai, ok := r.graph.ActorIndex(t.Actor)
	if !ok {
		return
	}
	ahead := t.Seq > r.graph.Last(t.Actor)
	if ahead && !r.graph.IsForked(ai) || !ahead && r.holds(t) {
		return
	}
	if p.apart == nil {
		p.apart = make(map[causal.Actor]bool)
	}
	p.apart[t.Actor] = true
	if !ahead {
		ours, _ := r.chains.Tip(t.Actor)
		r.noteFork(Fork{Actor: t.Actor, Ours: ours, Theirs: t, From: p.device})
	}
}

// reach returns the last op of the branch with index ai that p is known to hold, 0 if none is. A tip that is not held is taken to be
// beyond the end of the log, as long as there is no sign of a fork.
func (r *Replica) reach(p *peer, ai causal.ActorIndex) causal.Seq {
	a := r.graph.Actor(ai)
	if !p.apart[a] && !r.graph.IsForked(ai) {
		return p.known.seq(a)
	}
	return r.covered(p.known.of(a), ai)
}

// covered returns the last op of the branch with index ai that is on the way to one of tips, all of its actor.
func (r *Replica) covered(tips []crdt.Tip, ai causal.ActorIndex) causal.Seq {
	seq := causal.Seq(0)
	for _, t := range tips {
		if lv, ok, err := r.chains.Find(t); ok && err == nil {
			seq = max(seq, r.graph.Reaches(ai, r.graph.ActorOf(lv), t.Seq))
		}
	}
	return seq
}

// join returns old, tips of one actor, with t added and less those on the way to it.
func (r *Replica) join(old []crdt.Tip, t crdt.Tip) []crdt.Tip {
	lv, ok, err := r.chains.Find(t)
	held := ok && err == nil
	tips := make(summary, 0, len(old)+1)
	for _, o := range old {
		before, ok, err := r.chains.Find(o)
		switch {
		case !held && !(ok && err == nil):
			if o.Seq < t.Seq {
				continue // of what is not held the last is enough to know
			}
		case held && ok && err == nil:
			ai := r.graph.ActorOf(before)
			if r.graph.Reaches(ai, r.graph.ActorOf(lv), t.Seq) >= o.Seq {
				continue
			}
			if bi := r.graph.ActorOf(lv); r.graph.Reaches(bi, ai, o.Seq) >= t.Seq {
				return old // t is on the way to o
			}
		}
		tips = append(tips, o)
	}
	tips.add(t)
	return tips
}

// noteForks reports the forks that a batch, which came from a device, made.
func (r *Replica) noteForks(forks []crdt.Fork, from causal.Device, batch []byte) {
	for _, f := range forks {
		fork := Fork{Actor: f.Ours.Actor, Ours: f.Ours, Theirs: f.Theirs, From: from, By: f.Ours.Actor, Evidence: batch}
		r.noteFork(fork)
		r.metBranch(fork)
	}
}

// compareAgain works out anew what each peer lacks who holds what was not held here, or where a log is forked now: what came may tell.
func (r *Replica) compareAgain(forked bool) {
	for _, p := range r.order {
		if !p.connected || !p.heard || !forked && len(p.apart) == 0 {
			continue
		}
		p.apart = nil
		for t := range p.known.all {
			r.checkTip(p, t)
		}
		r.requeue(p)
	}
}
