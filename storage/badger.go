package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
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

// openBadger opens badger in dir/log, creating it if need be. The error says what kind of trouble it
// is: damage (CorruptError), or one of the system's.
func openBadger(dir string) (ds *badger.Datastore, err error) {
	path := filepath.Join(dir, logDirName)
	corrupt := func(reason string) error {
		return &CorruptError{Dir: dir, Record: "folder " + logDirName, Reason: reason}
	}
	if err := checkFiles(path); err != nil {
		return nil, corrupt(err.Error())
	}
	defer func() {
		// badger indexes into damaged tables before it looks at their checksums.
		if p := recover(); p != nil {
			ds, err = nil, corrupt(fmt.Sprintf("badger cannot read it: %v", p))
		}
	}()
	ds, err = badger.NewDatastore(path, badgerOptions())
	if err == nil {
		return ds, nil
	}
	var system *fs.PathError
	if errors.As(err, &system) {
		return nil, fmt.Errorf("open badger in %s: %w", path, err)
	}
	return nil, corrupt("badger refuses to open it: " + err.Error())
}

// checkFiles refuses a folder whose MANIFEST is gone: badger would make a new one and
// delete every table.
func checkFiles(path string) error {
	files, err := os.ReadDir(path)
	if err != nil {
		return nil // a new folder, or badger's error says it
	}
	held := ""
	for _, f := range files {
		switch ext := filepath.Ext(f.Name()); {
		case f.Name() == "MANIFEST":
			return nil
		case ext == ".sst" || ext == ".vlog":
			held = f.Name()
		}
	}
	if held != "" {
		return fmt.Errorf("it holds %s but the file MANIFEST is missing", held)
	}
	return nil
}
