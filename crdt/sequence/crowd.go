package sequence

import (
	"slices"
	"sort"

	"github.com/atollsync/atoll/crdt/causal"
)

// Where many insert at one place, none of whom saw another's, each would have to be compared with all who came
// before. A crowd is an index of them.

// crowdFrom is how many siblings have to be looked at for an insertion before they are made a crowd.
const crowdFrom = 16

// crowdCap is the number of members in a full stretch of a crowd.
const crowdCap = 64

// siblings names the elements that were inserted between the same two neighbours.
type siblings struct{ left, right causal.LV }

// crowd holds siblings in the order of their dots, which is that of the document, in short sorted stretches.
//
// Invariant: no stretch is empty; all spans of the tracker with these origins are members.
type crowd struct{ stretches [][]member }

type member struct {
	dot causal.Dot
	ref int32
}

// gather makes a crowd of the spans between at and end that have the given origins: all there are, since the author of
// the next one saw none of them.
func (t *tracker) gather(g *causal.Graph, at, end place, left, right causal.LV) *crowd {
	c := new(crowd)
	for q := at; q != end; q = t.tree.after(q) {
		ref := t.tree.ref(q)
		if o := &t.origins[ref]; o.left == left && o.right == right {
			c.add(member{g.Dot(t.tree.spans[ref].id), ref})
		}
	}
	if t.crowds == nil {
		t.crowds = make(map[siblings]*crowd)
	}
	t.crowds[siblings{left, right}] = c
	return c
}

// find returns the index of the stretch, and of the place in it, where a dot is or would be.
func (c *crowd) find(d causal.Dot) (i, j int) {
	i = max(0, sort.Search(len(c.stretches), func(i int) bool { return c.stretches[i][0].dot.Compare(d) > 0 })-1)
	if i < len(c.stretches) {
		s := c.stretches[i]
		j = sort.Search(len(s), func(j int) bool { return s[j].dot.Compare(d) >= 0 })
	}
	return i, j
}

// before returns the last member with a dot below d, none if there is none.
func (c *crowd) before(d causal.Dot) int32 {
	if i, j := c.find(d); j > 0 {
		return c.stretches[i][j-1].ref
	}
	return none
}

// add adds a member.
func (c *crowd) add(m member) {
	i, j := c.find(m.dot)
	if len(c.stretches) == 0 {
		c.stretches = append(c.stretches, nil)
	}
	s := slices.Insert(c.stretches[i], j, m)
	if len(s) == crowdCap {
		c.stretches = slices.Insert(c.stretches, i+1, append(make([]member, 0, crowdCap), s[crowdCap/2:]...))
		s = s[:crowdCap/2]
	}
	c.stretches[i] = s
}
