package crdt

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt/causal"
)

// However histories branch and wherever they are cut, each batch verifies on its own where it
// arrives, and together they carry everything that is signed.
func TestCutCloses(t *testing.T) {
	batches, grown := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		h := newHolder()
		n := rapid.IntRange(1, 40).Draw(t, "changes")
		for range n {
			author(t, h)
		}
		for _, ch := range slices.Clone(h.chains) { // an author signs in the end
			h.sign(h.log[ch.last])
		}
		o := newHolder()
		missing := h.missing(o)
		for len(missing) > 0 {
			maxChanges := rapid.IntRange(1, 8).Draw(t, "max changes")
			maxBytes := rapid.IntRange(1, 400).Draw(t, "max bytes")
			b, rest, err := h.Cut(h, missing, maxBytes, maxChanges)
			if err != nil || b == nil {
				t.Fatalf("cut %v: %v, %v", missing, b, err)
			}
			var all []causal.Span
			for ch := range b.All {
				lv, _ := h.graph.LV(ch.Dot())
				all = append(all, h.ChangeAt(lv).Span)
			}
			if got := joined(append(all, rest...)); !slices.Equal(got, joined(missing)) {
				t.Fatalf("batch %v and rest %v of %v", all, rest, missing)
			}
			if b.Len() > maxChanges {
				grown++
			}
			if err := o.receive(b); err != nil {
				t.Fatalf("batch of %v: %v", all, err)
			}
			batches++
			if rapid.Bool().Draw(t, "ask again") { // what the receiver says it has is enough
				rest = h.missing(o)
			}
			missing = rest
		}
		if o.Digest() != h.Digest() || o.Len() != n {
			t.Fatalf("%d of %d changes came", o.Len(), n)
		}
		for _, a := range h.log { // and mean the same
			lv, ok := o.graph.LV(a.Dot())
			if info := o.ChangeAt(lv); !ok || info.Effective != a.Effective || info.Time != a.Time {
				t.Fatalf("%v became %+v", a, info)
			}
		}
		// It goes back the same way to a third.
		third := newHolder()
		third.pull(t, o, 100, 5)
		if third.Digest() != h.Digest() {
			t.Fatal("lost on the way through another")
		}
	})
	if grown == 0 {
		t.Error("no batch had to grow beyond its size to close")
	}
	t.Logf("%d batches, of which %d grew", batches, grown)
}

// joined returns spans sorted, touching ones as one.
func joined(spans []causal.Span) []causal.Span {
	spans = slices.Clone(spans)
	slices.SortFunc(spans, func(a, b causal.Span) int { return int(a.Start - b.Start) })
	var out []causal.Span
	for _, s := range spans {
		if n := len(out); n > 0 && out[n-1].End == s.Start {
			out[n-1].End = s.End
		} else {
			out = append(out, s)
		}
	}
	return out
}

// Two who type at once, changes interleaved, and see each other only now and then.
func TestInterleavedRuns(t *testing.T) {
	h := newHolder()
	a, b := actorOf(0), actorOf(1)
	h.commit(a, 1)
	h.commit(b, 1)
	for i := range 3000 {
		actor := []causal.Actor{a, b}[i%2]
		parents := []causal.LV{h.span(h.chainOf(actor).last).End - 1}
		if i%100 < 2 {
			parents = h.graph.Maximal(append(parents, h.graph.Heads()...))
		}
		h.authorAt(parents, actor, int64(i), typed("notes", 0, "x"))
		if i%7 < 2 {
			h.sign(h.log[len(h.log)-1])
		}
	}
	for _, ch := range h.chains {
		h.sign(h.log[ch.last])
	}
	o := newHolder()
	if n := o.pull(t, h, 0, 500); n < 5 || n > 9 {
		t.Errorf("%d batches of about 500 for %d changes", n, h.Len())
	}
	if o.Digest() != h.Digest() {
		t.Error("not everything came")
	}
	// Half of it is there already.
	half := newHolder()
	missing := h.missing(half)
	first, _, err := h.Cut(h, missing, 1<<20, 1500)
	if err != nil {
		t.Fatal(err)
	}
	if err := half.receive(first); err != nil {
		t.Fatal(err)
	}
	k, err := half.Check(h.BatchOf(h.log), quickVerify)
	if err != nil || k.Len() != h.Len()-half.Len() {
		t.Errorf("%v, %d new", err, k.Len())
	}
	half.Add(k)
	if half.Digest() != h.Digest() {
		t.Error("not everything came to the one who had half")
	}
}

func TestCutUnsigned(t *testing.T) {
	h := newHolder()
	h.commit(actorOf(0), 1)
	h.author(actorOf(0), 2, typed("notes", 0, "x"))
	all := []causal.Span{{Start: 0, End: 2}}
	b, rest, err := h.Cut(h, all, 0, 0)
	if err != nil || b.Len() != 1 || !slices.Equal(rest, []causal.Span{{Start: 1, End: 2}}) {
		t.Fatalf("%v, %v, %v", b, rest, err)
	}
	b, rest, err = h.Cut(h, rest, 0, 0)
	if err != nil || b != nil || !slices.Equal(rest, []causal.Span{{Start: 1, End: 2}}) {
		t.Errorf("unsigned: %v, %v, %v", b, rest, err)
	}
	if b, rest, err = h.Cut(h, nil, 0, 0); b != nil || rest != nil || err != nil {
		t.Errorf("nothing missing: %v, %v, %v", b, rest, err)
	}
}

