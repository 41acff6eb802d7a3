package crdt

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt/causal"
)

// looseBatch is a batch while it is being broken.
type looseBatch struct {
	Context []Anchor
	Changes []*Change
	Sigs    []Signature
}

func (b *looseBatch) batch() *Batch { return NewBatch(b.Context, b.Changes, b.Sigs) }

// clone returns a batch that can be broken without breaking b.
func (b *Batch) clone() *looseBatch {
	out := &looseBatch{Context: slices.Clone(b.Context), Sigs: slices.Clone(b.Sigs)}
	for ch := range b.All {
		c := *ch
		c.Refs = slices.Clone(c.Refs)
		c.Groups = slices.Clone(c.Groups)
		out.Changes = append(out.Changes, &c)
	}
	return out
}

func TestRealSignatures(t *testing.T) {
	h := newHolder()
	a := h.author(actorOf(0), 1000, typed("notes", 0, "x"))
	s := Signature{Dot: a.Dot()}
	copy(s.Sig[:], ed25519.Sign(keyOf(0), SigningBytes(a.Hash)))
	h.AddSignature(s)
	b := h.BatchOf(h.log)
	if _, err := NewChains(fixtureStore).Check(b, VerifyEd25519); err != nil {
		t.Error(err)
	}
	_, err := NewChains(StoreID{9}).Check(b, VerifyEd25519)
	wantIs(t, err, ErrSignature) // a change belongs to one store
	broken := b.clone()
	broken.Sigs[0].Sig[3] ^= 1
	_, err = NewChains(fixtureStore).Check(broken.batch(), VerifyEd25519)
	wantIs(t, err, ErrSignature)
}

// Room for a batch much larger than most is let go of once it is taken in; what small ones take is used again.
func TestCheckLetsGoOfRoom(t *testing.T) {
	h := newHolder()
	for i := range 3 * keptLinks {
		h.commit(actorOf(i%(2*fewActors)), int64(1000+i))
	}
	c := NewChains(fixtureStore)
	take := func(log []Accepted) {
		t.Helper()
		k, err := c.Check(h.BatchOf(log), nil)
		if err != nil {
			t.Fatal(err)
		}
		c.Add(k)
	}
	few := 2 * fewActors
	take(h.log[:few])
	k := &c.checker
	if n := cap(k.links); n == 0 || n > keptLinks || cap(k.actors) == 0 || len(k.actors) > 0 {
		t.Errorf("after a batch of %d changes there is room for %d links and %d actors", few, n, cap(k.actors))
	}
	take(h.log[few:])
	if n := cap(k.links); n > keptLinks || cap(k.actors)+cap(k.anchors)+len(k.index)+cap(k.out.parents)+cap(k.out.links)+cap(k.out.sigs)+cap(k.overlay.runs) > 0 {
		t.Errorf("after a batch of %d changes there is room for %d links, %d actors, %d anchors", len(h.log)-few, n, cap(k.actors), cap(k.anchors))
	}
	last := h.commit(actorOf(0), 1<<20)
	take([]Accepted{last})
	if h.Digest() != c.Digest() {
		t.Error("the chains differ")
	}
}

func TestVerifyAlone(t *testing.T) {
	_, b := exchange(t)
	if err := VerifyAlone(fixtureStore, b, quickVerify); err != nil {
		t.Error(err)
	}
	wantIs(t, VerifyAlone(StoreID{9}, (&looseBatch{Changes: b.clone().Changes}).batch(), quickVerify), ErrInvalid)
	bad := b.clone()
	bad.Context[0].Hash[0]++
	wantIs(t, VerifyAlone(fixtureStore, bad.batch(), quickVerify), ErrSignature)
	bad = b.clone()
	bad.Sigs = bad.Sigs[1:2]
	wantIs(t, VerifyAlone(fixtureStore, bad.batch(), quickVerify), ErrSignature)
}

