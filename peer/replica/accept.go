package replica

import (
	"errors"
	"fmt"
	"slices"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/internal/planted"
)

// stepChanges takes in a batch that came from a device on its stream (p) or by gossip (p is nil unless
// the device is connected as well). What the batch builds on may be missing: then it is kept,
// within bounds, and the gap is asked for.
func (r *Replica) stepChanges(from causal.Device, p *peer, m *Changes) error {
	b, err := r.decode(m.Batch)
	if err != nil {
		return r.refuse(from, Malformed, err)
	}
	if parted, err := r.partFrom(from, b); parted || err != nil {
		return err
	}
	ends := batchEnds(b)
	if p != nil && p.heard && len(p.known)+len(ends) > MaxTips {
		return r.refuse(from, OverLimit, fmt.Errorf("replica: a summary of more than %d actors", MaxTips))
	}
	k, rest, err := r.check(b)
	for i := range rest.forks {
		rest.forks[i].From = from
		rest.forks[i].Evidence = m.Batch
	}
	var missing *crdt.MissingError
	switch {
	case err == nil, errors.As(err, &missing):
	case errors.Is(err, crdt.ErrSignature):
		return r.refuse(from, BadSignature, err)
	case errors.Is(err, crdt.ErrInvalid):
		return r.refuse(from, Invalid, err)
	default:
		return fmt.Errorf("replica: check a batch of %s: %w", from, err) // the log cannot be read
	}
	if p != nil && missing == nil && (k == nil || k.Len() == 0) {
		if err := r.idle(p, ChangesType, len(m.Batch)); err != nil {
			return err
		}
	}
	// Nothing below can fail.
	for _, f := range rest.forks {
		r.noteFork(f)
		r.metBranch(f)
	}
	if p != nil {
		p.remaining = m.Remaining
		for _, f := range rest.forks {
			r.part(p, causal.Dot{Actor: f.Actor, Seq: min(f.Ours.Seq, f.Theirs.Seq)})
		}
		if len(rest.forks) > 0 && p.heard {
			r.requeue(p)
		}
	}
	switch {
	case missing != nil:
		r.pending.Add(rest.batch.Clone(), missing.Dots, len(m.Batch))
		r.seekDots(p, missing.Dots[:min(len(missing.Dots), maxGap)])
		return nil
	case k != nil:
		whole := m.Batch
		if k.Len() != b.Len() || rest.batch != b {
			whole = nil // some were held already, or refused, or they are in another order
		}
		r.add(k, whole)
		r.addPending()
	}
	if p == nil {
		return nil
	}
	// The peer gets an answer even if nothing was new: its last one may have been lost.
	for _, d := range ends {
		p.ackOf[d.Actor] = true
	}
	p.sayAck = true
	if p.heard {
		for _, d := range ends {
			if h, ok := r.chains.HashAt(d); ok && len(rest.forks) == 0 {
				r.learn(p, crdt.Tip{Actor: d.Actor, Seq: d.Seq, Hash: h})
			}
		}
		r.land(p)
	}
	return nil
}

// batchEnds returns the last op of each actor in b, by actor.
func batchEnds(b *crdt.Batch) []causal.Dot {
	var out causal.VersionVector
	for run := range b.Runs {
		out = append(out, causal.Dot{Actor: run.Actor, Seq: run.End - 1})
	}
	slices.SortFunc(out, func(a, b causal.Dot) int { return b.Compare(a) })
	out = slices.CompactFunc(out, func(a, b causal.Dot) bool { return a.Actor == b.Actor })
	slices.Reverse(out)
	return out
}

// remainder is what is left of a batch without what forks kept out.
type remainder struct {
	batch *crdt.Batch
	forks []Fork
}

// check checks b, less those of its changes that continue another branch of an actor's log than the one held,
// and all that build on them: they are refused, and the rest goes on. The Checked is nil if nothing
// is left. The changes may come out in another order than b has them in; then the remainder's batch is not b.
func (r *Replica) check(b *crdt.Batch) (*crdt.Checked, remainder, error) {
	rest := remainder{batch: b.Ordered()}
	for {
		k, err := r.chains.Check(rest.batch, r.cfg.Verify)
		var fork *crdt.ForkError
		if !errors.As(err, &fork) {
			return k, rest, err
		}
		rest.forks = append(rest.forks, Fork{Actor: fork.Ours.Actor, Ours: fork.Ours, Theirs: fork.Theirs, By: fork.By})
		pruned := prune(rest.batch, fork.Theirs.Dot())
		if pruned.Len() == 0 {
			return nil, rest, nil
		}
		if pruned.Len() >= rest.batch.Len() {
			panic(fmt.Sprintf("replica: nothing in a batch of %d changes builds on the fork at %s", rest.batch.Len(), fork.Theirs))
		}
		rest.batch = pruned
	}
}

// add makes a checked batch part of the replica and puts it in a block. whole is its encoding if all
// of its changes are new, else nil.
func (r *Replica) add(k *crdt.Checked, whole []byte) {
	if k.Len() == 0 {
		r.chains.Add(k)
		return
	}
	r.seal()
	added := r.chains.Add(k)
	r.metOwn(added.Span())
	first := len(r.source.unstable)
	for a := range added.All {
		r.out.events = append(r.out.events, r.state.Apply(a))
		r.source.unstable = append(r.source.unstable, a)
	}
	if whole == nil {
		whole = r.chains.BatchOf(r.source.unstable[first:]).AppendTo(nil)
	}
	r.addBlock(added.Span(), whole)
}

// addPending takes in the batches for which everything has come, until there is none.
func (r *Replica) addPending() {
	if planted.Is(planted.LostRetry) {
		return
	}
	for {
		batches := r.pending.Ready(func(d causal.Dot) bool { return r.graph.Last(d.Actor) >= d.Seq })
		if len(batches) == 0 {
			return
		}
		for _, b := range batches {
			k, rest, err := r.check(b)
			for _, f := range rest.forks {
				f.Evidence = b.AppendTo(nil)
				r.noteFork(f)
			}
			var missing *crdt.MissingError
			switch {
			case err == nil && k != nil:
				r.add(k, nil)
			case errors.As(err, &missing):
				// What is left without a fork lacks something else; it will be sent again.
			case err != nil:
				r.refused++
			}
		}
	}
}
