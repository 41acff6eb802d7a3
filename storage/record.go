package storage

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/atollsync/atoll/crdt"
)

// formatVersion is the version of the format of everything on disk: keys and records.
const formatVersion = 1

// A record is what stands under one key:
//
//	version   1 byte
//	flags     1 byte; flagZstd: the payload is one zstd frame
//	checksum  8 bytes: the start of SHA-256(recordTag, version, flags, key length, key, payload as stored)
//	payload
//
// The key is part of the checksum, so a record that got under another key (of another
// block, or another store) is noticed like a damaged one.
const (
	recordTag  = "atoll record\x00"
	sumSize    = 8
	headerSize = 2 + sumSize
	flagZstd   = 1

	// compressAbove is the payload size from which compressing is tried.
	compressAbove = 256
	// maxPayload bounds a payload, so what a damaged or hostile frame can unpack to: the largest
	// batch, and room for the smaller ones that share its record.
	maxPayload = crdt.MaxBatchBytes + 2<<20
)

// ErrNewerFormat is wrapped by errors about data that a newer version of the program
// wrote. Nothing was changed: use that version, or another directory.
var ErrNewerFormat = errors.New("storage: written by a newer version of atoll")

// CorruptError says that something stored is damaged or missing. Nothing was
// thrown away. The log must not be appended to: this device might then write
// dots that it has already given out.
type CorruptError struct {
	Dir    string // the data directory; "" for a datastore that has none
	Record string // what is damaged: a key, a range of blocks or a file
	Reason string
}

func (e *CorruptError) Error() string {
	where := "the datastore"
	if e.Dir != "" {
		where = e.Dir
	}
	return fmt.Sprintf("storage: damaged data in %s: %s: %s. Nothing was thrown away. Keep a copy of it as it is, then restore a backup, "+
		"or start with an empty directory and join the stores again: peers send back all they hold",
		where, e.Record, e.Reason)
}

// damage makes the CorruptError about a record of db.
func (db *DB) damage(record, format string, args ...any) *CorruptError {
	return &CorruptError{Dir: db.dir, Record: record, Reason: fmt.Sprintf(format, args...)}
}

// recordCodec seals payloads into records and opens them. It is safe for concurrent use.
type recordCodec struct {
	fast, small *zstd.Encoder // for what is written while someone waits, and when idle
	decoder     *zstd.Decoder
}

func newRecordCodec() (*recordCodec, error) {
	c := new(recordCodec)
	var err error
	options := []zstd.EOption{zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(1 << 20)}
	if c.fast, err = zstd.NewWriter(nil, append(options, zstd.WithEncoderLevel(zstd.SpeedFastest))...); err != nil {
		return nil, fmt.Errorf("zstd encoder: %w", err)
	}
	if c.small, err = zstd.NewWriter(nil, append(options, zstd.WithEncoderLevel(zstd.SpeedBetterCompression))...); err != nil {
		return nil, fmt.Errorf("zstd encoder: %w", err)
	}
	if c.decoder, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxPayload)); err != nil {
		return nil, fmt.Errorf("zstd decoder: %w", err)
	}
	return c, nil
}

// seal returns the record of payload under key. The payload is not kept.
func (c *recordCodec) seal(key string, payload []byte, encoder *zstd.Encoder) []byte {
	record := make([]byte, headerSize, headerSize+len(payload))
	record[0] = formatVersion
	if len(payload) >= compressAbove {
		record = encoder.EncodeAll(payload, record)
		record[1] = flagZstd
	}
	if record[1] == 0 || len(record)-headerSize > len(payload)-len(payload)/16 {
		record = append(record[:headerSize], payload...)
		record[1] = 0
	}
	sum := recordSum(key, record)
	copy(record[2:headerSize], sum[:])
	return record
}

// open returns the payload of a record found under key, which may share record's
// memory. Its error says what is wrong, not where; ErrNewerFormat is the one kind that is no damage.
func (c *recordCodec) open(key string, record []byte) ([]byte, error) {
	if len(record) < headerSize {
		return nil, fmt.Errorf("cut short to %d bytes", len(record))
	}
	if record[0] != formatVersion {
		// A newer version may lay out the rest as it likes. But if all else fits, the
		// byte is damaged.
		asOurs := append([]byte{formatVersion}, record[1:]...)
		if sum := recordSum(key, asOurs); string(sum[:]) != string(record[2:headerSize]) && record[0] > formatVersion {
			return nil, fmt.Errorf("%s: format %d, this version knows %d: %w", key, record[0], formatVersion, ErrNewerFormat)
		}
		return nil, fmt.Errorf("format version %d", record[0])
	}
	if sum := recordSum(key, record); string(sum[:]) != string(record[2:headerSize]) {
		return nil, errors.New("its checksum does not match: changed since it was written, or written for another key")
	}
	payload := record[headerSize:]
	switch record[1] {
	case 0:
		return payload, nil
	case flagZstd:
		out, err := c.decoder.DecodeAll(payload, nil)
		if err != nil {
			return nil, fmt.Errorf("unpack: %w", err)
		}
		if len(out) > maxPayload {
			return nil, fmt.Errorf("unpacks to %d bytes, at most %d are allowed", len(out), maxPayload)
		}
		return out, nil
	}
	return nil, fmt.Errorf("flags %#x", record[1])
}

func recordSum(key string, record []byte) (sum [sumSize]byte) {
	h := sha256.New()
	h.Write([]byte(recordTag))
	h.Write(record[:2])
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], uint32(len(key)))
	h.Write(n[:])
	h.Write([]byte(key))
	h.Write(record[headerSize:])
	copy(sum[:], h.Sum(nil))
	return sum
}
