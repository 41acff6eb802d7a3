package crdt

import (
	"strings"
	"testing"

	"github.com/atollsync/atoll/crdt/causal"
)

func TestList(t *testing.T) {
	all := start(t, 2, func(tx *Tx) { tx.List("l").Append("a", "b", "c", "d") })
	concurrently(t, all,
		func(tx *Tx) { tx.List("l").Insert(1, 1, 2); tx.List("l").Delete(4, 1) },
		func(tx *Tx) { tx.List("l").Delete(0, 2); tx.List("l").Append(3) },
	)
	wantJSON(t, `{"l":[1,2,"d",3]}`, all...)
	l := all[1].state.List("l")
	if v, ok := l.Get(2); !ok || v.String() != `"d"` || l.Len() != 4 || l.Kind(0) != Register || l.Kind(4) != 0 {
		t.Errorf("element 2 is %s", v)
	}
	if _, ok := l.Get(4); ok || l.Map(9).Exists() {
		t.Error("an element that is not there")
	}
}

// A delete of an element wins over concurrent set and edits below. Those still are writes to the list.
func TestListDeleteIsFinal(t *testing.T) {
	all := start(t, 3, func(tx *Tx) {
		tx.List("l").Append(1)
		tx.List("l").InsertMap(1).Put("title", "milk")
	})
	concurrently(t, all,
		func(tx *Tx) { tx.List("l").Delete(0, 2) },
		func(tx *Tx) { tx.List("l").Set(0, 2) },
		func(tx *Tx) { tx.List("l").Map(1).Put("done", true) },
	)
	wantJSON(t, `{"l":[]}`, all...)
	all[0].update(t, func(tx *Tx) { tx.List("l").Append("x"); tx.List("l").InsertMap(1).Map("in").Put("a", 1) })
	meet(t, all...)
	// The slice is deleted by one who did not see the edit below an element, while another deletes that
	// element: the edit keeps the list standing, without the element.
	concurrently(t, all,
		func(tx *Tx) { tx.Delete("l") },
		func(tx *Tx) { tx.List("l").Map(1).Map("in").Put("b", 2) },
		func(tx *Tx) { tx.List("l").Delete(1, 1) },
	)
	wantJSON(t, `{"l":["x"]}`, all...)
}

// Containers in lists in containers in lists.
func TestListNested(t *testing.T) {
	all := start(t, 3, func(tx *Tx) {
		l := tx.List("l")
		l.InsertList(0).Append(1, 2)
		l.InsertMap(1).List("k").InsertText(0).Append("abc")
		l.InsertCounter(2).Add(3)
		l.InsertSet(3).Add("x")
		l.InsertRemoveWinsSet(4).Add("y")
		l.InsertDeleteWinsMap(5).Put("z", 1)
		l.InsertNew(6, Register)
	})
	wantJSON(t, `{"l":[[1,2],{"k":["abc"]},3,["x"],["y"],{"z":1},null]}`, all...)
	concurrently(t, all,
		func(tx *Tx) {
			tx.List("l").List(0).Insert(1, "one")
			tx.List("l").Insert(0, "first")
			tx.List("l").Map(2).List("k").Text(0).Insert(1, "-")
			tx.List("l").Register(7).Put(7)
		},
		func(tx *Tx) {
			tx.List("l").List(0).Delete(0, 1)
			tx.List("l").Map(1).List("k").Text(0).Delete(2, 1)
			tx.List("l").Counter(2).Add(1)
		},
		func(tx *Tx) {
			tx.List("l").SetAt(3).Remove("x")
			tx.List("l").RemoveWinsSet(4).Remove("y")
			tx.List("l").DeleteWinsMap(5).Delete("z")
		},
	)
	wantJSON(t, `{"l":["first",["one",2],{"k":["a-b"]},4,[],[],{},7]}`, all...)
	views := all[1].state.List("l")
	for _, c := range []struct {
		got  view
		want string
	}{
		{views.List(1).view, `["one",2]`}, {views.Map(2).view, `{"k":["a-b"]}`}, {views.Counter(3).view, "4"}, {views.Set(4).view, "[]"},
		{views.RemoveWinsSet(5).view, "[]"}, {views.DeleteWinsMap(6).view, "{}"}, {views.Map(2).List("k").Text(0).view, `"a-b"`}, {views.Text(2).view, "null"},
	} {
		if got := c.got.JSON(); got != c.want {
			t.Errorf("an element reads %s, want %s", got, c.want)
		}
	}
	// The views of elements stay with them.
	m := all[0].state.List("l").Map(2)
	all[0].update(t, func(tx *Tx) { tx.List("l").Delete(0, 2) })
	if got := m.JSON(); got != `{"k":["a-b"]}` {
		t.Errorf("the map moved to another index reads %s", got)
	}
	all[0].update(t, func(tx *Tx) { tx.List("l").Delete(0, 1) })
	if m.Exists() {
		t.Errorf("the map that was deleted reads %s", m.JSON())
	}
	// Another kind at an index: the delete there, and the write to an entry born of it.
	a := all[1].update(t, func(tx *Tx) { tx.List("l").Counter(0).Add(1) })
	var ops []*Op
	a.Ops(func(_ causal.Seq, _ string, op *Op) bool {
		ops = append(ops, op)
		return true
	})
	if len(ops) != 2 || ops[0].Code != CodeDelete || ops[1].Path[1].Birth != (causal.Dot{Actor: a.Actor, Seq: a.Seq}) {
		t.Errorf("ops %v, the second born of %v", ops, ops[len(ops)-1].Path[1].Birth)
	}
}

