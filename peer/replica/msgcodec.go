package replica

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// A message is one msgpack array, its type first, in canonical form: shortest integers
// and headers, lists sorted and without doubles. Lists of tips and counters are flat arrays:
//
//	Have      [1, digest, base, [actor, seq, hash, ...], [device, counter, ...], ask]
//	NeedFull  [2]
//	Changes   [3, batch, remaining]
//	Ack       [4, [actor, seq, hash, ...]]
//	Digest    [5, digest, records, ask]
//	Records   [6, [[device, counter, [actor, seq, hash, ...], signature], ...]]
//	Heads     [7, [actor, seq, hash, ...]]
//	States    [8, digest, [slice, digest, ...], whole]
//
// An absent base, the hash of a tip of seq 0 and the digest of an opaque slice are empty.

// fields is the length of each type's array.
var fields = [...]int{HaveType: 6, NeedFullType: 1, ChangesType: 3, AckType: 2, DigestType: 4, RecordsType: 2, HeadsType: 2, StatesType: 4}

// AppendTo appends the encoding of m (canonical msgpack) to buf.
func (m *Have) AppendTo(buf []byte) []byte {
	buf = appendArray(buf, fields[HaveType])
	buf = appendUint(buf, uint64(HaveType))
	buf = appendBin(buf, m.Digest[:])
	buf = appendHash(buf, m.Base)
	buf = appendTips(buf, m.Tips)
	buf = appendArray(buf, 2*len(m.Counters))
	for i := range m.Counters {
		buf = appendBin(buf, m.Counters[i].Device[:])
		buf = appendUint(buf, m.Counters[i].Counter)
	}
	return appendBool(buf, m.Ask)
}

// AppendTo appends the encoding of m (canonical msgpack) to buf.
func (m *NeedFull) AppendTo(buf []byte) []byte {
	return appendUint(appendArray(buf, fields[NeedFullType]), uint64(NeedFullType))
}

// AppendTo appends the encoding of m (canonical msgpack) to buf.
func (m *Changes) AppendTo(buf []byte) []byte {
	buf = appendArray(buf, fields[ChangesType])
	buf = appendUint(buf, uint64(ChangesType))
	buf = appendBin(buf, m.Batch)
	return appendUint(buf, m.Remaining)
}

// AppendTo appends the encoding of m (canonical msgpack) to buf.
func (m *Ack) AppendTo(buf []byte) []byte {
	buf = appendArray(buf, fields[AckType])
	buf = appendUint(buf, uint64(AckType))
	return appendTips(buf, m.Tips)
}

// AppendTo appends the encoding of m (canonical msgpack) to buf.
func (m *Digest) AppendTo(buf []byte) []byte {
	buf = appendArray(buf, fields[DigestType])
	buf = appendUint(buf, uint64(DigestType))
	buf = appendBin(buf, m.Digest[:])
	buf = appendBin(buf, m.Records[:])
	return appendBool(buf, m.Ask)
}

// AppendTo appends the encoding of m (canonical msgpack) to buf.
func (m *Records) AppendTo(buf []byte) []byte {
	buf = appendArray(buf, fields[RecordsType])
	buf = appendUint(buf, uint64(RecordsType))
	buf = appendArray(buf, len(m.Records))
	for i := range m.Records {
		buf = m.Records[i].AppendTo(buf)
	}
	return buf
}

// AppendTo appends the encoding of m (canonical msgpack) to buf.
func (m *Heads) AppendTo(buf []byte) []byte {
	buf = appendArray(buf, fields[HeadsType])
	buf = appendUint(buf, uint64(HeadsType))
	return appendTips(buf, m.Tips)
}

// DecodeMessage reads what AppendTo wrote. It takes nothing but that exact form, checks
// every length before it allocates, and looks into no batch. Errors wrap
// ErrMessage. The message refers to b, which the caller must leave as it is from then on.
func DecodeMessage(b []byte) (Message, error) {
	if len(b) > MaxMessageBytes {
		return nil, fmt.Errorf("%w: %d bytes, over the limit of %d", ErrMessage, len(b), MaxMessageBytes)
	}
	r := reader{b: b}
	n := r.array()
	t := MessageType(r.uint(math.MaxUint8))
	if r.err == nil && (t < HaveType || t > StatesType) {
		r.fail("unknown type")
	}
	if r.err == nil && n != fields[t] {
		r.fail("wrong number of fields")
	}
	if r.err != nil {
		return nil, r.err
	}
	var m Message
	switch t {
	case HaveType:
		v := &Have{Digest: r.hash(), Base: r.hashOrNone()}
		v.Tips = r.tips(v.Base != crdt.Hash{})
		v.Counters = r.counters()
		v.Ask = r.bool()
		m = v
	case NeedFullType:
		m = &NeedFull{}
	case ChangesType:
		m = &Changes{Batch: r.bin(crdt.MaxBatchBytes), Remaining: r.uint(math.MaxUint64)}
	case AckType:
		m = &Ack{Tips: r.tips(false)}
	case DigestType:
		m = &Digest{Digest: r.hash(), Records: r.hash(), Ask: r.bool()}
	case RecordsType:
		m = &Records{Records: r.records()}
	case HeadsType:
		m = &Heads{Tips: r.tips(false)}
	case StatesType:
		m = &States{Digest: r.hash(), Slices: r.states(), Whole: r.bool()}
	}
	if err := r.end(); err != nil {
		return nil, err
	}
	return m, nil
}

