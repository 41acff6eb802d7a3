package causal

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func testActor(i int) Actor {
	var a Actor
	a.Device[0] = byte(i)
	a.Nonce[7] = byte(i)
	return a
}

// naive is a causal graph as sets: for each op, everything it saw, itself included.
type naive struct {
	history []map[LV]bool
	dots    []Dot
}

func (n *naive) union(version []LV) map[LV]bool {
	out := map[LV]bool{}
	for _, v := range version {
		for lv := range n.history[v] {
			out[lv] = true
		}
	}
	return out
}

func (n *naive) add(a Actor, seq Seq, count int, parents []LV) {
	for i := range count {
		h := n.union(parents)
		if i == 0 {
			for lv, d := range n.dots {
				if d.Actor == a {
					for x := range n.history[lv] {
						h[x] = true
					}
				}
			}
		} else {
			h = n.union([]LV{LV(len(n.dots) - 1)})
		}
		h[LV(len(n.dots))] = true
		n.history = append(n.history, h)
		n.dots = append(n.dots, Dot{a, seq + Seq(i)})
	}
}

func (n *naive) heads() []LV {
	var out []LV
	for lv := range n.dots {
		covered := false
		for other := range n.dots {
			covered = covered || other != lv && n.history[other][LV(lv)]
		}
		if !covered {
			out = append(out, LV(lv))
		}
	}
	return out
}

func flatten(spans []Span) []LV {
	var out []LV
	for i, s := range spans {
		if s.Start >= s.End || i > 0 && spans[i-1].End >= s.Start {
			panic(fmt.Sprintf("spans not ascending, joined and non-empty: %v", spans))
		}
		for lv := s.Start; lv < s.End; lv++ {
			out = append(out, lv)
		}
	}
	return out
}

func setMinus(a, b map[LV]bool) []LV {
	var out []LV
	for lv := range a {
		if !b[lv] {
			out = append(out, lv)
		}
	}
	slices.Sort(out)
	return out
}

// drawGraph makes a random graph and the same as sets. Authors build on random
// versions, so that concurrency, merges and long runs all come up.
func drawGraph(t *rapid.T) (*Graph, *naive) {
	g, n := &Graph{}, &naive{}
	for range rapid.IntRange(1, 25).Draw(t, "changes") {
		a := testActor(rapid.IntRange(1, 4).Draw(t, "actor"))
		count := rapid.IntRange(1, 3).Draw(t, "ops")
		var parents []LV
		if g.Len() > 0 {
			if rapid.Bool().Draw(t, "at heads") {
				parents = slices.Clone(g.Heads())
			} else {
				parents = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) LV {
					return LV(rapid.IntRange(0, int(g.Len())-1).Draw(t, "parent"))
				}), 0, 3).Draw(t, "parents")
			}
		}
		seq := g.Last(a) + 1
		n.add(a, seq, count, parents)
		if _, err := g.Add(a, seq, count, parents); err != nil {
			t.Fatal(err)
		}
	}
	return g, n
}

func drawVersion(t *rapid.T, g *Graph, label string) []LV {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) LV {
		return LV(rapid.IntRange(0, int(g.Len())-1).Draw(t, "lv"))
	}), 0, 3).Draw(t, label)
}

