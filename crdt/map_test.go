package crdt

import (
	"strings"
	"testing"

	"github.com/atollsync/atoll/crdt/causal"
)

// Two devices that both start from nothing write into the same container.
func TestMapConcurrentInitialisation(t *testing.T) {
	all := newDevices(2)
	concurrently(t, all,
		func(tx *Tx) { tx.Map("todos").Map("7").Put("title", "milk") },
		func(tx *Tx) { tx.Map("todos").Map("7").Put("done", true) },
	)
	wantJSON(t, `{"todos":{"7":{"done":true,"title":"milk"}}}`, all...)
	if c := all[0].state.Path("todos", "7").Conflicts(); len(c) != 1 {
		t.Errorf("conflicts %+v where nothing conflicts", c)
	}
}

// Rule 1: an edit below a key beats a concurrent delete of it, and brings the object back whole, not as a husk.
func TestMapEditBeatsDelete(t *testing.T) {
	all := start(t, 2, func(tx *Tx) {
		todo := tx.Map("todos").Map("7")
		todo.Put("title", "milk")
		todo.Text("notes").Insert(0, "two")
	})
	concurrently(t, all,
		func(tx *Tx) { tx.Map("todos").Delete("7") },
		func(tx *Tx) { tx.Map("todos").Map("7").Put("done", true) },
	)
	wantJSON(t, `{"todos":{"7":{"done":true,"notes":"two","title":"milk"}}}`, all...)
}

// What every device deleted stays deleted, also its fields when the key is written again.
func TestMapDeletedStaysDeleted(t *testing.T) {
	all := start(t, 2, func(tx *Tx) {
		tx.Map("todos").Map("7").Put("title", "milk")
		tx.Map("todos").Put("8", 1)
	})
	concurrently(t, all,
		func(tx *Tx) { tx.Map("todos").Delete("7") },
		func(tx *Tx) { tx.Map("todos").Delete("7") },
	)
	wantJSON(t, `{"todos":{"8":1}}`, all...)
	// A fresh entry: the old title does not come back with it.
	all[0].update(t, func(tx *Tx) { tx.Map("todos").Map("7").Put("done", false) })
	meet(t, all...)
	wantJSON(t, `{"todos":{"7":{"done":false},"8":1}}`, all...)
}

// Rule 2: devices that saw the same delete share the entry that they start; a device that did not see it goes
// on with the old one, and the two conflict.
func TestMapBirth(t *testing.T) {
	all := start(t, 3, func(tx *Tx) { tx.Map("m").Map("k").Put("old", 1) })
	all[0].update(t, func(tx *Tx) { tx.Map("m").Delete("k") })
	all[1].take(t, all[0])
	concurrently(t, all,
		func(tx *Tx) { tx.Map("m").Map("k").Put("a", 1) },
		func(tx *Tx) { tx.Map("m").Map("k").Put("b", 2) },
		func(tx *Tx) { tx.Map("m").Map("k").Put("c", 3) },
	)
	// Device 2's write is the oldest: it is behind by the delete.
	wantJSON(t, `{"m":{"k":{"a":1,"b":2}}}`, all...)
	conflicts := all[0].state.Path("m", "k").Conflicts()
	if len(conflicts) != 2 || conflicts[0].Value.String() != `{"a":1,"b":2}` || conflicts[1].Value.String() != `{"c":3,"old":1}` {
		t.Fatalf("conflicts %+v", conflicts)
	}
	if !conflicts[0].Shown || conflicts[1].Shown || conflicts[1].Actor != all[2].actor || conflicts[1].Time != all[2].clock {
		t.Errorf("conflicts %+v, the second by %s at %d", conflicts, all[2].actor, all[2].clock)
	}
	// Writing again goes to the entry that is shown; deleting takes both.
	all[2].update(t, func(tx *Tx) { tx.Map("m").Map("k").Put("d", 4) })
	meet(t, all...)
	wantJSON(t, `{"m":{"k":{"a":1,"b":2,"d":4}}}`, all...)
	all[1].update(t, func(tx *Tx) { tx.Map("m").Delete("k") })
	meet(t, all...)
	wantJSON(t, `{"m":{}}`, all...)
}

// Rule 3: writing another kind deletes what stands there, in the same change.
func TestMapChangeOfKind(t *testing.T) {
	all := start(t, 2, func(tx *Tx) { tx.Map("m").Counter("k").Add(5) })
	a := all[0].update(t, func(tx *Tx) { tx.Map("m").Put("k", "five") })
	var ops []string
	a.Ops(func(_ causal.Seq, _ string, op *Op) bool {
		ops = append(ops, op.String())
		return true
	})
	if want := `delete m/k, put m/k "five"`; strings.Join(ops, ", ") != want {
		t.Errorf("ops %q, want %s", ops, want)
	}
	// The other device adds, not knowing: both stand, and the later write is shown.
	all[1].clock = 3000
	all[1].update(t, func(tx *Tx) { tx.Map("m").Counter("k").Add(1) })
	meet(t, all...)
	wantJSON(t, `{"m":{"k":6}}`, all...)
	if c := all[0].state.Path("m", "k").Conflicts(); len(c) != 2 || c[1].Value.String() != `"five"` || c[1].Kind != Register {
		t.Fatalf("conflicts %+v", c)
	}
	// A write whose kind stands goes there, though it is not shown, and then is.
	all[0].clock = 4000
	a = all[0].update(t, func(tx *Tx) { tx.Map("m").Put("k", "six") })
	if n := a.Len(); n != 1 {
		t.Errorf("%d ops where the register stands, want 1", n)
	}
	meet(t, all...)
	wantJSON(t, `{"m":{"k":"six"}}`, all...)
}

