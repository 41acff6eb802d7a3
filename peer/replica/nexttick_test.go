package replica_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/peer/replica"
)

// TestNextTick holds replicas that tick only when NextTick says so to others with the same seed that tick always: both
// say the same to each other, to the byte and the millisecond, in whatever goes wrong and in ten minutes of quiet.
func TestNextTick(t *testing.T) {
	ticks, leftOut := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		gossip := rapid.Bool().Draw(t, "gossip")
		steps := rapid.IntRange(1, 30).Draw(t, "steps")
		var said [2][]string
		for i, dueOnly := range []bool{false, true} {
			w, err := schedule(seed, gossip, steps, dueOnly, func(*device) {}, func(line string) { said[i] = append(said[i], line) })
			if err != nil {
				t.Fatal(err)
			}
			if dueOnly {
				leftOut += w.faults["tick left out"]
			}
			ticks += int(w.now-1_700_000_000_000) / 100 * len(w.devices)
		}
		for i := range max(len(said[0]), len(said[1])) {
			at := func(lines []string) string {
				if i < len(lines) {
					return lines[i]
				}
				return "nothing"
			}
			if a, b := at(said[0]), at(said[1]); a != b {
				t.Fatalf("message %d: who ticks always says\n%s\nand who ticks when due\n%s", i, a, b)
			}
		}
	})
	if !t.Failed() && leftOut < ticks/4 {
		t.Errorf("of %d ticks only %d were left out", ticks/2, leftOut)
	}
}

// schedule lets a network of three devices go through steps drawn from seed, and then through ten minutes of quiet. In every other one
// there are many actors from the start.
func schedule(seed uint64, gossip bool, steps int, dueOnly bool, configure func(*device), heard func(string)) (*network, error) {
	w, err := newNetwork(seed, 3, gossip, replica.Limits{MaxDigestInterval: 100_000})
	if err != nil {
		return nil, err
	}
	w.dueOnly, w.heard = dueOnly, heard
	for _, d := range w.devices {
		configure(d)
		if err := d.start(); err != nil {
			return nil, err
		}
	}
	rng := rand.New(rand.NewPCG(seed, 2))
	write := func(tx *crdt.Tx) error {
		tx.Text("text").Insert(0, strings.Repeat("x", 1+rng.IntN(3)))
		return nil
	}
	if rng.IntN(2) == 0 {
		if err := w.commit(0, write); err != nil {
			return nil, err
		}
		for range 24 {
			if err := w.commitAt(0, write); err != nil {
				return nil, err
			}
		}
	}
	for range steps {
		i, j := rng.IntN(3), rng.IntN(3)
		switch rng.IntN(9) {
		case 0:
			err = w.link(i, j)
		case 1:
			if i != j {
				w.unlink(i, j)
			}
		case 2:
			err = w.commit(i, write)
		case 3:
			err = w.commitAt(i, write)
		case 4:
			if w.linked[pair(i, j)] {
				w.silent[pair(i, j)] = true
			}
		case 5:
			clear(w.silent)
		case 6:
			w.drop, w.double, w.late = 20*rng.IntN(3), 20*rng.IntN(3), 20*rng.IntN(3)
		case 7:
			if err = w.crash(i, rng.IntN(2) == 0, write); err == nil {
				err = w.restart(i)
			}
		case 8:
			err = w.advance([]int64{10, 250, 3_000, 40_000}[rng.IntN(4)])
		}
		if err != nil {
			return nil, fmt.Errorf("seed %d: %w", seed, err)
		}
	}
	if err := w.heal(); err != nil {
		return nil, err
	}
	if err := w.advance(600_000); err != nil {
		return nil, err
	}
	return w, w.converged()
}

// TestCommitTellsTheTime: what is pushed was sent when it was written, and not when the last tick was; so nobody is asked too
// early what became of it.
func TestCommitTellsTheTime(t *testing.T) {
	w, err := newNetwork(1, 2, false, replica.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(w.link(0, 1))
	must(w.commit(0, write("x")))
	must(w.advance(5_000))
	w.dueOnly = true
	must(w.advance(4_000))
	w.silent[pair(0, 1)] = true
	w.heard = func(said string) {
		if strings.Contains(said, fmt.Sprintf("gossip false: 94%02x", int(replica.DigestType))) {
			t.Errorf("asked within 2 s of a change that is not acknowledged yet: %s", said)
		}
	}
	d := w.devices[0]
	if _, err := d.r.Commit(w.now, write("y")); err != nil {
		t.Fatal(err)
	}
	must(d.drive(func(causal.Device, bool, []byte) {})) // sent, and lost
	must(w.advance(1_900))
}

// TestQuietPeers counts what two devices say in a day on which nobody writes: they compare digests ever more seldom, and at once again
// when something comes.
func TestQuietPeers(t *testing.T) {
	w, err := newNetwork(1, 2, false, replica.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	w.dueOnly = true
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(w.link(0, 1))
	must(w.commit(0, write("x")))
	must(w.advance(60_000))
	clear(w.messages)
	must(w.advance(24 * 3_600_000))
	if n := w.messages["Digest"]; n < 2*24*3600/600 || n > 2*(24*3600/600+20) || len(w.messages) > 1 {
		t.Errorf("in a day of quiet: %v", w.messages)
	}
	clear(w.messages)
	must(w.commit(0, write("y")))
	must(w.advance(5_000))
	if w.messages["Digest"] == 0 {
		t.Errorf("within 5 s of a change: %v", w.messages)
	}
	if err := w.converged(); err != nil {
		t.Error(err)
	}
}
