package main

import (
	"runtime"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// sizeRows are the sizes of the session's history, encoded and in memory.
func (h *history) sizeRows() []measurement {
	memory := goal{bytes: 3 * float64(len(h.End)), only: paperSession}
	var inMemory memoryUse
	return []measurement{
		{name: "change-bytes", what: "an encoded change, in batches of 1,000", size: func() (float64, error) {
			return float64(totalBytes(h.encode(encodedAtOnce))) / float64(len(h.log)), nil
		}},
		{name: "log-bytes", what: "the history in a node's log, merged", size: h.logBytes},
		{name: "memory", what: "memory of an open, idle replica", goal: memory, size: func() (n float64, err error) {
			inMemory, err = h.memory()
			return inMemory.state + inMemory.chains, err
		}},
		{name: "memory-state", what: "of which the state", goal: memory, size: func() (float64, error) { return inMemory.state, nil }},
		{name: "memory-chains", what: "and hashes, times and the causal graph", size: func() (float64, error) { return inMemory.chains, nil }},
	}
}

func totalBytes(batches [][]byte) int {
	n := 0
	for _, b := range batches {
		n += len(b)
	}
	return n
}

// memoryUse is the heap that a replica takes, in bytes.
type memoryUse struct{ state, chains float64 }

// memory opens the session's history and measures what then is held in memory: the history itself is in the log.
func (h *history) memory() (memoryUse, error) {
	batches := h.encode(crdt.MaxBatchChanges)
	before := heap()
	r := newBenchReplica()
	for _, b := range batches {
		if err := r.receive(b); err != nil {
			return memoryUse{}, err
		}
	}
	if err := checkText(r.text(), h.End); err != nil {
		return memoryUse{}, err
	}
	r.state.Rest()
	r.chains.Rest(encodedSource(batches)) // as a replica does that has taken in nothing for a while
	all := heap()
	r.state = nil
	chains := heap()
	runtime.KeepAlive(r)
	runtime.KeepAlive(batches)
	return memoryUse{state: all - chains, chains: chains - before}, nil
}

// encodedSource is a history encoded, as a log on disk is, from which a replica at rest reads what it does not keep.
type encodedSource [][]byte

func (s encodedSource) Changes(span causal.Span, yield func(crdt.Accepted) bool) error {
	at := causal.LV(0)
	for _, encoded := range s {
		b, err := crdt.DecodeBatch(encoded)
		if err != nil {
			return err
		}
		for ch := range b.All {
			a := crdt.Accepted{Change: ch, Span: causal.Span{Start: at, End: at + causal.LV(ch.Len())}}
			at = a.Span.End
			if at > span.Start && (a.Span.Start >= span.End || !yield(a)) {
				return nil
			}
		}
	}
	return nil
}

// heap returns the bytes of the heap that are in use.
func heap() float64 {
	runtime.GC()
	runtime.GC() // what finalizers let go of
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
