package causal

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// What is maximal among versions far apart, with more stretches in between than a walk has room for, is what no other contains.
func TestMaximalFar(t *testing.T) {
	const each = 2 * 64 * roomFor
	r := rand.New(rand.NewPCG(1, 1))
	var g Graph
	var wrote [3][]LV
	for i := range each {
		for a := range wrote {
			var parents []LV
			if other := wrote[(a+1+i%2)%len(wrote)]; len(other) > 4 {
				parents = append(parents, other[len(other)-1-r.IntN(4)])
			}
			span, err := g.Add(testActor(a), Seq(i+1), 1, parents)
			if err != nil {
				t.Fatal(err)
			}
			wrote[a] = append(wrote[a], span.Start)
		}
	}
	kept := 0
	for range 2000 {
		lvs := []LV{LV(r.IntN(int(g.Len())))}
		for range 1 + r.IntN(5) {
			switch lv := lvs[r.IntN(len(lvs))]; r.IntN(3) {
			case 0:
				lvs = append(lvs, LV(r.IntN(int(g.Len()))))
			default:
				lvs = append(lvs, max(0, lv-LV(r.IntN(9))))
			}
		}
		var want []LV
		for i, lv := range lvs {
			others := slices.Delete(slices.Clone(lvs), i, i+1)
			others = slices.DeleteFunc(others, func(o LV) bool { return o == lv })
			if len(others) == 0 || !g.Contains(others, lv) {
				want = append(want, lv)
			}
		}
		slices.Sort(want)
		want = slices.Compact(want)
		kept += len(want) - 1
		if got := g.Maximal(lvs); !slices.Equal(got, want) {
			t.Fatalf("Maximal(%v) = %v, want %v", lvs, got, want)
		}
	}
	if n := len(g.runs); n < 2*each || kept < 100 {
		t.Errorf("%d runs, and %d more than one were maximal: too few to mean much", n, kept)
	}
}
