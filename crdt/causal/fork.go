package causal

import (
	"bytes"
	"cmp"
	"slices"
	"sort"
)

// An actor's log is a tree: normally a single branch. Each branch has an ActorIndex of its own, so that all that is kept per
// ActorIndex is about one linear history. Which branch came first is a matter of arrival, and nothing that
// others see may depend on it.

// branch is where a branch of an actor's log leaves another.
type branch struct {
	parent ActorIndex // the branch that has the op numbered from as its own; nobody: from is 0
	from   Seq        // the last op that both have
	// tie and other are the hashes of the changes after that, on this branch and on parent (with from 0: on the actor's first
	// branch). They decide between ops with equal dots.
	tie, other [32]byte
}

// Leaves says where a new branch of an actor's log starts, for AddBranch.
type Leaves struct {
	// After is the last op that the branch has in common with what is held of the actor, -1 if there is none.
	After LV
	// Hash is that of the branch's first change, Other that of the change that follows After on the branch After is an op of, or of
	// the first change of the actor's first branch.
	Hash, Other [32]byte
}

// Forked reports whether the log of any actor has more than one branch.
func (g *Graph) Forked() bool { return g.forks != nil }

// IsForked reports whether the log of the actor with index i has more than one branch.
func (g *Graph) IsForked(i ActorIndex) bool { return g.forks != nil && len(g.forks[g.actors[i]]) > 0 }

// Branches returns the indexes of a's branches, in order of first appearance, nil if a has no op in the graph. Read-only.
func (g *Graph) Branches(a Actor) []ActorIndex {
	if all := g.forks[a]; len(all) > 0 {
		return all
	}
	if i, ok := g.ActorIndex(a); ok {
		return []ActorIndex{i}
	}
	return nil
}

// From returns where the branch with index i leaves another one: the last op that both have, and the index of the branch
// that op belongs to, negative if there is none.
func (g *Graph) From(i ActorIndex) (Seq, ActorIndex) {
	if g.forks == nil {
		return 0, nobody
	}
	return g.branches[i].from, g.branches[i].parent
}

// owner returns the branch on the way to i that the op numbered seq belongs to.
func (g *Graph) owner(i ActorIndex, seq Seq) ActorIndex {
	for g.forks != nil && seq <= g.branches[i].from {
		i = g.branches[i].parent
	}
	return i
}

// Reaches returns the last op of branch i that is on the way to the op numbered seq of branch j, 0 if none is.
func (g *Graph) Reaches(i, j ActorIndex, seq Seq) Seq {
	for j != i {
		if g.forks == nil || g.branches[j].parent < 0 {
			return 0
		}
		seq, j = min(seq, g.branches[j].from), g.branches[j].parent
	}
	return seq
}

// AddBranch is Add for an op that starts another branch of an actor's log: the actor has written already, and l.After is not
// the last op of any branch.
func (g *Graph) AddBranch(actor Actor, n int, parents []LV, l Leaves) Span {
	start := g.Len()
	span := Span{start, start + LV(n)}
	if g.forks == nil {
		g.forks = make(map[Actor][]ActorIndex)
		g.branches = make([]branch, len(g.actors))
		for i := range g.branches {
			g.branches[i].parent = nobody
		}
	}
	b := branch{parent: nobody, tie: l.Hash, other: l.Other}
	g.room = append(g.room[:0], parents...)
	if l.After >= 0 {
		b.parent, b.from = g.ActorOf(l.After), g.Dot(l.After).Seq
		g.room = append(g.room, l.After)
	}
	if len(g.forks[actor]) == 0 {
		g.forks[actor] = []ActorIndex{g.index[actor]}
	}
	ai := g.addActor(actor)
	g.forks[actor] = append(g.forks[actor], ai)
	g.branches = append(g.branches, b)
	g.addRun(span, ai, b.from+1, g.maximal(g.room))
	return span
}

// AddAfter is Add for an op of the branch with index i, whose last op it comes after.
func (g *Graph) AddAfter(i ActorIndex, n int, parents []LV) Span {
	start := g.Len()
	span := Span{start, start + LV(n)}
	r := g.lastRun(i)
	own, seq := r.End-1, r.seq+Seq(r.Len())
	g.room = append(append(g.room[:0], parents...), own)
	parents = g.maximal(g.room)
	if len(parents) == 1 && parents[0] == own && own == start-1 {
		g.runs[len(g.runs)-1].End = span.End
		g.heads = nextHeads(g.heads, parents, span.End-1)
		return span
	}
	g.addRun(span, i, seq, parents)
	return span
}

// lvsForked is LVs where some log is forked. A version that was this graph's own once named the ends of all that had come by then: the first time at
// which v's dots did that is the one that is meant, or else the first at which they were the ends of all that they name. A version from
// elsewhere need not have such a time: of an op with several branches it means the one that came first here, and where the dot is repeated
// the next one.
func (g *Graph) lvsForked(v Version) ([]LV, bool) {
	var named []LV
	for i, d := range v {
		if i == 0 || v[i-1] != d {
			named = append(named, g.All(d)...)
		}
	}
	slices.Sort(named)
	var ends, first []LV
	for _, lv := range named {
		if ends = g.maximal(append(ends, lv)); len(ends) != len(v) || !g.Version(ends).Equal(v) {
			continue
		}
		if history, _ := g.Diff(ends, nil); len(history) == 1 && history[0] == (Span{End: lv + 1}) {
			return ends, true
		}
		if first == nil {
			first = slices.Clone(ends)
		}
	}
	if first != nil {
		return first, true
	}
	out := make([]LV, len(v))
	for i, d := range v {
		n := 0
		for n < i && v[i-1-n] == d {
			n++
		}
		lv, ok := g.nth(d, n)
		if !ok {
			return nil, false
		}
		out[i] = lv
	}
	return g.maximal(out), true
}

