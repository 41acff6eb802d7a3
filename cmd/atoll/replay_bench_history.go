package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/sequence"
)

// history is a session carried out once: what the measurements on it start from.
type history struct {
	*session
	engine *engine
	log    []crdt.Accepted // in the order in which they were made
	steps  []step          // parallel to log
	packed []byte          // see archived
	// splices are the edits that the session comes to on one text, one after the other.
	splices []patch
}

// The sessions that goals were set for.
const (
	paperSession   = "automerge-paper"
	friendsSession = "friendsforever"
)

// step is a transaction as its author carries it out. There are as many as edits, and measurements go through them.
type step struct {
	when    int64
	txn     int32 // its index in the session
	splices int32 // where its patches end among the splices of a sequential session
}

// authorHistory carries out s.
func authorHistory(ctx context.Context, s *session) (*history, error) {
	s = s.packed()
	h := &history{session: s, engine: newEngine(s)}
	splices := 0
	for i, t := range s.Txns {
		if i%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		splices += len(t.Patches)
		a, ok, err := h.engine.add(t)
		if err != nil {
			return nil, fmt.Errorf("transaction %d: %w", i, err)
		}
		if ok {
			h.log = append(h.log, a)
			h.steps = append(h.steps, step{when: a.Time, txn: int32(i), splices: int32(splices)})
		}
	}
	if err := checkText(h.engine.text(), s.End); err != nil {
		return nil, err
	}
	if len(h.log) == 0 {
		return nil, errors.New("a session without an edit: nothing to measure")
	}
	h.engine.versions = nil // of no more use
	return h, h.noteSplices()
}

// packed returns s in a few large pieces of memory instead of one per edit: collecting garbage, which goes through all of
// them, is to cost what the engine's own memory does.
func (s *session) packed() *session {
	var text strings.Builder
	n := 0
	for _, t := range s.Txns {
		n += len(t.Patches)
		for _, p := range t.Patches {
			text.WriteString(p.Inserted)
		}
	}
	out, patches, rest := *s, make([]patch, 0, n), text.String()
	out.Txns = slices.Clone(s.Txns)
	for i := range out.Txns {
		first := len(patches)
		for _, p := range out.Txns[i].Patches {
			p.Inserted, rest = rest[:len(p.Inserted)], rest[len(p.Inserted):]
			patches = append(patches, p)
		}
		out.Txns[i].Patches = patches[first:len(patches):len(patches)]
	}
	return &out
}

// noteSplices finds the edits to the text that the changes come to: the session's own, unless some were concurrent.
func (h *history) noteSplices() error {
	if !h.Concurrent {
		for _, t := range h.Txns {
			h.splices = append(h.splices, t.Patches...)
		}
		return nil
	}
	s := crdt.NewState(h.engine.chains)
	for _, a := range h.log {
		for _, e := range s.Apply(a).Edits {
			if e.New != nil { // the text came into being
				h.splices = append(h.splices, patch{Inserted: s.Text(sessionSlice).String()})
			}
			for _, sp := range e.Splices {
				h.splices = append(h.splices, patch{Pos: sp.Pos, Deleted: sp.Deleted, Inserted: sp.Text})
			}
		}
	}
	return checkText(s.Text(sessionSlice).String(), h.End)
}

// edits returns how many insertions and deletions the bare rope makes.
func (h *history) edits() int {
	n := 0
	for _, p := range h.splices {
		n += p.ops()
	}
	return n
}

// rows returns the measurements of the session.
func (h *history) rows() []measurement {
	author := h.sequentialRows
	if h.Concurrent {
		author = h.concurrentRows
	}
	return slices.Concat([]measurement{h.ropeRow()}, author(), h.replicaRows(), h.archiveRows(), h.sizeRows())
}

// goalsOf removes the goals that are about other sessions than that in file.
func goalsOf(file string, measurements []measurement) []measurement {
	name, _, _ := strings.Cut(filepath.Base(file), ".")
	for i := range measurements {
		if g := &measurements[i].goal; g.only != "" && g.only != name {
			*g = goal{ropes: g.ropes}
		}
	}
	return measurements
}

// ropeRow is the bare rope: the session's edits on this repository's own rope, one by one, and the text.
func (h *history) ropeRow() measurement {
	edits := h.edits()
	return measurement{name: ropeName, what: "the bare rope", goal: goal{ns: 30}, each: edits, run: func(w *stopwatch) error {
		w.start()
		var rope sequence.Rope
		for i := range h.splices {
			p := &h.splices[i]
			if p.Deleted > 0 {
				rope.Delete(p.Pos, p.Deleted)
			}
			if p.Inserted != "" {
				rope.Insert(p.Pos, p.Inserted)
			}
		}
		text := rope.String()
		w.stop()
		return checkText(text, h.End)
	}}
}
