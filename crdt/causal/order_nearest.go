package causal

import "math"

// Among how many of the chains that became ready last the nearest is looked for, and how many parents are looked at on the way
// from one to another: enough for the branches of a repository, and little next to what it takes to check a change.
const (
	nearestAmong = 4
	nearestSteps = 32
)

// From which of two chains a walk down from both met another one.
const (
	fromLast = 1
	fromNext = 2
	fromBoth = fromLast | fromNext
)

const none = -1

// nearest finds which chain of changes to take in next.
type nearest struct {
	chains  []chain
	chainOf []int32 // by change
	last    int32   // the chain that was taken in last, none at the start
	// Of a walk from the last chain and another one down to what both have seen:
	seen  []uint8 // by chain, from which of the two it was met
	met   []int32 // of these chains, all
	queue []int32 // and those whose parents are to be met, ascending
	apart int     // how many of these were met from one side only
}

// of returns the place in ready, where the chain that became ready last is last, of the chain to take in next.
func (n *nearest) of(ready []int32) int {
	at := len(ready) - 1
	if at == 0 || n.last == none {
		return at
	}
	least := math.MaxInt
	for i := at; i >= 0 && i > len(ready)-1-nearestAmong; i-- {
		if d := n.distance(ready[i], least); d < least {
			least, at = d, i
		}
		// Whoever did not see the last chain is as far as that is long, and those who did come first.
		if least <= n.chains[n.last].size {
			break
		}
	}
	return at
}

// distance returns how many ops lie between the version that the last chain ends with and the one that a ready chain
// starts from: of both those that the other does not have. What is not below limit, or too far to see, is limit.
func (n *nearest) distance(to int32, limit int) int {
	ps := n.chains[to].parents
	if len(ps) == 1 && n.chainOf[ps[0]] == n.last {
		return 0
	}
	n.meet(n.last, fromLast)
	for _, p := range ps[:min(len(ps), nearestSteps)] {
		n.meet(n.chainOf[p], fromNext)
	}
	d := 0
	for steps := len(ps); n.apart > 0 && d < limit; {
		top := n.queue[len(n.queue)-1]
		n.queue = n.queue[:len(n.queue)-1]
		c := &n.chains[top]
		if n.seen[top] != fromBoth {
			n.apart--
			d += c.size
		}
		if steps += len(c.parents); steps > nearestSteps {
			d = limit
			break
		}
		for _, p := range c.parents {
			n.meet(n.chainOf[p], n.seen[top])
		}
	}
	for _, i := range n.met {
		n.seen[i] = 0
	}
	n.met, n.queue, n.apart = n.met[:0], n.queue[:0], 0
	return min(d, limit)
}

// meet notes that a chain was met. Whatever saw it has left the queue by then.
func (n *nearest) meet(i int32, from uint8) {
	was := n.seen[i]
	is := was | from
	if is == was {
		return
	}
	n.seen[i] = is
	if was != 0 {
		n.apart--
		return
	}
	if is != fromBoth {
		n.apart++
	}
	n.met = append(n.met, i)
	at := len(n.queue)
	n.queue = append(n.queue, i)
	for ; at > 0 && n.queue[at-1] > i; at-- {
		n.queue[at] = n.queue[at-1]
	}
	n.queue[at] = i
}
