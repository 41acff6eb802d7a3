package crdt

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// Value is an immutable scalar (nil, bool, int64, float64, string, bytes) or an
// opaque list or object of values. It holds the canonical msgpack encoding, so two Values
// are the same exactly if they are ==, and a Value may be a map key. 1 and 1.0 differ; there is
// one NaN; -0 is 0. The zero Value is nil.
type Value struct {
	enc string // "" stands for nil
}

// ValueType says what a Value holds. Values of different types order as their types do.
type ValueType uint8

const (
	NilType ValueType = iota
	BoolType
	IntType
	FloatType
	StringType
	BytesType
	ListType
	ObjectType
)

var valueTypeNames = [...]string{"nil", "bool", "int", "float", "string", "bytes", "list", "object"}

// String returns t's name.
func (t ValueType) String() string {
	if int(t) < len(valueTypeNames) {
		return valueTypeNames[t]
	}
	return fmt.Sprintf("type(%d)", uint8(t))
}

// ErrValue is wrapped by errors about something that is no Value: a Go type that has no
// counterpart, text that is not UTF-8, nesting beyond MaxDepth, bytes that are not canonical.
var ErrValue = errors.New("crdt: not a value")

var errTooDeep = fmt.Errorf("%w: nested more than %d deep", ErrValue, MaxDepth)

// Nil is the nil value, null in JSON.
var Nil = Value{}

var (
	valueFalse = Value{string([]byte{mpFalse})}
	valueTrue  = Value{string([]byte{mpTrue})}
)

// BoolValue returns b as a Value.
func BoolValue(b bool) Value {
	if b {
		return valueTrue
	}
	return valueFalse
}

// IntValue returns n as a Value.
func IntValue(n int64) Value {
	var room [9]byte
	return Value{string(appendInt(room[:0], n))}
}

// FloatValue returns f as a Value. Every NaN gives the same one, and -0 gives 0.
func FloatValue(f float64) Value {
	var room [9]byte
	return Value{string(appendFloat(room[:0], f))}
}

// StringValue returns s as a Value. It is an error if s is not valid UTF-8.
func StringValue(s string) (Value, error) {
	if !utf8.ValidString(s) {
		return Value{}, fmt.Errorf("%w: string %q is not valid UTF-8", ErrValue, clip(s))
	}
	if len(s) > MaxChangeBytes {
		return Value{}, fmt.Errorf("%w: a string of %d bytes, the limit is %d", ErrValue, len(s), MaxChangeBytes)
	}
	return Value{string(appendStr(make([]byte, 0, strSize(len(s))), s))}, nil
}

// BytesValue returns a copy of b as a Value.
func BytesValue(b []byte) Value {
	return Value{string(appendBin(make([]byte, 0, binSize(len(b))), b))}
}

// ValueOf returns the Value for x: nil, a bool, any integer or float type, a string, []byte,
// a json.Number, a Value, or a []any, []string, []Value, map[string]any or map[string]Value
// of those. Errors wrap ErrValue and name the Go type at fault.
func ValueOf(x any) (Value, error) {
	switch x := x.(type) {
	case Value:
		return x, nil
	case string:
		return StringValue(x)
	case int:
		return IntValue(int64(x)), nil
	}
	buf, err := appendAny(nil, x, 0)
	if err != nil {
		return Value{}, err
	}
	return newValue(buf), nil
}

// newValue returns the Value with encoding enc, which must be canonical.
func newValue(enc []byte) Value {
	if len(enc) == 1 {
		switch enc[0] {
		case mpNil:
			return Value{}
		case mpFalse:
			return valueFalse
		case mpTrue:
			return valueTrue
		}
	}
	return Value{string(enc)}
}

// appendAny appends the encoding of x, which is inside depth lists and objects.
func appendAny(buf []byte, x any, depth int) ([]byte, error) {
	switch x := x.(type) {
	case nil:
		return append(buf, mpNil), nil
	case bool:
		return append(buf, BoolValue(x).enc...), nil
	case int:
		return appendInt(buf, int64(x)), nil
	case int8:
		return appendInt(buf, int64(x)), nil
	case int16:
		return appendInt(buf, int64(x)), nil
	case int32:
		return appendInt(buf, int64(x)), nil
	case int64:
		return appendInt(buf, x), nil
	case uint:
		return appendUnsigned(buf, uint64(x))
	case uint8:
		return appendUnsigned(buf, uint64(x))
	case uint16:
		return appendUnsigned(buf, uint64(x))
	case uint32:
		return appendUnsigned(buf, uint64(x))
	case uint64:
		return appendUnsigned(buf, x)
	case float32:
		return appendFloat(buf, float64(x)), nil
	case float64:
		return appendFloat(buf, x), nil
	case json.Number:
		v, err := numberValue(string(x))
		return v.AppendTo(buf), err
	case string:
		v, err := StringValue(x)
		return append(buf, v.enc...), err
	case []byte:
		return appendBin(buf, x), nil
	case Value:
		if x.IsScalar() {
			return x.AppendTo(buf), nil
		}
		start := len(buf)
		buf = x.AppendTo(buf)
		if rest, ok := scanValue(buf[start:], depth); !ok || len(rest) > 0 {
			return nil, errTooDeep
		}
		return buf, nil
	case []any:
		return appendList(buf, x, depth)
	case []string:
		return appendList(buf, x, depth)
	case []Value:
		return appendList(buf, x, depth)
	case map[string]any:
		return appendObject(buf, x, depth)
	case map[string]Value:
		return appendObject(buf, x, depth)
	}
	return nil, fmt.Errorf("%w: Go type %T", ErrValue, x)
}

