package storage_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/storage"
	"github.com/atollsync/atoll/storage/storagetest"
)

// script is a life of a device that touches everything storage writes. It is run again and again on a
// disk that fails at a different point each time.
type script struct {
	main, gone *storagetest.History
	// acked are how many ops of main the device was told are durable; put, deleted, dropped what else it
	// was told, or had begun.
	acked                   causal.LV
	put, deleting, deleted  bool
	peer, record            string // what was made durable
	merged                  int
	db                      *storage.DB
	attempt                 func(do func() error) error
	failures, failedAppends int
	failedMerges            int
}

var scriptInfo = storage.StoreInfo{ID: storagetest.Store(1), Name: "main"}

// newScriptHistories makes what the script writes: small blocks, then one so large that all before it may be merged.
func newScriptHistories() (main, gone *storagetest.History) {
	main = storagetest.NewHistory(storagetest.Store(1), 3, 1)
	for range 40 {
		main.Add(1, 2)
	}
	main.Add(270, 1)
	for range 60 { // so many that Append renews its mark
		main.Add(1, 2)
	}
	main.Add(270, 1)
	main.Add(1, 1)
	gone = storagetest.NewHistory(storagetest.Store(2), 1, 2)
	for range 3 {
		gone.Add(1, 5)
	}
	return main, gone
}

func (s *script) run(db *storage.DB) error {
	s.db = db
	if err := s.attempt(func() error { return db.PutStore(scriptInfo) }); err != nil {
		return err
	}
	s.put = true
	l, err := db.Log(storagetest.Store(1))
	if err != nil {
		return err
	}
	b := s.main.Blocks
	if err := s.append(l, b[:3]...); err != nil {
		return err
	}
	for i := 3; i < 20; i++ {
		if err := s.append(l, b[i]); err != nil {
			return err
		}
	}
	if err := l.PutPeer(causal.Device{1}, []byte("peer")); err != nil {
		return err
	}
	if err := s.append(l, b[20]); err != nil {
		return err
	}
	s.peer = "peer"
	if err := l.PutRecord(causal.Device{2}, []byte("record")); err != nil {
		return err
	}
	if err := s.attempt(l.Flush); err != nil {
		return err
	}
	s.record = "record"
	for i := 21; i < 41; i++ {
		if err := s.append(l, b[i]); err != nil {
			return err
		}
	}
	if err := s.merge(l); err != nil {
		return err
	}
	if err := s.forget(); err != nil {
		return err
	}
	if err := s.append(l, b[41:90]...); err != nil {
		return err
	}
	for i := 90; i < 102; i++ {
		if err := s.append(l, b[i]); err != nil {
			return err
		}
	}
	if err := s.merge(l); err != nil {
		return err
	}
	return s.append(l, b[102])
}

func (s *script) append(l *storage.Log, blocks ...storage.Block) error {
	err := s.attempt(func() error {
		for len(blocks) > 0 && blocks[0].First < l.Len() {
			blocks = blocks[1:] // an attempt that failed had got this far
		}
		err := l.Append(blocks...)
		if err == nil || errors.Is(err, storagetest.ErrCrashed) {
			return err
		}
		s.failedAppends++
		if again := l.Append(blocks...); !errors.Is(again, storage.ErrFailed) {
			return fmt.Errorf("append after a failed append: %v", again)
		}
		return errors.Join(err, l.Load(nil))
	})
	if err == nil {
		s.acked = l.Len()
	}
	return err
}

func (s *script) merge(l *storage.Log) error {
	for more := true; more; {
		if err := s.attempt(func() (err error) {
			if more, err = l.Merge(); err != nil {
				s.failedMerges++
			}
			return err
		}); err != nil {
			return err
		}
		if more {
			s.merged++
		}
	}
	return nil
}

func (s *script) forget() error {
	id := storagetest.Store(2)
	if err := s.attempt(func() error { return s.db.PutStore(storage.StoreInfo{ID: id, Name: "gone"}) }); err != nil {
		return err
	}
	l, err := s.db.Log(id)
	if err != nil {
		return err
	}
	was := s.acked
	for _, b := range s.gone.Blocks {
		if err := s.append(l, b); err != nil {
			s.acked = was
			return err
		}
	}
	s.acked = was
	s.deleting = true
	if err := s.attempt(func() error { return s.db.DeleteStore(id) }); err != nil {
		return err
	}
	s.deleted = true
	return nil
}

