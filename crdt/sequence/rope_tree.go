package sequence

import "slices"

// splitLeaf moves what the cursor's leaf holds from byte b on, where its k-th rune starts, to a new leaf after it. The
// cursor goes along if that is nothing.
func (r *Rope) splitLeaf(b, k int) {
	c := &r.last
	l := c.leaf
	l.move(b, k)
	fresh := newRopeLeaf(r.gen, l.size.bytes-b)
	fresh.fill(l.right())
	l.size.add(fresh.size.neg())
	at := c.at + k
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
		root := &ropeNode{gen: r.gen, n: 2}
		root.kids[0], root.kids[1] = r.root, link
		root.sizes[0], root.sizes[1] = r.size, size
		root.sizes[0].add(size.neg())
		r.root = ropeLink{node: root}
		c.path = slices.Insert(c.path[:r.height], 0, ropeStep{node: root})
		r.height++
		return
	}
	n := c.path[h].node
	if n.n == ropeNodeCap {
		const keep = ropeNodeCap / 2
		right := &ropeNode{gen: r.gen, n: ropeNodeCap - keep}
		copy(right.kids[:], n.kids[keep:])
		copy(right.sizes[:], n.sizes[keep:])
		clear(n.kids[keep:])
		clear(n.sizes[keep:])
		n.n = keep
		moved := right.total()
		before := r.height
		r.addSibling(h-1, ropeLink{node: right}, moved)
		h += r.height - before
		if c.path[h].i >= keep {
			c.path[h] = ropeStep{right, c.path[h].i - keep, c.path[h].at + n.total().runes}
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
	const full = ropeLeafCap * 7 / 8
	c := &r.last
	h := r.height - 1
	n, i, l := c.path[h].node, c.path[h].i, c.leaf
	switch {
	case l.size.bytes == 0:
		c.leaf = nil
		r.dropChild(h, i)
	case i+1 < n.n && l.size.bytes+n.sizes[i+1].bytes <= full:
		l.take(n.kids[i+1].leaf)
		n.sizes[i] = l.size
		r.dropChild(h, i+1)
	case i > 0 && l.size.bytes+n.sizes[i-1].bytes <= full:
		prev := r.ownLeaf(&n.kids[i-1])
		c.leaf, c.at = prev, c.at-prev.size.runes
		prev.take(l)
		c.path[h].i--
		n.sizes[i-1] = prev.size
		r.dropChild(h, i)
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
	r.lower()
}

// lower takes nodes with one child off the top.
func (r *Rope) lower() {
	for r.height > 0 && r.root.node.n == 1 {
		r.root = r.root.node.kids[0]
		r.height--
		if len(r.last.path) > r.height {
			r.last.path = r.last.path[1:]
		}
	}
}