func appendList[T any](buf []byte, items []T, depth int) ([]byte, error) {
	if depth == MaxDepth {
		return nil, errTooDeep
	}
	buf = appendArrayHead(buf, len(items))
	for i, item := range items {
		var err error
		if buf, err = appendAny(buf, item, depth+1); err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
	}
	return buf, nil
}

func appendObject[T any](buf []byte, fields map[string]T, depth int) ([]byte, error) {
	if depth == MaxDepth {
		return nil, errTooDeep
	}
	keys := make([]string, 0, len(fields))
	for k := range fields {
		if !utf8.ValidString(k) {
			return nil, fmt.Errorf("%w: key %q is not valid UTF-8", ErrValue, clip(k))
		}
		keys = append(keys, k)
	}
	slices.Sort(keys)
	buf = appendMapHead(buf, len(keys))
	for _, k := range keys {
		buf = appendStr(buf, k)
		var err error
		if buf, err = appendAny(buf, fields[k], depth+1); err != nil {
			return nil, fmt.Errorf("[%q]: %w", clip(k), err)
		}
	}
	return buf, nil
}

func appendUnsigned(buf []byte, n uint64) ([]byte, error) {
	if n > math.MaxInt64 {
		return nil, fmt.Errorf("%w: %d is more than an int64 holds", ErrValue, n)
	}
	return appendUint(buf, n), nil
}

const canonicalNaN = 0x7ff8000000000000

func appendFloat(buf []byte, f float64) []byte {
	bits := math.Float64bits(f)
	switch {
	case f != f:
		bits = canonicalNaN
	case f == 0:
		bits = 0
	}
	return binary.BigEndian.AppendUint64(append(buf, mpFloat64), bits)
}

// clip shortens s for an error message.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}

// AppendTo appends the encoding of v to buf.
func (v Value) AppendTo(buf []byte) []byte {
	if v.enc == "" {
		return append(buf, mpNil)
	}
	return append(buf, v.enc...)
}

// DecodeValue reads the value at the start of b and returns what follows it. It accepts
// exactly what AppendTo writes; errors wrap ErrValue. The Value does not refer to b.
func DecodeValue(b []byte) (Value, []byte, error) {
	rest, ok := scanValue(b, 0)
	if !ok {
		return Value{}, nil, fmt.Errorf("%w: bytes are truncated, not canonical or nested more than %d deep", ErrValue, MaxDepth)
	}
	return newValue(b[:len(b)-len(rest)]), rest, nil
}

// scanValue returns what follows the canonical value at the start of b, which is
// inside depth lists and objects.
func scanValue(b []byte, depth int) (rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, false
	}
	switch typeOf(b[0]) {
	case NilType, BoolType:
		return b[1:], b[0] == mpNil || b[0] == mpFalse || b[0] == mpTrue
	case IntType:
		_, rest, ok = readInt(b)
		return rest, ok
	case FloatType:
		if len(b) < 9 {
			return nil, false
		}
		bits := binary.BigEndian.Uint64(b[1:])
		f := math.Float64frombits(bits)
		return b[9:], (f == f || bits == canonicalNaN) && bits != 1<<63
	case StringType:
		_, rest, ok = readStr(b)
		return rest, ok
	case BytesType:
		_, rest, ok = readBin(b)
		return rest, ok
	case ListType:
		n, rest, ok := readArray(b)
		if !ok || depth == MaxDepth {
			return nil, false
		}
		for range n {
			if rest, ok = scanValue(rest, depth+1); !ok {
				return nil, false
			}
		}
		return rest, true
	case ObjectType:
		n, rest, ok := readMap(b)
		if !ok || depth == MaxDepth {
			return nil, false
		}
		var last []byte
		for i := range n {
			var key []byte
			if key, rest, ok = readStr(rest); !ok || i > 0 && bytes.Compare(last, key) >= 0 {
				return nil, false
			}
			last = key
			if rest, ok = scanValue(rest, depth+1); !ok {
				return nil, false
			}
		}
		return rest, true
	}
	return nil, false
}

// noType is what typeOf gives for codes that no canonical value starts with.
const noType ValueType = 0xff

// typeOf returns the type of the value whose encoding starts with c.
func typeOf(c byte) ValueType {
	switch {
	case c < 0x80 || c >= 0xe0 || c >= mpUint8 && c <= mpInt64:
		return IntType
	case c < mpFixArr || c == mpMap16 || c == mpMap32:
		return ObjectType
	case c < mpFixStr || c == mpArray16 || c == mpArray32:
		return ListType
	case c < mpNil || c >= mpStr8 && c <= mpStr32:
		return StringType
	case c == mpNil:
		return NilType
	case c == mpFalse || c == mpTrue:
		return BoolType
	case c >= mpBin8 && c <= mpBin32:
		return BytesType
	case c == mpFloat64:
		return FloatType
	}
	return noType
}

