package sequence

import (
	"math/bits"
	"slices"
)

// ropeLeaf is a chunk of text with a gap in it where it was edited last, so that the next edit there moves
// nothing: a gap buffer. Offsets count the bytes of the text alone.
type ropeLeaf struct {
	gen      uint64
	size     ropeSize
	gap      int    // bytes before the gap, which is all that is free
	gapRunes int    // runes before it
	text     []byte // grows up to ropeLeafCap
}

// ropeRoom returns how much a leaf that holds n bytes takes: what the allocator gives, with little to spare.
func ropeRoom(n int) int {
	if n <= 256 {
		return 1 << max(5, bits.Len(uint(n-1)))
	}
	return (n + 127) &^ 127
}

// newRopeLeaf returns an empty leaf with room for n bytes.
func newRopeLeaf(gen uint64, n int) *ropeLeaf {
	return &ropeLeaf{gen: gen, text: make([]byte, ropeRoom(n))}
}

// copyFor returns a copy that may be changed in place by who has gen.
func (l *ropeLeaf) copyFor(gen uint64) *ropeLeaf {
	c := *l
	c.gen, c.text = gen, slices.Clone(l.text)
	return &c
}

// resize makes l take as much as one that holds n bytes.
func (l *ropeLeaf) resize(n int) {
	right := l.right()
	text := make([]byte, ropeRoom(n))
	copy(text, l.text[:l.gap])
	copy(text[len(text)-len(right):], right)
	l.text = text
}

// reserve makes room for n more bytes, and for half as much as there was, so that a leaf that grows is not copied for every word.
func (l *ropeLeaf) reserve(n int) {
	if n += l.size.bytes; n > len(l.text) {
		l.resize(max(n, min(len(l.text)*3/2, ropeLeafCap)))
	}
}

// ascii reports whether each rune of l is one byte.
func (l *ropeLeaf) ascii() bool { return l.size.bytes == l.size.runes }

// right returns the text after the gap.
func (l *ropeLeaf) right() []byte { return l.text[len(l.text)-(l.size.bytes-l.gap):] }

// pieces returns the text of the bytes [from, to): what of it is before the gap, and what after.
func (l *ropeLeaf) pieces(from, to int) (left, right []byte) {
	if to <= l.gap {
		return l.text[from:to], nil
	}
	right = l.right()[max(from-l.gap, 0) : to-l.gap]
	if from < l.gap {
		left = l.text[from:l.gap]
	}
	return left, right
}

// part returns the size of the bytes [from, to), which start and end with runes.
func (l *ropeLeaf) part(from, to int) ropeSize {
	if l.ascii() {
		return ropeSize{to - from, to - from, to - from}
	}
	left, right := l.pieces(from, to)
	d := sizeOf(left)
	d.add(sizeOf(right))
	return d
}

// offset returns the byte offset of the k-th rune.
func (l *ropeLeaf) offset(k int) int {
	switch {
	case l.ascii():
		return k
	case k > l.gapRunes:
		return l.gap + skipRunes(l.right(), k-l.gapRunes)
	case k > l.gapRunes/2:
		return backRunes(l.text[:l.gap], l.gapRunes-k)
	}
	return skipRunes(l.text[:l.gap], k)
}

// move moves the gap to offset b, which is that of the k-th rune.
func (l *ropeLeaf) move(b, k int) {
	end := len(l.text) - (l.size.bytes - l.gap)
	if b < l.gap {
		copy(l.text[end-(l.gap-b):end], l.text[b:l.gap])
	} else {
		copy(l.text[l.gap:], l.text[end:end+(b-l.gap)])
	}
	l.gap, l.gapRunes = b, k
}

// insert puts s, for which there must be room, at offset b, that of the k-th rune, and returns its size.
func (l *ropeLeaf) insert(b, k int, s string) ropeSize {
	if b != l.gap {
		l.move(b, k)
	}
	l.reserve(len(s))
	end := b + copy(l.text[b:], s)
	d := sizeOf(l.text[b:end])
	l.size.add(d)
	l.gap, l.gapRunes = end, k+d.runes
	return d
}

// delete removes the bytes [from, to), the first of which starts the k-th rune, and returns their size.
func (l *ropeLeaf) delete(from, to, k int) ropeSize {
	d := l.part(from, to)
	switch {
	case l.gap < from:
		l.move(from, k)
	case l.gap > to:
		l.move(to, k+d.runes)
	}
	l.size.add(d.neg())
	l.gap, l.gapRunes = from, k
	return d
}

// fill appends text, for which there must be room.
func (l *ropeLeaf) fill(text []byte) {
	if l.gap != l.size.bytes {
		l.move(l.size.bytes, l.size.runes)
	}
	l.reserve(len(text))
	copy(l.text[l.gap:], text)
	l.size.add(sizeOf(text))
	l.gap, l.gapRunes = l.size.bytes, l.size.runes
}

// take appends all of another leaf, for which there must be room.
func (l *ropeLeaf) take(o *ropeLeaf) {
	left, right := o.pieces(0, o.size.bytes)
	l.fill(left)
	l.fill(right)
}
