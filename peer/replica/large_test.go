package replica_test

import (
	"crypto/ed25519"
	"errors"
	"testing"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/peer/replica"
)

// TestLargeBlocksGoOnAsTheyCame: to a peer that lacks a large block it is sent as it came, without a look at the log. Once the replica has gone to
// rest a batch is cut.
func TestLargeBlocksGoOnAsTheyCame(t *testing.T) {
	a := start(t, "a", replica.Limits{})
	for range 2 {
		for range crdt.TargetBatchChanges / 2 {
			if _, err := a.r.Commit(1, func(tx *crdt.Tx) error { tx.Counter("n").Add(1); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		quiet(t, a)
	}
	blocks := a.log.Blocks()
	if len(blocks) != 2 {
		t.Fatalf("%d blocks", len(blocks))
	}
	b := newDevice("b", replica.Limits{})
	log := &faultyLog{MemoryLog: b.log}
	r, err := replica.New(replica.Config{Store: b.store, Device: b.id, Actor: b.actor, Log: log,
		Sign: func(msg []byte) []byte { return ed25519.Sign(b.key, msg) }})
	if err != nil {
		t.Fatal(err)
	}
	b.r = r
	now := int64(1)
	// drive returns what is sent to a device, and why the log could not be read.
	drive := func(to causal.Device) (out []*replica.Changes, failed error) {
		for r.HasReady() {
			rd := r.Ready()
			failed = errors.Join(failed, rd.Err)
			rd.Err = nil
			if err := b.write(rd); err != nil {
				t.Fatal(err)
			}
			r.Advance()
			for _, e := range rd.Messages {
				if m, ok := e.Message.(*replica.Changes); ok && e.To == to {
					out = append(out, m)
				}
			}
		}
		return out, failed
	}
	// meet connects a device that holds what tips end.
	meet := func(d causal.Device, digest crdt.Hash, tips []crdt.Tip) {
		r.Connect(d, now)
		if err := r.Step(d, &replica.Have{Digest: digest, Tips: tips}, now); err != nil {
			t.Fatal(err)
		}
	}
	empty, half := start(t, "empty", replica.Limits{}), start(t, "half", replica.Limits{})
	if err := half.r.Restore(blocks[0].Batch); err != nil {
		t.Fatal(err)
	}
	meet(a.id, a.r.Digest(), a.r.Chains().Tips())
	for _, block := range blocks {
		if err := r.Step(a.id, &replica.Changes{Batch: block.Batch}, now); err != nil {
			t.Fatal(err)
		}
		drive(a.id)
	}
	// A large block by two devices, of which each has its own part: it is not sent the other one too.
	both := start(t, "both", replica.Limits{})
	writers := []*device{start(t, "one", replica.Limits{}), start(t, "other", replica.Limits{})}
	for _, w := range writers {
		for range crdt.TargetBatchChanges / 4 {
			if _, err := w.r.Commit(1, func(tx *crdt.Tx) error { tx.Counter("n").Add(1); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		quiet(t, w)
		if err := both.r.Restore(w.log.Blocks()[0].Batch); err != nil {
			t.Fatal(err)
		}
		if err := both.log.Append(replica.Block{First: both.log.Len(), Batch: w.log.Blocks()[0].Batch}); err != nil {
			t.Fatal(err)
		}
	}
	large, _, err := both.r.Chains().Cut(both.log, []causal.Span{{Start: 0, End: both.log.Len()}}, 0, 0)
	if err != nil || large.Len() != crdt.TargetBatchChanges/2 {
		t.Fatalf("a batch of %d changes, %v", large.Len(), err)
	}
	blocks = append(blocks, replica.Block{Batch: large.AppendTo(nil)})
	if err := r.Step(a.id, &replica.Changes{Batch: blocks[2].Batch}, now); err != nil {
		t.Fatal(err)
	}
	drive(a.id)
	for _, w := range writers {
		meet(w.id, w.r.Digest(), w.r.Chains().Tips())
		sent, failed := drive(w.id)
		changes := 0
		for _, m := range sent {
			b, err := crdt.DecodeBatch(m.Batch)
			if err != nil {
				t.Fatal(err)
			}
			changes += b.Len()
		}
		if failed != nil || changes != crdt.TargetBatchChanges*5/4 {
			t.Errorf("%s is sent %d changes, %v", w.name, changes, failed)
		}
	}
	log.err = errors.New("the disk is gone")
	meet(empty.id, empty.r.Digest(), nil)
	sent, failed := drive(empty.id)
	if failed != nil || len(sent) != len(blocks) {
		t.Fatalf("%d messages for %d blocks, %v", len(sent), len(blocks), failed)
	}
	left := uint64(crdt.TargetBatchChanges * 3 / 2)
	for i, m := range sent {
		left -= crdt.TargetBatchChanges / 2
		if &m.Batch[0] != &blocks[i].Batch[0] || m.Remaining != left {
			t.Errorf("block %d is not sent as it came, or %d ops are said to remain", i, m.Remaining)
		}
	}
	meet(half.id, half.r.Digest(), half.r.Chains().Tips())
	if sent, failed = drive(half.id); failed != nil || len(sent) != 2 || &sent[0].Batch[0] != &blocks[1].Batch[0] {
		t.Errorf("who has the first block is sent %d messages, %v", len(sent), failed)
	}
	for end := now + 40_000; now < end; now += 1_000 {
		r.Tick(now)
		drive(a.id)
	}
	log.err = errors.New("the disk is gone")
	late := start(t, "late", replica.Limits{})
	meet(late.id, late.r.Digest(), nil)
	if _, failed := drive(late.id); failed == nil {
		t.Error("blocks are kept in memory at rest")
	}
}
