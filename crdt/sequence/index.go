package sequence

import (
	"math/bits"
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// idIndex maps the first id of each span to its ref: a tree whose nodes branch by six bits of an id each. Ids
// are not below 0. The zero value is empty.
//
// Invariant: no node is empty, and all leaves are at one depth; the range of the root begins at 0.
type idIndex struct {
	nodes  []idNode
	free   []int32 // nodes
	root   int32
	height uint // levels above the leaves
	len    int  // of ids
}

// idNode is what lies within a range of ids: it has a bit for each of its 64 parts that holds anything, and keeps what those hold in
// order, which are refs in a leaf and nodes above.
type idNode struct {
	has  uint64
	kids []int32
}

const (
	idBits = 6
	idMask = 1<<idBits - 1
)

// idLevels is how many levels the tree has for the greatest of ids.
const idLevels = (63 + idBits - 1) / idBits

// part returns in which part of a node at a level an id lies.
func part(id causal.LV, level uint) uint { return uint(id>>(idBits*level)) & idMask }

// rank returns how many parts before part i of n hold anything, and whether that does.
func (n *idNode) rank(i uint) (int, bool) {
	return bits.OnesCount64(n.has & (1<<i - 1)), n.has>>i&1 != 0
}

// put adds a kid as part i, the rank of which is given.
func (n *idNode) put(i uint, rank int, kid int32) {
	n.has |= 1 << i
	if len(n.kids) == cap(n.kids) {
		n.kids = slices.Grow(n.kids, max(2, min(3*len(n.kids), 1<<idBits-len(n.kids))))
	}
	n.kids = slices.Insert(n.kids, rank, kid)
}

// drop takes out part i, the rank of which is given.
func (n *idNode) drop(i uint, rank int) {
	n.has &^= 1 << i
	n.kids = slices.Delete(n.kids, rank, rank+1)
}

// covers reports whether id is in the range of the root.
func (x *idIndex) covers(id causal.LV) bool { return id>>(idBits*(x.height+1)) == 0 }

// floor returns the ref with the greatest id not above the given one.
func (x *idIndex) floor(id causal.LV) (int32, bool) {
	if x.len == 0 || id < 0 {
		return none, false
	}
	at, level := x.root, x.height
	if !x.covers(id) {
		return x.last(at, level), true
	}
	lower, from := none, uint(0) // the last kid met that is before id, and its level
	for {
		n := &x.nodes[at]
		rank, ok := n.rank(part(id, level))
		if level == 0 && ok {
			return n.kids[rank], true
		}
		if rank > 0 {
			lower, from = n.kids[rank-1], level
		}
		if !ok {
			break
		}
		at = n.kids[rank]
		level--
	}
	if lower == none || from == 0 {
		return lower, lower != none
	}
	return x.last(lower, from-1), true
}

// last returns the last ref below a node at a level.
func (x *idIndex) last(at int32, level uint) int32 {
	for ; ; level-- {
		kids := x.nodes[at].kids
		at = kids[len(kids)-1]
		if level == 0 {
			return at
		}
	}
}

// insert adds an id that x does not hold.
func (x *idIndex) insert(id causal.LV, ref int32) {
	if x.len == 0 {
		*x = idIndex{nodes: x.nodes[:0], free: x.free[:0]}
		for !x.covers(id) {
			x.height++
		}
		x.root = x.newNode()
	}
	x.len++
	for !x.covers(id) {
		up := x.newNode()
		x.nodes[up].put(0, 0, x.root)
		x.root = up
		x.height++
	}
	at := x.root
	for level := x.height; level > 0; level-- {
		i := part(id, level)
		rank, ok := x.nodes[at].rank(i)
		if !ok {
			kid := x.newNode()
			x.nodes[at].put(i, rank, kid)
		}
		at = x.nodes[at].kids[rank]
	}
	n := &x.nodes[at]
	i := part(id, 0)
	rank, _ := n.rank(i)
	n.put(i, rank, ref)
}

// remove takes out an id that x holds.
func (x *idIndex) remove(id causal.LV) {
	var path [idLevels]int32
	at := x.root
	for level := x.height; level > 0; level-- {
		path[level] = at
		n := &x.nodes[at]
		rank, _ := n.rank(part(id, level))
		at = n.kids[rank]
	}
	path[0] = at
	x.len--
	for level := uint(0); level <= x.height; level++ {
		n := &x.nodes[path[level]]
		i := part(id, level)
		rank, _ := n.rank(i)
		n.drop(i, rank)
		if n.has != 0 {
			return
		}
		x.free = append(x.free, path[level])
	}
}

// newNode returns a node without kids.
func (x *idIndex) newNode() int32 {
	if n := len(x.free); n > 0 {
		at := x.free[n-1]
		x.free = x.free[:n-1]
		return at
	}
	if len(x.nodes) == cap(x.nodes) {
		x.nodes = longer(x.nodes, outlook{})
	}
	x.nodes = append(x.nodes, idNode{})
	return int32(len(x.nodes) - 1)
}
