package storagetest

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/storage"
)

// Opener opens one device's storage, the same each time. The one it gave before is closed.
type Opener func() (*storage.DB, error)

// Run runs the conformance suite. newDevice gives, for each test, the storage of a new device.
func Run(t *testing.T, newDevice func(t *testing.T) Opener) {
	for _, test := range []struct {
		name string
		run  func(*device)
	}{
		{"Identity", testIdentity},
		{"Stores", testStores},
		{"EmptyLog", testEmptyLog},
		{"AppendAndLoad", testAppendAndLoad},
		{"LargeAppend", testLargeAppend},
		{"AppendRefuses", testAppendRefuses},
		{"Changes", testChanges},
		{"Tables", testTables},
		{"TwoStores", testTwoStores},
		{"Merge", testMerge},
		{"Rewrite", testRewrite},
		{"Self", testSelf},
		{"Verify", testVerify},
		{"DeleteStore", testDeleteStore},
		{"Closed", testClosed},
		{"Backup", testBackup},
		{"Concurrency", testConcurrency},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := &device{TB: t, open: newDevice(t)}
			d.start()
			defer d.stop()
			test.run(d)
		})
	}
}

// device is a device under test.
type device struct {
	testing.TB
	open Opener
	db   *storage.DB
}

func (d *device) start() {
	d.Helper()
	db, err := d.open()
	if err != nil {
		d.Fatalf("open: %v", err)
	}
	d.db = db
}

func (d *device) stop() {
	d.Helper()
	if d.db == nil {
		return
	}
	if err := d.db.Close(); err != nil {
		d.Fatalf("close: %v", err)
	}
	d.db = nil
}

func (d *device) restart() {
	d.Helper()
	d.stop()
	d.start()
}

func (d *device) log(id crdt.StoreID) *storage.Log {
	d.Helper()
	l, err := d.db.Log(id)
	if err != nil {
		d.Fatalf("log: %v", err)
	}
	return l
}

func (d *device) append(l *storage.Log, blocks ...storage.Block) {
	d.Helper()
	if err := l.Append(blocks...); err != nil {
		d.Fatalf("append: %v", err)
	}
}

// holds checks that the log holds exactly what h made so far.
func (d *device) holds(l *storage.Log, h *History) {
	d.Helper()
	got, err := Read(l)
	if err != nil {
		d.Fatalf("read: %v", err)
	}
	if got, want := Fingerprint(got), Fingerprint(h.Changes); got != want {
		d.Fatalf("the log holds %s, want %s", got, want)
	}
}

func testIdentity(d *device) {
	key, dev := d.db.Identity(), d.db.Device()
	if len(key) != ed25519.PrivateKeySize || DeviceOf(key) != dev {
		d.Fatalf("a key of %d bytes for device %s", len(key), dev)
	}
	key[0] ^= 1 // the caller's own copy
	d.restart()
	if d.db.Device() != dev || DeviceOf(d.db.Identity()) != dev {
		d.Errorf("device %s became %s", dev, d.db.Device())
	}
}

func testStores(d *device) {
	mine := func(n byte) causal.Actor { return causal.Actor{Device: d.db.Device(), Nonce: [8]byte{n}} }
	a := storage.StoreInfo{ID: Store(1), Name: "zoo", Secret: [32]byte{7}, Actor: mine(1), Created: 1_700_000_000_000, Addrs: []string{"/ip4/127.0.0.1/tcp/1", "/dns/x"}}
	b := storage.StoreInfo{ID: Store(2), Name: "ant \x00 ünï/code"}
	check := func(want ...storage.StoreInfo) {
		d.Helper()
		got, err := d.db.Stores()
		if err != nil || !reflect.DeepEqual(got, want) {
			d.Fatalf("stores: %+v, %v; want %+v", got, err, want)
		}
	}
	put := func(info storage.StoreInfo) {
		d.Helper()
		if err := d.db.PutStore(info); err != nil {
			d.Fatalf("put: %v", err)
		}
	}
	check()
	put(a)
	put(b)
	check(b, a)
	d.restart()
	check(b, a)
	a.Name, a.Addrs, a.Actor = "aardvark", nil, mine(2)
	put(a)
	check(a, b)
	foreign := a
	foreign.Actor.Device[0] ^= 1
	if err := d.db.PutStore(foreign); err == nil {
		d.Error("took an actor of another device")
	}
	if err := d.db.PutStore(storage.StoreInfo{Name: "no ID"}); err == nil {
		d.Error("took a store without ID")
	}
	d.restart()
	check(a, b)
}

