package peer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// watcher follows a store in a goroutine and checks what Watch promises.
type watcher struct {
	events chan crdt.Event
	err    chan error
	next   chan struct{} // nil: as fast as it can
}

func watch(ctx context.Context, s *Store, since crdt.Version, stepwise bool) *watcher {
	w := &watcher{events: make(chan crdt.Event, 1<<14), err: make(chan error, 1)}
	if stepwise {
		w.next = make(chan struct{})
	}
	go func() {
		for e, err := range s.Watch(ctx, since) {
			if err != nil {
				w.err <- err
				return
			}
			w.events <- e
			if w.next != nil {
				select {
				case <-w.next:
				case <-ctx.Done():
				}
			}
		}
		w.err <- errors.New("Watch ended without an error")
	}()
	return w
}

// follow applies events to what a watcher has seen, and checks order and uniqueness.
type follow struct {
	t    *testing.T
	at   crdt.Version
	seen map[crdt.Dot]bool
	last map[crdt.Actor]crdt.Seq
}

func (f *follow) take(e crdt.Event) {
	f.t.Helper()
	if !e.From.Equal(f.at) {
		f.t.Errorf("an event begins at %v, the one before it ended at %v", e.From, f.at)
	}
	f.at = e.To
	if f.seen == nil {
		f.seen, f.last = make(map[crdt.Dot]bool), make(map[crdt.Actor]crdt.Seq)
	}
	for _, c := range e.Changes {
		if f.seen[c.Dot] {
			f.t.Errorf("the change %v came twice", c.Dot)
		}
		if f.last[c.Actor] >= c.Dot.Seq {
			f.t.Errorf("the change %v came after %d of its actor", c.Dot, f.last[c.Actor])
		}
		f.seen[c.Dot], f.last[c.Actor] = true, c.Dot.Seq
	}
}

func TestWatchFast(t *testing.T) {
	a := newDevice(t, "a")
	s := a.create("list")
	put(t, s, "before", 0)
	since := version(t, s)
	w := watch(ctxFor(t), s, since, false)
	f := follow{t: t, at: since}
	for i := range 20 {
		dot := put(t, s, fmt.Sprint(i), i)
		e := <-w.events
		f.take(e)
		if len(e.Changes) != 1 || e.Changes[0].Dot != dot || len(e.Edits) == 0 {
			t.Fatalf("event %d: %+v, want the one change %v", i, e, dot)
		}
	}
	if !f.at.Equal(version(t, s)) {
		t.Errorf("the watcher is at %v, the store at %v", f.at, version(t, s))
	}
}

// A slow watcher gets fewer and larger events, also when it is so slow that the ring has moved on.
func TestWatchSlow(t *testing.T) {
	for _, n := range []int{50, 3 * maxRingEvents} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			a := newDevice(t, "a")
			s := a.create("list")
			w := watch(ctxFor(t), s, nil, true)
			put(t, s, "first", 0)
			f := follow{t: t}
			f.take(<-w.events) // and now it is busy
			for i := range n {
				put(t, s, fmt.Sprint(i%10), i)
			}
			if len(s.ring.items) > maxRingEvents || s.ring.weight > maxRingWeight+1<<16 {
				t.Errorf("the ring holds %d events of %d bytes", len(s.ring.items), s.ring.weight)
			}
			events := 0
			for len(f.seen) < n+1 {
				w.next <- struct{}{}
				f.take(<-w.events)
				events++
			}
			if !f.at.Equal(version(t, s)) {
				t.Errorf("the watcher is at %v, the store at %v", f.at, version(t, s))
			}
			if events >= n/2 {
				t.Errorf("%d changes came in %d events: a slow watcher is to get fewer, larger ones", n, events)
			}
			put(t, s, "after", 1)
			w.next <- struct{}{}
			f.take(<-w.events)
			if len(f.seen) != n+2 {
				t.Errorf("saw %d changes, want %d", len(f.seen), n+2)
			}
		})
	}
}

