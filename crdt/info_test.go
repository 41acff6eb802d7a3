package crdt

import (
	"testing"

	"github.com/atollsync/atoll/crdt/causal"
	"pgregory.net/rapid"
)

// TestInfoTable holds what a table remembers of changes equal to what it was told, in whichever columns that is, and by whichever way it came.
func TestInfoTable(t *testing.T) {
	var plain, counting, late, typed int // chunks and changes that were like that
	rapid.Check(t, func(t *rapid.T) {
		type info struct {
			span      causal.Span
			time      int64
			effective EffectiveTime
			actor     causal.ActorIndex
			hash      Hash
			count     changeCount
		}
		var table infoTable
		var want []info
		counts := make(map[causal.ActorIndex]changeCount)
		lv, time, effective, actor := causal.LV(0), int64(0), EffectiveTime(0), causal.ActorIndex(0)
		for range rapid.IntRange(1, 20).Draw(t, "stretches") {
			if rapid.IntRange(0, 4).Draw(t, "other") == 0 {
				actor = causal.ActorIndex(rapid.IntRange(0, 2).Draw(t, "actor"))
			}
			step := int64(rapid.SampledFrom([]int{0, 0, 1, 100, -5, 1 << 33}).Draw(t, "ms"))
			size := rapid.SampledFrom([]int{1, 1, 1, 3}).Draw(t, "ops")
			wire := rapid.SampledFrom([]int{16, 16, 100}).Draw(t, "bytes")
			for range rapid.IntRange(1, 200).Draw(t, "changes") {
				time = max(time+step, 0)
				effective = effectiveOf(time, effective, len(want) == 0)
				in := info{span: causal.Span{Start: lv, End: lv + causal.LV(size)}, time: time, effective: effective, actor: actor, hash: Hash{byte(len(want)), byte(len(want) >> 8)}}
				in.count = changeCount{counts[actor].changes + 1, counts[actor].bytes + uint32(wire)}
				if wire <= 2*typedBytes {
					in.count.bytes = counts[actor].bytes + typedBytes
				}
				var at *Hash
				if size == 1 && wire <= 2*typedBytes {
					at = table.addTyped(&in.hash, lv, time, effective, actor)
				}
				if at == nil {
					k, i := table.add(&in.hash, in.span, time, effective, actor)
					k.setCount(i, actor, counts[actor], wire)
				} else if typed++; *at != in.hash {
					t.Fatalf("the hash of change %d is not where it is said to be", len(want))
				}
				lv, counts[actor] = in.span.End, in.count
				want = append(want, in)
			}
		}
		if table.len != len(want) {
			t.Fatalf("%d changes, not %d", table.len, len(want))
		}
		for i, in := range want {
			k, j := table.at(i)
			if k.time(j) != in.time || k.effective(j) != in.effective || k.span(j) != in.span || k.hash(j) != in.hash || k.count(j) != in.count {
				t.Fatalf("change %d: time %d, effective %d, span %v, count %v; %+v was added", i, k.time(j), k.effective(j), k.span(j), k.count(j), in)
			}
			if at := table.find(in.span.End - 1); at != i {
				t.Fatalf("op %d is found in change %d, not %d", in.span.End-1, at, i)
			}
		}
		for _, k := range table.chunks {
			switch {
			case k.late != nil:
				late++
			case k.counting:
				counting++
			default:
				plain++
			}
		}
	})
	if plain == 0 || counting == 0 || late == 0 || typed == 0 {
		t.Errorf("%d chunks go by the time, %d count, %d have all effective times; %d changes came the short way", plain, counting, late, typed)
	}
}