// addRun adds a run with the given parents, none in another's history.
func (g *Graph) addRun(span Span, ai ActorIndex, seq Seq, parents []LV) {
	r := run{Span: span, seq: seq, actor: ai, parents: uint32(len(g.parents))}
	for _, p := range parents {
		g.parentStretches = append(g.parentStretches, g.stretchOf(g.runIndex(p)))
	}
	g.parents = append(g.parents, parents...)
	g.byActor[ai] = append(g.byActor[ai], int32(len(g.runs)))
	g.runs = append(g.runs, r)
	g.heads = nextHeads(g.heads, parents, span.End-1)
}

// compareForked orders ops of two branches of one actor's log: by seq, then by the hashes of the first changes in which their
// histories in that log differ.
func (g *Graph) compareForked(a, b LV, i, j ActorIndex) int {
	if c := cmp.Compare(g.seqOf(a), g.seqOf(b)); c != 0 {
		return c
	}
	return g.compareBranches(i, j)
}

func (g *Graph) seqOf(lv LV) Seq {
	r := &g.runs[g.runIndex(lv)]
	return r.seq + Seq(lv-r.Start)
}

// compareBranches orders two branches of one log that both go on after they part.
func (g *Graph) compareBranches(i, j ActorIndex) int {
	// Each moves down to where it leaves its parent, the later one first: what a branch leaves has the smaller index.
	// below is the branch by which one came to where it is now, nobody if it started there.
	belowI, belowJ := nobody, nobody
	for i != j {
		if i > j {
			belowI, i = i, g.branches[i].parent
		} else {
			belowJ, j = j, g.branches[j].parent
		}
	}
	// i is now what both leave, or nobody: then that is the start of the log, and one may be the actor's first branch, which
	// leaves nothing.
	leaves := func(b ActorIndex) bool { return b >= 0 && (i >= 0 || g.forks[g.actors[b]][0] != b) }
	switch {
	case !leaves(belowJ), leaves(belowI) && g.branches[belowI].from < g.branches[belowJ].from:
		x := &g.branches[belowI]
		return bytes.Compare(x.tie[:], x.other[:])
	case !leaves(belowI), g.branches[belowI].from > g.branches[belowJ].from:
		x := &g.branches[belowJ]
		return bytes.Compare(x.other[:], x.tie[:])
	}
	x, y := &g.branches[belowI], &g.branches[belowJ]
	return bytes.Compare(x.tie[:], y.tie[:])
}

// All returns the local versions of the ops with dot d: of a forked actor there may be one on each branch.
func (g *Graph) All(d Dot) []LV {
	var out []LV
	for _, i := range g.Branches(d.Actor) {
		if d.Seq <= g.branchFrom(i) {
			continue // of the branch it leaves
		}
		if lv, ok := g.LVOf(i, d.Seq); ok {
			out = append(out, lv)
		}
	}
	return out
}

func (g *Graph) branchFrom(i ActorIndex) Seq {
	if g.forks == nil {
		return 0
	}
	return g.branches[i].from
}

// nth returns the n-th in order of arrival of the ops with a dot.
func (g *Graph) nth(d Dot, n int) (LV, bool) {
	all := g.All(d)
	slices.Sort(all)
	if n >= len(all) {
		return 0, false
	}
	return all[n], true
}

// spansOfForked returns the local versions of the ops [from, to) of all branches of a.
func (g *Graph) spansOfForked(a Actor, from, to Seq) []Span {
	var out []Span
	for _, i := range g.forks[a] {
		out = g.appendSpansOf(out, i, max(from, g.branches[i].from+1), to)
	}
	return joinSpans(out)
}

// joinSpans sorts spans without overlap, and joins those that touch, in place.
func joinSpans(spans []Span) []Span {
	sort.Slice(spans, func(i, j int) bool { return spans[i].Start < spans[j].Start })
	out := spans[:0]
	for _, s := range spans {
		out = AppendSpan(out, s)
	}
	return out
}

// Beyond returns what the graph holds beyond the given op of each branch, 0 for none, ascending. have is asked once for each.
func (g *Graph) Beyond(have func(i ActorIndex) Seq) []Span {
	var out []Span
	for i := range g.actors {
		ai := ActorIndex(i)
		out = g.appendSpansOf(out, ai, max(have(ai), g.branchFrom(ai))+1, g.LastOf(ai)+1)
	}
	return joinSpans(out)
}

// SpansOf returns the local versions of the ops [from, to) of the branch with index i, those of the branches it leaves not
// among them.
func (g *Graph) SpansOf(i ActorIndex, from, to Seq) []Span {
	return g.appendSpansOf(nil, i, max(from, g.branchFrom(i)+1), to)
}
