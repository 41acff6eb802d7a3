package sequence

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Slice returns the text of the runes [from, to), 0 <= from <= to <= Len().
func (r *Rope) Slice(from, to int) string {
	if from < 0 || from > to || to > r.size.runes {
		panic(fmt.Sprintf("sequence: slice [%d, %d) of a text of %d", from, to, r.size.runes))
	}
	var out strings.Builder
	if c := &r.last; c.leaf != nil && c.at <= from && to <= c.at+c.leaf.size.runes {
		// Where the last edit was, which is what an undo of it asks for.
		left, right := c.leaf.pieces(c.leaf.offset(from-c.at), c.leaf.offset(to-c.at))
		out.Grow(len(left) + len(right))
		out.Write(left)
		out.Write(right)
		return out.String()
	}
	a, b := r.find(byRunes, from), r.find(byRunes, to)
	out.Grow(b.bytes - a.bytes)
	r.chunks(r.root, r.height, a.bytes, b.bytes, func(text []byte) { out.Write(text) })
	return out.String()
}

// String returns the whole text.
func (r *Rope) String() string { return r.Slice(0, r.size.runes) }

// chunks calls yield with the text of the bytes [from, to) below link, piece by piece.
func (r *Rope) chunks(link ropeLink, h, from, to int, yield func([]byte)) {
	if from >= to {
		return
	}
	if h == 0 {
		left, right := link.leaf.pieces(from, to)
		yield(left)
		yield(right)
		return
	}
	for i := 0; i < link.node.n && to > 0; i++ {
		size := link.node.sizes[i].bytes
		if from < size {
			r.chunks(link.node.kids[i], h-1, max(from, 0), min(to, size), yield)
		}
		from, to = from-size, to-size
	}
}

// RuneOfByte returns the position of the rune that UTF-8 offset i, 0 <= i <= LenBytes(), lies in.
func (r *Rope) RuneOfByte(i int) int { return r.find(byBytes, i).runes }

// ByteOfRune returns the UTF-8 offset of the rune at position i, 0 <= i <= Len().
func (r *Rope) ByteOfRune(i int) int { return r.find(byRunes, i).bytes }

// RuneOfUTF16 returns the position of the rune that UTF-16 offset i, 0 <= i <= LenUTF16(), lies in.
func (r *Rope) RuneOfUTF16(i int) int { return r.find(byUnits, i).runes }

// UTF16OfRune returns the UTF-16 offset of the rune at position i, 0 <= i <= Len().
func (r *Rope) UTF16OfRune(i int) int { return r.find(byRunes, i).units }

// byBytes, byRunes and byUnits pick the unit in which find is asked.
func byBytes(s *ropeSize) int { return s.bytes }
func byRunes(s *ropeSize) int { return s.runes }
func byUnits(s *ropeSize) int { return s.units }

// find returns how much comes before the rune that offset i, in the given unit, lies in.
func (r *Rope) find(unit func(*ropeSize) int, i int) ropeSize {
	total := unit(&r.size)
	if i < 0 || i > total {
		panic(fmt.Sprintf("sequence: offset %d of a text of %d", i, total))
	}
	if i == total {
		return r.size
	}
	var at ropeSize
	link := r.root
	for range r.height {
		n := link.node
		k := 0
		for i-unit(&at) >= unit(&n.sizes[k]) {
			at.add(n.sizes[k])
			k++
		}
		link = n.kids[k]
	}
	if link.leaf.ascii() {
		k := i - unit(&at)
		at.add(ropeSize{k, k, k})
		return at
	}
	left, right := link.leaf.pieces(0, link.leaf.size.bytes)
	if before := sizeOf(left); i-unit(&at) >= unit(&before) {
		at.add(before)
		left = right
	}
	at.add(within(left, unit, i-unit(&at)))
	return at
}

// within returns how much of text comes before the rune that offset i, in the given unit, lies in.
func within(text []byte, unit func(*ropeSize) int, i int) (at ropeSize) {
	for len(text) > 16 {
		half := len(text) / 2
		for !utf8.RuneStart(text[half]) {
			half--
		}
		before := sizeOf(text[:half])
		if unit(&before) > i {
			text = text[:half]
			continue
		}
		at.add(before)
		i -= unit(&before)
		text = text[half:]
	}
	for len(text) > 0 {
		_, n := utf8.DecodeRune(text)
		next := ropeSize{bytes: n, runes: 1, units: 1 + n/4}
		if unit(&next) > i {
			break
		}
		at.add(next)
		i -= unit(&next)
		text = text[n:]
	}
	return at
}
