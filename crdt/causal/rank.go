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

// named is an actor with a part of its name as a number.
type named struct {
	key uint64
	ai  ActorIndex
}

// sortNames sorts order. What all names begin with is not looked at, and the eight bytes after that mostly decide.
func (g *Graph) sortNames() {
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
	names = sortKeys(names)
	for from := 0; from < len(names); {
		end := from + 1
		for end < len(names) && names[end].key == names[from].key {
			end++
		}
		if end > from+1 {
			slices.SortFunc(names[from:end], func(a, b named) int { return g.CompareActors(a.ai, b.ai) })
		}
		from = end
	}
	for k := range names {
		g.order[k] = names[k].ai
	}
}

// sortKeys returns names sorted by key, there or in an array of its own: by one byte after the other, the last first, of those in which they
// differ. That takes a fraction of the time of comparing them.
func sortKeys(names []named) []named {
	var counts [8][256]int32
	for i := range names {
		key := names[i].key
		for b := range counts {
			counts[b][byte(key>>(8*b))]++
		}
	}
	other := make([]named, len(names))
	for b := range counts {
		count := &counts[b]
		if count[byte(names[0].key>>(8*b))] == int32(len(names)) {
			continue
		}
		at := int32(0) // where those with a byte start, and, as they come, go on
		for d := range count {
			count[d], at = at, at+count[d]
		}
		for i := range names {
			to := &count[byte(names[i].key>>(8*b))]
			other[*to] = names[i]
			*to++
		}
		names, other = other, names
	}
	return names
}
