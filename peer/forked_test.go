package peer

import (
	"context"
	"testing"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/storage/storagetest"
)

// forkedStore returns a device with a store in whose log another device's log has two branches.
func forkedStore(t *testing.T) (*device, *Store) {
	t.Helper()
	a := newDevice(t, "a")
	s := a.create("forked")
	blocks, err := storagetest.Forked(s.ID())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.log.Append(blocks...); err != nil {
		t.Fatal(err)
	}
	a.reopen()
	return a, a.store("forked")
}

// The past of a store with a forked log is read like any other: its log, what it showed, and what happened since, each change once.
func TestForkedPast(t *testing.T) {
	a, s := forkedStore(t)
	if got := show(t, s); got != storagetest.ForkedShows {
		t.Fatalf("shows %s", got)
	}
	if st := s.Status(); len(st.Forks) != 1 || st.Changes != 7 {
		t.Errorf("forks: %v, %d changes", st.Forks, st.Changes)
	}
	var entries []LogEntry
	for e, err := range s.Log(ctxFor(t)) {
		if err != nil {
			t.Fatal(err)
		}
		if tip, err := s.rep.Chains().TipAt(e.Span.End - 1); err != nil || e.Hash != tip.Hash || !e.Signed {
			t.Errorf("%v has hash %v, signed %v; it is %v (%v)", e.Dot(), e.Hash, e.Signed, tip.Hash, err)
		}
		entries = append(entries, e)
	}
	if len(entries) != 7 {
		t.Fatalf("the log has %d changes", len(entries))
	}
	// Where a version is all there was at some time, no dot of it means two changes.
	for i, want := range []string{
		`{"seen":{"left":false}}`,
		`{"left":["left"],"seen":{"left":false}}`,
		`{"left":["left"],"seen":{"left":true}}`,
	} {
		since := crdt.Version{entries[i].Dot()}
		st, err := s.At(ctxFor(t), since)
		if err != nil {
			t.Fatal(err)
		}
		if got := st.JSON(); got != want {
			t.Errorf("at %v it showed %s, want %s", since, got, want)
		}
		ctx, cancel := context.WithCancel(ctxFor(t))
		w := watch(ctx, s, since, false)
		seen := 0
		for seen < len(entries)-i-1 {
			seen += len((<-w.events).Changes)
		}
		if seen != len(entries)-i-1 {
			t.Errorf("from %v on %d changes were seen", since, seen)
		}
		cancel()
	}
	if st, err := s.At(ctxFor(t), version(t, s)); err != nil || st.JSON() != storagetest.ForkedShows {
		t.Errorf("at the latest version: %v, %v", st, err)
	}
	// Both branches are passed on, and the store is written on.
	b := newDevice(t, "b").run()
	sb := b.join(a.run().store("forked").Ticket())
	put(t, sb, "and", "on")
	converged(t, s, sb)
	if st := sb.Status(); len(st.Forks) != 1 || st.Changes != 8 {
		t.Errorf("b: forks: %v, %d changes", st.Forks, st.Changes)
	}
}
