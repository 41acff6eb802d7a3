package sequence

import "github.com/atollsync/atoll/crdt/causal"

// leafCap and nodeCap are the fan-outs of a spanTree, chosen by measurement.
const (
	leafCap = 32 // a span's place leaves 5 bits for the slot
	nodeCap = 32
)

// none stands for the absence of a leaf, node or item.
const none int32 = -1

// counts says in which of the sequences that a spanTree counts in all elements of a span are.
type counts uint8

const (
	inSeen   counts = 1 << iota // the sequence some author saw
	inMerged                    // the merged one
	inKnown                     // the elements whose insertion that author saw
	inOld                       // those that stood there at a tracker's base
)

// width returns how wide n elements are that are where c says.
func (c counts) width(n int32) width {
	return width{n & -int32(c&1), n & -int32(c>>1&1), n & -int32(c>>2&1), n & -int32(c>>3&1)}
}

// width is how many elements some spans have in each of the sequences that counts tells apart.
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

// in returns the width in one of the sequences.
func (w *width) in(c counts) int32 {
	switch c {
	case inSeen:
		return w.seen
	case inMerged:
		return w.merged
	case inKnown:
		return w.known
	}
	return w.old
}

// span is n elements that stand next to each other, with consecutive ids from id on. A sequence has fewer than 2^30 elements.
type span struct {
	id causal.LV
	n  int32
	// where is the leaf and, in the last bits, the slot at which it stood when somebody noted that.
	where uint32
}

// slotBits is how many bits of a span's place are the slot.
const slotBits = 5

func whereIn(leaf int32, slot int) uint32 { return uint32(leaf)<<slotBits | uint32(slot) }

// leaf returns the leaf that s is in.
func (s *span) leaf() int32 { return int32(s.where >> slotBits) }

func (s *span) end() causal.LV { return s.id + causal.LV(s.n) }

// spanTree keeps spans in document order: an order-statistic B+ tree that finds a
// position in any of the sequences that width counts. The
// spans live in an arena and are named by their place there (ref), which stays the same
// however the tree is rebuilt around it. The zero value must be reset before use.
//
// Invariant: each leaf and node holds at least one entry, except the root
// leaf of an empty tree; all leaves are at one depth; a leaf's width is the sum over its spans, and a parent's
// widths those over its children, once the leaves in dirty have handed theirs up.
type spanTree struct {
	spans   []span
	leaves  []spanLeaf
	nodes   []spanNode
	dirty   []int32 // leaves that changed since their parents knew
	total   width
	finger  finger // see seekNear
	root    int32  // a leaf if height is 0, else a node
	height  int
	first   int32 // leaf
	outlook outlook

	freeSpans, freeLeaves, freeNodes []int32
}

type spanNode struct {
	parent int32
	n      int16
	index  uint8          // as spanLeaf.index
	kids   [nodeCap]int32 // leaves at level 1, nodes above
	w      [nodeCap]width
}

// place is a slot of a leaf. A slot equal to the leaf's length is the place
// after its last span.
type place struct {
	leaf int32
	slot int
}

// reset empties t, keeps its memory, and makes room for a number of spans, in leaves that are as full as they mostly are.
func (t *spanTree) reset(spans int) {
	leaves := spans / (leafCap * 2 / 3)
	t.spans, t.leaves = emptied(t.spans, spans), emptied(t.leaves, leaves)
	t.nodes, t.dirty = emptied(t.nodes, leaves/(nodeCap/2)), t.dirty[:0]
	t.freeSpans, t.freeLeaves, t.freeNodes = t.freeSpans[:0], t.freeLeaves[:0], t.freeNodes[:0]
	t.leaves = append(t.leaves[:0], spanLeaf{parent: none, prev: none, next: none})
	t.total, t.root, t.height, t.first, t.outlook = width{}, 0, 0, 0, outlook{}
	t.finger.leaf = none
}

// len returns the number of spans.
func (t *spanTree) len() int { return len(t.spans) - len(t.freeSpans) }

// ref returns the span at p, which must hold one.
func (t *spanTree) ref(p place) int32 { return t.leaves[p.leaf].refs[p.slot] }

// size returns the number of elements of the span at p, without a look at the span.
func (t *spanTree) size(p place) int { return int(t.leaves[p.leaf].ns[p.slot]) }

// in returns where the elements of the span at p are counted.
func (t *spanTree) in(p place) counts { return t.leaves[p.leaf].in[p.slot] }

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
	s := &t.spans[ref]
	leaf, slot := s.leaf(), int(s.where&(1<<slotBits-1))
	l := &t.leaves[leaf]
	if slot < int(l.n) && l.refs[slot] == ref {
		return place{leaf, slot}
	}
	for i := slot + 1; i < int(l.n); i++ { // what is put before a span moves it up
		if l.refs[i] == ref {
			return place{leaf, i}
		}
	}
	for i := range l.refs[:l.n] {
		if l.refs[i] == ref {
			return place{leaf, i}
		}
	}
	panic("sequence: span is not in its leaf")
}

