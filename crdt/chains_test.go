package crdt

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt/causal"
)

func TestEffectiveTime(t *testing.T) {
	h := newHolder()
	a, b := actorOf(0), actorOf(1)
	x := h.commit(a, 5000) // a's clock is ahead
	y := h.commit(b, 1000) // and b saw it
	z := h.commit(b, 1000)
	w := h.commit(a, 6000)
	for i, tt := range []struct {
		a    Accepted
		want EffectiveTime
	}{{x, 5000 << 16}, {y, 5000<<16 + 1}, {z, 5000<<16 + 2}, {w, 6000 << 16}} {
		if tt.a.Effective != tt.want {
			t.Errorf("change %d: %d, want %d", i, tt.a.Effective, tt.want)
		}
		info := h.ChangeAt(tt.a.Span.Start)
		if want := (ChangeInfo{tt.a.Span, tt.a.Dot(), tt.a.Time, tt.want, true}); info != want {
			t.Errorf("ChangeAt %+v, want %+v", info, want)
		}
	}
	first := NewChains(fixtureStore).EffectiveAfter(nil, 0)
	if first != 0 {
		t.Errorf("the first change at 0 has effective time %d", first)
	}
	if h.EffectiveAfter([]causal.LV{y.Span.Start, x.Span.Start}, 7) != z.Effective {
		t.Error("EffectiveAfter differs from Author")
	}
}

// Later is a strict total order that agrees with its definition and with causality.
func TestLater(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHolder()
		for range rapid.IntRange(2, 12).Draw(t, "changes") {
			author(t, h)
		}
		type op struct {
			lv  causal.LV
			eff EffectiveTime
			dot causal.Dot
		}
		var ops []op
		for _, a := range h.log {
			for lv := a.Span.Start; lv < a.Span.End; lv++ {
				ops = append(ops, op{lv, a.Effective, h.graph.Dot(lv)})
			}
		}
		for _, x := range ops {
			for _, y := range ops {
				want := cmp.Or(cmp.Compare(x.eff, y.eff), x.dot.Compare(y.dot)) > 0
				if got := h.Later(x.lv, y.lv); got != want {
					t.Fatalf("Later(%v, %v) = %v", x, y, got)
				}
				if x.lv != y.lv && h.graph.Contains([]causal.LV{x.lv}, y.lv) && !h.Later(x.lv, y.lv) {
					t.Fatalf("%v saw %v and is not later", x, y)
				}
			}
		}
	})
}

// author makes a change, at the heads or at an older version, and signs it or not.
func author(t *rapid.T, h *holder) {
	actor := actorOf(rapid.IntRange(0, 3).Draw(t, "actor"))
	parents := slices.Clone(h.graph.Heads())
	if h.graph.Len() > 0 && rapid.Bool().Draw(t, "older") {
		parents = nil
		for range rapid.IntRange(1, 3).Draw(t, "parents") {
			a := rapid.SampledFrom(h.log).Draw(t, "parent")
			parents = append(parents, a.Span.End-1)
		}
		if i, ok := h.graph.ActorIndex(actor); ok {
			parents = append(parents, h.span(h.chains[i].last).End-1)
		}
		parents = h.graph.Maximal(parents)
	}
	a := h.authorAt(parents, actor, rapid.Int64Range(0, 20).Draw(t, "time"),
		typed("notes", 0, rapid.StringMatching(`[a-z]{1,3}`).Draw(t, "text")))
	if rapid.IntRange(0, 3).Draw(t, "signed") > 0 {
		h.sign(a)
	}
}

