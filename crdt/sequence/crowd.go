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

// siblings names the elements with the same origins: they were inserted between the same two neighbours.
type siblings struct {
	left  causal.LV
	right int32
}

// crowd holds siblings in the order of their dots, which is that of the document, in short sorted stretches.
//
// Invariant: no stretch is empty; all spans of the tracker with these origins are members.
type crowd struct{ stretches [][]member }

// member is a span with the op that inserted it and who made that.
type member struct {
	lv    causal.LV
	ref   int32
	actor causal.ActorIndex
}

// gather makes a crowd of the spans between at and end that have the given origins: all there are, since the author of
// the next one saw none of them.
func (t *tracker) gather(g *causal.Graph, at, end place, left causal.LV, right int32) *crowd {
	c := new(crowd)
	for q := at; q != end; q = t.tree.after(q) {
		ref := t.tree.ref(q)
		if t.lefts[ref] == left && t.origins[ref].right == right {
			lv := t.tree.spans[ref].id
			c.add(g, c.find(g, lv), lv, ref)
		}
	}
	if t.crowds == nil {
		t.crowds = make(map[siblings]*crowd)
	}
	t.crowds[siblings{left, right}] = c
	return c
}

// seat is where a member is, or would be, in a crowd.
type seat struct{ i, j int }

// find returns the seat of lv.
func (c *crowd) find(g *causal.Graph, lv causal.LV) seat {
	actor := g.ActorOf(lv)
	before := func(m *member) bool {
		if m.actor != actor {
			if c := g.CompareActors(m.actor, actor); c != 0 {
				return c < 0
			}
		}
		return g.CompareDots(m.lv, lv) < 0
	}
	i := max(0, sort.Search(len(c.stretches), func(i int) bool { return !before(&c.stretches[i][0]) })-1)
	if i == len(c.stretches) {
		return seat{i, 0}
	}
	s := c.stretches[i]
	return seat{i, sort.Search(len(s), func(j int) bool { return !before(&s[j]) })}
}

// around returns the members before and after a seat that is not taken, none where there is none.
func (c *crowd) around(s seat) (before, after int32) {
	before, after = none, none
	if s.j > 0 {
		before = c.stretches[s.i][s.j-1].ref
	}
	switch {
	case s.i < len(c.stretches) && s.j < len(c.stretches[s.i]):
		after = c.stretches[s.i][s.j].ref
	case s.i+1 < len(c.stretches):
		after = c.stretches[s.i+1][0].ref
	}
	return before, after
}

// add adds a member at its seat.
func (c *crowd) add(g *causal.Graph, at seat, lv causal.LV, ref int32) {
	if len(c.stretches) == 0 {
		c.stretches = append(c.stretches, make([]member, 0, crowdCap))
	}
	s := slices.Insert(c.stretches[at.i], at.j, member{lv, ref, g.ActorOf(lv)})
	if len(s) == crowdCap {
		c.stretches = slices.Insert(c.stretches, at.i+1, append(make([]member, 0, crowdCap), s[crowdCap/2:]...))
		s = s[:crowdCap/2]
	}
	c.stretches[at.i] = s
}
