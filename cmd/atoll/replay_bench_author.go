package main

import (
	"errors"
	"slices"

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

// authorEach writes the session as an editor's keys do, each edit a change, and encodes the changes in blocks as the log takes them, but
// for signatures.
func (h *history) authorEach(w *stopwatch) error {
	w.start()
	chains := crdt.NewChains(crdt.StoreID{})
	state := crdt.NewState(chains)
	var encoded []byte
	at := int32(0) // of the splices
	for steps := range slices.Chunk(h.steps, encodedAtOnce) {
		block := new(crdt.Batch)
		typist := state.Text(sessionSlice).Type(block, h.engine.actor(0))
		for i := range steps {
			st := &steps[i]
			if err := typePatches(typist, st.when, h.splices[at:st.splices]); err != nil {
				return err
			}
			at = st.splices
		}
		typist.Commit()
		encoded = block.AppendTo(encoded)
	}
	text := state.Text(sessionSlice).String()
	w.stop()
	return checkText(text, h.End)
}

// typePatches makes the edits of patches one change.
func typePatches(t *crdt.Typist, when int64, patches []patch) error {
	if len(patches) == 1 {
		switch p := &patches[0]; {
		case p.Deleted == 0:
			return t.Insert(when, p.Pos, p.Inserted)
		case p.Inserted == "":
			return t.Delete(when, p.Pos, p.Deleted)
		}
	}
	return t.Update(when, func(text *crdt.TxText) {
		for i := range patches {
			patches[i].write(text)
		}
	})
}

// hashes checks the session's changes, in the blocks that authorEach writes: that computes their hashes, and does little else.
func (h *history) hashes(w *stopwatch) error {
	chains := crdt.NewChains(crdt.StoreID{})
	for changes := range slices.Chunk(h.log, encodedAtOnce) {
		block := h.engine.chains.BatchOf(changes)
		w.start()
		checked, err := chains.Check(block, nil)
		w.stop()
		if err != nil {
			return err
		}
		chains.Add(checked)
	}
	if chains.Digest() != h.engine.chains.Digest() {
		return errors.New("the hash chains end otherwise")
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