func testEmptyLog(d *device) {
	for range 2 {
		l := d.log(Store(1))
		d.holds(l, NewHistory(Store(1), 1, 1))
		d.append(l)
		if err := l.Flush(); err != nil || l.Len() != 0 || l.Stats() != (storage.LogStats{}) {
			d.Errorf("flush: %v; len %d, %+v", err, l.Len(), l.Stats())
		}
		if more, err := l.Merge(); more || err != nil {
			d.Errorf("merge: %v, %v", more, err)
		}
		d.restart()
	}
}

func testAppendAndLoad(d *device) {
	h := NewHistory(Store(1), 3, 1)
	for round := range 4 {
		l := d.log(Store(1))
		for range 5 {
			d.append(l, h.Add(1, 1))
		}
		d.append(l, h.Add(1, 3), h.Add(20, 40), h.Add(1, 1))
		if round%2 == 0 {
			d.holds(l, h)
		}
		d.restart()
		d.holds(d.log(Store(1)), h)
	}
	numbers := []uint64{}
	if err := d.log(Store(1)).Load(func(n uint64, batch []byte) error {
		if !bytes.Equal(batch, h.Blocks[n].Batch) {
			return fmt.Errorf("block %d is not what was appended", n)
		}
		numbers = append(numbers, n)
		return nil
	}); err != nil {
		d.Fatal(err)
	}
	for i, n := range numbers {
		if n != uint64(i) {
			d.Fatalf("the %dth block is number %d", i, n)
		}
	}
	if len(numbers) != len(h.Blocks) {
		d.Fatalf("%d blocks, want %d", len(numbers), len(h.Blocks))
	}
	stop := errors.New("stop")
	if err := d.log(Store(1)).Load(func(uint64, []byte) error { return stop }); !errors.Is(err, stop) {
		d.Errorf("Load gives %v for an error of yield", err)
	}
	d.holds(d.log(Store(1)), h)
}

// testLargeAppend appends more than goes into one record, and a block of several megabytes.
func testLargeAppend(d *device) {
	h := NewHistory(Store(1), 2, 1)
	l := d.log(Store(1))
	for range 8 {
		h.Add(3, 100_000)
	}
	h.Add(1, 5<<20)
	h.Add(1, 1)
	d.append(l, h.Blocks...)
	d.holds(l, h)
	if n := l.Stats().Records; n < 3 || n >= len(h.Blocks) {
		d.Errorf("%d blocks went into %d records", len(h.Blocks), n)
	}
	d.restart()
	d.holds(d.log(Store(1)), h)
}

func testAppendRefuses(d *device) {
	h := NewHistory(Store(1), 2, 1)
	l := d.log(Store(1))
	d.append(l, h.Add(2, 3))
	good := h.Blocks[0]
	next := NewHistory(Store(1), 2, 2).Add(2, 3)
	end := l.Len()
	for name, blocks := range map[string][]storage.Block{
		"again":        {good},
		"gap":          {{First: end + 1, Batch: next.Batch}},
		"empty":        {{First: end}},
		"garbage":      {{First: end, Batch: []byte("garbage")}},
		"cut":          {{First: end, Batch: next.Batch[:len(next.Batch)-1]}},
		"second wrong": {{First: end, Batch: next.Batch}, {First: end, Batch: next.Batch}},
	} {
		if err := l.Append(blocks...); err == nil || errors.Is(err, storage.ErrFailed) {
			d.Errorf("%s: %v", name, err)
		}
	}
	d.holds(l, h)
	d.append(l, h.Add(1, 1))
	d.restart()
	d.holds(d.log(Store(1)), h)
}

