package storage

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// ErrClosed is returned by all methods after Close.
var ErrClosed = errors.New("storage: closed")

// Config says what New cannot find in the datastore.
type Config struct {
	// Key is the device's key. Required. It must be the same each time
	// the datastore is opened; if it is not, the stores' actors start anew.
	Key ed25519.PrivateKey
}

// DB is a device's storage: its key, its stores and their logs. It is safe for
// concurrent use.
type DB struct {
	dir     string
	ds      datastore.Batching
	key     ed25519.PrivateKey
	device  causal.Device
	codec   *recordCodec
	cache   *batchCache
	holder  *holder // nil without a directory
	tails   *tails  // nil without a directory
	notices []string

	// forgetting is held while a store is forgotten, by whoever needs none to be.
	forgetting sync.RWMutex
	mu         sync.Mutex // guards what follows
	closed     bool
	logs       map[crdt.StoreID]*Log
	// unforgotten are the stores whose DeleteStore failed half way.
	unforgotten map[crdt.StoreID]bool
}

// Open opens the data directory dir, making it if it does not exist. The first time it
// mints the device's key. A directory that is open already gives an error wrapping
// ErrInUse, which names the holder; a damaged one gives a *CorruptError, one of a newer version an
// error wrapping ErrNewerFormat.
func Open(dir string) (*DB, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	h, err := hold(dir)
	if err != nil {
		return nil, err
	}
	db, err := openHeld(dir, h)
	if err != nil {
		// Still unclean if it was: the next Open must look again.
		return nil, errors.Join(err, h.release(!h.unclean))
	}
	return db, nil
}

func openHeld(dir string, h *holder) (*DB, error) {
	logDir := filepath.Join(dir, logDirName)
	if h.unclean {
		if err := cutTorn(dir, logDir); err != nil {
			return nil, err
		}
	}
	cuts, err := newCuts(dir)
	if err != nil {
		return nil, err
	}
	_, err = os.Stat(filepath.Join(dir, identityFile))
	keyGone := errors.Is(err, fs.ErrNotExist)
	key, _, err := loadIdentity(dir)
	if err != nil {
		return nil, err
	}
	t, err := openTails(dir)
	if err != nil {
		return nil, err
	}
	ds, err := openBadger(dir, h.unclean)
	if err != nil {
		return nil, errors.Join(err, t.close())
	}
	db := &DB{dir: dir, ds: ds, key: key, holder: h, tails: t}
	if err := db.init(); err != nil {
		return nil, errors.Join(err, t.close(), ds.Close())
	}
	if err := db.settle(cuts, keyGone); err != nil {
		return nil, errors.Join(err, t.close(), ds.Close())
	}
	return db, nil
}

// New opens what ds holds. The DB owns ds from now on, also if New fails, and closes it. ds
// must keep what was written and then synced, and give back what was written; its Batch need not be
// atomic. Keys start with /format and /v1: wrap ds in a namespace to share it with others. Keeping
// other processes out is the caller's business.
func New(ds datastore.Batching, cfg Config) (*DB, error) {
	if len(cfg.Key) != ed25519.PrivateKeySize {
		return nil, errors.Join(fmt.Errorf("storage: Config.Key: %d bytes, want an ed25519 private key of %d", len(cfg.Key), ed25519.PrivateKeySize), ds.Close())
	}
	db := &DB{ds: ds, key: slices.Clone(cfg.Key)}
	if err := db.init(); err != nil {
		return nil, errors.Join(err, ds.Close())
	}
	return db, nil
}

// init fills in what follows from the fields Open and New have set, and checks the format.
func (db *DB) init() error {
	copy(db.device[:], db.key.Public().(ed25519.PublicKey))
	db.logs = make(map[crdt.StoreID]*Log)
	db.unforgotten = make(map[crdt.StoreID]bool)
	db.cache = newBatchCache(cacheBytes)
	var err error
	if db.codec, err = newRecordCodec(); err != nil {
		return err
	}
	if err := db.checkFormat(); err != nil {
		return err
	}
	if err := db.finishForgetting(); err != nil {
		return err
	}
	return db.checkTails()
}

