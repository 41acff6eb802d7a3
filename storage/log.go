package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// ErrFailed is wrapped by the errors of a Log after one of its writes failed: what that
// write left behind is unknown. Load the log again, and go on from what it gives.
var ErrFailed = errors.New("storage: an earlier write to this log failed")

// ErrForgotten is returned by the methods of a Log whose store was deleted.
var ErrForgotten = errors.New("storage: the store was forgotten")

const (
	// recordBytes is where an Append with many blocks goes on in a new record.
	recordBytes = 1 << 20
	// markEvery is after how many records Append renews the mark of what is durable.
	markEvery = 64
)

// Log is the log of one store: the row of its blocks. Load reads it, and must have run before it is of use; Append,
// Merge, Changes and the rest load it themselves if need be. It is safe for concurrent
// use: readers go on while one writer at a time appends or merges.
type Log struct {
	db     *DB
	id     crdt.StoreID
	prefix string

	merging sync.Mutex // held by Merge, and by Backup to keep records where they are; before writing
	writing sync.Mutex // held by whoever writes; before mu
	marked  uint64     // the mark on disk; guarded by writing
	deps    *depIndex  // for Merge; guarded by writing
	// unmerged are the first blocks of records that cannot be merged with the next one; guarded by writing.
	unmerged map[uint64]bool

	mu        sync.RWMutex // guards what follows
	loaded    bool
	records   []blockRecord // in order, covering [0, next) and [0, end)
	next      uint64        // number of the next block
	end       causal.LV
	err       error    // ErrFailed, ErrForgotten or ErrClosed: why there is no writing
	leftovers []string // keys of records that others cover; a crash cut short their removal
	tables    tables
}

var _ crdt.Source = (*Log)(nil)

func newLog(db *DB, id crdt.StoreID) *Log {
	return &Log{db: db, id: id, prefix: logPrefix(id), unmerged: make(map[uint64]bool)}
}

// Len returns the number of ops in the log, which is the First of the next block; 0
// before the log is loaded.
func (l *Log) Len() causal.LV {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.end
}

// LogStats says how large a log is.
type LogStats struct {
	Records int       // in the datastore
	Batches int       // in those
	Changes int       // in those
	Ops     causal.LV // in those
	Bytes   int64     // of the batches, before compression
}

// Stats returns the size of what is loaded.
func (l *Log) Stats() LogStats {
	l.mu.RLock()
	defer l.mu.RUnlock()
	s := LogStats{Records: len(l.records), Ops: l.end}
	for i := range l.records {
		s.Batches += int(l.records[i].batches)
		s.Changes += int(l.records[i].changes)
		s.Bytes += int64(l.records[i].size)
	}
	return s
}

// state returns why there is no writing, and whether the log is loaded.
func (l *Log) state() (loaded bool, err error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.loaded, l.err
}

// ready loads the log if it is not, and returns why there is no writing. The caller holds l.writing.
func (l *Log) ready() error {
	loaded, err := l.state()
	if err != nil || loaded {
		return err
	}
	return l.load(nil)
}

// Append adds blocks to the log. They are durable when it returns: written in order, each
// record synced before the next is written. A block whose First is not Len, or that is no batch, is refused
// and nothing is written. If a write fails, an unknown part of blocks is in the log; every
// further Append gives an error wrapping ErrFailed until Load has run again.
//
// Append keeps the batches: they must not be changed any more.
func (l *Log) Append(blocks ...Block) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.ready(); err != nil {
		return err
	}
	contents, decoded, err := l.pack(blocks)
	if err != nil {
		return fmt.Errorf("append to the log of store %s: %w", l.id, err)
	}
	for i, c := range contents {
		if err := l.appendRecord(c, decoded[i]); err != nil {
			l.mu.Lock()
			l.err = fmt.Errorf("%w: %w", ErrFailed, err)
			l.mu.Unlock()
			return fmt.Errorf("append to the log of store %s: %w", l.id, err)
		}
	}
	return nil
}

