package causal

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Subtract is the difference of sets, and leaves what it is given as it was.
func TestSubtract(t *testing.T) {
	gen := rapid.Custom(func(t *rapid.T) []Span {
		var out []Span
		at := LV(0)
		for range rapid.IntRange(0, 5).Draw(t, "spans") {
			at += LV(rapid.IntRange(1, 3).Draw(t, "gap"))
			end := at + LV(rapid.IntRange(1, 4).Draw(t, "len"))
			out = append(out, Span{at, end})
			at = end
		}
		return out
	})
	rapid.Check(t, func(t *rapid.T) {
		spans, cut := gen.Draw(t, "spans"), gen.Draw(t, "cut")
		spansWere, cutWas := slices.Clone(spans), slices.Clone(cut)
		gone := map[LV]bool{}
		for _, lv := range flatten(cut) {
			gone[lv] = true
		}
		want := slices.DeleteFunc(flatten(spans), func(lv LV) bool { return gone[lv] })
		if got := Subtract(spans, cut); !slices.Equal(flatten(got), want) {
			t.Fatalf("%v less %v is %v, want %v", spans, cut, got, want)
		}
		if !slices.Equal(spans, spansWere) || !slices.Equal(cut, cutWas) {
			t.Fatalf("the arguments became %v and %v", spans, cut)
		}
	})
}
