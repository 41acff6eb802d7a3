package sequence

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// ropeLeafCap is the capacity of a leaf in bytes and ropeNodeCap that of a node in
// children, chosen by measurement.
const (
	ropeLeafCap = 512
	ropeNodeCap = 16
	ropeMaxPath = 16 // nodes split in halves, so 8^16 leaves
)

// Rope is a text that is cheap to edit anywhere. Positions and lengths count Unicode code
// points (runes); UTF-8 and UTF-16 offsets can be converted. The zero value is the
// empty text. Reading is safe for concurrent use, while nothing edits the same Rope. A Rope must not
// be copied; see Snapshot.
//
// A Rope is a B+ tree of UTF-8 chunks, each with its size in bytes, runes and
// UTF-16 units. Snapshots share what has not been edited since.
//
// Invariant: a node is changed in place only by the Rope whose owner it carries.
type Rope struct {
	root   ropeLink // empty: the empty text
	height int      // levels of nodes above the leaves
	size   ropeSize
	owner  *ropeOwner
	last   ropeCursor // where the last edit was
}

// ropeOwner is an identity: two are the same only if they are one object.
type ropeOwner struct{ _ byte }

// ropeSize is the size of a stretch of text in each unit.
type ropeSize struct{ bytes, runes, units int }

func (s *ropeSize) add(o ropeSize) {
	s.bytes += o.bytes
	s.runes += o.runes
	s.units += o.units
}

func (s ropeSize) neg() ropeSize { return ropeSize{-s.bytes, -s.runes, -s.units} }

// ropeLink is a child: a leaf at level 0, a node above.
type ropeLink struct {
	leaf *ropeLeaf
	node *ropeNode
}

type ropeLeaf struct {
	owner *ropeOwner
	size  ropeSize
	text  [ropeLeafCap]byte
}

type ropeNode struct {
	owner *ropeOwner
	n     int
	kids  [ropeNodeCap]ropeLink
	sizes [ropeNodeCap]ropeSize
}

// ropeCursor is a leaf that the Rope may change in place, and the way to it.
type ropeCursor struct {
	leaf *ropeLeaf // nil: nowhere
	at   int       // runes before the leaf
	path [ropeMaxPath]ropeStep
	// The byte offset of a rune of the leaf, as a start for finding others.
	rune, byte int
}

type ropeStep struct {
	node *ropeNode
	i    int
}

// Len returns the length in runes.
func (r *Rope) Len() int { return r.size.runes }

// LenBytes returns the length in bytes of UTF-8.
func (r *Rope) LenBytes() int { return r.size.bytes }

// LenUTF16 returns the length in UTF-16 code units.
func (r *Rope) LenUTF16() int { return r.size.units }

// Snapshot returns the text as it is now, in constant time. Either Rope may go on being
// edited without the other seeing it, and from another goroutine.
func (r *Rope) Snapshot() *Rope {
	r.owner, r.last.leaf = nil, nil
	return &Rope{root: r.root, height: r.height, size: r.size}
}

// Insert puts s before the rune at pos, 0 <= pos <= Len(). Each byte of s that is not valid
// UTF-8 counts, and is kept, as one U+FFFD.
func (r *Rope) Insert(pos int, s string) {
	if pos < 0 || pos > r.size.runes {
		panic(fmt.Sprintf("sequence: insert at %d of a text of %d", pos, r.size.runes))
	}
	if !utf8.ValidString(s) {
		s = string([]rune(s))
	}
	for len(s) > 0 {
		l := r.reach(pos)
		b := r.last.seek(pos - r.last.at)
		room := ropeLeafCap - l.size.bytes
		switch {
		case len(s) <= room:
		case b == l.size.bytes && (len(s) > ropeLeafCap/2 || r.last.at+l.size.runes == r.size.runes):
			// Fill the leaf, and go on with a new one after it.
			for room > 0 && !utf8.RuneStart(s[room]) {
				room--
			}
			if room == 0 {
				r.splitLeaf(l.size.bytes)
				continue
			}
		case len(s) > ropeLeafCap/2:
			r.splitLeaf(b)
			continue
		default:
			half := ropeLeafCap / 2
			for !utf8.RuneStart(l.text[half]) {
				half--
			}
			r.splitLeaf(half)
			continue
		}
		piece := s[:min(room, len(s))]
		s = s[len(piece):]
		d := sizeOf(piece)
		copy(l.text[b+len(piece):], l.text[b:l.size.bytes])
		copy(l.text[b:], piece)
		l.size.add(d)
		r.grow(d)
		r.last.rune, r.last.byte = pos-r.last.at+d.runes, b+d.bytes
		pos += d.runes
	}
}