// Two devices replace an element's kind at once: both stand, nothing is lost.
func TestListSetConflict(t *testing.T) {
	all := start(t, 2, func(tx *Tx) { tx.List("l").Append("a") })
	all[1].clock = 9000
	concurrently(t, all,
		func(tx *Tx) { tx.List("l").Set(0, "b") },
		func(tx *Tx) { tx.List("l").Map(0).Put("c", 1) },
	)
	wantJSON(t, `{"l":[{"c":1}]}`, all...)
	if c := all[0].state.Path("l", "0").Conflicts(); len(c) != 2 || c[1].Value.String() != `"b"` {
		t.Errorf("conflicts %+v", c)
	}
	n := 0
	all[0].state.AllConflicts(func(path []string, conflicts []Conflict) bool {
		n++
		if FormatPointer(path) != "l/0" || len(conflicts) != 2 {
			t.Errorf("conflict at %q: %+v", path, conflicts)
		}
		return true
	})
	if n != 1 {
		t.Errorf("%d places with conflicts", n)
	}
}

// An op below an element that its author never saw, or that is no element of that list, is void: it is no
// write to anything, and everybody counts it.
func TestListForeignElement(t *testing.T) {
	all := start(t, 2, func(tx *Tx) { tx.List("l").Append("a"); tx.List("m").Append("b"); tx.Map("x").Put("k", 1) })
	me := all[0].actor
	elem := func(slice string, seq causal.Seq) Path {
		return Path{{Key: slice, Kind: List}, {Elem: causal.Dot{Actor: me, Seq: seq}, Kind: Register}}
	}
	before := all[0].state.JSON()
	all[0].raw(
		&Op{Code: CodePut, Len: 1, Path: elem("l", 2), Value: IntValue(1)},  // an element of m
		&Op{Code: CodePut, Len: 1, Path: elem("l", 3), Value: IntValue(1)},  // a put
		&Op{Code: CodePut, Len: 1, Path: elem("l", 99), Value: IntValue(1)}, // never written
		&Op{Code: CodePut, Len: 1, Path: elem("l", 8), Value: IntValue(1)},  // itself
		&Op{Code: CodePut, Len: 1, Path: elem("n", 1), Value: IntValue(1)},  // no list there
	)
	meet(t, all...)
	wantJSON(t, before, all...)
	for _, d := range all {
		if got := d.state.Stats(); got != (Stats{Void: 5}) {
			t.Errorf("stats %+v", got)
		}
	}
	// Own elements of the same change are seen, but only once they are there.
	first := all[0].graph.Last(me) + 1
	all[0].raw(
		&Op{Code: CodePut, Len: 1, Path: elem("l", first+1), Value: IntValue(1)},
		&Op{Code: CodeListInsert, Len: 2, Path: Path{{Key: "l", Kind: List}}, Values: []Value{IntValue(8), IntValue(9)}},
		&Op{Code: CodePut, Len: 1, Path: elem("l", first+2), Value: IntValue(2)},
	)
	meet(t, all...)
	if got := all[1].state.List("l").JSON(); got != `[8,2,"a"]` {
		t.Errorf("the list shows %s", got)
	}
}

