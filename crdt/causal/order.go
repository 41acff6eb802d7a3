package causal

import (
	"cmp"
	"slices"
)

// Order returns an order in which to take in changes that arrived together: a causal one, in which whoever
// merges them moves little between the versions of their authors. A change is followed by one that saw it, as long as
// there is one all of whose parents have come; where a branch ends, the one that left its path last is next, and where
// several leave one change, the shortest. Taken in as they were made, branches that grow side by side would cost
// the length of one at every step of another: 15 to 25 times as much in histories like those of repositories.
//
// The parents of the i-th change, as far as they arrived with it, are the indexes parents[ends[i-1]:ends[i]], all
// below i. size(i) is its number of ops. The cost is in proportion to all of these.
func Order(ends, parents []int32, size func(i int) int) []int32 {
	n := len(ends)
	of := func(i int32) []int32 {
		if i == 0 {
			return parents[:ends[0]]
		}
		return parents[ends[i-1]:ends[i]]
	}
	children := make([]int32, n) // how many
	for _, p := range parents {
		children[p]++
	}
	// What follows a change that nothing else follows need not be looked at again: only chains are put in order.
	chainOf := make([]int32, n)
	chains := make([]chain, 0, 16)
	for i := range int32(n) {
		if ps := of(i); i == 0 || len(ps) != 1 || ps[0] != i-1 || children[i-1] > 1 {
			chains = append(chains, chain{first: i, parents: ps})
		}
		chainOf[i] = int32(len(chains) - 1)
		chains[len(chains)-1].length += size(int(i))
	}
	for i := range chains {
		c := &chains[i]
		c.waits = len(c.parents)
		for _, p := range c.parents {
			up := &chains[chainOf[p]]
			up.children = append(up.children, int32(i))
		}
	}
	for i := len(chains) - 1; i >= 0; i-- {
		if c := &chains[i]; len(c.parents) == 1 {
			chains[chainOf[c.parents[0]]].length += c.length
		}
	}
	// The last of ready is next.
	var ready []int32
	shortestLast := func(found []int32) {
		slices.SortStableFunc(found, func(a, b int32) int { return cmp.Compare(chains[b].length, chains[a].length) })
	}
	for i := range chains {
		if chains[i].waits == 0 {
			ready = append(ready, int32(i))
		}
	}
	shortestLast(ready)
	order := make([]int32, 0, n)
	for len(ready) > 0 {
		i := ready[len(ready)-1]
		ready = ready[:len(ready)-1]
		for k := chains[i].first; k < int32(n) && chainOf[k] == i; k++ {
			order = append(order, k)
		}
		from := len(ready)
		for _, c := range chains[i].children {
			if chains[c].waits--; chains[c].waits == 0 {
				ready = append(ready, c)
			}
		}
		shortestLast(ready[from:])
	}
	return order
}

// chain is a stretch of changes from first on, each but the first with the one before it as its only parent, and each but the
// last with no other child.
type chain struct {
	first    int32
	parents  []int32 // of the first
	children []int32 // chains
	waits    int     // parents that have not come
	length   int     // in ops, with all that saw nothing else
}
