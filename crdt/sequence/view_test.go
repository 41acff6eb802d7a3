package sequence_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/sequence"
)

// drawHistory draws a causally closed set of changes, as the local versions of its heads in d too.
func drawHistory(t *rapid.T, d *document, ref *reference) (map[int]bool, []causal.LV) {
	var parents []int
	n := len(ref.saw)
	for range rapid.IntRange(0, 3).Draw(t, "heads") {
		parents = append(parents, rapid.IntRange(0, n-1).Draw(t, "head"))
	}
	var lvs []causal.LV
	for _, p := range parents {
		lvs = append(lvs, d.last[p])
	}
	return ref.history(parents), d.g.Maximal(lvs)
}

// drawDocument draws an event graph and applies it in the order in which it was drawn.
func drawDocument(t *rapid.T) (*document, *reference) {
	ref := newReference()
	shape := graphShape{actors: 3, changes: 14, ops: 3, runes: 4, moves: rapid.Bool().Draw(t, "moves")}
	if rapid.IntRange(0, 3).Draw(t, "serial") == 0 {
		shape.actors = 1
	}
	changes := drawChanges(t, shape, ref)
	d := newDocument()
	for i := range changes {
		d.apply(t, changes, i)
	}
	return d, ref
}

// TestResolve compares positions with elements that have an identity.
func TestResolve(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, ref := drawDocument(t)
		h, version := drawHistory(t, d, ref)
		lacks := d.g.History(version).Missing()
		_, was := ref.version(h)
		for pos := range len(was) + 2 {
			for _, right := range []bool{false, true} {
				at := min(pos, len(was))
				if !right {
					at--
				}
				want := 0
				for _, e := range ref.order {
					if at < 0 || at < len(was) && e == was[at] {
						if shown := e == ref.shown(e.of, all(ref)); at >= 0 && shown && !right {
							want++
						}
						break
					}
					if e == ref.shown(e.of, all(ref)) {
						want++
					}
				}
				if got := d.seq.Resolve(&d.g, lacks, pos, right); got != want {
					t.Fatalf("position %d of %v, right %v: got %d, want %d", pos, version, right, got, want)
				}
			}
		}
	})
}

// TestCompare compares two versions with sets of elements, and one with itself less a change.
func TestCompare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, ref := drawDocument(t)
		ha, a := drawHistory(t, d, ref)
		hb, b := drawHistory(t, d, ref)
		lacksA, lacksB := d.g.History(a).Missing(), d.g.History(b).Missing()
		shown := func(h map[int]bool) func(e *refElement) bool {
			return func(e *refElement) bool { return e == ref.shown(e.of, h) }
		}
		check(t, d, ref, lacksA, lacksB, shown(ha), shown(hb))
		check(t, d, ref, nil, lacksB, shown(all(ref)), shown(hb))
		check(t, d, ref, lacksA, nil, shown(ha), shown(all(ref)))

		// Less the deletion, an element that was moved by one who saw it deleted has nowhere to stand.
		if slices.ContainsFunc(ref.order, func(e *refElement) bool {
			return e != e.of && slices.ContainsFunc(e.of.deletedBy, func(c int) bool { return ref.saw[e.change][c] })
		}) {
			return
		}
		i := rapid.IntRange(0, len(ref.saw)-1).Draw(t, "change")
		without := all(ref)
		delete(without, i)
		start := causal.LV(0)
		if i > 0 {
			start = d.last[i-1] + 1
		}
		check(t, d, ref, nil, []causal.Span{{Start: start, End: d.last[i] + 1}}, shown(all(ref)), shown(without))
	})
}

// TestCompareWithin: two versions may be the same, and end within a run.
func TestCompareWithin(t *testing.T) {
	for _, backspaced := range []bool{false, true} {
		var s sequence.Sequence
		h := causal.History{}
		s.Insert(nil, h, 0, 0, 3)
		at := 0
		if backspaced {
			s.Delete(nil, h, 3, 2, 1, nil)
			s.Delete(nil, h, 4, 1, 1, nil)
		} else {
			s.Insert(nil, h, 3, 3, 2)
			at = 4
		}
		lacks := []causal.Span{{Start: 4, End: 5}}
		shown := 0
		s.Compare(nil, lacks, lacks, false, func(x sequence.Stretch) bool {
			if x.A != x.B {
				t.Errorf("backspaced %v: %+v", backspaced, x)
			}
			if x.A {
				shown += x.N
			}
			return true
		})
		if want := max(at, 2); shown != want {
			t.Errorf("backspaced %v: %d elements are shown, want %d", backspaced, shown, want)
		}
	}
}

func all(ref *reference) map[int]bool {
	h := make(map[int]bool)
	for i := range ref.saw {
		h[i] = true
	}
	return h
}

func check(t *rapid.T, d *document, ref *reference, lacksA, lacksB []causal.Span, a, b func(*refElement) bool) {
	moved := slices.ContainsFunc(ref.order, func(e *refElement) bool { return e != e.of })
	for _, whole := range []bool{false, true} {
		var want, got []string
		for _, e := range ref.order {
			if a(e) || b(e) {
				want = append(want, fmt.Sprintf("%v %v %v", e.of.dot, a(e), b(e)))
			}
		}
		d.seq.Compare(&d.g, lacksA, lacksB, whole, func(s sequence.Stretch) bool {
			for i := range s.N {
				if !s.A && !s.B {
					continue
				}
				if s.LV < 0 {
					if whole || !s.A && lacksB == nil && !moved {
						t.Fatalf("an element without a name: %v", s)
					}
					// Which one it is, the others tell.
					dot, _, _ := strings.Cut(want[min(len(got), len(want)-1)], " ")
					got = append(got, fmt.Sprintf("%s %v %v", dot, s.A, s.B))
					continue
				}
				got = append(got, fmt.Sprintf("%v %v %v", d.g.Dot(s.LV+causal.LV(i)), s.A, s.B))
			}
			return true
		})
		if !slices.Equal(got, want) {
			t.Fatalf("whole %v: A lacks %v, B lacks %v\ngot  %v\nwant %v", whole, lacksA, lacksB, got, want)
		}
	}
}