// An element where nothing stands keeps its index.
func TestListHole(t *testing.T) {
	all := start(t, 2, func(tx *Tx) { tx.List("l").Append("a", "b") })
	all[0].raw(&Op{Code: CodeDelete, Len: 1, Path: Path{{Key: "l", Kind: List}, {Elem: causal.Dot{Actor: all[0].actor, Seq: 1}}}})
	meet(t, all...)
	wantJSON(t, `{"l":[null,"b"]}`, all...)
	if s := all[1].state; s.Path("l", "0").Exists() || s.List("l").Len() != 2 || s.List("l").Kind(0) != 0 {
		t.Error("a hole that stands")
	}
	all[1].update(t, func(tx *Tx) { tx.List("l").Set(0, 1) })
	meet(t, all...)
	wantJSON(t, `{"l":[1,"b"]}`, all...)
}

func TestText(t *testing.T) {
	all := start(t, 2, func(tx *Tx) { tx.Text("t").Append("Helo 😀!") })
	concurrently(t, all,
		func(tx *Tx) { tx.Text("t").Insert(3, "l"); tx.Text("t").Delete(7, 1) },
		func(tx *Tx) { tx.Text("t").Insert(5, "wörld"); tx.Text("t").Delete(10, 1) },
	)
	wantJSON(t, `{"t":"Hello wörld"}`, all...)
	all[0].update(t, func(tx *Tx) { tx.Text("t").Set("Hallo wörld, 😀😀") })
	meet(t, all...)
	text := all[1].state.Text("t")
	if text.String() != "Hallo wörld, 😀😀" || text.Len() != 15 || text.LenUTF16() != 17 || text.Slice(6, 11) != "wörld" {
		t.Errorf("text %q", text)
	}
	if text.RuneOfUTF16(15) != 14 || text.UTF16OfRune(14) != 15 {
		t.Errorf("UTF-16 offsets %d, %d", text.RuneOfUTF16(15), text.UTF16OfRune(14))
	}
	all[1].update(t, func(tx *Tx) {
		tx.Text("t").InsertUTF16(15, "-")
		tx.Text("t").DeleteUTF16(13, 2)
	})
	meet(t, all...)
	wantJSON(t, `{"t":"Hallo wörld, -😀"}`, all...)
	all[0].update(t, func(tx *Tx) { tx.Text("t").Set(""); tx.Text("u").Set("") })
	meet(t, all...)
	wantJSON(t, `{"t":"","u":""}`, all...)
}

// Positions beyond what the author saw: an insert goes to the end, the part of a delete outside is void.
func TestTextOutOfRange(t *testing.T) {
	all := start(t, 2, func(tx *Tx) { tx.Text("t").Append("abc") })
	path := Path{{Key: "t", Kind: Text}}
	all[0].raw(
		&Op{Code: CodeTextInsert, Len: 1, Path: path, Pos: 99, Text: "z"},
		&Op{Code: CodeTextDelete, Len: 5, Path: path, Pos: 2},
		&Op{Code: CodeTextDelete, Len: 5, Path: path, Pos: 9},
	)
	all[1].update(t, func(tx *Tx) { tx.Text("t").Append(strings.Repeat("y", 3)) })
	meet(t, all...)
	wantJSON(t, `{"t":"abyyy"}`, all...)
}

// Whether a slice turned opaque before or after an op that names an element its author never saw makes no
// difference to what is counted.
func TestOpaqueForeignElement(t *testing.T) {
	all := start(t, 2, func(tx *Tx) { tx.List("l").Append("a") })
	path := Path{{Key: "l", Kind: List}, {Elem: causal.Dot{Actor: all[0].actor, Seq: 99}, Kind: Register}}
	all[0].raw(&Op{Code: CodePut, Len: 1, Path: path, Value: IntValue(1)})
	ops := appendStr(appendStr([]byte{0x95, 31<<2 | 1, 2, 0x90}, "from"), "to")
	all[1].groups(Group{Slice: "l", Len: 2, Ops: ops})
	meet(t, all...)
	for _, d := range all {
		if got := d.state.Stats(); got != (Stats{Void: 1, Unknown: 1}) {
			t.Errorf("stats %+v", got)
		}
	}
}
