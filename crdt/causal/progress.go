package causal

import (
	"fmt"
	"slices"
)

// maxKnown is the number of versions that a Progress remembers: enough for as many people as work on something
// at once, few enough to look through.
const maxKnown = 32

// Progress is how far somebody has come who takes in the ops of a Graph in their order. It gives the causal
// history of each change from those of the changes before it, which costs next to nothing where Diff
// walks the graph: an author mostly goes on from where they were, and has seen a little more of what the
// others did. The zero value has taken in nothing. It takes in ops of one Graph only, and, like that, is
// not safe for concurrent use while it grows.
//
// Invariant: what has been taken in holds the history of each of its ops; known versions lie in it.
type Progress struct {
	heads []LV
	taken []Span // ascending
	known []knownVersion
	last  int    // of known, where the last change led
	run   int    // of the graph, that of the last change
	clock uint64 // of uses of known
	// Room for what a merge adds to a version, and for the heads of one.
	added []Span
	room  []LV
	found foundBy
}

// knownVersion is a version and what it lacks of what has been taken in. An author's latest is theirs, and moves
// on with them; one that others started from is nobody's, and stays.
type knownVersion struct {
	head  LV   // its greatest op
	heads []LV // the others, ascending: mostly none
	// missing is what it lacks of the ops before end; it has none from there on. The part of its array that has
	// been given out is never written to again, so two that share an array are the same as far as both go.
	missing []Span
	end     LV
	author  ActorIndex
	used    uint64
}

const nobody ActorIndex = -1

// foundBy says how a history was found. Tests see to it that each way is taken.
type foundBy uint8

const (
	byContinuing foundBy = iota // goes on from the last change
	byVersion                   // saw just what some known version has
	byHeads                     // saw everything
	byNothing                   // saw nothing
	byMerging                   // saw a known version and others
	byNeighbour                 // differs from a known version that is not far
	byDiff                      // none of these
)

// Heads returns the heads of what has been taken in, ascending. Read-only until the next Take.
func (p *Progress) Heads() []LV { return p.heads }

// End returns the LV from which on nothing has been taken in.
func (p *Progress) End() LV {
	if n := len(p.taken); n > 0 {
		return p.taken[n-1].End
	}
	return 0
}

// Take takes in the ops of span, which lies in one run of g and not before End, and returns the causal history that
// the first of them has among what was taken in before, which must hold all of it. As long as
// nothing is missing that was not before, Missing is the same slice.
func (p *Progress) Take(g *Graph, span Span) History {
	if p.last < len(p.known) && p.run < len(g.runs) {
		if k, r := &p.known[p.last], &g.runs[p.run]; k.end == span.Start && k.head == span.Start-1 && r.Start < span.Start && span.Start < span.End && span.End <= r.End {
			// The author of what was taken in last goes on, on their own: nothing changes but how far that is.
			n := len(p.taken) - 1
			h := History{missing: k.missing, end: span.Start}
			k.head, k.end, p.taken[n].End, p.heads[len(p.heads)-1] = span.End-1, span.End, span.End, span.End-1
			p.found = byContinuing
			return h
		}
	}
	i := p.runOf(g, span.Start)
	r := &g.runs[i]
	end := p.End()
	if span.Start < end || span.Start >= span.End || span.End > r.End {
		panic(fmt.Sprintf("causal: take in [%d, %d) after %d, from a run that ends at %d", span.Start, span.End, end, r.End))
	}
	one := [1]LV{span.Start - 1}
	parents := one[:]
	if span.Start == r.Start {
		lo, hi := g.parentsOf(i)
		parents = g.parents[lo:hi]
	}
	if len(p.known) > 0 && p.known[p.last].author == r.actor && p.known[p.last].is(parents) {
		p.found = byContinuing
	} else {
		p.last = p.find(g, i, parents)
	}
	k := &p.known[p.last]
	p.grow(k)
	h := History{missing: k.missing, end: end}
	k.head, k.heads, k.end = span.End-1, nil, span.End
	p.run = i
	p.taken = AppendSpan(p.taken, span)
	p.heads = nextHeads(p.heads, parents, span.End-1)
	return h
}

// Continue is Take for ops that follow those taken in last, in their run, up to end.
func (p *Progress) Continue(end LV) {
	k := &p.known[p.last]
	k.head, k.end = end-1, end
	p.taken[len(p.taken)-1].End, p.heads[len(p.heads)-1] = end, end-1
}

// runOf returns the index of the run of g that holds lv, which is mostly that of the last change or the next.
func (p *Progress) runOf(g *Graph, lv LV) int {
	for i := p.run; i < min(p.run+2, len(g.runs)); i++ {
		if g.runs[i].Contains(lv) {
			return i
		}
	}
	return g.runIndex(lv)
}

// is reports whether k is the version with the given heads.
func (k *knownVersion) is(heads []LV) bool {
	n := len(heads) - 1
	return n >= 0 && k.head == heads[n] && len(k.heads) == n && slices.Equal(k.heads, heads[:n])
}