func TestTipsAndDigest(t *testing.T) {
	h := newHolder()
	empty := h.Digest()
	if _, ok := h.Tip(actorOf(0)); ok || len(h.Tips()) != 0 {
		t.Error("tips of nothing")
	}
	var want []Tip
	for i := range 5 {
		a := h.commit(actorOf(i), 1000)
		want = append(want, Tip{a.Actor, a.Dot().Seq, a.Hash})
		if tip, ok := h.Tip(a.Actor); !ok || tip != want[i] {
			t.Errorf("tip %v, want %v", tip, want[i])
		}
	}
	slices.SortFunc(want, func(x, y Tip) int { return x.Dot().Compare(y.Dot()) })
	if got := h.Tips(); !slices.Equal(got, want) {
		t.Errorf("tips %v, want %v", got, want)
	}
	digest := h.Digest()
	if digest == empty || digest != h.Digest() {
		t.Error("digest does not follow the tips")
	}
	if err := newHolder().receive(h.BatchOf(h.log)); err != nil {
		t.Fatal(err)
	}
	h.commit(actorOf(0), 2000)
	if h.Digest() == digest {
		t.Error("digest does not change with a commit")
	}
	if _, ok := h.HashAt(causal.Dot{Actor: actorOf(0), Seq: 99}); ok {
		t.Error("hash of a dot that is not there")
	}
	long := h.author(actorOf(0), 3000, typed("notes", 0, "long"))
	if _, ok := h.HashAt(causal.Dot{Actor: actorOf(0), Seq: long.Seq}); ok {
		t.Error("hash inside a change")
	}
	if got, ok := h.HashAt(long.Dot()); !ok || got != long.Hash {
		t.Error("no hash at the end of a change")
	}
}

// Old signatures are thinned out to one per keepChanges or keepBytes, except those that
// another actor's change depends on.
func TestThinning(t *testing.T) {
	h := newHolder()
	a, b := actorOf(0), actorOf(1)
	const n = 5000
	for range 700 {
		h.commit(a, 1000)
	}
	h.commit(b, 1000) // depends on a:700
	for range n - 700 {
		h.authorAt([]causal.LV{h.span(h.chains[0].last).End - 1}, a, 1000, typed("notes", 0, "x"))
		h.sign(h.log[len(h.log)-1])
	}
	sigs := h.chains[0].sigs
	if len(sigs) > n/keepChanges+2*sigWindow+2 {
		t.Errorf("%d signatures of %d are kept", len(sigs), n)
	}
	last := causal.Seq(0)
	for _, s := range sigs {
		if s.seq-last > keepChanges {
			t.Errorf("no signature between %d and %d", last, s.seq)
		}
		last = s.seq
	}
	if last != n {
		t.Errorf("the last signature is at %d", last)
	}
	lv, _ := h.graph.LV(causal.Dot{Actor: a, Seq: 700})
	if _, ok := h.SignatureAt(lv); !ok {
		t.Error("the signature that b depends on is gone")
	}
	o := newHolder()
	o.pull(t, h, 0, 0)
	if o.Digest() != h.Digest() {
		t.Error("what is kept does not carry everything over")
	}
	// Bytes count too.
	h = newHolder()
	text := strings.Repeat("x", 1000)
	for range 1500 {
		h.sign(h.author(a, 1000, typed("notes", 0, text)))
	}
	last = 0
	for _, s := range h.chains[0].sigs {
		if s.seq-last > keepBytes {
			t.Errorf("no signature between %d and %d", last, s.seq)
		}
		last = s.seq
	}
	if got := len(h.chains[0].sigs); got > 1500/60+2*sigWindow {
		t.Errorf("%d signatures of 1500 are kept", got)
	}
}

func typist(n int) *holder {
	h := newHolder()
	for i := range n {
		h.author(actorOf(0), int64(1000+200*i), typed("notes", i, "x"))
	}
	h.sign(h.log[n-1])
	return h
}

func BenchmarkDecodeCheckAdd(b *testing.B) {
	const n, per = 260_000, 1024
	h := typist(n)
	var batches [][]byte
	for i := 0; i < n; i += per {
		batch := h.BatchOf(h.log[i:min(n, i+per)])
		batches = append(batches, batch.AppendTo(nil))
	}
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		c := NewChains(fixtureStore)
		for _, enc := range batches {
			batch, err := DecodeBatch(enc)
			if err != nil {
				b.Fatal(err)
			}
			k, err := c.Check(batch, nil)
			if err != nil {
				b.Fatal(err)
			}
			c.Add(k)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/260k")
}

func BenchmarkDecodeBatch(b *testing.B) {
	h := typist(1024)
	enc := h.BatchOf(h.log).AppendTo(nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeBatch(enc); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(enc))/1024, "bytes/change")
}