// TestCrashEverywhere crashes the script before each of its writes and syncs in turn, with each kind of loss, and
// checks that what was acknowledged is there, that what is there is a beginning of the history, and that the device
// can go on.
func TestCrashEverywhere(t *testing.T) {
	main, gone := newScriptHistories()
	crashes, lost, kept, overlaps, merges := 0, 0, 0, 0, 0
	for at := 0; ; at += stride {
		disk := storagetest.NewDisk(uint64(at))
		s := &script{main: main, gone: gone, attempt: func(do func() error) error { return do() }}
		disk.CrashAfter(at)
		db, err := storage.New(disk, storage.Config{Key: storagetest.Key(0)})
		if err == nil {
			err = s.run(db)
		}
		if !disk.Crashed() {
			if err != nil {
				t.Fatalf("without a crash: %v", err)
			}
			break
		}
		if !errors.Is(err, storagetest.ErrCrashed) {
			t.Fatalf("crash before step %d came out as %v", at, err)
		}
		crashes++
		if s.merged > 0 {
			merges++
		}
		losses := []storagetest.Loss{storagetest.LoseAll, storagetest.LoseNone, storagetest.LoseSome}
		if at/stride%2 == 1 {
			losses[1] = storagetest.LoseLast
		}
		for _, loss := range losses {
			name := fmt.Sprintf("crash before step %d, %s", at, loss)
			after := disk.Restart(loss, uint64(at)*10+uint64(loss))
			if overlapping(after.Keys()) {
				overlaps++
			}
			found := s.check(t, name, after)
			switch {
			case found > s.acked:
				kept++
			case loss == storagetest.LoseAll:
				lost++
			}
		}
	}
	t.Logf("%d crashes, %d while or after merging; %d times more than was acknowledged survived, %d times not; %d times both merged blocks and parts were there",
		crashes, merges, kept, lost, overlaps)
	if crashes < 150/stride || kept < 20/stride || lost < 50/stride || overlaps < 20/stride || merges < 20/stride {
		t.Error("the faults did not happen")
	}
}

// overlapping reports whether there is a merged record beside one of its parts.
func overlapping(keys []string) bool {
	for i, key := range keys {
		if strings.Contains(key, "/b/") && i > 0 && strings.HasPrefix(key, keys[i-1]+"-") {
			return true
		}
	}
	return false
}

// check opens the disk after a crash and returns how much of the main log is there.
func (s *script) check(t *testing.T, name string, disk *storagetest.Disk) causal.LV {
	t.Helper()
	fatal := func(format string, args ...any) { t.Helper(); t.Fatalf(name+": "+format, args...) }
	db, err := storage.New(disk, storage.Config{Key: storagetest.Key(0)})
	if err != nil {
		fatal("%v", err)
	}
	stores, err := db.Stores()
	if err != nil {
		fatal("%v", err)
	}
	main, other := false, false
	for _, info := range stores {
		main = main || info.ID == storagetest.Store(1)
		other = other || info.ID == storagetest.Store(2)
	}
	if s.put && !main {
		fatal("the store is gone")
	}
	if s.deleted && other {
		fatal("the forgotten store is back")
	}
	forgotten, err := db.Log(storagetest.Store(2))
	if err != nil {
		fatal("%v", err)
	}
	left, err := storagetest.Read(forgotten)
	if err != nil || storagetest.Fingerprint(left) != storagetest.Fingerprint(s.gone.Changes[:len(left)]) {
		fatal("the other store: %v", err)
	}
	if n := len(left); s.deleting && !other && n > 0 || s.deleted && n > 0 {
		fatal("%d changes of a forgotten store", n)
	}

	l, err := db.Log(storagetest.Store(1))
	if err != nil {
		fatal("%v", err)
	}
	got, err := storagetest.Read(l)
	if err != nil {
		fatal("%v", err)
	}
	found := l.Len()
	if found < s.acked {
		fatal("%d ops of %d acknowledged ones", found, s.acked)
	}
	if storagetest.Fingerprint(got) != storagetest.Fingerprint(s.main.Changes[:len(got)]) {
		fatal("what is there is not what was written")
	}
	peers, err1 := l.Peers()
	records, err2 := l.Records()
	if s.peer != "" && (len(peers) != 1 || string(peers[0].Value) != s.peer) || s.record != "" && (len(records) != 1 || string(records[0].Value) != s.record) {
		fatal("peers %v, %v, records %v, %v", peers, err1, records, err2)
	}
	// It goes on.
	for _, b := range s.main.Blocks {
		if b.First < found {
			continue
		}
		if err := l.Append(b); err != nil {
			fatal("%v", err)
		}
	}
	storagetest.MergeAll(t, l)
	for range 2 {
		if got, err = storagetest.Read(l); err != nil || storagetest.Fingerprint(got) != storagetest.Fingerprint(s.main.Changes) {
			fatal("going on: %v", err)
		}
		if err := db.Close(); err != nil {
			fatal("%v", err)
		}
		if overlapping(disk.Keys()) {
			fatal("parts of merged blocks are left")
		}
		disk = disk.Restart(storagetest.LoseAll, 0)
		if db, err = storage.New(disk, storage.Config{Key: storagetest.Key(0)}); err != nil {
			fatal("%v", err)
		}
		if l, err = db.Log(storagetest.Store(1)); err != nil {
			fatal("%v", err)
		}
	}
	return found
}