// checkFormat refuses what a newer version wrote, and marks an empty datastore as ours.
func (db *DB) checkFormat() error {
	payload, err := db.get(formatKey)
	if err == nil {
		version, n := binary.Uvarint(payload)
		if n <= 0 || n != len(payload) {
			return db.damage(formatKey, "not a number")
		}
		if version > formatVersion {
			return fmt.Errorf("%s: format %d, this version knows %d: %w", db.name(), version, formatVersion, ErrNewerFormat)
		}
		return nil
	}
	if !errors.Is(err, datastore.ErrNotFound) {
		return err
	}
	empty, err := db.isEmpty(dataPrefix)
	if err != nil {
		return err
	}
	if !empty || db.tails != nil && len(db.tails.next) > 0 {
		return db.damage(formatKey, "missing, but this is no new directory")
	}
	return db.write(put(formatKey, db.codec.seal(formatKey, binary.AppendUvarint(nil, formatVersion), db.codec.fast)))
}

// checkTails notices a whole log that is gone. What is left of one is checked as it is loaded.
func (db *DB) checkTails() error {
	if db.tails == nil {
		return nil
	}
	for id, next := range db.tails.next {
		if next == 0 {
			continue
		}
		empty, err := db.isEmpty(logPrefix(id) + "/b")
		if err != nil {
			return err
		}
		if empty {
			return db.damage(logPrefix(id), "missing: store %s had %d blocks", id, next)
		}
	}
	return nil
}

// settle draws the consequences of ends that were cut off, and of a new device key.
func (db *DB) settle(cuts []string, keyGone bool) error {
	stores, err := db.Stores()
	if err != nil {
		return err
	}
	if len(cuts) > 0 {
		// Nothing says for certain that the cut writes were never acknowledged, if the power failed:
		// the dots in them are left alone.
		for _, info := range stores {
			info.Actor = causal.Actor{}
			if err := db.PutStore(info); err != nil {
				return err
			}
		}
	}
	for _, cut := range cuts {
		kept, err := settleCut(cut)
		if err != nil {
			return err
		}
		db.notices = append(db.notices, fmt.Sprintf("the last write before an unclean end was incomplete and was cut off: its bytes are kept in %s; "+
			"this device goes on writing as a new actor in each store", kept))
	}
	if keyGone && len(stores) > 0 {
		db.notices = append(db.notices, "the device key was missing and a new one was minted: this is a new device now")
	}
	return nil
}

// Notices returns what Open had to put right, in words for the operator's log; nil mostly.
func (db *DB) Notices() []string { return slices.Clone(db.notices) }

// Dir returns the data directory, "" if there is none.
func (db *DB) Dir() string { return db.dir }

// name says where the data is, for errors.
func (db *DB) name() string {
	if db.dir == "" {
		return "the datastore"
	}
	return db.dir
}

// Identity returns the device's private key. Keep it out of logs.
func (db *DB) Identity() ed25519.PrivateKey { return slices.Clone(db.key) }

// Device returns the device's public key.
func (db *DB) Device() causal.Device { return db.device }

// Log returns the log of a store, the same one each time. It reads nothing yet: see Log.Load.
func (db *DB) Log(id crdt.StoreID) (*Log, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return nil, ErrClosed
	}
	if db.unforgotten[id] {
		return nil, ErrForgotten
	}
	l := db.logs[id]
	if l == nil {
		l = newLog(db, id)
		db.logs[id] = l
	}
	return l, nil
}

// DiskUsage returns the bytes that the data takes on disk, 0 if the datastore cannot tell. Of a
// directory it adds up the files: what badger says of itself may be a minute old.
func (db *DB) DiskUsage() (n uint64, err error) {
	if db.dir == "" {
		n, err = datastore.DiskUsage(context.Background(), db.ds)
	} else {
		n, err = fileBytes(db.dir)
	}
	if err != nil {
		return 0, fmt.Errorf("disk usage: %w", err)
	}
	return n, nil
}

// fileBytes returns how many bytes the files under dir hold. Files that go away meanwhile do not count.
func fileBytes(dir string) (n uint64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			var info fs.FileInfo
			if info, err = e.Info(); err == nil {
				n += uint64(info.Size())
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return n, err
}

// Collect gives the disk space of deleted records back, as far as the datastore can. It may take
// seconds and copies data: call it when idle, after Log.Merge has done something.
func (db *DB) Collect() error {
	gc, ok := db.ds.(datastore.GCDatastore)
	if !ok {
		return nil
	}
	if err := gc.CollectGarbage(context.Background()); err != nil {
		return fmt.Errorf("collect garbage: %w", err)
	}
	return nil
}

// Close makes everything durable and lets go of the directory. It waits for writes in
// progress. It returns ErrClosed the second time.
func (db *DB) Close() error {
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		return ErrClosed
	}
	db.closed = true
	logs := slices.Collect(maps.Values(db.logs))
	db.mu.Unlock()
	var err error
	for _, l := range logs {
		err = errors.Join(err, l.close())
	}
	if db.tails != nil {
		err = errors.Join(err, db.tails.close())
	}
	if e := db.ds.Close(); e != nil {
		err = errors.Join(err, fmt.Errorf("close datastore: %w", e))
	}
	if db.holder != nil {
		err = errors.Join(err, db.holder.release(err == nil))
	}
	return err
}

