package main

import (
	"fmt"
	"runtime"
	"slices"

	"github.com/atollsync/atoll/crdt"
)

// replicaRows are the measurements of a replica that starts from nothing and gets the session's changes.
func (h *history) replicaRows() []measurement {
	batches := h.encode(crdt.MaxBatchChanges)
	singles := h.encode(1)
	fromBytes := func(batches [][]byte) func(w *stopwatch) error {
		return func(w *stopwatch) error { return h.fromBytes(batches, w) }
	}
	bulk, each := goal{ropes: 1}, goal{ropes: 2.5}
	bytesBulk, bytesEach := goal{ropes: 6}, goal{ropes: 10}
	if h.Concurrent {
		bulk, each = goal{ms: 8, only: friendsSession}, goal{ms: 15, only: friendsSession}
		bytesBulk, bytesEach = goal{}, goal{}
	}
	return []measurement{
		{name: "replica-batch", what: "a fresh replica, decoded and checked, in one batch", goal: bulk,
			run: func(w *stopwatch) error { return h.applyBatch(batches, w) }},
		{name: "replica-changes", what: "a fresh replica, decoded and checked, change by change", goal: each,
			run: func(w *stopwatch) error { return h.applyEach(batches, w) }},
		{name: "replica-events", what: "the same, with what each change does to what is shown", run: h.applyWatched},
		{name: "bytes-batch", what: "the whole path from bytes, hashing included, in one batch", goal: bytesBulk, run: fromBytes(batches)},
		{name: "bytes-changes", what: "the whole path from bytes, hashing included, change by change", goal: bytesEach, run: fromBytes(singles)},
	}
}

// encode returns the session's changes in batches of n, or fewer.
func (h *history) encode(n int) [][]byte { return encodeBatches(h.engine.chains, h.log, n) }

// encodeBatches returns changes that chains hold in batches of n, or fewer where the limits of a batch call for it, as they
// are stored and sent, but without signatures.
func encodeBatches(chains *crdt.Chains, changes []crdt.Accepted, n int) [][]byte {
	var out [][]byte
	for part := range slices.Chunk(changes, n) {
		out = appendBatch(out, chains, part)
	}
	// In one piece of memory: there may be as many as edits.
	all := slices.Concat(out...)
	for i, b := range out {
		out[i], all = all[:len(b):len(b)], all[len(b):]
	}
	return out
}

// appendBatch appends the batch of changes, or several if one cannot hold them.
func appendBatch(out [][]byte, chains *crdt.Chains, changes []crdt.Accepted) [][]byte {
	encoded := chains.AppendBatch(nil, changes)
	if half := len(changes) / 2; half > 0 {
		if _, err := crdt.DecodeBatch(encoded); err != nil {
			return appendBatch(appendBatch(out, chains, changes[:half]), chains, changes[half:])
		}
	}
	return append(out, encoded)
}

// mergeBatches adds batches to a fresh replica and applies them, each as a whole, and returns the text. Only what comes after a
// batch is decoded and checked is measured.
func mergeBatches(batches [][]byte, w *stopwatch) (string, error) {
	return mergeWith(batches, w, (*crdt.State).ApplyAll)
}

// mergeWith is mergeBatches with another way to apply one.
func mergeWith(batches [][]byte, w *stopwatch, apply func(s *crdt.State, a *crdt.Added)) (string, error) {
	decoded, err := decodeBatches(batches)
	if err != nil {
		return "", err
	}
	return mergeDecoded(decoded, w, apply)
}

// decodeBatches decodes batches, with their changes in the order in which to take them in. What decoding leaves is collected here, and not
// while a clock runs.
func decodeBatches(batches [][]byte) ([]*crdt.Batch, error) {
	var out []*crdt.Batch
	for _, encoded := range batches {
		b, err := crdt.DecodeBatch(encoded)
		if err != nil {
			return nil, err
		}
		out = append(out, b.Ordered())
	}
	runtime.GC()
	return out, nil
}

// mergeDecoded is mergeWith for batches that have been decoded.
func mergeDecoded(batches []*crdt.Batch, w *stopwatch, apply func(s *crdt.State, a *crdt.Added)) (string, error) {
	r := newBenchReplica()
	for _, b := range batches {
		checked, err := r.chains.Check(b, nil)
		if err != nil {
			return "", err
		}
		w.start()
		apply(r.state, r.chains.Add(checked))
		w.stop()
	}
	w.start()
	text := r.text()
	w.stop()
	return text, nil
}

// applyBatch merges batches.
func (h *history) applyBatch(batches [][]byte, w *stopwatch) error {
	text, err := mergeBatches(batches, w)
	if err != nil {
		return err
	}
	return checkText(text, h.End)
}

// applyEach merges batches change by change.
func (h *history) applyEach(batches [][]byte, w *stopwatch) error {
	changes := 0
	text, err := mergeWith(batches, w, func(s *crdt.State, a *crdt.Added) {
		for range s.ApplyEach(a) {
			changes++
		}
	})
	if err != nil {
		return err
	}
	if changes != len(h.log) {
		return fmt.Errorf("%d changes were applied, not %d", changes, len(h.log))
	}
	return checkText(text, h.End)
}

// applyWatched applies all changes, which the chains have accepted, one by one, as one who watches wants it.
func (h *history) applyWatched(w *stopwatch) error {
	return h.apply(w, func(s *crdt.State, a crdt.Accepted) { s.Apply(a) })
}

func (h *history) apply(w *stopwatch, apply func(s *crdt.State, a crdt.Accepted)) error {
	w.start()
	state := crdt.NewState(h.engine.chains)
	for _, a := range h.log {
		apply(state, a)
	}
	text := state.Text(sessionSlice).String()
	w.stop()
	return checkText(text, h.End)
}

// fromBytes takes batches as a replica does that reads them from its own log.
func (h *history) fromBytes(batches [][]byte, w *stopwatch) error {
	w.start()
	r := newBenchReplica()
	for _, b := range batches {
		if err := r.receive(b); err != nil {
			return err
		}
	}
	text := r.text()
	w.stop()
	return checkText(text, h.End)
}

// benchReplica is a replica as far as the engine goes.
type benchReplica struct {
	chains  *crdt.Chains
	state   *crdt.State
	decoder crdt.BatchDecoder
}

func newBenchReplica() *benchReplica {
	chains := crdt.NewChains(crdt.StoreID{})
	return &benchReplica{chains: chains, state: crdt.NewState(chains), decoder: crdt.BatchDecoder{Passing: true}}
}

func (r *benchReplica) text() string { return r.state.Text(sessionSlice).String() }

// receive decodes a batch, checks its frame and hashes, and applies it. The batches of measurements have no signatures.
func (r *benchReplica) receive(encoded []byte) error {
	if r.state.TakeKeystroke(encoded, nil) {
		return nil
	}
	b, err := r.decoder.Decode(encoded)
	if err != nil {
		return err
	}
	return r.take(b)
}

// takeChange checks a change as another replica, which made it, has it, and applies it.
func (r *benchReplica) takeChange(a crdt.Accepted, from *benchReplica) error {
	if r.state.TakeChange(a.Change, a.Hash) {
		return nil
	}
	return r.take(from.chains.BatchOf([]crdt.Accepted{a}))
}

// take checks a batch and applies it.
func (r *benchReplica) take(b *crdt.Batch) error {
	checked, err := r.chains.Check(b.Ordered(), nil)
	if err != nil {
		return err
	}
	r.state.ApplyAll(r.chains.Add(checked))
	return nil
}
