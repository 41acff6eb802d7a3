package oracle_test

import (
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/oracle"
	"github.com/atollsync/atoll/crdt/sessions"
)

// sessionChanges returns s, a concurrent session, as changes on the Text slice "t". Agent n is the n-th smallest actor.
func sessionChanges(s *sessions.Session) []*crdt.Change {
	var out []*crdt.Change
	last := map[int]causal.Seq{}
	for _, txn := range s.Txns {
		var deps []causal.Dot
		for _, p := range txn.Parents {
			if d := out[p].Dot(); d.Actor != actor(txn.Agent) {
				deps = append(deps, d)
			}
		}
		var ops []crdt.Op
		path := crdt.Path{{Key: "t", Kind: crdt.Text}}
		for _, patch := range txn.Patches {
			if n := patch.Deleted; n > 0 {
				ops = append(ops, crdt.Op{Code: crdt.CodeTextDelete, Len: n, Path: path, Pos: patch.Pos})
			}
			if text := patch.Inserted; text != "" {
				ops = append(ops, crdt.Op{Code: crdt.CodeTextInsert, Len: utf8.RuneCountInString(text), Path: path, Pos: patch.Pos, Text: text})
			}
		}
		c := newChange(actor(txn.Agent), last[txn.Agent]+1, 1, deps, ops...)
		last[txn.Agent] = c.Dot().Seq
		out = append(out, c)
	}
	return out
}

// Every event graph of the recorded ones must give the text that other implementations of the
// same order gave: one that differs means that this order is another one.
func TestRecordedOrder(t *testing.T) {
	dir := os.Getenv("ATOLL_TRACES")
	if dir == "" {
		t.Skip("ATOLL_TRACES does not name the directory of recorded sessions")
	}
	files, err := filepath.Glob(filepath.Join(dir, "order", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no sessions in %s/order: %v", dir, err)
	}
	concurrent := 0
	for _, file := range files {
		s, err := sessions.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		store, err := oracle.Of(sessionChanges(s))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		got := ""
		if len(store.Root.Places) > 0 {
			got = store.Root.Places[0].Shown().Text
		}
		if got != s.EndContent {
			t.Errorf("%s: got %q, want %q", file, got, s.EndContent)
		}
		for _, txn := range s.Txns {
			if len(txn.Parents) > 1 {
				concurrent++
			}
		}
	}
	t.Logf("%d event graphs with %d merges", len(files), concurrent)
}
