package storage

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ipfs/go-datastore"

	"github.com/atollsync/atoll/crdt/causal"
)

// Load reads the whole log and calls yield with each batch, in order, and the number of its block. Numbers
// ascend, with gaps where blocks were merged. yield may keep the batch, must not change it, and must not call
// the log's methods. An error of yield ends Load, which returns it.
//
// All that is there is checked: damage, a hole or a lost end gives a *CorruptError, a newer
// format an error wrapping ErrNewerFormat, and then the log cannot be appended to. yield may have
// been called with what comes before the damage.
func (l *Log) Load(yield func(number uint64, batch []byte) error) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if _, err := l.state(); err != nil && !errors.Is(err, ErrFailed) {
		return err
	}
	return l.load(yield)
}

// load is Load; yield may be nil. The caller holds l.writing.
func (l *Log) load(yield func(number uint64, batch []byte) error) error {
	l.mu.Lock()
	wasFailed := l.err != nil
	l.loaded = false
	l.mu.Unlock()
	l.deps = nil
	if wasFailed {
		// What the failed write left behind is about to be relied on.
		if err := l.db.ds.Sync(context.Background(), datastore.NewKey("/")); err != nil {
			return fmt.Errorf("load the log of store %s: sync: %w", l.id, err)
		}
	}
	s := scanner{log: l, yield: yield}
	if err := l.db.each(l.prefix+"/b", false, s.add); err != nil {
		return fmt.Errorf("load the log of store %s: %w", l.id, err)
	}
	if err := s.finish(); err != nil {
		return fmt.Errorf("load the log of store %s: %w", l.id, err)
	}
	marked, err := l.checkEnd(s.next)
	if err != nil {
		return fmt.Errorf("load the log of store %s: %w", l.id, err)
	}
	t, err := l.loadTables()
	if err != nil {
		return fmt.Errorf("load the log of store %s: %w", l.id, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if wasFailed {
		t.adopt(l.tables)
	}
	l.records, l.next, l.end, l.leftovers, l.tables = s.records, s.next, s.end(), s.leftovers, t
	l.loaded, l.err, l.marked = true, nil, marked
	return nil
}

// checkEnd refuses a log that has lost its end, and returns the mark it found.
func (l *Log) checkEnd(next uint64) (marked uint64, err error) {
	payload, err := l.db.get(l.markKey())
	if err != nil && !errors.Is(err, datastore.ErrNotFound) {
		return 0, err
	}
	if err == nil {
		n := 0
		if marked, n = binary.Uvarint(payload); n <= 0 || n != len(payload) {
			return 0, l.db.damage(l.markKey(), "not a number")
		}
	}
	had := marked
	if l.db.tails != nil {
		had = max(had, l.db.tails.get(l.id))
	}
	if next < had {
		return 0, l.db.damage(fmt.Sprintf("blocks %d to %d of %s", next, had-1, l.prefix), "missing: the log of store %s had %d blocks", l.id, had)
	}
	if l.db.tails != nil && next > l.db.tails.get(l.id) {
		return marked, l.db.tails.set(l.id, next)
	}
	return marked, nil
}

// candidate is a record that starts at a certain block.
type candidate struct {
	key    string
	last   uint64 // 0 if it is not merged
	merged bool
	record []byte
}

// scanner puts the records of a log in a row as they come, in key order. Where records overlap, as
// they do after a crash while blocks were merged, the longest one counts, if it is sound. One that is not
// does no harm as long as the parts it was made from are all there.
type scanner struct {
	log   *Log
	yield func(number uint64, batch []byte) error

	first uint64 // of the candidates
	group []candidate

	next      uint64
	records   []blockRecord
	leftovers []string
	broken    error  // about a merged record that could not be used
	needed    uint64 // blocks that must come from its parts, or broken is the answer
}

func (s *scanner) add(key string, record []byte) error {
	first, last, merged, err := parseBlockKey(s.log.prefix, key)
	if err != nil {
		return s.log.db.damage(key, "%v", err)
	}
	if len(s.group) > 0 && first != s.first {
		if err := s.choose(); err != nil {
			return err
		}
	}
	s.first = first
	s.group = append(s.group, candidate{key, last, merged, record})
	return nil
}

// choose takes the best of the candidates, which all start at s.first.
func (s *scanner) choose() error {
	group := s.group
	s.group = nil
	if s.first > s.next {
		if s.broken != nil {
			return s.broken
		}
		return s.log.db.damage(fmt.Sprintf("blocks %d to %d of %s", s.next, s.first-1, s.log.prefix), "missing, but block %d is there", s.first)
	}
	taken := s.first < s.next // covered by a merged record
	for i := len(group) - 1; i >= 0; i-- {
		c := &group[i]
		if taken {
			s.leftovers = append(s.leftovers, c.key)
			if c.merged && c.last >= s.next {
				s.distrust(c.last, s.log.db.damage(c.key, "it overlaps the record before it"))
			}
			continue
		}
		content, err := s.read(c)
		if err != nil {
			if i == 0 || errors.Is(err, ErrNewerFormat) {
				return err
			}
			s.leftovers = append(s.leftovers, c.key)
			s.distrust(c.last, err)
			continue
		}
		r := content.describe(s.first, c.merged)
		s.records = append(s.records, r)
		s.next = r.last + 1
		taken = true
		if err := s.deliver(r, content); err != nil {
			return err
		}
	}
	return nil
}

// end returns the number of ops in the row.
func (s *scanner) end() causal.LV {
	if len(s.records) == 0 {
		return 0
	}
	return s.records[len(s.records)-1].span.End
}

// distrust notes that a merged record up to last is of no use, because of err.
func (s *scanner) distrust(last uint64, err error) {
	if last >= s.needed {
		s.broken, s.needed = err, last+1
	}
}

// read opens a candidate and checks it against its key and its place in the row.
func (s *scanner) read(c *candidate) (*recordContent, error) {
	db := s.log.db
	payload, err := db.unseal(c.key, c.record)
	if err != nil {
		return nil, err
	}
	content, err := parseContent(payload)
	if err != nil {
		return nil, db.damage(c.key, "%v", err)
	}
	if c.merged && content.blocks != c.last-s.first+1 {
		return nil, db.damage(c.key, "it covers %d blocks, its key says %d", content.blocks, c.last-s.first+1)
	}
	if content.position != s.end() {
		return nil, db.damage(c.key, "it starts at op %d, but the log before it holds %d", content.position, s.end())
	}
	return content, nil
}

func (s *scanner) deliver(r blockRecord, content *recordContent) error {
	if s.yield == nil {
		return nil
	}
	for i, b := range content.batches {
		if err := s.yield(r.first+uint64(i), b.data); err != nil {
			return err
		}
	}
	return nil
}

// finish ends the row.
func (s *scanner) finish() error {
	if len(s.group) > 0 {
		if err := s.choose(); err != nil {
			return err
		}
	}
	if s.next < s.needed {
		return s.broken
	}
	return nil
}
