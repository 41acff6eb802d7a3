package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A process that is killed, or a machine that loses power, in the middle of a write leaves a
// part of it at the end of badger's newest value log, which here is its write-ahead
// log. Nobody was told that this write is done, but badger refuses to open it, or with its option Truncate
// drops whatever follows the first thing it does not understand, be that half of the log. So the two
// are told apart here. Only an end that is nothing but the beginning of a write is cut off, and a copy of it is
// kept; anything else is left to badger's refusal.

// tornDir holds what was cut off. A file ends in tornNew until what must
// follow from the cut is done, then in tornKept.
const (
	tornDir  = "torn"
	tornNew  = ".new"
	tornKept = ".bytes"
)

// cutTorn cuts a torn write off the newest value log in logDir and keeps it in dir/torn.
// It does nothing if there is none, or if what is there may be more than a torn write.
func cutTorn(dir, logDir string) error {
	path, err := newestValueLog(logDir)
	if err != nil || path == "" {
		return err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("look for a torn write: %w", err)
	}
	end, torn := scanValueLog(data)
	if !torn {
		// What is there may have been written and not yet synced when the process
		// ended. It is about to be relied on.
		return syncFile(path)
	}
	if err := os.MkdirAll(filepath.Join(dir, tornDir), 0o700); err != nil {
		return fmt.Errorf("keep a torn write: %w", err)
	}
	name := fmt.Sprintf("%s-%d%s", filepath.Base(path), end, tornNew)
	if err := writeFile(filepath.Join(dir, tornDir, name), data[end:], 0o600); err != nil {
		return fmt.Errorf("keep a torn write: %w", err)
	}
	if err := syncDir(dir); err != nil {
		return fmt.Errorf("keep a torn write: %w", err)
	}
	if err := os.Truncate(path, int64(end)); err != nil {
		return fmt.Errorf("cut a torn write: %w", err)
	}
	return syncFile(path)
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	return errors.Join(f.Sync(), f.Close())
}

// newCuts returns the cuts whose consequences are not yet drawn.
func newCuts(dir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(dir, tornDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list torn writes: %w", err)
	}
	var out []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), tornNew) {
			out = append(out, filepath.Join(dir, tornDir, e.Name()))
		}
	}
	return out, nil
}

// settleCut marks a cut as dealt with, and returns the name its bytes are kept under.
func settleCut(path string) (string, error) {
	kept := strings.TrimSuffix(path, tornNew) + tornKept
	if err := os.Rename(path, kept); err != nil {
		return "", fmt.Errorf("settle a torn write: %w", err)
	}
	return kept, syncDir(filepath.Dir(kept))
}

// newestValueLog returns the path of the value log with the highest number, "" if there is none.
func newestValueLog(logDir string) (string, error) {
	entries, err := os.ReadDir(logDir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("list value logs: %w", err)
	}
	best, newest := "", uint64(0)
	for _, e := range entries {
		number, ok := strings.CutSuffix(e.Name(), ".vlog")
		if n, err := strconv.ParseUint(number, 10, 32); ok && err == nil && (best == "" || n > newest) {
			best, newest = filepath.Join(logDir, e.Name()), n
		}
	}
	return best, nil
}

// The layout of an entry in badger 1.6's value log (its structs.go): key length, value
// length, expiry, meta and user meta in 18 bytes; key; value; CRC-32C of all that.
// Entries of one transaction carry vlogTxn and are closed by one with vlogTxnEnd.
const (
	vlogHeader = 18
	vlogTxn    = 1 << 6
	vlogTxnEnd = 1 << 7
	vlogEndKey = "!badger!txn"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// vlogEntry is the size of the entry at the start of b, and whether it is sound. cut:
// b ends before the entry does.
func vlogEntry(b []byte) (size int, meta byte, key, value []byte, cut, ok bool) {
	if len(b) < vlogHeader {
		return 0, 0, nil, nil, true, false
	}
	klen, vlen := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	if klen == 0 || klen > 1<<16 {
		return 0, 0, nil, nil, false, false
	}
	whole := vlogHeader + uint64(klen) + uint64(vlen) + 4
	if whole > uint64(len(b)) {
		return 0, 0, nil, nil, true, false
	}
	size = int(whole)
	if crc32.Checksum(b[:size-4], castagnoli) != binary.BigEndian.Uint32(b[size-4:]) {
		return size, 0, nil, nil, false, false
	}
	return size, b[16], b[vlogHeader : vlogHeader+klen], b[vlogHeader+klen : size-4], false, true
}

// scanValueLog returns where the last whole transaction in data ends, and whether what
// follows is a torn write: the beginning of a transaction that was never finished,
// then nothing. It is false too if nothing follows.
func scanValueLog(data []byte) (end int, torn bool) {
	inTxn := false
	at := 0
	for at < len(data) {
		size, meta, key, value, cut, ok := vlogEntry(data[at:])
		if !ok {
			if !cut && !slices.ContainsFunc(data[at:], func(c byte) bool { return c != 0 }) {
				cut = true // a file that grew before its bytes came
			}
			return end, cut && !holdsTxnEnd(data[at:])
		}
		at += size
		switch {
		case meta&vlogTxn != 0:
			inTxn = true
		case meta&vlogTxnEnd != 0:
			if _, err := strconv.ParseUint(string(value), 10, 64); err != nil || !bytes.HasPrefix(key, []byte(vlogEndKey)) {
				return end, false
			}
			inTxn, end = false, at
		default:
			if inTxn {
				return end, false
			}
			end = at
		}
	}
	return end, inTxn
}

// holdsTxnEnd reports whether b holds, at any place, the sound end of a transaction: then
// what comes before it was once finished.
func holdsTxnEnd(b []byte) bool {
	for at := 0; ; {
		i := bytes.Index(b[at:], []byte(vlogEndKey))
		if i < 0 {
			return false
		}
		at += i
		if at >= vlogHeader {
			if _, meta, _, _, _, ok := vlogEntry(b[at-vlogHeader:]); ok && meta&vlogTxnEnd != 0 {
				return true
			}
		}
		at++
	}
}
