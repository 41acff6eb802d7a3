package peer

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ipfs/go-datastore"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/storage"
)

// faultyStore is a datastore that fails as it is told to.
type faultyStore struct {
	datastore.Batching
	broken  atomic.Bool // nothing can be written
	frozen  atomic.Bool // and what was written cannot be synced
	damaged atomic.Bool // what was written cannot be got
	syncs   atomic.Int64
}

var (
	errDisk = errors.New("no space left on device")
	errRead = errors.New("input/output error")
)

func (f *faultyStore) Get(ctx context.Context, k datastore.Key) ([]byte, error) {
	if f.damaged.Load() {
		return nil, errRead
	}
	return f.Batching.Get(ctx, k)
}

func (f *faultyStore) Put(ctx context.Context, k datastore.Key, v []byte) error {
	if f.broken.Load() {
		return errDisk
	}
	return f.Batching.Put(ctx, k, v)
}

func (f *faultyStore) Sync(ctx context.Context, k datastore.Key) error {
	f.syncs.Add(1)
	if f.frozen.Load() {
		return errDisk
	}
	return f.Batching.Sync(ctx, k)
}

func (f *faultyStore) Batch(ctx context.Context) (datastore.Batch, error) {
	b, err := f.Batching.Batch(ctx)
	return &faultyBatch{b, f}, err
}

type faultyBatch struct {
	datastore.Batch
	store *faultyStore
}

func (b *faultyBatch) Commit(ctx context.Context) error {
	if b.store.broken.Load() {
		return errDisk
	}
	return b.Batch.Commit(ctx)
}

func newFaulty(t *testing.T, name string) (*device, *faultyStore) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ds := &faultyStore{Batching: storage.MemoryDatastore()}
	db, err := storage.New(ds, storage.Config{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return openDevice(t, name, db), ds
}

// Updates that come while another is being written share the next write.
func TestUpdatesShareOneWrite(t *testing.T) {
	a, ds := newFaulty(t, "a")
	s := a.create("list")
	put(t, s, "warm", 0)

	const n = 64
	entered, release := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	dots := make([]crdt.Dot, n+1)
	update := func(i int, fn func()) {
		defer all.Done()
		dot, err := s.Update(context.Background(), func(tx *crdt.Tx) error {
			fn()
			tx.Map("m").Put(fmt.Sprint(i), i)
			return nil
		})
		if err != nil {
			t.Errorf("Update %d: %v", i, err)
		}
		dots[i] = dot
	}
	all.Add(n + 1)
	go update(n, func() { close(entered); <-release }) // leads, and takes its time
	<-entered
	before, syncs := s.appends.Load(), ds.syncs.Load()
	for i := range n {
		go update(i, func() {})
	}
	eventually(t, "all wait", func() bool {
		s.queueMu.Lock()
		defer s.queueMu.Unlock()
		return len(s.queue) == n
	})
	close(release)
	all.Wait()
	if got := s.appends.Load() - before; got != 2 {
		t.Errorf("%d updates took %d appends, want 2: the leader's and one for all who waited", n+1, got)
	}
	if got := ds.syncs.Load() - syncs; got > 2 {
		t.Errorf("%d updates took %d syncs, want 2 at most", n+1, got)
	}
	seen := map[crdt.Dot]bool{}
	for i, d := range dots {
		if d.IsZero() || seen[d] {
			t.Errorf("update %d got the dot %v, want one of its own", i, d)
		}
		seen[d] = true
	}
	if got := s.Status().Changes; got != n+2 {
		t.Errorf("%d changes, want %d", got, n+2)
	}
}

// A failing fn, a panic in it and one that ends its goroutine each come back to their caller alone, and change nothing.
func TestUpdateThatDoesNotReturn(t *testing.T) {
	a := newDevice(t, "a")
	s := a.create("list")
	put(t, s, "k", 1)
	want := show(t, s)
	half := func(end func() error) func(*crdt.Tx) error {
		return func(tx *crdt.Tx) error {
			tx.Map("m").Put("half", 1)
			tx.Text("t").Insert(0, "half")
			return end()
		}
	}
	errFn := errors.New("changed my mind")
	if dot, err := s.Update(ctxFor(t), half(func() error { return errFn })); !errors.Is(err, errFn) || !dot.IsZero() {
		t.Errorf("Update = %v, %v; want fn's error and no dot", dot, err)
	}
	if _, err := s.Update(ctxFor(t), func(tx *crdt.Tx) error {
		tx.Map("m").Put("half", 1)
		tx.Map("m").Put("bad", make(chan int))
		return nil
	}); err == nil || !strings.Contains(err.Error(), "chan int") {
		t.Errorf("Update with a bad argument: %v, want an error that names the type", err)
	}
	func() {
		defer func() {
			if r := recover(); r != "boom" {
				t.Errorf("recovered %v, want fn's own panic", r)
			}
		}()
		_, err := s.Update(ctxFor(t), half(func() error { panic("boom") }))
		t.Errorf("Update returned %v after a panic", err)
	}()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = s.Update(context.Background(), half(func() error { runtime.Goexit(); return nil }))
	}()
	<-gone
	if got := show(t, s); got != want {
		t.Errorf("shows %s, want %s: nothing of what failed", got, want)
	}
	func() {
		defer func() { _ = recover() }()
		_ = s.View(func(*crdt.State) error { panic("boom") })
	}()
	put(t, s, "still", "usable")

	// While others lead, a follower's panic ends neither the leader nor the group.
	entered, release := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Add(3)
	go func() {
		defer all.Done()
		if _, err := s.Update(context.Background(), func(tx *crdt.Tx) error { close(entered); <-release; return nil }); err != nil {
			t.Error(err)
		}
	}()
	<-entered
	go func() {
		defer all.Done()
		defer func() {
			if r := recover(); r != "boom" {
				t.Errorf("recovered %v, want fn's own panic", r)
			}
		}()
		_, _ = s.Update(context.Background(), half(func() error { panic("boom") }))
	}()
	go func() {
		defer all.Done()
		if _, err := s.Update(context.Background(), func(tx *crdt.Tx) error { tx.Map("m").Put("with", "a panic"); return nil }); err != nil {
			t.Error(err)
		}
	}()
	eventually(t, "both wait", func() bool {
		s.queueMu.Lock()
		defer s.queueMu.Unlock()
		return len(s.queue) == 2
	})
	close(release)
	all.Wait()
	if got, want := show(t, s), `{"m":{"k":1,"still":"usable","with":"a panic"}}`; got != want {
		t.Errorf("shows %s, want %s", got, want)
	}
}

