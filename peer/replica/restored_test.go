package replica_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/peer/replica"
)

// A device is restored from a copy of its disk that lacks some of what it wrote, and goes on offline with anything at all. When it meets others
// again all converge, its log is not forked, each write counts exactly once, and what all show is what the oracle says. The log of a device that
// is there no more may be forked. rapid prints the command that replays a failure.
func TestRestoredOffline(t *testing.T) {
	rewritten, forked := 0, 0
	rapid.Check(t, func(t *rapid.T) {
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
		want := int64(0)
		step := func(i int, n string) {
			for k := range rapid.IntRange(0, 4).Draw(t, n) {
				add := int64(1) << (want % 7)
				ops := randomOps(t)
				before := want
				must(w.commit(i, func(tx *crdt.Tx) error {
					if err := ops(tx); err != nil {
						return err
					}
					tx.Counter("sum").Add(add)
					want = before + add
					return nil
				}))
				if rapid.Bool().Draw(t, fmt.Sprint(n, k, " pause")) {
					must(w.advance(300))
				}
			}
		}
		fork := rapid.Bool().Draw(t, "beside a fork")
		if fork {
			gone := w.devices[3]
			twin := gone.clone("twin")
			for i, d := range []*device{gone, twin} {
				d.liar = true
				w.devices[3] = d
				must(d.start(), w.commit(3, randomOps(t)), w.link(i, 3), w.advance(3_000))
				w.unlink(i, 3)
			}
		}
		w.devices, w.acknowledged = w.devices[:3], nil
		must(w.link(0, 1))
		must(w.advance(3_000))
		w.forked = len(w.devices[0].r.Status(0).Forks)
		step(0, "common")
		step(1, "others")
		must(w.advance(5_000))
		clone := w.devices[0].clone("a")
		clone.self = w.devices[0].self
		step(0, "lost")
		step(1, "others")
		must(w.advance(5_000))
		w.unlink(0, 1)
		w.devices[0].crash()
		w.devices[0] = clone
		w.acknowledged = nil
		must(clone.start())
		step(0, "offline")
		step(1, "meanwhile")
		must(w.link(0, 1), w.link(1, 2), w.advance(30_000))
		step(0, "after")
		must(w.advance(5_000), w.check(replica.Limits{}), w.converged())
		rewritten += len(clone.moved)
		if len(clone.moved) > 0 && w.forked > 0 {
			forked++
		}
		w.acknowledged = nil // dots of what was written anew are others now
		must(w.settled())
		var got string
		if got = w.devices[2].r.State().JSON(); want > 0 && !containsSum(got, want) {
			t.Fatalf("the sum is to be %d: %s", want, got)
		}
	})
	if rewritten == 0 || forked == 0 {
		t.Errorf("%d actors' changes were written anew, beside a forked log in %d runs", rewritten, forked)
	}
}

func containsSum(json string, sum int64) bool {
	for _, end := range []string{",", "}"} {
		if strings.Contains(json, fmt.Sprintf(`"sum":%d%s`, sum, end)) {
			return true
		}
	}
	return false
}

// What a restored device wrote offline holds an op that this version does not understand, and so cannot write anew: it goes out as it is, and its log
// is forked. Both branches are everywhere, and the device goes on as a new actor.
func TestRestoredNotUnderstood(t *testing.T) {
	w, err := newNetwork(1, 3, false, replica.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	must := func(errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	must(w.link(0, 1), w.commit(0, write("common ")), w.advance(5_000))
	d := w.devices[0].clone("a")
	must(w.commit(0, write("lost ")), w.advance(5_000))
	w.unlink(0, 1)
	w.devices[0].crash()
	w.devices[0], w.acknowledged = d, nil
	must(d.start(), w.commit(0, write("offline ")))
	if d.self == nil {
		t.Fatal("nothing is unsent")
	}
	// A later version goes on, and an earlier one is started again.
	chains := crdt.NewChains(d.store)
	for _, block := range d.log.Blocks() {
		b, err := crdt.DecodeBatch(block.Batch)
		must(err)
		k, err := chains.Check(b, nil)
		must(err)
		chains.Add(k)
	}
	g := chains.Graph()
	later := chains.Author(&crdt.Change{Actor: d.actor, Seq: g.Last(d.actor) + 1, Time: w.now,
		Groups: []crdt.Group{{Slice: "later", Len: 1, Ops: []byte{0x93, 0xcc, 200, 1, 0}}}}, g.Heads())
	s := crdt.Signature{Dot: later.Dot()}
	copy(s.Sig[:], ed25519.Sign(d.key, crdt.SigningBytes(later.Hash)))
	chains.AddSignature(s)
	must(d.log.Append(replica.Block{First: later.Span.Start, Batch: chains.BatchOf([]crdt.Accepted{later}).AppendTo(nil)}))
	d.crash()
	must(d.start())
	before := d.actor
	must(w.link(0, 1), w.link(1, 2), w.advance(30_000), w.commit(0, write("after ")), w.advance(5_000), w.converged())
	if len(d.moved) > 0 || d.actor == before {
		t.Errorf("moved %v; %v goes on as %v", d.moved, before, d.actor)
	}
	for _, d := range w.devices {
		forks := proved(d)
		if len(forks) != 1 || forks[0].Actor != before || d.r.Chains().Len() != 5 {
			t.Errorf("%s: forks %v, %d changes", d.name, forks, d.r.Chains().Len())
		}
		for _, text := range []string{"common ", "lost ", "offline ", "after "} {
			if !strings.Contains(d.r.State().JSON(), text) {
				t.Errorf("%s shows %s, without %q", d.name, d.r.State().JSON(), text)
			}
		}
	}
}
