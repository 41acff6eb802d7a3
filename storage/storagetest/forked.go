package storagetest

import (
	"crypto/ed25519"
	"fmt"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/storage"
)

// ForkedShows is what a store shows that holds what Forked returns.
const ForkedShows = `{"left":["left"],"right":["right 1","right 2"],"seen":{"left":true,"merged":true,"right":true}}`

// Forked returns the blocks of a store in which the log of one device has two branches, as after a restored backup: one of one change, on which
// another device builds, who knows of no other, and one of two, on which a third one does. A fourth builds on all.
func Forked(store crdt.StoreID) ([]storage.Block, error) {
	all := newCopyOf(store)
	var blocks []storage.Block
	write := func(by *copyOf, device int, fn func(*crdt.Tx)) ([]byte, error) {
		batch, err := by.write(device, fn)
		if err != nil {
			return nil, err
		}
		if by != all {
			if err := all.take(batch); err != nil {
				return nil, err
			}
		}
		blocks = append(blocks, storage.Block{First: all.before, Batch: batch})
		return batch, nil
	}
	// Each branch is written on a copy of its own.
	left, right := newCopyOf(store), newCopyOf(store)
	base, err := write(left, 0, func(tx *crdt.Tx) { tx.Map("seen").Put("left", false) })
	if err != nil {
		return nil, err
	}
	if err := right.take(base); err != nil {
		return nil, err
	}
	for _, w := range []struct {
		by     *copyOf
		device int
		fn     func(*crdt.Tx)
	}{
		{left, 0, func(tx *crdt.Tx) { tx.List("left").Insert(0, "left") }},
		{left, 1, func(tx *crdt.Tx) { tx.Map("seen").Put("left", true) }},
		{right, 0, func(tx *crdt.Tx) { tx.List("right").Insert(0, "right 1") }},
		{right, 0, func(tx *crdt.Tx) { tx.List("right").Insert(1, "right 2") }},
		{right, 2, func(tx *crdt.Tx) { tx.Map("seen").Put("right", true) }},
		{all, 3, func(tx *crdt.Tx) { tx.Map("seen").Put("merged", true) }},
	} {
		if _, err := write(w.by, w.device, w.fn); err != nil {
			return nil, err
		}
	}
	if got := all.state.JSON(); got != ForkedShows {
		return nil, fmt.Errorf("storagetest: the forked store shows %s", got)
	}
	return blocks, nil
}

// copyOf is a copy of a store in memory.
type copyOf struct {
	chains *crdt.Chains
	state  *crdt.State
	before causal.LV // how long it was before the last change
}

func newCopyOf(store crdt.StoreID) *copyOf {
	chains := crdt.NewChains(store)
	return &copyOf{chains: chains, state: crdt.NewState(chains)}
}

// take takes in what another copy wrote.
func (c *copyOf) take(batch []byte) error {
	b, err := crdt.DecodeBatch(batch)
	if err != nil {
		return err
	}
	k, err := c.chains.Check(b, crdt.VerifyEd25519)
	if err != nil {
		return err
	}
	c.before = c.chains.Graph().Len()
	c.state.ApplyAll(c.chains.Add(k))
	return nil
}

// write makes a change by the n-th device and returns it as a batch.
func (c *copyOf) write(n int, fn func(*crdt.Tx)) ([]byte, error) {
	key := Key(n)
	c.before = c.chains.Graph().Len()
	tx := c.state.Begin(causal.Actor{Device: DeviceOf(key), Nonce: [8]byte{byte(n)}}, int64(1_000_000+n))
	fn(&tx)
	a, _, _, err := tx.Commit()
	if err != nil {
		return nil, err
	}
	c.chains.AddSignature(crdt.Signature{Dot: a.Dot(), Sig: [64]byte(ed25519.Sign(key, crdt.SigningBytes(a.Hash)))})
	return c.chains.BatchOf([]crdt.Accepted{a}).AppendTo(nil), nil
}
