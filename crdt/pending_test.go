package crdt

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt/causal"
)

func signedBatch(n int) *Batch {
	return NewBatch(nil, []*Change{{}}, []Signature{{Dot: causal.Dot{Actor: actorOfZero, Seq: causal.Seq(n)}}})
}

func TestPending(t *testing.T) {
	p := Pending{MaxBytes: 100, MaxCount: 3}
	tip := func(n int) Tip { return Tip{Actor: actorOfZero, Seq: causal.Seq(n)} }
	dot := func(n int) causal.Dot { return causal.Dot{Actor: actorOfZero, Seq: causal.Seq(n)} }
	b1, b2, b3, b4 := signedBatch(1), signedBatch(2), signedBatch(3), signedBatch(4)
	if !p.Add(b1, []Tip{tip(1), tip(2)}, 40) || !p.Add(b2, []Tip{tip(2)}, 40) {
		t.Fatal("no room")
	}
	if p.Add(signedBatch(1), []Tip{tip(1)}, 40) {
		t.Error("took a batch twice")
	}
	if p.Add(b3, []Tip{tip(3)}, 101) {
		t.Error("took more than its bound")
	}
	has := map[causal.Dot]bool{}
	ready := func() []*Batch { return p.Ready(func(t Tip) bool { return has[t.Dot()] }) }
	has[dot(1)] = true
	if got := ready(); len(got) != 0 || !slices.Equal(p.Missing(), []causal.Dot{dot(2)}) {
		t.Errorf("ready %v, missing %v", got, p.Missing())
	}
	has[dot(2)] = true
	if got := ready(); !slices.Equal(got, []*Batch{b1, b2}) || p.Len() != 0 || p.Bytes() != 0 {
		t.Errorf("ready %v, %d left", got, p.Len())
	}
	// Full: the oldest go.
	for i, b := range []*Batch{b1, b2, b3, b4} {
		if !p.Add(b, []Tip{tip(10 + i)}, 10) {
			t.Error("no room")
		}
	}
	if want := []causal.Dot{dot(11), dot(12), dot(13)}; !slices.Equal(p.Missing(), want) {
		t.Errorf("missing %v, want %v", p.Missing(), want)
	}
	if !p.Add(b1, []Tip{tip(20)}, 85) || p.Len() != 2 || p.Bytes() != 95 {
		t.Errorf("%d batches, %d bytes", p.Len(), p.Bytes())
	}
}

func TestPendingBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Pending{MaxBytes: rapid.IntRange(1, 50).Draw(t, "max bytes"), MaxCount: rapid.IntRange(1, 5).Draw(t, "max count")}
		held := map[causal.Dot]bool{}
		for i := range rapid.IntRange(1, 40).Draw(t, "steps") {
			size := rapid.IntRange(1, 60).Draw(t, "size")
			d := causal.Dot{Actor: actorOfZero, Seq: causal.Seq(rapid.IntRange(1, 5).Draw(t, "dot"))}
			if rapid.IntRange(0, 3).Draw(t, "what") == 0 {
				held[d] = true
				for range p.Ready(func(t Tip) bool { return held[t.Dot()] }) {
				}
			} else if !held[d] && p.Add(signedBatch(i), []Tip{{Actor: d.Actor, Seq: d.Seq}}, size) != (size <= p.MaxBytes) {
				t.Fatalf("a batch of %d bytes, bound %d", size, p.MaxBytes)
			}
			sum := 0
			for _, w := range p.waiting {
				sum += w.size
				if held[w.missing[0].Dot()] {
					t.Fatal("one that is ready was left")
				}
			}
			if sum != p.Bytes() || sum > p.MaxBytes || p.Len() > p.MaxCount {
				t.Fatalf("%d batches, %d bytes, said to be %d", p.Len(), sum, p.Bytes())
			}
		}
	})
}
