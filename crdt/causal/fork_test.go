package causal

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestForkedVersions: whatever a graph with forked logs was at some time is found again by the dots of its ends, or what it was the first time
// when it had these.
func TestForkedVersions(t *testing.T) {
	same := 0
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		var g Graph
		type moment struct {
			version Version
			heads   []LV
		}
		var past []moment
		for range 5 + r.IntN(20) {
			var parents []LV
			for _, lv := range g.Heads() {
				if r.IntN(4) > 0 {
					parents = append(parents, lv)
				}
			}
			a := Actor{Device: Device{byte(1 + r.IntN(3))}}
			branches := g.Branches(a)
			switch {
			case len(branches) == 0:
				if _, err := g.Add(a, 1, 1, parents); err != nil {
					t.Fatal(err)
				}
			case r.IntN(4) > 0:
				g.AddAfter(branches[r.IntN(len(branches))], 1, parents)
			default: // from before the last op of a branch that is no other's
				i := branches[r.IntN(len(branches))]
				l := Leaves{After: -1, Hash: [32]byte{byte(len(past))}}
				if last := g.LastOf(i); last > 1 {
					l.After, _ = g.LVOf(i, last-1)
				}
				g.AddBranch(a, 1, nil, l)
			}
			now := moment{g.Version(g.Heads()), slices.Clone(g.Heads())}
			if i := slices.IndexFunc(past, func(m moment) bool { return m.version.Equal(now.version) }); i >= 0 {
				now = past[i]
				same++
			}
			past = append(past, now)
		}
		for i, m := range past {
			if got, ok := g.LVs(m.version); !ok || !slices.Equal(got, m.heads) {
				t.Fatalf("seed %d: after %d ops the ends were %v, %v; that is taken for %v (%v)", seed, i+1, m.version, m.heads, got, ok)
			}
		}
	}
	if same == 0 {
		t.Error("no two versions were named alike")
	}
}
