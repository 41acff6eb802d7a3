package sequence

import "unicode/utf8"

// ropeLeafFill is how much is put into a leaf that is made whole: with a little room to spare, so that the first edit does
// not split it.
const ropeLeafFill = ropeLeafCap - ropeLeafCap/32

// ropeBuilder makes a tree of full leaves and nodes out of text that comes in order.
type ropeBuilder struct {
	gen    uint64
	left   int         // bytes still to come
	leaf   *ropeLeaf   // being filled
	levels []*ropeNode // being filled: the parents of leaves first
}

// write adds text, which is valid UTF-8 and ends with a rune.
func (b *ropeBuilder) write(text []byte) {
	for len(text) > 0 {
		if b.leaf == nil {
			b.leaf = newRopeLeaf(b.gen, min(b.left, ropeLeafCap))
		}
		l := b.leaf
		n := min(len(text), ropeLeafFill-l.size.bytes)
		for n < len(text) && !utf8.RuneStart(text[n]) {
			n--
		}
		l.fill(text[:n])
		b.left -= n
		if text = text[n:]; len(text) > 0 {
			b.flush()
		}
	}
}

// flush puts the leaf being filled into the tree.
func (b *ropeBuilder) flush() {
	b.add(0, ropeLink{leaf: b.leaf}, b.leaf.size)
	b.leaf = nil
}

// add puts a child into the node being filled at a level, and that into its parent when it is full.
func (b *ropeBuilder) add(level int, link ropeLink, size ropeSize) {
	if level == len(b.levels) {
		b.levels = append(b.levels, &ropeNode{gen: b.gen})
	}
	n := b.levels[level]
	if n.n == ropeNodeCap {
		b.add(level+1, ropeLink{node: n}, n.total())
		n = &ropeNode{gen: b.gen}
		b.levels[level] = n
	}
	n.kids[n.n], n.sizes[n.n] = link, size
	n.n++
}

// finish makes r what was written.
func (b *ropeBuilder) finish(r *Rope) {
	*r = Rope{gen: b.gen}
	if b.leaf != nil {
		b.flush()
	}
	for level := 0; level < len(b.levels); level++ {
		n := b.levels[level]
		if level == len(b.levels)-1 {
			r.root, r.height, r.size = ropeLink{node: n}, level+1, n.total()
			break
		}
		b.add(level+1, ropeLink{node: n}, n.total())
	}
	r.lower()
}

// total returns the size of all that lies below n.
func (n *ropeNode) total() (sum ropeSize) {
	for i := range n.n {
		sum.add(n.sizes[i])
	}
	return sum
}

// load makes r, which is empty, hold s, which is valid UTF-8.
func (r *Rope) load(s string) {
	b := ropeBuilder{gen: r.gen, left: len(s)}
	var buf [ropeLeafCap]byte
	for len(s) > 0 {
		n := min(len(s), len(buf))
		for n < len(s) && !utf8.RuneStart(s[n]) {
			n--
		}
		copy(buf[:], s[:n])
		b.write(buf[:n])
		s = s[n:]
	}
	b.finish(r)
}

// Compact makes a text that is not being edited take little more memory than its bytes, where one that is may take
// half as much again. Its cost is that of the text, unless it is compact already. Snapshots keep what they have.
func (r *Rope) Compact() {
	if r.room(r.root, r.height)-r.size.bytes <= r.size.bytes/16+128 {
		return
	}
	b := ropeBuilder{gen: r.gen, left: r.size.bytes}
	r.chunks(r.root, r.height, 0, r.size.bytes, b.write)
	b.finish(r)
}

// room returns how much text there is room for in the leaves below link.
func (r *Rope) room(link ropeLink, h int) int {
	if link == (ropeLink{}) {
		return 0
	}
	if h == 0 {
		return len(link.leaf.text)
	}
	sum := 0
	for _, kid := range link.node.kids[:link.node.n] {
		sum += r.room(kid, h-1)
	}
	return sum
}
