package sequence

// finger is a leaf, and how much comes before it.
type finger struct {
	leaf         int32 // none if there is no finger
	seen, merged int32
}

// seek finds the span that holds position pos of the sequence some author saw, which must
// be below total.seen. off is the position within the span; merged is the merged width
// of all that comes before the span.
func (t *spanTree) seek(position int) (p place, off, merged int) {
	t.flush()
	return t.from(t.descend(int32(position)), int32(position))
}

// fingerReach is how many leaves away from its finger a tree looks for a position before it starts at the root.
const fingerReach = 4

// seekNear is seek, and leaves a finger where it arrives. The next call finds what is not far from there without a look at the nodes, or a need for
// them to be true.
func (t *spanTree) seekNear(position int) (p place, off, merged int) {
	pos := int32(position)
	f := t.finger
	left := fingerReach
	if f.leaf != none {
		if within := fingerReach * max(t.leaves[f.leaf].w.seen, leafCap); pos < f.seen-within || pos >= f.seen+within {
			left = 0 // it would hardly be reached
		}
	}
	for ; ; left-- {
		if left == 0 || f.leaf == none {
			t.flush()
			f = t.descend(pos)
			break
		}
		l := &t.leaves[f.leaf]
		if pos < f.seen {
			if f.leaf = l.prev; f.leaf != none {
				l = &t.leaves[f.leaf]
				f.seen -= l.w.seen
				f.merged -= l.w.merged
			}
			continue
		}
		if pos < f.seen+l.w.seen {
			break
		}
		f.leaf = l.next
		f.seen += l.w.seen
		f.merged += l.w.merged
	}
	t.finger = f
	return t.from(f, pos)
}

// descend finds the leaf that holds a position of the seen sequence.
func (t *spanTree) descend(pos int32) finger {
	f := finger{leaf: t.root}
	for h := t.height; h > 0; h-- {
		n := &t.nodes[f.leaf]
		i := 0
		for pos >= f.seen+n.w[i].seen {
			f.seen += n.w[i].seen
			f.merged += n.w[i].merged
			i++
		}
		f.leaf = n.kids[i]
	}
	return f
}

// from finds the span that holds a position of the seen sequence in a leaf.
func (t *spanTree) from(f finger, pos int32) (p place, off, merged int) {
	slot, in, before := t.leaves[f.leaf].seek(pos - f.seen)
	return place{f.leaf, slot}, int(in), int(f.merged + before)
}

// nextSeen returns the place of the first span after p that the author sees, and the merged width of all between the two, and
// false if there is none near.
func (t *spanTree) nextSeen(p place) (q place, merged int, ok bool) {
	q = place{p.leaf, p.slot + 1}
	sum := int32(0)
	for range fingerReach {
		l := &t.leaves[q.leaf]
		for ; q.slot < int(l.n); q.slot++ {
			c := l.in[q.slot]
			if c&inSeen != 0 {
				return q, int(sum), true
			}
			if c&inMerged != 0 {
				sum += l.ns[q.slot]
			}
		}
		if l.next == none {
			break
		}
		q = place{l.next, 0}
	}
	return q, 0, false
}

// seek is spanTree.seek within a leaf.
func (l *spanLeaf) seek(pos int32) (slot int, off, merged int32) {
	for i, n := range l.ns {
		c := l.in[i]
		seen := n & -int32(c&inSeen)
		if pos < seen {
			return i, pos, merged
		}
		pos -= seen
		merged += n & -int32(c&inMerged>>1)
	}
	panic("sequence: position is not in its leaf")
}

// seekIn is seek for another of the sequences.
func (t *spanTree) seekIn(c counts, position int) (p place, off int) {
	t.flush()
	pos := int32(position)
	at := t.root
	for h := t.height; h > 0; h-- {
		n := &t.nodes[at]
		i := 0
		for w := n.w[i].in(c); pos >= w; w = n.w[i].in(c) {
			pos -= w
			i++
		}
		at = n.kids[i]
	}
	l := &t.leaves[at]
	i := 0
	for ; l.in[i]&c == 0 || pos >= l.ns[i]; i++ {
		if l.in[i]&c != 0 {
			pos -= l.ns[i]
		}
	}
	return place{at, i}, int(pos)
}

// known returns the first place from p on, settled, of a span that the author knows, or else the end.
func (t *spanTree) known(p place) place {
	for range 2 {
		l := &t.leaves[p.leaf]
		if l.w.known > 0 { // in a crowd hardly any leaf has one
			for ; p.slot < int(l.n); p.slot++ {
				if l.in[p.slot]&inKnown != 0 {
					return p
				}
			}
		}
		if l.next == none {
			return place{p.leaf, int(l.n)}
		}
		p = place{l.next, 0}
	}
	t.flush()
	child, level := t.leaves[p.leaf].prev, 0
	up := t.leaves[child].parent
	for up != none {
		n := &t.nodes[up]
		i := n.find(child)
		for i++; i < int(n.n); i++ {
			if n.w[i].known > 0 {
				return t.firstKnown(n.kids[i], level)
			}
		}
		child, up = up, n.parent
		level++
	}
	at := t.root
	for h := t.height; h > 0; h-- {
		n := &t.nodes[at]
		at = n.kids[n.n-1]
	}
	return place{at, int(t.leaves[at].n)}
}

// firstKnown returns the place of the first span that the author knows below a leaf (level 0) or node, which has one.
func (t *spanTree) firstKnown(at int32, level int) place {
	for ; level > 0; level-- {
		n := &t.nodes[at]
		i := 0
		for n.w[i].known == 0 {
			i++
		}
		at = n.kids[i]
	}
	l := &t.leaves[at]
	i := 0
	for l.in[i]&inKnown == 0 {
		i++
	}
	return place{at, i}
}

// before returns the width of all that comes before the span at p.
func (t *spanTree) before(p place) width {
	t.flush()
	var sum width
	l := &t.leaves[p.leaf]
	for i := range p.slot {
		sum.add(l.in[i].width(l.ns[i]))
	}
	child, up := p.leaf, l.parent
	for up != none {
		n := &t.nodes[up]
		for i := 0; n.kids[i] != child; i++ {
			sum.add(n.w[i])
		}
		child, up = up, n.parent
	}
	return sum
}

// seenBefore is before for the sequence some author saw alone. It needs all widths to be true.
func (t *spanTree) seenBefore(p place) int {
	l := &t.leaves[p.leaf]
	sum := int32(0)
	for i, n := range l.ns[:p.slot] {
		sum += n & -int32(l.in[i]&inSeen)
	}
	if p.leaf == t.finger.leaf {
		return int(t.finger.seen + sum)
	}
	for child, up := p.leaf, l.parent; up != none; {
		n := &t.nodes[up]
		for i := 0; n.kids[i] != child; i++ {
			sum += n.w[i].seen
		}
		child, up = up, n.parent
	}
	return int(sum)
}

// compare orders spans by document order.
func (t *spanTree) compare(a, b int32) int {
	if a == b {
		return 0
	}
	pa, pb := t.at(a), t.at(b)
	if pa.leaf == pb.leaf {
		return pa.slot - pb.slot
	}
	ca, cb := pa.leaf, pb.leaf
	ua, ub := t.leaves[ca].parent, t.leaves[cb].parent
	for ua != ub {
		ca, ua = ua, t.nodes[ua].parent
		cb, ub = ub, t.nodes[ub].parent
	}
	for _, kid := range t.nodes[ua].kids {
		if kid == ca {
			return -1
		}
		if kid == cb {
			return 1
		}
	}
	panic("sequence: node does not hold its children")
}
