package storage_test

import (
	"testing"

	"github.com/atollsync/atoll/storage"
	"github.com/atollsync/atoll/storage/storagetest"
)

func TestBadger(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storagetest.Opener {
		dir := t.TempDir()
		return func() (*storage.DB, error) { return storage.Open(dir) }
	})
}

func TestMemory(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storagetest.Opener {
		ds := storage.MemoryDatastore()
		return func() (*storage.DB, error) { return storage.New(ds, storage.Config{Key: storagetest.Key(0)}) }
	})
}

// TestDisk runs the suite on the datastore that the crash tests use, without faults.
func TestDisk(t *testing.T) {
	if stride > 1 {
		t.Skip("left out under the race detector: TestMemory is much the same")
	}
	storagetest.Run(t, func(t *testing.T) storagetest.Opener {
		disk := storagetest.NewDisk(1)
		return func() (*storage.DB, error) {
			disk = disk.Restart(storagetest.LoseAll, 1)
			return storage.New(disk, storage.Config{Key: storagetest.Key(0)})
		}
	})
}
