package peer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/atollsync/atoll/crdt"
)

// On a stream, a frame is its length as an unsigned varint, then a msgpack array
// whose first element says what it is. The numbers are part of the protocol.
const (
	frameHello   = 1 // version, nonce, agent: the first frame of each side
	frameOffer   = 2 // first number, digest, tags: stores the sender holds, among padding
	frameAccept  = 3 // equal, then [number, tag]...: those the receiver of an offer holds too
	frameConfirm = 4 // numbers: the accepted tags have verified
	frameStore   = 5 // number, flags, payload: about one store
	framePing    = 6 // a number to send back
	framePong    = 7 // that number
	frameDrop    = 8 // number: the sender no longer holds this store
	frameBye     = 9 // reason: what the sender holds against the receiver, for its log
)

// Flags of a frameStore.
const (
	flagZstd   = 1 << 0
	flagSealed = 1 << 1
)

// What the payload of a frameStore is: its first byte.
const (
	payloadMessage = 0 // a replica.Message
	payloadPeers   = 1 // addresses of members
)

const (
	protocolVersion = 1
	nonceSize       = 16

	// maxPlain is the size of the largest payload, uncompressed: a batch and its envelope.
	maxPlain = crdt.MaxBatchBytes + 64<<10
	// maxFrame is the size of the largest frame of a proven member.
	maxFrame = maxPlain + sealOverhead + 64
	// maxStrangerFrame is the size of the largest frame of anybody else: the answer to an offer of maxOffer stores fits.
	maxStrangerFrame = maxOffer*(tagSize+16) + 1<<10
	// maxOffer is the number of tags in one offer; more stores take more offers.
	maxOffer = 1 << 14
	// maxOffered is the number of tags one peer may offer in a session.
	maxOffered = 1 << 17
	// zstdAbove is the size of a payload from which compressing it is worth the time.
	zstdAbove = 256
	// maxReason bounds what a peer can write into our log.
	maxReason = 256
)

var errFrame = errors.New("peer: malformed frame")

// readFrame reads one frame of at most limit bytes. It allocates as the bytes arrive,
// not as their announced length says.
func readFrame(r byteScanner, limit int) ([]byte, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, err
	}
	if n == 0 || n > uint64(limit) {
		return nil, fmt.Errorf("%w: %d bytes announced, at most %d allowed", errFrame, n, limit)
	}
	const step = 64 << 10
	buf := make([]byte, 0, min(n, step))
	for uint64(len(buf)) < n {
		more := min(n-uint64(len(buf)), max(step, uint64(len(buf))))
		start := len(buf)
		buf = append(buf, make([]byte, more)...)
		if _, err := io.ReadFull(r, buf[start:]); err != nil {
			return nil, err
		}
	}
	return buf, nil
}

type byteScanner interface {
	io.Reader
	io.ByteReader
}

// frameWriter builds one frame.
type frameWriter struct {
	buf bytes.Buffer
	enc *msgpack.Encoder
}

// newArray starts an array of n elements.
func newArray(n int) *frameWriter {
	w := new(frameWriter)
	w.enc = msgpack.NewEncoder(&w.buf)
	w.array(n)
	return w
}

// newFrame starts a frame with fields elements after its type.
func newFrame(frameType, fields int) *frameWriter {
	w := newArray(fields + 1)
	w.uint(uint64(frameType))
	return w
}

// Writing to a bytes.Buffer cannot fail, so neither can these.
func (w *frameWriter) array(n int)   { _ = w.enc.EncodeArrayLen(n) }
func (w *frameWriter) uint(n uint64) { _ = w.enc.EncodeUint(n) }
func (w *frameWriter) bool(b bool)   { _ = w.enc.EncodeBool(b) }
func (w *frameWriter) bytes(b []byte) {
	if b == nil {
		b = []byte{} // EncodeBytes writes nil for nil
	}
	_ = w.enc.EncodeBytes(b)
}
func (w *frameWriter) string(s string) { _ = w.enc.EncodeString(s) }
func (w *frameWriter) done() []byte    { return w.buf.Bytes() }

