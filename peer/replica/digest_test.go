package replica

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt"
)

// TestDigester: the digest of a summary that changed is that of the same summary hashed anew.
func TestDigester(t *testing.T) {
	kept := 0
	rapid.Check(t, func(t *rapid.T) {
		store := crdt.StoreID{1}
		s := slices.Clone(genSummary().Draw(t, "s"))
		var d digester
		d.digest(s, store)
		for _, tip := range genSummary().Draw(t, "changes") {
			s.set(tip)
			d.changed(tip.Actor)
			if d.same != 0 {
				kept++
			}
			if got, want := d.digest(s, store), s.digest(store); got != want {
				t.Fatalf("digest %s of %v, want %s", got, s, want)
			}
		}
	})
	if kept == 0 {
		t.Error("every part was always hashed anew")
	}
}
