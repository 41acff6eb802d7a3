package causal

import (
	"cmp"
	"fmt"
	"slices"
	"sort"

	"github.com/atollsync/atoll/internal/planted"
)

// LV (local version) names an op in one Graph by its place in the order in which the graph
// learned of it, which is a causal order: whatever an op saw has a smaller LV.
// It is never sent or stored.
type LV int

// ActorIndex names an actor in one Graph, in order of first appearance. The log of a forked actor has several branches, and
// each has an index: the ops of one index are a linear history, which goes on from that of another where it says From.
type ActorIndex int32

// Run is a linear stretch of one actor's history: each op but the first has
// the one before it as its only parent.
type Run struct {
	Span
	Actor ActorIndex
	Seq   Seq // of the op Span.Start
	// Parents of the op Span.Start: the heads its author saw, the actor's own previous
	// op among them unless another covers it. Ascending. Read-only.
	Parents []LV
}

// Graph is the causal graph of a store's ops, run-length encoded. The zero
// value is the empty graph. A Graph only grows. It is not safe for concurrent
// use while it grows; any number of readers may share one that does not.
//
// Invariant: runs are in LV order without gaps; an actor's runs are in seq
// order without gaps; every parent is smaller than its child.
type Graph struct {
	actors  []Actor
	index   map[Actor]ActorIndex
	ranking // of actors
	runs    []run
	byActor [][]int32 // indexes into runs, per actor, in seq order
	firsts  []int32   // room for the first of each, of actors to come
	heads   []LV      // ascending
	// The parents of all runs, one run's after another's, and the stretches they lie in: see stretchOf.
	parents         []LV
	parentStretches []int32
	room            []LV // for the parents of the run that Add adds
	// The branches of forked actors, in order of first appearance, and where each branch starts, by index; nil while no log
	// is forked. See fork.go.
	forks    map[Actor][]ActorIndex
	branches []branch
}

// run is a Run as the graph keeps it.
type run struct {
	Span
	seq     Seq
	actor   ActorIndex
	parents uint32 // where its parents start: they end where the next run's start
}

// Len returns the number of ops: the LV the next one gets.
func (g *Graph) Len() LV {
	if len(g.runs) == 0 {
		return 0
	}
	return g.runs[len(g.runs)-1].End
}

// parentsOf returns where the parents of run i lie in parents and parentStretches.
func (g *Graph) parentsOf(i int) (lo, hi int) {
	lo, hi = int(g.runs[i].parents), len(g.parents)
	if i+1 < len(g.runs) {
		hi = int(g.runs[i+1].parents)
	}
	return lo, hi
}

// stretchOf returns the index of the first run of the stretch that run i lies in: runs, of whatever actors, each of which saw the last op of the
// one before it and so all of that one, and nothing else. People who take turns make many runs, and few stretches.
func (g *Graph) stretchOf(i int) int32 {
	if lo, hi := g.parentsOf(i); hi-lo == 1 && g.parents[lo] == g.runs[i].Start-1 {
		return g.parentStretches[lo]
	}
	return int32(i)
}

// Heads returns the ops without successors, ascending. Read-only until the next Add.
func (g *Graph) Heads() []LV { return g.heads }

// Actors returns every actor of the graph, by index: a forked one once for each branch. Read-only.
func (g *Graph) Actors() []Actor { return g.actors }

// Actor returns the actor with index i.
func (g *Graph) Actor(i ActorIndex) Actor { return g.actors[i] }

// Reserve makes room for n more actors, and as many runs.
func (g *Graph) Reserve(n int) {
	if g.index == nil {
		g.index = make(map[Actor]ActorIndex, n)
	}
	g.actors, g.byActor = slices.Grow(g.actors, n), slices.Grow(g.byActor, n)
	g.ranks, g.order = slices.Grow(g.ranks, n), slices.Grow(g.order, n)
	g.firsts = make([]int32, n)
	g.runs, g.heads = slices.Grow(g.runs, n), slices.Grow(g.heads, n)
	g.parents, g.parentStretches = slices.Grow(g.parents, n), slices.Grow(g.parentStretches, n)
}

// fewActors is the number up to which actors are found by looking at each, which is faster than to hash one.
const fewActors = 4

// ActorIndex returns a's index, that of the branch that appeared first if a is forked, and false if a has no op in the graph.
func (g *Graph) ActorIndex(a Actor) (ActorIndex, bool) {
	if len(g.actors) <= fewActors {
		for i := range g.actors {
			if g.actors[i] == a {
				return ActorIndex(i), true
			}
		}
		return 0, false
	}
	if i := g.runs[len(g.runs)-1].actor; g.actors[i] == a && g.forks == nil {
		return i, true // who wrote last is asked for most
	}
	i, ok := g.index[a]
	return i, ok
}