// frameReader takes one frame apart. After the first part that is not what was asked for, err
// is set and everything comes out zero. It uses nothing of msgpack that recurses.
type frameReader struct {
	raw  []byte
	r    *bytes.Reader
	dec  *msgpack.Decoder
	left int // elements
	err  error
}

// openArray returns a reader of the elements of an array.
func openArray(raw []byte) *frameReader {
	f := &frameReader{raw: raw, r: bytes.NewReader(raw)}
	f.dec = msgpack.NewDecoder(f.r)
	n, err := f.dec.DecodeArrayLen()
	if err != nil || n < 0 || n > len(raw) {
		f.fail()
		return f
	}
	f.left = n
	return f
}

// openFrame returns the type of a frame and a reader of what follows.
func openFrame(raw []byte) (uint64, *frameReader) {
	f := openArray(raw)
	return f.uint(), f
}

func (f *frameReader) fail() {
	if f.err == nil {
		f.err = errFrame
	}
}

// next reports whether there is another element to read.
func (f *frameReader) next() bool {
	if f.err != nil || f.left == 0 {
		f.fail()
		return false
	}
	f.left--
	return true
}

func (f *frameReader) uint() uint64 {
	if !f.next() {
		return 0
	}
	n, err := f.dec.DecodeUint64()
	if err != nil {
		f.fail()
		return 0
	}
	return n
}

func (f *frameReader) bool() bool {
	if !f.next() {
		return false
	}
	b, err := f.dec.DecodeBool()
	if err != nil {
		f.fail()
	}
	return b && err == nil
}

// bytes returns the next element, at most limit bytes, as part of the frame's own memory.
func (f *frameReader) bytes(limit int) []byte {
	if !f.next() {
		return nil
	}
	n, err := f.dec.DecodeBytesLen()
	if err != nil || n < 0 || n > limit || n > f.r.Len() {
		f.fail()
		return nil
	}
	start := len(f.raw) - f.r.Len()
	if _, err := f.r.Seek(int64(n), io.SeekCurrent); err != nil {
		f.fail()
		return nil
	}
	return f.raw[start : start+n : start+n]
}

// string returns the next element, a string of at most limit bytes. Encoders may have written it as bytes.
func (f *frameReader) string(limit int) string { return string(f.bytes(limit)) }

// fixed returns the next element, which must have n bytes.
func (f *frameReader) fixed(n int) []byte {
	b := f.bytes(n)
	if len(b) != n {
		f.fail()
		return make([]byte, n)
	}
	return b
}

// end reports what was wrong with the frame. Elements that a later version may have added are ignored.
func (f *frameReader) end() error { return f.err }

// compressor packs payloads. It may be used from many goroutines.
type compressor struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

// newCompressor returns a compressor that unpacks nothing beyond limit bytes.
func newCompressor(limit int) (*compressor, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, err
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(limit)), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, err
	}
	return &compressor{enc: enc, dec: dec}, nil
}

// pack compresses plain if that makes it smaller, and reports whether it did.
func (c *compressor) pack(plain []byte) ([]byte, bool) {
	if len(plain) <= zstdAbove {
		return plain, false
	}
	packed := c.enc.EncodeAll(plain, make([]byte, 0, len(plain)/2+64))
	if len(packed) >= len(plain) {
		return plain, false
	}
	return packed, true
}

// unpack undoes pack. It refuses what would take more than the limit.
func (c *compressor) unpack(packed []byte) ([]byte, error) {
	plain, err := c.dec.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errFrame, err)
	}
	return plain, nil
}

// close frees what the decoder holds.
func (c *compressor) close() {
	c.dec.Close()
	_ = c.enc.Close() // it has no writer to flush to
}
