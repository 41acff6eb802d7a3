package sequence_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/sequence"
)

// BenchmarkRanges settles after each edit, at one place or anywhere in 100,000 elements: by one author, or by two each of whom
// sees what the other did two edits later.
func BenchmarkRanges(b *testing.B) {
	for _, ranges := range []int{10, 1000} {
		for _, concurrent := range []bool{false, true} {
			b.Run(fmt.Sprintf("%d/concurrent=%v", ranges, concurrent), func(b *testing.B) {
				const size = 100_000
				var g causal.Graph
				var s sequence.Sequence
				rnd := rand.New(rand.NewPCG(1, 2))
				first, _ := g.Add(agentActor(0), 1, size, nil)
				s.Insert(&g, causal.History{}, first.Start, 0, size)
				for range ranges {
					span, _ := g.Add(agentActor(0), g.Last(agentActor(0))+1, 1, g.Heads())
					s.AddRange(&g, causal.History{}, span.Start, rnd.IntN(size), 10, false, true)
				}
				last := [2][]causal.LV{{g.Len() - 1}, {g.Len() - 1}} // what each wrote, and the other's before
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					who := i & 1
					i++
					parents := []causal.LV{g.Len() - 1}
					if concurrent {
						// Its own last, and the other's last but one.
						parents = g.Maximal([]causal.LV{last[who][len(last[who])-1], last[1-who][max(0, len(last[1-who])-2)]})
					}
					h := g.History(parents)
					span, err := g.Add(agentActor(who), g.Last(agentActor(who))+1, 1, parents)
					if err != nil {
						b.Fatal(err)
					}
					last[who] = append(last[who], span.Start)
					s.Insert(&g, h, span.Start, rnd.IntN(size), 1)
					s.Settle(&g)
				}
			})
		}
	}
}