func testChanges(d *device) {
	h := NewHistory(Store(1), 3, 3)
	l := d.log(Store(1))
	rng := rand.New(rand.NewPCG(1, 1))
	for range 30 {
		d.append(l, h.Add(1+rng.IntN(8), 1+rng.IntN(20)))
	}
	check := func() {
		d.Helper()
		for range 200 {
			a, b := causal.LV(rng.IntN(int(l.Len())+5)), causal.LV(rng.IntN(int(l.Len())+5))
			s := causal.Span{Start: min(a, b), End: max(a, b)}
			var want []crdt.Accepted
			for _, c := range h.Changes {
				if c.Span.Start < s.End && c.Span.End > s.Start {
					want = append(want, c)
				}
			}
			got, err := Span(l, s)
			if err != nil || Fingerprint(got) != Fingerprint(want) {
				d.Fatalf("changes in %v: %s, %v; want %s", s, Fingerprint(got), err, Fingerprint(want))
			}
		}
		n := 0
		if err := l.Changes(causal.Span{Start: 0, End: l.Len()}, func(crdt.Accepted) bool { n++; return n < 3 }); err != nil || n != 3 {
			d.Fatalf("stopped after %d changes, %v", n, err)
		}
	}
	check()
	d.restart()
	l = d.log(Store(1)) // not loaded: Changes does
	if got, err := Span(l, causal.Span{Start: 0, End: 1}); err != nil || len(got) != 1 {
		d.Fatalf("first change: %v, %v", got, err)
	}
	check()
}

func testTables(d *device) {
	l := d.log(Store(1))
	h := NewHistory(Store(1), 1, 1)
	device := func(n int) causal.Device { return DeviceOf(Key(n)) }
	put := func(put func(causal.Device, []byte) error, n int, value string) {
		d.Helper()
		if err := put(device(n), []byte(value)); err != nil {
			d.Fatal(err)
		}
	}
	check := func(name string, get func() ([]storage.Entry, error), want map[int]string) {
		d.Helper()
		entries, err := get()
		if err != nil {
			d.Fatal(err)
		}
		if !slices.IsSortedFunc(entries, func(a, b storage.Entry) int { return a.Device.Compare(b.Device) }) {
			d.Errorf("%s are not sorted", name)
		}
		got := make(map[causal.Device]string)
		for _, e := range entries {
			got[e.Device] = string(e.Value)
		}
		for n, v := range want {
			if got[device(n)] != v {
				d.Errorf("%s: device %d has %q, want %q", name, n, got[device(n)], v)
			}
		}
		if len(got) != len(want) {
			d.Errorf("%d %s, want %d", len(got), name, len(want))
		}
	}
	put(l.PutPeer, 1, "one")
	put(l.PutPeer, 2, "two")
	put(l.PutPeer, 1, "one again")
	put(l.PutRecord, 1, "")
	check("peers", l.Peers, map[int]string{1: "one again", 2: "two"})
	d.restart()
	l = d.log(Store(1))
	check("peers", l.Peers, map[int]string{1: "one again", 2: "two"})
	check("records", l.Records, map[int]string{1: ""})
	put(l.PutRecord, 3, "three")
	d.append(l, h.Add(1, 1))
	put(l.PutPeer, 2, "")
	if err := l.Flush(); err != nil {
		d.Fatal(err)
	}
	d.restart()
	l = d.log(Store(1))
	check("peers", l.Peers, map[int]string{1: "one again", 2: ""})
	check("records", l.Records, map[int]string{1: "", 3: "three"})
	check("peers elsewhere", d.log(Store(2)).Peers, nil)
	d.holds(l, h)
}

func testTwoStores(d *device) {
	a, b := NewHistory(Store(1), 2, 1), NewHistory(Store(2), 2, 2)
	for range 10 {
		d.append(d.log(Store(1)), a.Add(2, 5))
		d.append(d.log(Store(2)), b.Add(1, 7))
	}
	d.restart()
	d.holds(d.log(Store(2)), b)
	d.holds(d.log(Store(1)), a)
}

