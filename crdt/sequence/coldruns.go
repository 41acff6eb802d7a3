package sequence

import (
	"encoding/binary"

	"github.com/atollsync/atoll/crdt/causal"
)

// coldCap is the number of runs of a coldRuns: few enough to unpack one for a single question, many
// enough that what comes beside the bytes does not count.
const coldCap = 1024

// coldRuns are consecutive runs of a log in as few bytes as they take: about 3 a run, instead of 32.
//
// Each begins with its kind, its length and whether the rest is as a run typed right after the one before has it: no op
// between the two, serial, and as long a sequence as the one before left. If not, that follows. Then comes
// how far its position is from where the one before stopped.
type coldRuns struct {
	first, end causal.LV
	n          int
	// low is the least opRun.low of runs that are not serial, end if all are.
	low   causal.LV
	bytes []byte
}

// Bits of the first number of a run, below its length.
const (
	coldKind  = 3
	coldPlain = 4
	coldShift = 3
)

// packRuns packs runs, of which there must be some.
func packRuns(runs []opRun) coldRuns {
	last := &runs[len(runs)-1]
	c := coldRuns{first: runs[0].lv, end: last.end(), n: len(runs), low: last.end()}
	buf := make([]byte, 0, 4*len(runs))
	prev := opRun{lv: c.first}
	for i := range runs {
		r := &runs[i]
		lv, size, pos := prev.next()
		head := uint64(r.n)<<coldShift | uint64(r.kind)
		plain := r.lv == lv && r.serial() && r.size == size
		if plain {
			head |= coldPlain
		}
		buf = binary.AppendUvarint(buf, head)
		if !plain {
			if !r.serial() {
				c.low = min(c.low, r.low)
			}
			low := uint64(r.lv-r.low) << 1
			if r.same {
				low |= 1
			}
			buf = binary.AppendUvarint(buf, uint64(r.lv-lv))
			buf = binary.AppendUvarint(buf, low)
			buf = binary.AppendVarint(buf, int64(r.size-size))
		}
		buf = binary.AppendVarint(buf, int64(r.pos-pos))
		prev = *r
	}
	c.bytes = append([]byte(nil), buf...)
	return c
}

// next returns what the run after r is expected to have: no op in between, all ops of r effective, and the next
// position to type at.
func (r *opRun) next() (lv causal.LV, size, pos int32) {
	pos = r.pos
	switch r.kind {
	case insertOp:
		pos += r.n
	case backDeleteOp:
		pos -= r.n - 1
	}
	return r.end(), r.size + r.growth(r.n), pos
}

// unpack appends the runs to out.
func (c *coldRuns) unpack(out []opRun) []opRun {
	b := c.bytes
	uvarint := func() uint64 {
		x, n := binary.Uvarint(b)
		b = b[n:]
		return x
	}
	varint := func() int32 {
		x, n := binary.Varint(b)
		b = b[n:]
		return int32(x)
	}
	prev := opRun{lv: c.first}
	for range c.n {
		var r opRun
		lv, size, pos := prev.next()
		head := uvarint()
		r.n, r.kind = int32(head>>coldShift), opKind(head&coldKind)
		r.lv, r.low, r.size = lv, lv, size
		if head&coldPlain == 0 {
			r.lv += causal.LV(uvarint())
			low := uvarint()
			r.low, r.same = r.lv-causal.LV(low>>1), low&1 == 1
			r.size += varint()
		}
		r.pos = pos + varint()
		out = append(out, r)
		prev = r
	}
	return out
}
