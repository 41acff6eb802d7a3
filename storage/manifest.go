package storage

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// badger 1.6 opens a folder with a damaged table without that table: it logs "This would lead to missing data" and
// goes on. It takes the end of a damaged MANIFEST for a torn write, and deletes the tables it then knows nothing of. So
// both are looked at before badger sees them.

// checkTables checks that badger's MANIFEST in logDir is whole and that every table it lists is there and
// sound. torn says that its end may be a torn write. The error says what is damaged; one of the system is a
// *fs.PathError.
func checkTables(logDir string, torn bool) error {
	data, err := os.ReadFile(filepath.Join(logDir, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return checkNoTables(logDir)
	}
	if err != nil {
		return err
	}
	tables, err := readManifest(data, torn)
	if err != nil {
		return fmt.Errorf("%s: %w", manifestName, err)
	}
	for id, want := range tables {
		name := fmt.Sprintf("%06d.sst", id)
		got, err := sumFile(filepath.Join(logDir, name))
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("table %s is missing", name)
		}
		if err != nil {
			return err
		}
		if len(want) > 0 && !bytes.Equal(got, want) {
			return fmt.Errorf("table %s: its checksum does not match", name)
		}
	}
	return nil
}

const manifestName = "MANIFEST"

// checkNoTables refuses a folder whose MANIFEST is gone: badger would make a new one and delete
// every table.
func checkNoTables(logDir string) error {
	files, err := os.ReadDir(logDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, f := range files {
		if ext := filepath.Ext(f.Name()); ext == ".sst" || ext == ".vlog" {
			return fmt.Errorf("%s is there but %s is missing", f.Name(), manifestName)
		}
	}
	return nil
}

func sumFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	_, err = io.Copy(h, f)
	return h.Sum(nil), errors.Join(err, f.Close())
}

// The layout of MANIFEST (badger's manifest.go and pb.proto): a magic of 8 bytes, then sets of
// changes, each with its length, its CRC-32C and a protobuf message.
const (
	manifestMagic = "Bdgr\x00\x00\x00\x04"
	manifestHead  = 8
)

var errManifest = errors.New("a set of changes is malformed")

// readManifest returns the checksums of the tables by number.
func readManifest(data []byte, torn bool) (map[uint64][]byte, error) {
	rest, ok := bytes.CutPrefix(data, []byte(manifestMagic))
	if !ok {
		return nil, errors.New("it does not start as one")
	}
	tables := make(map[uint64][]byte)
	for len(rest) > 0 {
		set, ok := manifestSet(rest)
		if !ok {
			if cut := len(rest) < manifestHead || uint64(binary.BigEndian.Uint32(rest)) > uint64(len(rest)-manifestHead); cut && torn && !holdsManifestSet(rest) {
				return tables, nil // badger cuts it off
			}
			return nil, fmt.Errorf("damaged at byte %d of %d", len(data)-len(rest), len(data))
		}
		rest = rest[manifestHead+len(set):]
		if err := applyManifestSet(tables, set); err != nil {
			return nil, err
		}
	}
	return tables, nil
}

// manifestSet returns the set of changes at the start of b.
func manifestSet(b []byte) ([]byte, bool) {
	if len(b) < manifestHead {
		return nil, false
	}
	n := uint64(binary.BigEndian.Uint32(b))
	if n > uint64(len(b)-manifestHead) {
		return nil, false
	}
	set := b[manifestHead : manifestHead+n]
	return set, crc32.Checksum(set, castagnoli) == binary.BigEndian.Uint32(b[4:])
}

// holdsManifestSet reports whether b holds, at any place but its start, a sound set of changes that is not empty.
func holdsManifestSet(b []byte) bool {
	for at := 1; at+manifestHead < len(b); at++ {
		if set, ok := manifestSet(b[at:]); ok && len(set) > 0 {
			return true
		}
	}
	return false
}

// applyManifestSet applies a ManifestChangeSet: field 1, repeated, is a change.
func applyManifestSet(tables map[uint64][]byte, set []byte) error {
	for len(set) > 0 {
		field, _, change, rest, ok := protoField(set)
		if !ok || field != 1 || change == nil {
			return errManifest
		}
		set = rest
		var id, op uint64
		var sum []byte
		for len(change) > 0 {
			field, number, data, rest, ok := protoField(change)
			if !ok {
				return errManifest
			}
			change = rest
			switch field {
			case 1:
				id = number
			case 2:
				op = number
			case 4:
				sum = data
			}
		}
		const create, remove = 0, 1
		_, known := tables[id]
		switch {
		case op == create && !known:
			tables[id] = sum
		case op == remove && known:
			delete(tables, id)
		default:
			return errManifest
		}
	}
	return nil
}

// protoField reads one field of a protobuf message: a varint, or bytes (not nil).
func protoField(b []byte) (field, number uint64, data, rest []byte, ok bool) {
	tag, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, 0, nil, nil, false
	}
	b = b[n:]
	number, n = binary.Uvarint(b)
	if n <= 0 {
		return 0, 0, nil, nil, false
	}
	b = b[n:]
	switch tag & 7 {
	case 0:
		return tag >> 3, number, nil, b, true
	case 2:
		if number > uint64(len(b)) {
			return 0, 0, nil, nil, false
		}
		return tag >> 3, 0, b[:number:number], b[number:], true
	}
	return 0, 0, nil, nil, false
}
