package crdt_test

import (
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
	"unicode/utf8"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// changeLog is a log in memory.
type changeLog []crdt.Accepted

func (l changeLog) Changes(span causal.Span, yield func(crdt.Accepted) bool) error {
	i := sort.Search(len(l), func(i int) bool { return l[i].Span.End > span.Start })
	for ; i < len(l) && l[i].Span.Start < span.End; i++ {
		if !yield(l[i]) {
			break
		}
	}
	return nil
}

// past is a recorded session with all its history, each transaction a change with the parents it had.
type past struct {
	chains *crdt.Chains
	state  *crdt.State
	text   *crdt.TextView
	log    changeLog
}

func recordedPast(t testing.TB, name string) *past {
	session := recorded(t, name)
	chains := crdt.NewChains(crdt.StoreID{})
	p := &past{chains: chains, state: crdt.NewState(chains)}
	heads := make([][]causal.LV, len(session.Txns)) // what a transaction stands for
	var last []causal.LV
	for i := range session.Txns {
		txn := &session.Txns[i]
		parents := last
		if session.Kind == "concurrent" {
			parents = nil
			for _, p := range txn.Parents {
				parents = append(parents, heads[p]...)
			}
		}
		actor := agent(txn.Agent)
		if own, ok := chains.Graph().LV(causal.Dot{Actor: actor, Seq: chains.Graph().Last(actor)}); ok {
			parents = append(slices.Clip(parents), own)
		}
		parents = chains.Graph().Maximal(parents)
		var ops []*crdt.Op
		path := crdt.Path{{Key: "text", Kind: crdt.Text}}
		for _, p := range txn.Patches {
			if p.Deleted > 0 {
				ops = append(ops, &crdt.Op{Code: crdt.CodeTextDelete, Len: p.Deleted, Path: path, Pos: p.Pos})
			}
			if n := utf8.RuneCountInString(p.Inserted); n > 0 {
				ops = append(ops, &crdt.Op{Code: crdt.CodeTextInsert, Len: n, Path: path, Pos: p.Pos, Text: p.Inserted})
			}
		}
		heads[i] = parents
		if len(ops) > 0 {
			change := crdt.NewChange(actor, chains.Graph().Last(actor)+1, int64(i), chains.Graph().Version(parents), ops)
			a := chains.Author(change, parents)
			p.state.ApplyQuietly(a)
			p.log = append(p.log, a)
			heads[i] = []causal.LV{a.Span.End - 1}
		}
		last = heads[i]
	}
	p.text = p.state.Text("text")
	if p.text.String() != session.EndContent {
		t.Fatal("wrong text")
	}
	return p
}

// version returns the version that the n-th change made.
func (p *past) version(n int) crdt.Version { return crdt.Version{p.log[n].Dot()} }

// TestHistoryOfSessions reads recorded sessions at random versions, and what happened between them, and compares with a replay.
func TestHistoryOfSessions(t *testing.T) {
	for _, name := range []string{"friendsforever", "sveltecomponent"} {
		t.Run(name, func(t *testing.T) {
			p := recordedPast(t, name)
			seed := rand.Uint64()
			r := rand.New(rand.NewPCG(seed, 0))
			replayed := func(v crdt.Version) string {
				lvs, _ := p.chains.Graph().LVs(v)
				s, err := crdt.At(p.chains, lvs, p.log)
				if err != nil {
					t.Fatal(err)
				}
				return s.Text("text").String()
			}
			for range 6 {
				a, b := p.version(r.IntN(len(p.log))), p.version(r.IntN(len(p.log)))
				before, after := replayed(a), replayed(b)
				splices, err := p.text.Edits(p.log, a, b)
				if err != nil {
					t.Fatal(err)
				}
				text := []rune(before)
				for _, sp := range splices {
					text = slices.Replace(text, sp.Pos, sp.Pos+sp.Deleted, []rune(sp.Text)...)
				}
				if string(text) != after {
					t.Fatalf("seed %d: the edits from %v to %v give another text", seed, a, b)
				}
				if got, err := p.text.At(p.log, a); err != nil || got != before {
					t.Fatalf("seed %d: the text at %v is another: %v", seed, a, err)
				}
			}
			n := 0
			for _, run := range p.text.Blame(-1) {
				n += run.Len
			}
			if n != p.text.Len() {
				t.Errorf("blame of %d code points, the text has %d", n, p.text.Len())
			}
		})
	}
}

// BenchmarkHistory asks about the history of recorded sessions.
func BenchmarkHistory(b *testing.B) {
	for _, name := range []string{"automerge-paper", "friendsforever"} {
		p := recordedPast(b, name)
		n := len(p.log)
		middle, end := p.version(n/2), p.state.Version()
		bench := func(what string, ask func() error) {
			b.Run(name+"/"+what, func(b *testing.B) {
				b.ReportAllocs()
				for range b.N {
					if err := ask(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		edits := func(from, to crdt.Version) func() error {
			return func() error { _, err := p.text.Edits(p.log, from, to); return err }
		}
		bench("blame", func() error { p.text.Blame(60_000); return nil })
		bench("edits, last tenth", edits(p.version(n-n/10), end))
		bench("edits, last tenth undone", edits(end, p.version(n-n/10)))
		bench("edits, all", edits(nil, end))
		bench("text at half", func() error { _, err := p.text.At(p.log, middle); return err })
		cursor, err := p.text.Cursor(p.text.Len()/2, crdt.BiasLeft)
		if err != nil {
			b.Fatal(err)
		}
		bench("cursor, nothing since", func() error { _, err := p.text.Resolve(cursor); return err })
		old, err := crdt.At(p.chains, []causal.LV{p.log[n/2].Span.End - 1}, p.log)
		if err != nil {
			b.Fatal(err)
		}
		if cursor, err = old.Text("text").Cursor(100, crdt.BiasLeft); err != nil {
			b.Fatal(err)
		}
		bench("cursor, half of it since", func() error { _, err := p.text.Resolve(cursor); return err })
		old, err = crdt.At(p.chains, []causal.LV{p.log[n-100].Span.End - 1}, p.log)
		if err != nil {
			b.Fatal(err)
		}
		if cursor, err = old.Text("text").Cursor(100, crdt.BiasLeft); err != nil {
			b.Fatal(err)
		}
		bench("cursor, 100 changes since", func() error { _, err := p.text.Resolve(cursor); return err })
	}
}
