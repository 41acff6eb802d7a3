package sequence

import (
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// chunkCap is the number of keys of a full chunk, chosen by measurement: of the numbers around it that with which a chunk
// fills a size of the allocator.
const chunkCap = 84

// idIndex maps the first id of each span to its ref, in order of ids: a list of
// sorted chunks. Ids mostly come in ascending order, and then adding one is an append.
//
// Invariant: no chunk is empty; firsts[i] is chunks[i]'s first key.
type idIndex struct {
	firsts []causal.LV
	chunks []*idChunk
}

type idChunk struct {
	n    int
	keys [chunkCap]causal.LV
	refs [chunkCap]int32
}

// chunk returns the number of the chunk that holds the greatest key not above id, -1 if
// all keys are above it.
func (x *idIndex) chunk(id causal.LV) int {
	n := len(x.firsts)
	if n == 0 || id < x.firsts[0] {
		return -1
	}
	if x.firsts[n-1] <= id {
		return n - 1
	}
	return below(x.firsts, id)
}

// slot returns the slot of the greatest key not above id.
func (c *idChunk) slot(id causal.LV) int {
	if n := c.n; c.keys[n-1] <= id {
		return n - 1
	}
	return below(c.keys[:c.n], id)
}

// below returns the index of the greatest key not above id, which the first one is not. Keys are not below 0. It
// halves without a branch, of which every other one would be guessed wrong.
func below(keys []causal.LV, id causal.LV) int {
	lo := 0
	for n := len(keys); n > 1; { // keys[lo] <= id < keys[lo+n]
		half := n >> 1
		lo += half & int((keys[lo+half]-id-1)>>63)
		n -= half
	}
	return lo
}

// floor returns the ref with the greatest key not above id.
func (x *idIndex) floor(id causal.LV) (int32, bool) {
	i := x.chunk(id)
	if i < 0 {
		return none, false
	}
	c := x.chunks[i]
	return c.refs[c.slot(id)], true
}

// insert adds a key that x does not hold.
func (x *idIndex) insert(id causal.LV, ref int32) {
	i := x.chunk(id)
	if i < 0 {
		if len(x.chunks) == 0 {
			c := &idChunk{n: 1}
			c.keys[0], c.refs[0] = id, ref
			x.firsts, x.chunks = append(x.firsts, id), append(x.chunks, c)
			return
		}
		i = 0
		x.firsts[0] = id
	}
	c := x.chunks[i]
	if c.n == chunkCap {
		keep := chunkCap / 2
		if i == len(x.chunks)-1 && id > c.keys[c.n-1] {
			keep = chunkCap - 1
		}
		right := &idChunk{n: chunkCap - keep}
		copy(right.keys[:], c.keys[keep:])
		copy(right.refs[:], c.refs[keep:])
		c.n = keep
		x.firsts = slices.Insert(x.firsts, i+1, right.keys[0])
		x.chunks = slices.Insert(x.chunks, i+1, right)
		if id > right.keys[0] {
			c = right
		}
	}
	at := 0
	if id > c.keys[0] {
		at = c.slot(id) + 1
	}
	copy(c.keys[at+1:], c.keys[at:c.n])
	copy(c.refs[at+1:], c.refs[at:c.n])
	c.keys[at], c.refs[at] = id, ref
	c.n++
}

// remove takes out a key that x holds.
func (x *idIndex) remove(id causal.LV) {
	i := x.chunk(id)
	c := x.chunks[i]
	at := c.slot(id)
	copy(c.keys[at:], c.keys[at+1:c.n])
	copy(c.refs[at:], c.refs[at+1:c.n])
	c.n--
	switch {
	case c.n == 0:
		x.firsts = slices.Delete(x.firsts, i, i+1)
		x.chunks = slices.Delete(x.chunks, i, i+1)
	case at == 0:
		x.firsts[i] = c.keys[0]
	}
}
