package causal

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Subtract and Union are those of sets, and leave what they are given as it was.
func TestSpansAsSets(t *testing.T) {
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
		switch some := rapid.IntRange(0, len(spans)).Draw(t, "some"); rapid.IntRange(0, 4).Draw(t, "kin") {
		case 0: // in one array, as two histories of one branch
			cut = spans[:some]
		case 1:
			spans, cut = spans[:some], spans
		case 2: // the first of them, and perhaps a part of the next
			cut = slices.Clone(spans[:some])
			if some > 0 && rapid.Bool().Draw(t, "part") {
				cut[some-1].End--
				if cut[some-1].Len() == 0 {
					cut = cut[:some-1]
				}
			}
		}
		spansWere, cutWas := slices.Clone(spans), slices.Clone(cut)
		in := map[LV]bool{}
		for _, lv := range flatten(cut) {
			in[lv] = true
		}
		want := slices.DeleteFunc(flatten(spans), func(lv LV) bool { return in[lv] })
		room := make([]Span, rapid.IntRange(0, 8).Draw(t, "room"))
		if got := SubtractTo(room, spans, cut); !slices.Equal(flatten(got), want) {
			t.Fatalf("with room: %v - %v = %v", spans, cut, got)
		}
		if got := Subtract(spans, cut); !slices.Equal(flatten(got), want) {
			t.Fatalf("%v less %v is %v, want %v", spans, cut, got, want)
		}
		want = append(want, flatten(cut)...)
		slices.Sort(want)
		for _, got := range [][]Span{Union(spans, cut), Union(cut, spans)} {
			if !slices.Equal(flatten(got), want) {
				t.Fatalf("%v and %v make %v, want %v", spans, cut, got, want)
			}
		}
		if !slices.Equal(spans, spansWere) || !slices.Equal(cut, cutWas) {
			t.Fatalf("the arguments became %v and %v", spans, cut)
		}
	})
}