func TestGraphAgainstSets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g, n := drawGraph(t)
		if int(g.Len()) != len(n.dots) {
			t.Fatalf("Len = %d, want %d", g.Len(), len(n.dots))
		}
		if got, want := g.Heads(), n.heads(); !slices.Equal(sorted(got), want) {
			t.Fatalf("Heads = %v, want %v", got, want)
		}
		for lv, d := range n.dots {
			if got := g.Dot(LV(lv)); got != d {
				t.Fatalf("Dot(%d) = %v, want %v", lv, got, d)
			}
			if got, ok := g.LV(d); !ok || got != LV(lv) {
				t.Fatalf("LV(%v) = %d %v, want %d", d, got, ok, lv)
			}
			if got := g.Actor(g.ActorOf(LV(lv))); got != d.Actor {
				t.Fatalf("ActorOf(%d) is %v, want %v", lv, got, d.Actor)
			}
			if got, ok := g.LVOf(g.ActorOf(LV(lv)), d.Seq); !ok || got != LV(lv) {
				t.Fatalf("LVOf(%v) = %d %v, want %d", d, got, ok, lv)
			}
			for other, o := range n.dots {
				if got, want := g.CompareDots(LV(lv), LV(other)), d.Compare(o); got != want {
					t.Fatalf("CompareDots(%v, %v) = %d, want %d", d, o, got, want)
				}
			}
			if got, want := g.AppendParents(nil, LV(lv)), g.Parents(LV(lv)); !slices.Equal(got, want) {
				t.Fatalf("AppendParents(%d) = %v, want %v", lv, got, want)
			}
			want := map[LV]bool{}
			for x := range n.history[lv] {
				want[x] = true
			}
			delete(want, LV(lv))
			if got := n.union(g.Parents(LV(lv))); len(setMinus(got, want))+len(setMinus(want, got)) > 0 {
				t.Fatalf("Parents(%d) = %v lead to %v, want %v", lv, g.Parents(LV(lv)), got, want)
			}
		}
		for i, actor := range g.Actors() {
			if last := g.LastOf(ActorIndex(i)); last != g.Last(actor) || !slices.Contains(n.dots, Dot{actor, last}) || slices.Contains(n.dots, Dot{actor, last + 1}) {
				t.Fatalf("the last of %v is %d", actor, last)
			}
		}
		a, b := drawVersion(t, g, "a"), drawVersion(t, g, "b")
		ha, hb := n.union(a), n.union(b)
		onlyA, onlyB := g.Diff(a, b)
		if got, want := flatten(onlyA), setMinus(ha, hb); !slices.Equal(got, want) {
			t.Fatalf("Diff(%v, %v) only a = %v, want %v", a, b, got, want)
		}
		if got, want := flatten(onlyB), setMinus(hb, ha); !slices.Equal(got, want) {
			t.Fatalf("Diff(%v, %v) only b = %v, want %v", a, b, got, want)
		}
		h := g.History(a)
		for lv := range n.dots {
			if got, want := g.Contains(a, LV(lv)), ha[LV(lv)]; got != want {
				t.Fatalf("Contains(%v, %d) = %v, want %v", a, lv, got, want)
			}
			if got, want := h.Contains(LV(lv)), ha[LV(lv)]; got != want {
				t.Fatalf("History(%v).Contains(%d) = %v, want %v", a, lv, got, want)
			}
		}
		var lvs, unseen []LV
		for lv := range g.Len() {
			if rapid.Bool().Draw(t, "among") {
				lvs = append(lvs, lv)
				if !ha[lv] {
					unseen = append(unseen, lv)
				}
			}
		}
		if got := h.Unseen(slices.Clone(lvs)); !slices.Equal(got, unseen) {
			t.Fatalf("History(%v) has not seen %v of %v, want %v", a, got, lvs, unseen)
		}
		if got, want := flatten(h.spans()), setMinus(ha, nil); !slices.Equal(got, want) {
			t.Fatalf("History(%v) holds %v, want %v", a, got, want)
		}
		maximal := g.Maximal(a)
		for _, x := range a {
			covered := false
			for _, y := range a {
				covered = covered || x != y && n.history[y][x]
			}
			if slices.Contains(maximal, x) == covered {
				t.Fatalf("Maximal(%v) = %v: %d", a, maximal, x)
			}
		}
		vv := g.VersionVectorOf(a)
		for lv, d := range n.dots {
			if ha[LV(lv)] && !vv.Contains(d) {
				t.Fatalf("VersionVectorOf(%v) = %v lacks %v", a, vv, d)
			}
		}
		// A version's causal history holds whole prefixes of its actors' logs, so
		// what is missing from its vector is what is not in it.
		if got, want := flatten(g.Missing(vv)), setMinus(n.union(g.Heads()), ha); !slices.Equal(got, want) {
			t.Fatalf("Missing(%v) = %v, want %v", vv, got, want)
		}
		version := g.Version(maximal)
		if back, ok := g.LVs(version); !ok || !slices.Equal(back, maximal) {
			t.Fatalf("LVs(%v) = %v %v, want %v", version, back, ok, maximal)
		}
	})
}

func sorted(lvs []LV) []LV {
	out := slices.Clone(lvs)
	slices.Sort(out)
	return out
}

func TestActorSpans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g, n := drawGraph(t)
		a := g.Actor(ActorIndex(rapid.IntRange(0, len(g.Actors())-1).Draw(t, "actor")))
		from := Seq(rapid.IntRange(0, 20).Draw(t, "from"))
		to := Seq(rapid.IntRange(0, 20).Draw(t, "to"))
		var want []LV
		for lv, d := range n.dots {
			if d.Actor == a && from <= d.Seq && d.Seq < to {
				want = append(want, LV(lv))
			}
		}
		if got := flatten(g.ActorSpans(a, from, to)); !slices.Equal(got, want) {
			t.Fatalf("ActorSpans(%v, %d, %d) = %v, want %v", a, from, to, got, want)
		}
	})
}

