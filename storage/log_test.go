package storage_test

import (
	"fmt"
	"testing"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/storage"
	"github.com/atollsync/atoll/storage/storagetest"
)

// TestMergedLogServes restores chains from a merged log, whose signatures are thinned, and sends everything from it,
// cut into batches of several sizes, to receivers that hold different beginnings.
func TestMergedLogServes(t *testing.T) {
	db := storage.Memory()
	l, err := db.Log(storagetest.Store(1))
	if err != nil {
		t.Fatal(err)
	}
	h := storagetest.NewHistory(storagetest.Store(1), 4, 1)
	for i := range 900 {
		if err := l.Append(h.Add(1+i%3, 3)); err != nil {
			t.Fatal(err)
		}
	}
	if storagetest.MergeAll(t, l) == 0 {
		t.Fatal("nothing was merged")
	}
	restored := crdt.NewChains(storagetest.Store(1))
	signatures := 0
	if err := l.Load(func(_ uint64, batch []byte) error {
		b, err := crdt.DecodeBatch(batch)
		if err != nil {
			return err
		}
		signatures += len(b.Sigs)
		checked, err := restored.Check(b, nil)
		if err != nil {
			return err
		}
		restored.Add(checked)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d signatures for %d changes", signatures, len(h.Changes))
	for _, have := range []int{0, 1, 200, 899} {
		for _, maxChanges := range []int{10, 300, 5000} {
			receiver := crdt.NewChains(storagetest.Store(1))
			for _, block := range h.Blocks[:have] {
				receive(t, receiver, block.Batch)
			}
			batches := 0
			for missing := restored.Graph().Missing(receiver.Graph().VersionVector()); len(missing) > 0; batches++ {
				b, rest, err := restored.Cut(l, missing, 0, maxChanges)
				if err != nil || b == nil {
					t.Fatalf("from %d blocks: %v, %v", have, b, err)
				}
				receive(t, receiver, b.AppendTo(nil))
				missing = rest
			}
			if receiver.Digest() != h.Chains.Digest() {
				t.Errorf("from %d blocks, in %d batches: not the same", have, batches)
			}
		}
	}
}

func receive(t *testing.T, c *crdt.Chains, batch []byte) {
	t.Helper()
	b, err := crdt.DecodeBatch(batch)
	if err != nil {
		t.Fatal(err)
	}
	checked, err := c.Check(b, crdt.VerifyEd25519)
	if err != nil {
		t.Fatal(err)
	}
	c.Add(checked)
}

// BenchmarkAppend measures durable appends to a directory: what one commit costs, and one that 64 callers share.
func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 64, 1024} {
		b.Run(fmt.Sprintf("changes=%d", n), func(b *testing.B) {
			db, err := storage.Open(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			l, err := db.Log(storagetest.Store(1))
			if err != nil {
				b.Fatal(err)
			}
			h := storagetest.NewHistory(storagetest.Store(1), 2, 1)
			for range b.N {
				h.Add(n, 10)
			}
			b.ResetTimer()
			for _, block := range h.Blocks {
				if err := l.Append(block); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "changes/s")
			if err := db.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkLoad measures reading 100,000 changes back, as they come from a peer and as they come from
// 100,000 commits, before and after merging.
func BenchmarkLoad(b *testing.B) {
	const total = 100_000
	for _, test := range []struct {
		name  string
		n     int
		merge bool
	}{{"blocks=1024", 1024, false}, {"blocks=1", 1, false}, {"blocks=1/merged", 1, true}} {
		b.Run(test.name, func(b *testing.B) {
			dir := b.TempDir()
			db, err := storage.Open(dir)
			if err != nil {
				b.Fatal(err)
			}
			l, err := db.Log(storagetest.Store(1))
			if err != nil {
				b.Fatal(err)
			}
			h := storagetest.NewHistory(storagetest.Store(1), 2, 1)
			for n := 0; n < total; n += test.n {
				h.Add(min(test.n, total-n), 10)
				if test.n > 1 || len(h.Blocks)%100 == 0 {
					// Records of one block each would take 100,000 syncs to make.
					if err := l.Append(h.Blocks...); err != nil {
						b.Fatal(err)
					}
					h.Blocks = nil
				}
			}
			if test.merge {
				storagetest.MergeAll(b, l)
			}
			stats := l.Stats()
			if err := db.Close(); err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			for range b.N {
				db, err := storage.Open(dir)
				if err != nil {
					b.Fatal(err)
				}
				if l, err = db.Log(storagetest.Store(1)); err != nil {
					b.Fatal(err)
				}
				chains := crdt.NewChains(storagetest.Store(1))
				if err := l.Load(func(_ uint64, batch []byte) error {
					decoded, err := crdt.DecodeBatch(batch)
					if err != nil {
						return err
					}
					checked, err := chains.Check(decoded, nil)
					if err != nil {
						return err
					}
					chains.Add(checked)
					return nil
				}); err != nil {
					b.Fatal(err)
				}
				if err := db.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			b.ReportMetric(float64(stats.Records), "records")
			b.ReportMetric(float64(stats.Bytes)/total, "batch-B/change")
		})
	}
}

// BenchmarkChanges measures reading changes for a peer, from the datastore each time.
func BenchmarkChanges(b *testing.B) {
	db := storage.Memory()
	l, err := db.Log(storagetest.Store(1))
	if err != nil {
		b.Fatal(err)
	}
	h := storagetest.NewHistory(storagetest.Store(1), 2, 1)
	for range 200 {
		if err := l.Append(h.Add(1024, 100)); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	n := 0
	for range b.N {
		if err := l.Changes(causal.Span{Start: 0, End: l.Len()}, func(crdt.Accepted) bool { n++; return true }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "changes/s")
}
