package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// An archive is the history of a store in one stream, for keeping and for passing on: all changes, exactly, and for each
// batch the last signature of every actor in it, which vouches for all before.
//
//	magic    "atoll archive\x00", then the version of the format, 1 byte
//	blocks   each one batch: the sizes of its five columns, as they are and packed (uvarints), then the columns
//	end      a block of five empty columns
//
// A column is a zstd frame with a checksum, or what it holds as it is where that is no longer. Text compresses best
// among text and positions among positions, so this takes less than any one frame around all.
const (
	archiveMagic   = "atoll archive\x00"
	archiveVersion = 3
	// forkedVersion is that of an archive in which some log has several branches: which is built on takes hashes to tell.
	forkedVersion = 4
	columns       = 5
)

// ErrArchive is wrapped by errors about a stream that is no archive, or a damaged one. One that was cut short gives io.ErrUnexpectedEOF.
var ErrArchive = errors.New("storage: not an archive")

// ArchiveEffort says how hard to look for a short archive.
type ArchiveEffort uint8

const (
	DefaultEffort ArchiveEffort = iota
	BestEffort                  // several times the time for a tenth of the size
)

// ArchiveWriter writes an archive. It is not safe for concurrent use.
type ArchiveWriter struct {
	w       io.Writer
	encoder *zstd.Encoder
	begun   bool
	forked  bool
	buf     []byte
	err     error // sticks
}

// NewArchiveWriter returns a writer of an archive to w, to which nothing is written before the first Write.
func NewArchiveWriter(w io.Writer, effort ArchiveEffort) (*ArchiveWriter, error) {
	level := zstd.SpeedDefault
	if effort == BestEffort {
		level = zstd.SpeedBestCompression
	}
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(true))
	if err != nil {
		return nil, fmt.Errorf("zstd encoder: %w", err)
	}
	return &ArchiveWriter{w: w, encoder: e}, nil
}

// Write adds b, which builds on nothing but batches before it. Large batches make small archives. An error
// of the underlying writer sticks.
func (a *ArchiveWriter) Write(b *crdt.Batch) error {
	c := b.Columns()
	return a.block([columns][]byte{c.Frame, c.Runs, c.Positions, c.Times, c.Text})
}

// version returns the version that the archive is of.
func (a *ArchiveWriter) version() byte {
	if a.forked {
		return forkedVersion
	}
	return archiveVersion
}

func (a *ArchiveWriter) block(raw [columns][]byte) error {
	if a.err != nil {
		return a.err
	}
	head := a.buf[:0]
	if !a.begun {
		head = append(append(head, archiveMagic...), a.version())
		a.begun = true
	}
	var packed [columns][]byte
	for i := range raw {
		if packed[i] = raw[i]; len(raw[i]) > 0 {
			if p := a.encoder.EncodeAll(raw[i], nil); len(p) < len(raw[i]) {
				packed[i] = p
			}
		}
		head = binary.AppendUvarint(head, uint64(len(raw[i])))
		head = binary.AppendUvarint(head, uint64(len(packed[i])))
	}
	a.buf = head
	_, a.err = a.w.Write(head)
	for i := range packed {
		if a.err == nil {
			_, a.err = a.w.Write(packed[i])
		}
	}
	return a.err
}

// Close ends the archive. It does not close the underlying writer.
func (a *ArchiveWriter) Close() error { return a.block([columns][]byte{}) }

// WriteArchive writes all that chains hold and src has, up to the last signature of each actor, to w.
func WriteArchive(w io.Writer, chains *crdt.Chains, src crdt.Source, effort ArchiveEffort) error {
	a, err := NewArchiveWriter(w, effort)
	if err != nil {
		return err
	}
	a.forked = chains.Graph().Forked()
	missing := []causal.Span{{Start: 0, End: chains.Graph().Len()}}
	for len(missing) > 0 && missing[0].Start < missing[0].End {
		b, rest, err := chains.Cut(src, missing, crdt.MaxBatchBytes, crdt.MaxBatchChanges)
		if err != nil {
			return fmt.Errorf("write an archive: %w", err)
		}
		if b == nil {
			break // the rest is not signed
		}
		sigs := b.Sigs[:0]
		for i, s := range b.Sigs {
			if i+1 == len(b.Sigs) || b.Sigs[i+1].Dot.Actor != s.Dot.Actor {
				sigs = append(sigs, s)
			}
		}
		b.Sigs = sigs
		if err := a.Write(b); err != nil {
			return fmt.Errorf("write an archive: %w", err)
		}
		missing = rest
	}
	if err := a.Close(); err != nil {
		return fmt.Errorf("write an archive: %w", err)
	}
	return nil
}

// ArchiveReader reads an archive, which may come from anywhere: it takes no more memory than the largest batch there can be, twice.
// It is not safe for concurrent use.
type ArchiveReader struct {
	r       byteReader
	decoder *zstd.Decoder
	packed  bytes.Buffer
	begun   bool
	ended   bool
	forked  bool // it takes hashes to read it
}