func TestRunsCoverSpan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g, _ := drawGraph(t)
		lo := LV(rapid.IntRange(0, int(g.Len())).Draw(t, "lo"))
		hi := LV(rapid.IntRange(int(lo), int(g.Len())).Draw(t, "hi"))
		at := lo
		g.Runs(Span{lo, hi}, func(r Run) bool {
			if r.Start != at || r.End <= r.Start {
				t.Fatalf("run %v at %d", r, at)
			}
			if !slices.Equal(r.Parents, g.Parents(r.Start)) {
				t.Fatalf("run at %d: parents %v, want %v", at, r.Parents, g.Parents(r.Start))
			}
			for i := range r.Len() {
				want := Dot{g.Actor(r.Actor), r.Seq + Seq(i)}
				if got := g.Dot(r.Start + LV(i)); got != want {
					t.Fatalf("run %v: dot %d is %v, want %v", r, i, got, want)
				}
			}
			at = r.End
			return true
		})
		if at != hi {
			t.Fatalf("runs end at %d, want %d", at, hi)
		}
	})
}

// A bad Add says so and leaves the graph as it was.
func TestAddRefuses(t *testing.T) {
	g := &Graph{}
	if _, err := g.Add(testActor(1), 1, 3, nil); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		actor   Actor
		seq     Seq
		n       int
		parents []LV
	}{
		{"a seq that was given out", testActor(1), 3, 1, nil},
		{"a gap in the seqs", testActor(1), 5, 1, nil},
		{"a new actor that starts late", testActor(2), 2, 1, nil},
		{"a parent to come", testActor(2), 1, 1, []LV{3}},
		{"a negative parent", testActor(2), 1, 1, []LV{-1}},
		{"no ops", testActor(2), 1, 0, nil},
		{"fewer than no ops", testActor(2), 1, -1, nil},
	}
	for _, tt := range tests {
		if _, err := g.Add(tt.actor, tt.seq, tt.n, tt.parents); err == nil {
			t.Errorf("%s: no error", tt.name)
		}
		if g.Len() != 3 || len(g.Actors()) != 1 || !slices.Equal(g.Heads(), []LV{2}) {
			t.Fatalf("%s: the graph changed", tt.name)
		}
	}
}

// One actor's uninterrupted history is one run, however many pieces it came in.
func TestRunsGrow(t *testing.T) {
	g := &Graph{}
	for i := range 1000 {
		if _, err := g.Add(testActor(1), Seq(i+1), 1, slices.Clone(g.Heads())); err != nil {
			t.Fatal(err)
		}
	}
	if len(g.runs) != 1 {
		t.Fatalf("%d runs, want 1", len(g.runs))
	}
}

// Runs of all lengths are found by what they hold.
func TestRunIndex(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := &Graph{}
		for range rapid.IntRange(1, 60).Draw(t, "runs") {
			n := rapid.SampledFrom([]int{1, 1, 2, 1000}).Draw(t, "ops")
			for range rapid.IntRange(1, 40).Draw(t, "as long") {
				a := testActor(len(g.runs) % 2)
				if _, err := g.Add(a, g.Last(a)+1, n, nil); err != nil {
					t.Fatal(err)
				}
			}
		}
		for i := range g.runs {
			for _, lv := range []LV{g.runs[i].Start, g.runs[i].End - 1} {
				if got := g.runIndex(lv); got != i {
					t.Fatalf("%d of %d is in run %d of %d, want %d", lv, g.Len(), got, len(g.runs), i)
				}
			}
		}
	})
}

// An actor that the graph holds is not new.
func TestAddNewTwice(t *testing.T) {
	g := new(Graph)
	if span := g.AddNew(testActor(1), 2, nil); span != (Span{0, 2}) || g.Last(testActor(1)) != 2 {
		t.Fatal(span)
	}
	if span := g.AddNew(testActor(2), 1, []LV{1}); span != (Span{2, 3}) || !slices.Equal(g.Heads(), []LV{2}) {
		t.Fatal(span, g.Heads())
	}
	defer func() {
		if recover() == nil {
			t.Error("an actor is new a second time")
		}
	}()
	g.AddNew(testActor(1), 1, nil)
}
