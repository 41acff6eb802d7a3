package causal_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt/causal"
)

// TestOrder: an order of random changes has each once, after its parents.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ends, parents []int32
		n := rapid.IntRange(0, 60).Draw(t, "changes")
		for i := range n {
			switch how := rapid.IntRange(0, 9).Draw(t, "sees"); {
			case i == 0 || how == 0:
			case how < 6:
				parents = append(parents, int32(i-1))
			default:
				for range how - 5 {
					parents = append(parents, int32(rapid.IntRange(0, i-1).Draw(t, "parent")))
				}
			}
			ends = append(ends, int32(len(parents)))
		}
		order := causal.Order(ends, parents, func(i int) int { return 1 + i%3 })
		at := make([]int, n)
		for i := range at {
			at[i] = -1
		}
		for k, i := range order {
			if at[i] >= 0 {
				t.Fatalf("%d comes twice in %v", i, order)
			}
			at[i] = k
		}
		from := int32(0)
		for i, end := range ends {
			if at[i] < 0 {
				t.Fatalf("%d is not in %v", i, order)
			}
			for _, p := range parents[from:end] {
				if at[p] > at[i] {
					t.Fatalf("%d comes before its parent %d in %v", i, p, order)
				}
			}
			from = end
		}
	})
}

// TestOrderOfBranches: what was written by turns on branches side by side comes branch by branch, the shorter first.
func TestOrderOfBranches(t *testing.T) {
	// 0 is the ancestor; 1, 3, 5 and 8 are one branch, 2 and 4 another, which 8 merges; 6 and 7 leave 2 for themselves.
	parents := [][]int32{{}, {0}, {0}, {1}, {2}, {3}, {2}, {6}, {4, 5}}
	var ends, flat []int32
	for _, ps := range parents {
		flat = append(flat, ps...)
		ends = append(ends, int32(len(flat)))
	}
	got := causal.Order(ends, flat, func(i int) int { return 1 })
	if want := []int32{0, 1, 3, 5, 2, 4, 6, 7, 8}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