// TestWriteErrors lets each write and sync of the script fail in turn, once. The device loads the
// log again and goes on.
func TestWriteErrors(t *testing.T) {
	main, gone := newScriptHistories()
	var sum script
	for at := 0; ; at += stride {
		disk := storagetest.NewDisk(uint64(at))
		s := &script{main: main, gone: gone}
		s.attempt = func(do func() error) error {
			err := do()
			if errors.Is(err, storagetest.ErrWrite) {
				s.failures++
				err = do()
			}
			return err
		}
		disk.FailAfter(at)
		db, err := storage.New(disk, storage.Config{Key: storagetest.Key(0)})
		if errors.Is(err, storagetest.ErrWrite) {
			continue // marking an empty datastore
		}
		if err != nil {
			t.Fatalf("error at step %d: %v", at, err)
		}
		if err := s.run(db); err != nil {
			t.Fatalf("error at step %d: %v", at, err)
		}
		if err := db.Close(); err != nil && !errors.Is(err, storagetest.ErrWrite) {
			t.Fatalf("error at step %d: close: %v", at, err)
		}
		s.check(t, fmt.Sprintf("error at step %d", at), disk.Restart(storagetest.LoseAll, 0))
		if s.failures == 0 && at > 10 {
			break
		}
		sum.failures += s.failures
		sum.failedAppends += s.failedAppends
		sum.failedMerges += s.failedMerges
	}
	t.Logf("%d failures, %d of them appends, %d merges", sum.failures, sum.failedAppends, sum.failedMerges)
	if sum.failures < 150/stride || sum.failedAppends < 100/stride || sum.failedMerges < 10/stride {
		t.Error("the faults did not happen")
	}
}

// TestLargeAppendCrash crashes an append of several records: its first records may be there, never a
// later one without them.
func TestLargeAppendCrash(t *testing.T) {
	h := storagetest.NewHistory(storagetest.Store(1), 2, 1)
	for range 3 {
		h.Add(1, 700_000)
	}
	ends := make(map[causal.LV]int)
	for at := 0; at < 9; at++ {
		disk := storagetest.NewDisk(1)
		db, err := storage.New(disk, storage.Config{Key: storagetest.Key(0)})
		if err != nil {
			t.Fatal(err)
		}
		l, err := db.Log(storagetest.Store(1))
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Load(nil); err != nil {
			t.Fatal(err)
		}
		disk.CrashAfter(at)
		err = l.Append(h.Blocks...)
		if crashed := disk.Crashed(); crashed == (err == nil) {
			t.Fatalf("crash before step %d: %v, %v", at, crashed, err)
		}
		for _, loss := range []storagetest.Loss{storagetest.LoseAll, storagetest.LoseNone} {
			db, err := storage.New(disk.Restart(loss, 1), storage.Config{Key: storagetest.Key(0)})
			if err != nil {
				t.Fatal(err)
			}
			l, err := db.Log(storagetest.Store(1))
			if err != nil {
				t.Fatal(err)
			}
			got, err := storagetest.Read(l)
			if err != nil || storagetest.Fingerprint(got) != storagetest.Fingerprint(h.Changes[:len(got)]) {
				t.Fatalf("crash before step %d, %s: %d changes, %v", at, loss, len(got), err)
			}
			ends[l.Len()]++
		}
	}
	if len(ends) != 4 {
		t.Errorf("ends of the log after crashes: %v, want all four", ends)
	}
}

