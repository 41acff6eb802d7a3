package sequence

// spanLeaf holds spans that stand next to each other, told by the arena they are in, with what a search among them needs. What comes before
// refs is one line of a processor's cache, and all that a span which is counted otherwise changes.
type spanLeaf struct {
	parent     int32
	prev, next int32
	n          int16
	dirty      bool  // its parent does not know w
	index      uint8 // where it stood in its parent when that was looked for
	w          width // of all its spans
	in         [leafCap]counts
	refs       [leafCap]int32
	ns         [leafCap]int32 // how many elements each span has
}

// shift moves the spans of l from one slot on to another.
func (l *spanLeaf) shift(from, to int) {
	copy(l.refs[to:], l.refs[from:l.n])
	copy(l.ns[to:], l.ns[from:l.n])
	copy(l.in[to:], l.in[from:l.n])
}

// set makes a slot that of a span of n elements.
func (l *spanLeaf) set(slot int, ref, n int32, c counts) {
	l.refs[slot], l.ns[slot], l.in[slot] = ref, n, c
}

// open makes room at p and puts ref there, and leaves all widths as they are.
func (t *spanTree) open(p place, ref int32, c counts) place {
	if t.leaves[p.leaf].n == leafCap {
		p = t.splitLeaf(p)
	}
	l := &t.leaves[p.leaf]
	if p.slot < int(l.n) {
		l.shift(p.slot, p.slot+1)
	}
	l.set(p.slot, ref, t.spans[ref].n, c)
	l.n++
	t.spans[ref].where = whereIn(p.leaf, p.slot)
	return p
}

// splitLeaf moves the upper half of the full leaf of p to a new one, or nothing if p is the end of
// the sequence, and returns where p is now.
func (t *spanTree) splitLeaf(p place) place {
	var fresh int32
	if n := len(t.freeLeaves); n > 0 {
		fresh = t.freeLeaves[n-1]
		t.freeLeaves = t.freeLeaves[:n-1]
	} else {
		fresh = int32(len(t.leaves))
		if len(t.leaves) == cap(t.leaves) {
			t.leaves = longer(t.leaves, t.outlook)
		}
		t.leaves = append(t.leaves, spanLeaf{})
	}
	old, l := &t.leaves[p.leaf], &t.leaves[fresh]
	keep := leafCap / 2
	if p.slot == leafCap && old.next == none {
		keep = leafCap
	}
	*l = spanLeaf{parent: old.parent, prev: p.leaf, next: old.next}
	old.next = fresh
	if l.next != none {
		t.leaves[l.next].prev = fresh
	}
	old.pour(t, keep, fresh)
	t.addSibling(p.leaf, fresh, l.w, 0)
	if p.slot > keep || keep == leafCap {
		return place{fresh, p.slot - keep}
	}
	return p
}

// pour moves the spans of l from a slot on to the end of another leaf, and with them their width.
func (l *spanLeaf) pour(t *spanTree, from int, to int32) {
	r := &t.leaves[to]
	had, n := int(r.n), int(l.n)-from
	copy(r.refs[had:], l.refs[from:l.n])
	copy(r.ns[had:], l.ns[from:l.n])
	copy(r.in[had:], l.in[from:l.n])
	var w width
	for i := from; i < int(l.n); i++ {
		t.spans[l.refs[i]].where = whereIn(to, had+i-from)
		w.add(l.in[i].width(l.ns[i]))
	}
	l.n = int16(from)
	r.n += int16(n)
	l.w.sub(w)
	r.w.add(w)
}

// dropLeaf takes an empty leaf out of a tree that has others.
func (t *spanTree) dropLeaf(leaf int32) {
	t.widen(t.leaves[leaf].parent, t.handUp(leaf))
	t.finger.leaf = none
	l := &t.leaves[leaf]
	if l.prev != none {
		t.leaves[l.prev].next = l.next
	} else {
		t.first = l.next
	}
	if l.next != none {
		t.leaves[l.next].prev = l.prev
	}
	t.freeLeaves = append(t.freeLeaves, leaf)
	t.dropChild(l.parent, leaf)
}

// joinNext moves the spans of the next leaf, a sibling, into leaf.
func (t *spanTree) joinNext(leaf int32) {
	from := t.leaves[leaf].next
	t.leaves[from].pour(t, 0, leaf)
	t.widen(t.leaves[leaf].parent, t.handUp(leaf))
	t.dropLeaf(from)
}
