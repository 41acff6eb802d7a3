package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// Block is a batch of changes as the log takes it: those with the local versions from First
// on, in that order, none of which the log held before.
type Block struct {
	First causal.LV // of the batch's first op
	Batch []byte    // as crdt.Batch.AppendTo gives it
}

// A record of the log holds the batches of one Append, or one batch merged from several. Its payload:
//
//	position  uvarint   ops in the log before it
//	blocks    uvarint   block numbers it covers
//	batches   uvarint
//	          then for each: ops, changes, size (uvarints), the batch
//
// The position is redundant: it lets the log be indexed without decoding a batch, and a hole
// show even if the numbers were to close over it.
type recordContent struct {
	position causal.LV
	blocks   uint64
	batches  []storedBatch
}

type storedBatch struct {
	ops, changes int
	data         []byte
}

func (c *recordContent) appendTo(buf []byte) []byte {
	buf = binary.AppendUvarint(buf, uint64(c.position))
	buf = binary.AppendUvarint(buf, c.blocks)
	buf = binary.AppendUvarint(buf, uint64(len(c.batches)))
	for _, b := range c.batches {
		buf = binary.AppendUvarint(buf, uint64(b.ops))
		buf = binary.AppendUvarint(buf, uint64(b.changes))
		buf = binary.AppendUvarint(buf, uint64(len(b.data)))
		buf = append(buf, b.data...)
	}
	return buf
}

var errContent = errors.New("its content is malformed")

// parseContent reads what appendTo writes. The batches refer to b.
func parseContent(b []byte) (*recordContent, error) {
	number := func(limit uint64) uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > limit {
			b = nil
			return 0
		}
		b = b[n:]
		return v
	}
	c := &recordContent{position: causal.LV(number(math.MaxInt)), blocks: number(maxNumber)}
	n := number(uint64(len(b)))
	if n == 0 || n > c.blocks {
		return nil, errContent
	}
	c.batches = make([]storedBatch, 0, min(n, 1024))
	for range n {
		s := storedBatch{ops: int(number(math.MaxInt)), changes: int(number(crdt.MaxBatchChanges))}
		size := number(uint64(len(b)))
		if s.ops < s.changes || s.changes == 0 || size == 0 || size > uint64(len(b)) {
			return nil, errContent
		}
		s.data, b = b[:size:size], b[size:]
		if causal.LV(s.ops) > math.MaxInt-c.position-c.ops() {
			return nil, errContent
		}
		c.batches = append(c.batches, s)
	}
	if len(b) > 0 {
		return nil, errContent
	}
	return c, nil
}

func (c *recordContent) ops() causal.LV {
	n := causal.LV(0)
	for _, b := range c.batches {
		n += causal.LV(b.ops)
	}
	return n
}

// blockRecord is what the index knows of one record of the log.
type blockRecord struct {
	first, last uint64 // the blocks it covers, last included
	span        causal.Span
	merged      bool
	changes     int32
	batches     int32
	size        int32 // of its batches, unpacked
}

func (r *blockRecord) key(prefix string) string {
	return blockKey(prefix, r.first, r.last, r.merged)
}

// describe makes the index entry of a record whose first block is first.
func (c *recordContent) describe(first uint64, merged bool) blockRecord {
	r := blockRecord{first: first, last: first + c.blocks - 1, merged: merged, batches: int32(len(c.batches)),
		span: causal.Span{Start: c.position, End: c.position + c.ops()}}
	for _, b := range c.batches {
		r.changes += int32(b.changes)
		r.size += int32(len(b.data))
	}
	return r
}

// readRecord fetches the record r from the datastore and checks that it is what the index says. A missing
// one is datastore.ErrNotFound.
func (l *Log) readRecord(r blockRecord) (*recordContent, error) {
	key := r.key(l.prefix)
	payload, err := l.db.get(key)
	if err != nil {
		return nil, err
	}
	c, err := parseContent(payload)
	if err != nil {
		return nil, l.db.damage(key, "%v", err)
	}
	if got := c.describe(r.first, r.merged); got != r {
		return nil, l.db.damage(key, "it is not the record that was there: blocks %d to %d, %d ops, were blocks %d to %d, %d ops",
			got.first, got.last, got.span.Len(), r.first, r.last, r.span.Len())
	}
	return c, nil
}

// decodeStored decodes s and checks that it holds what the record says.
func decodeStored(s storedBatch) (*crdt.Batch, error) {
	b, err := crdt.DecodeBatch(s.data)
	if err != nil {
		return nil, err
	}
	if changes, ops := b.Len(), b.Ops(); changes != s.changes || ops != s.ops {
		return nil, fmt.Errorf("it holds %d changes of %d ops, its record says %d of %d", changes, ops, s.changes, s.ops)
	}
	return b, nil
}
