package causal

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
)

// LV (local version) names an op in one Graph by its place in the order in which the graph
// learned of it, which is a causal order: whatever an op saw has a smaller LV.
// It is never sent or stored.
type LV int

// ActorIndex names an actor in one Graph, in order of first appearance.
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
	runs    []Run
	byActor [][]int32 // indexes into runs, per actor, in seq order
	heads   []LV      // ascending
}

// Len returns the number of ops: the LV the next one gets.
func (g *Graph) Len() LV {
	if len(g.runs) == 0 {
		return 0
	}
	return g.runs[len(g.runs)-1].End
}

// Heads returns the ops without successors, ascending. Read-only until the next Add.
func (g *Graph) Heads() []LV { return g.heads }

// Actors returns every actor of the graph, by index. Read-only.
func (g *Graph) Actors() []Actor { return g.actors }

// Actor returns the actor with index i.
func (g *Graph) Actor(i ActorIndex) Actor { return g.actors[i] }

// ActorIndex returns a's index, and false if a has no op in the graph.
func (g *Graph) ActorIndex(a Actor) (ActorIndex, bool) {
	i, ok := g.index[a]
	return i, ok
}

// Last returns the Seq of a's last op, 0 if it has none.
func (g *Graph) Last(a Actor) Seq {
	i, ok := g.index[a]
	if !ok {
		return 0
	}
	r := &g.runs[g.byActor[i][len(g.byActor[i])-1]]
	return r.Seq + Seq(r.Len()) - 1
}

// Add appends n ops of actor, the first of which is numbered seq and saw
// parents, and returns their local versions. Parents that are in another's history are
// dropped. The actor's own previous op is a parent whether named or not. Add
// returns an error, and changes nothing, if seq is not the actor's next, n is not positive or a
// parent is unknown.
func (g *Graph) Add(actor Actor, seq Seq, n int, parents []LV) (Span, error) {
	if n <= 0 {
		return Span{}, fmt.Errorf("causal: add %d ops of %s", n, actor)
	}
	last := g.Last(actor)
	if seq != last+1 {
		return Span{}, fmt.Errorf("causal: add %s:%d after %d", actor, seq, last)
	}
	start := g.Len()
	for _, p := range parents {
		if p < 0 || p >= start {
			return Span{}, fmt.Errorf("causal: add %s:%d: unknown parent %d", actor, seq, p)
		}
	}
	var own LV = -1
	if last > 0 {
		own, _ = g.LV(Dot{actor, last})
		if !slices.Contains(parents, own) {
			parents = append(slices.Clone(parents), own)
		}
	}
	span := Span{start, start + LV(n)}
	// Nothing below can fail.
	if len(parents) != 1 {
		parents = g.Maximal(parents)
	}
	if len(parents) == 1 && parents[0] == own && own == start-1 {
		// The actor goes on where it and the graph stopped: its run grows.
		g.runs[len(g.runs)-1].End = span.End
	} else {
		parents = slices.Clone(parents)
		if g.index == nil {
			g.index = make(map[Actor]ActorIndex)
		}
		ai, ok := g.index[actor]
		if !ok {
			ai = ActorIndex(len(g.actors))
			g.index[actor] = ai
			g.actors = append(g.actors, actor)
			g.byActor = append(g.byActor, nil)
		}
		g.byActor[ai] = append(g.byActor[ai], int32(len(g.runs)))
		g.runs = append(g.runs, Run{Span: span, Actor: ai, Seq: seq, Parents: parents})
	}
	g.heads = nextHeads(g.heads, parents, span.End-1)
	return span, nil
}

// Run returns the run that holds lv, which must be in the graph.
func (g *Graph) Run(lv LV) Run { return g.runs[g.runIndex(lv)] }

