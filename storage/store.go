package storage

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// StoreInfo is what a device knows of a store it holds, its log apart.
type StoreInfo struct {
	ID     crdt.StoreID
	Name   string   // local
	Secret [32]byte // keep it out of logs
	// Actor is this device's actor in the store. Zero, as it comes from DB.Stores, means that a new one must be
	// minted, and put here, before this device writes: it has none yet, or it can not be sure that it
	// still knows all that its last one wrote.
	Actor   causal.Actor
	Created int64    // unix milliseconds
	Addrs   []string // where peers were found
}

// storeFields is the number of fields in an encoded StoreInfo, a msgpack array.
const storeFields = 6

// Stores returns the stores of this device, sorted by name, then ID.
func (db *DB) Stores() ([]StoreInfo, error) {
	var out []StoreInfo
	err := db.each(storesPrefix, false, func(key string, record []byte) error {
		info, err := db.readStore(key, record)
		if err != nil {
			return err
		}
		out = append(out, info)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list stores: %w", err)
	}
	slices.SortFunc(out, func(a, b StoreInfo) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), bytes.Compare(a.ID[:], b.ID[:]))
	})
	return out, nil
}

func (db *DB) readStore(key string, record []byte) (StoreInfo, error) {
	payload, err := db.unseal(key, record)
	if err != nil {
		return StoreInfo{}, err
	}
	info, err := parseStoreInfo(payload)
	if err == nil && storeKey(info.ID) != key {
		err = errors.New("it is about another store")
	}
	if err != nil {
		return StoreInfo{}, db.damage(key, "%v", err)
	}
	if info.Actor.Device != db.device {
		info.Actor = causal.Actor{} // of the device this one was, before its key was lost
	}
	return info, nil
}

// PutStore keeps info, durably, in place of what was kept of the same store.
func (db *DB) PutStore(info StoreInfo) error {
	if !info.Actor.IsZero() && info.Actor.Device != db.device {
		return fmt.Errorf("storage: actor %s of store %s is not of this device, %s", info.Actor, info.ID, db.device)
	}
	if info.ID == (crdt.StoreID{}) {
		return errors.New("storage: a store needs an ID")
	}
	if err := db.forgotten(info.ID); err != nil {
		return err
	}
	db.forgetting.RLock()
	defer db.forgetting.RUnlock()
	payload, err := info.encode()
	if err != nil {
		return fmt.Errorf("put store %q: %w", info.Name, err)
	}
	key := storeKey(info.ID)
	if err := db.write(put(key, db.codec.seal(key, payload, db.codec.fast))); err != nil {
		return fmt.Errorf("put store %q: %w", info.Name, err)
	}
	return nil
}

func (info *StoreInfo) encode() ([]byte, error) {
	var buf bytes.Buffer
	e := msgpack.NewEncoder(&buf)
	var actor []byte
	if !info.Actor.IsZero() {
		actor = info.Actor.AppendTo(nil)
	}
	err := errors.Join(
		e.EncodeArrayLen(storeFields),
		e.EncodeBytes(info.ID[:]),
		e.EncodeString(info.Name),
		e.EncodeBytes(info.Secret[:]),
		e.EncodeBytes(actor),
		e.EncodeInt(info.Created),
		e.EncodeArrayLen(len(info.Addrs)),
	)
	for _, a := range info.Addrs {
		err = errors.Join(err, e.EncodeString(a))
	}
	return buf.Bytes(), err
}

func parseStoreInfo(b []byte) (StoreInfo, error) {
	var info StoreInfo
	r := bytes.NewReader(b)
	d := msgpack.NewDecoder(r)
	if n, err := d.DecodeArrayLen(); err != nil || n != storeFields {
		return info, fmt.Errorf("no array of %d fields", storeFields)
	}
	// A length is compared with what is there before anything is allocated: the library does not.
	next := func() ([]byte, error) {
		n, err := d.DecodeBytesLen()
		if err != nil {
			return nil, err
		}
		if n > r.Len() {
			return nil, io.ErrUnexpectedEOF
		}
		v := make([]byte, max(n, 0))
		return v, d.ReadFull(v)
	}
	array := func(field string, into []byte) error {
		v, err := next()
		if err != nil || len(v) != len(into) {
			return fmt.Errorf("field %s: want %d bytes", field, len(into))
		}
		copy(into, v)
		return nil
	}
	if err := array("id", info.ID[:]); err != nil {
		return info, err
	}
	name, err := next()
	if err != nil {
		return info, fmt.Errorf("field name: %w", err)
	}
	info.Name = string(name)
	if err := array("secret", info.Secret[:]); err != nil {
		return info, err
	}
	actor, err := next()
	if err == nil && len(actor) > 0 {
		info.Actor, err = causal.ActorFromBytes(actor)
	}
	if err != nil {
		return info, fmt.Errorf("field actor: %w", err)
	}
	if info.Created, err = d.DecodeInt64(); err != nil {
		return info, fmt.Errorf("field created: %w", err)
	}
	n, err := d.DecodeArrayLen()
	if err != nil || n > len(b) {
		return info, errors.New("field addrs: no array")
	}
	for range n {
		a, err := next()
		if err != nil {
			return info, fmt.Errorf("field addrs: %w", err)
		}
		info.Addrs = append(info.Addrs, string(a))
	}
	if r.Len() > 0 {
		return info, fmt.Errorf("%d bytes after the end", r.Len())
	}
	return info, nil
}

