package crdt

import (
	"fmt"
	"testing"

	"github.com/atollsync/atoll/crdt/causal"
)

// listSource is the changes of a log.
type listSource []Accepted

func (s listSource) Changes(span causal.Span, yield func(Accepted) bool) error {
	for _, a := range s {
		if a.Span.Start < span.End && a.Span.End > span.Start && !yield(a) {
			return nil
		}
	}
	return nil
}

// forkedReplica is a replica that takes both branches of a log.
type forkedReplica struct {
	chains *Chains
	state  *State
	log    listSource
}

func newForkedReplica(t *testing.T, blocks ...[]byte) *forkedReplica {
	t.Helper()
	c := NewChains(StoreID{1})
	r := &forkedReplica{chains: c, state: NewState(c)}
	for _, block := range blocks {
		r.take(t, block)
	}
	return r
}

func (r *forkedReplica) take(t *testing.T, block []byte) causal.Span {
	t.Helper()
	b, err := DecodeBatch(block)
	if err != nil {
		t.Fatal(err)
	}
	k, err := r.chains.Check(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	added := r.chains.Add(k)
	r.state.ApplyAll(added)
	for a := range added.All {
		r.log = append(r.log, a)
	}
	return added.Span()
}

func (r *forkedReplica) write(t *testing.T, a Actor, value string) []byte {
	t.Helper()
	tx := r.state.Begin(a, 1)
	tx.Register("r").Put(value)
	acc, _, _, err := tx.Commit()
	if err != nil {
		t.Fatal(err)
	}
	r.log = append(r.log, acc)
	r.chains.AddSignature(Signature{Dot: acc.Dot()})
	return r.chains.BatchOf([]Accepted{acc}).AppendTo(nil)
}

// One actor goes on from a change on one branch, and another, who knows of no fork, builds on the change with the same dot on the other
// branch. One batch cannot name both as what it builds on: they go in two, in whichever order they came.
func TestCutPartsBranches(t *testing.T) {
	var a, b Actor
	a.Device[0], b.Device[0] = 1, 2
	left, right := newForkedReplica(t), newForkedReplica(t)
	left1, right1 := left.write(t, a, "left"), right.write(t, a, "right")
	right2 := right.write(t, a, "more")
	built := newForkedReplica(t, left1).write(t, b, "built")
	for _, order := range [][][]byte{{built, right2}, {right2, built}} {
		r := newForkedReplica(t, left1, right1)
		n := r.chains.Graph().Len()
		for _, block := range order {
			r.take(t, block)
		}
		other := newForkedReplica(t, right1, left1)
		missing := []causal.Span{{Start: n, End: r.chains.Graph().Len()}}
		batches := 0
		for len(missing) > 0 {
			batch, rest, err := r.chains.Cut(r.log, missing, 0, 0)
			if err != nil || batch == nil || batches == 4 {
				t.Fatal(fmt.Errorf("no batch of %v: %w", missing, err))
			}
			other.take(t, batch.AppendTo(nil))
			missing, batches = rest, batches+1
		}
		if batches != 2 || other.chains.Digest() != r.chains.Digest() || other.state.Digest() != r.state.Digest() {
			t.Errorf("%d batches; %s and %s", batches, r.state.JSON(), other.state.JSON())
		}
	}
}

// What builds on a change that is passed over, since it is of another branch or builds on one, waits as well, also where a later change of the
// same actor was read.
func TestCutPassesOver(t *testing.T) {
	var a, b, c Actor
	a.Device[0], b.Device[0], c.Device[0] = 1, 2, 3
	left, right := newForkedReplica(t), newForkedReplica(t)
	left1, right1 := left.write(t, a, "left"), right.write(t, a, "right")
	writer := newForkedReplica(t, right1)
	b1 := writer.write(t, b, "built")
	c1 := newForkedReplica(t, right1, b1).write(t, c, "built on that")
	b2 := writer.write(t, b, "more")
	r, other := newForkedReplica(t, left1, right1, b1, c1, b2), newForkedReplica(t)
	missing := []causal.Span{{End: r.chains.Graph().Len()}}
	for batches := 0; len(missing) > 0; batches++ {
		batch, rest, err := r.chains.Cut(r.log, missing, 0, 0)
		if err != nil || batch == nil || batches == 4 {
			t.Fatal(fmt.Errorf("no batch of %v: %w", missing, err))
		}
		other.take(t, batch.AppendTo(nil))
		missing = rest
	}
	if other.chains.Digest() != r.chains.Digest() || other.state.Digest() != r.state.Digest() {
		t.Errorf("%s and %s", r.state.JSON(), other.state.JSON())
	}
}