// reader reads canonical msgpack. The first error sticks, and everything read
// after it is zero.
type reader struct {
	b   []byte
	at  int
	err error
}

func (r *reader) fail(reason string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s at byte %d", ErrMessage, reason, r.at)
	}
}

// end returns the first error, one about trailing bytes among them.
func (r *reader) end() error {
	if r.err == nil && r.at != len(r.b) {
		r.fail("trailing bytes")
	}
	return r.err
}

// take returns the next n bytes.
func (r *reader) take(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n > len(r.b)-r.at {
		r.fail("cut short")
		return nil
	}
	out := r.b[r.at : r.at+n : r.at+n]
	r.at += n
	return out
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

// big reads a big-endian number of n bytes, at least low: a smaller one has a shorter form.
func (r *reader) big(n int, low uint64) uint64 {
	b := r.take(n)
	if b == nil {
		return 0
	}
	var room [8]byte
	copy(room[8-n:], b)
	v := binary.BigEndian.Uint64(room[:])
	if v < low {
		r.fail("not in the shortest form")
		return 0
	}
	return v
}

func (r *reader) uint(limit uint64) uint64 {
	var v uint64
	switch c := r.byte(); {
	case c < 0x80:
		v = uint64(c)
	case c == 0xcc:
		v = r.big(1, 0x80)
	case c == 0xcd:
		v = r.big(2, 1<<8)
	case c == 0xce:
		v = r.big(4, 1<<16)
	case c == 0xcf:
		v = r.big(8, 1<<32)
	default:
		r.fail("not a number")
	}
	if v > limit {
		r.fail("number over the limit")
		return 0
	}
	return v
}

func (r *reader) bool() bool {
	switch r.byte() {
	case 0xc3:
		return true
	case 0xc2:
	default:
		r.fail("not a boolean")
	}
	return false
}

// array reads an array's head.
func (r *reader) array() int {
	switch c := r.byte(); {
	case c&0xf0 == 0x90:
		return int(c & 0x0f)
	case c == 0xdc:
		return int(r.big(2, 16))
	case c == 0xdd:
		return int(r.big(4, 1<<16))
	}
	r.fail("not an array")
	return 0
}

// list reads the head of a flat list of items of per values and at least size bytes each.
func (r *reader) list(per, size, limit int) int {
	n := r.array()
	switch {
	case r.err != nil:
		return 0
	case n%per != 0:
		r.fail("list cut inside an item")
		return 0
	case n/per > limit:
		r.fail("list over the limit")
		return 0
	case n/per > (len(r.b)-r.at)/size:
		r.fail("cut short")
		return 0
	}
	return n / per
}

// bin reads bytes; the result refers to r's buffer.
func (r *reader) bin(limit int) []byte {
	var n uint64
	switch r.byte() {
	case 0xc4:
		n = r.big(1, 0)
	case 0xc5:
		n = r.big(2, 1<<8)
	case 0xc6:
		n = r.big(4, 1<<16)
	default:
		r.fail("not bytes")
		return nil
	}
	if n > uint64(limit) {
		r.fail("bytes over the limit")
		return nil
	}
	return r.take(int(n))
}

// sized reads bytes of exactly n, or nil with an error.
func (r *reader) sized(n int) []byte {
	b := r.bin(n)
	if r.err == nil && len(b) != n {
		r.fail("bytes of the wrong length")
		return nil
	}
	return b
}

func (r *reader) hash() (h crdt.Hash) {
	copy(h[:], r.sized(len(h)))
	return h
}

// hashOrNone reads a hash that may be absent.
func (r *reader) hashOrNone() (h crdt.Hash) {
	b := r.bin(len(h))
	if r.err == nil && len(b) != 0 && (len(b) != len(h) || bytes.Equal(b, h[:])) {
		r.fail("bad hash")
	}
	if r.err == nil {
		copy(h[:], b)
	}
	return h
}

func (r *reader) device() (d causal.Device) {
	copy(d[:], r.sized(len(d)))
	return d
}

func (r *reader) actor() (a causal.Actor) {
	if b := r.sized(causal.ActorSize); b != nil {
		copy(a.Device[:], b)
		copy(a.Nonce[:], b[causal.DeviceSize:])
	}
	return a
}

// tips reads a list of tips. A seq of 0 is allowed in a list of differences only.
func (r *reader) tips(differences bool) []crdt.Tip {
	n := r.list(3, 2+causal.ActorSize+1+2, MaxTips)
	if n == 0 {
		return nil
	}
	out := make([]crdt.Tip, 0, n)
	for range n {
		t := crdt.Tip{Actor: r.actor(), Seq: causal.Seq(r.uint(crdt.MaxSeq)), Hash: r.hashOrNone()}
		switch {
		case r.err != nil:
			return nil
		case len(out) > 0 && (out[len(out)-1].Compare(t) >= 0 || out[len(out)-1].Seq == 0 && out[len(out)-1].Actor == t.Actor):
			r.fail("tips not sorted")
			return nil
		case t.Seq == 0 && !differences, (t.Seq == 0) != (t.Hash == crdt.Hash{}):
			r.fail("bad tip")
			return nil
		}
		out = append(out, t)
	}
	return out
}

func (r *reader) counters() []Counter {
	n := r.list(2, 2+causal.DeviceSize+1, MaxMessageRecords)
	if n == 0 {
		return nil
	}
	out := make([]Counter, 0, n)
	for range n {
		c := Counter{Device: r.device(), Counter: r.uint(maxCounter)}
		if r.err == nil && len(out) > 0 && out[len(out)-1].Device.Compare(c.Device) >= 0 {
			r.fail("counters not sorted")
		}
		if r.err != nil {
			return nil
		}
		out = append(out, c)
	}
	return out
}

func (r *reader) records() []Record {
	n := r.list(1, 1+2+causal.DeviceSize+1+1+2+ed25519.SignatureSize, MaxMessageRecords)
	if r.err == nil && n == 0 {
		r.fail("no records")
	}
	out := make([]Record, 0, n)
	for range n {
		rec := r.record()
		if r.err == nil && len(out) > 0 && out[len(out)-1].Device.Compare(rec.Device) >= 0 {
			r.fail("records not sorted")
		}
		if r.err != nil {
			return nil
		}
		out = append(out, rec)
	}
	return out
}

func (r *reader) record() (rec Record) {
	if n := r.array(); r.err == nil && n != 4 {
		r.fail("wrong number of fields")
	}
	rec = Record{Device: r.device(), Counter: r.uint(maxCounter), Tips: r.tips(false)}
	copy(rec.Sig[:], r.sized(len(rec.Sig)))
	return rec
}

// The append functions write the shortest form of each value, as msgpack's Encoder
// does with compact integers (TestAppendEqualsEncoder).

func appendUint(buf []byte, v uint64) []byte {
	switch {
	case v < 0x80:
		return append(buf, byte(v))
	case v <= math.MaxUint8:
		return append(buf, 0xcc, byte(v))
	case v <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(buf, 0xcd), uint16(v))
	case v <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(buf, 0xce), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(buf, 0xcf), v)
}