// byteReader is what reading takes; anything else is wrapped.
type byteReader interface {
	io.Reader
	io.ByteReader
}

// NewArchiveReader returns a reader of the archive that r gives. It reads from r byte by byte at times: unless r
// is an io.ByteReader it should be buffered.
func NewArchiveReader(r io.Reader) (*ArchiveReader, error) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(crdt.MaxColumnsBytes))
	if err != nil {
		return nil, fmt.Errorf("zstd decoder: %w", err)
	}
	in, ok := r.(byteReader)
	if !ok {
		in = oneByOne{r}
	}
	return &ArchiveReader{r: in, decoder: d}, nil
}

// oneByOne reads single bytes from a Reader that has no way to.
type oneByOne struct{ io.Reader }

func (r oneByOne) ReadByte() (byte, error) {
	var b [1]byte
	_, err := io.ReadFull(r.Reader, b[:])
	return b[0], err
}

// Next returns the next batch, and io.EOF after the last. The batch is well formed; its hashes and signatures are for
// Chains.Check to look at. Errors wrap ErrArchive or are those of the underlying reader.
func (a *ArchiveReader) Next() (*crdt.Batch, error) {
	if a.ended {
		return nil, io.EOF
	}
	if !a.begun {
		var head [len(archiveMagic) + 1]byte
		if _, err := io.ReadFull(a.r, head[:]); err != nil {
			return nil, cutShort(err)
		}
		if string(head[:len(archiveMagic)]) != archiveMagic {
			return nil, ErrArchive
		}
		v := head[len(archiveMagic)]
		a.forked = v == forkedVersion
		if v != archiveVersion && v != forkedVersion {
			return nil, fmt.Errorf("%w that this program reads: it is of version %d, not %d", ErrArchive, v, archiveVersion)
		}
		a.begun = true
	}
	var raw, packed [columns]uint64
	total := uint64(0)
	for i := range raw {
		for _, n := range []*uint64{&raw[i], &packed[i]} {
			var err error
			if *n, err = binary.ReadUvarint(a.r); err != nil {
				return nil, cutShort(err)
			}
		}
		if raw[i] > crdt.MaxColumnsBytes || packed[i] > raw[i] {
			return nil, fmt.Errorf("%w: a column of %d bytes in %d", ErrArchive, raw[i], packed[i])
		}
		total += raw[i]
	}
	if total == 0 {
		a.ended = true
		return nil, io.EOF
	}
	if total > crdt.MaxColumnsBytes {
		return nil, fmt.Errorf("%w: a block of %d bytes", ErrArchive, total)
	}
	var parts [columns][]byte
	for i := range parts {
		var err error
		if parts[i], err = a.column(int(raw[i]), int(packed[i])); err != nil {
			return nil, err
		}
	}
	b, err := (&crdt.Columns{Frame: parts[0], Runs: parts[1], Positions: parts[2], Times: parts[3], Text: parts[4]}).DecodeBatch()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	return b, nil
}

// column reads a column. What is read is kept by the batch, so it is new.
func (a *ArchiveReader) column(raw, packed int) ([]byte, error) {
	a.packed.Reset()
	// The buffer grows with what comes, whatever the stream says will.
	if _, err := io.CopyN(&a.packed, a.r, int64(packed)); err != nil {
		return nil, cutShort(err)
	}
	if packed == raw {
		return bytes.Clone(a.packed.Bytes()), nil
	}
	out, err := a.decoder.DecodeAll(a.packed.Bytes(), make([]byte, 0, min(raw, 32*packed+1024)))
	if err != nil {
		return nil, fmt.Errorf("%w: unpack a column: %w", ErrArchive, err)
	}
	if len(out) != raw {
		return nil, fmt.Errorf("%w: a column of %d bytes unpacks to %d", ErrArchive, raw, len(out))
	}
	return out, nil
}

func cutShort(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// OpenArchive returns the state that an archive of one's own leads to, for reading: no hash is computed and no signature looked at, which
// is most of what opening a history costs otherwise. Each column has a checksum, so damage is noticed; a lie is not.
// The state's chains have no hashes, so nothing can be written to it.
func OpenArchive(store crdt.StoreID, r io.Reader) (*crdt.State, error) {
	in, err := NewArchiveReader(r)
	if err != nil {
		return nil, err
	}
	chains := crdt.NewChains(store)
	state := crdt.NewState(chains)
	for {
		b, err := in.Next()
		if err == io.EOF {
			return state, nil
		}
		if err != nil {
			return nil, fmt.Errorf("open an archive: %w", err)
		}
		if in.forked {
			checked, err := chains.Check(b, nil)
			if err != nil {
				return nil, fmt.Errorf("open an archive: %w", err)
			}
			state.ApplyAll(chains.Add(checked))
			continue
		}
		added, err := chains.AddUnhashed(b)
		if err != nil {
			return nil, fmt.Errorf("open an archive: %w", err)
		}
		state.ApplyAll(added)
	}
}
