package replica

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// TestHoldingsDigest: the digest of holdings that changed is that of the same summary hashed anew, and what they were copied from
// stays as it was.
func TestHoldingsDigest(t *testing.T) {
	kept := 0
	rapid.Check(t, func(t *rapid.T) {
		store := crdt.StoreID{1}
		s := genSummary().Draw(t, "s")
		before := holdingsOf(slices.Clone(s))
		digest := before.digest(store)
		h, want := before.copy(), slices.Clone(s)
		for _, tip := range genSummary().Draw(t, "changes") {
			tips := []crdt.Tip{tip}
			if tip.Seq == 2 && rapid.Bool().Draw(t, "gone") {
				tips = nil
			}
			h.replace(tip.Actor, tips)
			want.replace(tip.Actor, tips)
			for i, p := range h.parts {
				if p != nil && p == before.parts[i] {
					kept++
				}
			}
			if got, want := h.digest(store), holdingsOf(slices.Clone(want)).digest(store); got != want {
				t.Fatalf("digest %s of %v, want %s", got, h.summary(), want)
			}
			if !h.equal(want) || !slices.Equal(h.summary(), want) || h.len() != len(want) {
				t.Fatalf("holdings of %v, want %v", h.summary(), want)
			}
			for d := range 4 {
				device := causal.Device{byte(d) << 6, 1}
				var own []crdt.Tip
				for _, tip := range want {
					if tip.Actor.Device == device {
						own = append(own, tip)
					}
				}
				if got := h.ofDevice(device); !slices.Equal(got, own) {
					t.Fatalf("%v of %s, want %v", got, device, own)
				}
			}
		}
		if !before.equal(s) || before.digest(store) != digest || holdingsOf(before.summary()).digest(store) != digest {
			t.Fatalf("%v became %v when a copy was written to", s, before.summary())
		}
	})
	if kept == 0 {
		t.Error("no part was ever shared with a copy")
	}
}
