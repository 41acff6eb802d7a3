package crdt

import (
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// This file reads msgpack from bytes that nobody has checked yet. Each function takes
// what is left of the input, never allocates, never looks past the end and returns the
// rest. The read functions accept canonical encodings only: the shortest form of
// each header and integer, so that a value has one encoding. skipValue accepts
// any msgpack.
//
// The msgpack package's own Decoder is not used on such bytes: its Skip and
// DecodeInterface recurse as deep as the input says.

// maxNesting bounds the containers around a value inside an op of any kind, known or
// not. It is part of the format: what is nested deeper cannot be framed.
const maxNesting = 128

// The codes of the msgpack format.
const (
	mpNil     = 0xc0
	mpFalse   = 0xc2
	mpTrue    = 0xc3
	mpBin8    = 0xc4
	mpBin16   = 0xc5
	mpBin32   = 0xc6
	mpFloat64 = 0xcb
	mpUint8   = 0xcc
	mpUint16  = 0xcd
	mpUint32  = 0xce
	mpUint64  = 0xcf
	mpInt8    = 0xd0
	mpInt16   = 0xd1
	mpInt32   = 0xd2
	mpInt64   = 0xd3
	mpStr8    = 0xd9
	mpStr16   = 0xda
	mpStr32   = 0xdb
	mpArray16 = 0xdc
	mpArray32 = 0xdd
	mpMap16   = 0xde
	mpMap32   = 0xdf
	mpFixMap  = 0x80
	mpFixArr  = 0x90
	mpFixStr  = 0xa0
)

// readUint reads an unsigned integer.
func readUint(b []byte) (v uint64, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	if b[0] < 0x80 {
		return uint64(b[0]), b[1:], true
	}
	switch b[0] {
	case mpUint8:
		if len(b) >= 2 && b[1] >= 0x80 {
			return uint64(b[1]), b[2:], true
		}
	case mpUint16:
		if len(b) >= 3 {
			v = uint64(binary.BigEndian.Uint16(b[1:]))
			return v, b[3:], v > math.MaxUint8
		}
	case mpUint32:
		if len(b) >= 5 {
			v = uint64(binary.BigEndian.Uint32(b[1:]))
			return v, b[5:], v > math.MaxUint16
		}
	case mpUint64:
		if len(b) >= 9 {
			v = binary.BigEndian.Uint64(b[1:])
			return v, b[9:], v > math.MaxUint32
		}
	}
	return 0, nil, false
}

// readInt reads a signed integer.
func readInt(b []byte) (v int64, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	switch c := b[0]; {
	case c < 0x80 || c >= mpUint8 && c <= mpUint64:
		u, rest, ok := readUint(b)
		return int64(u), rest, ok && u <= math.MaxInt64
	case c >= 0xe0:
		return int64(int8(c)), b[1:], true
	case c == mpInt8 && len(b) >= 2:
		v = int64(int8(b[1]))
		return v, b[2:], v < -32
	case c == mpInt16 && len(b) >= 3:
		v = int64(int16(binary.BigEndian.Uint16(b[1:])))
		return v, b[3:], v < math.MinInt8
	case c == mpInt32 && len(b) >= 5:
		v = int64(int32(binary.BigEndian.Uint32(b[1:])))
		return v, b[5:], v < math.MinInt16
	case c == mpInt64 && len(b) >= 9:
		v = int64(binary.BigEndian.Uint64(b[1:]))
		return v, b[9:], v < math.MinInt32
	}
	return 0, nil, false
}

// readArray reads the header of an array. Each item takes at least a byte, so n
// is at most len(rest).
func readArray(b []byte) (n int, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	if b[0]&0xf0 == mpFixArr {
		n, rest = int(b[0]&0x0f), b[1:]
		return n, rest, n <= len(rest)
	}
	n, rest, ok = readLen(b, 0, mpArray16, mpArray32, 15)
	return n, rest, ok && n <= len(rest)
}

// readMap reads the header of a map of n pairs, which take at least two bytes each.
func readMap(b []byte) (n int, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	if b[0]&0xf0 == mpFixMap {
		n, rest = int(b[0]&0x0f), b[1:]
		return n, rest, 2*n <= len(rest)
	}
	n, rest, ok = readLen(b, 0, mpMap16, mpMap32, 15)
	return n, rest, ok && 2*n <= len(rest)
}

// readStr reads a string, which must be valid UTF-8.
func readStr(b []byte) (s, rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, nil, false
	}
	var n int
	if b[0]&0xe0 == mpFixStr {
		n, rest = int(b[0]&0x1f), b[1:]
	} else if n, rest, ok = readLen(b, mpStr8, mpStr16, mpStr32, 31); !ok {
		return nil, nil, false
	}
	if n > len(rest) || !utf8.Valid(rest[:n]) {
		return nil, nil, false
	}
	return rest[:n:n], rest[n:], true
}

