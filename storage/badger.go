package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	badger "github.com/ipfs/go-ds-badger"
)

// logDirName is the folder of a data directory that badger owns.
const logDirName = "log"

// badgerOptions are what durability and honesty ask of badger.
func badgerOptions() *badger.Options {
	o := badger.DefaultOptions
	o.SyncWrites = true                // a commit that returned is on disk (O_DSYNC)
	o.Truncate = false                 // never drop what it does not understand
	o.VerifyValueChecksum = true       // values too large for a table
	o.ValueLogFileSize = 64 << 20      // disk space is given back by the file
	o.GcInterval = 0                   // DB.Collect, when the node is idle
	o.GcDiscardRatio = 0.5             // a rewrite frees at least what it copies
	o.EventLogging = false             // keeps traces in memory for a page that nobody serves
	o.NumCompactors = 1                // one is enough for a log that mostly grows
	o.Options.CompactL0OnClose = false // a shutdown does not wait for it
	return &o
}

// openBadger opens badger in dir/log, creating it if need be. torn says that the process that had it
// open last ended in the middle of its work. The error says what kind of trouble it
// is: damage (CorruptError), or one of the system's.
func openBadger(dir string, torn bool) (ds *badger.Datastore, err error) {
	path := filepath.Join(dir, logDirName)
	defer func() {
		if p := recover(); p != nil {
			ds, err = nil, badgerError(dir, fmt.Errorf("badger cannot read it: %v", p))
		}
	}()
	if err := checkTables(path, torn); err != nil {
		return nil, badgerError(dir, err)
	}
	ds, err = badger.NewDatastore(path, badgerOptions())
	if err != nil {
		return nil, badgerError(dir, fmt.Errorf("badger refuses to open it: %w", err))
	}
	return ds, nil
}

// badgerError says what it means that badger's files could not be opened.
func badgerError(dir string, err error) error {
	var system *fs.PathError
	if errors.As(err, &system) {
		return fmt.Errorf("open %s: %w", filepath.Join(dir, logDirName), err)
	}
	return &CorruptError{Dir: dir, Record: "folder " + logDirName, Reason: err.Error()}
}
