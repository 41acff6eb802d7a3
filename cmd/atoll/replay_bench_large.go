package main

import (
	"strings"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/sequence"
)

// largeTextRows are the measurements of a very large text.
func (b benchScale) largeTextRows() ([]measurement, error) {
	h, err := b.writeLargeText()
	if err != nil {
		return nil, err
	}
	size := byteSize(int64(b.largeText))
	return []measurement{
		{name: "large-open", what: "open a text of " + size + ", from bytes", goal: goal{ms: 400}, run: h.open},
		{name: "large-edit", what: "edit anywhere in a text of " + size, each: b.largeEdits, goal: goal{ns: 2000}, run: h.edit},
	}, nil
}

// largeHistory is a very large text and the changes that made it.
type largeHistory struct {
	benchScale
	batches [][]byte
	text    string
	opened  *benchReplica // of the round under way
}

func (b benchScale) writeLargeText() (*largeHistory, error) {
	const line = "The quick brown fox jumps over the lazy dog, and then once more, and again.\n"
	piece := strings.Repeat(line, b.largePiece/len(line)+1)[:b.largePiece]
	h := &largeHistory{benchScale: b, text: strings.Repeat(piece, b.largeText/b.largePiece)}
	r := newBenchReplica()
	for at := 0; at < b.largeText; at += b.largePiece {
		tx := r.state.BeginQuietly(crdt.Actor{Nonce: agentNonce(0)}, 0)
		tx.Text(sessionSlice).Insert(at, piece)
		a, _, _, err := tx.Commit()
		if err != nil {
			return nil, err
		}
		h.batches = append(h.batches, r.chains.AppendBatch(nil, []crdt.Accepted{a}))
	}
	return h, nil
}

// open takes the changes until the text can be read anywhere.
func (h *largeHistory) open(w *stopwatch) error {
	w.start()
	r := newBenchReplica()
	for _, b := range h.batches {
		if err := r.receive(b); err != nil {
			return err
		}
	}
	text := r.state.Text(sessionSlice)
	from := h.largeText / 2
	to := min(from+1000, h.largeText)
	middle := text.Slice(from, to)
	w.stop()
	if err := checkText(middle, h.text[from:to]); err != nil {
		return err
	}
	h.opened = r
	return checkText(text.String(), h.text)
}

// edit inserts and deletes characters at random places, each a change, in the text that open left.
func (h *largeHistory) edit(w *stopwatch) error {
	r, random := h.opened, benchRandom()
	h.opened = nil
	patches := make([]patch, h.largeEdits)
	length := h.largeText
	for i := range patches {
		patches[i] = patch{Pos: random.IntN(length), Inserted: "x"}
		if i%3 == 2 {
			patches[i] = patch{Pos: random.IntN(length), Deleted: 1}
		}
		length += len(patches[i].Inserted) - patches[i].Deleted
	}
	w.start()
	for _, p := range patches {
		tx := r.state.BeginQuietly(crdt.Actor{Nonce: agentNonce(0)}, 0)
		writePatches(&tx, []patch{p})
		if _, _, _, err := tx.Commit(); err != nil {
			return err
		}
	}
	w.stop()
	var rope sequence.Rope
	rope.Insert(0, h.text)
	for _, p := range patches {
		rope.Delete(p.Pos, p.Deleted)
		rope.Insert(p.Pos, p.Inserted)
	}
	return checkText(r.state.Text(sessionSlice).String(), rope.String())
}
