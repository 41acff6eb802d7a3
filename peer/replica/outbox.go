package replica

import (
	"slices"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// Level says how far a change has got.
type Level struct {
	// Stored: it is durable on this device.
	Stored bool
	// Holders are the other devices known to hold it durably, by their signed delivery record or their own
	// word on an authenticated stream; Missing are the other devices known to share the store that are not known
	// to hold it. Both are sorted.
	Holders, Missing []causal.Device
}

// HeldBy reports whether d is known to hold the change.
func (l Level) HeldBy(d causal.Device) bool {
	_, ok := slices.BinarySearchFunc(l.Holders, d, causal.Device.Compare)
	return ok
}

// HeldByAll reports whether every other known device is known to hold the change, and there is one.
func (l Level) HeldByAll() bool { return len(l.Missing) == 0 && len(l.Holders) > 0 }

// Devices returns the other devices known to share the store, sorted: those that wrote something, that
// a delivery record came from, or that were ever connected as far as that is remembered.
func (r *Replica) Devices() []causal.Device {
	var out []causal.Device
	for _, a := range r.graph.Actors() {
		out = append(out, a.Device)
	}
	for i := range r.records.list {
		out = append(out, r.records.list[i].Device)
	}
	for _, p := range r.order {
		if p.heard || len(p.shared) > 0 || len(p.held) > 0 {
			out = append(out, p.device)
		}
	}
	slices.SortFunc(out, causal.Device.Compare)
	out = slices.Compact(out)
	return slices.DeleteFunc(out, func(d causal.Device) bool { return d == r.cfg.Device })
}

// Delivery returns how far the change that holds d has got. The zero Level means that it is not held here.
func (r *Replica) Delivery(d causal.Dot) Level {
	lv, ok := r.graph.LV(d)
	if !ok {
		return Level{}
	}
	end, ai := r.chains.ChangeAt(lv).Dot, r.graph.ActorOf(lv)
	out := Level{Stored: lv < r.source.stable}
	for _, device := range r.Devices() {
		if r.reached(device, ai) >= end.Seq {
			out.Holders = append(out.Holders, device)
		} else {
			out.Missing = append(out.Missing, device)
		}
	}
	return out
}

// reached returns the last op of the branch with index ai that another device is known to hold.
func (r *Replica) reached(device causal.Device, ai causal.ActorIndex) causal.Seq {
	a, forked := r.graph.Actor(ai), r.graph.IsForked(ai)
	of := func(s summary) causal.Seq {
		tips := s.of(a)
		if forked {
			return r.covered(tips, ai)
		}
		if len(tips) != 1 || r.contradicts(tips[0]) {
			return 0
		}
		return tips[0].Seq
	}
	seq := causal.Seq(0)
	if i, ok := r.records.find(device); ok {
		seq = of(summary(r.records.list[i].Tips))
	}
	if p := r.peers[device]; p != nil {
		seq = max(seq, of(p.held))
		if p.heard {
			seq = max(seq, r.reach(p, ai))
		}
	}
	return seq
}

// contradicts reports whether t is on another branch of its actor's log than the one held.
func (r *Replica) contradicts(t crdt.Tip) bool {
	held, err := r.chains.Holds(t)
	return t.Seq <= r.graph.Last(t.Actor) && (!held || err != nil)
}

// hold remembers how far a peer holds this device's own changes, over its disconnection and a restart.
func (r *Replica) hold(p *peer, t crdt.Tip) {
	if t.Actor.Device != r.cfg.Device || t.Seq > r.graph.Last(t.Actor) || slices.Contains(p.held.of(t.Actor), t) || r.contradicts(t) {
		return
	}
	p.held.replace(t.Actor, r.join(p.held.of(t.Actor), t))
	p.unsaved = true
}

// OutboxQuery selects own changes that have not got far.
type OutboxQuery struct {
	// Slice selects changes with ops on a slice. Empty: all changes.
	Slice string
	// Device selects changes which that device is not known to hold. Zero: those that no other device is.
	Device causal.Device
}

// Outbox yields this device's own changes that q selects, in causal order and without their hashes, until yield returns false. It
// reads them from the log, and returns an error if that fails.
func (r *Replica) Outbox(q OutboxQuery, yield func(crdt.Accepted) bool) error {
	for _, s := range r.outbox(q.Device) {
		stopped := false
		err := r.source.Changes(s, func(a crdt.Accepted) bool {
			if q.Slice != "" && !slices.ContainsFunc(a.Groups, func(g crdt.Group) bool { return g.Slice == q.Slice }) {
				return true
			}
			a.Effective = r.chains.ChangeAt(a.Span.Start).Effective
			stopped = !yield(a)
			return !stopped
		})
		if err != nil || stopped {
			return err
		}
	}
	return nil
}

// OutboxLen returns how many ops of this device a device is not known to hold, or with the zero device, no
// other device is.
func (r *Replica) OutboxLen(device causal.Device) uint64 { return total(r.outbox(device)) }

func (r *Replica) outbox(device causal.Device) []causal.Span {
	devices := []causal.Device{device}
	if device == (causal.Device{}) {
		devices = r.Devices()
	}
	var out []causal.Span
	for i, a := range r.graph.Actors() {
		if a.Device != r.cfg.Device {
			continue
		}
		ai, held := causal.ActorIndex(i), causal.Seq(0)
		for _, d := range devices {
			held = max(held, r.reached(d, ai))
		}
		out = append(out, r.graph.SpansOf(ai, held+1, r.graph.LastOf(ai)+1)...)
	}
	slices.SortFunc(out, func(a, b causal.Span) int { return int(a.Start - b.Start) })
	return out
}
