package sequence_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/sequence"
)

// rangeOp is a range that an author of no other ops names, having seen some changes.
type rangeOp struct {
	parents            []int
	pos, n             int
	growStart, growEnd bool
	start, end         refAnchor // by the reference
	empty, first       bool      // nothing is left; the start is before everything
}

// refAnchor is a place right before or right after an element of the reference.
type refAnchor struct {
	elem  *refElement // nil: the one after everything
	after bool
}

// anchor gives o its ends by what its author saw.
func (r *reference) anchor(o *rangeOp) {
	_, visible := r.version(r.history(o.parents))
	from := min(o.pos, len(visible))
	to := min(o.pos+o.n, len(visible))
	if o.empty = from == to; o.empty {
		return
	}
	o.start, o.end = refAnchor{visible[from], false}, refAnchor{visible[to-1], true}
	if o.growStart {
		if o.first = from == 0; !o.first {
			o.start = refAnchor{visible[from-1], true}
		}
	}
	if o.growEnd {
		o.end = refAnchor{}
		if to < len(visible) {
			o.end = refAnchor{visible[to], false}
		}
	}
}

// inside returns which of the elements that h shows lie in o.
func (r *reference) inside(o *rangeOp, h map[int]bool) []bool {
	_, visible := r.version(h)
	out := make([]bool, len(visible))
	in := o.first
	next := 0
	for _, e := range r.order {
		if o.start == (refAnchor{e, false}) {
			in = true
		}
		if o.end == (refAnchor{e, false}) {
			in = false
		}
		if next < len(visible) && visible[next] == e {
			out[next] = in && !o.empty
			next++
		}
		if o.start == (refAnchor{e, true}) {
			in = true
		}
		if o.end == (refAnchor{e, true}) {
			in = false
		}
	}
	return out
}

// drawRanges draws ranges by authors who saw some of the changes.
func drawRanges(t *rapid.T, changes []change, ref *reference, most int) []rangeOp {
	var out []rangeOp
	for range rapid.IntRange(1, most).Draw(t, "ranges") {
		o := rangeOp{n: rapid.IntRange(1, 6).Draw(t, "n"), growStart: rapid.Bool().Draw(t, "start"), growEnd: rapid.Bool().Draw(t, "end")}
		for range rapid.IntRange(1, 3).Draw(t, "parents") {
			o.parents = append(o.parents, rapid.IntRange(0, len(changes)-1).Draw(t, "parent"))
		}
		if rapid.IntRange(0, 3).Draw(t, "sees all") == 0 {
			o.parents = ascending(1 + slices.Max(o.parents))
		}
		_, visible := ref.version(ref.history(o.parents))
		o.pos = rapid.IntRange(0, len(visible)+1).Draw(t, "pos")
		ref.anchor(&o)
		out = append(out, o)
	}
	return out
}

// marked is a document with ranges.
type marked struct {
	*document
	ops []*rangeOp // as added
	now map[int]bool
}

// add adds a range.
func (m *marked) add(t rapid.TB, o *rangeOp) {
	var parents []causal.LV
	for _, p := range o.parents {
		parents = append(parents, m.last[p])
	}
	h := m.g.History(m.g.Maximal(parents))
	span, err := m.g.Add(agentActor(100+len(m.ops)), 1, 1, parents)
	if err != nil {
		t.Fatal(err)
	}
	m.times = append(m.times, stamp{span.End, 0})
	m.seq.AddRange(&m.g, h, span.Start, o.pos, o.n, o.growStart, o.growEnd)
	m.ops = append(m.ops, o)
}

// check compares the ends of ranges with what the reference has inside.
func (m *marked) check(ends []sequence.Anchor, ref *reference) error {
	if len(ends) != 2*len(m.ops) {
		return fmt.Errorf("%d ends of %d ranges", len(ends), len(m.ops))
	}
	for k, o := range m.ops {
		from, to := ends[2*k].Pos(), ends[2*k+1].Pos()
		for i, in := range ref.inside(o, m.now) {
			if got := from <= i && i < to; got != in {
				return fmt.Errorf("range %d is [%d, %d): element %d inside: want %v", k, from, to, i, in)
			}
		}
	}
	return nil
}

