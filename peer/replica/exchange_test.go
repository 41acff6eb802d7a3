package replica_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/peer/replica"
)

// TestNothingIsSentTwice: what a peer got from others while it waited for its turn is not sent to it again.
func TestNothingIsSentTwice(t *testing.T) {
	w, err := newNetwork(1, 3, false, replica.Limits{Window: 1})
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if _, err := w.devices[0].r.Commit(w.now, write(strings.Repeat("x", 100_000))); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.drive(0), w.link(0, 1), w.advance(3_000), w.converged()); err == nil {
		t.Fatal("2 holds what it never got")
	}
	// 2 gets a first batch from each; then the one from 1 goes on, while 0 hears how far it is and falls silent.
	if err := errors.Join(w.link(1, 2), w.advance(2*latency+5)); err != nil {
		t.Fatal(err)
	}
	clear(w.messages)
	if err := errors.Join(w.link(0, 2), w.advance(3_000), w.converged()); err != nil {
		t.Fatal(err)
	}
	// Ten changes of 100 kB are five batches; both may send each once before they hear of the other's.
	if n := w.messages["Changes"]; n > 8 {
		t.Errorf("%d batches for five: %v", n, w.messages)
	}
	d := w.devices[0].r
	if s, _ := d.Peer(w.devices[2].id); !s.InSync || s.Lacks != 0 || s.Unacked != 0 {
		t.Errorf("0 thinks of 2: %+v", s)
	}
}

