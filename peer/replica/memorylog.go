package replica

import (
	"fmt"
	"slices"
	"sort"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// MemoryLog is a Log in memory, for tests and simulations; it is also the reference for what a
// replica expects of one. The zero value is an empty log. It is not safe for concurrent use.
type MemoryLog struct {
	blocks  []Block
	changes []crdt.Accepted
}

// Append adds blocks, which must go on where the log ends. On error the log is as it was.
func (l *MemoryLog) Append(blocks ...Block) error {
	next := l.Len()
	var changes []crdt.Accepted
	for _, block := range blocks {
		if block.First != next {
			return fmt.Errorf("replica: append a block of local version %d to a log of %d ops", block.First, next)
		}
		b, err := crdt.DecodeBatch(block.Batch)
		if err != nil {
			return fmt.Errorf("replica: append: %w", err)
		}
		for ch := range b.All {
			span := causal.Span{Start: next, End: next + causal.LV(ch.Len())}
			changes = append(changes, crdt.Accepted{Change: ch, Span: span})
			next = span.End
		}
	}
	l.blocks = append(l.blocks, blocks...)
	l.changes = append(l.changes, changes...)
	return nil
}

// Len returns the number of ops in the log: the First of the next block.
func (l *MemoryLog) Len() causal.LV {
	if len(l.changes) == 0 {
		return 0
	}
	return l.changes[len(l.changes)-1].Span.End
}

// Blocks returns the blocks, for Replica.Restore.
func (l *MemoryLog) Blocks() []Block { return slices.Clone(l.blocks) }

// Changes yields the changes that overlap span, in LV order, with their Change and Span.
func (l *MemoryLog) Changes(span causal.Span, yield func(crdt.Accepted) bool) error {
	i := sort.Search(len(l.changes), func(i int) bool { return l.changes[i].Span.End > span.Start })
	for ; i < len(l.changes) && l.changes[i].Span.Start < span.End; i++ {
		if !yield(l.changes[i]) {
			return nil
		}
	}
	return nil
}