// note is at for whoever changes t and will ask again: next time there is nothing to look for.
func (t *spanTree) note(ref int32) place {
	p := t.at(ref)
	if s, where := &t.spans[ref], whereIn(p.leaf, p.slot); s.where != where {
		s.where = where
	}
	return p
}

// count makes the elements of the span at p count where c says.
func (t *spanTree) count(p place, c counts) {
	l := &t.leaves[p.leaf]
	n, d := l.ns[p.slot], c.width(l.ns[p.slot])
	d.sub(l.in[p.slot].width(n))
	l.in[p.slot] = c
	t.owe(p.leaf, d)
}

// toggle takes the elements of a span out of the sequence that some author saw, or puts them in, whichever they are not. c is inSeen, and
// inKnown if it does the same to what that author knows.
func (t *spanTree) toggle(ref int32, c counts) {
	p := t.note(ref)
	l := &t.leaves[p.leaf]
	in := &l.in[p.slot%leafCap]
	d := t.spans[ref].n
	if *in&inSeen != 0 {
		d = -d
	}
	*in ^= c
	t.owe(p.leaf, width{seen: d, known: d & -int32(c&inKnown>>2)})
}

// grow adds n elements to the end of the span at p, takes them from there if n is below 0.
func (t *spanTree) grow(p place, n int32) {
	l := &t.leaves[p.leaf]
	t.spans[l.refs[p.slot]].n += n
	l.ns[p.slot] += n
	t.owe(p.leaf, l.in[p.slot].width(n))
}

// owe makes a leaf wider by d. Its parents learn of it when they are asked next: many
// changes to a leaf are handed up as one.
func (t *spanTree) owe(leaf int32, d width) {
	t.total.add(d)
	l := &t.leaves[leaf]
	l.w.add(d)
	if !l.dirty {
		l.dirty = true
		t.dirty = append(t.dirty, leaf)
	}
	if leaf != t.finger.leaf {
		t.finger.leaf = none // it may be before that
	}
}

// flush makes all widths true. If they are, it writes nothing, so that many may read at once.
func (t *spanTree) flush() {
	if len(t.dirty) == 0 {
		return
	}
	// What changes together mostly stands together: what leaves of one parent hand up goes on from there as one.
	parent, sum := none, width{}
	for _, leaf := range t.dirty {
		l := &t.leaves[leaf]
		if !l.dirty { // but part of another since
			continue
		}
		d := t.handUp(leaf)
		if l.parent != parent {
			t.widen(parent, sum)
			parent, sum = l.parent, width{}
		}
		sum.add(d)
	}
	t.widen(parent, sum)
	t.dirty = t.dirty[:0]
}

// handUp lets the parent of a leaf, if there is one, know how wide that is, and returns by how much more than it knew.
func (t *spanTree) handUp(leaf int32) width {
	l := &t.leaves[leaf]
	l.dirty = false
	if l.parent == none {
		return width{}
	}
	n := &t.nodes[l.parent]
	i := n.findNear(leaf, &l.index)
	d := l.w
	d.sub(n.w[i])
	n.w[i] = l.w
	return d
}

// widen lets the nodes above a node, if that is one, know that it is wider by d.
func (t *spanTree) widen(node int32, d width) {
	if node == none || d == (width{}) {
		return
	}
	for child := &t.nodes[node]; child.parent != none; {
		up := &t.nodes[child.parent]
		up.w[up.findNear(node, &child.index)].add(d)
		child, node = up, child.parent
	}
}

// find returns where a child of n is.
func (n *spanNode) find(child int32) int {
	i := 0
	for n.kids[i] != child {
		i++
	}
	return i
}

// findNear is find for a child that was at index when it was looked for last, and notes where it is now.
func (n *spanNode) findNear(child int32, index *uint8) int {
	i := int(*index % nodeCap)
	if n.kids[i] != child || i >= int(n.n) {
		i = n.find(child)
		*index = uint8(i)
	}
	return i
}

// insert puts a new span before p and returns its ref and place. Places taken earlier are no longer valid.
func (t *spanTree) insert(p place, id causal.LV, n int, c counts) (int32, place) {
	ref := t.newSpan(span{id: id, n: int32(n)})
	return ref, t.link(p, ref, c)
}

// link puts a span that t has, but not in its place, before p and returns where that is. Places taken earlier are no longer valid.
func (t *spanTree) link(p place, ref int32, c counts) place {
	p = t.open(p, ref, c)
	t.owe(p.leaf, c.width(t.spans[ref].n))
	return p
}

