package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"slices"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/storage"
)

// logRows are the measurements of the session's history in the log.
func (h *history) logRows() []measurement {
	var stored *loggedHistory
	bytes := func() (n float64, err error) {
		if stored == nil {
			stored, err = h.logHistory()
		}
		if err != nil {
			return 0, err
		}
		return stored.bytes()
	}
	return []measurement{
		{name: "history-bytes", what: "full history in the log, times and signatures included", goal: goal{bytes: 75_000, only: paperSession}, size: bytes},
		{name: "history-times", what: "of which the recorded times, per edit", goal: goal{bytes: 0.3}, size: func() (float64, error) {
			with, err := bytes()
			if err != nil {
				return 0, err
			}
			without, err := h.timelessBytes()
			return (with - without) / float64(h.edits()), err
		}},
		{name: "history-open", what: "opening that to readable text", goal: goal{ms: 3, only: paperSession}, run: func(w *stopwatch) (err error) {
			if stored == nil {
				if stored, err = h.logHistory(); err != nil {
					return err
				}
			}
			w.start()
			text, err := stored.open()
			w.stop()
			if err != nil {
				return err
			}
			return checkText(text, h.End)
		}},
	}
}

// timelessBytes returns what the history would take had everything happened at once.
func (h *history) timelessBytes() (float64, error) {
	timeless := *h.session
	timeless.Txns = slices.Clone(h.Txns)
	for i := range timeless.Txns {
		timeless.Txns[i].Time = 0
	}
	other, err := authorHistory(context.Background(), &timeless)
	if err != nil {
		return 0, err
	}
	stored, err := other.logHistory()
	if err != nil {
		return 0, err
	}
	return stored.bytes()
}

// loggedHistory is a session's history in a log as a node keeps it, on a datastore in memory.
type loggedHistory struct {
	ds  datastore.Batching
	log *storage.Log
}

// benchKey signs where a measurement has signatures. All actors share it.
var benchKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

// logHistory writes the session's changes to a log, each block signed, and lets the log merge them as an idle node does.
func (h *history) logHistory() (*loggedHistory, error) {
	ds := storage.MemoryDatastore()
	db, err := storage.New(ds, storage.Config{Key: benchKey})
	if err != nil {
		return nil, err
	}
	log, err := db.Log(crdt.StoreID{1})
	if err != nil {
		return nil, err
	}
	for part := range slices.Chunk(h.log, encodedAtOnce) {
		b := h.engine.chains.BatchOf(part)
		b.Sigs = signLast(part)
		if err := log.Append(storage.Block{First: part[0].Span.Start, Batch: b.AppendTo(nil)}); err != nil {
			return nil, err
		}
	}
	for more := true; more; {
		if more, err = log.Merge(); err != nil {
			return nil, err
		}
	}
	return &loggedHistory{ds, log}, nil
}

// signLast signs the last change of each actor, sorted as a batch has them.
func signLast(changes []crdt.Accepted) []crdt.Signature {
	last := make(map[crdt.Actor]crdt.Accepted)
	for _, a := range changes {
		last[a.Actor] = a
	}
	var out []crdt.Signature
	for _, a := range last {
		s := crdt.Signature{Dot: a.Dot()}
		copy(s.Sig[:], ed25519.Sign(benchKey, crdt.SigningBytes(a.Hash)))
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b crdt.Signature) int { return a.Dot.Compare(b.Dot) })
	return out
}

// bytes returns what the log takes in the datastore, keys included.
func (l *loggedHistory) bytes() (n float64, err error) {
	results, err := l.ds.Query(context.Background(), query.Query{})
	if err != nil {
		return 0, err
	}
	entries, err := results.Rest()
	for _, e := range entries {
		n += float64(len(e.Key) + len(e.Value))
	}
	return n, errors.Join(err, results.Close())
}

// open reads the log until the text can be read.
func (l *loggedHistory) open() (string, error) {
	r := newBenchReplica()
	err := l.log.Load(func(_ uint64, batch []byte) error { return r.receive(batch) })
	return r.text(), err
}
