package crdt

import (
	"errors"
	"testing"

	"github.com/atollsync/atoll/crdt/causal"
)

// A change can be written against any version: positions mean what that version shows.
func TestAuthorAtVersion(t *testing.T) {
	all := start(t, 2, func(tx *Tx) { tx.Text("t").Append("hello"); tx.List("l").Append(1, 2, 3) })
	d := all[0]
	old := append([]causal.LV(nil), d.state.Heads()...)
	d.update(t, func(tx *Tx) { tx.Text("t").Insert(0, ">> "); tx.List("l").Delete(0, 2) })

	past, err := At(d.Chains, old, d)
	if err != nil {
		t.Fatal(err)
	}
	if got := past.JSON(); got != `{"l":[1,2,3],"t":"hello"}` {
		t.Fatalf("at %v: %s", past.Version(), got)
	}
	// The actor that has gone on cannot write there.
	tx := past.Begin(d.actor, 5)
	tx.Counter("c").Add(1)
	if _, _, ok, err := tx.Commit(); ok || err == nil {
		t.Fatal("an actor wrote at a version that lacks its last change")
	}
	other := d.actor
	other.Nonce[0]++
	write := func(fn func(tx *Tx)) {
		t.Helper()
		tx := past.Begin(other, 5)
		fn(&tx)
		a, _, ok, err := tx.Commit()
		if err != nil || !ok {
			t.Fatalf("commit: %v", err)
		}
		d.committed(a, d.state.Apply(a))
	}
	write(func(tx *Tx) {
		tx.Text("t").Insert(5, " world")
		tx.List("l").Set(2, "three")
		tx.List("l").Insert(1, "new")
	})
	write(func(tx *Tx) { tx.Text("t").Delete(0, 1); tx.Text("t").Insert(0, "H") })
	if got := past.JSON(); got != `{"l":[1,"new",2,"three"],"t":"Hello world"}` {
		t.Errorf("the past shows %s", got)
	}
	meet(t, all...)
	wantJSON(t, `{"l":["new","three"],"t":">> Hello world"}`, all...)
	if got := d.clone().describe(); got != d.state.describe() {
		t.Errorf("replayed %s", got)
	}
}

func TestAtErrors(t *testing.T) {
	d := newDevice(0)
	for range 3 {
		d.update(t, func(tx *Tx) { tx.Text("t").Append("abc") })
	}
	if _, err := At(d.Chains, []causal.LV{9}, d); err == nil {
		t.Error("a version that is not there")
	}
	if _, err := At(d.Chains, []causal.LV{4}, d); err == nil {
		t.Error("a version in the middle of a change")
	}
	d.log = append(d.log[:1], d.log[2])
	if _, err := At(d.Chains, []causal.LV{8}, d); err == nil {
		t.Error("a change is missing from the log")
	}
	broken := errors.New("broken")
	if _, err := At(d.Chains, []causal.LV{8}, failingSource{broken}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if s, err := At(d.Chains, nil, d); err != nil || s.JSON() != "{}" || len(s.Version()) != 0 {
		t.Errorf("at the beginning: %v", err)
	}
}

type failingSource struct{ err error }

func (s failingSource) Changes(causal.Span, func(Accepted) bool) error { return s.err }

// From its first op of unknown kind on a slice is opaque, whatever the order of arrival.
func TestOpaque(t *testing.T) {
	all := start(t, 3, func(tx *Tx) { tx.Map("a").Put("k", 1); tx.Map("b").Put("k", 1) })
	// A move, say, as a later version might write it: [31<<2|1, 2, [], "from", "to"].
	ops := appendStr(appendStr([]byte{0x95, 31<<2 | 1, 2, 0x90}, "from"), "to")
	m := newMirror()
	if err := m.apply(Event{Edits: []Edit{{Path: []string{"a"}, New: ptr(fold(map[string]any{"k": 1}))}, {Path: []string{"b"}, New: ptr(fold(map[string]any{"k": 1}))}}}); err != nil {
		t.Fatal(err)
	}
	all[0].groups(Group{Slice: "a", Len: 2, Ops: ops})
	if err := m.apply(all[0].last); err != nil {
		t.Fatal(err)
	}
	if got := fold(m.root).String(); got != `{"b":{"k":1}}` {
		t.Errorf("after the event %+v a mirror shows %s", all[0].last, got)
	}
	all[1].update(t, func(tx *Tx) { tx.Map("a").Put("k", 2); tx.Map("b").Put("k", 2) })
	meet(t, all...)
	wantJSON(t, `{"b":{"k":2}}`, all...)
	for _, d := range all {
		infos := d.state.Slices()
		if len(infos) != 2 || infos[0] != (SliceInfo{Name: "a", Opaque: true}) || infos[1] != (SliceInfo{Name: "b", Kind: Map}) {
			t.Errorf("slices %+v", infos)
		}
		if d.state.Stats() != (Stats{Void: 1, Unknown: 1}) {
			t.Errorf("stats %+v", d.state.Stats())
		}
		if d.state.Map("a").Exists() || d.state.Path("a").Exists() {
			t.Error("an opaque slice is shown")
		}
		tx := d.state.Begin(d.actor, 1)
		tx.Map("a").Put("k", 3)
		if _, _, _, err := tx.Commit(); !errors.Is(err, ErrOpaque) {
			t.Errorf("a write to an opaque slice: %v", err)
		}
	}
}

func ptr[T any](x T) *T { return &x }
