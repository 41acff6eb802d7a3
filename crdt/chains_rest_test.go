package crdt

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt/causal"
)

// Chains at rest give the same answers as others, and go on as others do.
func TestRest(t *testing.T) {
	rested := 0
	rapid.Check(t, func(t *rapid.T) {
		h := typeTogether(t, 400)
		o := newHolder()
		take := func(n int) {
			k, err := o.Check(h.BatchOf(h.log[len(o.log):n]), nil)
			if err != nil {
				t.Fatal(err)
			}
			o.log = slices.AppendSeq(o.log, o.Add(k).All)
		}
		for len(o.log) < len(h.log) {
			take(rapid.IntRange(len(o.log)+1, len(h.log)).Draw(t, "held"))
			o.Rest(o)
			for _, k := range o.infos.chunks {
				if k.rested != nil {
					rested += k.rested.n
				}
			}
		}
		if o.Digest() != h.Digest() || !slices.Equal(o.Tips(), h.Tips()) {
			t.Fatal("digests differ")
		}
		for i, a := range h.log {
			got, want := o.ChangeAt(a.Span.Start), h.ChangeAt(a.Span.Start)
			got.Signed = want.Signed
			hash, ok := o.HashAt(a.Dot())
			if held, err := o.Holds(Tip{a.Actor, a.Dot().Seq, a.Hash}); got != want || !ok || hash != a.Hash || !held || err != nil {
				t.Fatalf("change %d: %+v, %v, want %+v, %v", i, got, hash, want, a.Hash)
			}
		}
		// All of it is known there, and a fork of any of it is.
		if k, err := o.Check(h.BatchOf(h.log), nil); err != nil || k.Len() != 0 {
			t.Fatalf("all of it again: %v", err)
		}
		from := rapid.IntRange(0, len(h.log)-1).Draw(t, "from")
		later := causal.Span{Start: h.log[from].Span.Start, End: h.graph.Len()}
		got, rest, err := o.Cut(o, []causal.Span{later}, 0, 0)
		want, wantRest, wantErr := h.Cut(h, []causal.Span{later}, 0, 0)
		if (got == nil) != (want == nil) || (err == nil) != (wantErr == nil) || got != nil && !reflect.DeepEqual(got.Context, want.Context) {
			// What is signed may differ: not all signatures were sent. Where the same is cut the context is the same.
			if got != nil && want != nil && slices.Equal(rest, wantRest) {
				t.Fatalf("cut %+v, want %+v", got, want)
			}
		}
		a := h.log[from]
		fork := *a.Change
		fork.Time++
		if fork.Time > MaxTime {
			return
		}
		context := h.BatchOf(h.log[from : from+1]).Context
		k, err := o.Check(NewBatch(context, []*Change{&fork}, nil), nil)
		if err != nil || len(k.Forks()) != 1 || k.Forks()[0].Ours != (Tip{a.Actor, a.Dot().Seq, a.Hash}) {
			t.Fatalf("a fork of %v: %v", a.Dot(), err)
		}
	})
	if rested == 0 {
		t.Error("nothing rested")
	}
}

// failing is a source that fails.
type failing struct{ error }

func (f failing) Changes(causal.Span, func(Accepted) bool) error { return f.error }

// While the source fails, what takes it is refused, and nothing else.
func TestRestFails(t *testing.T) {
	h := typist(200)
	first, last := h.log[10], h.log[199]
	anchor := h.BatchOf(h.log[11:12])
	broken := errors.New("broken")
	h.Rest(failing{broken})
	if h.infos.chunks[0].rested == nil {
		t.Fatal("nothing rests")
	}
	if _, ok := h.HashAt(first.Dot()); ok {
		t.Error("a hash from nowhere")
	}
	if got, ok := h.HashAt(last.Dot()); !ok || got != last.Hash {
		t.Error("the last hash is gone")
	}
	if info := h.ChangeAt(first.Span.Start); info.Time != first.Time || info.Effective != first.Effective {
		t.Errorf("%+v", info)
	}
	if _, err := h.Check(anchor, nil); !errors.Is(err, broken) {
		t.Errorf("check: %v", err)
	}
	if _, _, err := h.Cut(h, []causal.Span{{Start: 11, End: 200}}, 0, 0); !errors.Is(err, broken) {
		t.Errorf("cut: %v", err)
	}
	h.Rest(h)
	if got, ok := h.HashAt(first.Dot()); !ok || got != first.Hash {
		t.Error("no hash from a source that works")
	}
	// What another's change depends on is kept from then on.
	h.authorAt([]causal.LV{first.Span.End - 1}, actorOf(1), 5, typed("notes", 0, "y"))
	h.Rest(failing{broken})
	if got, ok := h.HashAt(first.Dot()); !ok || got != first.Hash {
		t.Error("a needed hash is gone")
	}
	if a := h.commit(actorOf(0), 9000); a.Seq != 201 {
		t.Errorf("goes on at %d", a.Seq)
	}
}

// BenchmarkHashAtRest asks for a hash that has to be computed again.
func BenchmarkHashAtRest(b *testing.B) {
	h := typist(restChunk)
	h.Rest(h)
	for b.Loop() {
		if _, ok := h.HashAt(h.log[restChunk-2].Dot()); !ok {
			b.Fatal("no hash")
		}
	}
}