// Last returns the Seq of a's last op, 0 if it has none: of its longest branch if a is forked.
func (g *Graph) Last(a Actor) Seq {
	if all := g.forks[a]; len(all) > 0 {
		last := Seq(0)
		for _, i := range all {
			last = max(last, g.LastOf(i))
		}
		return last
	}
	i, ok := g.ActorIndex(a)
	if !ok {
		return 0
	}
	return g.LastOf(i)
}

// LastOf returns the Seq of the last op of the actor with index i.
func (g *Graph) LastOf(i ActorIndex) Seq {
	r := g.lastRun(i)
	return r.seq + Seq(r.Len()) - 1
}

func (g *Graph) lastRun(i ActorIndex) *run {
	list := g.byActor[i]
	return &g.runs[list[len(list)-1]]
}

// Continue is Add for n > 0 more ops of the actor whose op is the last of g, and who has seen no more than that since.
func (g *Graph) Continue(n int) Span {
	r := &g.runs[len(g.runs)-1]
	span := Span{r.End, r.End + LV(n)}
	r.End = span.End
	g.heads[len(g.heads)-1] = span.End - 1 // the last op was a head, the last one
	return span
}

// Add appends n ops of actor, the first of which is numbered seq and saw
// parents, and returns their local versions. Parents that are in another's history are
// dropped. The actor's own previous op is a parent whether named or not. Add
// returns an error, and changes nothing, if seq is not the actor's next, n is not positive or a
// parent is unknown. Of a forked actor it is the first branch that goes on: see AddAfter and AddBranch.
func (g *Graph) Add(actor Actor, seq Seq, n int, parents []LV) (Span, error) {
	if n <= 0 {
		return Span{}, fmt.Errorf("causal: add %d ops of %s", n, actor)
	}
	start := g.Len()
	span := Span{start, start + LV(n)}
	if k := len(g.runs); k > 0 && (len(parents) == 0 || len(parents) == 1 && parents[0] == start-1) {
		r := &g.runs[k-1]
		if r.seq+Seq(r.Len()) == seq && g.actors[r.actor] == actor {
			return g.Continue(n), nil // the actor goes on where it and the graph stopped: its run grows
		}
	}
	last, own := Seq(0), LV(-1)
	ai, known := g.ActorIndex(actor)
	if known {
		r := g.lastRun(ai)
		last, own = r.seq+Seq(r.Len())-1, r.End-1
	}
	if seq != last+1 {
		return Span{}, fmt.Errorf("causal: add %s:%d after %d", actor, seq, last)
	}
	for _, p := range parents {
		if p < 0 || p >= start {
			return Span{}, fmt.Errorf("causal: add %s:%d: unknown parent %d", actor, seq, p)
		}
	}
	// Nothing below can fail.
	if !known {
		return g.AddNew(actor, n, parents), nil
	}
	g.room = append(append(g.room[:0], parents...), own)
	parents = g.maximal(g.room)
	if len(parents) == 1 && parents[0] == own && own == start-1 {
		g.runs[len(g.runs)-1].End = span.End // as above: what else was named had been seen already
		g.heads = nextHeads(g.heads, parents, span.End-1)
	} else {
		g.addRun(span, ai, seq, parents)
	}
	return span, nil
}

// AddNew is Add for the first ops of an actor that has none yet, as its caller knows, and for parents that are in the graph: it looks nothing up.
func (g *Graph) AddNew(actor Actor, n int, parents []LV) Span {
	start := g.Len()
	span := Span{start, start + LV(n)}
	g.room = append(g.room[:0], parents...)
	parents = g.maximal(g.room)
	ai := g.addActor(actor)
	if g.index == nil {
		g.index = make(map[Actor]ActorIndex)
	}
	known := len(g.index)
	if g.index[actor] = ai; len(g.index) == known {
		panic(fmt.Sprintf("causal: %s is not new", actor))
	}
	if g.forks != nil {
		g.branches = append(g.branches, branch{parent: nobody})
	}
	g.addRun(span, ai, 1, parents)
	return span
}

// addActor adds an actor, or a branch of its log, without a run.
func (g *Graph) addActor(a Actor) ActorIndex {
	var runs []int32
	if len(g.firsts) > 0 {
		runs, g.firsts = g.firsts[:0:1], g.firsts[1:]
	}
	g.actors, g.byActor, g.ranks = append(g.actors, a), append(g.byActor, runs), append(g.ranks, 0)
	return ActorIndex(len(g.actors) - 1)
}