// A watcher may start from any version, also from one branch of several.
func TestWatchFromAnyVersion(t *testing.T) {
	a := newDevice(t, "a")
	s := a.create("list")
	var versions []crdt.Version
	versions = append(versions, nil)
	for i := range 5 {
		put(t, s, fmt.Sprint("main", i), i)
		versions = append(versions, version(t, s))
	}
	base := versions[2]
	var branches []crdt.Dot
	for i := range 3 {
		dot, err := s.UpdateAt(ctxFor(t), base, func(tx *crdt.Tx) error {
			tx.Map("m").Put(fmt.Sprint("branch", i), i)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		branches = append(branches, dot)
		versions = append(versions, version(t, s), crdt.Version{dot})
	}
	total := s.Status().Changes
	for _, since := range versions {
		ctx, cancel := context.WithCancel(ctxFor(t))
		w := watch(ctx, s, since, false)
		want, err := s.At(ctx, since)
		if err != nil {
			t.Fatal(err)
		}
		had := len(changesIn(t, s, since))
		f := follow{t: t, at: want.Version()}
		for len(f.seen) < total-had {
			f.take(<-w.events)
		}
		if !f.at.Equal(version(t, s)) {
			t.Errorf("from %v: ends at %v, the store is at %v", since, f.at, version(t, s))
		}
		cancel()
		if err := <-w.err; !errors.Is(err, context.Canceled) {
			t.Errorf("from %v: ended with %v, want the context's cause", since, err)
		}
	}
	unknown := crdt.Version{{Actor: branches[0].Actor, Seq: 99}}
	if err := <-watch(ctxFor(t), s, unknown, false).err; !errors.Is(err, ErrUnknownVersion) {
		t.Errorf("from an unknown version: %v, want ErrUnknownVersion", err)
	}
	if _, err := s.At(ctxFor(t), unknown); !errors.Is(err, ErrUnknownVersion) {
		t.Errorf("At an unknown version: %v, want ErrUnknownVersion", err)
	}
	w := watch(ctxFor(t), s, version(t, s), false)
	if err := a.Forget(ctxFor(t), "list"); err != nil {
		t.Fatal(err)
	}
	if err := <-w.err; !errors.Is(err, ErrForgotten) {
		t.Errorf("after Forget: %v, want ErrForgotten", err)
	}
}

// changesIn returns the changes in the history of a version.
func changesIn(t *testing.T, s *Store, v crdt.Version) []crdt.Dot {
	t.Helper()
	s.mu.RLock()
	history, err := s.historyOf(v)
	s.mu.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	var out []crdt.Dot
	for e, err := range s.Log(ctxFor(t)) {
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(history, func(h causal.Span) bool { return h.Contains(e.Span.Start) }) {
			out = append(out, e.Dot())
		}
	}
	return out
}

func TestAtAndLog(t *testing.T) {
	a := newDevice(t, "a")
	s := a.create("list")
	var shown []string
	var versions []crdt.Version
	var dots []crdt.Dot
	for i := range 10 {
		dots = append(dots, put(t, s, "k", i))
		shown = append(shown, show(t, s))
		versions = append(versions, version(t, s))
	}
	for i, v := range versions {
		st, err := s.At(ctxFor(t), v)
		if err != nil {
			t.Fatalf("At %v: %v", v, err)
		}
		if got := st.JSON(); got != shown[i] || !st.Version().Equal(v) {
			t.Errorf("At %v shows %s at %v, want %s", v, got, st.Version(), shown[i])
		}
	}
	i := 0
	for e, err := range s.Log(ctxFor(t)) {
		if err != nil {
			t.Fatal(err)
		}
		parents := crdt.Version{}
		if i > 0 {
			parents = crdt.Version{dots[i-1]}
		}
		if e.Dot() != dots[i] || !e.Parents.Equal(parents) || e.Time == 0 || e.Effective == 0 {
			t.Errorf("Log entry %d: %v after %v, want %v after %v", i, e.Dot(), e.Parents, dots[i], parents)
		}
		i++
	}
	if i != len(dots) {
		t.Errorf("Log gave %d changes, want %d", i, len(dots))
	}
	// By a named actor, against its own last version alone.
	nonce := [causal.NonceSize]byte{1, 2, 3}
	first, err := s.UpdateAs(ctxFor(t), nonce, nil, func(tx *crdt.Tx) error { tx.Text("t").Insert(0, "x"); return nil })
	if err != nil || first.Actor.Nonce != nonce || first.Actor.Device != a.Device() {
		t.Fatalf("UpdateAs = %v, %v", first, err)
	}
	if _, err := s.UpdateAs(ctxFor(t), nonce, nil, func(tx *crdt.Tx) error { tx.Text("t").Insert(0, "y"); return nil }); err == nil {
		t.Error("UpdateAs against a version without the actor's last change succeeded")
	}
}
