package crdt

import (
	"math"

	"github.com/atollsync/atoll/crdt/causal"
)

// hash computes what Chains remember of t's changes, which follow a change with the given hash and Time (GenesisHash and 0
// before the actor's first). The chunks are not part of a Chains yet: each starts at the number of t's ops before
// it, and effective times are missing.
//
// What is hashed is what Change.HashedBytes says: for most changes, with the previous hash, a single block of SHA-256,
// put together here without a Change. That is most of what is left of the cost of a keystroke that arrives.
func (t *keystrokes) hash(h *hasher, prev Hash, before int64) []*infoChunk {
	var out []*infoChunk
	var chunk *infoChunk
	c := t.cursor()
	at := causal.LV(0)
	buf, frame := h.begin(&prev), newFrame(t.slice, t.path)
	for i := 0; c.next(); i++ {
		if i > 0 {
			buf = h.again()
		}
		buf, _ = frame.appendHashed(buf, &c.typedOp, c.time-before)
		h.sum(buf)
		before = c.time
		if chunk == nil || len(chunk.hashes) == cap(chunk.hashes) || !chunk.fits(at, c.time) {
			left := t.n - i
			n := left / ((left + maxChunk - 1) / maxChunk) // chunks of about one size: none so small that Chains would not adopt it
			chunk = &infoChunk{start: at, base: c.time - math.MaxInt32, hashes: make([]Hash, 0, n), times: make([]uint32, 0, n)}
			out = append(out, chunk)
		}
		if chunk.starts == nil && at-chunk.start == causal.LV(len(chunk.hashes)) {
			chunk.hashes, chunk.times = append(chunk.hashes, *h.last()), append(chunk.times, uint32(c.time-chunk.base))
		} else {
			chunk.add(h.last(), at, c.time)
		}
		at += causal.LV(c.size)
		chunk.end = at
	}
	return out
}

// typingFrame is what all changes typed into one text have in common.
type typingFrame struct {
	slice string
	path  []byte // of every op, encoded
	// one is what those that are about one code point have in common in the form that is hashed: that of an insert, from behind its
	// time up to its position.
	one []byte
	// short is the same, where it fits, to be copied as a whole.
	short [32]byte
}

// newFrame returns the frame of what is typed into the text of slice that path, which it refers to, leads to.
func newFrame(slice string, path []byte) typingFrame {
	buf := make([]byte, 0, 12+len(slice)+len(path))
	buf = appendStr(append(buf, mpFixArr|3), slice)
	buf = append(buf, 1, mpBin8, 0, byte(insertHead>>8), byte(insertHead&0xff), 1)
	f := typingFrame{slice: slice, path: path, one: append(buf, path...)}
	copy(f.short[:], f.one)
	return f
}

// appendHashed appends a change in the form that is hashed: op, made delta later than the actor's previous change. As it has no refs and
// its ops are few bytes, it travels in the same form. It returns the size of the encoded op too.
func (f *typingFrame) appendHashed(buf []byte, op *typedOp, delta int64) ([]byte, int) {
	if uint64(delta) <= 127 {
		buf = append(buf, mpFixArr, byte(delta)) // no refs
	} else {
		buf = appendInt(append(buf, mpFixArr), delta)
	}
	var at int // where the op starts
	if op.size == 1 {
		if n := len(buf); len(f.one) <= len(f.short) && cap(buf)-n >= len(f.short) {
			*(*[len(f.short)]byte)(buf[n : n+len(f.short)]) = f.short
			buf = buf[:n+len(f.one)]
		} else {
			buf = append(buf, f.one...)
		}
		at = len(buf) - len(f.path) - 3
		if op.kind != typeInsert {
			buf[at], buf[at+1] = byte(deleteHead>>8), byte(deleteHead&0xff)
		}
		buf = op.appendEnd(buf)
	} else {
		buf = appendStr(append(buf, mpFixArr|3), f.slice)
		buf = appendUint(buf, uint64(op.size))
		buf = append(buf, mpBin8, 0)
		at = len(buf)
		buf = op.appendTo(buf, f.path)
	}
	n := len(buf) - at
	buf[at-1] = byte(n)
	return buf, n
}