func testMerge(d *device) {
	h := NewHistory(Store(1), 3, 5)
	l := d.log(Store(1))
	for range 1050 {
		d.append(l, h.Add(1, 2))
	}
	for i := range 6 {
		d.append(l, h.Add(100+i, 60), h.Add(1, 90_000))
	}
	before := l.Stats()
	steps := MergeAll(d, l)
	after := l.Stats()
	d.Logf("%d steps: %+v became %+v", steps, before, after)
	if steps < 2 || after.Records > before.Records/2 || after.Bytes >= before.Bytes || after.Ops != before.Ops || after.Changes != before.Changes {
		d.Fatalf("%d steps: %+v became %+v", steps, before, after)
	}
	d.holds(l, h)
	verify(d, l, h)
	if n := MergeAll(d, l); n != 0 {
		d.Errorf("%d more steps", n)
	}
	d.append(l, h.Add(1, 1))
	d.holds(l, h)
	d.restart()
	l = d.log(Store(1))
	d.holds(l, h)
	verify(d, l, h)
	for range 300 {
		d.append(l, h.Add(1, 2))
	}
	if MergeAll(d, l) == 0 {
		d.Error("nothing to merge among 300 new blocks")
	}
	d.holds(l, h)
	verify(d, l, h)
	if err := d.db.Collect(); err != nil {
		d.Error(err)
	}
	d.restart()
	d.holds(d.log(Store(1)), h)
}

// MergeAll merges until there is nothing to do, and returns the number of steps.
func MergeAll(t testing.TB, l *storage.Log) int {
	t.Helper()
	for n := 0; ; n++ {
		before := l.Stats().Records
		more, err := l.Merge()
		if err != nil {
			t.Fatalf("merge: %v", err)
		}
		if !more {
			return n
		}
		if after := l.Stats().Records; after >= before {
			t.Fatalf("merging made %d records of %d", after, before)
		}
	}
}

// verify checks l from the ground up, signatures and all, and that it comes to the tips of h.
func verify(d *device, l *storage.Log, h *History) {
	d.Helper()
	chains := crdt.NewChains(h.Chains.Store())
	n := 0
	report, err := l.Verify(chains, crdt.VerifyEd25519, func(a crdt.Accepted) error {
		if want := h.Changes[n]; a.Hash != want.Hash || a.Span != want.Span || a.Effective != want.Effective {
			return fmt.Errorf("change %d is %s at %v, want %s at %v", n, a.Dot(), a.Span, want.Dot(), want.Span)
		}
		n++
		return nil
	})
	if err != nil {
		d.Fatalf("verify: %v", err)
	}
	if report.Changes != len(h.Changes) || n != len(h.Changes) || report.Signatures == 0 || !slices.Equal(chains.Tips(), h.Chains.Tips()) {
		d.Fatalf("verified %+v, want %d changes", report, len(h.Changes))
	}
	if records, err := d.db.Verify(); err != nil || records < report.Records {
		d.Fatalf("verified %d records, %v", records, err)
	}
}

func testVerify(d *device) {
	h := NewHistory(Store(1), 3, 5)
	l := d.log(Store(1))
	for range 20 {
		d.append(l, h.Add(3, 10))
	}
	verify(d, l, h)
	// A batch that is sound by itself but whose signature is another's.
	forged := h.Add(1, 4)
	b, err := crdt.DecodeBatch(bytes.Clone(forged.Batch))
	if err != nil {
		d.Fatal(err)
	}
	b.Sigs[len(b.Sigs)-1].Sig[3] ^= 1
	d.append(l, storage.Block{First: forged.First, Batch: b.AppendTo(nil)})
	var corrupt *storage.CorruptError
	if _, err := l.Verify(crdt.NewChains(Store(1)), crdt.VerifyEd25519, nil); !errors.As(err, &corrupt) || corrupt.Record == "" {
		d.Errorf("verify a forged signature: %v", err)
	}
	stop := errors.New("stop")
	if _, err := l.Verify(crdt.NewChains(Store(1)), crdt.VerifyEd25519, func(crdt.Accepted) error { return stop }); !errors.Is(err, stop) {
		d.Errorf("verify gives %v for an error of yield", err)
	}
}

