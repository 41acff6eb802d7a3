package replica_test

import (
	"testing"

	"github.com/atollsync/atoll/peer/replica"
)

// TestInStep writes in a store of many actors now and then. Two devices that get all from each other compare digests seldom, and
// as soon as something was lost on the way they do so at once.
func TestInStep(t *testing.T) {
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
	const actors = 64
	a := w.devices[0]
	for range actors {
		_, err := a.r.CommitAs(w.now, nil, a.newActor(), write("x"))
		must(err)
	}
	must(w.drive(0))
	must(w.link(0, 1))
	must(w.advance(60_000))
	clear(w.messages)
	for i := range 60 {
		must(w.commit(i%2, write("y")))
		must(w.advance(5_000))
	}
	must(w.converged())
	// Without knowing better each change would be followed by a comparison.
	if n := w.messages["Digest"]; n == 0 || n > 60 {
		t.Errorf("%d digests in 300 s with 60 changes", n)
	}
	for _, lost := range []int{0, 1} {
		w.silent[pair(0, 1)] = true
		must(w.commit(lost, write("z")))
		must(w.advance(1_000))
		clear(w.silent)
		if w.converged() == nil {
			t.Fatal("nothing was lost")
		}
		writer, other := w.devices[lost], w.devices[1-lost]
		if writer.r.InStep(other.id) {
			t.Error("in step with a peer that lacks a change")
		}
		must(w.advance(12_000))
		must(w.converged())
		if !writer.r.InStep(other.id) || !other.r.InStep(writer.id) {
			t.Error("not in step with a peer that acknowledged all")
		}
	}
}