// Run returns the run that holds lv, which must be in the graph.
func (g *Graph) Run(lv LV) Run { return g.runAt(g.runIndex(lv)) }

func (g *Graph) runAt(i int) Run {
	r := &g.runs[i]
	lo, hi := g.parentsOf(i)
	return Run{Span: r.Span, Actor: r.actor, Seq: r.seq, Parents: g.parents[lo:hi:hi]}
}

// Runs calls yield with each stretch of s that lies in one run, as a Run cut to
// it, in order, until yield returns false. The parents of a cut run are those of its first op.
func (g *Graph) Runs(s Span, yield func(Run) bool) {
	if s.Start >= s.End {
		return
	}
	for i := g.runIndex(s.Start); i < len(g.runs) && g.runs[i].Start < s.End; i++ {
		r := g.runAt(i)
		if s.Start > r.Start {
			r.Seq += Seq(s.Start - r.Start)
			r.Start = s.Start
			r.Parents = []LV{s.Start - 1}
		}
		r.End = min(r.End, s.End)
		if !yield(r) {
			return
		}
	}
}

// runIndex returns the index of the run that holds lv. That is mostly one of the last, or else about as far from the first
// as lv is.
func (g *Graph) runIndex(lv LV) int {
	n := len(g.runs)
	if n == 0 || lv < 0 || lv >= g.runs[n-1].End {
		panic(fmt.Sprintf("causal: local version %d of %d", lv, g.Len()))
	}
	const few = 16
	if n <= few || lv >= g.runs[n-few].Start {
		return g.runBelow(n, lv)
	}
	i := min(int(float64(n)*(float64(lv)/float64(g.runs[n-1].End))), n-1)
	for step := 1; g.runs[i].End <= lv; step *= 2 {
		i = min(i+step, n-1)
	}
	return g.runBelow(i+1, lv)
}

// runBelow returns the index of the run that holds lv, which lies in one before run i. Its cost is that of
// the logarithm of the distance.
func (g *Graph) runBelow(i int, lv LV) int {
	for step := 1; ; step *= 2 {
		lo := max(i-step, 0)
		if g.runs[lo].Start > lv {
			i = lo
			continue
		}
		for lo+1 < i {
			if mid := int(uint(lo+i) >> 1); g.runs[mid].Start <= lv {
				lo = mid
			} else {
				i = mid
			}
		}
		return lo
	}
}

// Parents returns the parents of lv, ascending. Read-only.
func (g *Graph) Parents(lv LV) []LV {
	i := g.runIndex(lv)
	if lv == g.runs[i].Start {
		lo, hi := g.parentsOf(i)
		return g.parents[lo:hi:hi]
	}
	return []LV{lv - 1}
}

// AppendParents appends the parents of lv to buf, ascending.
func (g *Graph) AppendParents(buf []LV, lv LV) []LV {
	i := g.runIndex(lv)
	if lv == g.runs[i].Start {
		lo, hi := g.parentsOf(i)
		return append(buf, g.parents[lo:hi]...)
	}
	return append(buf, lv-1)
}

// ActorOf returns the index of the actor of lv, which must be in the graph.
func (g *Graph) ActorOf(lv LV) ActorIndex { return g.runs[g.runIndex(lv)].actor }

// CompareDots orders two ops of the graph as Dot.Compare does their dots. Those of one actor that have equal dots, on two branches, it orders
// by the hashes of the first changes of each after the branches part.
func (g *Graph) CompareDots(a, b LV) int {
	i, j := g.ActorOf(a), g.ActorOf(b)
	if i == j || planted.Is(planted.TieByArrival) {
		return cmp.Compare(a, b) // as their seqs
	}
	if c := g.CompareActors(i, j); c != 0 {
		return c
	}
	return g.compareForked(a, b, i, j)
}

// Dot returns the dot of lv, which must be in the graph.
func (g *Graph) Dot(lv LV) Dot {
	r := &g.runs[g.runIndex(lv)]
	return Dot{g.actors[r.actor], r.seq + Seq(lv-r.Start)}
}

// LV returns the local version of d, and false if the graph does not hold it. If d names several ops, since its actor is forked, that is
// the one that came first: see All.
func (g *Graph) LV(d Dot) (LV, bool) {
	if g.forks != nil && len(g.forks[d.Actor]) > 0 {
		return g.nth(d, 0)
	}
	ai, ok := g.ActorIndex(d.Actor)
	if !ok {
		return 0, false
	}
	return g.LVOf(ai, d.Seq)
}