// Whatever is wrong with a batch, Check says so and leaves the chains as they were.
func TestCheckRefuses(t *testing.T) {
	h, good := exchange(t) // context: a:2, b:1; changes b:2, a:3, b:3..
	base := newHolder()
	if err := base.receive(h.BatchOf(h.log[:3])); err != nil {
		t.Fatal(err)
	}
	if k, err := base.Check(good, quickVerify); err != nil || k.Len() != 3 {
		t.Fatalf("the good one: %v", err)
	}
	a, b := actorOf(0), actorOf(1)
	ia, ib := 0, 1 // of their parts in what is sorted by actor
	if a.Compare(b) > 0 {
		ia, ib = 1, 0
	}
	// resign makes the signatures good again, for what takes more than hashes to refuse.
	resign := func(x *looseBatch) {
		k := new(checker)
		k.begin(base.Chains, x.batch())
		if err := k.checkFrame(); err != nil {
			t.Fatalf("resign: %v", err)
		}
		x.Sigs = nil
		for i, ch := range x.Changes {
			x.Sigs = append(x.Sigs, Signature{ch.Dot(), quickSign(ch.Actor.Device, SigningBytes(k.links[i].hash))})
		}
		slices.SortFunc(x.Sigs, func(x, y Signature) int { return x.Dot.Compare(y.Dot) })
	}
	for _, tt := range []struct {
		name   string
		break_ func(*looseBatch)
		want   error
		text   string
	}{
		{"empty", func(x *looseBatch) { x.Changes = nil }, ErrInvalid, "0 changes"},
		{"context not sorted", func(x *looseBatch) { slices.Reverse(x.Context) }, ErrInvalid, "sorted"},
		{"context twice", func(x *looseBatch) { x.Context = append(x.Context, x.Context[1]) }, ErrInvalid, "sorted"},
		{"context out of range", func(x *looseBatch) { x.Context[0].Time = MaxTime + 1 }, ErrInvalid, "out of range"},
		{"context nobody needs", func(x *looseBatch) {
			x.Context = slices.Insert(x.Context, 0, Anchor{Tip: Tip{Seq: 1}})
		}, ErrInvalid, "nothing builds on"},
		{"context inside the batch", func(x *looseBatch) {
			x.Changes[1].Refs = nil
			x.Changes[0].Refs = []causal.Dot{{Actor: a, Seq: 3}}
			x.Context = slices.Insert(x.Context, ia+1, Anchor{Tip: Tip{Actor: a, Seq: 3}})
			x.Changes = []*Change{x.Changes[0], x.Changes[2], x.Changes[1]}
		}, ErrInvalid, "inside the batch"},
		{"no previous change", func(x *looseBatch) { x.Context = slices.Delete(x.Context, ib, ib+1) }, ErrInvalid, "follows nothing"},
		{"no dep in context", func(x *looseBatch) { x.Changes[2].Refs[0].Seq = 1 }, ErrInvalid, "neither earlier"},
		{"a seq left out", func(x *looseBatch) { x.Changes = slices.Delete(x.Changes, 0, 1) }, ErrInvalid, ""},
		{"not in causal order", func(x *looseBatch) { x.Changes[0], x.Changes[1] = x.Changes[1], x.Changes[0] }, ErrInvalid, ""},
		{"a gap", func(x *looseBatch) { x.Changes[2].Seq++ }, ErrInvalid, "is next"},
		{"a frame", func(x *looseBatch) { x.Changes[2].Groups = nil }, ErrInvalid, "no ops"},
		{"a dep inside a change", func(x *looseBatch) { x.Changes[0].Groups[0].Len = 2; x.Changes[2].Seq++ }, ErrInvalid, "not the end"},
		{"sigs not sorted", func(x *looseBatch) { slices.Reverse(x.Sigs) }, ErrInvalid, "sorted"},
		{"a sig outside", func(x *looseBatch) { x.Sigs[0].Dot.Seq = 1 }, ErrInvalid, "no change of the batch ends"},
		{"a sig inside a change", func(x *looseBatch) { x.Sigs[2*ib].Dot.Seq, x.Sigs = 100, x.Sigs[:2*ib+1] }, ErrInvalid, "no change of the batch ends"},
		{"no sig at the end", func(x *looseBatch) {
			x.Sigs = slices.DeleteFunc(x.Sigs, func(s Signature) bool { return s.Dot.Actor == a })
		}, ErrSignature, "none at"},
		{"no sigs", func(x *looseBatch) { x.Sigs = nil }, ErrSignature, "none at"},
		{"a bad sig", func(x *looseBatch) { x.Sigs[1].Sig[0]++ }, ErrSignature, "at "},
		{"an op", func(x *looseBatch) { x.Changes[0].Groups = []Group{typed("notes", 1, "y")} }, ErrSignature, ""},
		{"a slice name", func(x *looseBatch) { x.Changes[0].Groups[0].Slice = "other" }, ErrSignature, ""},
		{"a time", func(x *looseBatch) { x.Changes[0].Time++ }, ErrSignature, ""},
		{"a dep dropped", func(x *looseBatch) { x.Changes[1].Refs = nil }, ErrSignature, ""},
		{"a dep turned to a mere name", func(x *looseBatch) { x.Changes[1].Refs[0].Seq = 0 }, ErrSignature, ""},
		{"a hash in context", func(x *looseBatch) { x.Context[ia].Hash[0]++ }, ErrSignature, ""},
		{"a time in context", func(x *looseBatch) { x.Context[ia].Time--; x.Changes[1].Time--; resign(x) }, ErrInvalid, "says time"},
		{"a dep in the author's own history", func(x *looseBatch) {
			x.Changes[2].Refs[0].Seq = 2 // which b:2 saw already
			resign(x)
		}, ErrInvalid, "history of another"},
		{"a dep in another's history", func(x *looseBatch) {
			c := &Change{Actor: actorOf(2), Seq: 1, Groups: x.Changes[0].Groups, Refs: []causal.Dot{{Actor: a, Seq: 3}, {Actor: b, Seq: 1}}}
			slices.SortFunc(c.Refs, causal.Dot.Compare)
			x.Changes = append(x.Changes, c)
			resign(x)
		}, ErrInvalid, "history of another"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := good.clone()
			tt.break_(x)
			before := base.fingerprint()
			_, err := base.Check(x.batch(), quickVerify)
			wantIs(t, err, tt.want)
			if !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error %q does not say %q", err, tt.text)
			}
			if after := base.fingerprint(); after != before {
				t.Errorf("chains changed:\n%s\n%s", before, after)
			}
		})
	}
}

