package causal

import (
	"encoding/binary"
	"fmt"
	"testing"
)

// addition is what Graph.Add is told.
type addition struct {
	actor   Actor
	seq     Seq
	n       int
	parents []LV
}

func benchActor(i int) Actor {
	var a Actor
	binary.BigEndian.PutUint64(a.Nonce[:], uint64(i+1))
	return a
}

// shape is a graph as somebody's work makes it.
type shape struct {
	name string
	adds []addition
}

// shapes returns graphs of about the same number of changes.
func shapes() []shape {
	const n = 10000
	var out []shape
	add := func(name string, adds []addition) { out = append(out, shape{name, adds}) }

	var typed []addition
	for i := range n {
		a := addition{actor: benchActor(0), seq: Seq(i + 1), n: 1}
		if i > 0 {
			a.parents = []LV{LV(i - 1)}
		}
		typed = append(typed, a)
	}
	add("one author", typed)

	// Two write at once, and each sees what the other wrote a few changes ago.
	for _, lag := range []int{1, 5, 200} {
		var adds []addition
		for i := range n {
			a := addition{actor: benchActor(i % 2), seq: Seq(i/2 + 1), n: 1}
			if i >= 2 {
				a.parents = append(a.parents, LV(i-2))
			}
			if seen := i - 1 - 2*lag; seen >= 0 {
				a.parents = append(a.parents, LV(seen))
			}
			adds = append(adds, a)
		}
		add(fmt.Sprintf("two authors, lag %d", lag), adds)
	}

	var branches []addition
	for i := range n {
		a := addition{actor: benchActor(i % 2), seq: Seq(i/2 + 1), n: 1}
		if i >= 2 {
			a.parents = []LV{LV(i - 2)}
		}
		branches = append(branches, a)
	}
	add("two branches in turn", branches)

	for _, rounds := range []int{1, 4} {
		crowd := []addition{{actor: benchActor(0), seq: 1, n: 1}}
		width := n / rounds
		for i := range width * rounds {
			a := addition{actor: benchActor(1 + i%width), seq: Seq(i/width + 1), n: 1, parents: []LV{0}}
			if i >= width {
				a.parents[0] = LV(1 + i - width)
			}
			crowd = append(crowd, a)
		}
		add(fmt.Sprintf("%d authors, %d rounds", width, rounds), crowd)
	}
	return out
}

func (s *shape) graph(b *testing.B) *Graph {
	g := new(Graph)
	for _, a := range s.adds {
		if _, err := g.Add(a.actor, a.seq, a.n, a.parents); err != nil {
			b.Fatal(err)
		}
	}
	return g
}

func perChange(b *testing.B, s *shape) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(s.adds)), "ns/change")
}

func BenchmarkAdd(b *testing.B) {
	for _, s := range shapes() {
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				s.graph(b)
			}
			perChange(b, &s)
		})
	}
}

// BenchmarkProgress takes in a graph change by change.
func BenchmarkProgress(b *testing.B) {
	for _, s := range shapes() {
		g := s.graph(b)
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				var p Progress
				for at := LV(0); at < g.Len(); at++ {
					p.Take(g, Span{at, at + 1})
				}
			}
			perChange(b, &s)
		})
	}
}

// BenchmarkDiff compares the heads of a graph with what each change saw, as Progress spares us.
func BenchmarkDiff(b *testing.B) {
	for _, s := range shapes() {
		g := s.graph(b)
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				at := LV(i) % g.Len()
				g.Diff(g.Heads(), g.Parents(g.Len()-1-at/8))
			}
		})
	}
}
