package oracle_test

import (
	"strings"
	"testing"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/oracle"
	"pgregory.net/rapid"
)

// TestRandomSequences compares the engine with the oracle on texts and lists that several write to at
// few positions, with histories that fork and merge all the time.
func TestRandomSequences(t *testing.T) {
	merges, graphs := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		var g graph
		var made []*crdt.Change
		actors := rapid.IntRange(2, 5).Draw(t, "actors")
		// Mostly a few letters each; else runs that are long enough to be split, trimmed and let go.
		most := rapid.SampledFrom([]int{3, 3, 40}).Draw(t, "most")
		for range rapid.IntRange(3, 50).Draw(t, "events") {
			e := event{actor: (len(g) + rapid.IntRange(0, actors-1).Draw(t, "actor")) % actors}
			seq := causal.Seq(1)
			if own := g.last(e.actor); own >= 0 {
				e.saw = g[own].saw | 1<<own
				seq = made[own].Dot().Seq + 1
			}
			for n := range rapid.IntRange(0, 3).Draw(t, "meets") {
				if back := rapid.IntRange(0, 5).Draw(t, "back") + n; back < len(g) {
					j := len(g) - 1 - back
					e.saw |= g[j].saw | 1<<j
				}
			}
			if heads := g.heads(e.saw); heads&(heads-1) != 0 {
				merges++
			}
			made = append(made, newChange(actor(e.actor), seq, 1, g.deps(e, made), sequenceOps(t, most)...))
			g = append(g, e)
		}
		want, err := oracle.Of(made)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			r := newEngine()
			for done := uint(0); done != 1<<len(g)-1; {
				var batch []*crdt.Change
				for range rapid.IntRange(1, 8).Draw(t, "batch") {
					var ready []int
					for j := range g {
						if done>>j&1 == 0 && g[j].saw&^done == 0 {
							ready = append(ready, j)
						}
					}
					if len(ready) == 0 {
						break
					}
					j := rapid.SampledFrom(ready).Draw(t, "next")
					batch = append(batch, made[j])
					done |= 1 << j
				}
				if err := r.deliver(batch...); err != nil {
					t.Fatalf("%v\n%s", err, describe(made))
				}
			}
			if diff := compare(r.state, want); diff != "" {
				t.Fatalf("%s\n%s", diff, describe(made))
			}
		}
		graphs++
	})
	t.Logf("%d random event graphs, %d events that merge", graphs, merges)
	if !t.Failed() && merges < graphs {
		t.Error("histories hardly ever merge")
	}
}

// sequenceOps draws a few ops of up to most elements on the Text "t", the List "l" or both.
func sequenceOps(t *rapid.T, most int) []crdt.Op {
	var out []crdt.Op
	for range rapid.IntRange(1, 3).Draw(t, "ops") {
		pos := rapid.IntRange(0, 2*most).Draw(t, "pos")
		n := rapid.IntRange(1, most).Draw(t, "n")
		switch rapid.IntRange(0, 5).Draw(t, "op") {
		case 0, 1:
			out = append(out, typed("t:text", pos, strings.Repeat("abcdefghijklmnopqrstuvwxyz", 2)[pos%26:][:min(n, 26)]))
		case 2:
			out = append(out, erased("t:text", pos, n))
		case 3, 4:
			values := make([]any, n)
			for i := range values {
				values[i] = pos + i
			}
			out = append(out, insert("l:list", pos, values...))
		case 5:
			out = append(out, cut("l:list", pos, n))
		}
	}
	return out
}
