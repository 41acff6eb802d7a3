package sequence_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt/causal"
)

// TestCrowd: many insert at one place without having seen each other, and go on there: enough of them for an
// index of siblings, which must give the order that looking at each gives.
func TestCrowd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ref := newReference()
		changes := []change{{actor: agentActor(99), seq: 1, ops: []textOp{{text: []rune("abcd")}}}}
		ref.apply(0, &changes[0])
		n := rapid.IntRange(20, 50).Draw(t, "actors")
		last := make(map[int]int)
		for i := range rapid.IntRange(n, 2*n).Draw(t, "changes") {
			a := i
			if i >= n {
				a = rapid.IntRange(0, n-1).Draw(t, "actor")
			}
			c := change{actor: agentActor(a), seq: 1, parents: []int{0}}
			if at, ok := last[a]; ok {
				c.parents = []int{at}
				c.seq = changes[at].seq + causal.Seq(changes[at].len())
			}
			if rapid.IntRange(0, 5).Draw(t, "sees another") == 0 {
				c.parents = append(c.parents, rapid.IntRange(0, len(changes)-1).Draw(t, "other"))
			}
			_, visible := ref.version(ref.history(c.parents))
			o := textOp{pos: 2, text: []rune{rune('A' + a%26)}}
			switch rapid.IntRange(0, 9).Draw(t, "how") {
			case 0: // near
				o.pos = min(len(visible), rapid.IntRange(1, 6).Draw(t, "pos"))
			case 1: // after what came last
				o.pos = min(len(visible), 3)
			case 2: // more
				o.text = append(o.text, '+', '-')
			case 3:
				o = textOp{pos: rapid.IntRange(0, 4).Draw(t, "from"), n: 1}
			}
			c.ops = append(c.ops, o)
			last[a] = len(changes)
			ref.apply(len(changes), &c)
			changes = append(changes, c)
		}
		for seed := range uint64(4) {
			compareWithReference(t, changes, ref, seed+rapid.Uint64().Draw(t, "order")&^15)
		}
	})
}
