package main

import (
	"fmt"

	"github.com/atollsync/atoll/crdt"
)

// sequentialRows are the measurements of writing a session as its author did.
func (h *history) sequentialRows() []measurement {
	rows := []measurement{
		{
			name: "local-hashed", what: "local edits, one change each, encoded, with the hash chain",
			goal: goal{ropes: 10, ms: 90, only: paperSession}, run: h.authorEach,
		},
		{name: "hashes", what: "the hashes of these changes alone", run: h.hashes},
		{
			// Nobody can write without hashes; but other engines, which have none, are compared with this.
			name: "local-unhashed", what: "local edits less their hashes", goal: goal{ropes: 4},
			from: "local-hashed", less: "hashes",
		},
	}
	if h.fitsOneChange() {
		rows = append(rows, measurement{
			name: "local-transaction", what: "all edits in one transaction",
			goal: goal{ropes: 1.5, ms: 15, only: paperSession}, run: h.authorAtOnce,
		})
	}
	return rows
}

// fitsOneChange reports whether all that the session does is surely within the limits of one change.
func (h *history) fitsOneChange() bool {
	size := 1 << 10 // what stands around ops
	for _, a := range h.log {
		for i := range a.Groups {
			size += len(a.Groups[i].Ops)
		}
	}
	return size <= crdt.MaxChangeBytes
}

// encodedAtOnce is how many changes a block of the log takes while a measurement writes.
const encodedAtOnce = 1000

// authorEach writes the session, a change per transaction, and encodes the changes in blocks as the log
// takes them, but for signatures.
func (h *history) authorEach(w *stopwatch) error {
	actor := h.engine.actor(0)
	w.start()
	chains := crdt.NewChains(crdt.StoreID{})
	state := crdt.NewState(chains)
	var encoded []byte
	block := new(crdt.Batch)
	at := int32(0) // of the splices
	for i, st := range h.steps {
		tx := state.BeginQuietly(actor, st.when)
		writePatches(&tx, h.splices[at:st.splices])
		at = st.splices
		if _, _, err := tx.CommitTo(block); err != nil {
			return err
		}
		if block.Len() == encodedAtOnce || i+1 == len(h.steps) {
			encoded = block.AppendTo(encoded)
			block = new(crdt.Batch)
		}
	}
	text := state.Text(sessionSlice).String()
	w.stop()
	return checkText(text, h.End)
}

// hashes computes the chain hashes of the session's changes, and nothing else.
func (h *history) hashes(w *stopwatch) error {
	w.start()
	hash, last := crdt.GenesisHash(crdt.StoreID{}, h.engine.actor(0)), int64(0)
	var hasher crdt.Hasher
	for _, a := range h.log {
		hash, last = hasher.Hash(a.Change, hash, last, nil), a.Time
	}
	w.stop()
	if want := h.log[len(h.log)-1].Hash; hash != want {
		return fmt.Errorf("the hash chain ends in %s, not %s", hash, want)
	}
	return nil
}

// authorAtOnce writes the whole session in one transaction, and encodes that.
func (h *history) authorAtOnce(w *stopwatch) error {
	w.start()
	chains := crdt.NewChains(crdt.StoreID{})
	state := crdt.NewState(chains)
	tx := state.BeginQuietly(h.engine.actor(0), h.steps[0].when)
	text := tx.Text(sessionSlice)
	for i := range h.splices {
		h.splices[i].write(text)
	}
	a, _, _, err := tx.Commit()
	if err != nil {
		return err
	}
	chains.AppendBatch(nil, []crdt.Accepted{a})
	end := state.Text(sessionSlice).String()
	w.stop()
	return checkText(end, h.End)
}
