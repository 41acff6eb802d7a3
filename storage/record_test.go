package storage

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

func newCodec(t testing.TB) *recordCodec {
	t.Helper()
	c, err := newRecordCodec()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRecord(t *testing.T) {
	c := newCodec(t)
	rng := rand.New(rand.NewPCG(1, 1))
	random := make([]byte, 5000)
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	for name, test := range map[string]struct {
		payload    []byte
		compressed bool
	}{
		"empty":      {nil, false},
		"small":      {bytes.Repeat([]byte("a"), compressAbove-1), false},
		"repetitive": {bytes.Repeat([]byte("a"), 100_000), true},
		"random":     {random, false},
		"largest":    {make([]byte, maxPayload), true},
	} {
		for _, encoder := range []*zstd.Encoder{c.fast, c.small} {
			record := c.seal("/k", test.payload, encoder)
			got, err := c.open("/k", record)
			if err != nil || !bytes.Equal(got, test.payload) {
				t.Errorf("%s: %d bytes came back as %d, %v", name, len(test.payload), len(got), err)
			}
			if compressed := record[1] == flagZstd; compressed != test.compressed {
				t.Errorf("%s: compressed: %v", name, compressed)
			}
			if len(record) > headerSize+len(test.payload) {
				t.Errorf("%s: %d bytes take %d", name, len(test.payload), len(record))
			}
			if _, err := c.open("/l", record); err == nil {
				t.Errorf("%s: opened under another key", name)
			}
		}
	}
}

// TestRecordBomb opens a record, sealed in order, that unpacks to more than any payload may have.
func TestRecordBomb(t *testing.T) {
	c := newCodec(t)
	record := c.seal("/k", make([]byte, maxPayload+1), c.fast)
	if len(record) > 10_000 {
		t.Fatalf("it takes %d bytes", len(record))
	}
	if got, err := c.open("/k", record); err == nil {
		t.Errorf("unpacked to %d bytes", len(got))
	}
}

// TestNewerFormat opens what a newer version would leave behind.
func TestNewerFormat(t *testing.T) {
	c := newCodec(t)
	newer := c.seal("/k", []byte("payload"), c.fast)
	newer[0] = 2
	if _, err := c.open("/k", newer); err == nil || errors.Is(err, ErrNewerFormat) {
		t.Errorf("a damaged version byte: %v", err)
	}
	sum := recordSum("/k", newer)
	copy(newer[2:], sum[:])
	if _, err := c.open("/k", newer); !errors.Is(err, ErrNewerFormat) {
		t.Errorf("a newer record: %v", err)
	}
	newer[0] = 0
	if _, err := c.open("/k", newer); err == nil || errors.Is(err, ErrNewerFormat) {
		t.Errorf("a record of format 0: %v", err)
	}

	ds := MemoryDatastore()
	key := Memory().Identity()
	db, err := New(ds, Config{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.write(put(formatKey, c.seal(formatKey, binary.AppendUvarint(nil, 2), c.fast))); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err = New(ds, Config{Key: key}); !errors.Is(err, ErrNewerFormat) || !strings.Contains(err.Error(), "format 2, this version knows 1") {
		t.Errorf("a newer datastore: %v", err)
	}
	if _, err = New(ds, Config{}); err == nil || errors.Is(err, ErrNewerFormat) {
		t.Errorf("without a key: %v", err)
	}
	if err := ds.Put(context.Background(), dsKey(formatKey), nil); err != nil {
		t.Fatal(err)
	}
	var corrupt *CorruptError
	if _, err = New(ds, Config{Key: key}); !errors.As(err, &corrupt) {
		t.Errorf("a damaged format: %v", err)
	}
}

func TestKeys(t *testing.T) {
	id := crdt.StoreID{0xff, 0x2f, 0x2f} // no byte of an ID may come out as a slash
	prefix := logPrefix(id)
	for _, r := range []blockRecord{{first: 0}, {first: 1, last: 1}, {first: 0xabcdef}, {first: 0, last: 1, merged: true}, {first: 9, last: maxNumber, merged: true}} {
		key := r.key(prefix)
		first, last, merged, err := parseBlockKey(prefix, key)
		if err != nil || first != r.first || merged != r.merged || merged && last != r.last {
			t.Errorf("%+v: %s is %d, %d, %v, %v", r, key, first, last, merged, err)
		}
		if !knownKey(key) || strings.Count(key, "/") != 5 {
			t.Errorf("%s is not known", key)
		}
	}
	if got, err := parseStoreKey(storesPrefix, storeKey(id)); got != id || err != nil {
		t.Errorf("store key: %v, %v", got, err)
	}
	d := causal.Device{0x2f, 1}
	if got, err := parseDeviceKey(prefix+"/p", deviceKey(prefix+"/p", d)); got != d || err != nil {
		t.Errorf("device key: %v, %v", got, err)
	}
}

// TestTails writes, clears and damages slots.
func TestTails(t *testing.T) {
	dir := t.TempDir()
	open := func() (*tails, error) { return openTails(dir) }
	x, err := open()
	if err != nil {
		t.Fatal(err)
	}
	a, b, c := crdt.StoreID{1}, crdt.StoreID{2}, crdt.StoreID{3}
	for i, id := range []crdt.StoreID{a, b, a} {
		if err := x.set(id, uint64(i+5)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(x.clear(b), x.clear(c), x.set(c, 9), x.close()); err != nil {
		t.Fatal(err)
	}
	if x, err = open(); err != nil {
		t.Fatal(err)
	}
	if x.get(a) != 7 || x.get(b) != 0 || x.get(c) != 9 || x.end != 2*slotSize {
		t.Errorf("%d %d %d in %d bytes", x.get(a), x.get(b), x.get(c), x.end)
	}
	for at := range int64(2 * slotSize) {
		var old [1]byte
		if _, err := x.file.ReadAt(old[:], at); err != nil {
			t.Fatal(err)
		}
		if _, err := x.file.WriteAt([]byte{old[0] ^ 4}, at); err != nil {
			t.Fatal(err)
		}
		var corrupt *CorruptError
		if _, err := open(); !errors.As(err, &corrupt) {
			t.Errorf("byte %d flipped: %v", at, err)
		}
		if _, err := x.file.WriteAt(old[:], at); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(x.file.Truncate(slotSize+7), x.close()); err != nil {
		t.Fatal(err)
	}
	if x, err = open(); err != nil || x.end != slotSize {
		t.Errorf("half a slot at the end: %v", err)
	}
	if err := x.close(); err != nil {
		t.Fatal(err)
	}
}

// TestKeptSignatures checks the rule for thinning signatures on rows of changes by one actor.
func TestKeptSignatures(t *testing.T) {
	row := func(n, size int) []*crdt.Change {
		var out []*crdt.Change
		for i := range n {
			out = append(out, &crdt.Change{Actor: causal.Actor{Nonce: [8]byte{1}}, Seq: causal.Seq(i + 1),
				Groups: []crdt.Group{{Slice: "s", Len: 1, Ops: make([]byte, size-1)}}})
		}
		return out
	}
	all := func(causal.Dot) bool { return true }
	none := func(causal.Dot) bool { return false }
	every := func(n causal.Seq) func(causal.Dot) bool { return func(d causal.Dot) bool { return d.Seq%n == 0 } }
	for name, test := range map[string]struct {
		changes        []*crdt.Change
		signed, needed func(causal.Dot) bool
		want           []causal.Seq
	}{
		"only the last":       {row(900, 10), all, none, []causal.Seq{900}},
		"every 1000 changes":  {row(2500, 10), all, none, []causal.Seq{1000, 2000, 2500}},
		"every 64 KiB":        {row(100, 2<<10), all, none, []causal.Seq{32, 64, 96, 100}},
		"what is depended on": {row(900, 10), all, every(400), []causal.Seq{400, 800, 900}},
		"few signatures":      {row(3000, 10), every(1500), none, []causal.Seq{1500, 3000}},
		"at uneven places":    {row(2100, 10), every(700), none, []causal.Seq{700, 1400, 2100}},
		"larger than 64 KiB":  {row(3, 100<<10), all, none, []causal.Seq{1, 2, 3}},
	} {
		var got []causal.Seq
		for _, d := range keptSignatures(crdt.NewBatch(nil, test.changes, nil), test.signed, test.needed) {
			got = append(got, d.Seq)
		}
		if len(got) != len(test.want) {
			t.Errorf("%s: kept %v, want %v", name, got, test.want)
			continue
		}
		for i := range got {
			if got[i] != test.want[i] {
				t.Errorf("%s: kept %v, want %v", name, got, test.want)
				break
			}
		}
	}
}

// TestScanValueLog cuts a value log at every byte, and flips each of its bytes.
func TestScanValueLog(t *testing.T) {
	entry := func(key, value string, meta byte) []byte {
		b := binary.BigEndian.AppendUint32(nil, uint32(len(key)))
		b = binary.BigEndian.AppendUint32(b, uint32(len(value)))
		b = append(append(append(append(b, make([]byte, 8)...), meta, 0), key...), value...)
		return binary.BigEndian.AppendUint32(b, crc(b))
	}
	txn := func(ts string, values ...string) []byte {
		var b []byte
		for _, v := range values {
			b = append(b, entry("/key", v, vlogTxn)...)
		}
		return append(b, entry(vlogEndKey+"12345678", ts, vlogTxnEnd)...)
	}
	first, second, moved := txn("1", "one", "two"), txn("2", "three "+vlogEndKey+" and more"), entry("!badger!move/key", "x", 0)
	log := append(append(append([]byte{}, first...), moved...), second...)
	wholes := map[int]bool{0: true, len(first): true, len(first) + len(moved): true, len(log): true}
	for n := range len(log) + 1 {
		end, torn := scanValueLog(log[:n])
		if !wholes[end] || end > n || torn == wholes[n] {
			t.Errorf("cut at %d of %d: ends at %d, torn %v", n, len(log), end, torn)
		}
	}
	for _, zeros := range []int{1, 17, 18, 22, 100} {
		if end, torn := scanValueLog(append(bytes.Clone(log), make([]byte, zeros)...)); end != len(log) || !torn {
			t.Errorf("%d zeros: ends at %d, torn %v", zeros, end, torn)
		}
	}
	// A flip in what is followed by a whole transaction is never taken for a torn write.
	for at := range len(first) + len(moved) {
		bad := bytes.Clone(log)
		bad[at] ^= 0x40
		if end, torn := scanValueLog(bad); torn || end > at {
			t.Errorf("byte %d flipped: ends at %d, torn %v", at, end, torn)
		}
	}
}

func crc(b []byte) uint32 {
	// The expected value, spelled out: CRC-32C, bit by bit.
	sum := ^uint32(0)
	for _, c := range b {
		sum ^= uint32(c)
		for range 8 {
			sum = sum>>1 ^ 0x82f63b78*(sum&1)
		}
	}
	return ^sum
}

func FuzzRecord(f *testing.F) {
	c := newCodec(f)
	f.Add([]byte{}, true)
	f.Add(c.seal("/k", []byte("payload"), c.fast), false)
	f.Add(c.seal("/k", bytes.Repeat([]byte("a"), 1000), c.small), true)
	f.Fuzz(func(t *testing.T, record []byte, fix bool) {
		if fix && len(record) >= headerSize {
			sum := recordSum("/k", record)
			copy(record[2:], sum[:])
		}
		payload, err := c.open("/k", record)
		if err != nil {
			return
		}
		if len(payload) > maxPayload {
			t.Errorf("%d bytes", len(payload))
		}
		if again, err := c.open("/k", c.seal("/k", payload, c.fast)); err != nil || !bytes.Equal(again, payload) {
			t.Errorf("%x: %v", payload, err)
		}
	})
}

func FuzzContent(f *testing.F) {
	one := &recordContent{position: 7, blocks: 1, batches: []storedBatch{{2, 1, []byte("batch")}}}
	two := &recordContent{position: 0, blocks: 300, batches: []storedBatch{{2, 2, []byte("x")}, {1 << 40, 1, []byte("y")}}}
	f.Add(one.appendTo(nil))
	f.Add(two.appendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseContent(b)
		if err != nil {
			return
		}
		r := c.describe(0, false)
		if r.span.Len() <= 0 || r.changes <= 0 || int(r.size) > len(b) || int64(r.span.Len()) < int64(r.changes) {
			t.Errorf("%x: %+v", b, r)
		}
		if again, err := parseContent(c.appendTo(nil)); err != nil || !bytes.Equal(again.appendTo(nil), c.appendTo(nil)) {
			t.Errorf("%x: %v", b, err)
		}
	})
}

func FuzzStoreInfo(f *testing.F) {
	for _, info := range []StoreInfo{{ID: crdt.StoreID{1}, Name: "x"}, {Actor: causal.Actor{Device: causal.Device{3}}, Created: -1, Addrs: []string{"", "a"}}} {
		b, err := info.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add(bytes.Repeat([]byte{0x91}, 1<<16))
	f.Add([]byte{0x96, 0xc6, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		info, err := parseStoreInfo(b)
		if err != nil {
			return
		}
		encoded, err := info.encode()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := parseStoreInfo(encoded); err != nil || again.Name != info.Name || again.Actor != info.Actor || len(again.Addrs) != len(info.Addrs) {
			t.Errorf("%+v became %+v, %v", info, again, err)
		}
	})
}

func FuzzFiles(f *testing.F) {
	f.Add([]byte(manifestMagic), byte(0))
	f.Add([]byte(identityTag+" 00 00\n"), byte(1))
	f.Add(append(make([]byte, 17), vlogEndKey...), byte(2))
	f.Fuzz(func(t *testing.T, b []byte, which byte) {
		switch which % 3 {
		case 0:
			strict, err := readManifest(b, false)
			lax, laxErr := readManifest(b, true)
			if err == nil && (laxErr != nil || len(lax) != len(strict)) {
				t.Errorf("%x: %v", b, laxErr)
			}
		case 1:
			if key, err := parseIdentity(b); err == nil {
				if again, err := parseIdentity(formatIdentity(key)); err != nil || !key.Equal(again) {
					t.Errorf("%q: %v", b, err)
				}
			}
		case 2:
			if end, torn := scanValueLog(b); end < 0 || end > len(b) || torn && end == len(b) {
				t.Errorf("%x: %d, %v", b, end, torn)
			}
		}
	})
}
