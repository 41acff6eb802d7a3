package replica

import "github.com/atollsync/atoll/crdt/causal"

// Lists of spans are ascending, without overlap, and treated as values.

// total returns how many ops spans hold.
func total(spans []causal.Span) uint64 {
	n := uint64(0)
	for _, s := range spans {
		n += uint64(s.Len())
	}
	return n
}
