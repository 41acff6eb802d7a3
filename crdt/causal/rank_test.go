package causal

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestRank: actors compare as their names do, those that were ranked one by one, in crowds and not at all, branches of one log, and
// those that each come between the two before.
func TestRank(t *testing.T) {
	const seed = 7
	r := rand.New(rand.NewPCG(seed, 8))
	for round, common := range []int{0, 5, DeviceSize, ActorSize - 1} {
		var g Graph
		known := make(map[Actor]bool)
		add := func(a Actor) {
			if known[a] {
				g.AddBranch(a, 1, nil, Leaves{After: -1})
				return
			}
			known[a] = true
			if _, err := g.Add(a, 1, 1, nil); err != nil {
				t.Fatal(err)
			}
		}
		check := func() {
			for range 2000 {
				i, j := ActorIndex(r.IntN(len(g.actors))), ActorIndex(r.IntN(len(g.actors)))
				if got, want := g.CompareActors(i, j), g.actors[i].Compare(g.actors[j]); got != want {
					t.Fatalf("seed %d, round %d: actors %x and %x compare as %d", seed, round, g.actors[i], g.actors[j], got)
				}
			}
		}
		for step := range 60 {
			n := 1 + r.IntN(fewRanked)
			if step%5 == 0 {
				n *= 10
			}
			for range n {
				var name [ActorSize]byte
				for k := common; k < min(common+9, ActorSize); k++ {
					name[k] = byte(r.IntN(3))
				}
				a, _ := ActorFromBytes(name[:])
				add(a)
			}
			check()
			g.Rank()
			check()
			sorted := slices.IsSortedFunc(g.ByName(), func(i, j ActorIndex) int { return g.actors[i].Compare(g.actors[j]) })
			if !sorted || len(g.ByName()) != len(g.actors) || slices.Contains(g.ranks, 0) {
				t.Fatalf("seed %d, round %d, step %d: %d of %d actors by name, sorted: %v", seed, round, step, len(g.ByName()), len(g.actors), sorted)
			}
		}
		// One comes before all, one after, and then each between the two before: soon there is no rank left there.
		lo, hi := Actor{}, Actor{Device: Device{255}}
		add(lo)
		add(hi)
		for k := range 60 {
			next := lo
			next.Device[k/8+1] |= 1 << (7 - k%8)
			if k%2 == 0 {
				lo = next
			} else {
				next = hi
				next.Device[k/8+1] ^= 1 << (7 - k%8)
				hi = next
			}
			add(next)
			g.Rank()
		}
		check()
	}
}