func TestCheckMissing(t *testing.T) {
	h, later := exchange(t)
	o := newHolder()
	before := o.fingerprint()
	_, err := o.Check(later, quickVerify)
	var missing *MissingError
	if !errors.As(err, &missing) {
		t.Fatal(err)
	}
	want := []Tip{later.Context[0].Tip, later.Context[1].Tip}
	if !slices.Equal(missing.Tips, want) {
		t.Errorf("missing %v, want %v", missing.Tips, want)
	}
	if after := o.fingerprint(); after != before {
		t.Errorf("chains changed:\n%s\n%s", before, after)
	}
	// Only what is signed is worth waiting for.
	bad := later.clone()
	bad.Sigs[0].Sig[0]++
	_, err = o.Check(bad.batch(), quickVerify)
	wantIs(t, err, ErrSignature)
	if err := o.receive(h.BatchOf(h.log[:3])); err != nil {
		t.Fatal(err)
	}
	if err := o.receive(later); err != nil || o.Digest() != h.Digest() {
		t.Errorf("%v, digests %v and %v", err, o.Digest(), h.Digest())
	}
	// Again, whole and in part: nothing is new, and nothing is asked of the signatures.
	for _, b := range []*Batch{later, h.BatchOf(h.log), bad.batch()} {
		if k, err := o.Check(b, quickVerify); err != nil || k.Len() != 0 {
			t.Errorf("%d new, %v", k.Len(), err)
		}
	}
}

