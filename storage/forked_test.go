package storage_test

import (
	"bytes"
	"testing"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/storage"
)

// TestArchiveOfForked: a history in which a log has two branches comes back whole from an archive.
func TestArchiveOfForked(t *testing.T) {
	actor := causal.Actor{Nonce: [8]byte{1}}
	write := func(text string) (*crdt.Chains, crdt.Accepted) {
		chains := crdt.NewChains(crdt.StoreID{})
		tx := crdt.NewState(chains).Begin(actor, 1000)
		tx.Text("notes").Insert(0, text)
		a, _, _, err := tx.Commit()
		if err != nil {
			t.Fatal(err)
		}
		chains.AddSignature(crdt.Signature{Dot: a.Dot()})
		return chains, a
	}
	chains, first := write("one")
	other, second := write("two")
	k, err := chains.Check(other.BatchOf([]crdt.Accepted{second}), nil)
	if err != nil || len(k.Forks()) != 1 {
		t.Fatal(err, k)
	}
	src := log{first}
	for a := range chains.Add(k).All {
		src = append(src, a)
	}
	var buf bytes.Buffer
	if err := storage.WriteArchive(&buf, chains, src, storage.DefaultEffort); err != nil {
		t.Fatal(err)
	}
	state, err := storage.OpenArchive(crdt.StoreID{}, &buf)
	if err != nil {
		t.Fatal(err)
	}
	if got := state.Text("notes").String(); len(got) != 6 {
		t.Errorf("the archive shows %q", got)
	}
}

type log []crdt.Accepted

func (l log) Changes(span causal.Span, yield func(crdt.Accepted) bool) error {
	for _, a := range l {
		if a.Span.Start < span.End && span.Start < a.Span.End && !yield(a) {
			break
		}
	}
	return nil
}
