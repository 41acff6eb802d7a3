package simulations

import (
	"errors"
	"fmt"
	"time"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/peer/replica"
)

// input deals with something that happened, at once or when what is being written is durable.
func (d *Device) input(in input) {
	if d.r == nil {
		if in.done != nil {
			in.done(ErrDown)
		}
		return
	}
	if d.syncing || len(d.inbox) > 0 || d.busy > d.sim.now {
		d.inbox = append(d.inbox, in)
		if !d.syncing && len(d.inbox) == 1 {
			d.sim.queue.push(happening{at: d.busy, device: d, what: resume})
		}
		return
	}
	d.take(in)
	d.work()
}

// greet connects the replica to a peer.
func (d *Device) greet(peer *Device) {
	d.r.Connect(peer.id, d.now())
	d.r.SetSubscribed(peer.id, peer.gossiping)
}

// take hands one input to the replica.
func (d *Device) take(in input) {
	s := d.sim
	switch {
	case in.parcel != nil:
		d.takeParcel(in.parcel)
		s.done(in.parcel)
	case in.connect != nil:
		d.greet(in.connect)
		d.subscribe()
	case in.disconnect != nil:
		d.r.Disconnect(in.disconnect.id)
		d.subscribe()
	case in.subscribed != nil:
		d.r.SetSubscribed(in.subscribed.id, in.subscribed.gossiping)
	case in.op != nil && d.readOnly:
		in.done(errDiskFull)
	case in.op != nil:
		dot, err := d.r.Commit(d.now(), in.op)
		if err != nil || dot.IsZero() {
			in.done(err)
			return
		}
		s.trace.note(s.now, markCommit, d.number, int(dot.Seq), 0, func() string { return fmt.Sprintf("%s commits %s", d.name, s.text(dot)) })
		if d.clock != (Clock{}) {
			s.faults.saw(faultSkew)
		}
		d.waiting = append(d.waiting, waiting{dot, in.done})
	}
}

// undo takes back the device's own last change.
func (d *Device) undo(tx *crdt.Tx) error {
	last := d.r.Chains().Graph().Last(d.disk.actor)
	if last == 0 {
		return fmt.Errorf("undo: %w", errNotThere)
	}
	tx.Undo(d.r.Source(), causal.Dot{Actor: d.disk.actor, Seq: last}, nil)
	return tx.Err()
}

// takeParcel hands a message to the replica.
func (d *Device) takeParcel(p *parcel) {
	s := d.sim
	m := p.message
	if p.gossip != nil {
		m = p.gossip.message
	}
	var err error
	if p.raw != nil {
		m, err = replica.DecodeMessage(p.raw)
		if err != nil {
			err = &replica.RefusedError{Peer: p.from.id, Reason: replica.Malformed, Err: err}
		}
	} else if s.travels(p) {
		// The long way, as over a wire.
		if m, err = replica.DecodeMessage(m.AppendTo(nil)); err != nil {
			s.fail(checkHonest, d, fmt.Sprintf("%s sent what is no message: %v", p.from.name, err))
			return
		}
	}
	if p.lie != "" && p.lie != Garbage && p.lie != Forge { // those count when they are refused
		s.faults.saw(lieFaults[p.lie])
	}
	before := d.r.Chains().Len()
	gap := d.pending
	if _, changes := m.(*replica.Changes); d.readOnly && (changes || p.gossip != nil) {
		return // it cannot be made durable
	}
	if err == nil {
		if p.gossip != nil {
			err = d.r.StepGossip(p.gossip.from, m, d.now())
		} else {
			err = d.r.Step(p.from.id, m, d.now())
		}
	}
	grown := d.r.Chains().Len() - before
	d.applied += grown
	s.applied += grown
	if !d.gossiping && d.actors != len(d.r.Chains().Graph().Actors()) {
		d.subscribe()
	}
	if d.group.Slow > 0 && grown > 0 {
		d.busy = s.now + time.Duration(grown)*d.group.Slow
		s.faults.saw(faultSlow)
	}
	d.pending = d.r.PendingBytes()
	d.maxPending = max(d.maxPending, d.pending)
	if d.pending > gap {
		s.faults.saw(faultGap)
	}
	if p.gossip != nil && err == nil {
		s.spread(d, p.from, p.gossip)
	}
	var refused *replica.RefusedError
	switch {
	case err == nil, errors.Is(err, replica.ErrNotConnected):
	case errors.As(err, &refused):
		d.refused(p, refused)
	default:
		s.fail(checkHonest, d, err.Error())
	}
}

// refused counts a refusal against whom it came from, and cuts it off after too many.
func (d *Device) refused(p *parcel, err *replica.RefusedError) {
	s := d.sim
	s.faults.saw(faultRefused)
	s.trace.note(s.now, markRefused, d.number, p.from.number, int(err.Reason), func() string { return d.name + " refuses: " + err.Error() })
	d.accuse(p.from, p.link, err)
}

// drain takes what came while the device was busy.
func (d *Device) drain() {
	s := d.sim
	for d.r != nil && !d.syncing && len(d.inbox) > 0 {
		if d.busy > s.now {
			s.queue.push(happening{at: d.busy, device: d, what: resume})
			return
		}
		// All that waits shares one write, as in a node.
		in := d.inbox[0]
		d.inbox = d.inbox[1:]
		d.take(in)
		if len(d.inbox) == 0 || d.busy > s.now {
			d.work()
		}
	}
	if len(d.inbox) == 0 {
		d.inbox = nil
		d.work()
	}
}
