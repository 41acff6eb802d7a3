package peer

import (
	"context"
	"slices"
	"testing"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/storage/storagetest"
)

// forkedStore returns a device with a store in whose log another device's log has two branches: the first blocks of it.
func forkedStore(t *testing.T, first int) (*device, *Store) {
	t.Helper()
	a := newDevice(t, "a")
	s := a.create("forked")
	blocks, err := storagetest.Forked(s.ID())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.log.Append(blocks[:first]...); err != nil {
		t.Fatal(err)
	}
	a.reopen()
	return a, a.store("forked")
}

// The past of a store with a forked log is read like any other: its log, what it showed, and what happened since, each change once.
func TestForkedPast(t *testing.T) {
	a, s := forkedStore(t, 7)
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

// Who goes on watching a forked log sees each change once, in causal order, from whatever it has seen on.
func TestForkedWatch(t *testing.T) {
	for blocks := 4; blocks <= 7; blocks++ {
		_, s := forkedStore(t, blocks)
		var log []crdt.Dot
		var ends []causal.LV
		for e, err := range s.Log(ctxFor(t)) {
			if err != nil {
				t.Fatal(err)
			}
			log, ends = append(log, e.Dot()), append(ends, e.Span.End-1)
		}
		ctx, cancel := context.WithCancel(ctxFor(t))
		defer cancel()
		g := s.rep.Chains().Graph()
		watchers := make([]*watcher, len(log)+1)
		for n := range watchers {
			since := g.Version(g.Maximal(ends[:n]))
			watchers[n] = watch(ctx, s, since, true)
			st, err := s.At(ctx, since)
			if err != nil {
				t.Fatal(err)
			}
			want, err := s.newPast(0).replay(ctx, causal.AppendSpan(nil, causal.Span{End: append([]causal.LV{-1}, ends...)[n] + 1}))
			if err != nil {
				t.Fatal(err)
			}
			if st.JSON() != want.JSON() {
				t.Errorf("of %d blocks, after %d changes, at %v, it showed %s, want %s", blocks, n, since, st.JSON(), want.JSON())
			}
		}
		check := func(n int, want []crdt.Dot) {
			t.Helper()
			e := <-watchers[n].events
			var got []crdt.Dot
			for _, c := range e.Changes {
				got = append(got, c.Dot)
			}
			if !slices.Equal(got, want) {
				t.Errorf("of %d blocks, after %d changes, from %v to %v: %v, want %v", blocks, n, e.From, e.To, got, want)
			}
		}
		for n := range log {
			check(n, log[n:])
		}
		// While they are busy, so much comes that it must be read from the log.
		next := []crdt.Dot{put(t, s, "and", "on")}
		check(len(log), next) // who had seen everything waited
		s.forgetEvents()
		for n := range log {
			watchers[n].next <- struct{}{}
			check(n, next)
		}
	}
}