// An actor whose later changes alone are missing, or with a gap, does not upset the rest.
func TestCutGap(t *testing.T) {
	h := newHolder()
	for i := range 6 {
		h.commit(actorOf(0), int64(i))
	}
	b, rest, err := h.Cut(h, []causal.Span{{Start: 0, End: 2}, {Start: 4, End: 6}}, 0, 0)
	if err != nil || b.Len() != 2 || !slices.Equal(rest, []causal.Span{{Start: 4, End: 6}}) {
		t.Fatalf("%v, %v, %v", b, rest, err)
	}
	b, rest, err = h.Cut(h, rest, 0, 0)
	if err != nil || b.Len() != 2 || len(rest) != 0 || len(b.Context) != 1 {
		t.Fatalf("%v, %v, %v", b, rest, err)
	}
	// A span that begins inside a change takes it whole.
	long := h.author(actorOf(0), 9, typed("notes", 0, "long"))
	h.sign(long)
	b, rest, err = h.Cut(h, []causal.Span{{Start: long.Span.Start + 2, End: long.Span.End}}, 0, 0)
	if err != nil || b.Len() != 1 || b.single[0] != long.Change || len(rest) != 0 {
		t.Fatalf("%v, %v, %v", b, rest, err)
	}
}

type brokenSource struct{ err error }

func (s brokenSource) Changes(causal.Span, func(Accepted) bool) error { return s.err }

func TestCutSourceFails(t *testing.T) {
	h := newHolder()
	h.commit(actorOf(0), 1)
	all := []causal.Span{{Start: 0, End: 1}}
	disk := errors.New("disk")
	_, rest, err := h.Cut(brokenSource{disk}, all, 0, 0)
	wantIs(t, err, disk)
	if !slices.Equal(rest, all) {
		t.Errorf("rest %v", rest)
	}
	_, _, err = h.Cut(brokenSource{nil}, all, 0, 0)
	wantIs(t, err, ErrCut)
}

// What belongs together and fits no batch is an error, not a hang.
func TestCutImpossible(t *testing.T) {
	h := newHolder()
	for i := range 5 {
		h.author(actorOf(0), int64(i), Group{Slice: "s", Len: 1, Ops: make([]byte, MaxChangeBytes-100)})
	}
	h.sign(h.log[4])
	_, rest, err := h.Cut(h, h.missing(newHolder()), 0, 0)
	wantIs(t, err, ErrCut)
	if len(rest) != 1 {
		t.Errorf("rest %v", rest)
	}
}

// Many who write at once, and sign seldom: a prefix in which nobody has signed must not
// need them all in one batch.
func TestCutManyActors(t *testing.T) {
	const actors, changes = 60, 40
	h := newHolder()
	for range changes {
		for i := range actors {
			var parents []causal.LV
			if own := h.chainOf(actorOf(i)); own != nil {
				parents = []causal.LV{h.span(own.last).End - 1}
			}
			h.authorAt(parents, actorOf(i), 1, typed("notes", 0, "x"))
		}
	}
	for i := range actors - 1 { // one has not signed yet: the first in order
		h.sign(h.log[len(h.log)-1-i])
	}
	o := newHolder()
	missing := h.missing(o)
	n := 0
	for ; ; n++ {
		b, rest, err := h.Cut(h, missing, 0, 50)
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			break
		}
		if b.Len() > 50 {
			t.Fatalf("a batch of %d changes", b.Len())
		}
		if err := o.receive(b); err != nil {
			t.Fatal(err)
		}
		missing = rest
	}
	if want := h.missing(o); n != actors-1 || !slices.Equal(joined(missing), joined(want)) || len(want) != changes {
		t.Errorf("%d batches, rest %v, want %v", n, missing, want)
	}
}

// A batch carries the signatures that another actor's change depends on, and few others.
func TestBatchSigs(t *testing.T) {
	h := newHolder()
	a, b := actorOf(0), actorOf(1)
	for range 20 {
		h.commit(a, 1)
	}
	h.commit(b, 1) // depends on a:20
	for range 20 {
		h.authorAt([]causal.LV{h.span(h.chainOf(a).last).End - 1}, a, 1, typed("notes", 0, "x"))
		h.sign(h.log[len(h.log)-1])
	}
	var got []causal.Dot
	for _, s := range h.BatchOf(h.log).Sigs {
		got = append(got, s.Dot)
	}
	want := []causal.Dot{{Actor: a, Seq: 20}, {Actor: a, Seq: 40}, {Actor: b, Seq: 1}}
	slices.SortFunc(want, causal.Dot.Compare)
	if !slices.Equal(got, want) {
		t.Errorf("signatures at %v, want %v", got, want)
	}
}

func BenchmarkCut(b *testing.B) {
	h := typist(1024)
	missing := h.missing(newHolder())
	b.ReportAllocs()
	for b.Loop() {
		batch, _, err := h.Cut(h, missing, 0, 0)
		if err != nil {
			b.Fatal(err)
		}
		batch.AppendTo(nil)
	}
}