// TestAckTakesOffTheQueue: an Ack of what was not sent yet takes it off the queue.
func TestAckTakesOffTheQueue(t *testing.T) {
	d := start(t, "a", replica.Limits{Window: 1})
	for range 10 {
		if _, err := d.r.Commit(1, write(strings.Repeat("x", 100_000))); err != nil {
			t.Fatal(err)
		}
	}
	quiet(t, d)
	other := start(t, "b", replica.Limits{})
	d.r.Connect(other.id, 1)
	if err := d.r.Step(other.id, &replica.Have{Digest: other.r.Digest()}, 1); err != nil {
		t.Fatal(err)
	}
	sent := 0
	count := func() {
		t.Helper()
		if err := d.drive(func(_ causal.Device, _ bool, message []byte) {
			if m, err := replica.DecodeMessage(message); err == nil && m.Type() == replica.ChangesType {
				sent++
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	count()
	if sent != 1 {
		t.Fatalf("%d batches in a window of one byte", sent)
	}
	if err := d.r.Step(other.id, &replica.Ack{Tips: d.r.Chains().Tips()}, 2); err != nil {
		t.Fatal(err)
	}
	count()
	if s, _ := d.r.Peer(other.id); sent != 1 || !s.InSync || s.InFlight != 0 {
		t.Errorf("%d batches for a peer that has it all: %+v", sent, s)
	}
}

// TestLostRecordsAreRepaired: delivery records that vanish are noticed when digests are compared.
func TestLostRecordsAreRepaired(t *testing.T) {
	w, err := newNetwork(1, 3, false, replica.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.link(0, 1), w.link(1, 2), w.commit(0, write("x")), w.advance(100)); err != nil {
		t.Fatal(err)
	}
	dot := causal.Dot{Actor: w.devices[0].actor, Seq: 1}
	for range 500 {
		// Whatever has a record in it is lost, for five seconds.
		kept := w.queue[:0]
		for _, p := range w.queue {
			if m, err := replica.DecodeMessage(p.message); err != nil || m.Type() != replica.RecordsType {
				kept = append(kept, p)
			}
		}
		w.queue = kept
		if err := w.advance(latency / 2); err != nil {
			t.Fatal(err)
		}
	}
	if w.devices[0].r.Delivery(dot).HeldBy(w.devices[2].id) {
		t.Fatal("the record came through")
	}
	if err := w.advance(60_000); err != nil {
		t.Fatal(err)
	}
	if l := w.devices[0].r.Delivery(dot); !l.HeldByAll() || len(l.Holders) != 2 {
		t.Errorf("a minute later: %+v", l)
	}
}

// TestWhatAPeerHoldsSurvivesRestart: that a peer acknowledged a change is remembered even if the peer is never heard of again.
func TestWhatAPeerHoldsSurvivesRestart(t *testing.T) {
	w, err := newNetwork(1, 2, false, replica.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.link(0, 1), w.advance(1_000), w.commit(0, write("x")), w.advance(2*latency+5)); err != nil {
		t.Fatal(err)
	}
	d := w.devices[0]
	if n := d.r.OutboxLen(causal.Device{}); n != 0 {
		t.Fatalf("%d ops in the outbox after the Ack", n)
	}
	w.unlink(0, 1)
	if err := w.drive(0); err != nil {
		t.Fatal(err)
	}
	d.crash()
	clear(d.records)
	if err := d.start(); err != nil {
		t.Fatal(err)
	}
	if n := d.r.OutboxLen(causal.Device{}); n != 0 {
		t.Errorf("%d ops in the outbox after a restart", n)
	}
}

// TestForwardingEndsInSignatures: a Tick between two commits that share a block does not part them: what is later sent on a
// stream for want of gossip is whole.
func TestForwardingEndsInSignatures(t *testing.T) {
	w, err := newNetwork(1, 2, true, replica.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.link(0, 1), w.advance(1_000)); err != nil {
		t.Fatal(err)
	}
	d := w.devices[0]
	for range 3 {
		if _, err := d.r.Commit(w.now, write("x")); err != nil {
			t.Fatal(err)
		}
		w.now += 150
		d.r.Tick(w.now)
	}
	quiet(t, d) // the announcement is lost
	clear(w.messages)
	if err := errors.Join(w.advance(1_700), w.converged()); err != nil {
		t.Fatal(err)
	}
	if w.messages["Changes"] != 1 || w.messages["Have"] != 0 {
		t.Errorf("messages: %v", w.messages)
	}
}

// TestHaveBetweenTwoWrites: a summary that comes between two writes which share a block does not part them: only the
// end of the block is signed, and with a topic nothing else brings up what follows.
func TestHaveBetweenTwoWrites(t *testing.T) {
	for _, gossip := range []bool{false, true} {
		w, err := newNetwork(1, 2, gossip, replica.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.link(0, 1), w.advance(1_000)); err != nil {
			t.Fatal(err)
		}
		a, b := w.devices[0], w.devices[1]
		have := &replica.Have{Digest: b.r.Digest(), Tips: b.r.Chains().Tips()}
		_, first := a.r.Commit(w.now, write("x"))
		stepped := a.r.Step(b.id, have, w.now)
		_, second := a.r.Commit(w.now, write("y"))
		if err := errors.Join(first, stepped, second); err != nil {
			t.Fatal(err)
		}
		quiet(t, a) // whatever is sent is lost
		if s, _ := a.r.Peer(b.id); s.InSync || s.Lacks != 2 {
			t.Errorf("gossip %v: b lacks %d ops, want 2", gossip, s.Lacks)
		}
		clear(w.messages)
		if err := errors.Join(w.advance(12_000), w.converged()); err != nil {
			t.Fatal(err)
		}
		if gossip && (w.messages["Changes"] != 1 || w.messages["Have"] != 0) {
			t.Errorf("messages: %v, want what was not gossiped to go on the stream", w.messages)
		}
	}
}

// TestPastStatesAreNotReusedAcrossBranches: two authors who each go on at what they saw, and now and then see the other's.
func TestPastStatesAreNotReusedAcrossBranches(t *testing.T) {
	d := start(t, "a", replica.Limits{})
	one, two := d.newActor(), d.newActor()
	first, err := d.r.Commit(1, write("0123456789"))
	if err != nil {
		t.Fatal(err)
	}
	at := map[causal.Actor]causal.Version{one: {first}, two: {first}}
	insert := func(a causal.Actor, pos int, s string) {
		t.Helper()
		dot, err := d.r.CommitAs(2, at[a], a, func(tx *crdt.Tx) error {
			tx.Text("notes").Insert(pos, s)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		at[a] = causal.Version{dot}
	}
	join := func(a, b causal.Actor) { at[a] = version(at[a][0], at[b][0]) }
	insert(one, 2, "a")
	insert(two, 4, "b")
	seen := at[two]
	insert(one, 3, "c")
	insert(two, 5, "d")
	at[one] = version(at[one][0], seen[0]) // one sees an older change of two, whose local version is below its own last
	insert(one, 6, "e")
	join(two, one)
	insert(two, 0, "f")
	quiet(t, d)
	want := d.r.State().JSON()
	d.crash()
	if err := d.start(); err != nil {
		t.Fatal(err)
	}
	if got := d.r.State().JSON(); got != want || len(d.r.State().Text("notes").String()) != 16 {
		t.Errorf("got %s, from the disk %s", want, got)
	}
}

// TestEqualPairSaysNothing: a driver that has compared the digests of all shared stores at once says so on the peer's
// behalf, and no Have goes out; changes made from then on do.
func TestEqualPairSaysNothing(t *testing.T) {
	w, err := newNetwork(1, 2, false, replica.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.link(0, 1), w.commit(0, write("x")), w.advance(3_000)); err != nil {
		t.Fatal(err)
	}
	w.unlink(0, 1)
	clear(w.messages)
	w.linked[pair(0, 1)] = true
	for i := range 2 {
		d, other := w.devices[i], w.devices[1-i].id
		d.r.Connect(other, w.now)
		if err := d.r.Step(other, &replica.Digest{Digest: d.r.Digest()}, w.now); err != nil {
			t.Fatal(err)
		}
		if d.r.HasReady() {
			t.Errorf("%s has something to say: %s", d.name, d.r.Ready())
		}
	}
	if err := errors.Join(w.commit(0, write("y")), w.advance(2*latency+5), w.converged()); err != nil {
		t.Fatal(err)
	}
	if w.messages["Have"] != 0 || w.messages["Changes"] != 1 {
		t.Errorf("messages: %v", w.messages)
	}
}
