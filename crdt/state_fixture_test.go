package crdt

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/atollsync/atoll/crdt/causal"
)

// device is a replica as far as this package goes: chains, a log in memory and a state, with one
// author and a clock that only its own changes move.
type device struct {
	*holder
	state *State
	actor causal.Actor
	clock int64
	last  Event // of the last change, own or not
}

func newDevice(i int) *device {
	h := newHolder()
	return &device{holder: h, state: NewState(h.Chains), actor: actorOf(i), clock: int64(1000 + i)}
}

func newDevices(n int) []*device {
	out := make([]*device, n)
	for i := range out {
		out[i] = newDevice(i)
	}
	// In order of their actors, so that the higher index wins a tie.
	slices.SortFunc(out, func(a, b *device) int { return a.actor.Compare(b.actor) })
	for i := range out {
		out[i].clock = 1000
	}
	return out
}

type fataler interface{ Fatalf(string, ...any) }

// update commits what fn does.
func (d *device) update(t fataler, fn func(tx *Tx)) Accepted {
	d.clock++
	tx := d.state.Begin(d.actor, d.clock)
	fn(&tx)
	a, ev, ok, err := tx.Commit()
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	if ok {
		d.committed(a, ev)
	}
	return a
}

// committed logs and signs an own change.
func (d *device) committed(a Accepted, ev Event) {
	d.log = append(d.log, a)
	d.sign(a)
	d.last = ev
}

// take takes from o what d lacks, change by change as it is applied.
func (d *device) take(t fataler, o *device) []Event {
	before := len(d.log)
	d.pull(t, o.holder, 0, 0)
	var events []Event
	for _, a := range d.log[before:] {
		d.last = d.state.Apply(a)
		events = append(events, d.last)
	}
	return events
}

// meet lets all devices have everything.
func meet(t fataler, all ...*device) {
	for range 2 {
		for _, a := range all {
			for _, b := range all {
				if a != b {
					a.take(t, b)
				}
			}
		}
	}
	for _, d := range all[1:] {
		if got, want := d.state.Digest(), all[0].state.Digest(); got != want {
			t.Fatalf("states differ after the same changes:\n%s\n%s", d.state.JSON(), all[0].state.JSON())
		}
		if got, want := d.state.JSON(), all[0].state.JSON(); got != want {
			t.Fatalf("equal digests, but\n%s\n%s", got, want)
		}
	}
}

// wantJSON checks what all devices show.
func wantJSON(t *testing.T, want string, all ...*device) {
	t.Helper()
	for i, d := range all {
		if got := d.state.JSON(); got != want {
			t.Fatalf("device %d shows\n%s, want\n%s", i, got, want)
		}
	}
}

// concurrently runs one update on each device, none of which has seen the others', and lets them meet.
func concurrently(t *testing.T, all []*device, fns ...func(tx *Tx)) {
	t.Helper()
	for i, fn := range fns {
		if fn != nil {
			all[i].update(t, fn)
		}
	}
	meet(t, all...)
}

// start makes n devices that have seen fn's change.
func start(t *testing.T, n int, fn func(tx *Tx)) []*device {
	t.Helper()
	all := newDevices(n)
	all[0].update(t, fn)
	meet(t, all...)
	for _, d := range all {
		d.clock = 2000
	}
	return all
}

// raw applies ops as a change of d's, whatever a Tx would say. Paths may name any dots.
func (d *device) raw(ops ...*Op) Accepted {
	d.clock++
	slices.SortStableFunc(ops, func(a, b *Op) int { return strings.Compare(a.Path[0].Key, b.Path[0].Key) })
	return d.rawChange(NewChange(d.actor, d.graph.Last(d.actor)+1, d.clock, d.state.Version(), ops))
}

func (d *device) rawChange(c *Change) Accepted {
	a := d.Author(c, slices.Clone(d.state.Heads()))
	d.committed(a, Event{})
	d.last = d.state.Apply(a)
	return a
}

// groups applies raw groups as a change of d's.
func (d *device) groups(groups ...Group) Accepted {
	d.clock++
	c := &Change{Actor: d.actor, Seq: d.graph.Last(d.actor) + 1, Time: d.clock, Groups: groups}
	for _, dep := range d.state.Version() {
		if dep.Actor != d.actor {
			c.Refs = append(c.Refs, dep)
		}
	}
	return d.rawChange(c)
}

// clone is d again, from the log.
func (d *device) clone() *State {
	s := NewState(d.Chains)
	for _, a := range d.log {
		s.ApplyQuietly(a)
	}
	return s
}

func (s *State) describe() string {
	return fmt.Sprint(s.Digest(), s.JSON(), s.Version(), s.Stats(), s.Heads())
}