// Delete removes n runes at pos, 0 <= pos <= pos+n <= Len().
func (r *Rope) Delete(pos, n int) {
	if pos < 0 || n < 0 || pos+n > r.size.runes {
		panic(fmt.Sprintf("sequence: delete %d at %d of a text of %d", n, pos, r.size.runes))
	}
	for n > 0 {
		l := r.reach(pos)
		if r.last.at+l.size.runes == pos {
			l = r.reachNext(pos)
		}
		k := min(n, r.last.at+l.size.runes-pos)
		from := r.last.seek(pos - r.last.at)
		r.last.rune, r.last.byte = pos-r.last.at, from
		to := r.last.seek(pos - r.last.at + k)
		d := sizeOf(l.text[from:to]).neg()
		copy(l.text[from:], l.text[to:l.size.bytes])
		l.size.add(d)
		r.grow(d)
		n -= k
		if l.size.bytes < ropeLeafCap/4 && r.height > 0 {
			r.thin()
		}
	}
}

// sizeOf measures valid UTF-8.
func sizeOf[T string | []byte](s T) ropeSize {
	d := ropeSize{bytes: len(s)}
	for i := range len(s) {
		if c := s[i]; c&0xC0 != 0x80 {
			d.runes++
			if c >= 0xF0 {
				d.units++
			}
		}
	}
	d.units += d.runes
	return d
}

// seek returns the byte offset of a rune of the leaf.
func (c *ropeCursor) seek(k int) int {
	l := c.leaf
	if l.size.bytes == l.size.runes {
		return k
	}
	if k == l.size.runes {
		return l.size.bytes
	}
	at, b := 0, 0
	if c.rune <= k {
		at, b = c.rune, c.byte
	} else if k > c.rune/2 {
		for at, b = c.rune, c.byte; at > k; {
			b--
			if utf8.RuneStart(l.text[b]) {
				at--
			}
		}
		return b
	}
	return skipRunes(l.text[:l.size.bytes], b, k-at)
}

// skipRunes returns the offset of the k-th rune of text from offset b on.
func skipRunes(text []byte, b, k int) int {
	for k > 0 {
		b++
		for b < len(text) && !utf8.RuneStart(text[b]) {
			b++
		}
		k--
	}
	return b
}

// grow adds d, the change of the cursor's leaf, to what lies above it.
func (r *Rope) grow(d ropeSize) {
	r.size.add(d)
	for i := range r.height {
		s := &r.last.path[i]
		s.node.sizes[s.i].add(d)
	}
}

// reach moves the cursor to a leaf that holds position pos, or ends there, and makes
// the leaf and all above it the Rope's own.
func (r *Rope) reach(pos int) *ropeLeaf {
	c := &r.last
	if c.leaf != nil && c.at <= pos && pos <= c.at+c.leaf.size.runes {
		return c.leaf
	}
	if r.owner == nil {
		r.owner = new(ropeOwner)
	}
	if r.root == (ropeLink{}) {
		r.root.leaf = &ropeLeaf{owner: r.owner}
	}
	c.at, c.rune, c.byte = 0, 0, 0
	link := &r.root
	for h := range r.height {
		n := r.own(link)
		i := 0
		for i < n.n-1 && pos-c.at > n.sizes[i].runes {
			c.at += n.sizes[i].runes
			i++
		}
		c.path[h] = ropeStep{n, i}
		link = &n.kids[i]
	}
	c.leaf = r.ownLeaf(link)
	return c.leaf
}

// reachNext moves the cursor from a leaf that ends at pos to the next.
func (r *Rope) reachNext(pos int) *ropeLeaf {
	c := &r.last
	h := r.height - 1
	for c.path[h].i == c.path[h].node.n-1 {
		h--
	}
	c.path[h].i++
	for ; h < r.height-1; h++ {
		c.path[h+1] = ropeStep{node: r.own(&c.path[h].node.kids[c.path[h].i])}
	}
	c.leaf = r.ownLeaf(&c.path[h].node.kids[c.path[h].i])
	c.at, c.rune, c.byte = pos, 0, 0
	return c.leaf
}

func (r *Rope) own(link *ropeLink) *ropeNode {
	if link.node.owner != r.owner {
		n := *link.node
		n.owner = r.owner
		link.node = &n
	}
	return link.node
}

func (r *Rope) ownLeaf(link *ropeLink) *ropeLeaf {
	if link.leaf.owner != r.owner {
		l := &ropeLeaf{owner: r.owner, size: link.leaf.size}
		copy(l.text[:], link.leaf.text[:l.size.bytes])
		link.leaf = l
	}
	return link.leaf
}

// splitLeaf moves what the cursor's leaf holds from byte b on to a new leaf after it. The
// cursor goes along if that is nothing.
func (r *Rope) splitLeaf(b int) {
	c := &r.last
	l := c.leaf
	fresh := &ropeLeaf{owner: r.owner}
	copy(fresh.text[:], l.text[b:l.size.bytes])
	fresh.size = sizeOf(l.text[b:l.size.bytes])
	l.size.add(fresh.size.neg())
	c.rune, c.byte = 0, 0
	at := c.at + l.size.runes
	r.addSibling(r.height-1, ropeLink{leaf: fresh}, fresh.size)
	if fresh.size.bytes == 0 {
		// To the end of l and to the start of fresh are one position; the caller wants the latter.
		r.reachNext(at)
	}
}

