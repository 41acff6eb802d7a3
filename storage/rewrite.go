package storage

import (
	"errors"
	"fmt"

	"github.com/atollsync/atoll/crdt/causal"
)

// Start returns the first op of the record that holds op lv: Rewrite may begin there. Of an op that the log does not
// hold it is lv itself.
func (l *Log) Start(lv causal.LV) causal.LV {
	r, ok, err := l.find(lv)
	if !ok || err != nil {
		return lv
	}
	return r.span.Start
}

// Rewrite replaces what follows op from, where a record begins, by blocks, of which there must be one: a device does so with what it
// has told nobody, if others hold something else under the same names. After a crash either all of it is done or nothing. Whoever reads
// what is replaced at that moment may get an error.
//
// The new record covers the numbers of those it replaces, and one more, as if it were merged from them: so a reader takes
// it, and they are what a crash may leave behind.
func (l *Log) Rewrite(from causal.LV, blocks ...Block) error {
	l.merging.Lock()
	defer l.merging.Unlock()
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.ready(); err != nil {
		return err
	}
	if err := l.rewrite(from, blocks); err != nil {
		return fmt.Errorf("rewrite the log of store %s from op %d: %w", l.id, from, err)
	}
	return nil
}

func (l *Log) rewrite(from causal.LV, blocks []Block) error {
	at := 0
	for at < len(l.records) && l.records[at].span.Start < from {
		at++
	}
	if at == len(l.records) || l.records[at].span.Start != from {
		return errors.New("no record begins there")
	}
	if len(blocks) == 0 {
		return errors.New("nothing to put in its place")
	}
	first := l.records[at].first
	content := &recordContent{position: from}
	next := from
	for i, b := range blocks {
		batch, _, err := decodeBlock(b, next)
		if err != nil {
			return fmt.Errorf("block %d: %w", i, err)
		}
		content.batches = append(content.batches, batch)
		next += causal.LV(batch.ops)
	}
	content.blocks = max(l.next-first+1, uint64(len(blocks)))
	if first+content.blocks > maxNumber {
		return errors.New("the log is full")
	}
	payload := content.appendTo(nil)
	if len(payload) > maxPayload {
		return fmt.Errorf("%d bytes, at most %d fit into a record", len(payload), maxPayload)
	}
	whole := content.describe(first, true)
	key := whole.key(l.prefix)
	if err := l.db.write(put(key, l.db.codec.seal(key, payload, l.db.codec.small))); err != nil {
		l.mu.Lock()
		l.err = fmt.Errorf("%w: %w", ErrFailed, err)
		l.mu.Unlock()
		return err
	}
	// Durable: from now on it is the one that is read.
	l.mu.Lock()
	for i := at; i < len(l.records); i++ {
		l.leftovers = append(l.leftovers, l.records[i].key(l.prefix))
	}
	l.records = append(l.records[:at:at], whole)
	l.next, l.end = whole.last+1, whole.span.End
	l.mu.Unlock()
	l.deps = nil
	clear(l.unmerged)
	l.db.cache.drop(l)
	if l.db.tails != nil {
		if err := l.db.tails.set(l.id, l.next); err != nil {
			return err
		}
	}
	return l.removeLeftovers()
}
