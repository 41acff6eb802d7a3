package crdt

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// JavaScript and others whose strings are UTF-16 can cut one between the halves of a surrogate pair. A half is no
// character and has no UTF-8; most libraries put U+FFFD in its place without a word. Here it is an error, because what
// was one character on the screen would be two replacement characters on every device.

// notUTF8 says what is wrong with s, which is not valid UTF-8. A surrogate half encoded as if it were
// a code point is called by its name.
func notUTF8(s string) string {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			// U+D800 to U+DFFF would be encoded ED A0 80 to ED BF BF.
			if len(s) >= i+3 && s[i] == 0xed && s[i+1] >= 0xa0 && s[i+1] < 0xc0 && s[i+2] >= 0x80 && s[i+2] < 0xc0 {
				half := 0xd000 | rune(s[i+1]&0x3f)<<6 | rune(s[i+2]&0x3f)
				return fmt.Sprintf("not UTF-8: half of a surrogate pair, %U, at byte %d", half, i)
			}
			return fmt.Sprintf("not UTF-8: byte 0x%02x at %d", s[i], i)
		}
		i += n
	}
	return "UTF-8"
}

// loneEscape returns the offset of the first escape in a JSON text, which must be valid, that stands for half of a
// surrogate pair without the other half next to it, -1 if there is none.
func loneEscape(text []byte) int {
	escaped := func(at int) rune { // the code unit of the escape at an offset, -1 if there is none
		if at+6 > len(text) || text[at] != '\\' || text[at+1] != 'u' {
			return -1
		}
		unit, err := strconv.ParseUint(string(text[at+2:at+6]), 16, 16)
		if err != nil {
			return -1
		}
		return rune(unit)
	}
	for at := 0; ; {
		i := bytes.IndexByte(text[at:], '\\')
		if i < 0 {
			return -1
		}
		at += i
		unit := escaped(at)
		switch {
		case !utf16.IsSurrogate(unit):
			at += 2 // what is escaped may be a backslash
		case utf16.DecodeRune(unit, escaped(at+6)) == utf8.RuneError:
			return at
		default:
			at += 12
		}
	}
}