// grow adds to what k lacks whatever was taken in since it was looked at last.
func (p *Progress) grow(k *knownVersion) {
	end := p.End()
	if k.end == end {
		return
	}
	i := len(p.taken) - 1
	for i > 0 && p.taken[i-1].End > k.end {
		i--
	}
	for _, s := range p.taken[i:] {
		s.Start = max(s.Start, k.end)
		if n := len(k.missing); n > 0 && k.missing[n-1].End == s.Start {
			k.missing = slices.Clone(k.missing) // the last one grows, and may have been given out
		}
		k.missing = AppendSpan(k.missing, s)
	}
	k.end = end
}

// find makes the version that the author of run i of g has come to, parents, known as theirs, and returns its number.
func (p *Progress) find(g *Graph, i int, parents []LV) int {
	p.clock++
	author := g.runs[i].actor
	own, at := p.lookup(author, parents)
	if at >= 0 && at == own {
		p.found = byVersion
		p.use(own)
		return own
	}
	missing, from := p.lacks(g, i, own, at, parents)
	if own >= 0 && from == own {
		k := p.use(own)
		k.missing, k.end = missing, p.End()
		return own
	}
	k := knownVersion{missing: slices.Clip(missing), end: p.End(), author: author, used: p.clock} // another may go on in the array
	if own >= 0 {
		p.known[own] = k
		return own
	}
	if n := len(parents) - 1; at < 0 && n >= 0 && g.runs[i].seq == 1 {
		// Where one author starts others may, too.
		start := k
		start.head, start.heads, start.author = parents[n], slices.Clone(parents[:n]), nobody
		p.remember(start)
	}
	return p.remember(k)
}

// lookup returns the numbers of an author's version and of that with the given heads, -1 for none.
func (p *Progress) lookup(author ActorIndex, heads []LV) (own, at int) {
	own, at = -1, -1
	for i := range p.known {
		k := &p.known[i]
		if k.author == author {
			own = i
		}
		if k.is(heads) && (at < 0 || own == i) {
			at = i
		}
	}
	return own, at
}

// lacks returns what parents, which run i of g comes after, lack of what has been taken in, and the known version
// that this was found from, the array of which it may share, -1 if none. own and at are as from lookup.
func (p *Progress) lacks(g *Graph, i, own, at int, parents []LV) ([]Span, int) {
	switch {
	case at >= 0:
		p.found = byVersion
		k := p.use(at)
		return k.missing, at
	case slices.Equal(parents, p.heads):
		p.found = byHeads
		return nil, -1
	case len(parents) == 0:
		p.found = byNothing
		return slices.Clone(p.taken), -1
	}
	if from := p.among(parents, own); from >= 0 {
		p.found = byMerging
		k := p.use(from)
		p.added = g.within(p.added, i, k.missing)
		return Subtract(k.missing, p.added), from
	}
	if from := p.near(g, parents); from >= 0 {
		p.found = byNeighbour
		k := p.use(from)
		p.room = append(append(p.room[:0], k.heads...), k.head)
		back, forth := g.Diff(p.room, parents)
		return Union(Subtract(k.missing, forth), back), from
	}
	p.found = byDiff
	missing, _ := g.Diff(p.heads, parents)
	return missing, -1
}

// use returns a known version as it stands now, and notes that it is of use.
func (p *Progress) use(i int) *knownVersion {
	k := &p.known[i]
	p.grow(k)
	k.used = p.clock
	return k
}

// remember adds a known version, at the cost of the one that has been of no use for longest.
func (p *Progress) remember(k knownVersion) int {
	k.used = p.clock
	if len(p.known) < maxKnown {
		p.known = append(p.known, k)
		return len(p.known) - 1
	}
	oldest := 0
	for i := range p.known {
		if p.known[i].used < p.known[oldest].used {
			oldest = i
		}
	}
	p.known[oldest] = k
	return oldest
}

// among returns the known version that is a single one of parents and best to start from, the author's own
// if that is one, -1 if none is.
func (p *Progress) among(parents []LV, own int) int {
	best := -1
	for i := range p.known {
		k := &p.known[i]
		if len(k.heads) > 0 || !slices.Contains(parents, k.head) {
			continue
		}
		if i == own {
			return own
		}
		if best < 0 || len(k.missing) < len(p.known[best].missing) {
			best = i
		}
	}
	return best
}

// near returns a known version that lies on the way down from parents, or is the latest of an author met there, -1
// if there is none within as many steps as Diff would take to begin with.
func (p *Progress) near(g *Graph, parents []LV) int {
	i := g.runIndex(parents[len(parents)-1])
	for range 8 + len(p.heads) {
		r := &g.runs[i]
		for j := range p.known {
			if k := &p.known[j]; k.author == r.actor || r.Contains(k.head) {
				return j
			}
		}
		lo, hi := g.parentsOf(i)
		if lo == hi {
			break
		}
		i = g.runIndex(g.parents[hi-1])
	}
	return -1
}
