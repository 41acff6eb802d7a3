package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// BackupOptions say what a backup holds beside the stores and their logs.
type BackupOptions struct {
	// Key: the device's key too. Who has such a copy can write in this device's name. Without it, whoever
	// opens the copy does so as a new device.
	Key bool
}

// Backup writes a copy of all stores to the new directory dir, while the DB is in use: of each log
// the whole of it as it is at some moment during the copying. dir must not exist; it appears when the copy
// is complete and durable. Until then, and after a failure, what there is of it is in dir + ".partial".
//
// The copy opens like any data directory. It does not know what this device goes on to write, so
// its stores have no actor (StoreInfo.Actor is zero): whoever opens it writes as new actors. A copy made by
// other means, of the files, would write the same dots twice.
func (db *DB) Backup(dir string, opts BackupOptions) error {
	if err := db.backup(dir, opts); err != nil {
		return fmt.Errorf("back up %s to %s: %w", db.name(), dir, err)
	}
	return nil
}

func (db *DB) backup(dir string, opts BackupOptions) error {
	if _, err := os.Lstat(dir); err == nil {
		return errors.New("it exists already")
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	partial := dir + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return err
	}
	if err := os.MkdirAll(partial, 0o700); err != nil {
		return err
	}
	if err := db.copyTo(partial); err != nil {
		return err
	}
	if opts.Key {
		if err := writeFile(filepath.Join(partial, identityFile), formatIdentity(db.key), 0o600); err != nil {
			return err
		}
	}
	if err := syncDir(partial); err != nil {
		return err
	}
	if err := os.Rename(partial, dir); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

// copyTo copies the stores into a new datastore in dir.
func (db *DB) copyTo(dir string) (err error) {
	db.forgetting.RLock()
	defer db.forgetting.RUnlock()
	stores, err := db.Stores()
	if err != nil {
		return err
	}
	ds, err := openBadger(dir, false)
	if err != nil {
		return err
	}
	to := &DB{dir: dir, ds: ds, key: db.key}
	defer func() { err = errors.Join(err, ds.Close()) }()
	if err := to.init(); err != nil {
		return err
	}
	for _, info := range stores {
		info.Actor = causal.Actor{}
		if err := to.PutStore(info); err != nil {
			return err
		}
		if err := db.copyLog(to, info.ID); err != nil {
			return err
		}
	}
	return nil
}

// copyLog copies the log of id, and what is kept beside it.
func (db *DB) copyLog(to *DB, id crdt.StoreID) error {
	l, err := db.Log(id)
	if err != nil {
		return err
	}
	l.merging.Lock() // records stay where they are
	defer l.merging.Unlock()
	if err := l.ensure(); err != nil {
		return err
	}
	l.mu.RLock()
	records := l.records // only Merge changes what is there
	peers, deliveries := l.tables.peers.entries(), l.tables.deliveries.entries()
	l.mu.RUnlock()

	var writes []write
	size := 0
	flush := func() error {
		if len(writes) == 0 {
			return nil
		}
		err := to.write(writes...)
		writes, size = writes[:0], 0
		return err
	}
	for _, r := range records {
		key := r.key(l.prefix)
		content, err := l.readRecord(r)
		if err != nil {
			return err
		}
		record := db.codec.seal(key, content.appendTo(nil), db.codec.fast)
		writes = append(writes, put(key, record))
		if size += len(record); size < recordBytes {
			continue
		}
		if err := flush(); err != nil {
			return err
		}
	}
	for _, part := range []struct {
		prefix  string
		entries []Entry
	}{{l.peersPrefix(), peers}, {l.deliveriesPrefix(), deliveries}} {
		for _, e := range part.entries {
			key := deviceKey(part.prefix, e.Device)
			writes = append(writes, put(key, db.codec.seal(key, e.Value, db.codec.fast)))
		}
	}
	return flush()
}