func BenchmarkAuthor(b *testing.B) {
	h := newHolder()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		h.author(actorOfZero, int64(i), typed("notes", 0, "x"))
	}
}

var actorOfZero = actorOf(0)

// BenchmarkReceiveChange takes in changes that type a character, each in a batch of its own, without signatures.
func BenchmarkReceiveChange(b *testing.B) {
	const n = 10_000
	h := typist(n)
	var batches [][]byte
	for i := range h.log {
		batches = append(batches, h.BatchOf(h.log[i:i+1]).AppendTo(nil))
	}
	run := func(name string, receive func(c *Chains, batch *Batch)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			c := NewChains(fixtureStore)
			for i := range b.N {
				if i%n == 0 {
					c = NewChains(fixtureStore)
				}
				batch, err := DecodeBatch(batches[i%n])
				if err != nil {
					b.Fatal(err)
				}
				receive(c, batch)
			}
		})
	}
	run("decode", func(*Chains, *Batch) {})
	run("add", func(c *Chains, batch *Batch) {
		k, err := c.Check(batch, nil)
		if err != nil {
			b.Fatal(err)
		}
		c.Add(k)
	})
	run("encode", func(c *Chains, batch *Batch) { encodedRoom = batch.AppendTo(encodedRoom[:0]) })
}

var encodedRoom []byte

// TestTipsAreSorted: tips are in the order of their actors, whether those came one by one, a few or a crowd at once.
func TestTipsAreSorted(t *testing.T) {
	h := newHolder()
	for i := range 60 {
		h.commit(actorOf(i), 1)
	}
	want := h.Tips()
	if !slices.IsSortedFunc(want, func(a, b Tip) int { return a.Actor.Compare(b.Actor) }) || len(want) != 60 {
		t.Fatalf("%d tips, not in order", len(want))
	}
	o := newHolder()
	for at, pieces := 0, []int{30, 1, 3, 26}; len(pieces) > 0; pieces = pieces[1:] {
		k, err := o.Check(h.BatchOf(h.log[at:at+pieces[0]]), quickVerify)
		if err != nil {
			t.Fatal(err)
		}
		o.Add(k)
		at += pieces[0]
		if got := o.Tips(); len(got) != at || !slices.IsSortedFunc(got, func(a, b Tip) int { return a.Actor.Compare(b.Actor) }) {
			t.Fatalf("after %d actors %d tips, or not in order", at, len(got))
		}
	}
	if got := o.Tips(); !slices.Equal(got, want) || o.Digest() != h.Digest() {
		t.Error("the tips differ from those of changes that came one by one")
	}
}

// However long what is typed is, its hashes lie in as few chunks as there can be, none of which has room that stays empty.
func TestChunksOfTyping(t *testing.T) {
	for _, n := range []int{adoptFrom, maxChunk, maxChunk + 1, 2*maxChunk - 1, 2*maxChunk + 1, 3 * maxChunk} {
		h := newHolder()
		for i := range n {
			h.author(actorOf(0), int64(1000+i), typed("notes", 0, "x"))
		}
		c := NewChains(fixtureStore)
		k, err := c.Check(h.BatchOf(h.log), nil)
		if err != nil {
			t.Fatal(err)
		}
		c.Add(k)
		changes, room := 0, 0
		for _, chunk := range c.infos.chunks {
			changes, room = changes+chunk.len(), room+cap(chunk.hashes)
		}
		if want := (n + maxChunk - 1) / maxChunk; len(c.infos.chunks) != want || changes != n || room != n {
			t.Errorf("%d changes are %d in %d chunks with room for %d, want %d chunks", n, changes, len(c.infos.chunks), room, want)
		}
		if c.Digest() != h.Digest() {
			t.Errorf("%d changes: the digests differ", n)
		}
	}
}
