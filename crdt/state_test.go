package crdt

import (
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt/causal"
)

// TestRandom lets three devices do random things, meeting in pairs in any order, and checks of each step
// what must hold of every state: an event mirrors it, a rolled-back transaction
// leaves no trace, a committed one means what its change means, and equal changes give equal states. The
// engine is compared with the definitions in package oracle.
func TestRandom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := newDevices(3)
		mirrors := []*mirror{newMirror(), newMirror(), newMirror()}
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			i := rapid.IntRange(0, 2).Draw(t, "device")
			d := all[i]
			var events []Event
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0:
				from := all[(i+rapid.IntRange(1, 2).Draw(t, "from"))%3]
				events = d.take(t, from)
				if rapid.Bool().Draw(t, "merged") {
					var merged Event
					for _, ev := range events {
						merged.Merge(ev)
					}
					if len(events) > 0 {
						events = []Event{merged}
					}
				}
			case 1:
				before := d.state.describe()
				tx := d.state.Begin(d.actor, 5)
				doSomething(t, &tx, 6)
				tx.Rollback()
				if after := d.state.describe(); after != before {
					t.Fatalf("a rolled-back transaction left\n%s, before it was\n%s", after, before)
				}
			case 2:
				if len(d.log) > 0 {
					events = d.writeInThePast(t)
				}
			case 3:
				before := d.state.describe()
				d.state.Rest()
				if after := d.state.describe(); after != before {
					t.Fatalf("at rest\n%s, before\n%s", after, before)
				}
			default:
				d.clock = rapid.Int64Range(0, 3).Draw(t, "time")
				d.last = Event{}
				version := d.state.Version()
				tx := d.state.Begin(d.actor, d.clock)
				doSomething(t, &tx, 4)
				shown := d.state.JSON()
				a, ev, ok, err := tx.Commit()
				if err != nil {
					t.Fatalf("commit: %v", err)
				}
				if !ok {
					break
				}
				d.committed(a, ev)
				if got := d.state.JSON(); got != shown {
					t.Fatalf("the transaction showed\n%s, once committed\n%s", shown, got)
				}
				if !ev.From.Equal(version) || !ev.To.Equal(Version{a.Dot()}) || !d.state.Version().Equal(ev.To) {
					t.Fatalf("event from %v to %v, the state went from %v to %v", ev.From, ev.To, version, d.state.Version())
				}
				events = []Event{ev}
			}
			for _, ev := range events {
				if err := mirrors[i].apply(ev); err != nil {
					t.Fatalf("device %d: %v", i, err)
				}
			}
			if got, want := fold(mirrors[i].root), d.state.Value(); got != want {
				t.Fatalf("after the events\n%+v a mirror shows\n%s, the state\n%s", events, got, want)
			}
			if n := d.state.Stats().Void; n > 0 {
				t.Fatalf("transactions made %d void ops", n)
			}
		}
		meet(t, all...)
		for _, d := range all {
			if got, want := d.clone().describe(), d.state.describe(); got != want {
				t.Fatalf("replayed from the log\n%s, built up\n%s", got, want)
			}
		}
		checkAt(t, all[0])
	})
}

// writeInThePast authors a change at a random version.
func (d *device) writeInThePast(t *rapid.T) []Event {
	var heads []causal.LV
	for range rapid.IntRange(1, 2).Draw(t, "heads") {
		heads = append(heads, d.log[rapid.IntRange(0, len(d.log)-1).Draw(t, "head")].Span.End-1)
	}
	past, err := At(d.Chains, d.graph.Maximal(heads), d)
	if err != nil {
		t.Fatalf("at %v: %v", heads, err)
	}
	author := d.actor // one of its own for every version: pooling is for others
	author.Nonce[7] = byte(len(d.log))
	author.Nonce[6] = 1
	tx := past.Begin(author, rapid.Int64Range(0, 3).Draw(t, "time"))
	doSomething(t, &tx, 4)
	a, _, ok, err := tx.Commit()
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	if !ok {
		return nil
	}
	ev := d.state.Apply(a)
	d.committed(a, ev)
	return []Event{ev}
}

// TestReaders lets several goroutines read one state, for the race detector.
func TestReaders(t *testing.T) {
	all := start(t, 2, func(tx *Tx) {
		tx.Import([]byte(`{"m": {"a": {"b": [1, {"c": 2}]}}, "l": [1, [2, {"d": 3}]], "r": 1}`))
		tx.Text("t").Append("hello")
	})
	concurrently(t, all,
		func(tx *Tx) { tx.List("l").Delete(0, 1); tx.Text("t").Insert(1, "xyz"); tx.Register("r").Put(2) },
		func(tx *Tx) { tx.List("l").Insert(1, "x"); tx.Text("t").Insert(1, "abc"); tx.Register("r").Put(3) },
	)
	s := all[0].state
	want, digest := s.JSON(), s.Digest()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			conflicts := 0
			s.AllConflicts(func([]string, []Conflict) bool { conflicts++; return true })
			if got := s.JSON(); got != want || s.Digest() != digest || conflicts != 1 || len(s.Version()) != 2 {
				t.Errorf("a reader sees %s, %d conflicts", got, conflicts)
			}
			if s.Text("t").Slice(0, 1) != "h" || s.Path("l", "1", "1", "d").JSON() != "3" || s.List("l").List(1).Len() != 2 || len(s.Slices()) != 4 {
				t.Errorf("a reader sees %s", s.JSON())
			}
		})
	}
	wg.Wait()
}

// checkAt compares the states at all versions with those of a device that never had more.
func checkAt(t *rapid.T, d *device) {
	for _, a := range d.log {
		heads := []causal.LV{a.Span.End - 1}
		if rapid.Bool().Draw(t, "join") {
			other := d.log[rapid.IntRange(0, len(d.log)-1).Draw(t, "other")]
			heads = d.graph.Maximal(append(heads, other.Span.End-1))
		}
		got, err := At(d.Chains, heads, d)
		if err != nil {
			t.Fatalf("at %v: %v", heads, err)
		}
		fresh := newHolder()
		want := NewState(fresh.Chains)
		var known []Accepted
		history, _ := d.graph.Diff(heads, nil)
		for _, span := range history {
			for _, a := range d.log {
				if span.Contains(a.Span.Start) {
					known = append(known, a)
				}
			}
		}
		k, err := fresh.Check(d.BatchOf(known), nil)
		if err != nil {
			t.Fatalf("check: %v", err)
		}
		for a := range fresh.Add(k).All {
			want.ApplyQuietly(a)
		}
		if got.Digest() != want.Digest() || got.JSON() != want.JSON() || !slices.Equal(got.Version(), d.graph.Version(heads)) {
			t.Fatalf("at %v:\n%s, a device that knows no more shows\n%s", got.Version(), got.JSON(), want.JSON())
		}
	}
}
