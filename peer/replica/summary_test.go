package replica

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

func genSummary() *rapid.Generator[summary] {
	return rapid.Custom(func(t *rapid.T) summary {
		var s summary
		for i := range 8 {
			if seq := rapid.Uint64Range(0, 2).Draw(t, "seq"); seq > 0 {
				tip := crdt.Tip{Actor: causal.Actor{Device: causal.Device{byte(i) << 5 & 0x80, 1}, Nonce: [8]byte{byte(i)}}, Seq: causal.Seq(seq)}
				tip.Hash[0] = byte(rapid.IntRange(1, 2).Draw(t, "hash"))
				s = append(s, tip)
			}
		}
		return s
	})
}

// TestSummaryDifference: a base and the difference to it give back the summary, whichever of the two has more: also a device
// that lost some of what it once shared is understood.
func TestSummaryDifference(t *testing.T) {
	less := 0
	rapid.Check(t, func(t *rapid.T) {
		s, base := genSummary().Draw(t, "s"), genSummary().Draw(t, "base")
		d := s.difference(base)
		in, of := holdingsOf(slices.Clone(s)), holdingsOf(slices.Clone(base))
		if got := in.difference(of); !slices.Equal(got, d) {
			t.Fatalf("the difference of %v and %v is %v in parts, %v in one", s, base, got, d)
		}
		if got := of.with(d); !got.equal(s) || !of.equal(base) {
			t.Fatalf("%v and %v give %v, not %v", base, d, got.summary(), s)
		}
		if got := of.with(d); len(got.difference(in)) > 0 || len(in.difference(got)) > 0 {
			t.Fatal("what is equal differs")
		}
		if len(d) > 0 == slices.Equal(s, base) {
			t.Fatalf("the difference of %v and %v is %v", s, base, d)
		}
		if slices.ContainsFunc(d, func(t crdt.Tip) bool { return t.Seq == 0 }) {
			less++
		}
		a, b := crdt.StoreID{1}, crdt.StoreID{2}
		if in.digest(a) == in.digest(b) || (in.digest(a) == of.digest(a)) != slices.Equal(s, base) {
			t.Fatal("digests are equal where they should not be, or the reverse")
		}
	})
	if less == 0 {
		t.Error("no base had an actor that the summary lacks")
	}
}