// addSibling puts a new child after the one at level h of the cursor's path, from
// which it took over size. The path then leads to the older of the two.
func (r *Rope) addSibling(h int, link ropeLink, size ropeSize) {
	c := &r.last
	if h < 0 {
		root := &ropeNode{owner: r.owner, n: 2}
		root.kids[0], root.kids[1] = r.root, link
		root.sizes[0], root.sizes[1] = r.size, size
		root.sizes[0].add(size.neg())
		r.root = ropeLink{node: root}
		copy(c.path[1:], c.path[:r.height])
		c.path[0] = ropeStep{root, 0}
		r.height++
		return
	}
	n := c.path[h].node
	if n.n == ropeNodeCap {
		const keep = ropeNodeCap / 2
		right := &ropeNode{owner: r.owner, n: ropeNodeCap - keep}
		copy(right.kids[:], n.kids[keep:])
		copy(right.sizes[:], n.sizes[keep:])
		clear(n.kids[keep:])
		clear(n.sizes[keep:])
		n.n = keep
		var moved ropeSize
		for i := range right.n {
			moved.add(right.sizes[i])
		}
		before := r.height
		r.addSibling(h-1, ropeLink{node: right}, moved)
		h += r.height - before
		if c.path[h].i >= keep {
			c.path[h] = ropeStep{right, c.path[h].i - keep}
			c.path[h-1].i++
			n = right
		}
	}
	i := c.path[h].i
	n.sizes[i].add(size.neg())
	copy(n.kids[i+2:], n.kids[i+1:n.n])
	copy(n.sizes[i+2:], n.sizes[i+1:n.n])
	n.kids[i+1], n.sizes[i+1] = link, size
	n.n++
}

// thin joins the cursor's leaf, which holds little, with the one before or after it if
// they fit in one, and takes it out if it is empty.
func (r *Rope) thin() {
	const full = ropeLeafCap * 3 / 4
	c := &r.last
	h := r.height - 1
	n, i, l := c.path[h].node, c.path[h].i, c.leaf
	switch {
	case l.size.bytes == 0:
		c.leaf = nil
		r.dropChild(h, i)
	case i+1 < n.n && l.size.bytes+n.sizes[i+1].bytes <= full:
		next := n.kids[i+1].leaf
		copy(l.text[l.size.bytes:], next.text[:next.size.bytes])
		l.size.add(next.size)
		n.sizes[i] = l.size
		r.dropChild(h, i+1)
	case i > 0 && l.size.bytes+n.sizes[i-1].bytes <= full:
		prev := n.kids[i-1].leaf
		copy(l.text[prev.size.bytes:], l.text[:l.size.bytes])
		copy(l.text[:], prev.text[:prev.size.bytes])
		l.size.add(prev.size)
		n.sizes[i] = l.size
		c.at -= prev.size.runes
		c.rune, c.byte = 0, 0
		c.path[h].i--
		r.dropChild(h, i-1)
	}
}

// dropChild takes child i out of the node at level h of the cursor's path, the node
// itself if that was its last, and nodes with one child from the top.
func (r *Rope) dropChild(h, i int) {
	n := r.last.path[h].node
	copy(n.kids[i:], n.kids[i+1:n.n])
	copy(n.sizes[i:], n.sizes[i+1:n.n])
	n.n--
	n.kids[n.n], n.sizes[n.n] = ropeLink{}, ropeSize{}
	if n.n == 0 {
		if h == 0 {
			r.root, r.height = ropeLink{}, 0
			return
		}
		r.dropChild(h-1, r.last.path[h-1].i)
		return
	}
	for r.height > 0 && r.root.node.n == 1 {
		r.root = r.root.node.kids[0]
		r.height--
		copy(r.last.path[:], r.last.path[1:])
	}
}

// Slice returns the text of the runes [from, to), 0 <= from <= to <= Len().
func (r *Rope) Slice(from, to int) string {
	if from < 0 || from > to || to > r.size.runes {
		panic(fmt.Sprintf("sequence: slice [%d, %d) of a text of %d", from, to, r.size.runes))
	}
	a, b := r.find(byRunes, from), r.find(byRunes, to)
	var out strings.Builder
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
		yield(link.leaf.text[from:to])
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
	text := link.leaf.text[:link.leaf.size.bytes]
	if link.leaf.size.bytes == link.leaf.size.runes {
		k := i - unit(&at)
		at.add(ropeSize{k, k, k})
		return at
	}
	for {
		_, n := utf8.DecodeRune(text)
		next := at
		next.add(ropeSize{bytes: n, runes: 1, units: 1 + n/4})
		if unit(&next) > i {
			return at
		}
		at, text = next, text[n:]
	}
}
