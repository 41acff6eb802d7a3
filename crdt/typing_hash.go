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
func (t *keystrokes) hash(h *Hasher, prev Hash, before int64) []*infoChunk {
	var out []*infoChunk
	var chunk *infoChunk
	c := t.cursor()
	at := causal.LV(0)
	buf, frame := h.begin(&prev), t.frame()
	for i := 0; c.next(); i++ {
		if i > 0 {
			buf = h.again()
		}
		buf, _ = t.appendHashed(buf, frame, &c.typedOp, c.time-before)
		h.sum(buf)
		before = c.time
		if chunk == nil || len(chunk.hashes) == maxChunk || !chunk.fits(at, c.time) {
			n := min(maxChunk, t.n-i)
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

// typingFrame is what all changes of a typing that are about one code point have in common of the form that is hashed: that of
// an insert, from behind its time up to its position.
type typingFrame []byte

// frame returns the frame of t's changes.
func (t *keystrokes) frame() typingFrame {
	buf := make([]byte, 0, 12+len(t.slice)+len(t.path))
	buf = appendStr(append(buf, mpFixArr|3), t.slice)
	buf = append(buf, 1, mpBin8, 0, byte(insertHead>>8), byte(insertHead&0xff), 1)
	return append(buf, t.path...)
}

// appendHashed appends a change of t, the frame of which is given, in the form that is hashed: op, made delta later than the actor's previous
// change. It returns the size of the encoded op too.
func (t *keystrokes) appendHashed(buf []byte, frame typingFrame, op *typedOp, delta int64) ([]byte, int) {
	buf = append(buf, mpFixArr) // no refs
	buf = appendInt(buf, delta)
	var at int // where the op starts
	if op.size == 1 {
		buf = append(buf, frame...)
		at = len(buf) - len(t.path) - 3
		if op.kind != typeInsert {
			buf[at], buf[at+1] = byte(deleteHead>>8), byte(deleteHead&0xff)
		}
		buf = op.appendEnd(buf)
	} else {
		buf = appendStr(append(buf, mpFixArr|3), t.slice)
		buf = appendUint(buf, uint64(op.size))
		buf = append(buf, mpBin8, 0)
		at = len(buf)
		buf = t.appendOp(buf, op)
	}
	n := len(buf) - at
	buf[at-1] = byte(n)
	return buf, n
}
