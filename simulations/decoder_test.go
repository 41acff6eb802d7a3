package simulations

import (
	"bytes"
	"testing"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// encodedBatch returns a batch of n changes, encoded.
func encodedBatch(t *testing.T, n int) []byte {
	t.Helper()
	chains := crdt.NewChains(crdt.StoreID{1})
	state := crdt.NewState(chains)
	made := make([]crdt.Accepted, n)
	for i := range made {
		tx := state.Begin(causal.Actor{Device: causal.Device{1}}, int64(i+1))
		tx.Counter("n").Add(int64(i))
		a, _, ok, err := tx.Commit()
		if err != nil || !ok {
			t.Fatalf("commit: %v, %v", ok, err)
		}
		made[i] = a
	}
	return chains.AppendBatch(nil, made)
}

// What is asked for again is decoded once, as long as it was asked for lately; what has been forgotten is decoded again, to the same. However
// much is asked for, two generations are remembered.
func TestDecoder(t *testing.T) {
	const each, generation = 1 << 13, maxDecoded >> 13
	enc := encodedBatch(t, each)
	var d decoder
	decode := func(b []byte) *crdt.Batch {
		t.Helper()
		got, err := d.decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(d.young); n > generation || d.changes != n*each || len(d.old) > generation {
			t.Fatalf("it remembers %d batches of %d changes, and %d of before", n, d.changes, len(d.old))
		}
		return got
	}
	// The same bytes in other places are other batches.
	blocks, first := make([][]byte, 3*generation), make([]*crdt.Batch, 3*generation)
	for i := range blocks {
		blocks[i] = bytes.Clone(enc)
		first[i] = decode(blocks[i])
		if again := decode(blocks[i]); again != first[i] {
			t.Fatalf("batch %d is decoded twice in a row", i)
		}
		if i > 0 && first[i] == first[i-1] {
			t.Fatalf("batch %d is taken for the one before", i)
		}
	}
	if len(d.young) != generation || len(d.old) != generation {
		t.Errorf("of %d batches it remembers %d and %d, with room for %d each", len(blocks), len(d.young), len(d.old), generation)
	}
	// One of the generation before is remembered, and is one of the latest from then on.
	kept := generation + 1
	for range generation {
		if got := decode(blocks[kept]); got != first[kept] {
			t.Fatal("what was asked for in between is decoded again")
		}
		decode(bytes.Clone(enc))
	}
	again := decode(blocks[0])
	if again == first[0] {
		t.Error("what was asked for two generations ago is still remembered")
	}
	if !bytes.Equal(again.AppendTo(nil), enc) || !bytes.Equal(first[0].AppendTo(nil), enc) {
		t.Error("what is decoded again differs")
	}
	if _, err := d.decode(blocks[0][:len(enc)-1]); err == nil {
		t.Error("a part of a batch is taken for the whole")
	}
	if _, err := d.decode(nil); err == nil {
		t.Error("nothing is taken for a batch")
	}
}

// A delivery record that several disks keep is in memory once, and one that is another is not taken for it.
func TestRecordsOnce(t *testing.T) {
	var c common
	a, b := causal.Device{1}, causal.Device{2}
	first := c.record(a, []byte("record"))
	if again := c.record(a, []byte("record")); &again[0] != &first[0] {
		t.Error("the same record is kept twice")
	}
	for _, other := range []struct {
		of     causal.Device
		record string
	}{{a, "another"}, {b, "record"}, {a, "record"}} {
		if got := c.record(other.of, []byte(other.record)); string(got) != other.record {
			t.Errorf("%q in place of %q", got, other.record)
		}
	}
	if len(c.records) != 2 {
		t.Errorf("it remembers %d records of 2 devices", len(c.records))
	}
}
