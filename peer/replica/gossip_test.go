package replica_test

import (
	"errors"
	"testing"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/peer/replica"
)

// ofMany returns a network of devices that all gossip and are linked, in a store of so many actors.
func ofMany(t *testing.T, devices, actors int) *network {
	t.Helper()
	w, err := newNetwork(1, devices, true, replica.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	w.dueOnly = true
	a := w.devices[0]
	for range actors {
		if _, err := a.r.CommitAs(w.now, nil, a.newActor(), write("x")); err != nil {
			t.Fatal(err)
		}
	}
	for i := range devices {
		for j := range i {
			err = errors.Join(err, w.link(i, j))
		}
	}
	if err := errors.Join(err, w.advance(120_000), w.converged()); err != nil {
		t.Fatal(err)
	}
	clear(w.messages)
	return w
}

// TestGossipInAStoreOfMany: what is gossiped is not acknowledged to everybody each time.
func TestGossipInAStoreOfMany(t *testing.T) {
	const devices, changes = 4, 60
	w := ofMany(t, devices, 48)
	for i := range changes {
		if err := errors.Join(w.commit(i%devices, write("y")), w.advance(5_000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.converged(); err != nil {
		t.Fatal(err)
	}
	// Each author is told at once by each of the others.
	if n := w.messages["Ack"] - changes*(devices-1); n > changes {
		t.Errorf("%d acknowledgements besides those to the authors of %d changes", n, changes)
	}
	if n := w.messages["Digest"]; n > changes {
		t.Errorf("%d digests", n)
	}
	if n := w.messages["Changes"]; n != changes*(devices-1) {
		t.Errorf("%d changes came, want each once to each: %d", n, changes*(devices-1))
	}
	if err := w.advance(60_000); err != nil {
		t.Fatal(err)
	}
	for i, d := range w.devices {
		for j, other := range w.devices {
			if i != j && !d.r.InStep(other.id) {
				t.Errorf("%s does not know that %s holds the same, a minute later", d.name, other.name)
			}
		}
	}
}

// TestLostGossip: what gossip lost comes on a stream, after a pause, and while others write on.
func TestLostGossip(t *testing.T) {
	for _, busy := range []bool{false, true} {
		w := ofMany(t, 3, 48)
		w.drop = 100
		if err := errors.Join(w.commit(0, write("lost")), w.advance(2*latency)); err != nil {
			t.Fatal(err)
		}
		w.drop = 0
		lost := causal.Dot{Actor: w.devices[0].r.Actor(), Seq: 1}
		holds := func(i int) bool {
			_, ok := w.devices[i].r.Chains().Graph().LV(lost)
			return ok
		}
		if holds(1) || holds(2) {
			t.Fatal("nothing was lost")
		}
		seconds := 0
		for ; !holds(1) || !holds(2); seconds++ {
			if seconds == 150 {
				t.Fatalf("busy %v: still lost after %d s", busy, seconds)
			}
			if busy { // at 1, which lacks it, so that nothing builds on it
				if err := w.commit(1, write("on")); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.advance(1_000); err != nil {
				t.Fatal(err)
			}
		}
		if !busy && seconds > 30 {
			t.Errorf("what was lost came after %d s", seconds)
		}
		if err := errors.Join(w.advance(30_000), w.converged()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNotSubscribed: whoever is not subscribed is sent on its stream what the others get by gossip.
func TestNotSubscribed(t *testing.T) {
	w, err := newNetwork(1, 3, true, replica.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	a, b, c := w.devices[0], w.devices[1], w.devices[2]
	c.announce = false
	if err := errors.Join(w.link(0, 1), w.link(0, 2), w.advance(1_000)); err != nil {
		t.Fatal(err)
	}
	pushed := func() (to []causal.Device) {
		t.Helper()
		if _, err := a.r.Commit(w.now, write("x")); err != nil {
			t.Fatal(err)
		}
		rd := a.r.Ready()
		if len(rd.Announce) != 1 {
			t.Errorf("%d announcements", len(rd.Announce))
		}
		for _, e := range rd.Messages {
			if _, ok := e.Message.(*replica.Changes); ok {
				to = append(to, e.To)
			}
		}
		if err := a.write(rd); err != nil {
			t.Fatal(err)
		}
		a.r.Advance()
		return to
	}
	if to := pushed(); len(to) != 1 || to[0] != c.id {
		t.Errorf("pushed to %v, want %v", to, c.id)
	}
	a.r.SetSubscribed(c.id, true)
	if to := pushed(); len(to) != 0 {
		t.Errorf("pushed to %v, who are subscribed", to)
	}
	a.r.SetSubscribed(b.id, false)
	if to := pushed(); len(to) != 1 || to[0] != b.id {
		t.Errorf("pushed to %v, want %v", to, b.id)
	}
}
