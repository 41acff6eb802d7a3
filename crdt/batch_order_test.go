package crdt

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt/causal"
)

// TestOrdered: a batch in another order is the same batch, in causal order, and once more so.
func TestOrdered(t *testing.T) {
	changed := 0
	rapid.Check(t, func(t *rapid.T) {
		h := typeTogether(t, 100)
		b := h.BatchOf(h.log)
		got := b.Ordered()
		if got != b {
			changed++
		}
		enc := got.AppendTo(nil)
		if again, err := DecodeBatch(enc); err != nil || !bytes.Equal(again.AppendTo(nil), enc) {
			t.Fatalf("%x decodes to something else, %v", enc, err)
		}
		if got.Len() != b.Len() || got.Ops() != b.Ops() {
			t.Fatalf("%d changes of %d ops, want %d of %d", got.Len(), got.Ops(), b.Len(), b.Ops())
		}
		o := newHolder()
		k, err := o.Check(got, quickVerify)
		if err != nil {
			t.Fatal(err)
		}
		o.Add(k)
		if o.Digest() != h.Digest() {
			t.Fatal("digests differ")
		}
	})
	if changed == 0 && !testing.Short() {
		t.Error("no batch was put in another order")
	}
}

// TestMayBranch: whatever has more than two branches at once may, also where what is in columns is seen by others in part.
func TestMayBranch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := typeTogether(t, 60)
		b := h.BatchOf(h.log)
		var g causal.Graph
		most := 0
		for _, a := range h.log {
			g.Add(a.Actor, a.Seq, a.Span.Len(), h.graph.Parents(a.Span.Start))
			most = max(most, len(g.Heads()))
		}
		if most > 2 && !b.mayBranch() {
			t.Fatalf("%d branches at once are not told", most)
		}
	})
}

// TestMayNotBranch: three who take turns are told without a look at each change.
func TestMayNotBranch(t *testing.T) {
	h := newHolder()
	var seen []causal.LV
	turn := func(actor int) {
		for i := range 2 * leastTyping {
			a := h.authorAt(seen, actorOf(actor), 1, typed("notes", i, "x"))
			seen = []causal.LV{a.Span.End - 1}
		}
	}
	for i := range 9 {
		turn(i % 3)
	}
	if b := h.BatchOf(h.log); b.mayBranch() || len(b.parts) != 2*9-1 {
		t.Errorf("%d parts by those who take turns may branch", len(b.parts))
	}
	from := seen
	for i := range 3 {
		seen = from
		if turn(i); h.BatchOf(h.log).mayBranch() != (i == 2) {
			t.Errorf("with %d branches", i+1)
		}
	}
}

// TestOrderedInvalid: what is not in causal order stays so.
func TestOrderedInvalid(t *testing.T) {
	h := newHolder()
	first := h.author(actorOf(0), 1, typed("notes", 0, "a"))
	for i := range 4 {
		h.authorAt([]causal.LV{first.Span.End - 1}, actorOf(1+i), 2, typed("notes", 0, "b"))
	}
	b := h.BatchOf(h.log).clone()
	b.Changes[0], b.Changes[4] = b.Changes[4], b.Changes[0]
	whole := b.batch()
	if whole.Ordered() != whole {
		t.Error("it was put in order")
	}
}
