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
	var ends []causal.Dot
	if p != nil {
		ends = batchEnds(b)
	}
	if p != nil && p.heard && p.known.len()+len(ends) > MaxTips {
		return r.refuse(from, OverLimit, fmt.Errorf("replica: a summary of more than %d actors", MaxTips))
	}
	ordered := b.Ordered()
	k, err := r.chains.Check(ordered, r.cfg.Verify)
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
	if p != nil {
		p.remaining = m.Remaining
	}
	if missing != nil {
		r.pending.Add(ordered.Clone(), missing.Tips, len(m.Batch))
		r.seekTips(p, missing.Tips[:min(len(missing.Tips), maxGap)])
		return nil
	}
	tips := r.endsOf(k)
	r.noteForks(k.Forks(), from, m.Batch)
	whole := m.Batch
	if k.Len() != b.Len() || ordered != b {
		whole = nil // some were held already, or they are in another order
	}
	r.add(k, whole)
	r.addPending()
	if p == nil {
		return nil
	}
	// The peer gets an answer even if nothing was new: its last one may have been lost.
	for _, d := range ends {
		p.ackOf[d.Actor] = true
	}
	p.sayAck = true
	if p.heard {
		if tips == nil {
			for _, d := range ends {
				if h, ok := r.chains.HashAt(d); ok {
					r.learn(p, crdt.Tip{Actor: d.Actor, Seq: d.Seq, Hash: h})
				}
			}
		}
		for _, t := range tips {
			r.learn(p, t)
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

// endsOf returns the ends of a checked batch where their dots alone do not tell, nil if they do. It is to be
// called before the batch is added.
func (r *Replica) endsOf(k *crdt.Checked) []crdt.Tip {
	if !r.graph.Forked() && len(k.Forks()) == 0 {
		return nil
	}
	return k.Ends()
}

// add makes a checked batch part of the replica and puts it in a block. whole is its encoding if all
// of its changes are new, else nil.
func (r *Replica) add(k *crdt.Checked, whole []byte) {
	if k.Len() == 0 {
		r.chains.Add(k)
		return
	}
	r.seal()
	forked := len(k.Forks()) > 0
	added := r.chains.Add(k)
	r.metOwn(added.Span())
	first := len(r.source.unstable)
	r.source.unstable = slices.Grow(r.source.unstable, added.Len())
	if r.cfg.Brief {
		r.state.ApplyAll(added)
		notes := make([]crdt.ChangeNote, 0, added.Len())
		for a := range added.All {
			notes = append(notes, crdt.ChangeNote{Dot: a.Dot(), Len: a.Span.Len(), Actor: a.Actor, Time: a.Time, Effective: a.Effective})
			r.source.unstable = append(r.source.unstable, a)
		}
		r.out.events = append(r.out.events, crdt.Event{Changes: notes})
	} else {
		for a := range added.All {
			r.out.events = append(r.out.events, r.state.Apply(a))
			r.source.unstable = append(r.source.unstable, a)
		}
	}
	if whole == nil {
		whole = r.chains.AppendBatch(nil, r.source.unstable[first:])
	}
	r.addBlock(added.Span(), whole, added.Len())
	if r.graph.Forked() {
		r.compareAgain(forked)
	}
}

// addPending takes in the batches for which everything has come, until there is none.
func (r *Replica) addPending() {
	if planted.Is(planted.LostRetry) {
		return
	}
	for {
		batches := r.pending.Ready(r.holds)
		if len(batches) == 0 {
			return
		}
		for _, b := range batches {
			k, err := r.chains.Check(b, r.cfg.Verify)
			if err != nil {
				r.refused++
				continue
			}
			if forks := k.Forks(); len(forks) > 0 {
				r.noteForks(forks, causal.Device{}, b.AppendTo(nil))
			}
			r.add(k, nil)
		}
	}
}
