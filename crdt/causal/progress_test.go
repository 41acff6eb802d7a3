package causal

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// follower takes in the ops of a graph and compares what Progress says with what Diff does.
type follower struct {
	Progress
	g     *Graph
	found map[foundBy]int
	given [][]Span // and as they were when given
	were  [][]Span
}

func (f *follower) take(t rapid.TB, span Span) {
	parents, before := f.g.Parents(span.Start), slices.Clone(f.Heads())
	want, _ := f.g.Diff(before, parents)
	last := f.given
	h := f.Take(f.g, span)
	f.found[f.Progress.found]++
	if !slices.Equal(h.Missing(), want) {
		t.Fatalf("%v, who saw %v, after %v: missing %v, want %v (found by %d)", span, parents, before, h.Missing(), want, f.Progress.found)
	}
	for _, s := range want {
		if h.Contains(s.Start) || h.Contains(s.End-1) {
			t.Fatalf("%v contains %v", h, s)
		}
	}
	if n := len(last); n > 0 && len(want) > 0 && f.Progress.found == byContinuing && slices.Equal(want, f.were[n-1]) &&
		&last[n-1][0] != &h.Missing()[0] {
		t.Fatalf("%v: nothing has changed, but the slice has", span)
	}
	f.given, f.were = append(f.given, h.Missing()), append(f.were, want)
	if heads := f.g.Maximal(append(before, span.End-1)); !slices.Equal(f.Heads(), heads) || f.End() != span.End {
		t.Fatalf("heads %v up to %d after %v, want %v", f.Heads(), f.End(), span, heads)
	}
}

// check sees that nothing of what was given out has changed since.
func (f *follower) check(t rapid.TB) {
	for i := range f.given {
		if !slices.Equal(f.given[i], f.were[i]) {
			t.Fatalf("history %d became %v, was %v", i, f.given[i], f.were[i])
		}
	}
	if len(f.known) > maxKnown {
		t.Fatalf("%d known versions", len(f.known))
	}
}

// drawBranches makes a graph as people do: each of several authors goes on from what they had, now and then sees what
// some other had a while ago, and sometimes everything.
func drawBranches(t *rapid.T) *Graph {
	g := &Graph{}
	authors := rapid.SampledFrom([]int{1, 2, 3, 6, 2 * maxKnown}).Draw(t, "authors")
	lazy := rapid.IntRange(2, 8).Draw(t, "lazy") // how seldom anyone looks
	last := make([]LV, authors)
	for range rapid.IntRange(1, 150).Draw(t, "changes") {
		a := rapid.IntRange(0, authors-1).Draw(t, "author")
		var parents []LV
		if g.Len() > 0 {
			switch rapid.IntRange(0, lazy).Draw(t, "sees") {
			case 0:
				parents = slices.Clone(g.Heads())
			case 1: // where some other is or was
				b := rapid.IntRange(0, authors-1).Draw(t, "other")
				if seq := g.Last(testActor(b + 1)); seq > 0 {
					seq -= Seq(rapid.IntRange(0, min(int(seq)-1, 4)).Draw(t, "ago"))
					lv, _ := g.LV(Dot{testActor(b + 1), seq})
					parents = append(parents, lv)
				}
			case 2:
				parents = append(parents, last[rapid.IntRange(0, authors-1).Draw(t, "place")])
			}
		}
		span, err := g.Add(testActor(a+1), g.Last(testActor(a+1))+1, rapid.IntRange(1, 3).Draw(t, "ops"), parents)
		if err != nil {
			t.Fatal(err)
		}
		last[a] = span.End - 1
	}
	return g
}

func TestProgress(t *testing.T) {
	found := make(map[foundBy]int)
	rapid.Check(t, func(t *rapid.T) {
		var g *Graph
		if rapid.Bool().Draw(t, "any") {
			g, _ = drawGraph(t)
		} else {
			g = drawBranches(t)
		}
		f := follower{g: g, found: found}
		what := []Span{{0, g.Len()}}
		if rapid.IntRange(0, 3).Draw(t, "part") == 0 {
			what, _ = g.Diff(drawVersion(t, g, "version"), nil)
		}
		for _, s := range what {
			g.Runs(s, func(r Run) bool {
				for at := r.Start; at < r.End; {
					end := LV(rapid.IntRange(int(at)+1, int(r.End)).Draw(t, "end"))
					if at > r.Start && rapid.Bool().Draw(t, "continue") {
						f.Continue(end)
						if f.End() != end {
							t.Fatalf("end %d, want %d", f.End(), end)
						}
					} else {
						f.take(t, Span{at, end})
					}
					at = end
				}
				return true
			})
		}
		f.check(t)
	})
	for how := byContinuing; how < byDiff; how++ {
		if found[how] == 0 {
			t.Errorf("no history was found by way %d of %v", how, found)
		}
	}
	t.Logf("found by %v", found)
}

// TestProgressCrowd: more authors than are remembered take turns.
func TestProgressCrowd(t *testing.T) {
	for _, tt := range []struct {
		name string
		base bool // they start from one op
		want map[foundBy]int
	}{
		// The first change of all; then all who saw nothing, and few are known still or on the way down from what is when
		// they write again.
		{"apart", false, map[foundBy]int{byHeads: 1, byNothing: 3*maxKnown - 1, byVersion: 4, byDiff: 2*3*maxKnown - 4}},
		// The op they start from is remembered, and not far from what they write next.
		{"from one op", true, map[foundBy]int{byHeads: 1, byVersion: 3*maxKnown + 4, byNeighbour: 2*3*maxKnown - 4}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := follower{g: new(Graph), found: make(map[foundBy]int)}
			add := func(author int, seq Seq, parents ...LV) {
				span, err := f.g.Add(testActor(author), seq, 1, parents)
				if err != nil {
					t.Fatal(err)
				}
				f.take(t, span)
			}
			var base []LV
			if tt.base {
				add(0, 1)
				base = []LV{0}
			}
			for seq := range Seq(3) {
				for i := range 3 * maxKnown {
					a := i * 7 % (3 * maxKnown) // so that heads go from anywhere among them
					if seq == 0 {
						a = i
						add(a+1, 1, base...)
					} else {
						add(a+1, seq+1)
					}
				}
			}
			f.check(t)
			if !maps.Equal(f.found, tt.want) {
				t.Errorf("found by %v, want %v", f.found, tt.want)
			}
		})
	}
}

// TestProgressApart: two who go on from one version each lack what the other writes, whatever they share of what
// they lack.
func TestProgressApart(t *testing.T) {
	f := follower{g: new(Graph), found: make(map[foundBy]int)}
	last := make(map[int]LV)
	write := func(author int, parents ...LV) {
		span, err := f.g.Add(testActor(author), f.g.Last(testActor(author))+1, 1, parents)
		if err != nil {
			t.Fatal(err)
		}
		f.take(t, span)
		last[author] = span.Start
	}
	const a, b, c = 1, 2, 3
	write(a)
	write(b, last[a])
	for range 3 {
		write(a)
		write(b)
	}
	write(c, last[b])
	for range 5 {
		write(b)
		write(c)
		write(a)
	}
	f.check(t)
}