// A leader whose own fn does not return leaves those behind it to the next.
func TestLeaderThatDoesNotReturn(t *testing.T) {
	a := newDevice(t, "a")
	s := a.create("list")
	for round := range 20 {
		entered, release := make(chan struct{}), make(chan struct{})
		var all sync.WaitGroup
		update := func(fn func(*crdt.Tx) error) {
			all.Go(func() {
				defer func() { _ = recover() }()
				_, _ = s.Update(context.Background(), fn)
			})
		}
		update(func(*crdt.Tx) error { close(entered); <-release; return nil })
		<-entered
		var order []int // under the store's lock
		for i := range 9 {
			update(func(tx *crdt.Tx) error {
				order = append(order, i)
				switch i % 3 {
				case 0:
					panic("boom")
				case 1:
					runtime.Goexit()
				}
				tx.Map("m").Put(fmt.Sprint(round, i), i)
				return nil
			})
			eventually(t, "it waits", func() bool {
				s.queueMu.Lock()
				defer s.queueMu.Unlock()
				return len(s.queue) == i+1
			})
		}
		close(release)
		all.Wait()
		if !slices.IsSorted(order) || len(order) != 9 {
			t.Fatalf("ran in the order %v, want that in which they came", order)
		}
	}
	if got := s.Status().Changes; got != 20*3 {
		t.Errorf("%d changes, want %d", got, 20*3)
	}
}

// Many changes of given actors, each building on the last, share one write.
func TestUpdateMany(t *testing.T) {
	a := newDevice(t, "a")
	s := a.create("list")
	insert := func(text string, pos int) []crdt.Op {
		return []crdt.Op{{Code: crdt.CodeTextInsert, Len: len(text), Path: crdt.Path{{Key: "t", Kind: crdt.Text}}, Pos: pos, Text: text}}
	}
	before := s.appends.Load()
	var dots []crdt.Dot
	err := s.UpdateMany(ctxFor(t), func(author AuthorOps) error {
		var at crdt.Version
		for i := range 10 {
			dot, err := author([causal.NonceSize]byte{byte(i % 2)}, at, insert("ab", 2*i))
			if err != nil {
				return err
			}
			dots = append(dots, dot)
			at = crdt.Version{dot}
		}
		_, err := author([causal.NonceSize]byte{9}, crdt.Version{{Actor: dots[0].Actor, Seq: 99}}, insert("x", 0))
		return err
	})
	if !errors.Is(err, ErrUnknownVersion) {
		t.Errorf("UpdateMany: %v, want ErrUnknownVersion of the last", err)
	}
	if got, want := show(t, s), `{"t":"`+strings.Repeat("ab", 10)+`"}`; got != want {
		t.Errorf("shows %s, want %s", got, want)
	}
	if got := s.appends.Load() - before; got != 1 {
		t.Errorf("%d appends, want 1", got)
	}
	if !version(t, s).Equal(crdt.Version{dots[9]}) {
		t.Errorf("at %v, want the last change", version(t, s))
	}
}