// The branches of a forked log are all taken, whatever the order they come in, and the forks are told.
func TestForks(t *testing.T) {
	a, b := actorOf(0), actorOf(1)
	ours := newHolder()
	ours.commit(a, 1000)
	shared := ours.log[:1]
	second := ours.commit(a, 2000)
	theirs := newHolder()
	if err := theirs.receive(ours.BatchOf(shared)); err != nil {
		t.Fatal(err)
	}
	// Another second change, of another length, and a third.
	x := theirs.author(a, 2500, typed("notes", 0, "fork"))
	theirs.sign(x)
	theirs.commit(a, 3000)
	// b saw the third.
	theirs.commit(b, 3500)

	// What follows the other branch waits for it.
	_, err := ours.Check(theirs.BatchOf(theirs.log[2:3]), quickVerify)
	var missing *MissingError
	if tipOf := (Tip{a, x.Dot().Seq, x.Hash}); !errors.As(err, &missing) || !slices.Equal(missing.Tips, []Tip{tipOf}) {
		t.Errorf("got %v, want %v missing", err, tipOf)
	}
	// One that is not signed proves nothing.
	bad := theirs.BatchOf(theirs.log[1:2]).clone()
	bad.Sigs[0].Sig[0]++
	_, err = ours.Check(bad.batch(), quickVerify)
	wantIs(t, err, ErrSignature)

	want := Fork{Ours: Tip{a, second.Dot().Seq, second.Hash}, Theirs: Tip{a, x.Dot().Seq, x.Hash}}
	for _, from := range []int{0, 1} { // from a common change on, or not
		k, err := ours.Check(theirs.BatchOf(theirs.log[from:]), quickVerify)
		if err != nil || !slices.Equal(k.Forks(), []Fork{want}) || k.Len() != 3 {
			t.Fatalf("from %d: %v, forks %v, want %v", from, err, k.Forks(), want)
		}
	}
	k, err := ours.Check(theirs.BatchOf(theirs.log), quickVerify)
	if err != nil {
		t.Fatal(err)
	}
	ours.Add(k)
	if err := theirs.receive(ours.BatchOf([]Accepted{second})); err != nil {
		t.Fatal(err)
	}
	if tips := ours.Tips(); ours.Digest() != theirs.Digest() || len(tips) != 3 || !slices.IsSortedFunc(tips, Tip.Compare) || !slices.Equal(tips, theirs.Tips()) {
		t.Errorf("tips %v and %v", tips, theirs.Tips())
	}
	for _, h := range []*holder{ours, theirs} {
		// Nothing is new any more.
		for _, batch := range []*Batch{ours.BatchOf([]Accepted{second}), theirs.BatchOf(theirs.log[:4])} {
			if k, err := h.Check(batch, quickVerify); err != nil || k.Len() != 0 || len(k.Forks()) != 0 {
				t.Errorf("again: %d new, forks %v, %v", k.Len(), k.Forks(), err)
			}
		}
	}
}

