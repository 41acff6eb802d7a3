package sequence

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/atollsync/atoll/crdt/causal"
)

// TestIndex compares the index of ids with a sorted slice: near and far apart, growing and shrinking to nothing and again.
func TestIndex(t *testing.T) {
	const seed = 5
	r := rand.New(rand.NewPCG(seed, 6))
	var x idIndex
	var ids []causal.LV
	for phase, grow := range []int{9, 2, 9, 0, 6} {
		for step := range 3000 {
			id := causal.LV(r.Int64N(1 << (1 + r.IntN(62))))
			i, found := slices.BinarySearch(ids, id)
			switch {
			case r.IntN(10) < grow && !found:
				x.insert(id, int32(id))
				ids = slices.Insert(ids, i, id)
			case len(ids) > 0:
				k := r.IntN(len(ids))
				x.remove(ids[k])
				ids = slices.Delete(ids, k, k+1)
			}
			near := id
			if len(ids) > 0 && step%2 == 0 {
				near = ids[r.IntN(len(ids))] + causal.LV(r.IntN(3)-1)
			}
			i, _ = slices.BinarySearch(ids, near+1)
			ref, ok := x.floor(near)
			if ok != (i > 0) || ok && ref != int32(ids[i-1]) {
				t.Fatalf("seed %d, phase %d, step %d: the ref of %d among %d ids is %d, %v", seed, phase, step, near, len(ids), ref, ok)
			}
		}
		if grow == 0 && (len(ids) > 0 || x.len > 0 || len(x.free) != len(x.nodes)) {
			t.Fatalf("%d ids and %d of %d nodes are left", x.len, len(x.nodes)-len(x.free), len(x.nodes))
		}
	}
}
