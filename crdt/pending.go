package crdt

import (
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// Limits of a Pending whose own are 0.
const (
	DefaultPendingBytes = 16 << 20
	DefaultPendingCount = 256
)

// Pending holds batches that wait for changes they build on, within bounds: when it is full
// the oldest go, which is no loss, since anti-entropy brings them again. The zero value is empty
// and ready for use.
type Pending struct {
	MaxBytes int // 0: DefaultPendingBytes
	MaxCount int // 0: DefaultPendingCount

	waiting []pendingBatch // oldest first
	bytes   int
}

type pendingBatch struct {
	batch   *Batch
	missing []Tip
	size    int
}

// Add keeps b, which takes size bytes, until all of missing (not empty, as a MissingError names it) are held. It returns false,
// and keeps nothing, if b is there already or is larger than the whole bound.
func (p *Pending) Add(b *Batch, missing []Tip, size int) bool {
	maxBytes, maxCount := p.MaxBytes, p.MaxCount
	if maxBytes <= 0 {
		maxBytes = DefaultPendingBytes
	}
	if maxCount <= 0 {
		maxCount = DefaultPendingCount
	}
	if size > maxBytes {
		return false
	}
	for i := range p.waiting {
		if w := &p.waiting[i]; w.size == size && w.batch.Len() == b.Len() && slices.Equal(w.batch.Sigs, b.Sigs) {
			return false
		}
	}
	drop := 0
	for ; p.bytes+size > maxBytes || len(p.waiting)-drop >= maxCount; drop++ {
		p.bytes -= p.waiting[drop].size
	}
	p.waiting = slices.Delete(p.waiting, 0, drop)
	p.waiting = append(p.waiting, pendingBatch{b, slices.Clone(missing), size})
	p.bytes += size
	return true
}

// Ready removes and returns the batches all of whose missing changes are now held, as has
// says, oldest first.
func (p *Pending) Ready(has func(Tip) bool) []*Batch {
	var out []*Batch
	kept := p.waiting[:0]
	for _, w := range p.waiting {
		w.missing = slices.DeleteFunc(w.missing, has)
		if len(w.missing) == 0 {
			out = append(out, w.batch)
			p.bytes -= w.size
			continue
		}
		kept = append(kept, w)
	}
	clear(p.waiting[len(kept):])
	p.waiting = kept
	return out
}

// Missing returns the dots that are waited for, sorted.
func (p *Pending) Missing() []causal.Dot {
	var out []causal.Dot
	for i := range p.waiting {
		for _, t := range p.waiting[i].missing {
			out = append(out, t.Dot())
		}
	}
	slices.SortFunc(out, causal.Dot.Compare)
	return slices.Compact(out)
}

// Len returns the number of batches.
func (p *Pending) Len() int { return len(p.waiting) }

// Bytes returns their size.
func (p *Pending) Bytes() int { return p.bytes }
