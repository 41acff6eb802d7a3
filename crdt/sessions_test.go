package crdt

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/sessions"
)

// followEvent makes the edits of an event to the only text there is.
func followEvent(t *testing.T, b *sessions.Text, ev Event) {
	for _, e := range ev.Edits {
		if e.Old != nil {
			t.Fatalf("a text that stays is replaced: %+v", e)
		}
		if e.New != nil {
			s, _ := e.New.Str()
			b.Edit(sessions.Patch{Inserted: s})
		}
		for _, sp := range e.Splices {
			b.Edit(sessions.Patch{Pos: sp.Pos, Deleted: sp.Deleted, Inserted: sp.Text})
		}
	}
}

// recordedActor returns the actor that a session's agent writes as.
func recordedActor(agent int) (a Actor) {
	binary.BigEndian.PutUint64(a.Nonce[:], uint64(agent+1))
	return a
}

// sessionChanges returns the transactions of a session, of which those that do nothing are left out, as changes.
func sessionChanges(s *sessions.Session) *holder {
	h := newHolder()
	path := Path{{Key: "text", Kind: Text}}
	heads := make([][]causal.LV, len(s.Txns)) // what a transaction stands for
	for i, txn := range s.Txns {
		var parents []causal.LV
		for _, p := range txn.Parents {
			parents = append(parents, heads[p]...)
		}
		if s.Kind != "concurrent" && i > 0 {
			parents = heads[i-1]
		}
		parents = h.graph.Maximal(parents)
		heads[i] = parents
		g := Group{Slice: "text"}
		for _, p := range txn.Patches {
			if p.Deleted > 0 {
				g.Ops = AppendOp(g.Ops, &Op{Code: CodeTextDelete, Len: p.Deleted, Path: path, Pos: p.Pos}, noRefs)
			}
			n := utf8.RuneCountInString(p.Inserted)
			if n > 0 {
				g.Ops = AppendOp(g.Ops, &Op{Code: CodeTextInsert, Len: n, Path: path, Pos: p.Pos, Text: p.Inserted}, noRefs)
			}
			g.Len += p.Deleted + n
		}
		if g.Len > 0 {
			a := h.authorAt(parents, recordedActor(txn.Agent), int64(i), g)
			heads[i] = []causal.LV{a.Span.End - 1}
		}
	}
	return h
}

// TestSessionsEveryWay takes the recorded sessions every way there is into a State: typed by transactions that tell what
// happened and by ones that do not, applied change by change with and without events, and in batches, where what was typed goes in run
// by run. At many versions all show the same, and what a plain slice of runes shows that is edited by the
// session, or by the events.
func TestSessionsEveryWay(t *testing.T) {
	dir := os.Getenv("ATOLL_TRACES")
	if dir == "" {
		t.Skip("set ATOLL_TRACES to the directory of recorded editing sessions")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json.gz"))
	if err != nil || len(files) < 4 {
		t.Fatalf("%d sessions, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json.gz"), func(t *testing.T) {
			s, err := sessions.Read(file)
			if err != nil {
				t.Fatal(err)
			}
			everyWay(t, s)
		})
	}
}

func everyWay(t *testing.T, s *sessions.Session) {
	h := sessionChanges(s)
	alone := s.Kind != "concurrent"
	told, quiet := NewState(h.Chains), NewState(h.Chains)
	chains := NewChains(fixtureStore)
	bulk := NewState(chains)
	loud, silent := newDevice(0), newDevice(0)
	var plain, events, own sessions.Text
	txns := s.Txns
	runs, spots, versions := 0, 0, 0
	every := 1 + len(h.log)/20
	for rest := h.log; len(rest) > 0; versions++ {
		some := rest[:min(every, len(rest))]
		rest = rest[len(some):]
		for _, a := range some {
			followEvent(t, &events, told.Apply(a))
			quiet.ApplyQuietly(a)
			if quiet.spot.text != nil {
				spots++
			}
		}
		b, err := DecodeBatch(h.BatchOf(some).AppendTo(nil))
		if err != nil {
			t.Fatal(err)
		}
		k, err := chains.Check(b, nil)
		if err != nil {
			t.Fatal(err)
		}
		added := chains.Add(k)
		for i := range added.parts {
			if p := added.parts[i].typing; p != nil {
				runs += len(p.runs)
			}
		}
		bulk.ApplyAll(added)
		states := map[string]*State{"quietly": quiet, "in bulk": bulk}
		texts := map[string]string{"by the events": events.String()}
		if alone {
			for n := 0; n < len(some); txns = txns[1:] {
				patches := txns[0].Patches
				if authorBoth(t, loud, silent, &txns[0], some[n].Time) {
					followEvent(t, &own, loud.last)
					n++
				}
				for _, p := range patches {
					plain.Edit(p)
				}
			}
			// Transactions join what goes on where the last op stopped, so their ops need not be those of h.
			texts["by a transaction"], texts["by its events"] = loud.state.Text("text").String(), own.String()
			texts["on a plain slice"] = plain.String()
			if loud.state.Digest() != silent.state.Digest() {
				t.Fatalf("at version %d, a quiet transaction: %.100q, one that tells: %.100q", versions,
					silent.state.Text("text").String(), loud.state.Text("text").String())
			}
		}
		want, digest := told.Text("text").String(), told.Digest()
		for name, state := range states {
			if state.Digest() != digest {
				t.Fatalf("at version %d, %s: %.100q, change by change %.100q", versions, name, state.Text("text").String(), want)
			}
		}
		for name, text := range texts {
			if text != want {
				t.Fatalf("at version %d, %s: %.100q, change by change %.100q", versions, name, text, want)
			}
		}
	}
	if got := told.Text("text").String(); got != s.EndContent {
		t.Errorf("in the end %.100q, want %.100q", got, s.EndContent)
	}
	t.Logf("%d versions of %d changes; %d runs, %d changes left a spot", versions, len(h.log), runs, spots)
	if runs == 0 || spots == 0 {
		t.Error("nothing took the fast ways")
	}
}

// authorBoth makes a transaction on two devices, with an event and without, and reports whether it does anything.
func authorBoth(t *testing.T, loud, silent *device, txn *sessions.Txn, time int64) bool {
	actor := recordedActor(txn.Agent)
	did := false
	for _, d := range []*device{loud, silent} {
		begin := d.state.BeginQuietly
		if d == loud {
			begin = d.state.Begin
		}
		tx := begin(actor, time)
		text := tx.Text("text")
		for _, p := range txn.Patches {
			if p.Deleted > 0 {
				text.Delete(p.Pos, p.Deleted)
			}
			if p.Inserted != "" {
				text.Insert(p.Pos, p.Inserted)
			}
		}
		_, ev, ok, err := tx.Commit()
		if err != nil {
			t.Fatal(err)
		}
		d.last, did = ev, ok
	}
	return did
}
