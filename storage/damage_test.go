package storage_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/storage"
	"github.com/atollsync/atoll/storage/storagetest"
)

// readAll opens what is on the disk and reads all of it, the logs of stores 1 and 2 among it. It returns the
// first error.
func readAll(disk *storagetest.Disk) error {
	db, err := storage.New(disk, storage.Config{Key: storagetest.Key(0)})
	if err != nil {
		return err
	}
	if _, err := db.Stores(); err != nil {
		return err
	}
	for n := 1; n <= 2; n++ {
		l, err := db.Log(storagetest.Store(n))
		if err != nil {
			return err
		}
		if _, err := storagetest.Read(l); err != nil {
			if again := l.Append(); again == nil {
				return errors.New("a damaged log takes appends: " + err.Error())
			}
			return err
		}
	}
	return nil
}

// filledDisk returns a disk with two stores, one of them with merged blocks, closed in order.
func filledDisk(t *testing.T) (*storagetest.Disk, *storagetest.History) {
	t.Helper()
	disk := storagetest.NewDisk(1)
	db, err := storage.New(disk, storage.Config{Key: storagetest.Key(0)})
	if err != nil {
		t.Fatal(err)
	}
	var first *storagetest.History
	for n := 1; n <= 2; n++ {
		h := storagetest.NewHistory(storagetest.Store(n), 2, uint64(n))
		if n == 1 {
			first = h
		}
		if err := db.PutStore(storage.StoreInfo{ID: storagetest.Store(n), Name: "x"}); err != nil {
			t.Fatal(err)
		}
		l, err := db.Log(storagetest.Store(n))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 30 {
			size := 2
			if i == 25 {
				size = 400 // compressed
			}
			if err := l.Append(h.Add(1, size)); err != nil {
				t.Fatal(err)
			}
		}
		if n == 2 {
			if err := l.Append(h.Add(270, 1)); err != nil {
				t.Fatal(err)
			}
			storagetest.MergeAll(t, l)
		}
		if err := l.PutPeer(causal.Device{1}, []byte("peer")); err != nil {
			t.Fatal(err)
		}
		if err := l.PutRecord(causal.Device{1}, []byte("record")); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := readAll(disk.Restart(storagetest.LoseAll, 0)); err != nil {
		t.Fatal(err)
	}
	return disk, first
}

// TestDamagedRecords damages every record of a datastore in every way, one at a time: each time the
// record is named and refused.
func TestDamagedRecords(t *testing.T) {
	disk, _ := filledDisk(t)
	keys := disk.Keys()
	rng := rand.New(rand.NewPCG(1, 1))
	refused := 0
	try := func(what, key string, damage func([]byte) []byte) {
		t.Helper()
		d := disk.Restart(storagetest.LoseAll, 0)
		d.Damage(key, damage)
		err := readAll(d)
		var corrupt *storage.CorruptError
		if !errors.As(err, &corrupt) {
			t.Errorf("%s of %s: %v", what, key, err)
			return
		}
		if corrupt.Record != key || !strings.Contains(err.Error(), key) {
			t.Errorf("%s of %s is blamed on %s", what, key, corrupt.Record)
		}
		refused++
	}
	for i, key := range keys {
		size := len(disk.Value(key))
		for range 6 {
			at, bit := rng.IntN(size), byte(1)<<rng.IntN(8)
			try("a flipped bit", key, func(v []byte) []byte { v[at] ^= bit; return v })
		}
		for _, n := range []int{0, 1, 9, size - 1} {
			if n < size {
				try("a cut", key, func(v []byte) []byte { return v[:n] })
			}
		}
		try("a byte more", key, func(v []byte) []byte { return append(v, 0) })
		if other := disk.Value(keys[(i+1)%len(keys)]); !bytes.Equal(other, disk.Value(key)) {
			try("the value of another key", key, func([]byte) []byte { return other })
		}
	}
	t.Logf("%d kinds of damage to %d records refused", refused, len(keys))
}

// TestForeignBlock puts a block of one store where another store has one with the same number, at the same place, of
// the same size.
func TestForeignBlock(t *testing.T) {
	disk := storagetest.NewDisk(1)
	db, err := storage.New(disk, storage.Config{Key: storagetest.Key(0)})
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 2; n++ {
		l, err := db.Log(storagetest.Store(n))
		if err != nil {
			t.Fatal(err)
		}
		h := storagetest.NewHistory(storagetest.Store(n), 1, 1)
		for range 5 {
			if err := l.Append(h.Add(1, 2)); err != nil {
				t.Fatal(err)
			}
		}
	}
	var same []string
	for _, key := range disk.Keys() {
		if strings.HasSuffix(key, "/b/000000000003") {
			same = append(same, key)
		}
	}
	if len(same) != 2 {
		t.Fatalf("keys %v", same)
	}
	foreign := disk.Value(same[0])
	disk.Damage(same[1], func([]byte) []byte { return foreign })
	var corrupt *storage.CorruptError
	if err := readAll(disk); !errors.As(err, &corrupt) || corrupt.Record != same[1] || !strings.Contains(err.Error(), "another key") {
		t.Errorf("a block of another store: %v", err)
	}
}

// TestMissingRecords removes records. A hole in a log is noticed, and so is a lost end.
func TestMissingRecords(t *testing.T) {
	disk, h := filledDisk(t)
	for _, key := range disk.Keys() {
		d := disk.Restart(storagetest.LoseAll, 0)
		d.Damage(key, func([]byte) []byte { return nil })
		err := readAll(d)
		var corrupt *storage.CorruptError
		switch {
		case strings.Contains(key, "/b/"), key == "/format":
			if !errors.As(err, &corrupt) {
				t.Errorf("without %s: %v", key, err)
			}
		case err != nil: // a cache, or a guard
			t.Errorf("without %s: %v", key, err)
		}
	}
	// The ends, of any length.
	var blocks []string
	prefix := ""
	for _, key := range disk.Keys() {
		if strings.Contains(key, "/b/") && !strings.Contains(key, "-") && (prefix == "" || strings.HasPrefix(key, prefix)) {
			prefix = key[:strings.Index(key, "/b/")]
			blocks = append(blocks, key)
		}
	}
	for n := 1; n <= len(blocks); n++ {
		d := disk.Restart(storagetest.LoseAll, 0)
		for _, key := range blocks[len(blocks)-n:] {
			d.Damage(key, func([]byte) []byte { return nil })
		}
		err := readAll(d)
		var corrupt *storage.CorruptError
		if !errors.As(err, &corrupt) || !strings.HasPrefix(corrupt.Record, "blocks ") {
			t.Errorf("without the last %d of %d blocks: %v", n, len(h.Blocks), err)
		}
	}
}

// TestStrayRecords adds records under keys that this version never writes.
func TestStrayRecords(t *testing.T) {
	disk, _ := filledDisk(t)
	var block string
	for _, key := range disk.Keys() {
		if strings.Contains(key, "/b/") {
			block = key
		}
	}
	log := block[:strings.Index(block, "/b/")]
	for _, key := range []string{log + "/b/zz", log + "/b/1", log + "/b/00000000000A", log + "/b/000000000002-000000000002",
		log + "/p/0102", log + "/x", "/v1/stores/12", "/v1/forget/zz", "/v1/other", "/v1/log/short/n"} {
		d := disk.Restart(storagetest.LoseAll, 0)
		d.Damage(key, func([]byte) []byte { return []byte("stray") })
		db, err := storage.New(d, storage.Config{Key: storagetest.Key(0)})
		if err == nil {
			_, err = db.Verify()
		}
		var corrupt *storage.CorruptError
		if !errors.As(err, &corrupt) || corrupt.Record != key {
			t.Errorf("stray key %s: %v", key, err)
		}
	}
}

// TestBrokenMerge damages a merged record of which the parts are still there: nothing is lost then. With a
// part gone too, it is refused.
func TestBrokenMerge(t *testing.T) {
	h := storagetest.NewHistory(storagetest.Store(1), 2, 1)
	for range 40 {
		h.Add(1, 2)
	}
	h.Add(300, 1)
	tried := 0
	for steps := 1; steps < 3; steps++ { // the merged record is written, it is synced, a part is removed
		disk := storagetest.NewDisk(1)
		db, err := storage.New(disk, storage.Config{Key: storagetest.Key(0)})
		if err != nil {
			t.Fatal(err)
		}
		l, err := db.Log(storagetest.Store(1))
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range h.Blocks {
			if err := l.Append(b); err != nil {
				t.Fatal(err)
			}
		}
		disk.CrashAfter(steps)
		if _, err := l.Merge(); !errors.Is(err, storagetest.ErrCrashed) {
			t.Fatal(err)
		}
		after := disk.Restart(storagetest.LoseNone, 1)
		merged, part := "", ""
		for _, key := range after.Keys() {
			if strings.Contains(key, "-") {
				merged = key
			} else if strings.Contains(key, "/b/") && strings.HasSuffix(key, "5") {
				part = key
			}
		}
		if merged == "" {
			continue
		}
		tried++
		after.Damage(merged, func(v []byte) []byte { v[20] ^= 1; return v })
		broken := after.Restart(storagetest.LoseAll, 1)
		db, err = storage.New(after, storage.Config{Key: storagetest.Key(0)})
		if err != nil {
			t.Fatal(err)
		}
		if l, err = db.Log(storagetest.Store(1)); err != nil {
			t.Fatal(err)
		}
		if got, err := storagetest.Read(l); err != nil || storagetest.Fingerprint(got) != storagetest.Fingerprint(h.Changes) {
			t.Errorf("with all parts: %d changes, %v", len(got), err)
		}
		if storagetest.MergeAll(t, l) == 0 {
			t.Error("nothing was merged anew")
		}
		if err := readAll(after.Restart(storagetest.LoseAll, 1)); err != nil {
			t.Errorf("merged anew: %v", err)
		}
		broken.Damage(part, func([]byte) []byte { return nil })
		var corrupt *storage.CorruptError
		if err := readAll(broken); !errors.As(err, &corrupt) || corrupt.Record != merged {
			t.Errorf("with a part gone: %v", err)
		}
	}
	if tried == 0 {
		t.Error("no merged record was left by the crashes")
	}
}