// Type returns what v holds.
func (v Value) Type() ValueType {
	if v.enc == "" {
		return NilType
	}
	return typeOf(v.enc[0])
}

// IsNil reports whether v is nil.
func (v Value) IsNil() bool { return v.enc == "" }

// IsScalar reports whether v is neither a list nor an object.
func (v Value) IsScalar() bool { return v.Type() < ListType }

// Bool returns the bool that v holds, and false if it holds something else.
func (v Value) Bool() (b, ok bool) { return v == valueTrue, v.Type() == BoolType }

// Int returns the int64 that v holds, and false if it holds something else.
func (v Value) Int() (int64, bool) {
	if v.Type() != IntType {
		return 0, false
	}
	var room [9]byte
	n, _, _ := readInt(append(room[:0], v.enc...))
	return n, true
}

// Float returns the float64 that v holds, and false if it holds something else.
func (v Value) Float() (float64, bool) {
	if v.Type() != FloatType {
		return 0, false
	}
	var bits uint64
	for i := 1; i < 9; i++ {
		bits = bits<<8 | uint64(v.enc[i])
	}
	return math.Float64frombits(bits), true
}

// Str returns the string that v holds, and false if it holds something else.
func (v Value) Str() (string, bool) {
	if v.Type() != StringType {
		return "", false
	}
	return v.enc[lenHeadSize(v.enc[0]):], true
}

// Bytes returns a copy of the bytes that v holds, and false if it holds something else.
func (v Value) Bytes() ([]byte, bool) {
	if v.Type() != BytesType {
		return nil, false
	}
	return []byte(v.enc[lenHeadSize(v.enc[0]):]), true
}

// lenHeadSize returns the size of the header, starting with c, of a string or bytes.
func lenHeadSize(c byte) int {
	switch c {
	case mpStr8, mpBin8:
		return 2
	case mpStr16, mpBin16:
		return 3
	case mpStr32, mpBin32:
		return 5
	}
	return 1
}

// Any returns v as nil, bool, int64, float64, string, []byte, []any or
// map[string]any. The result shares nothing with v.
func (v Value) Any() any {
	x, _ := anyOf([]byte(v.enc))
	return x
}

// anyOf returns the first value of b, which is canonical, and what follows it.
func anyOf(b []byte) (any, []byte) {
	if len(b) == 0 {
		return nil, nil
	}
	switch typeOf(b[0]) {
	case ListType:
		n, rest, _ := readArray(b)
		items := make([]any, n)
		for i := range items {
			items[i], rest = anyOf(rest)
		}
		return items, rest
	case ObjectType:
		n, rest, _ := readMap(b)
		fields := make(map[string]any, n)
		for range n {
			var key []byte
			key, rest, _ = readStr(rest)
			fields[string(key)], rest = anyOf(rest)
		}
		return fields, rest
	}
	rest, _ := scanValue(b, 0)
	v := newValue(b[:len(b)-len(rest)])
	switch v.Type() {
	case BoolType:
		x, _ := v.Bool()
		return x, rest
	case IntType:
		x, _ := v.Int()
		return x, rest
	case FloatType:
		x, _ := v.Float()
		return x, rest
	case StringType:
		x, _ := v.Str()
		return x, rest
	case BytesType:
		x, _ := v.Bytes()
		return x, rest
	}
	return nil, rest
}

// Compare orders all values: by type, then numbers by size (NaN first), strings and
// bytes bytewise, lists item by item, objects as their sorted lists of key and value.
func (v Value) Compare(w Value) int {
	if v == w {
		return 0
	}
	if c := cmp.Compare(v.Type(), w.Type()); c != 0 {
		return c
	}
	switch v.Type() {
	case BoolType:
		return cmp.Compare(v.enc[0], w.enc[0])
	case IntType:
		a, _ := v.Int()
		b, _ := w.Int()
		return cmp.Compare(a, b)
	case FloatType:
		a, _ := v.Float()
		b, _ := w.Float()
		return cmp.Compare(a, b)
	case StringType:
		a, _ := v.Str()
		b, _ := w.Str()
		return strings.Compare(a, b)
	case BytesType:
		return strings.Compare(v.enc[lenHeadSize(v.enc[0]):], w.enc[lenHeadSize(w.enc[0]):])
	}
	return slices.CompareFunc(v.parts(), w.parts(), Value.Compare)
}

// parts returns the items of a list, or the keys and values of an object in turn.
func (v Value) parts() []Value {
	b := []byte(v.enc)
	n, rest, ok := readArray(b)
	if !ok {
		n, rest, _ = readMap(b)
		n *= 2
	}
	out := make([]Value, n)
	for i := range out {
		after, _ := scanValue(rest, 0)
		out[i] = newValue(rest[:len(rest)-len(after)])
		rest = after
	}
	return out
}
