package crdt

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/atollsync/atoll/crdt/causal"
)

// The encoding of a change is three msgpack values, one after the other:
//
//	refs    [ref0, seq0, ref1, seq1, ...]   sorted by actor; seq 0: only named by ops;
//	                                        [seq, hash] or [0, seq, hash] if the branch is named
//	time    Time minus that of the actor's previous change
//	groups  [slice, len, ops, ...]          ascending by slice
//
// A ref is the actor's 40 bytes in the form that is hashed, and an index into the
// batch's table of actors in the form that travels. In the hashed form, ops of more
// than inlineOps bytes are stood for by an array that holds their SHA-256.

// inlineOps is the size up to which a group's ops are hashed as they are.
const inlineOps = 64

// ErrInvalid is wrapped by errors about a change or batch that is well formed but breaks
// a rule every replica enforces: an honest peer never sends it.
var ErrInvalid = errors.New("crdt: invalid change")

// Validate checks what can be told of c alone: order, lengths and limits of its
// frame. It looks at no op. Errors wrap ErrInvalid.
func (c *Change) Validate() error {
	if c.Seq < 1 || c.Seq > MaxSeq {
		return fmt.Errorf("%w: %s:%d: seq out of range", ErrInvalid, c.Actor, c.Seq)
	}
	if reason := c.flaw(); reason != "" {
		return fmt.Errorf("%w: %s:%d: %s", ErrInvalid, c.Actor, c.Seq, reason)
	}
	return nil
}

// flaw says what is wrong with c's frame, "" if nothing is.
func (c *Change) flaw() string {
	if c.Time < 0 || c.Time > MaxTime {
		return "time out of range"
	}
	if len(c.Refs) > MaxRefs {
		return "too many refs"
	}
	for i := range c.Refs {
		r := &c.Refs[i]
		if r.Actor == c.Actor {
			return "refers to its own actor"
		}
		if r.Seq > MaxSeq {
			return "ref out of range"
		}
		if c.Branches == nil && i > 0 && c.Refs[i-1].Actor.Compare(r.Actor) >= 0 {
			return "refs not sorted"
		}
	}
	if c.Branches != nil {
		if reason := c.flawInRefs(); reason != "" {
			return reason
		}
	}
	if len(c.Groups) == 0 {
		return "no ops"
	}
	if len(c.Groups) > MaxGroups {
		return "too many slices"
	}
	total := 0
	for i := range c.Groups {
		g := &c.Groups[i]
		if i > 0 && c.Groups[i-1].Slice >= g.Slice {
			return "slices not ascending"
		}
		if len(g.Slice) > MaxSliceName || !utf8.ValidString(g.Slice) {
			return "bad slice name"
		}
		if g.Len < 1 || g.Len > MaxChangeLen {
			return "length out of range"
		}
		total += g.Len
	}
	if total > MaxChangeLen || c.Seq+causal.Seq(total)-1 > MaxSeq {
		return "length out of range"
	}
	if c.Size() > MaxChangeBytes {
		return "too large"
	}
	return ""
}

// Size returns the encoded size of c in bytes, with each actor at full length and
// its Time as of an actor's first change: what MaxChangeBytes limits. It does not depend
// on the batch c travels in.
func (c *Change) Size() int {
	n := arrayHeadSize(2*len(c.Refs)) + uintSize(uint64(c.Time)) + arrayHeadSize(3*len(c.Groups)) + c.branchesSize()
	for i := range c.Refs {
		n += 2 + causal.ActorSize + uintSize(uint64(c.Refs[i].Seq))
	}
	for i := range c.Groups {
		g := &c.Groups[i]
		n += strSize(len(g.Slice)) + uintSize(uint64(g.Len)) + binSize(len(g.Ops))
	}
	return n
}

// HashedBytes appends c in the form that is hashed to buf. prevTime is the Time
// of the actor's previous change, 0 before its first.
func (c *Change) HashedBytes(buf []byte, prevTime int64) []byte {
	buf = appendArrayHead(buf, 2*len(c.Refs))
	for i := range c.Refs {
		r := &c.Refs[i]
		buf = append(buf, mpBin8, causal.ActorSize)
		buf = append(buf, r.Actor.Device[:]...)
		buf = append(buf, r.Actor.Nonce[:]...)
		if c.Branches != nil {
			buf = c.appendSeq(buf, i)
			continue
		}
		buf = appendUint(buf, uint64(r.Seq))
	}
	buf = appendInt(buf, c.Time-prevTime)
	buf = appendArrayHead(buf, 3*len(c.Groups))
	for i := range c.Groups {
		g := &c.Groups[i]
		buf = appendStr(buf, g.Slice)
		buf = appendUint(buf, uint64(g.Len))
		if len(g.Ops) <= inlineOps {
			buf = appendBin(buf, g.Ops)
			continue
		}
		sum := sha256.Sum256(g.Ops)
		buf = append(buf, mpFixArr|1, mpBin8, sha256.Size)
		buf = append(buf, sum[:]...)
	}
	return buf
}

