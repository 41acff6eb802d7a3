package sequence

import (
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// leafCap and nodeCap are the fan-outs of a spanTree, chosen by measurement.
const (
	leafCap = 24
	nodeCap = 16
)

// none stands for the absence of a leaf, node or item.
const none int32 = -1

// width is how long a span is in what a spanTree counts: the sequence some author saw, the merged one, the
// elements whose insertion that author saw, and those that stood there at a tracker's base.
type width struct{ seen, merged, known, old int32 }

func (w *width) add(d width) {
	w.seen += d.seen
	w.merged += d.merged
	w.known += d.known
	w.old += d.old
}

func (w *width) sub(d width) {
	w.seen -= d.seen
	w.merged -= d.merged
	w.known -= d.known
	w.old -= d.old
}

// of returns the width of n elements of a span of the given width, which has as much of each.
func (w width) of(n int32) width {
	return width{min(w.seen, n), min(w.merged, n), min(w.known, n), min(w.old, n)}
}

// span is n elements that stand next to each other, with consecutive ids from id on. A sequence has fewer than 2^31 elements.
type span struct {
	id   causal.LV
	n    int32
	leaf int32
}

func (s *span) end() causal.LV { return s.id + causal.LV(s.n) }

// spanTree keeps spans in document order: an order-statistic B+ tree that finds a
// position in any of the sequences that width counts. The
// spans live in an arena and are named by their place there (ref), which stays the same
// however the tree is rebuilt around it. The zero value must be reset before use.
//
// Invariant: each leaf and node holds at least one entry, except the root
// leaf of an empty tree; all leaves are at one depth; a parent's widths are the sums
// over its children, once the leaves in dirty have handed up what they owe.
type spanTree struct {
	spans  []span
	leaves []spanLeaf
	nodes  []spanNode
	dirty  []int32 // leaves that changed since their parents knew
	total  width
	root   int32 // a leaf if height is 0, else a node
	height int
	first  int32 // leaf

	freeSpans, freeLeaves, freeNodes []int32
}

type spanLeaf struct {
	parent     int32
	n          int32
	prev, next int32
	dirty      bool
	owed       width // if dirty: how much more it is than its parent knows
	refs       [leafCap]int32
	w          [leafCap]width
}

type spanNode struct {
	parent int32
	n      int32
	kids   [nodeCap]int32 // leaves at level 1, nodes above
	w      [nodeCap]width
}

// place is a slot of a leaf. A slot equal to the leaf's length is the place
// after its last span.
type place struct {
	leaf int32
	slot int
}

// reset empties t and keeps its memory.
func (t *spanTree) reset() {
	t.spans, t.nodes, t.dirty = t.spans[:0], t.nodes[:0], t.dirty[:0]
	t.freeSpans, t.freeLeaves, t.freeNodes = t.freeSpans[:0], t.freeLeaves[:0], t.freeNodes[:0]
	t.leaves = append(t.leaves[:0], spanLeaf{parent: none, prev: none, next: none})
	t.total, t.root, t.height, t.first = width{}, 0, 0, 0
}

// len returns the number of spans.
func (t *spanTree) len() int { return len(t.spans) - len(t.freeSpans) }

// ref returns the span at p, which must hold one.
func (t *spanTree) ref(p place) int32 { return t.leaves[p.leaf].refs[p.slot] }

// width returns the width of the span at p.
func (t *spanTree) width(p place) width { return t.leaves[p.leaf].w[p.slot] }

// valid reports whether there is a span at p.
func (t *spanTree) valid(p place) bool { return p.slot < int(t.leaves[p.leaf].n) }

// settle moves a place after the last span of a leaf to the first of the next leaf, if there is one.
func (t *spanTree) settle(p place) place {
	if l := &t.leaves[p.leaf]; p.slot == int(l.n) && l.next != none {
		return place{l.next, 0}
	}
	return p
}

// prior returns the place before p, which is not valid if there is none.
func (t *spanTree) prior(p place) place {
	if p.slot == 0 {
		prev := t.leaves[p.leaf].prev
		if prev == none {
			return place{p.leaf, int(t.leaves[p.leaf].n)}
		}
		p = place{prev, int(t.leaves[prev].n)}
	}
	return place{p.leaf, p.slot - 1}
}

// after returns the place that follows p, settled.
func (t *spanTree) after(p place) place { return t.settle(place{p.leaf, p.slot + 1}) }

// at returns the place of a span.
func (t *spanTree) at(ref int32) place {
	leaf := t.spans[ref].leaf
	l := &t.leaves[leaf]
	for i := range l.refs[:l.n] {
		if l.refs[i] == ref {
			return place{leaf, i}
		}
	}
	panic("sequence: span is not in its leaf")
}

// widen adds d to the width of the span at p.
func (t *spanTree) widen(p place, d width) {
	t.leaves[p.leaf].w[p.slot].add(d)
	t.owe(p.leaf, d)
}

// owe notes that a leaf has become wider by d. Its parents learn of it when they are asked next: many
// changes to a leaf are handed up as one.
func (t *spanTree) owe(leaf int32, d width) {
	t.total.add(d)
	l := &t.leaves[leaf]
	l.owed.add(d)
	if !l.dirty {
		l.dirty = true
		t.dirty = append(t.dirty, leaf)
	}
}

// flush makes all widths true.
func (t *spanTree) flush() {
	if len(t.dirty) == 0 {
		return
	}
	for _, leaf := range t.dirty {
		l := &t.leaves[leaf]
		d, child, up := l.owed, leaf, l.parent
		l.dirty, l.owed = false, width{}
		if d == (width{}) {
			continue
		}
		for up != none {
			n := &t.nodes[up]
			i := 0
			for n.kids[i] != child {
				i++
			}
			n.w[i].add(d)
			child, up = up, n.parent
		}
	}
	t.dirty = t.dirty[:0]
}

// insert puts a new span before p and returns its ref and place. Places taken earlier are no longer valid.
func (t *spanTree) insert(p place, id causal.LV, n int, w width) (int32, place) {
	ref := t.newSpan(span{id: id, n: int32(n)})
	return ref, t.link(p, ref, w)
}

// link puts a span that t has, but not in its place, before p and returns where that is. Places taken earlier are no longer valid.
func (t *spanTree) link(p place, ref int32, w width) place {
	p = t.open(p, ref, w)
	t.owe(p.leaf, w)
	return p
}

// split cuts the span at p in two at off and returns the ref and place of the right
// part. The left part keeps its ref. Places taken earlier are no longer valid.
func (t *spanTree) split(p place, off int) (int32, place) {
	s := &t.spans[t.ref(p)]
	right := span{id: s.id + causal.LV(off), n: s.n - int32(off)}
	s.n = int32(off)
	ref := t.newSpan(right)
	lw := &t.leaves[p.leaf].w[p.slot]
	w := lw.of(right.n)
	*lw = lw.of(int32(off))
	q := t.open(place{p.leaf, p.slot + 1}, ref, w)
	if q.leaf != p.leaf {
		t.owe(p.leaf, width{-w.seen, -w.merged, -w.known, -w.old})
		t.owe(q.leaf, w)
	}
	return ref, q
}

// remove takes the span at p out. Places taken earlier are no longer valid.
func (t *spanTree) remove(p place) {
	ref := t.ref(p)
	t.unlink(p)
	t.drop(ref)
}

// drop forgets a span that is in no place.
func (t *spanTree) drop(ref int32) { t.freeSpans = append(t.freeSpans, ref) }

// unlink takes the span at p out of its place, for link or drop. Places taken earlier are no longer valid.
func (t *spanTree) unlink(p place) {
	w := t.width(p)
	t.owe(p.leaf, width{-w.seen, -w.merged, -w.known, -w.old})
	t.flush()
	l := &t.leaves[p.leaf]
	copy(l.refs[p.slot:], l.refs[p.slot+1:l.n])
	copy(l.w[p.slot:], l.w[p.slot+1:l.n])
	l.n--
	if l.n == 0 && t.height > 0 {
		t.dropLeaf(p.leaf)
	} else if l.next != none && l.parent == t.leaves[l.next].parent && l.n+t.leaves[l.next].n <= leafCap/2 {
		t.joinNext(p.leaf)
	}
}

// cut shortens the span at p to its first n ids.
func (t *spanTree) cut(p place, n int) {
	s := &t.spans[t.ref(p)]
	s.n = int32(n)
	d := t.width(p).of(s.n)
	d.sub(t.width(p))
	t.widen(p, d)
}

// roomy returns s with room for one more. A full slice is made twice as long, where append would make a large one a quarter longer
// and copy it four times as often: a tenth of what it takes to merge a long history.
func roomy[T any](s []T) []T {
	if len(s) == cap(s) {
		return slices.Grow(s, len(s)+16)
	}
	return s
}

func (t *spanTree) newSpan(s span) int32 {
	if n := len(t.freeSpans); n > 0 {
		ref := t.freeSpans[n-1]
		t.freeSpans = t.freeSpans[:n-1]
		t.spans[ref] = s
		return ref
	}
	t.spans = append(roomy(t.spans), s)
	return int32(len(t.spans) - 1)
}

// open makes room at p and puts ref there, and leaves the sums above as they are.
func (t *spanTree) open(p place, ref int32, w width) place {
	if t.leaves[p.leaf].n == leafCap {
		p = t.splitLeaf(p)
	}
	l := &t.leaves[p.leaf]
	copy(l.refs[p.slot+1:], l.refs[p.slot:l.n])
	copy(l.w[p.slot+1:], l.w[p.slot:l.n])
	l.refs[p.slot], l.w[p.slot] = ref, w
	l.n++
	t.spans[ref].leaf = p.leaf
	return p
}

// splitLeaf moves the upper half of the full leaf of p to a new one, or nothing if p is the end of
// the sequence, and returns where p is now.
func (t *spanTree) splitLeaf(p place) place {
	t.flush()
	var fresh int32
	if n := len(t.freeLeaves); n > 0 {
		fresh = t.freeLeaves[n-1]
		t.freeLeaves = t.freeLeaves[:n-1]
	} else {
		fresh = int32(len(t.leaves))
		t.leaves = append(roomy(t.leaves), spanLeaf{})
	}
	old, l := &t.leaves[p.leaf], &t.leaves[fresh]
	keep := int32(leafCap / 2)
	if p.slot == leafCap && old.next == none {
		keep = leafCap
	}
	*l = spanLeaf{parent: old.parent, prev: p.leaf, next: old.next, n: leafCap - keep}
	copy(l.refs[:], old.refs[keep:])
	copy(l.w[:], old.w[keep:])
	old.n, old.next = keep, fresh
	if l.next != none {
		t.leaves[l.next].prev = fresh
	}
	var moved width
	for i := range l.refs[:l.n] {
		t.spans[l.refs[i]].leaf = fresh
		moved.add(l.w[i])
	}
	t.addSibling(p.leaf, fresh, moved, 0)
	if p.slot > int(keep) || keep == leafCap {
		return place{fresh, p.slot - int(keep)}
	}
	return p
}

// parentOf and setParent see to leaves (level 0) and nodes alike.
func (t *spanTree) parentOf(child int32, level int) int32 {
	if level == 0 {
		return t.leaves[child].parent
	}
	return t.nodes[child].parent
}

func (t *spanTree) setParent(child, parent int32, level int) {
	if level == 0 {
		t.leaves[child].parent = parent
	} else {
		t.nodes[child].parent = parent
	}
}

func (t *spanTree) newNode(n spanNode) int32 {
	if k := len(t.freeNodes); k > 0 {
		at := t.freeNodes[k-1]
		t.freeNodes = t.freeNodes[:k-1]
		t.nodes[at] = n
		return at
	}
	t.nodes = append(t.nodes, n)
	return int32(len(t.nodes) - 1)
}

// addSibling hangs fresh, to which moved went from left, into the tree to the right of left. level
// is that of the two.
func (t *spanTree) addSibling(left, fresh int32, moved width, level int) {
	up := t.parentOf(left, level)
	if up == none {
		root := spanNode{parent: none, n: 2}
		root.kids[0], root.kids[1] = left, fresh
		root.w[0], root.w[1] = t.total, moved
		root.w[0].sub(moved)
		t.root = t.newNode(root)
		t.height++
		t.setParent(left, t.root, level)
		t.setParent(fresh, t.root, level)
		return
	}
	if t.nodes[up].n == nodeCap {
		t.splitNode(up, level+1)
		up = t.parentOf(left, level)
	}
	n := &t.nodes[up]
	i := int32(0)
	for n.kids[i] != left {
		i++
	}
	n.w[i].sub(moved)
	i++
	copy(n.kids[i+1:], n.kids[i:n.n])
	copy(n.w[i+1:], n.w[i:n.n])
	n.kids[i], n.w[i] = fresh, moved
	n.n++
	t.setParent(fresh, up, level)
}

// splitNode moves the upper half of a full node to a new one.
func (t *spanTree) splitNode(at int32, level int) {
	const keep = nodeCap / 2
	old := &t.nodes[at]
	right := spanNode{parent: old.parent, n: nodeCap - keep}
	copy(right.kids[:], old.kids[keep:])
	copy(right.w[:], old.w[keep:])
	old.n = keep
	fresh := t.newNode(right)
	var moved width
	for i, kid := range right.kids[:right.n] {
		t.setParent(kid, fresh, level-1)
		moved.add(right.w[i])
	}
	t.addSibling(at, fresh, moved, level)
}

// dropLeaf takes an empty leaf out of a tree that has others.
func (t *spanTree) dropLeaf(leaf int32) {
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

// dropChild takes a child of no width out of a node, and the node out of the tree if that was its last.
func (t *spanTree) dropChild(at, child int32) {
	n := &t.nodes[at]
	i := int32(0)
	for n.kids[i] != child {
		i++
	}
	copy(n.kids[i:], n.kids[i+1:n.n])
	copy(n.w[i:], n.w[i+1:n.n])
	n.n--
	if n.n == 0 {
		t.freeNodes = append(t.freeNodes, at)
		t.dropChild(n.parent, at)
	}
	for t.height > 0 && t.nodes[t.root].n == 1 {
		t.freeNodes = append(t.freeNodes, t.root)
		t.root = t.nodes[t.root].kids[0]
		t.height--
		t.setParent(t.root, none, t.height)
	}
}

// joinNext moves the spans of the next leaf, a sibling, into leaf.
func (t *spanTree) joinNext(leaf int32) {
	l := &t.leaves[leaf]
	from := l.next
	r := &t.leaves[from]
	var moved width
	for i := range r.refs[:r.n] {
		l.refs[l.n], l.w[l.n] = r.refs[i], r.w[i]
		t.spans[r.refs[i]].leaf = leaf
		moved.add(r.w[i])
		l.n++
	}
	r.n = 0
	n := &t.nodes[l.parent]
	for i, kid := range n.kids[:n.n] {
		switch kid {
		case leaf:
			n.w[i].add(moved)
		case from:
			n.w[i] = width{}
		}
	}
	t.dropLeaf(from)
}
