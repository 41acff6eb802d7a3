package storage

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// Entry is a value kept for a device.
type Entry struct {
	Device causal.Device
	Value  []byte
}

// tables are the values kept for devices beside a log. They are caches: peers give them again.
type tables struct {
	peers, deliveries table
	self              table // one value, for this device
}

// table holds values by device. The zero value is an empty one.
type table struct {
	values map[causal.Device][]byte
	dirty  map[causal.Device]bool // not durable yet
}

func (t *table) put(d causal.Device, value []byte) {
	if old, ok := t.values[d]; ok && bytes.Equal(old, value) {
		return
	}
	if t.values == nil {
		t.values, t.dirty = make(map[causal.Device][]byte), make(map[causal.Device]bool)
	}
	t.values[d] = bytes.Clone(value)
	t.dirty[d] = true
}

func (t *table) entries() []Entry {
	out := make([]Entry, 0, len(t.values))
	for d, v := range t.values {
		out = append(out, Entry{d, v})
	}
	slices.SortFunc(out, func(a, b Entry) int { return a.Device.Compare(b.Device) })
	return out
}

// adopt takes over what old has not written yet.
func (t *tables) adopt(old tables) {
	for d := range old.peers.dirty {
		t.peers.put(d, old.peers.values[d])
	}
	for d := range old.deliveries.dirty {
		t.deliveries.put(d, old.deliveries.values[d])
	}
	for d := range old.self.dirty {
		t.self.put(d, old.self.values[d])
	}
}

func (l *Log) peersPrefix() string      { return l.prefix + "/p" }
func (l *Log) deliveriesPrefix() string { return l.prefix + "/d" }
func (l *Log) selfPrefix() string       { return l.prefix + "/s" }

// PutPeer keeps what is known of a peer, in place of what was. It becomes durable with the next
// Append, Flush or DB.Close; a crash before that loses it.
func (l *Log) PutPeer(d causal.Device, value []byte) error {
	return l.putEntry(func(t *tables) *table { return &t.peers }, d, value)
}

// Peers returns what PutPeer was given last for each device, sorted by device.
func (l *Log) Peers() ([]Entry, error) {
	return l.entries(func(t *tables) *table { return &t.peers })
}

// PutRecord keeps a device's delivery record, in place of its last one. It becomes
// durable with the next Append, Flush or DB.Close; a crash before that loses it.
func (l *Log) PutRecord(d causal.Device, value []byte) error {
	return l.putEntry(func(t *tables) *table { return &t.deliveries }, d, value)
}

// Records returns what PutRecord was given last for each device, sorted by device.
func (l *Log) Records() ([]Entry, error) {
	return l.entries(func(t *tables) *table { return &t.deliveries })
}

// PutSelf keeps what this device knows of its own standing, in place of what was. It becomes durable with the next
// Append, Flush or DB.Close; a crash before that loses it.
func (l *Log) PutSelf(value []byte) error {
	return l.putEntry(func(t *tables) *table { return &t.self }, l.db.device, value)
}

// Self returns what PutSelf was given last, nil if nothing.
func (l *Log) Self() ([]byte, error) {
	entries, err := l.entries(func(t *tables) *table { return &t.self })
	for _, e := range entries {
		if e.Device == l.db.device {
			return e.Value, err
		}
	}
	return nil, err
}

// ensure loads the log if it is not.
func (l *Log) ensure() error {
	if loaded, err := l.state(); loaded || err != nil {
		return err
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	return l.ready()
}

func (l *Log) putEntry(pick func(*tables) *table, d causal.Device, value []byte) error {
	if err := l.ensure(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	pick(&l.tables).put(d, value)
	return nil
}

func (l *Log) entries(pick func(*tables) *table) ([]Entry, error) {
	if err := l.ensure(); err != nil {
		return nil, err
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	return pick(&l.tables).entries(), nil
}

// tableWrites returns the writes that make the tables durable, and what to call once they are. The caller
// holds l.writing.
func (l *Log) tableWrites() (writes []write, done func()) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	type sent struct {
		table *table
		Entry
	}
	var all []sent
	for _, t := range []struct {
		prefix string
		table  *table
	}{{l.peersPrefix(), &l.tables.peers}, {l.deliveriesPrefix(), &l.tables.deliveries}, {l.selfPrefix(), &l.tables.self}} {
		for d := range t.table.dirty {
			value := t.table.values[d]
			key := deviceKey(t.prefix, d)
			writes = append(writes, put(key, l.db.codec.seal(key, value, l.db.codec.fast)))
			all = append(all, sent{t.table, Entry{d, value}})
		}
	}
	slices.SortFunc(writes, func(a, b write) int { return bytes.Compare([]byte(a.key), []byte(b.key)) })
	return writes, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, s := range all {
			if bytes.Equal(s.table.values[s.Device], s.Value) {
				delete(s.table.dirty, s.Device)
			}
		}
	}
}

func (l *Log) loadTables() (tables, error) {
	var t tables
	for _, part := range []struct {
		prefix string
		table  *table
	}{{l.peersPrefix(), &t.peers}, {l.deliveriesPrefix(), &t.deliveries}, {l.selfPrefix(), &t.self}} {
		err := l.db.each(part.prefix, false, func(key string, record []byte) error {
			d, err := parseDeviceKey(part.prefix, key)
			if err != nil {
				return l.db.damage(key, "%v", err)
			}
			value, err := l.db.unseal(key, record)
			if err != nil {
				return err
			}
			part.table.put(d, value)
			return nil
		})
		if err != nil {
			return tables{}, fmt.Errorf("read %s: %w", part.prefix, err)
		}
		clear(part.table.dirty)
	}
	return t, nil
}
