package storage

import (
	"container/list"
	"errors"
	"fmt"
	"sort"
	"sync"

	"github.com/ipfs/go-datastore"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// Changes calls yield with every change that has an op in span, in the order of their local versions,
// until yield returns false. Of the Accepted, Change and Span are set; the rest is
// what the store's Chains know. Where the log ends before span does, Changes ends.
func (l *Log) Changes(span causal.Span, yield func(crdt.Accepted) bool) error {
	if err := l.ensure(); err != nil && !errors.Is(err, ErrFailed) {
		return err
	}
	for at := span.Start; at < span.End; {
		r, batches, err := l.batchesAt(at)
		if err != nil {
			return fmt.Errorf("read the log of store %s: %w", l.id, err)
		}
		if batches == nil {
			return nil
		}
		lv := r.span.Start
		for _, b := range batches {
			for ch := range b.All {
				s := causal.Span{Start: lv, End: lv + causal.LV(ch.Len())}
				lv = s.End
				if s.End <= at {
					continue
				}
				if s.Start >= span.End || !yield(crdt.Accepted{Change: ch, Span: s}) {
					return nil
				}
			}
		}
		at = r.span.End
	}
	return nil
}

// find returns the record that holds lv, and false if the log ends before it.
func (l *Log) find(lv causal.LV) (r blockRecord, ok bool, err error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.err != nil && !errors.Is(l.err, ErrFailed) {
		return r, false, l.err // not the log's end, but the end of its use
	}
	i := sort.Search(len(l.records), func(i int) bool { return l.records[i].span.End > lv })
	if i == len(l.records) || lv < 0 {
		return r, false, nil
	}
	return l.records[i], true, nil
}

// batchesAt returns the record that holds lv, and its batches, nil if the log ends before lv.
func (l *Log) batchesAt(lv causal.LV) (blockRecord, []*crdt.Batch, error) {
	for {
		r, ok, err := l.find(lv)
		if !ok {
			return blockRecord{}, nil, err
		}
		if batches := l.db.cache.get(cacheKey{l, r.first, r.last}); batches != nil {
			return r, batches, nil
		}
		content, err := l.fetch(r)
		if errors.Is(err, errMoved) {
			continue
		}
		if err != nil {
			return blockRecord{}, nil, err
		}
		batches, err := l.decode(r, content)
		if err != nil {
			return blockRecord{}, nil, err
		}
		l.db.cache.add(cacheKey{l, r.first, r.last}, batches, int(r.size))
		return r, batches, nil
	}
}

// errMoved says that a record was merged into another one since the index was read.
var errMoved = errors.New("record was merged")

// fetch is readRecord for one who does not hold l.writing.
func (l *Log) fetch(r blockRecord) (*recordContent, error) {
	content, err := l.readRecord(r)
	if !errors.Is(err, datastore.ErrNotFound) {
		return content, err
	}
	now, ok, err := l.find(r.span.Start)
	if err != nil {
		return nil, err
	}
	if !ok || now != r {
		return nil, errMoved
	}
	return nil, l.db.damage(r.key(l.prefix), "missing")
}

func (l *Log) decode(r blockRecord, content *recordContent) ([]*crdt.Batch, error) {
	batches := make([]*crdt.Batch, len(content.batches))
	for i, s := range content.batches {
		b, err := decodeStored(s)
		if err != nil {
			return nil, l.db.damage(r.key(l.prefix), "batch %d: %v", i, err)
		}
		batches[i] = b
	}
	return batches, nil
}

// cacheBytes bounds the decoded batches a DB keeps, by their encoded size.
const cacheBytes = 8 << 20

// batchOverhead is about what a decoded batch of one change takes beside its bytes.
const batchOverhead = 1 << 10

// batchCache keeps the decoded batches that were used last: a batch just appended is
// about to be sent to every peer. It is safe for concurrent use.
type batchCache struct {
	mu    sync.Mutex
	limit int
	size  int
	items map[cacheKey]*list.Element // of cacheItem
	order list.List                  // last used first
}

type cacheKey struct {
	log         *Log
	first, last uint64
}

type cacheItem struct {
	key     cacheKey
	batches []*crdt.Batch
	size    int
}

func newBatchCache(limit int) *batchCache {
	return &batchCache{limit: limit, items: make(map[cacheKey]*list.Element)}
}

func (c *batchCache) get(key cacheKey) []*crdt.Batch {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.items[key]
	if e == nil {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(cacheItem).batches
}

func (c *batchCache) add(key cacheKey, batches []*crdt.Batch, size int) {
	size += len(batches) * batchOverhead
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.items[key] != nil || size > c.limit {
		return
	}
	c.items[key] = c.order.PushFront(cacheItem{key, batches, size})
	for c.size += size; c.size > c.limit; {
		c.evict(c.order.Back())
	}
}

// drop removes what is cached of l.
func (c *batchCache) drop(l *Log) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := c.order.Front(); e != nil; {
		next := e.Next()
		if e.Value.(cacheItem).key.log == l {
			c.evict(e)
		}
		e = next
	}
}

func (c *batchCache) evict(e *list.Element) {
	item := c.order.Remove(e).(cacheItem)
	delete(c.items, item.key)
	c.size -= item.size
}