// pack checks blocks and groups them into records.
func (l *Log) pack(blocks []Block) (contents []*recordContent, decoded [][]*crdt.Batch, err error) {
	at, size := l.end, 0
	for i, b := range blocks {
		s, batch, err := decodeBlock(b, at)
		if err != nil {
			return nil, nil, fmt.Errorf("block %d: %w", i, err)
		}
		if n := len(contents); n == 0 || size+len(b.Batch) > recordBytes {
			contents = append(contents, &recordContent{position: at})
			decoded = append(decoded, nil)
			size = 0
		}
		n := len(contents) - 1
		contents[n].batches = append(contents[n].batches, s)
		contents[n].blocks++
		decoded[n] = append(decoded[n], batch)
		at += causal.LV(s.ops)
		size += len(b.Batch)
	}
	if l.next+uint64(len(blocks)) > maxNumber {
		return nil, nil, fmt.Errorf("the log is full: block %d", l.next)
	}
	return contents, decoded, nil
}

// decodeBlock checks that b goes on at a log's end.
func decodeBlock(b Block, end causal.LV) (storedBatch, *crdt.Batch, error) {
	if b.First != end {
		return storedBatch{}, nil, fmt.Errorf("it starts at op %d, the log ends at %d", b.First, end)
	}
	batch, err := crdt.DecodeBatch(b.Batch)
	if err != nil {
		return storedBatch{}, nil, err
	}
	return storedBatch{ops: batch.Ops(), changes: batch.Len(), data: b.Batch}, batch, nil
}

// appendRecord writes one record at the end of the log. The caller holds l.writing.
func (l *Log) appendRecord(c *recordContent, decoded []*crdt.Batch) error {
	r := c.describe(l.next, false)
	key := r.key(l.prefix)
	writes := []write{put(key, l.db.codec.seal(key, c.appendTo(nil), l.db.codec.fast))}
	// What comes along costs no sync of its own. It speaks of what was durable before, and
	// so may reach the disk without the record.
	mark := l.next >= l.marked+markEvery
	if mark {
		writes = append(writes, l.markWrite(l.next))
	}
	tables, flushed := l.tableWrites()
	if err := l.db.write(append(writes, tables...)...); err != nil {
		return err
	}
	// Durable. Only the guard against a lost end can still fail.
	l.mu.Lock()
	if mark {
		l.marked = l.next
	}
	l.records = append(l.records, r)
	l.next, l.end = r.last+1, r.span.End
	l.mu.Unlock()
	flushed()
	l.db.cache.add(cacheKey{l, r.first, r.last}, decoded, int(r.size))
	if l.deps != nil {
		l.deps.add(decoded)
	}
	if l.db.tails != nil {
		return l.db.tails.set(l.id, l.next)
	}
	return nil
}

// markKey holds a number of blocks that were durable before it was written, which tells a
// lost end from a write that never finished.
func (l *Log) markKey() string { return l.prefix + "/n" }

func (l *Log) markWrite(next uint64) write {
	return put(l.markKey(), l.db.codec.seal(l.markKey(), binary.AppendUvarint(nil, next), l.db.codec.fast))
}

// Flush makes what PutPeer and PutRecord were given durable.
func (l *Log) Flush() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.ready(); err != nil {
		return err
	}
	return l.flush()
}

func (l *Log) flush() error {
	writes, flushed := l.tableWrites()
	if l.next > l.marked {
		writes = append(writes, l.markWrite(l.next))
	}
	if len(writes) == 0 {
		return nil
	}
	if err := l.db.write(writes...); err != nil {
		return fmt.Errorf("flush the log of store %s: %w", l.id, err)
	}
	flushed()
	l.marked = l.next
	return nil
}

// close flushes, waits for the writer and ends all use.
func (l *Log) close() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	loaded, err := l.state()
	if err == nil && loaded {
		err = l.flush()
	} else {
		err = nil // nothing of it is to be written
	}
	l.stop(ErrClosed)
	return err
}

// stop ends all use: from now on methods return why.
func (l *Log) stop(why error) {
	l.mu.Lock()
	l.err, l.loaded = why, false
	l.records, l.next, l.end, l.leftovers, l.tables = nil, 0, 0, nil, tables{}
	l.mu.Unlock()
	l.deps = nil
	l.db.cache.drop(l)
}