// An Update whose context ends while it waits does not run.
func TestUpdateGivenUp(t *testing.T) {
	a := newDevice(t, "a")
	s := a.create("list")
	entered, release := make(chan struct{}), make(chan struct{})
	led := make(chan error, 1)
	go func() {
		_, err := s.Update(context.Background(), func(tx *crdt.Tx) error { close(entered); <-release; return nil })
		led <- err
	}()
	<-entered
	ctx, cancel := context.WithCancelCause(context.Background())
	errUser := errors.New("the user left")
	cancel(errUser)
	if _, err := s.Update(ctx, func(tx *crdt.Tx) error { t.Error("fn ran"); return nil }); !errors.Is(err, errUser) {
		t.Errorf("Update = %v, want the context's cause", err)
	}
	close(release)
	if err := <-led; err != nil {
		t.Error(err)
	}
}

// A write that fails: everybody who waited for it gets the error, memory goes back to what is durable, and the store is
// read-only. Its other changes still reach peers.
func TestFailingDisk(t *testing.T) {
	a, ds := newFaulty(t, "a")
	a.run()
	s := a.create("list")
	put(t, s, "safe", 1)
	want, at := show(t, s), version(t, s)

	ds.broken.Store(true)
	const n = 8
	errs := make(chan error, n)
	for i := range n {
		go func() {
			_, err := s.Update(context.Background(), func(tx *crdt.Tx) error { tx.Map("m").Put("lost", i); return nil })
			errs <- err
		}()
	}
	for range n {
		if err := <-errs; !errors.Is(err, ErrReadOnly) || !errors.Is(err, errDisk) {
			t.Errorf("Update on a full disk: %v, want ErrReadOnly and the cause", err)
		}
	}
	if got := show(t, s); got != want || !version(t, s).Equal(at) {
		t.Errorf("shows %s, want %s: what is not durable must not be seen", got, want)
	}
	if st := s.Status(); !errors.Is(st.Err, ErrReadOnly) {
		t.Errorf("Status().Err = %v, want ErrReadOnly", st.Err)
	}
	ds.broken.Store(false)
	if _, err := s.Update(ctxFor(t), func(tx *crdt.Tx) error { tx.Map("m").Put("k", 1); return nil }); !errors.Is(err, ErrReadOnly) {
		t.Errorf("Update afterwards: %v, want ErrReadOnly until the node is opened again", err)
	}
	ds.broken.Store(true)

	b := newDevice(t, "b").run()
	sb := b.join(s.Ticket())
	eventually(t, "b gets what is durable", func() bool { return show(t, sb) == want })
	put(t, sb, "from b", 2) // cannot be stored by a, and must not confuse it
	ds.broken.Store(false)
	a.reopen()
	a.run()
	s = a.store("list")
	put(t, s, "again", 3)
	converged(t, s, sb)
}

// A disk that fails altogether makes the store unusable, with a reason, until it works again.
func TestDeadDisk(t *testing.T) {
	a, ds := newFaulty(t, "a")
	s := a.create("list")
	put(t, s, "safe", 1)
	want := show(t, s)
	ds.broken.Store(true)
	ds.frozen.Store(true)
	update := func() error {
		_, err := s.Update(ctxFor(t), func(tx *crdt.Tx) error { tx.Map("m").Put("lost", 1); return nil })
		return err
	}
	if err := update(); !errors.Is(err, ErrReadOnly) || !errors.Is(err, errDisk) {
		t.Errorf("Update: %v, want ErrReadOnly and the cause", err)
	}
	if err := s.View(func(*crdt.State) error { return nil }); !errors.Is(err, ErrReadOnly) || !errors.Is(err, errDisk) {
		t.Errorf("View: %v, want an error that says that the log cannot be read", err)
	}
	ds.frozen.Store(false)
	eventually(t, "the store can be read again", func() bool {
		if err := update(); !errors.Is(err, ErrReadOnly) {
			t.Errorf("Update: %v, want ErrReadOnly", err)
		}
		return s.View(func(*crdt.State) error { return nil }) == nil
	})
	if got := show(t, s); got != want {
		t.Errorf("shows %s, want %s", got, want)
	}
}
