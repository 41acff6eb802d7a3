package main

import (
	"context"
	"errors"
	"slices"

	"github.com/ipfs/go-datastore/query"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/storage"
)

// logBytes returns what the session's changes take in a node's log, keys included, when each block of them was signed and an
// idle node has merged what it merges.
func (h *history) logBytes() (n float64, err error) {
	ds := storage.MemoryDatastore()
	db, err := storage.New(ds, storage.Config{Key: benchKey})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	log, err := db.Log(crdt.StoreID{1})
	if err != nil {
		return 0, err
	}
	for part := range slices.Chunk(h.log, encodedAtOnce) {
		b := h.engine.chains.BatchOf(part)
		b.Sigs = signLast(part)
		if err := log.Append(storage.Block{First: part[0].Span.Start, Batch: b.AppendTo(nil)}); err != nil {
			return 0, err
		}
	}
	for more := true; more; {
		if more, err = log.Merge(); err != nil {
			return 0, err
		}
	}
	results, err := ds.Query(context.Background(), query.Query{})
	if err != nil {
		return 0, err
	}
	entries, err := results.Rest()
	for _, e := range entries {
		n += float64(len(e.Key) + len(e.Value))
	}
	return n, errors.Join(err, results.Close())
}
