package crdt

import (
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"hash"
)

// hasher computes hashes of changes one after another, each in less time than on its own. Most of what is hashed is a single
// block of SHA-256, and half of the time that sha256.Sum256 takes for one goes into copying and padding it. A hasher pads the
// block itself, in place, and takes the hash from the state that the library's digest is in behind it: that state is the hash. Where
// the library does not give its state in the form that is expected, which is tried before it is relied on, a hasher uses
// Sum256.
//
// The zero value is ready for use. It is not safe for concurrent use.
type hasher struct {
	digest hash.Hash
	state  encoding.BinaryAppender // digest; nil: its state is of no use
	// room holds the block behind stateMagic bytes, so that the hash, when the state is written to it, is where the next
	// block starts.
	room []byte
	n    int // of the bytes in room to hash
}

const (
	stateMagic = 4 // bytes before the hash in the state of a digest
	stateSize  = stateMagic + sha256.Size + sha256.BlockSize + 8
	padding    = 1 + 8 // the least bytes that a message is padded with
)

// hash is Change.Hash.
func (h *hasher) hash(c *Change, prev *Hash, prevTime int64, deps []Hash) Hash {
	buf := c.HashedBytes(h.begin(prev), prevTime)
	for i := range deps {
		buf = append(buf, deps[i][:]...)
	}
	h.sum(buf)
	return *h.last()
}

// begin returns the start of what is hashed, which is h's: the rest is to be appended, and all given to sum.
func (h *hasher) begin(prev *Hash) []byte {
	if h.room == nil {
		h.prepare()
	}
	*(*Hash)(h.room[stateMagic : stateMagic+sha256.Size]) = *prev
	return h.again()
}

// again is begin where prev is the last hash: it is in place. What follows it is zeros to the end of the block, which pad counts on.
func (h *hasher) again() []byte {
	*(*[sha256.BlockSize - sha256.Size]byte)(h.room[stateMagic+sha256.Size : stateMagic+sha256.BlockSize]) = [sha256.BlockSize - sha256.Size]byte{}
	return h.room[:stateMagic+sha256.Size]
}

// last returns the last hash, which is h's.
func (h *hasher) last() *Hash { return (*Hash)(h.room[stateMagic : stateMagic+sha256.Size]) }

// sum computes the hash of what begin returned and was appended to that. See last.
func (h *hasher) sum(buf []byte) {
	h.pad(buf)
	h.finish()
}

// pad is the first half of sum, and finish the other. What is done between them is done while the processor would wait: bytes that were
// written one by one cannot be read again as a block at once.
func (h *hasher) pad(buf []byte) {
	if cap(buf) > cap(h.room) {
		h.room = buf[:0]
	}
	n := len(buf) - stateMagic
	h.n = n
	if n <= sha256.BlockSize-padding && h.state != nil {
		block := (*[sha256.BlockSize]byte)(buf[stateMagic : stateMagic+sha256.BlockSize])
		block[n] = 0x80
		binary.BigEndian.PutUint16(block[len(block)-2:], uint16(8*n))
	}
}

// finish is the second half of sum.
func (h *hasher) finish() {
	if h.n <= sha256.BlockSize-padding && h.state != nil {
		h.digest.Reset()
		h.digest.Write(h.room[stateMagic : stateMagic+sha256.BlockSize])
		h.state.AppendBinary(h.room) // there is room for it
		return
	}
	sum := sha256.Sum256(h.room[stateMagic : stateMagic+h.n])
	copy(h.room[stateMagic:stateMagic+sha256.Size], sum[:])
}

// prepare makes the room and tries whether the state of a digest can be used.
func (h *hasher) prepare() {
	h.room = make([]byte, 0, stateSize+MaxSliceName+inlineOps)
	h.digest = sha256.New()
	h.state, _ = h.digest.(encoding.BinaryAppender)
	if h.state == nil {
		return
	}
	var prev Hash
	copy(prev[:], signingTag)
	h.sum(append(h.begin(&prev), signingTag...))
	if state, err := h.state.AppendBinary(nil); err != nil || len(state) != stateSize || *h.last() != sha256.Sum256(append(prev[:], signingTag...)) {
		h.state = nil
	}
}
