package replica_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/oracle"
	"github.com/atollsync/atoll/peer/replica"
	"pgregory.net/rapid"
)

// forked returns four devices: 0 and 1 (a restored backup of 0) wrote two histories under one actor, of the given
// lengths. 2 holds that of 0, and 3 that of 1 and a change of its own that builds on it.
func forked(t *testing.T, long, short int) *network {
	t.Helper()
	w, err := newNetwork(1, 4, false, replica.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	must := func(errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	must(w.commit(0, write("once ")))
	c := w.devices[0].clone("backup")
	w.devices[1] = c
	must(c.start())
	for range long {
		must(w.commit(0, write("mine ")))
	}
	for range short {
		must(w.commit(1, write("other ")))
	}
	// A device connects to one of the two at a time: to others they are the same.
	w.byID[c.id] = 0
	must(w.link(0, 2), w.advance(3_000))
	w.unlink(0, 2)
	w.byID[c.id] = 1
	must(w.link(1, 3), w.advance(3_000))
	w.unlink(1, 3)
	must(w.commit(3, write("upon that ")))
	return w
}

// TestForkProof: whichever of two branches is the longer, both holders notice, and end with a proof that anyone can check:
// a batch signed by the forked actor's own device that verifies alone.
func TestForkProof(t *testing.T) {
	for _, lengths := range [][2]int{{1, 1}, {3, 1}, {1, 3}} {
		t.Run(fmt.Sprint(lengths), func(t *testing.T) {
			w := forked(t, lengths[0], lengths[1])
			if err := errors.Join(w.link(2, 3), w.advance(3_000)); err != nil {
				t.Fatal(err)
			}
			for _, d := range w.devices[2:] {
				forks := d.r.Status(0).Forks
				if len(forks) != 1 || forks[0].Actor != w.devices[0].actor {
					t.Fatalf("%s: forks %v", d.name, forks)
				}
				f := forks[0]
				if f.Claimed() || f.By != f.Actor || f.Ours.Hash == f.Theirs.Hash {
					t.Errorf("%s: %s", d.name, f)
				}
				b, err := crdt.DecodeBatch(f.Evidence)
				if err != nil {
					t.Fatalf("%s: evidence: %v", d.name, err)
				}
				if err := crdt.VerifyAlone(d.store, b, crdt.VerifyEd25519); err != nil {
					t.Errorf("%s: evidence: %v", d.name, err)
				}
				if f.String() == "" {
					t.Error("a fork without a string")
				}
			}
		})
	}
}

// TestForkConverges: clones of one device write under one actor, each tells others, who build on what they were told, and all who
// are honest come to hold all branches, show what the oracle says, and do so again after a restart. Branches are forked in turn, since
// clones are cloned.
func TestForkConverges(t *testing.T) {
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		const clones, honest = 3, 3
		w, err := newNetwork(rapid.Uint64().Draw(t, "seed"), clones+honest, rapid.Bool().Draw(t, "gossip"), replica.Limits{})
		must := func(errs ...error) {
			t.Helper()
			if err := errors.Join(errs...); err != nil {
				t.Fatal(err)
			}
		}
		must(err)
		kinds := func(tx *crdt.Tx) error {
			switch l := tx.List("list"); rapid.IntRange(0, 6).Draw(t, "op") {
			case 0:
				tx.Text("notes").Insert(rapid.IntRange(0, tx.Text("notes").Len()).Draw(t, "at"), rapid.SampledFrom([]string{"a", "bc", "def"}).Draw(t, "text"))
			case 1:
				l.Insert(rapid.IntRange(0, l.Len()).Draw(t, "at"), rapid.IntRange(0, 9).Draw(t, "value"))
			case 2:
				if l.Len() > 1 {
					l.Move(rapid.IntRange(0, l.Len()-1).Draw(t, "from"), rapid.IntRange(0, l.Len()-1).Draw(t, "to"))
				}
			case 3:
				if l.Len() > 0 {
					l.Map(rapid.IntRange(0, l.Len()-1).Draw(t, "at")).Put("k", rapid.IntRange(0, 9).Draw(t, "value"))
				}
			case 4:
				tx.Map("todos").Map("x").Put("y", rapid.IntRange(0, 9).Draw(t, "value"))
			case 5:
				tx.Map("todos").Delete("x")
			case 6:
				tx.Counter("visits").Add(1)
			}
			return nil
		}
		write := func(i int) {
			if err := w.commit(i, kinds); err != nil && !errors.Is(err, crdt.ErrForked) {
				t.Fatal(err)
			}
		}
		clone := func(i, of int) {
			c := w.devices[of].clone(fmt.Sprintf("clone %d", i))
			c.liar = true
			w.devices[i] = c
			must(c.start())
		}
		meet := func(a, b int, ms int64) {
			if a == b {
				return
			}
			w.byID[w.devices[a].id], w.byID[w.devices[b].id] = a, b
			must(w.link(a, b), w.advance(ms))
			w.unlink(a, b)
		}
		w.devices[0].liar = true
		must(w.devices[0].start())
		clone(1, 0)
		clone(2, 0)
		if rapid.Bool().Draw(t, "each clone is heard alone") {
			for i := range clones {
				write(i)
				meet(i, clones+i%honest, 3_000)
			}
		}
		for range rapid.IntRange(4, 25).Draw(t, "steps") {
			i := rapid.IntRange(0, clones+honest-1).Draw(t, "device")
			other := clones + rapid.IntRange(0, honest-1).Draw(t, "with")
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0, 1, 2:
				write(i)
			case 3, 4:
				meet(i, other, int64(rapid.SampledFrom([]int{300, 3_000}).Draw(t, "ms")))
			case 5:
				if i < clones {
					clone(i, (i+1)%clones)
				}
			}
		}
		for range 2 { // what the last was told of comes to the first
			for a := clones; a < clones+honest; a++ {
				for b := clones; b < a; b++ {
					meet(a, b, 20_000)
				}
			}
		}
		first := w.devices[clones]
		for _, d := range w.devices[clones:] {
			if d.r.Digest() != first.r.Digest() || d.r.State().Digest() != first.r.State().Digest() {
				t.Fatalf("%s and %s differ: %v, %v", d.name, first.name, d.r.Chains().Tips(), first.r.Chains().Tips())
			}
			for _, p := range d.r.Status(0).Peers {
				if p.Connected && !p.InSync {
					t.Errorf("%s: not in sync: %+v", d.name, p)
				}
			}
			forked := d.r.Chains().Graph().Forked()
			if forks := proved(d); len(forks) > 0 != forked {
				t.Errorf("%s: forks %v", d.name, forks)
			}
			if err := sameAsOracle(d); err != nil {
				t.Errorf("%s: %v", d.name, err)
			}
			digest, state := d.r.Digest(), d.r.State().Digest()
			d.crash()
			must(d.start())
			if d.r.Digest() != digest || d.r.State().Digest() != state {
				t.Errorf("%s: other digests after a restart", d.name)
			}
			if forks := proved(d); len(forks) > 0 != forked || forked && len(forks[0].Evidence) == 0 {
				t.Errorf("%s: forks after a restart: %v", d.name, forks)
			}
		}
		for _, a := range first.r.Chains().Graph().Actors() {
			seen[fmt.Sprint(min(3, len(first.r.Chains().Graph().Branches(a))), " branches")]++
		}
	})
	t.Log(seen)
	if !t.Failed() && !testing.Short() && (seen["2 branches"] == 0 || seen["3 branches"] == 0) {
		t.Error("too few forks")
	}
}

