package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"slices"
	"sort"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/storage"
)

// archiveRows are the measurements of the session's whole history as an archive, and of opening it.
func (h *history) archiveRows() []measurement {
	archive := func(effort storage.ArchiveEffort) func() (float64, error) {
		return func() (float64, error) {
			b, err := h.archive(effort)
			return float64(len(b)), err
		}
	}
	paper := func(g goal) goal {
		g.only = paperSession
		return g
	}
	return []measurement{
		{name: "history-best", what: "full history, recorded times and signatures included, best effort",
			goal: paper(goal{bytes: 70_000}), size: archive(storage.BestEffort)},
		{name: "history-default", what: "the same, default effort", goal: paper(goal{bytes: 75_000}), size: archive(storage.DefaultEffort)},
		{name: "history-times", what: "of which the recorded times, per edit", goal: goal{bytes: 0.3}, size: h.timeBytes},
		{name: "history-open", what: "opening that to readable text", goal: paper(goal{ms: 3}), run: h.openArchive},
		{name: "snapshot-open", what: "opening a snapshot to readable text", goal: paper(goal{ms: 0.6}), run: h.openSnapshot},
	}
}

// archive returns the whole history as it is kept and passed on.
func (h *history) archive(effort storage.ArchiveEffort) ([]byte, error) {
	chains := crdt.NewChains(crdt.StoreID{})
	for _, encoded := range h.encode(crdt.MaxBatchChanges) {
		b, err := crdt.DecodeBatch(encoded)
		if err != nil {
			return nil, err
		}
		checked, err := chains.Check(b, nil)
		if err != nil {
			return nil, err
		}
		chains.Add(checked)
	}
	for part := range slices.Chunk(h.log, encodedAtOnce) {
		for _, s := range signLast(part) {
			chains.AddSignature(s)
		}
	}
	var out bytes.Buffer
	err := storage.WriteArchive(&out, chains, changeSource(h.log), effort)
	return out.Bytes(), err
}

// archived returns the archive of default effort, which is made once.
func (h *history) archived() ([]byte, error) {
	if h.packed == nil {
		var err error
		if h.packed, err = h.archive(storage.DefaultEffort); err != nil {
			return nil, err
		}
	}
	return h.packed, nil
}

// timeBytes returns what the recorded times take in an archive, per edit.
func (h *history) timeBytes() (float64, error) {
	timeless := *h.session
	timeless.Txns = slices.Clone(h.Txns)
	for i := range timeless.Txns {
		timeless.Txns[i].Time = 0
	}
	other, err := authorHistory(context.Background(), &timeless)
	if err != nil {
		return 0, err
	}
	without, err := other.archived()
	if err != nil {
		return 0, err
	}
	with, err := h.archived()
	return float64(len(with)-len(without)) / float64(h.edits()), err
}

// openArchive opens the archive of default effort until its text can be read.
func (h *history) openArchive(w *stopwatch) error {
	packed, err := h.archived()
	if err != nil {
		return err
	}
	w.start()
	state, err := storage.OpenArchive(crdt.StoreID{}, bytes.NewReader(packed))
	if err != nil {
		return err
	}
	text := state.Text(sessionSlice).String()
	w.stop()
	return checkText(text, h.End)
}

// openSnapshot opens a snapshot of the text until it can be read and positions in it be found.
func (h *history) openSnapshot(w *stopwatch) error {
	snapshot := h.engine.state.SnapshotText(h.engine.state.Text(sessionSlice))
	encoded := snapshot.AppendTo(nil)
	w.start()
	opened, err := crdt.DecodeTextSnapshot(encoded)
	if err != nil {
		return err
	}
	rope := opened.Rope()
	w.stop()
	if err := checkText(rope.String(), h.End); err != nil {
		return err
	}
	return checkText(opened.Text, h.End)
}

// benchKey signs where a measurement has signatures. All actors share it.
var benchKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

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

// changeSource is a crdt.Source in memory: changes in the order of their local versions.
type changeSource []crdt.Accepted

// Changes implements crdt.Source.
func (s changeSource) Changes(span causal.Span, yield func(crdt.Accepted) bool) error {
	i := sort.Search(len(s), func(i int) bool { return s[i].Span.End > span.Start })
	for ; i < len(s) && s[i].Span.Start < span.End; i++ {
		if !yield(s[i]) {
			break
		}
	}
	return nil
}