// split cuts the span at p in two at off and returns the ref and place of the right
// part. The left part keeps its ref. Places taken earlier are no longer valid.
func (t *spanTree) split(p place, off int) (int32, place) {
	l := &t.leaves[p.leaf]
	c, s := l.in[p.slot], &t.spans[l.refs[p.slot]]
	right := span{id: s.id + causal.LV(off), n: s.n - int32(off)}
	s.n, l.ns[p.slot] = int32(off), int32(off)
	ref := t.newSpan(right)
	q := t.open(place{p.leaf, p.slot + 1}, ref, c)
	if q.leaf != p.leaf {
		t.owe(p.leaf, c.width(-right.n))
		t.owe(q.leaf, c.width(right.n))
	}
	return ref, q
}

// wedge cuts the span at p in two at off, as split does, and puts a span that t has, but not in its place, between the two, as link does.
// It returns the right part. Places taken earlier are no longer valid.
func (t *spanTree) wedge(p place, off int, ref int32, c counts) (right int32) {
	if t.leaves[p.leaf].n+2 > leafCap {
		right, q := t.split(p, off)
		t.link(q, ref, c)
		return right
	}
	l := &t.leaves[p.leaf]
	s := &t.spans[l.refs[p.slot]]
	rest := span{id: s.id + causal.LV(off), n: s.n - int32(off), where: whereIn(p.leaf, p.slot+2)}
	s.n, l.ns[p.slot] = int32(off), int32(off)
	right = t.newSpan(rest)
	l.shift(p.slot+1, p.slot+3)
	l.n += 2
	l.set(p.slot+2, right, rest.n, l.in[p.slot])
	s = &t.spans[ref]
	s.where = whereIn(p.leaf, p.slot+1)
	l.set(p.slot+1, ref, s.n, c)
	t.owe(p.leaf, c.width(s.n))
	return right
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
	l := &t.leaves[p.leaf]
	w := l.in[p.slot].width(-l.ns[p.slot])
	t.owe(p.leaf, w)
	l.shift(p.slot+1, p.slot)
	l.n--
	if l.n == 0 && t.height > 0 {
		t.dropLeaf(p.leaf)
	} else if l.next != none && l.parent == t.leaves[l.next].parent && l.n+t.leaves[l.next].n <= leafCap/2 {
		t.joinNext(p.leaf)
	}
}

// outlook says how far one has come: of how many ops, as far as one can tell, how many have been taken in. The zero value cannot tell.
type outlook struct{ of, done causal.LV }

// ahead returns how many times as many ops there will be.
func (o outlook) ahead() float64 { return float64(o.of) / float64(max(o.done, 1)) }

// longer returns s, which is full, with room for more. It is made twice as long, where append would make a large one a quarter longer
// and copy it four times as often: a tenth of what it takes to merge a long history. If there will be more than that, as far as o can
// tell, it is made as long as that, and a little longer, if that is no more than ten times as long as it is, and otherwise eight times: so that little
// is never missing in the end, for which it would be made twice as long.
//
// Whoever adds to a slice asks for this only when it is full: to set a slice anew each time is a write that collecting garbage, while
// that is under way, wants to know of.
func longer[T any](s []T, o outlook) []T {
	more := 1.0
	if ahead := o.ahead(); ahead > 1.25 {
		if more = ahead - 7./8; more > 9 {
			more = 7
		}
	}
	out := make([]T, len(s), len(s)+int(more*float64(len(s)))+16)
	copy(out, s)
	return out
}

// emptied returns s without what is in it, or another if s has no room for n. A large slice that is made, here or by longer, is mostly new to the
// process, and so is zero. slices.Grow would write that into all of it in one go, for which collecting garbage has to wait.
func emptied[T any](s []T, n int) []T {
	if cap(s) >= n {
		return s[:0]
	}
	return make([]T, 0, n)
}

func (t *spanTree) newSpan(s span) int32 {
	if n := len(t.freeSpans); n > 0 {
		ref := t.freeSpans[n-1]
		t.freeSpans = t.freeSpans[:n-1]
		t.spans[ref] = s
		return ref
	}
	if len(t.spans) == cap(t.spans) {
		t.spans = longer(t.spans, t.outlook)
	}
	t.spans = append(t.spans, s)
	return int32(len(t.spans) - 1)
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
		root.w[0], root.w[1] = t.below(left, level), moved
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
	i := n.find(left)
	n.w[i].sub(moved)
	i++
	copy(n.kids[i+1:], n.kids[i:n.n])
	copy(n.w[i+1:], n.w[i:n.n])
	n.kids[i], n.w[i] = fresh, moved
	n.n++
	t.setParent(fresh, up, level)
}

// below returns how wide the parent of a leaf (level 0) or node takes it to be.
func (t *spanTree) below(child int32, level int) (w width) {
	if level == 0 {
		return t.leaves[child].w
	}
	n := &t.nodes[child]
	for i := range n.w[:n.n] {
		w.add(n.w[i])
	}
	return w
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

// dropChild takes a child of no width out of a node, and the node out of the tree if that was its last.
func (t *spanTree) dropChild(at, child int32) {
	n := &t.nodes[at]
	i := n.find(child)
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
