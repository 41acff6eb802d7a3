package crdt

import (
	"strings"
	"testing"
)

// TestAuthorCounts holds what is counted of the changes of an author who goes on against what a reader counts.
func TestAuthorCounts(t *testing.T) {
	author, reader := NewChains(StoreID{}), NewChains(StoreID{})
	s := NewState(author)
	batch := new(Batch)
	typist := s.Text("s").Type(batch, Actor{})
	for i := range 50 {
		text := "x"
		if i%17 == 16 {
			text = strings.Repeat("paste ", 100)
		}
		if i/10%2 == 0 {
			if err := typist.Insert(int64(i), 0, text); err != nil {
				t.Fatal(err)
			}
			continue
		}
		typist.Commit()
		tx := s.BeginQuietly(Actor{}, int64(i))
		tx.Text("s").Append(text)
		if _, ok, err := tx.CommitTo(batch); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	typist.Commit()
	checked, err := reader.Check(batch, nil)
	if err != nil {
		t.Fatal(err)
	}
	reader.Add(checked)
	for i := range author.Len() {
		if got, want := author.count(i), reader.count(i); got != want {
			t.Fatalf("change %d: %+v, want %+v", i, got, want)
		}
	}
}