// TestSplitBatch crashes in the middle of an append whose batch renews the mark of what is durable and writes
// the tables too. Whichever parts arrive, the log is whole.
func TestSplitBatch(t *testing.T) {
	h := storagetest.NewHistory(storagetest.Store(1), 2, 1)
	for range 65 {
		h.Add(1, 1)
	}
	arrived := make(map[int]int)
	for seed := range uint64(40) {
		disk := storagetest.NewDisk(seed)
		db, err := storage.New(disk, storage.Config{Key: storagetest.Key(0)})
		if err != nil {
			t.Fatal(err)
		}
		l, err := db.Log(storagetest.Store(1))
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Append(h.Blocks[:64]...); err != nil {
			t.Fatal(err)
		}
		if err := l.PutPeer(causal.Device{1}, nil); err != nil {
			t.Fatal(err)
		}
		disk.CrashAfter(1 + int(seed%2))
		if err := l.Append(h.Blocks[64]); !errors.Is(err, storagetest.ErrCrashed) {
			t.Fatal(err)
		}
		after := disk.Restart(storagetest.LoseNone, 1)
		if err := readAll(after); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		arrived[len(after.Keys())]++
	}
	if len(arrived) != 2 {
		t.Errorf("batches were split so that this many keys arrived: %v", arrived)
	}
}

// TestDiskFull fills the disk while appending and merging. What was acknowledged stays, and
// with room again the device goes on.
func TestDiskFull(t *testing.T) {
	h := storagetest.NewHistory(storagetest.Store(1), 2, 1)
	for range 400 {
		h.Add(1, 3)
	}
	disk := storagetest.NewDisk(1)
	db, err := storage.New(disk, storage.Config{Key: storagetest.Key(0)})
	if err != nil {
		t.Fatal(err)
	}
	l, err := db.Log(storagetest.Store(1))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < 100; i++ {
		if err := l.Append(h.Blocks[i]); err != nil {
			t.Fatal(err)
		}
	}
	disk.Limit(1)
	if err := l.Append(h.Blocks[100]); !errors.Is(err, storagetest.ErrDiskFull) {
		t.Fatalf("append to a full disk: %v", err)
	}
	if err := l.Append(h.Blocks[100]); !errors.Is(err, storage.ErrFailed) {
		t.Fatalf("and again: %v", err)
	}
	if got, err := storagetest.Span(l, causal.Span{Start: 0, End: 1000}); err != nil || len(got) != 100 {
		t.Fatalf("reading meanwhile: %d changes, %v", len(got), err)
	}
	got, err := storagetest.Read(l)
	if err != nil || storagetest.Fingerprint(got) != storagetest.Fingerprint(h.Changes[:100]) {
		t.Fatalf("after the disk was full: %d changes, %v", len(got), err)
	}
	disk.Limit(0)
	for _, b := range h.Blocks[100:] {
		if err := l.Append(b); err != nil {
			t.Fatal(err)
		}
	}
	disk.Limit(1)
	if _, err := l.Merge(); !errors.Is(err, storagetest.ErrDiskFull) {
		t.Fatalf("merge on a full disk: %v", err)
	}
	disk.Limit(0)
	if storagetest.MergeAll(t, l) == 0 {
		t.Error("nothing was merged")
	}
	if got, err = storagetest.Read(l); err != nil || storagetest.Fingerprint(got) != storagetest.Fingerprint(h.Changes) {
		t.Fatalf("in the end: %d changes, %v", len(got), err)
	}
}

// TestOneSyncPerAppend counts: an append of many blocks is one sync, with whatever comes along.
func TestOneSyncPerAppend(t *testing.T) {
	h := storagetest.NewHistory(storagetest.Store(1), 2, 1)
	disk := storagetest.NewDisk(1)
	db, err := storage.New(disk, storage.Config{Key: storagetest.Key(0)})
	if err != nil {
		t.Fatal(err)
	}
	l, err := db.Log(storagetest.Store(1))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		for range 70 {
			h.Add(1, 1)
		}
		if err := l.PutPeer(causal.Device{1}, fmt.Append(nil, len(h.Blocks))); err != nil {
			t.Fatal(err)
		}
		before := disk.Syncs()
		if err := l.Append(h.Blocks[len(h.Blocks)-70:]...); err != nil {
			t.Fatal(err)
		}
		if n := disk.Syncs() - before; n != 1 {
			t.Errorf("70 blocks took %d syncs", n)
		}
	}
}

var _ crdt.Source = (*storage.Log)(nil)