// write is one change to the datastore: a put, or with a nil record a delete.
type write struct {
	key    string
	record []byte
}

func put(key string, record []byte) write { return write{key, record} }
func remove(key string) write             { return write{key: key} }

// write makes writes durable. If it fails, any of them may have happened.
//
// The datastore's calls take a context so that a network one can be given up; here giving up
// would only mean not to know what was written.
func (db *DB) write(writes ...write) error {
	ctx := context.Background()
	batch, err := db.ds.Batch(ctx)
	if err != nil {
		return fmt.Errorf("begin a batch: %w", err)
	}
	for _, w := range writes {
		if w.record == nil {
			err = batch.Delete(ctx, dsKey(w.key))
		} else {
			err = batch.Put(ctx, dsKey(w.key), w.record)
		}
		if err != nil {
			if c, ok := batch.(interface{ Cancel() error }); ok {
				err = errors.Join(err, c.Cancel())
			}
			return fmt.Errorf("write %s: %w", w.key, err)
		}
	}
	if err := batch.Commit(ctx); err != nil {
		return fmt.Errorf("commit a batch: %w", err)
	}
	if err := db.ds.Sync(ctx, datastore.NewKey("/")); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	return nil
}

// get returns the payload under key. A missing one is datastore.ErrNotFound, a damaged one a
// CorruptError.
func (db *DB) get(key string) ([]byte, error) {
	record, err := db.ds.Get(context.Background(), dsKey(key))
	if errors.Is(err, datastore.ErrNotFound) {
		return nil, err
	}
	if err != nil {
		return nil, db.readError(key, err)
	}
	return db.unseal(key, record)
}

// readError says what it means that the datastore could not read what. badger gives an error of its own
// where its files are damaged; what another datastore's errors mean is not known here.
func (db *DB) readError(what string, err error) error {
	db.mu.Lock()
	closed := db.closed
	db.mu.Unlock()
	if closed {
		return ErrClosed
	}
	var system *fs.PathError
	if db.dir == "" || errors.As(err, &system) {
		return fmt.Errorf("read %s: %w", what, err)
	}
	return db.damage(what, "cannot be read: %v", err)
}

// unseal opens a record found under key.
func (db *DB) unseal(key string, record []byte) ([]byte, error) {
	payload, err := db.codec.open(key, record)
	if errors.Is(err, ErrNewerFormat) {
		return nil, fmt.Errorf("%s: %w", db.name(), err)
	}
	if err != nil {
		return nil, db.damage(key, "%v", err)
	}
	return payload, nil
}

// each calls yield with every key below prefix, ascending, and its record (nil if
// keysOnly). yield must not call into the datastore.
func (db *DB) each(prefix string, keysOnly bool, yield func(key string, record []byte) error) (err error) {
	results, err := db.ds.Query(context.Background(), query.Query{Prefix: prefix, KeysOnly: keysOnly, Orders: []query.Order{query.OrderByKey{}}})
	if err != nil {
		return fmt.Errorf("list %s: %w", prefix, err)
	}
	defer func() {
		if e := results.Close(); e != nil && err == nil {
			err = fmt.Errorf("list %s: %w", prefix, e)
		}
	}()
	for {
		r, ok := results.NextSync()
		if !ok {
			return nil
		}
		if r.Error != nil {
			return db.readError("records under "+prefix, r.Error)
		}
		if err := yield(r.Key, r.Value); err != nil {
			return err
		}
	}
}

// isEmpty reports whether there is no key below prefix.
func (db *DB) isEmpty(prefix string) (bool, error) {
	found := errors.New("found")
	err := db.each(prefix, true, func(string, []byte) error { return found })
	if err == found {
		return false, nil
	}
	return true, err
}