// Rule 5.
func TestDeleteWinsMap(t *testing.T) {
	all := start(t, 2, func(tx *Tx) { tx.DeleteWinsMap("m").Map("k").Put("a", 1) })
	concurrently(t, all,
		func(tx *Tx) { tx.DeleteWinsMap("m").Delete("k") },
		func(tx *Tx) { tx.DeleteWinsMap("m").Map("k").Put("b", 2) },
	)
	wantJSON(t, `{"m":{}}`, all...)
	// Who saw the delete can write.
	all[1].update(t, func(tx *Tx) { tx.DeleteWinsMap("m").Map("k").Put("c", 3) })
	meet(t, all...)
	wantJSON(t, `{"m":{"k":{"c":3}}}`, all...)
	// A delete of what nobody knows of yet prevails as well.
	concurrently(t, all,
		func(tx *Tx) { tx.DeleteWinsMap("m").Delete("new") },
		func(tx *Tx) { tx.DeleteWinsMap("m").Put("new", 1) },
	)
	wantJSON(t, `{"m":{"k":{"c":3}}}`, all...)
}

// A slice is an entry like any other.
func TestDeleteOfSlice(t *testing.T) {
	all := start(t, 2, func(tx *Tx) { tx.Map("m").Put("a", 1); tx.Text("t").Insert(0, "x") })
	concurrently(t, all,
		func(tx *Tx) { tx.Delete("m"); tx.Delete("t"); tx.Delete("nothing") },
		func(tx *Tx) { tx.Map("m").Put("b", 2) },
	)
	wantJSON(t, `{"m":{"a":1,"b":2}}`, all...)
	if got := all[0].state.Slices(); len(got) != 1 || got[0] != (SliceInfo{Name: "m", Kind: Map}) {
		t.Errorf("slices %+v", got)
	}
	all[0].update(t, func(tx *Tx) { tx.Counter("t").Add(1) })
	meet(t, all...)
	wantJSON(t, `{"m":{"a":1,"b":2},"t":1}`, all...)
}

// Touch makes an empty container stand; deleting a key from a map that nobody else wrote to leaves it empty.
func TestTouch(t *testing.T) {
	all := start(t, 2, func(tx *Tx) {
		tx.Map("m").Map("empty").Touch()
		tx.Map("m").List("list").Touch()
		tx.Map("m").Register("nil").Touch()
		tx.Map("m").Text("text").Touch()
		tx.Map("m").Set("set").Touch()
		tx.Map("m").Counter("counter").Touch()
	})
	wantJSON(t, `{"m":{"counter":0,"empty":{},"list":[],"nil":null,"set":[],"text":""}}`, all...)
	// A touch is a write: it survives a concurrent delete, whole.
	all[0].update(t, func(tx *Tx) { tx.Map("m").Put("nil", 5) })
	meet(t, all...)
	concurrently(t, all,
		func(tx *Tx) { tx.Delete("m") },
		func(tx *Tx) { tx.Map("m").Touch() },
	)
	wantJSON(t, `{"m":{"counter":0,"empty":{},"list":[],"nil":5,"set":[],"text":""}}`, all...)
}

func TestMapViews(t *testing.T) {
	all := start(t, 2, func(tx *Tx) {
		m := tx.Map("m")
		m.Put("r", 1)
		m.DeleteWinsMap("d").Put("x", 2)
		m.List("l").Append(1, 2)
		m.Text("t").Append("héllo")
		m.Counter("c").Add(7)
		m.Set("s").Add("b", "a")
		m.RemoveWinsSet("rs").Add(true)
		m.Map("m").Put("y", nil)
	})
	s := all[1].state
	m := s.Map("m")
	if got, want := strings.Join(m.Keys(), ""), "cdlmrrsst"; got != want || m.Len() != 8 {
		t.Errorf("keys %q, want %q", got, want)
	}
	for _, c := range []struct{ got, want string }{
		{m.Register("r").JSON(), "1"},
		{m.DeleteWinsMap("d").JSON(), `{"x":2}`},
		{m.List("l").JSON(), "[1,2]"},
		{m.Text("t").String(), "héllo"},
		{m.Set("s").JSON(), `["a","b"]`},
		{m.RemoveWinsSet("rs").JSON(), "[true]"},
		{m.Map("m").JSON(), `{"y":null}`},
		{m.Map("none").JSON(), "null"},
		{m.Map("none").Map("deeper").Text("still").String(), ""},
		{m.List("r").JSON(), "null"}, // another kind
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
	if n := m.Counter("c").Int(); n != 7 {
		t.Errorf("counter %d", n)
	}
	if v, ok := m.Get("d"); !ok || v.String() != `{"x":2}` {
		t.Errorf("Get(d) %s, %v", v, ok)
	}
	if _, ok := m.Get("z"); ok || m.Has("z") || !m.Has("c") || m.Kind("t") != Text || m.Kind("z") != 0 {
		t.Error("keys that are not there")
	}
	if !m.Exists() || s.Map("x").Exists() || s.Map("x").Keys() != nil || s.Map("x").Len() != 0 {
		t.Error("slices that are not there")
	}
}

// Births name deletes also below a map that does not stand itself.
func TestBirthBelowHidden(t *testing.T) {
	d := newDevice(0)
	del := d.update(t, func(tx *Tx) { tx.DeleteWinsMap("m").Delete("k") })
	a := d.update(t, func(tx *Tx) { tx.DeleteWinsMap("m").Map("k").Put("x", 1) })
	a.Ops(func(_ causal.Seq, _ string, op *Op) bool {
		if got := op.Path[1].Birth; got != del.Dot() || !op.Path[0].Birth.IsZero() {
			t.Errorf("%v is born of %v, the delete is %v", op, got, del.Dot())
		}
		return true
	})
	wantJSON(t, `{"m":{"k":{"x":1}}}`, d)
}