func testDeleteStore(d *device) {
	a, b := NewHistory(Store(1), 2, 1), NewHistory(Store(2), 2, 2)
	fill := func(h *History, n int) {
		d.Helper()
		id := h.Chains.Store()
		if err := d.db.PutStore(storage.StoreInfo{ID: id, Name: id.String()}); err != nil {
			d.Fatal(err)
		}
		for range n {
			d.append(d.log(id), h.Add(1, 3))
		}
		if err := d.log(id).PutPeer(DeviceOf(Key(1)), []byte("x")); err != nil {
			d.Fatal(err)
		}
	}
	fill(a, 70)
	fill(b, 5)
	empty, err := d.db.Verify()
	if err != nil {
		d.Fatal(err)
	}
	old := d.log(Store(1))
	if err := d.db.DeleteStore(Store(1)); err != nil {
		d.Fatal(err)
	}
	left, err := d.db.Verify()
	if err != nil || left > empty-70 {
		d.Errorf("%d of %d records left, %v", left, empty, err)
	}
	if stores, err := d.db.Stores(); err != nil || len(stores) != 1 || stores[0].ID != Store(2) {
		d.Errorf("stores left: %+v, %v", stores, err)
	}
	for name, err := range map[string]error{
		"append": old.Append(a.Add(1, 1)), "load": old.Load(nil), "flush": old.Flush(), "put": old.PutPeer(causal.Device{1}, nil),
		"changes": old.Changes(causal.Span{Start: 0, End: 1}, func(crdt.Accepted) bool { return true }),
	} {
		if !errors.Is(err, storage.ErrForgotten) {
			d.Errorf("%s after forgetting: %v", name, err)
		}
	}
	if err := d.db.DeleteStore(Store(3)); err != nil {
		d.Errorf("forget a store that is not there: %v", err)
	}
	again := NewHistory(Store(1), 2, 9)
	for range 2 {
		d.holds(d.log(Store(2)), b)
		d.holds(d.log(Store(1)), again)
		d.append(d.log(Store(1)), again.Add(1, 1))
		d.restart()
	}
	if peers, err := d.log(Store(1)).Peers(); err != nil || len(peers) != 0 {
		d.Errorf("peers of the forgotten store: %v, %v", peers, err)
	}
}

func testClosed(d *device) {
	h := NewHistory(Store(1), 1, 1)
	l := d.log(Store(1))
	d.append(l, h.Add(1, 1))
	db := d.db
	d.stop()
	_, err1 := db.Log(Store(1))
	_, err2 := l.Peers()
	_, err3 := l.Merge()
	for i, err := range []error{err1, err2, err3, l.Append(h.Add(1, 1)), l.Load(nil), l.Flush(), db.DeleteStore(Store(1)), db.Close(),
		l.Changes(causal.Span{Start: 0, End: 1}, func(crdt.Accepted) bool { return true })} {
		if !errors.Is(err, storage.ErrClosed) {
			d.Errorf("call %d after Close: %v", i, err)
		}
	}
}