// LVOf returns the local version of the op numbered seq of the actor with index i, and false if the graph does not hold it. That of a
// branch may be an op of one that it leaves.
func (g *Graph) LVOf(i ActorIndex, seq Seq) (LV, bool) {
	if seq == 0 {
		return 0, false
	}
	r := g.lastRun(i)
	if seq < r.seq {
		i = g.owner(i, seq)
		list := g.byActor[i]
		r = &g.runs[list[g.firstAfter(list, seq)-1]]
	}
	off := seq - r.seq
	if off >= Seq(r.Len()) {
		return 0, false
	}
	return r.Start + LV(off), true
}

// firstAfter returns the place in list, an actor's runs, of the first run that starts after seq.
func (g *Graph) firstAfter(list []int32, seq Seq) int {
	return sort.Search(len(list), func(i int) bool { return g.runs[list[i]].seq > seq })
}

// ActorSpans returns the local versions of a's ops [from, to), in order, those of all branches if a is forked.
func (g *Graph) ActorSpans(a Actor, from, to Seq) []Span {
	if len(g.forks[a]) > 0 {
		return g.spansOfForked(a, from, to)
	}
	ai, ok := g.index[a]
	if !ok {
		return nil
	}
	return g.appendSpansOf(nil, ai, from, to)
}

// appendSpansOf appends to out the local versions of an actor's ops [from, to), those that touch as one.
func (g *Graph) appendSpansOf(out []Span, ai ActorIndex, from, to Seq) []Span {
	if from >= to || from > g.LastOf(ai) {
		return out
	}
	list := g.byActor[ai]
	for i := max(0, g.firstAfter(list, from)-1); i < len(list) && g.runs[list[i]].seq < to; i++ {
		r := &g.runs[list[i]]
		s := r.Span
		if from > r.seq {
			s.Start += LV(from - r.seq)
		}
		if end := r.seq + Seq(r.Len()); to < end {
			s.End -= LV(end - to)
		}
		out = AppendSpan(out, s)
	}
	return out
}

// Version returns the dots of lvs, sorted: with Heads, the graph's version.
func (g *Graph) Version(lvs []LV) Version {
	out := make(Version, len(lvs))
	for i, lv := range lvs {
		out[i] = g.Dot(lv)
	}
	slices.SortFunc(out, Dot.Compare)
	return out
}

// LVs returns the local versions of v, ascending and without those in another's history, and false if the graph lacks one. If an actor's log
// is forked a dot may name several ops: see lvsForked.
func (g *Graph) LVs(v Version) ([]LV, bool) {
	if g.forks != nil {
		return g.lvsForked(v)
	}
	out := make([]LV, len(v))
	for i, d := range v {
		lv, ok := g.LV(d)
		if !ok {
			return nil, false
		}
		out[i] = lv
	}
	return g.Maximal(out), true
}

// VersionVector summarises the whole graph, and does not tell the branches of a forked actor apart: it has the last op of the longest.
func (g *Graph) VersionVector() VersionVector {
	out := make(VersionVector, 0, len(g.actors))
	for i, a := range g.actors {
		out = append(out, Dot{a, g.LastOf(ActorIndex(i))})
	}
	return out.greatest()
}

// greatest sorts v, which may name an actor more than once, and keeps the greatest Seq of each, in place.
func (v VersionVector) greatest() VersionVector {
	slices.SortFunc(v, func(a, b Dot) int {
		if c := a.Actor.Compare(b.Actor); c != 0 {
			return c
		}
		return cmp.Compare(b.Seq, a.Seq)
	})
	return slices.CompactFunc(v, func(a, b Dot) bool { return a.Actor == b.Actor })
}

// VersionVectorOf summarises the causal history of version.
func (g *Graph) VersionVectorOf(version []LV) VersionVector {
	h := g.History(version)
	var out VersionVector
	for _, s := range h.spans() {
		g.Runs(s, func(r Run) bool {
			out = append(out, Dot{g.actors[r.Actor], r.Seq + Seq(r.Len()) - 1})
			return true
		})
	}
	return out.greatest()
}

// Missing returns what the graph holds beyond v, ascending: what to send to a peer
// that said it has v. Actors of v that the graph lacks are passed over.
func (g *Graph) Missing(v VersionVector) []Span {
	var out []Span
	for i, a := range g.actors {
		ai := ActorIndex(i)
		out = g.appendSpansOf(out, ai, max(v.Get(a), g.branchFrom(ai))+1, g.LastOf(ai)+1)
	}
	return joinSpans(out)
}
