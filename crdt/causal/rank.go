package causal

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
)

// ranking orders actors by name. Where there are many they are compared often, and their names lie all over memory: of two that have a
// rank, a number each, the ranks are compared.
//
// Invariant: order holds the actors that have a rank, by name; their ranks, which are not 0, compare as their names.
type ranking struct {
	order []ActorIndex
	ranks []uint64 // by index; 0: none yet
}

// rankGap is the distance between the ranks of neighbours, before others come between them.
const rankGap = 1 << 32

// fewRanked is the number of new actors up to which each gets its rank by itself.
const fewRanked = 16

// CompareActors orders actors of the graph as Actor.Compare does.
func (g *Graph) CompareActors(i, j ActorIndex) int {
	if a, b := g.ranks[i], g.ranks[j]; a != 0 && b != 0 {
		return cmp.Compare(a, b)
	}
	return g.actors[i].compare(&g.actors[j])
}

// ByName returns the actors by name, as of the last Rank. Read-only, until then.
func (g *Graph) ByName() []ActorIndex { return g.order }

// Rank gives the actors that are new since it was last called their places in ByName: few one by one, a crowd all at once.
// CompareActors takes less time from then on.
func (g *Graph) Rank() {
	first := len(g.order)
	if len(g.actors)-first <= fewRanked {
		for ai := first; ai < len(g.actors); ai++ {
			g.rankOne(ActorIndex(ai))
		}
		return
	}
	for ai := first; ai < len(g.actors); ai++ {
		g.order = append(g.order, ActorIndex(ai))
	}
	g.sortNames()
	g.spread()
}

// rankOne gives an actor a rank between those of its neighbours.
func (g *Graph) rankOne(ai ActorIndex) {
	at, found := slices.BinarySearchFunc(g.order, ai, g.CompareActors)
	g.order = slices.Insert(g.order, at, ai)
	if found { // another branch of one log
		g.ranks[ai] = g.ranks[g.order[at+1]]
		return
	}
	var rank uint64
	switch first, last := at == 0, at == len(g.order)-1; {
	case first && last:
		rank = 1 << 63
	case first:
		rank = g.ranks[g.order[1]] - rankGap
	case last:
		rank = g.ranks[g.order[at-1]] + rankGap
	default:
		lo, hi := g.ranks[g.order[at-1]], g.ranks[g.order[at+1]]
		if rank = lo + (hi-lo)/2; rank == lo {
			g.spread()
			return
		}
	}
	g.ranks[ai] = rank
}

// spread gives all actors of order ranks, far from each other.
func (g *Graph) spread() {
	rank := uint64(1<<63) - uint64(len(g.order))/2*rankGap
	for k, ai := range g.order {
		if k > 0 && g.actors[ai] != g.actors[g.order[k-1]] {
			rank += rankGap
		}
		g.ranks[ai] = rank
	}
}

// sortNames sorts order. What all names begin with is not looked at, and the eight bytes after that mostly decide.
func (g *Graph) sortNames() {
	type named struct {
		key uint64
		ai  ActorIndex
	}
	var one, other [ActorSize]byte
	first := g.actors[g.order[0]].AppendTo(one[:0])
	common := ActorSize - 8
	for _, ai := range g.order {
		name := g.actors[ai].AppendTo(other[:0])
		for !bytes.Equal(first[:common], name[:common]) {
			common--
		}
	}
	names := make([]named, len(g.order))
	for k, ai := range g.order {
		name := g.actors[ai].AppendTo(other[:0])
		names[k] = named{binary.BigEndian.Uint64(name[common:]), ai}
	}
	slices.SortFunc(names, func(a, b named) int {
		if a.key != b.key {
			return cmp.Compare(a.key, b.key)
		}
		return g.CompareActors(a.ai, b.ai)
	})
	for k := range names {
		g.order[k] = names[k].ai
	}
}