// DeleteStore forgets a store: its info, log and tables are removed, and its Log gives
// ErrForgotten from now on. There is no way back. If it fails half way, the rest is removed before anything is
// done with that store again, at the latest by the next Open.
func (db *DB) DeleteStore(id crdt.StoreID) error {
	db.forgetting.Lock()
	defer db.forgetting.Unlock()
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		return ErrClosed
	}
	l := db.logs[id]
	delete(db.logs, id)
	db.unforgotten[id] = true
	db.mu.Unlock()
	if l != nil {
		l.merging.Lock()
		defer l.merging.Unlock()
		l.writing.Lock()
		defer l.writing.Unlock()
		l.stop(ErrForgotten)
	}
	return db.finishForget(id)
}

// forgotten sees to it that nothing is left of a store that was forgotten.
func (db *DB) forgotten(id crdt.StoreID) error {
	db.mu.Lock()
	pending := db.unforgotten[id]
	db.mu.Unlock()
	if !pending {
		return nil
	}
	db.forgetting.Lock()
	defer db.forgetting.Unlock()
	return db.finishForget(id)
}

// finishForget removes what is left of id if it is to be forgotten. The caller holds
// db.forgetting.
func (db *DB) finishForget(id crdt.StoreID) error {
	db.mu.Lock()
	pending := db.unforgotten[id]
	db.mu.Unlock()
	if !pending {
		return nil
	}
	if err := db.forget(id); err != nil {
		return fmt.Errorf("forget store %s: %w", id, err)
	}
	db.mu.Lock()
	delete(db.unforgotten, id)
	db.mu.Unlock()
	return nil
}

// forget removes everything about id. A crash at any point leaves a note, removed last, by which the
// next Open goes on: half a log would look like a damaged one if the store came back.
func (db *DB) forget(id crdt.StoreID) error {
	note := forgetKey(id)
	if err := db.write(put(note, db.codec.seal(note, id[:], db.codec.fast))); err != nil {
		return err
	}
	if db.tails != nil {
		if err := db.tails.clear(id); err != nil {
			return err
		}
	}
	var keys []string
	if err := db.each(logPrefix(id), true, func(key string, _ []byte) error {
		keys = append(keys, key)
		return nil
	}); err != nil {
		return err
	}
	if err := db.removeAll(append(keys, storeKey(id))); err != nil {
		return err
	}
	return db.write(remove(note))
}

// removeAll deletes keys, durably, a bounded number at a time.
func (db *DB) removeAll(keys []string) error {
	for chunk := range slices.Chunk(keys, 1000) {
		writes := make([]write, len(chunk))
		for i, key := range chunk {
			writes[i] = remove(key)
		}
		if err := db.write(writes...); err != nil {
			return err
		}
	}
	return nil
}

// finishForgetting goes on where a crash cut DeleteStore short.
func (db *DB) finishForgetting() error {
	var ids []crdt.StoreID
	if err := db.each(forgetPrefix, false, func(key string, record []byte) error {
		id, err := parseStoreKey(forgetPrefix, key)
		if err != nil {
			return db.damage(key, "%v", err)
		}
		payload, err := db.unseal(key, record)
		if err != nil {
			return err
		}
		if !bytes.Equal(payload, id[:]) {
			return db.damage(key, "it is about another store")
		}
		ids = append(ids, id)
		return nil
	}); err != nil {
		return err
	}
	for _, id := range ids {
		if err := db.forget(id); err != nil {
			return fmt.Errorf("forget store %s: %w", id, err)
		}
	}
	return nil
}