func testBackup(d *device) {
	a, b := NewHistory(Store(1), 3, 1), NewHistory(Store(2), 1, 2)
	for i, h := range []*History{a, b} {
		info := storage.StoreInfo{ID: h.Chains.Store(), Name: fmt.Sprint(i), Secret: [32]byte{5}, Actor: causal.Actor{Device: d.db.Device(), Nonce: [8]byte{1}}}
		if err := d.db.PutStore(info); err != nil {
			d.Fatal(err)
		}
		for range 400 {
			h.Add(1, 2)
		}
		d.append(d.log(info.ID), h.Blocks...)
		if err := d.log(info.ID).PutRecord(DeviceOf(Key(2)), []byte("held")); err != nil {
			d.Fatal(err)
		}
	}
	for range 400 {
		d.append(d.log(Store(2)), b.Add(1, 1))
	}
	MergeAll(d, d.log(Store(2)))
	for _, withKey := range []bool{false, true} {
		dir := filepath.Join(d.TempDir(), "copy")
		if err := d.db.Backup(dir, storage.BackupOptions{Key: withKey}); err != nil {
			d.Fatal(err)
		}
		if err := d.db.Backup(dir, storage.BackupOptions{}); err == nil {
			d.Error("wrote over a backup")
		}
		restored := &device{TB: d.TB, open: func() (*storage.DB, error) { return storage.Open(dir) }}
		restored.start()
		if same := restored.db.Device() == d.db.Device(); same != withKey {
			d.Errorf("with key: %v; the copy is the same device: %v", withKey, same)
		}
		stores, err := restored.db.Stores()
		if err != nil || len(stores) != 2 || stores[0].Name != "0" || stores[0].Secret != [32]byte{5} {
			d.Fatalf("stores of the copy: %+v, %v", stores, err)
		}
		for i, h := range []*History{a, b} {
			if !stores[i].Actor.IsZero() {
				d.Errorf("the copy goes on as actor %s", stores[i].Actor)
			}
			l := restored.log(stores[i].ID)
			restored.holds(l, h)
			verify(restored, l, h)
			if records, err := l.Records(); err != nil || len(records) != 1 {
				d.Errorf("records of the copy: %v, %v", records, err)
			}
		}
		restored.stop()
	}
	d.holds(d.log(Store(1)), a)
}

// testConcurrency lets readers, a writer, merging and a backup run at once: what readers see is always a
// beginning of the history.
func testConcurrency(d *device) {
	h := NewHistory(Store(1), 3, 5)
	l := d.log(Store(1))
	if err := d.db.PutStore(storage.StoreInfo{ID: Store(1), Name: "busy"}); err != nil {
		d.Fatal(err)
	}
	for range 500 {
		h.Add(1, 2)
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	background := func(name string, work func(round int) error) {
		wg.Go(func() {
			for round := 0; ; round++ {
				if err := work(round); err != nil {
					d.Errorf("%s: %v", name, err)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for range 2 {
		background("read", func(round int) error {
			end := l.Len()
			got, err := Span(l, causal.Span{Start: end / 2, End: end})
			if err != nil {
				return err
			}
			want := h.Changes[int(end)/4 : int(end)/2] // all changes have 2 ops
			if Fingerprint(got) != Fingerprint(want) {
				return fmt.Errorf("half of %d ops: %s, want %s", end, Fingerprint(got), Fingerprint(want))
			}
			return l.PutPeer(causal.Device{byte(round)}, []byte{byte(round)})
		})
	}
	background("merge", func(int) error { _, err := l.Merge(); return err })
	background("list", func(int) error { _, err := d.db.Stores(); return err })
	dir := d.TempDir()
	backups := 0
	background("backup", func(round int) error {
		if round >= 3 {
			<-done // enough; it would keep the disk busy
			return nil
		}
		backups++
		return d.db.Backup(filepath.Join(dir, fmt.Sprint(round)), storage.BackupOptions{})
	})
	for _, b := range h.Blocks {
		d.append(l, b)
	}
	close(done)
	wg.Wait()
	d.holds(l, h)
	verify(d, l, h)
	copied := &device{TB: d.TB, open: func() (*storage.DB, error) { return storage.Open(filepath.Join(dir, fmt.Sprint(backups-1))) }}
	copied.start()
	defer copied.stop()
	got, err := Read(copied.log(Store(1)))
	if err != nil {
		d.Fatalf("read the copy: %v", err)
	}
	if want := h.Changes[:len(got)]; Fingerprint(got) != Fingerprint(want) {
		d.Errorf("the copy holds %s, want %s", Fingerprint(got), Fingerprint(want))
	}
}
