package crdt

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt/causal"
)

// Whatever was forked, a history copied in any other causal order is the same history, and shows the same.
func TestCopy(t *testing.T) {
	forked := 0
	rapid.Check(t, func(rt *rapid.T) {
		// The first three write as one actor, of which they do not know.
		actors := make([]Actor, 5)
		replicas := make([]*forkedReplica, len(actors))
		blocks := make([][][]byte, len(actors))
		for i := range actors {
			actors[i].Device[0] = byte(max(i, 2))
			replicas[i] = newForkedReplica(t)
		}
		for i := range rapid.IntRange(0, 3).Draw(rt, "clones that write before they meet anybody") {
			blocks[i] = append(blocks[i], replicas[i].write(t, actors[i], string(rune('a'+i))))
		}
		for range rapid.IntRange(2, 20).Draw(rt, "steps") {
			i := rapid.IntRange(0, len(actors)-1).Draw(rt, "replica")
			r := replicas[i]
			if from := rapid.IntRange(0, len(actors)-1).Draw(rt, "from"); from != i {
				for _, block := range blocks[from] {
					r.take(t, block)
				}
				blocks[i] = append(blocks[i], blocks[from]...)
				continue
			}
			if len(r.chains.Graph().Branches(actors[i])) > 1 {
				continue
			}
			blocks[i] = append(blocks[i], r.write(t, actors[i], rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "value")))
		}
		all := newForkedReplica(t)
		for i := range blocks {
			for _, block := range blocks[i] {
				all.take(t, block)
			}
		}
		g := all.chains.Graph()
		if g.Forked() {
			forked++
		}
		left, k := slices.Clone(all.log), NewCopy(all.chains.Store())
		state := NewState(k.Chains())
		for len(left) > 0 {
			i := rapid.IntRange(0, len(left)-1).Draw(rt, "next")
			a := left[i]
			own, ok := g.LVOf(g.ActorOf(a.Span.Start), a.Seq-1)
			if !ok {
				own = -1
			}
			before := k.Chains().Len()
			_, ready := k.LVs(g.Parents(a.Span.Start))
			copied, err := k.Add(a.Change, a.Span, own, g.Parents(a.Span.Start))
			if ready != (err == nil) {
				rt.Fatalf("%v, what it builds on copied %v: %v", a.Dot(), ready, err)
			}
			if err != nil {
				if k.Chains().Len() != before {
					rt.Fatal("what could not be copied is there")
				}
				continue
			}
			if tip, _ := all.chains.TipAt(a.Span.Start); tip.Hash != copied.Hash {
				rt.Fatalf("%v has another hash in the copy", a.Dot())
			}
			state.ApplyQuietly(copied)
			left = slices.Delete(left, i, i+1)
		}
		state.Settle()
		if k.Chains().Digest() != all.chains.Digest() || state.Digest() != all.state.Digest() {
			rt.Errorf("the copy shows %s, it is of %s", state.JSON(), all.state.JSON())
		}
		for lv := range g.Len() {
			at, ok := k.LV(lv)
			if !ok || k.Chains().Graph().Dot(at) != g.Dot(lv) {
				rt.Errorf("op %d, %v, is not where it is said to be", lv, g.Dot(lv))
			}
		}
		if _, ok := k.LV(causal.LV(g.Len())); ok {
			rt.Error("an op that is not there was copied")
		}
	})
	if forked < 10 && !testing.Short() {
		t.Errorf("only %d histories were forked", forked)
	}
}