// Runs calls yield with each stretch of s that lies in one run, as a Run cut to
// it, in order, until yield returns false. The parents of a cut run are those of its first op.
func (g *Graph) Runs(s Span, yield func(Run) bool) {
	if s.Start >= s.End {
		return
	}
	for i := g.runIndex(s.Start); i < len(g.runs) && g.runs[i].Start < s.End; i++ {
		r := g.runs[i]
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

func (g *Graph) runIndex(lv LV) int {
	if n := len(g.runs); n > 0 && g.runs[n-1].Start <= lv {
		if lv >= g.runs[n-1].End {
			panic(fmt.Sprintf("causal: local version %d of %d", lv, g.runs[n-1].End))
		}
		return n - 1
	}
	return sort.Search(len(g.runs), func(i int) bool { return g.runs[i].End > lv })
}

// runBelow returns the index of the run that holds lv, which lies in one before run i: for walks down,
// where that is mostly the next.
func (g *Graph) runBelow(i int, lv LV) int {
	if i--; g.runs[i].Start <= lv {
		return i
	}
	return sort.Search(i, func(i int) bool { return g.runs[i].End > lv })
}

// Parents returns the parents of lv, ascending. Read-only.
func (g *Graph) Parents(lv LV) []LV {
	r := &g.runs[g.runIndex(lv)]
	if lv == r.Start {
		return r.Parents
	}
	return []LV{lv - 1}
}

// Dot returns the dot of lv, which must be in the graph.
func (g *Graph) Dot(lv LV) Dot {
	r := &g.runs[g.runIndex(lv)]
	return Dot{g.actors[r.Actor], r.Seq + Seq(lv-r.Start)}
}

// LV returns the local version of d, and false if the graph does not hold it.
func (g *Graph) LV(d Dot) (LV, bool) {
	ai, ok := g.index[d.Actor]
	if !ok || d.Seq == 0 {
		return 0, false
	}
	list := g.byActor[ai]
	i := sort.Search(len(list), func(i int) bool { return g.runs[list[i]].Seq > d.Seq }) - 1
	if i < 0 {
		return 0, false
	}
	r := &g.runs[list[i]]
	off := LV(d.Seq - r.Seq)
	if off >= r.End-r.Start {
		return 0, false
	}
	return r.Start + off, true
}

// ActorSpans returns the local versions of a's ops [from, to), in order.
func (g *Graph) ActorSpans(a Actor, from, to Seq) []Span {
	ai, ok := g.index[a]
	if !ok || from >= to {
		return nil
	}
	list := g.byActor[ai]
	i := max(0, sort.Search(len(list), func(i int) bool { return g.runs[list[i]].Seq > from })-1)
	var out []Span
	for ; i < len(list) && g.runs[list[i]].Seq < to; i++ {
		r := &g.runs[list[i]]
		s := r.Span
		if from > r.Seq {
			s.Start += LV(from - r.Seq)
		}
		if end := r.Seq + Seq(r.Len()); to < end {
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

// LVs returns the local versions of v, ascending and without those in
// another's history, and false if the graph lacks one.
func (g *Graph) LVs(v Version) ([]LV, bool) {
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

// VersionVector summarises the whole graph.
func (g *Graph) VersionVector() VersionVector {
	out := make(VersionVector, 0, len(g.actors))
	for _, a := range g.actors {
		out = append(out, Dot{a, g.Last(a)})
	}
	slices.SortFunc(out, Dot.Compare)
	return out
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
	slices.SortFunc(out, func(a, b Dot) int {
		if c := a.Actor.Compare(b.Actor); c != 0 {
			return c
		}
		return cmp.Compare(b.Seq, a.Seq)
	})
	return slices.CompactFunc(out, func(a, b Dot) bool { return a.Actor == b.Actor })
}

// Missing returns what the graph holds beyond v, ascending: what to send to a peer
// that said it has v. Actors of v that the graph lacks are passed over.
func (g *Graph) Missing(v VersionVector) []Span {
	var out []Span
	for _, a := range g.actors {
		out = append(out, g.ActorSpans(a, v.Get(a)+1, g.Last(a)+1)...)
	}
	slices.SortFunc(out, func(a, b Span) int { return cmp.Compare(a.Start, b.Start) })
	merged := out[:0]
	for _, s := range out {
		merged = AppendSpan(merged, s)
	}
	return merged
}

// Maximal returns the members of lvs that are in no other's history, ascending.
// lvs is left as it is.
func (g *Graph) Maximal(lvs []LV) []LV {
	out := slices.Clone(lvs)
	slices.Sort(out)
	out = slices.Compact(out)
	if len(out) < 2 {
		return out
	}
	// One walk down from all of them together, as far as the smallest: whatever is met as a parent, or
	// lower in a run that was entered higher up, is in another's history.
	kept := out[:0:0]
	least := out[0]
	queue := make(lvHeap, 0, 2*len(out))
	for _, lv := range slices.Backward(out) {
		queue = append(queue, lv) // descending, which is a heap already
	}
	covered := make(map[LV]bool)
	cover := func(lv LV) {
		if _, ok := slices.BinarySearch(out, lv); ok {
			covered[lv] = true
		}
	}
	at := len(g.runs)
	for len(queue) > 0 {
		at = g.runBelow(at, queue.pop())
		r := &g.runs[at]
		for len(queue) > 0 && queue[0] >= r.Start {
			cover(queue.pop())
		}
		for _, p := range r.Parents {
			if p >= least {
				cover(p)
				queue.push(p)
			}
		}
	}
	for _, lv := range out {
		if !covered[lv] {
			kept = append(kept, lv)
		}
	}
	return kept
}

// Contains reports whether lv is in the causal history of version (which
// includes its own members).
func (g *Graph) Contains(version []LV, lv LV) bool {
	var queue lvHeap
	target := g.runIndexOr(lv)
	if target < 0 {
		return false
	}
	for _, v := range version {
		if v == lv {
			return true
		}
		if v > lv {
			queue.push(v)
		}
	}
	for len(queue) > 0 {
		v := queue.pop()
		i := g.runIndex(v)
		if i == target {
			return true // v > lv in the same run
		}
		r := &g.runs[i]
		for len(queue) > 0 && queue[0] >= r.Start {
			queue.pop()
		}
		for _, p := range r.Parents {
			if p == lv {
				return true
			}
			if p > lv {
				queue.push(p)
			}
		}
	}
	return false
}

func (g *Graph) runIndexOr(lv LV) int {
	if lv < 0 || lv >= g.Len() {
		return -1
	}
	return g.runIndex(lv)
}

// within returns what of the history of version lies in spans, ascending, in the array of buf if there is room. Spans
// are what some history lacks, so below an op outside them there is nothing to look for: the cost is that of
// what is returned.
func (g *Graph) within(buf []Span, version []LV, spans []Span) []Span {
	var room [16]LV
	queue := lvHeap(room[:0])
	for _, lv := range slices.Backward(version) {
		queue.push(lv)
	}
	out := buf[:0]
	at := len(g.runs)
	for len(queue) > 0 && len(spans) > 0 {
		lv := queue.pop()
		at = g.runBelow(at, lv)
		r := &g.runs[at]
		for len(queue) > 0 && queue[0] >= r.Start {
			queue.pop()
		}
		i := sort.Search(len(spans), func(i int) bool { return spans[i].End > lv })
		if i == len(spans) || spans[i].Start > lv {
			continue
		}
		start := max(r.Start, spans[i].Start)
		out = prependSpan(out, Span{start, lv + 1})
		spans = spans[:i+1]
		if start == r.Start {
			for _, p := range r.Parents {
				queue.push(p)
			}
		}
	}
	slices.Reverse(out)
	return out
}

// Diff returns what is only in the history of a and only in that of b, each
// ascending. Its cost is that of the part of the graph where they differ.
func (g *Graph) Diff(a, b []LV) (onlyA, onlyB []Span) {
	if slices.Equal(a, b) {
		return nil, nil
	}
	const inA, inB, both = 1, 2, 3
	var queue flagHeap
	apart := 0 // queued entries that are not in both
	push := func(lv LV, flag uint8) {
		queue.push(flagged{lv, flag})
		if flag != both {
			apart++
		}
	}
	pop := func() flagged {
		e := queue.pop()
		if e.flag != both {
			apart--
		}
		return e
	}
	// Versions are mostly ascending, and a heap takes what descends at the least cost.
	for _, lv := range slices.Backward(a) {
		push(lv, inA)
	}
	for _, lv := range slices.Backward(b) {
		push(lv, inB)
	}
	emit := func(s Span, flag uint8) {
		if s.Start >= s.End {
			return
		}
		switch flag {
		case inA:
			onlyA = prependSpan(onlyA, s)
		case inB:
			onlyB = prependSpan(onlyB, s)
		}
	}
	at := len(g.runs)
	for apart > 0 {
		e := pop()
		at = g.runBelow(at, e.lv)
		r := &g.runs[at]
		// Walk down the run; entries queued inside it join on the way.
		end := e.lv + 1
		for len(queue) > 0 && queue[0].lv >= r.Start {
			next := pop()
			if e.flag|next.flag != e.flag {
				emit(Span{next.lv + 1, end}, e.flag)
				end = next.lv + 1
				e.flag |= next.flag
			}
		}
		emit(Span{r.Start, end}, e.flag)
		for _, p := range r.Parents {
			push(p, e.flag)
		}
	}
	slices.Reverse(onlyA)
	slices.Reverse(onlyB)
	return onlyA, onlyB
}

// prependSpan adds s, which lies before all of spans, to spans kept in descending order.
func prependSpan(spans []Span, s Span) []Span {
	if n := len(spans); n > 0 && spans[n-1].Start == s.End {
		spans[n-1].Start = s.Start
		return spans
	}
	return append(spans, s)
}
