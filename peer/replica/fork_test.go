package replica_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/peer/replica"
)

// forked returns four devices: 0 and 1 (a restored backup of 0) wrote two histories under one actor, of the given
// lengths. 2 holds that of 0, and 3 that of 1 and a change of its own that builds on it.
func forked(t *testing.T, long, short int) *network {
	t.Helper()
	w, err := newNetwork(1, 4, false, replica.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	must := func(errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	must(w.commit(0, write("once ")))
	c := w.devices[0].clone("backup")
	w.devices[1] = c
	must(c.start())
	for range long {
		must(w.commit(0, write("mine ")))
	}
	for range short {
		must(w.commit(1, write("other ")))
	}
	// A device connects to one of the two at a time: to others they are the same.
	w.byID[c.id] = 0
	must(w.link(0, 2), w.advance(3_000))
	w.unlink(0, 2)
	w.byID[c.id] = 1
	must(w.link(1, 3), w.advance(3_000))
	w.unlink(1, 3)
	must(w.commit(3, write("upon that ")))
	return w
}

// TestForkProof: whichever of two branches is the longer, both holders notice, and end with a proof that anyone can check:
// a batch signed by the forked actor's own device that verifies alone.
func TestForkProof(t *testing.T) {
	for _, lengths := range [][2]int{{1, 1}, {3, 1}, {1, 3}} {
		t.Run(fmt.Sprint(lengths), func(t *testing.T) {
			w := forked(t, lengths[0], lengths[1])
			if err := errors.Join(w.link(2, 3), w.advance(3_000)); err != nil {
				t.Fatal(err)
			}
			for _, d := range w.devices[2:] {
				forks := d.r.Status(0).Forks
				if len(forks) != 1 || forks[0].Actor != w.devices[0].actor {
					t.Fatalf("%s: forks %v", d.name, forks)
				}
				f := forks[0]
				if f.Claimed() || f.By != f.Actor || f.Ours.Hash == f.Theirs.Hash {
					t.Errorf("%s: %s", d.name, f)
				}
				b, err := crdt.DecodeBatch(f.Evidence)
				if err != nil {
					t.Fatalf("%s: evidence: %v", d.name, err)
				}
				if err := crdt.VerifyAlone(d.store, b, crdt.VerifyEd25519); err != nil {
					t.Errorf("%s: evidence: %v", d.name, err)
				}
				if f.String() == "" {
					t.Error("a fork without a string")
				}
			}
		})
	}
}

// TestForkStaysApart: each holder keeps its branch, takes nothing that builds on the other, and goes on exchanging
// everything else, however the changes are mixed in batches.
func TestForkStaysApart(t *testing.T) {
	w := forked(t, 2, 2)
	a, b := w.devices[2], w.devices[3]
	before := a.r.State().Text("notes").String()
	// A change that builds on neither branch, by an author who never saw the actor: it must reach both.
	e := newDevice("e", replica.Limits{})
	if err := e.start(); err != nil {
		t.Fatal(err)
	}
	w.byID[e.id] = len(w.devices)
	w.devices = append(w.devices, e)
	counter := func(tx *crdt.Tx) error { tx.Counter("visits").Add(1); return nil }
	if err := w.commit(4, counter); err != nil {
		t.Fatal(err)
	}
	// b alone hears of it, without e hearing of the branch: so b's batches to a mix what a takes and what it refuses.
	if err := b.r.StepGossip(e.id, gossiped(t, e), w.now); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.drive(3), w.link(2, 3), w.advance(5_000)); err != nil {
		t.Fatal(err)
	}
	if got := a.r.State().Counter("visits").Int(); got != 1 {
		t.Errorf("what builds on no branch did not arrive: visits is %d", got)
	}
	if got := a.r.State().Text("notes").String(); got != before {
		t.Errorf("a's branch became %q", got)
	}
	if _, ok := a.r.Chains().Graph().LV(causal.Dot{Actor: b.actor, Seq: 1}); ok {
		t.Error("a took a change that builds on the other branch")
	}
	// The disagreement stands, and costs little: no changes are sent in vain, time and again.
	clear(w.messages)
	if err := w.advance(600_000); err != nil {
		t.Fatal(err)
	}
	if n := w.messages["Changes"]; n > 10 {
		t.Errorf("%d batches in ten minutes: %v", n, w.messages)
	}
	// And what a peer claims without a signature is told apart from what is shown.
	liar := &replica.Ack{Tips: []crdt.Tip{{Actor: e.actor, Seq: 1, Hash: crdt.Hash{1}}}}
	if err := a.r.Step(b.id, liar, w.now); err != nil {
		t.Fatal(err)
	}
	for _, f := range a.r.Status(0).Forks {
		if f.Actor == e.actor {
			t.Errorf("a claim about what was known before was listened to: %s", f)
		}
	}
}

// TestForkLeavesNothingSigned: if all that a peer would take ends in no signature, since the change that is signed builds on the
// other branch, it is not sent, and nothing worse comes of it.
func TestForkLeavesNothingSigned(t *testing.T) {
	w := forked(t, 1, 1)
	b := w.devices[3]
	actor := b.newActor()
	counter := func(tx *crdt.Tx) error { tx.Counter("visits").Add(1); return nil }
	// One block, signed once: a change that builds on nothing, and one that builds on all there is.
	_, first := b.r.CommitAs(w.now, nil, actor, counter)
	_, second := b.r.CommitAs(w.now, b.r.State().Version(), actor, counter)
	if err := errors.Join(first, second, w.drive(3), w.link(2, 3), w.advance(30_000)); err != nil {
		t.Fatal(err)
	}
	for _, d := range w.devices[2:] {
		if n := len(d.r.Status(0).Forks); n != 1 {
			t.Errorf("%s: %d forks", d.name, n)
		}
	}
}

// gossiped returns a batch of all that a device holds, as it would be announced.
func gossiped(t *testing.T, d *device) *replica.Changes {
	t.Helper()
	g := d.r.Chains().Graph()
	b, rest, err := d.r.Chains().Cut(d.r.Source(), []causal.Span{{Start: 0, End: g.Len()}}, 0, 0)
	if err != nil || len(rest) > 0 {
		t.Fatal(err, rest)
	}
	return &replica.Changes{Batch: b.AppendTo(nil)}
}