// compareRanges applies changes and ranges in some causal order and compares where the ranges are.
func compareRanges(t *rapid.T, changes []change, ranges []rangeOp, ref *reference, seed uint64, seen map[string]int) {
	r := rand.New(rand.NewPCG(seed, 2))
	rank := make([]int, len(changes))
	long := r.IntN(2) == 0
	actors := r.Perm(len(changes))
	for i := range rank {
		rank[i] = r.Int()
		if long {
			rank[i] = actors[int(changes[i].actor.Nonce[7])%len(actors)]
		}
	}
	order := causalOrder(changes, func(a, b int) bool { return rank[a] < rank[b] })
	m := &marked{document: newDocument(), now: map[int]bool{}}
	late := r.IntN(3) // how long ranges take to arrive
	lazy := r.IntN(4)
	waiting := make([]bool, len(ranges))
	for n, i := range order {
		settled, hung := m.seq.SettledAt(), m.seq.HangFrom()
		if r.IntN(4) == 0 {
			applyTwice(t, m.document, changes, i)
		} else {
			m.apply(t, changes, i)
		}
		if from := m.seq.HangFrom(); from >= 0 && from != hung && from < settled {
			seen["back"]++
		}
		m.now[i] = true
		for k := range ranges {
			if !waiting[k] && !slices.ContainsFunc(ranges[k].parents, func(p int) bool { return !m.now[p] }) &&
				(n == len(order)-1 || r.IntN(1+3*late) == 0) {
				waiting[k] = true
				m.add(t, &ranges[k])
			}
		}
		if r.IntN(8) == 0 {
			m.takeBack(r)
		}
		if r.IntN(1+2*lazy) > 0 && n < len(order)-1 {
			continue
		}
		switch r.IntN(8) {
		case 0:
			m.seq.Rest()
		case 1:
			if err := m.check(m.seq.SettledEnds(&m.g), ref); err != nil {
				t.Fatalf("seed %d, without settling after change %d: %v\nranges %+v\nchanges %+v", seed, i, err, m.ops, changes)
			}
		}
		m.seq.Settle(&m.g)
		if len(m.ops) > 0 {
			if m.seq.Tracks() {
				seen["tracked"]++
			}
			if m.seq.Points() > 0 {
				seen["points"]++
			}
		}
		if err := m.check(m.seq.Ends(), ref); err != nil {
			t.Fatalf("seed %d, after change %d: %v\n%v\nranges %+v\nchanges %+v", seed, i, err, m.seq.Ends(), m.ops, changes)
		}
	}
}

// takeBack writes on top of everything, with a range and with or without settling, and takes it back.
func (m *marked) takeBack(r *rand.Rand) {
	h := m.g.History(m.g.Heads())
	start := m.g.Len()
	m.seq.Insert(&m.g, h, start, r.IntN(m.seq.Len()+1), 2)
	m.seq.AddRange(&m.g, h, start+2, r.IntN(m.seq.Len()), 1, true, true)
	if r.IntN(2) == 0 {
		m.seq.Settle(&m.g)
	}
	m.seq.Delete(&m.g, h, start+3, r.IntN(m.seq.Len()), 2, nil)
	if r.IntN(2) == 0 {
		m.seq.Settle(&m.g)
	}
	m.seq.Truncate(start)
}

// TestRanges compares ranges with the reference on small graphs, in several orders.
func TestRanges(t *testing.T) {
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		ref := newReference()
		changes := drawChanges(t, graphShape{actors: 4, changes: 12, ops: 3, runes: 4}, ref)
		ranges := drawRanges(t, changes, ref, 4)
		for seed := range uint64(8) {
			compareRanges(t, changes, ranges, ref, seed+rapid.Uint64().Draw(t, "order")&^7, seen)
		}
	})
	if seen["back"] == 0 {
		t.Errorf("nothing ever went back: %v", seen)
	}
}

// TestRangesMany does the same on graphs large enough for trackers that live on and for versions to go back to.
func TestRangesMany(t *testing.T) {
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		ref := newReference()
		changes := drawChanges(t, graphShape{actors: 3, changes: 150, ops: 4, runes: 3}, ref)
		ranges := drawRanges(t, changes, ref, 30)
		compareRanges(t, changes, ranges, ref, rapid.Uint64().Draw(t, "order"), seen)
	})
	t.Log(seen)
	for _, what := range []string{"back", "tracked"} {
		if seen[what] == 0 {
			t.Errorf("%s: never happened", what)
		}
	}
}
