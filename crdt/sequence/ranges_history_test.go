package sequence_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/atollsync/atoll/crdt/causal"
)

// typist is an author of a marked document, who has seen what he wants to.
type typist struct {
	*marked
	actor causal.Actor
	r     *rand.Rand
	saw   []causal.LV // heads
	size  int         // of what he sees
}

// op returns the local version and the history of n new ops of w's.
func (w *typist) op(t testing.TB, n int) (causal.LV, causal.History) {
	h := w.g.History(w.saw)
	span, err := w.g.Add(w.actor, w.g.Last(w.actor)+1, n, w.saw)
	if err != nil {
		t.Fatal(err)
	}
	w.saw = []causal.LV{span.End - 1}
	return span.Start, h
}

// edit does something somewhere.
func (w *typist) edit(t testing.TB) {
	n := 1 + w.r.IntN(4)
	lv, h := w.op(t, n)
	if w.size > 200 && w.r.IntN(2) == 0 {
		w.seq.Delete(&w.g, h, lv, w.r.IntN(w.size-n), n, nil)
		w.size -= n
	} else {
		w.seq.Insert(&w.g, h, lv, w.r.IntN(w.size+1), n)
		w.size += n
	}
}

// mark adds a range of what w sees.
func (w *typist) mark(t testing.TB) {
	lv, h := w.op(t, 1)
	w.seq.AddRange(&w.g, h, lv, w.r.IntN(w.size), 1+w.r.IntN(20), w.r.IntN(2) == 0, w.r.IntN(2) == 0)
}

// settle settles the ranges and compares them, now and then, with what comes of doing all at once.
func (w *typist) settle(t testing.TB, compare bool) {
	t.Helper()
	w.seq.Settle(&w.g)
	if !compare {
		return
	}
	if got, want := w.seq.Ends(), w.seq.EndsAfresh(&w.g); !slices.Equal(got, want) {
		t.Fatalf("ends %v, from the start %v", got, want)
	}
}

// TestRangesLongHistory: over a long history by one author few versions are kept to go back to. A late op goes back to one not
// far from what its author saw, and while a long branch comes in pieces one tracker is fed.
func TestRangesLongHistory(t *testing.T) {
	const edits = 20_000
	m := &marked{document: newDocument()}
	a := &typist{marked: m, actor: agentActor(0), r: rand.New(rand.NewPCG(1, 2))}
	heads := make([]causal.LV, 0, edits) // after each edit
	sizes := make([]int, 0, edits)
	for i := range edits {
		a.edit(t)
		if i%200 == 199 {
			a.mark(t)
		}
		if i%30 == 0 {
			a.settle(t, i%6000 == 0)
		}
		heads, sizes = append(heads, a.saw[0]), append(sizes, a.size)
	}
	a.settle(t, true)
	if n := m.seq.Points(); n < 3 || n > 12 {
		t.Errorf("%d versions kept to go back to", n)
	}
	if m.seq.Tracks() {
		t.Error("a tracker where nothing is concurrent")
	}
	// Late ops of other authors, ever later.
	for k, late := range []int{1, 10, 100, 1000, 5000, 19_000} {
		b := &typist{marked: m, actor: agentActor(1 + k), r: a.r, saw: []causal.LV{heads[edits-1-late]}, size: sizes[edits-1-late]}
		b.edit(t)
		at := m.seq.HangFrom()
		oldest := 0
		if far := 6*late + 200; far < edits {
			oldest = edits - far
		}
		if at < 0 || at > heads[edits-1-late]+1 || oldest > 0 && at < heads[oldest] {
			t.Errorf("an op %d edits late goes back to %d, its author saw %d", late, at, heads[edits-1-late])
		}
		b.mark(t)
		b.settle(t, true)
		if k == 0 {
			continue
		}
		// All meet.
		a.saw = slices.Clone(m.g.Heads())
		a.size = m.seq.Len()
		a.edit(t)
		a.settle(t, true)
	}
	// A branch of 3,000 edits in 60 pieces, between which the author of the other goes on.
	a.saw, a.size = slices.Clone(m.g.Heads()), m.seq.Len()
	a.edit(t)
	b := &typist{marked: m, actor: agentActor(9), r: a.r, saw: slices.Clone(a.saw), size: a.size}
	for piece := range 60 {
		for range 50 {
			b.edit(t)
		}
		b.mark(t)
		a.edit(t)
		a.mark(t)
		kept := m.seq.Tracks()
		a.settle(t, piece%10 == 0)
		if !m.seq.Tracks() || piece > 0 && !kept {
			t.Fatalf("piece %d: no tracker is kept", piece)
		}
	}
	a.settle(t, true)
}
