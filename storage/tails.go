package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/atollsync/atoll/crdt"
)

// tailsFile says of each log in a directory how many blocks it has had, so that a log that has lost
// its end is noticed: nothing else in it would be missing. It lies outside the datastore, so
// that they are not lost together.
//
// A slot is written after the blocks are durable and is not synced. So it never says too much; it is
// exact after the process was killed, and after a power cut it may lag by what the
// system had not yet written.
const (
	tailsFile = "tails"
	tailsTag  = "atoll tail\x00"
	slotSize  = 64 // store ID 32, blocks 8, sum 8, zeros; divides a disk's sectors, so slots do not tear
)

// tails is the open file. It is safe for concurrent use.
type tails struct {
	mu    sync.Mutex
	file  *os.File
	slots map[crdt.StoreID]int64 // offset of the store's slot
	next  map[crdt.StoreID]uint64
	free  []int64
	end   int64
}

// openTails reads the file in dir, which may be absent. A damaged one is a CorruptError.
func openTails(dir string) (*tails, error) {
	path := filepath.Join(dir, tailsFile)
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	t := &tails{slots: make(map[crdt.StoreID]int64), next: make(map[crdt.StoreID]uint64)}
	// A crash may leave half a slot at the end: one that was being added.
	for ; t.end+slotSize <= int64(len(data)); t.end += slotSize {
		var id crdt.StoreID
		slot := data[t.end : t.end+slotSize]
		copy(id[:], slot)
		next := binary.BigEndian.Uint64(slot[32:])
		switch {
		case allZero(slot):
			t.free = append(t.free, t.end)
		case string(slot) != string(appendSlot(nil, id, next)):
			return nil, &CorruptError{Dir: dir, Record: fmt.Sprintf("file %s, slot %d", tailsFile, t.end/slotSize),
				Reason: "its checksum does not match (if all else is sound, as atoll verify tells, the file can be removed: it only guards against lost ends)"}
		default:
			t.slots[id], t.next[id] = t.end, next
		}
	}
	if t.file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return t, nil
}

func appendSlot(buf []byte, id crdt.StoreID, next uint64) []byte {
	start := len(buf)
	buf = binary.BigEndian.AppendUint64(append(buf, id[:]...), next)
	sum := recordSum(tailsTag, append(make([]byte, headerSize), buf[start:]...))
	return append(append(buf, sum[:]...), make([]byte, slotSize-32-8-sumSize)...)
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// get returns how many blocks id's log is known to have had.
func (t *tails) get(id crdt.StoreID) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.next[id]
}

// set records that id's log has next blocks.
func (t *tails) set(id crdt.StoreID, next uint64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := t.slots[id]
	if !ok {
		at = t.end
		if n := len(t.free); n > 0 {
			at, t.free = t.free[n-1], t.free[:n-1]
		} else {
			t.end += slotSize
		}
		t.slots[id] = at
	}
	if _, err := t.file.WriteAt(appendSlot(nil, id, next), at); err != nil {
		return fmt.Errorf("write %s: %w", t.file.Name(), err)
	}
	t.next[id] = next
	return nil
}

// clear removes id, durably: a store that comes back starts at block 0 again.
func (t *tails) clear(id crdt.StoreID) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := t.slots[id]
	if !ok {
		return nil
	}
	if _, err := t.file.WriteAt(make([]byte, slotSize), at); err != nil {
		return fmt.Errorf("write %s: %w", t.file.Name(), err)
	}
	delete(t.slots, id)
	delete(t.next, id)
	t.free = append(t.free, at)
	return t.sync()
}

func (t *tails) sync() error {
	if err := t.file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", t.file.Name(), err)
	}
	return nil
}

// close makes the file durable and closes it.
func (t *tails) close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return errors.Join(t.sync(), t.file.Close())
}
