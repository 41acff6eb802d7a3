package sequence

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// ropeSize is the size of a stretch of text in each unit.
type ropeSize struct{ bytes, runes, units int }

func (s *ropeSize) add(o ropeSize) {
	s.bytes += o.bytes
	s.runes += o.runes
	s.units += o.units
}

func (s ropeSize) neg() ropeSize { return ropeSize{-s.bytes, -s.runes, -s.units} }

// Text is looked through eight bytes at a time: lowBits has the lowest bit of each set.
const lowBits = 0x0101010101010101

// sizeOf measures valid UTF-8.
func sizeOf(s []byte) ropeSize {
	d := ropeSize{bytes: len(s), runes: len(s)}
	for len(s) >= 8 {
		if x := binary.LittleEndian.Uint64(s); x&(lowBits<<7) != 0 {
			d.runes -= continuations(x)
			d.units += bits.OnesCount64(x >> 7 & (x >> 6) & (x >> 5) & (x >> 4) & lowBits) // 0xF0 and above
		}
		s = s[8:]
	}
	for _, c := range s {
		if c&0xC0 == 0x80 {
			d.runes--
		} else if c >= 0xF0 {
			d.units++
		}
	}
	d.units += d.runes
	return d
}

// continuations returns how many of eight bytes do not start a rune.
func continuations(x uint64) int { return bits.OnesCount64(x >> 7 &^ (x >> 6) & lowBits) }

// CountRunes returns the number of runes of s, which is valid UTF-8.
func CountRunes(s string) int { return sizeOf([]byte(s)).runes }

// skipRunes returns the offset of the k-th rune of text.
func skipRunes(text []byte, k int) int {
	b := 0
	for k >= 8 && b+8 <= len(text) { // in which no more than eight start
		k -= 8 - continuations(binary.LittleEndian.Uint64(text[b:]))
		b += 8
	}
	for ; k > 0; b++ {
		if utf8.RuneStart(text[b]) {
			k--
		}
	}
	for b < len(text) && !utf8.RuneStart(text[b]) {
		b++
	}
	return b
}

// backRunes returns the offset of the k-th rune of text from its end, which is the 0-th.
func backRunes(text []byte, k int) int {
	b := len(text)
	for k >= 8 && b >= 8 {
		k -= 8 - continuations(binary.LittleEndian.Uint64(text[b-8:]))
		b -= 8
	}
	for k > 0 {
		if b--; utf8.RuneStart(text[b]) {
			k--
		}
	}
	return b
}
