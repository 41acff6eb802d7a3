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

// Start returns the First of the block that holds op lv, and lv if none does.
func (l *MemoryLog) Start(lv causal.LV) causal.LV {
	if lv >= l.Len() {
		return lv
	}
	i := sort.Search(len(l.blocks), func(i int) bool { return l.blocks[i].First > lv })
	return l.blocks[i-1].First
}

// Rewrite replaces what follows rw.From, the First of a block. On error the log is as it was.
func (l *MemoryLog) Rewrite(rw *Rewrite) error {
	if rw.From > l.Len() || l.Start(rw.From) != rw.From {
		return fmt.Errorf("replica: rewrite from %d, where no block begins", rw.From)
	}
	i := sort.Search(len(l.blocks), func(i int) bool { return l.blocks[i].First >= rw.From })
	j := sort.Search(len(l.changes), func(i int) bool { return l.changes[i].Span.Start >= rw.From })
	cut := &MemoryLog{blocks: slices.Clone(l.blocks[:i]), changes: slices.Clone(l.changes[:j])}
	if err := cut.Append(rw.Blocks...); err != nil {
		return err
	}
	*l = *cut
	return nil
}