// proved returns the forks that d knows of by more than somebody's word.
func proved(d *device) []replica.Fork {
	return slices.DeleteFunc(d.r.Status(0).Forks, replica.Fork.Claimed)
}

// sameAsOracle compares what d shows with what the oracle says of the changes in d's log.
func sameAsOracle(d *device) error {
	var all []crdt.Accepted
	var failed error
	err := d.r.Source().Changes(causal.Span{Start: 0, End: d.r.Chains().Graph().Len()}, func(a crdt.Accepted) bool {
		var t crdt.Tip
		t, failed = d.r.Chains().TipAt(a.Span.Start)
		a.Hash = t.Hash
		all = append(all, a)
		return failed == nil
	})
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	store, err := oracle.OfForked(d.store, all)
	if err != nil {
		return err
	}
	if got, want := d.r.State().JSON(), store.JSON(); got != want {
		return fmt.Errorf("%d changes: the engine shows\n%s\nthe oracle\n%s", len(all), got, want)
	}
	return nil
}

// TestForkOneSignature: where one signature covers a change that builds on nothing and one that builds on a branch, the peer who knew
// the other branch gets all.
func TestForkOneSignature(t *testing.T) {
	w := forked(t, 1, 1)
	b := w.devices[3]
	actor := b.newActor()
	counter := func(tx *crdt.Tx) error { tx.Counter("visits").Add(1); return nil }
	// One block, signed once: a change that builds on nothing, and one that builds on all there is.
	_, first := b.r.CommitAs(w.now, nil, actor, counter)
	_, second := b.r.CommitAs(w.now, b.r.State().Version(), actor, counter)
	if err := errors.Join(first, second, w.drive(3), w.link(2, 3), w.advance(30_000)); err != nil {
		t.Fatal(err)
	}
	for _, d := range w.devices[2:] {
		if n := len(d.r.Status(0).Forks); n != 1 {
			t.Errorf("%s: %d forks", d.name, n)
		}
		if d.r.Digest() != b.r.Digest() || d.r.State().Counter("visits").Int() != 2 {
			t.Errorf("%s: visits %d", d.name, d.r.State().Counter("visits").Int())
		}
	}
}

// gossiped returns a batch of all that a device holds, as it would be announced.
func gossiped(t *testing.T, d *device) *replica.Changes {
	t.Helper()
	g := d.r.Chains().Graph()
	b, rest, err := d.r.Chains().Cut(d.r.Source(), []causal.Span{{Start: 0, End: g.Len()}}, 0, 0)
	if err != nil || len(rest) > 0 {
		t.Fatal(err, rest)
	}
	return &replica.Changes{Batch: b.AppendTo(nil)}
}
