package sequence_test

import (
	"slices"
	"testing"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/sequence"
)

// Backspaces that go on beyond the start of a sequence delete what is there, like deletions one by one.
func TestBackspaceBeyondTheStart(t *testing.T) {
	const inserted = 6
	for first := range inserted {
		for n := 1; n <= inserted+2; n++ {
			var at, by sequence.Sequence
			var g causal.Graph
			want := []int{0, 1, 2, 3, 4, 5}
			got := slices.Clone(want)
			for _, s := range []*sequence.Sequence{&at, &by} {
				s.Insert(&g, causal.History{}, 0, 0, inserted)
			}
			// A first one that the others join.
			lv := causal.LV(inserted)
			apply := func(text *[]int, edits []sequence.Edit) {
				for _, e := range edits {
					*text = slices.Delete(*text, e.Pos, e.Pos+e.Deleted)
				}
			}
			apply(&got, at.Delete(&g, causal.History{}, lv, first, 1, nil))
			apply(&got, at.Backspace(&g, causal.History{}, lv+1, first-1, n, nil))
			for i := range n + 1 {
				apply(&want, by.Delete(&g, causal.History{}, lv+causal.LV(i), first-i, 1, nil))
			}
			if !slices.Equal(got, want) || at.Len() != by.Len() || at.Len() != len(want) {
				t.Errorf("%d backspaces from %d: %v of length %d; one by one %v of length %d", n, first, got, at.Len(), want, by.Len())
			}
		}
	}
}
