package storage

import (
	"crypto/ed25519"
	"crypto/rand"

	"github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"
)

// Memory returns a DB in memory with a device key of its own: for tests, and for
// nodes that are to leave nothing behind. Close loses everything.
func Memory() *DB {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err) // crypto/rand.Reader does not fail
	}
	db, err := New(MemoryDatastore(), Config{Key: key})
	if err != nil {
		panic(err) // an empty map has nothing to be wrong
	}
	return db
}

// MemoryDatastore returns an empty datastore in memory, safe for concurrent use. Passed to
// New again after Close it stands for a device that restarts.
func MemoryDatastore() datastore.Batching {
	return dssync.MutexWrap(datastore.NewMapDatastore())
}
