package sequence

// seek finds the span that holds position pos of the sequence some author saw, which must
// be below total.seen. off is the position within the span; merged is the merged width
// of all that comes before the span.
func (t *spanTree) seek(position int) (p place, off, merged int) {
	t.flush()
	pos, sum := int32(position), int32(0)
	at := t.root
	for h := t.height; h > 0; h-- {
		n := &t.nodes[at]
		i := 0
		for pos >= n.w[i].seen {
			pos -= n.w[i].seen
			sum += n.w[i].merged
			i++
		}
		at = n.kids[i]
	}
	l := &t.leaves[at]
	i := 0
	for pos >= l.w[i].seen {
		pos -= l.w[i].seen
		sum += l.w[i].merged
		i++
	}
	return place{at, i}, int(pos), int(sum)
}

// seekBy is seek for another of the sequences: the one that count gives the width in.
func (t *spanTree) seekBy(count func(w *width) int32, position int) (p place, off int) {
	t.flush()
	pos := int32(position)
	at := t.root
	for h := t.height; h > 0; h-- {
		n := &t.nodes[at]
		i := 0
		for c := count(&n.w[i]); pos >= c; c = count(&n.w[i]) {
			pos -= c
			i++
		}
		at = n.kids[i]
	}
	l := &t.leaves[at]
	i := 0
	for c := count(&l.w[i]); pos >= c; c = count(&l.w[i]) {
		pos -= c
		i++
	}
	return place{at, i}, int(pos)
}

// known returns the first place from p on, settled, of a span that the author knows, or else the end.
func (t *spanTree) known(p place) place {
	for l := &t.leaves[p.leaf]; p.slot < int(l.n); p.slot++ {
		if l.w[p.slot].known > 0 {
			return p
		}
	}
	t.flush()
	child, up, level := p.leaf, t.leaves[p.leaf].parent, 0
	for up != none {
		n := &t.nodes[up]
		i := int32(0)
		for n.kids[i] != child {
			i++
		}
		for i++; i < n.n; i++ {
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
	for l.w[i].known == 0 {
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
		sum.add(l.w[i])
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