func appendArray(buf []byte, n int) []byte {
	switch {
	case n < 16:
		return append(buf, 0x90|byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(buf, 0xdc), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(buf, 0xdd), uint32(n))
}

func appendBin(buf, b []byte) []byte {
	switch n := len(b); {
	case n <= math.MaxUint8:
		buf = append(buf, 0xc4, byte(n))
	case n <= math.MaxUint16:
		buf = binary.BigEndian.AppendUint16(append(buf, 0xc5), uint16(n))
	default:
		buf = binary.BigEndian.AppendUint32(append(buf, 0xc6), uint32(n))
	}
	return append(buf, b...)
}

func appendBool(buf []byte, v bool) []byte {
	if v {
		return append(buf, 0xc3)
	}
	return append(buf, 0xc2)
}

// appendHash appends h, or nothing in its place if it is zero.
func appendHash(buf []byte, h crdt.Hash) []byte {
	if h == (crdt.Hash{}) {
		return appendBin(buf, nil)
	}
	return appendBin(buf, h[:])
}

// tipBytes is the most that a tip takes.
const tipBytes = 2 + causal.ActorSize + 9 + 2 + 32

func appendTips(buf []byte, tips []crdt.Tip) []byte {
	buf = slices.Grow(buf, 5+len(tips)*tipBytes)
	return appendEachTip(appendArray(buf, 3*len(tips)), tips)
}

// appendTo appends h as appendTips does its tips.
func (h *holdings) appendTo(buf []byte) []byte {
	buf = slices.Grow(buf, 5+h.len()*tipBytes)
	buf = appendArray(buf, 3*h.len())
	for i := range digestParts {
		buf = appendEachTip(buf, h.part(i))
	}
	return buf
}

// appendEachTip appends tips without the head of their list.
func appendEachTip(buf []byte, tips []crdt.Tip) []byte {
	for i := range tips {
		t := &tips[i]
		buf = append(buf, 0xc4, causal.ActorSize)
		buf = t.Actor.AppendTo(buf)
		buf = appendUint(buf, uint64(t.Seq))
		buf = appendHash(buf, t.Hash)
	}
	return buf
}
