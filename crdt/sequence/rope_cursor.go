package sequence

// ropeCursor is a leaf that the Rope may change in place, and the way to it.
type ropeCursor struct {
	leaf *ropeLeaf  // nil: nowhere
	at   int        // runes before the leaf
	path []ropeStep // one for each level of nodes, from the root
}

// ropeStep is a node on the way to a leaf, and which of its children goes on.
type ropeStep struct {
	node *ropeNode
	i    int
	at   int // runes before the node
}

// grow adds d, the change of the cursor's leaf, to what lies above it.
func (r *Rope) grow(d ropeSize) {
	r.size.add(d)
	for i := range r.last.path[:r.height] {
		s := &r.last.path[i]
		s.node.sizes[s.i].add(d)
	}
}

// reach moves the cursor to a leaf that holds position pos, or ends there, and makes
// the leaf and all above it the Rope's own.
func (r *Rope) reach(pos int) *ropeLeaf {
	if c := &r.last; c.leaf != nil && c.at <= pos && pos <= c.at+c.leaf.size.runes {
		return c.leaf
	}
	return r.travel(pos)
}

// travel is reach where the cursor is elsewhere. It goes up from there only as far as it must: the next edit is mostly
// not far.
func (r *Rope) travel(pos int) *ropeLeaf {
	c := &r.last
	h := 0
	if c.leaf != nil {
		for h = r.height - 1; h > 0; h-- {
			up := &c.path[h-1]
			if at := c.path[h].at; at <= pos && pos <= at+up.node.sizes[up.i].runes {
				break
			}
		}
	} else {
		if r.root == (ropeLink{}) {
			r.root.leaf = newRopeLeaf(r.gen, 0)
		}
		if len(c.path) < r.height {
			c.path = make([]ropeStep, r.height)
		}
	}
	link, at := &r.root, 0
	if h > 0 {
		up := &c.path[h-1]
		link, at = &up.node.kids[up.i], c.path[h].at
	}
	for ; h < r.height; h++ {
		n := r.own(link)
		start, i := at, 0
		for i < n.n-1 && pos-at > n.sizes[i].runes {
			at += n.sizes[i].runes
			i++
		}
		c.path[h] = ropeStep{n, i, start}
		link = &n.kids[i]
	}
	c.at = at
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
		c.path[h+1] = ropeStep{node: r.own(&c.path[h].node.kids[c.path[h].i]), at: pos}
	}
	c.leaf = r.ownLeaf(&c.path[h].node.kids[c.path[h].i])
	c.at = pos
	return c.leaf
}

// own returns the node of link, in its place a copy if the Rope may not change it.
func (r *Rope) own(link *ropeLink) *ropeNode {
	if link.node.gen != r.gen {
		n := *link.node
		n.gen = r.gen
		link.node = &n
	}
	return link.node
}

// ownLeaf is own for a leaf.
func (r *Rope) ownLeaf(link *ropeLink) *ropeLeaf {
	if link.leaf.gen != r.gen {
		link.leaf = link.leaf.copyFor(r.gen)
	}
	return link.leaf
}
