package crdt

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// String returns v as JSON.
func (v Value) String() string { return string(v.AppendJSON(nil)) }

// MarshalJSON returns what AppendJSON appends. The error is always nil.
func (v Value) MarshalJSON() ([]byte, error) { return v.AppendJSON(nil), nil }

// AppendJSON appends v as JSON. A float has a fraction or an exponent (1.0), so that ParseJSON
// gives it back as one; NaN and the infinities, which JSON lacks, become null; bytes
// become a string in base64. Object keys are sorted.
func (v Value) AppendJSON(buf []byte) []byte {
	buf, _ = appendJSON(buf, v.enc)
	return buf
}

// appendJSON appends the first value of the canonical encoding enc and returns what follows it.
func appendJSON(buf []byte, enc string) ([]byte, string) {
	if enc == "" {
		return append(buf, "null"...), ""
	}
	switch t := typeOf(enc[0]); t {
	case BoolType:
		return strconv.AppendBool(buf, enc[0] == mpTrue), enc[1:]
	case IntType:
		n, size := intAt(enc)
		return strconv.AppendInt(buf, n, 10), enc[size:]
	case FloatType:
		f, _ := Value{enc[:9]}.Float()
		return appendJSONFloat(buf, f), enc[9:]
	case StringType, BytesType:
		head, n := lenAt(enc)
		s, rest := enc[head:head+n], enc[head+n:]
		if t == StringType {
			return AppendJSONString(buf, s), rest
		}
		buf = append(buf, '"')
		buf = base64.StdEncoding.AppendEncode(buf, []byte(s))
		return append(buf, '"'), rest
	case ListType:
		head, n := lenAt(enc)
		rest := enc[head:]
		buf = append(buf, '[')
		for i := range n {
			if i > 0 {
				buf = append(buf, ',')
			}
			buf, rest = appendJSON(buf, rest)
		}
		return append(buf, ']'), rest
	case ObjectType:
		head, n := lenAt(enc)
		rest := enc[head:]
		buf = append(buf, '{')
		for i := range n {
			if i > 0 {
				buf = append(buf, ',')
			}
			buf, rest = appendJSON(buf, rest)
			buf = append(buf, ':')
			buf, rest = appendJSON(buf, rest)
		}
		return append(buf, '}'), rest
	}
	return append(buf, "null"...), enc[1:]
}

// intAt returns the integer at the start of enc and the size of its encoding.
func intAt(enc string) (n int64, size int) {
	var room [9]byte
	b := room[:copy(room[:], enc)]
	n, rest, _ := readInt(b)
	return n, len(b) - len(rest)
}

// lenAt returns the size of the header at the start of enc and the length it gives.
func lenAt(enc string) (head, n int) {
	c := enc[0]
	switch {
	case c < mpFixStr: // fixmap, fixarray
		return 1, int(c & 0x0f)
	case c < mpNil: // fixstr
		return 1, int(c & 0x1f)
	}
	head = lenHeadSize(c)
	switch c {
	case mpArray16, mpMap16:
		head = 3
	case mpArray32, mpMap32:
		head = 5
	}
	for i := 1; i < head; i++ {
		n = n<<8 | int(enc[i])
	}
	return head, n
}

// appendJSONFloat writes the shortest decimal that reads back as f, in the manner of
// ECMAScript, with ".0" added where it would look like an integer.
func appendJSONFloat(buf []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(buf, "null"...)
	}
	format := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	start := len(buf)
	buf = strconv.AppendFloat(buf, f, format, -1, 64)
	if format == 'f' && bytes.IndexByte(buf[start:], '.') < 0 {
		buf = append(buf, ".0"...)
	}
	return buf
}

// AppendJSONString appends s as a JSON string. It escapes what JSON requires and nothing
// more; bytes that are not UTF-8 become U+FFFD.
func AppendJSONString(buf []byte, s string) []byte {
	const hex = "0123456789abcdef"
	buf = append(buf, '"')
	done := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				buf = append(append(buf, s[done:i]...), "\ufffd"...)
				done = i + 1
			}
			i += size
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' && c != 0x7f {
			i++
			continue
		}
		buf = append(buf, s[done:i]...)
		switch c {
		case '"', '\\':
			buf = append(buf, '\\', c)
		case '\n':
			buf = append(buf, `\n`...)
		case '\r':
			buf = append(buf, `\r`...)
		case '\t':
			buf = append(buf, `\t`...)
		default:
			buf = append(buf, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		}
		i++
		done = i
	}
	buf = append(buf, s[done:]...)
	return append(buf, '"')
}

// ParseJSON returns the Value of one JSON text. A number without fraction or exponent is an int64, and an
// error if it does not fit; others are float64. Of equal keys in an object the last counts, as in
// JavaScript. A string with half of a surrogate pair is an error. Errors wrap ErrValue.
func ParseJSON(text []byte) (Value, error) {
	if !utf8.Valid(text) {
		return Value{}, fmt.Errorf("%w: JSON is not valid UTF-8", ErrValue)
	}
	// Unmarshal wants exactly one value; it tells the place of an error.
	var raw json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return Value{}, fmt.Errorf("%w: %w", ErrValue, err)
	}
	if at := loneEscape(text); at >= 0 {
		return Value{}, fmt.Errorf("%w: half of a surrogate pair, %s, at byte %d", ErrValue, text[at:at+6], at)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var x any
	if err := d.Decode(&x); err != nil {
		return Value{}, fmt.Errorf("%w: %w", ErrValue, err)
	}
	return ValueOf(x)
}

// numberValue returns the Value of a JSON number.
func numberValue(s string) (Value, error) {
	if !strings.ContainsAny(s, ".eE") {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return Value{}, fmt.Errorf("%w: number %s does not fit an int64; write it with a fraction or exponent for a float", ErrValue, clip(s))
		}
		return IntValue(n), nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return Value{}, fmt.Errorf("%w: number %s does not fit a float64", ErrValue, clip(s))
	}
	return FloatValue(f), nil
}