// readBin reads a byte string.
func readBin(b []byte) (data, rest []byte, ok bool) {
	if len(b) >= 2 && b[0] == mpBin8 {
		if n := 2 + int(b[1]); n <= len(b) { // as most are
			return b[2:n:n], b[n:], true
		}
		return nil, nil, false
	}
	n, rest, ok := readLen(b, mpBin8, mpBin16, mpBin32, -1)
	if !ok || n > len(rest) {
		return nil, nil, false
	}
	return rest[:n:n], rest[n:], true
}

// readLen reads a length after one of three codes. c8 is 0 for what has no 8-bit
// form; fixed is the greatest length with a form of one byte, -1 if there is none.
func readLen(b []byte, c8, c16, c32 byte, fixed int) (n int, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	least16 := fixed
	if c8 != 0 {
		least16 = math.MaxUint8
	}
	switch {
	case c8 != 0 && b[0] == c8 && len(b) >= 2:
		n = int(b[1])
		return n, b[2:], n > fixed
	case b[0] == c16 && len(b) >= 3:
		n = int(binary.BigEndian.Uint16(b[1:]))
		return n, b[3:], n > least16
	case b[0] == c32 && len(b) >= 5:
		u := binary.BigEndian.Uint32(b[1:])
		return int(u), b[5:], u > math.MaxUint16 && u <= math.MaxInt32
	}
	return 0, nil, false
}

// skipValue returns what follows the first value of b, which may be any msgpack,
// canonical or not, nested up to maxNesting containers deep.
func skipValue(b []byte) (rest []byte, ok bool) {
	var open [maxNesting]uint64 // values still to come in the containers around this one
	depth := 0
	left := uint64(1) // values still to come in this one
	for {
		for left == 0 {
			if depth == 0 {
				return b, true
			}
			depth--
			left = open[depth]
		}
		left--
		size, items, ok := measure(b)
		if !ok || size > uint64(len(b)) {
			return nil, false
		}
		b = b[size:]
		if items > 0 {
			if depth == maxNesting || items > uint64(len(b)) {
				return nil, false
			}
			open[depth] = left
			depth++
			left = items
		}
	}
}

// measure returns the size in bytes of the first value of b, or of its header if it is a
// container, and then the number of values in it.
func measure(b []byte) (size, items uint64, ok bool) {
	if len(b) == 0 {
		return 0, 0, false
	}
	field := func(n int) uint64 { // the big-endian number in the n bytes after the code
		if len(b) < 1+n {
			ok = false
			return 0
		}
		var v uint64
		for _, x := range b[1 : 1+n] {
			v = v<<8 | uint64(x)
		}
		return v
	}
	ok = true
	switch c := b[0]; {
	case c < 0x80 || c >= 0xe0:
		size = 1
	case c < mpFixArr:
		size, items = 1, 2*uint64(c&0x0f)
	case c < mpFixStr:
		size, items = 1, uint64(c&0x0f)
	case c < mpNil:
		size = 1 + uint64(c&0x1f)
	case c == mpNil || c == mpFalse || c == mpTrue:
		size = 1
	case c == 0xc1: // never used
		return 0, 0, false
	case c <= mpBin32:
		n := 1 << (c - mpBin8)
		size = uint64(1+n) + field(n)
	case c <= 0xc9: // ext 8, 16, 32: a length, a type, the data
		n := 1 << (c - 0xc7)
		size = uint64(2+n) + field(n)
	case c == 0xca: // float32
		size = 5
	case c == mpFloat64:
		size = 9
	case c <= mpUint64:
		size = 1 + 1<<(c-mpUint8)
	case c <= mpInt64:
		size = 1 + 1<<(c-mpInt8)
	case c <= 0xd8: // fixext 1, 2, 4, 8, 16: a type, the data
		size = 2 + 1<<(c-0xd4)
	case c <= mpStr32:
		n := 1 << (c - mpStr8)
		size = uint64(1+n) + field(n)
	case c == mpArray16:
		size, items = 3, field(2)
	case c == mpArray32:
		size, items = 5, field(4)
	case c == mpMap16:
		size, items = 3, 2*field(2)
	case c == mpMap32:
		size, items = 5, 2*field(4)
	}
	return size, items, ok
}
