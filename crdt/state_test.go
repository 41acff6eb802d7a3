package crdt

import (
	"slices"
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
			switch rapid.IntRange(0, 3).Draw(t, "step") {
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
				doSomething(t, tx, 6)
				tx.Rollback()
				if after := d.state.describe(); after != before {
					t.Fatalf("a rolled-back transaction left\n%s, before it was\n%s", after, before)
				}
			default:
				d.clock = rapid.Int64Range(0, 3).Draw(t, "time")
				d.last = Event{}
				version := d.state.Version()
				tx := d.state.Begin(d.actor, d.clock)
				doSomething(t, tx, 4)
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
		var missing []causal.Span
		missing, _ = d.graph.Diff(heads, nil)
		for len(missing) > 0 {
			b, rest, err := d.Cut(d, missing, 0, 0)
			if err != nil || b == nil {
				t.Fatalf("cut %v: %v, %v", missing, b, err)
			}
			k, err := fresh.Check(b, quickVerify)
			if err != nil {
				t.Fatalf("check: %v", err)
			}
			for _, a := range fresh.Add(k) {
				if got.graph.Contains(heads, lvIn(d, a)) {
					want.ApplyQuietly(a)
				}
			}
			missing = rest
		}
		if got.Digest() != want.Digest() || got.JSON() != want.JSON() || !slices.Equal(got.Version(), d.graph.Version(heads)) {
			t.Fatalf("at %v:\n%s, a device that knows no more shows\n%s", got.Version(), got.JSON(), want.JSON())
		}
	}
}

func lvIn(d *device, a Accepted) causal.LV {
	lv, _ := d.graph.LV(a.Dot())
	return lv
}