// Hash returns c's place in its actor's chain: SHA-256(prev ‖ HashedBytes ‖ deps). prev is
// the hash of the actor's previous change, before its first GenesisHash; prevTime is that
// change's Time; deps are the hashes of c.Deps(), in that order.
func (c *Change) Hash(prev Hash, prevTime int64, deps []Hash) Hash {
	var room [256]byte
	buf := c.HashedBytes(append(room[:0], prev[:]...), prevTime)
	for i := range deps {
		buf = append(buf, deps[i][:]...)
	}
	return sha256.Sum256(buf)
}

// appendWire appends c in the form that travels: refs as indexes.
func (c *Change) appendWire(buf []byte, prevTime int64, index func(causal.Actor) int) []byte {
	buf = appendArrayHead(buf, 2*len(c.Refs))
	for i := range c.Refs {
		buf = appendUint(buf, uint64(index(c.Refs[i].Actor)))
		buf = c.appendSeq(buf, i)
	}
	buf = appendInt(buf, c.Time-prevTime)
	buf = appendArrayHead(buf, 3*len(c.Groups))
	for i := range c.Groups {
		g := &c.Groups[i]
		buf = appendStr(buf, g.Slice)
		buf = appendUint(buf, uint64(g.Len))
		buf = appendBin(buf, g.Ops)
	}
	return buf
}

// The append functions write the shortest form of each value, as msgpack's
// Encoder does with compact integers (TestAppendEqualsEncoder).

func appendUint(buf []byte, v uint64) []byte {
	switch {
	case v < 0x80:
		return append(buf, byte(v))
	case v <= math.MaxUint8:
		return append(buf, mpUint8, byte(v))
	case v <= math.MaxUint16:
		return append(buf, mpUint16, byte(v>>8), byte(v))
	case v <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(buf, mpUint32), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(buf, mpUint64), v)
}

func appendInt(buf []byte, v int64) []byte {
	switch {
	case v >= 0:
		return appendUint(buf, uint64(v))
	case v >= -32:
		return append(buf, byte(v))
	case v >= math.MinInt8:
		return append(buf, mpInt8, byte(v))
	case v >= math.MinInt16:
		return append(buf, mpInt16, byte(v>>8), byte(v))
	case v >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(buf, mpInt32), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(buf, mpInt64), uint64(v))
}

func appendArrayHead(buf []byte, n int) []byte {
	if n < 16 {
		return append(buf, mpFixArr|byte(n))
	}
	return appendLen(buf, n, 0, mpArray16, mpArray32)
}

func appendMapHead(buf []byte, n int) []byte {
	if n < 16 {
		return append(buf, mpFixMap|byte(n))
	}
	return appendLen(buf, n, 0, mpMap16, mpMap32)
}

func appendStr[T string | []byte](buf []byte, s T) []byte {
	if len(s) < 32 {
		buf = append(buf, mpFixStr|byte(len(s)))
	} else {
		buf = appendLen(buf, len(s), mpStr8, mpStr16, mpStr32)
	}
	return append(buf, s...)
}

func appendBin(buf []byte, b []byte) []byte {
	return append(appendLen(buf, len(b), mpBin8, mpBin16, mpBin32), b...)
}

// endBin makes what was appended to buf since from a byte string. Before that are mpBin8 and a byte of room.
func endBin(buf []byte, from int) []byte {
	n := len(buf) - from
	if n <= math.MaxUint8 {
		buf[from-1] = byte(n)
		return buf
	}
	var room [5]byte
	return slices.Replace(buf, from-2, from, appendLen(room[:0], n, mpBin8, mpBin16, mpBin32)...)
}

// appendLen appends a length after the shortest code it fits; c8 is 0 for
// what has no 8-bit form.
func appendLen(buf []byte, n int, c8, c16, c32 byte) []byte {
	switch {
	case c8 != 0 && n <= math.MaxUint8:
		return append(buf, c8, byte(n))
	case n <= math.MaxUint16:
		return append(buf, c16, byte(n>>8), byte(n))
	}
	return binary.BigEndian.AppendUint32(append(buf, c32), uint32(n))
}

func uintSize(v uint64) int {
	switch {
	case v < 0x80:
		return 1
	case v <= math.MaxUint8:
		return 2
	case v <= math.MaxUint16:
		return 3
	case v <= math.MaxUint32:
		return 5
	}
	return 9
}

func arrayHeadSize(n int) int {
	switch {
	case n < 16:
		return 1
	case n <= math.MaxUint16:
		return 3
	}
	return 5
}

func strSize(n int) int {
	if n < 32 {
		return 1 + n
	}
	return binSize(n)
}

func binSize(n int) int {
	switch {
	case n <= math.MaxUint8:
		return 2 + n
	case n <= math.MaxUint16:
		return 3 + n
	}
	return 5 + n
}