// Check finds deps that are in another's history, in the batch or below it, exactly as the definition says.
func TestMaximalDeps(t *testing.T) {
	verdicts := map[bool]int{}
	rapid.Check(t, func(t *rapid.T) {
		type node struct {
			ch   *Change
			seen map[int]bool // its history, itself included
		}
		var nodes []node
		last := map[causal.Actor]int{}
		hashes := map[causal.Dot]Hash{}
		c := NewChains(fixtureStore)
		split := rapid.IntRange(0, 8).Draw(t, "split")
		n := rapid.IntRange(4, 16).Draw(t, "changes")
		flush := func(changes []*Change) error {
			if len(changes) == 0 {
				return nil
			}
			b := &looseBatch{Changes: changes}
			inside := map[causal.Dot]bool{}
			add := func(d causal.Dot) {
				if d.Seq > 0 && !inside[d] && !slices.ContainsFunc(b.Context, func(a Anchor) bool { return a.Dot() == d }) {
					lv, _ := c.graph.LV(d)
					info := c.ChangeAt(lv)
					hash, _ := c.HashAt(d)
					b.Context = append(b.Context, Anchor{Tip{d.Actor, d.Seq, hash}, info.Time})
				}
			}
			for _, ch := range changes {
				inside[ch.Dot()] = true
				for _, d := range append(ch.Deps(), causal.Dot{Actor: ch.Actor, Seq: ch.Seq - 1}) {
					add(d)
				}
			}
			slices.SortFunc(b.Context, func(x, y Anchor) int { return x.Dot().Compare(y.Dot()) })
			k, err := c.Check(b.batch(), nil)
			if err == nil {
				for a := range c.Add(k).All {
					hashes[a.Dot()] = a.Hash
				}
			}
			return err
		}
		var batch []*Change
		for i := range n {
			if i == split {
				if err := flush(batch); err != nil {
					t.Fatalf("below: %v", err)
				}
				batch = nil
			}
			actor := actorOf(rapid.IntRange(0, 3).Draw(t, "actor"))
			ch := &Change{Actor: actor, Seq: 1, Groups: []Group{typed("notes", 0, "x")}}
			seen := map[int]bool{i: true}
			prev, hasPrev := last[actor]
			if hasPrev {
				ch.Seq = nodes[prev].ch.Seq + 1
				for j := range nodes[prev].seen {
					seen[j] = true
				}
			}
			deps := map[causal.Actor]int{}
			for range rapid.IntRange(0, 3).Draw(t, "deps") {
				if i > 0 {
					j := rapid.IntRange(0, i-1).Draw(t, "dep")
					if nodes[j].ch.Actor != actor {
						deps[nodes[j].ch.Actor] = j
					}
				}
			}
			good := true
			for _, j := range deps {
				ch.Refs = append(ch.Refs, nodes[j].ch.Dot())
				good = good && (!hasPrev || !nodes[prev].seen[j])
				for _, l := range deps {
					good = good && (l == j || !nodes[l].seen[j])
				}
				for l := range nodes[j].seen {
					seen[l] = true
				}
			}
			slices.SortFunc(ch.Refs, causal.Dot.Compare)
			if !good {
				// It must be refused; the rest goes on without it.
				if i >= split {
					err := flush(append(slices.Clone(batch), ch))
					if !errors.Is(err, ErrInvalid) {
						t.Fatalf("%v refs %v: %v", ch.Dot(), ch.Refs, err)
					}
					verdicts[false]++
				}
				ch.Refs = nil
				seen = map[int]bool{i: true}
				if hasPrev {
					for j := range nodes[prev].seen {
						seen[j] = true
					}
				}
			}
			nodes = append(nodes, node{ch, seen})
			last[actor] = i
			batch = append(batch, ch)
		}
		if err := flush(batch); err != nil {
			t.Fatalf("on top: %v", err)
		}
		verdicts[true]++
		for i, x := range nodes {
			for j, y := range nodes {
				lx, _ := c.graph.LV(x.ch.Dot())
				ly, _ := c.graph.LV(y.ch.Dot())
				if got := c.graph.Contains([]causal.LV{lx}, ly); got != x.seen[j] {
					t.Fatalf("change %d contains %d: %v", i, j, got)
				}
			}
		}
	})
	if verdicts[false] < 5 || verdicts[true] < 5 { // a short run has 20 graphs
		t.Errorf("too few of each verdict to mean much: %v", verdicts)
	}
}

func ExampleMissingError() {
	fmt.Println(&MissingError{Tips: []Tip{{Seq: 7}}})
	// Output: crdt: 1 missing dependencies: 00000000.0000:7#00000000
}
