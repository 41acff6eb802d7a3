package sequence

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt/causal"
)

// TestColdRuns: a packed log unpacks to what it was, whole or from the middle, and answers as the log it was packed from.
func TestColdRuns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var warm opLog
		lv := causal.LV(rapid.IntRange(1, 3).Draw(t, "start"))
		serial := rapid.Bool().Draw(t, "serial")
		for range rapid.IntRange(1, 40).Draw(t, "runs") {
			lv += causal.LV(rapid.SampledFrom([]int{0, 0, 0, 1, 1000, 1 << 40}).Draw(t, "gap"))
			r := opRun{
				lv: lv, n: rapid.SampledFrom([]int32{1, 2, 7, 1 << 20}).Draw(t, "n"), low: lv,
				pos:  rapid.SampledFrom([]int32{0, 5, 6, 90, 1 << 30}).Draw(t, "pos"),
				size: rapid.SampledFrom([]int32{0, 10, 11, 1 << 30}).Draw(t, "size"),
				kind: rapid.SampledFrom([]opKind{insertOp, deleteOp, backDeleteOp, moveOp}).Draw(t, "kind"),
			}
			if n := len(warm.runs); n > 0 && rapid.Bool().Draw(t, "as expected") {
				_, r.size, r.pos = warm.runs[n-1].next()
			}
			if !serial && len(warm.runs) > 0 && rapid.IntRange(0, 3).Draw(t, "concurrent") == 0 {
				r.low = rapid.SampledFrom(warm.runs).Draw(t, "low").lv
				r.same = rapid.Bool().Draw(t, "same")
			}
			warm.runs = append(warm.runs, r)
			lv = r.end()
		}
		cut := rapid.IntRange(0, len(warm.runs)).Draw(t, "cut")
		cold := opLog{runs: slices.Clone(warm.runs)}
		for n := cut; n > 0; {
			k := rapid.IntRange(1, n).Draw(t, "cold")
			cold.coolFirst(k)
			n -= k
		}
		if cold.end() != warm.end() || len(cold.runs) != len(warm.runs)-cut {
			t.Fatalf("end %d, %d runs", cold.end(), len(cold.runs))
		}
		for _, r := range warm.runs {
			for _, lv := range []causal.LV{r.lv - 1, r.lv, r.end() - 1} {
				want, _ := warm.run(lv)
				if got, ok := cold.run(lv); !ok || got != want {
					t.Fatalf("at %d: got %+v, want %+v", lv, got, want)
				}
				if got, want := cold.base(lv), warm.base(lv); got != want {
					t.Fatalf("base of %d: got %d, want %d", lv, got, want)
				}
				if got, want := cold.sizeAt(lv), warm.sizeAt(lv); got != want {
					t.Fatalf("size at %d: got %d, want %d", lv, got, want)
				}
				spans := []causal.Span{{Start: lv, End: lv + 2}, {Start: lv + 5, End: lv + 9}}
				got, ok := cold.firstIn(spans)
				if want, wok := warm.firstIn(spans); got != want || ok != wok {
					t.Fatalf("first in %v: got %d, %v, want %d, %v", spans, got, ok, want, wok)
				}
			}
			copied := cold.warmed(r.lv)
			if got := copied.runs[copied.from(r.lv)]; got != r {
				t.Fatalf("warmed: got %+v, want %+v", got, r)
			}
		}
		cold.cool()
		packs := len(cold.cold)
		cold.cool()
		if cold.runs != nil || len(cold.cold) != packs || cut == 0 && packs != 1 {
			t.Fatalf("%d runs left, %d packs, then %d", len(cold.runs), packs, len(cold.cold))
		}
		cold.warm(0)
		if !slices.Equal(cold.runs, warm.runs) || len(cold.cold) != 0 {
			t.Fatalf("got %+v, want %+v", cold.runs, warm.runs)
		}
	})
}
