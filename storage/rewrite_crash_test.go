package storage_test

import (
	"errors"
	"testing"

	"github.com/atollsync/atoll/storage"
	"github.com/atollsync/atoll/storage/storagetest"
)

// A crash before each write and sync of a rewrite, whatever it loses, leaves the log as it was or as it was to be: of single records, and of
// merged ones. A write error does the same, and the log can be used again once it is loaded.
func TestCrashInRewrite(t *testing.T) {
	const common, old, anew = 30, 6, 3
	as, steps, was, is, failed := storage.Config{Key: storagetest.Key(0)}, 0, 0, 0, 0
	for _, merged := range []bool{false, true} {
		h, other := storagetest.NewHistory(storagetest.Store(1), 3, 1), storagetest.NewHistory(storagetest.Store(1), 3, 1)
		for range common {
			h.Add(20, 3)
			other.Add(20, 3)
		}
		for range old {
			h.Add(2, 3)
		}
		for range anew {
			other.Add(3, 5)
		}
		open := func(disk *storagetest.Disk) *storage.Log {
			t.Helper()
			db, err := storage.New(disk, as)
			if err != nil {
				t.Fatal(err)
			}
			l, err := db.Log(storagetest.Store(1))
			if err == nil {
				err = l.Load(nil)
			}
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		prepare := func(seed int) (*storagetest.Disk, *storage.Log) {
			disk := storagetest.NewDisk(uint64(seed))
			l := open(disk)
			for _, b := range h.Blocks {
				if err := l.Append(b); err != nil {
					t.Fatal(err)
				}
			}
			if merged {
				storagetest.MergeAll(t, l)
			}
			return disk, l
		}
		for at := 0; ; at++ {
			disk, l := prepare(at)
			cut := common
			for other.Blocks[cut].First > l.Start(other.Blocks[common].First) {
				cut--
			}
			rewrite := func(l *storage.Log) error { return l.Rewrite(other.Blocks[cut].First, other.Blocks[cut:]...) }
			finish := func(l *storage.Log, name string, done bool) {
				t.Helper()
				got, err := storagetest.Read(l)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				switch storagetest.Fingerprint(got) {
				case storagetest.Fingerprint(other.Changes):
					is++
				case storagetest.Fingerprint(h.Changes):
					was++
					if done {
						t.Fatalf("%s: what was rewritten is back", name)
					}
					if err := rewrite(l); err != nil {
						t.Fatalf("%s: again: %v", name, err)
					}
				default:
					t.Fatalf("%s: the log is neither what it was nor what it was to be: %d changes", name, len(got))
				}
				storagetest.MergeAll(t, l)
				if got, err = storagetest.Read(l); err != nil || storagetest.Fingerprint(got) != storagetest.Fingerprint(other.Changes) {
					t.Fatalf("%s: going on: %v", name, err)
				}
			}
			disk.FailAfter(at)
			err := rewrite(l)
			if err != nil {
				failed++
				if !errors.Is(err, storagetest.ErrWrite) {
					t.Fatalf("failing before step %d came out as %v", at, err)
				}
				if err := l.Load(nil); err != nil {
					t.Fatal(err)
				}
			}
			disk.FailAfter(1 << 30)
			finish(l, "after a write error", err == nil)

			disk, l = prepare(at)
			disk.CrashAfter(at)
			if err = rewrite(l); err != nil && !errors.Is(err, storagetest.ErrCrashed) {
				t.Fatalf("crash before step %d came out as %v", at, err)
			}
			for _, loss := range []storagetest.Loss{storagetest.LoseAll, storagetest.LoseNone, storagetest.LoseSome, storagetest.LoseLast} {
				finish(open(disk.Restart(loss, uint64(at)*10+uint64(loss))), "after a crash that loses "+loss.String(), err == nil)
			}
			if !disk.Crashed() {
				break
			}
			steps++
		}
	}
	t.Logf("%d steps, %d write errors; the log was %d times as before, %d times as it was to be", steps, failed, was, is)
	if steps < 4 || failed == 0 || was == 0 || is == 0 {
		t.Error("the faults did not happen")
	}
}
