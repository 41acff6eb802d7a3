package peer

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/storage"
)

// A device is restored from a copy of its directory, and its user writes offline. When it meets others again it goes on as a new actor,
// with nothing lost and nothing doubled: those who watch see each thing once, dots lead to what they named, and nobody sees a fork.
func TestRestoredBackup(t *testing.T) {
	open := func(dir string) *storage.DB {
		db, err := storage.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	add := func(s *Store, n int64) crdt.Dot {
		dot, err := s.Update(ctxFor(t), func(tx *crdt.Tx) error {
			tx.Counter("visits").Add(n)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return dot
	}
	dir, backup := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "backup")
	db := open(dir)
	a, b := openDevice(t, "a", db).run(), newDevice(t, "b").run()
	s := a.create("s")
	sb := b.join(s.Ticket())
	add(s, 1)
	converged(t, s, sb)
	a.halt()
	if err := a.Node.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(backup, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(backup, "identity"), 0o600); err != nil {
		t.Fatal(err)
	}
	db = open(dir)
	a = openDevice(t, "a", db).run()
	s = a.store("s")
	add(s, 10)
	converged(t, s, sb)
	a.halt()
	if err := a.Node.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	db = open(backup)
	t.Cleanup(func() { db.Close() })
	c := openDevice(t, "restored", db)
	s = c.store("s")
	before := version(t, s)
	ctx, cancel := context.WithCancel(ctxFor(t))
	defer cancel()
	sum, watched := make(chan int64, 100), make(chan error, 1)
	go func() {
		for e, err := range s.Watch(ctx, before) {
			if err != nil {
				watched <- err
				return
			}
			for range e.Changes {
				sum <- 1
			}
		}
	}()
	dot := add(s, 100)
	add(s, 1000)
	for range 2 {
		<-sum
	}
	c.run()
	if got, want := converged(t, s, sb), `{"visits":1111}`; got != want {
		t.Fatalf("shows %s, want %s", got, want)
	}
	if err := s.Delivered(ctxFor(t), dot, Reach{Devices: 1}); err != nil {
		t.Errorf("what was written offline: %v", err)
	}
	select {
	case <-sum: // the change that the backup lacked
	case err := <-watched:
		t.Fatalf("the watch ended: %v", err)
	case <-time.After(patience):
		t.Fatal("the watcher is not told of what the backup lacked")
	}
	put(t, s, "and", "on")
	converged(t, s, sb)
	<-sum
	select {
	case <-sum:
		t.Error("the watcher saw something twice")
	default:
	}
	for _, st := range []StoreStatus{s.Status(), sb.Status()} {
		if len(st.Forks) > 0 {
			t.Errorf("forks: %v", st.Forks)
		}
	}
	var actors []crdt.Actor
	if err := s.View(func(st *crdt.State) error {
		actors = slices.Clone(s.rep.Chains().Graph().Actors())
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(actors) != 2 {
		t.Errorf("%d actors wrote, want the old one and the new one", len(actors))
	}
	c.reopen()
	s = c.run().store("s")
	add(s, 10_000)
	if got, want := converged(t, s, sb), `{"m":{"and":"on"},"visits":11111}`; got != want {
		t.Fatalf("after a restart it shows %s, want %s", got, want)
	}
}
