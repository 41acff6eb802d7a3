package crdt

import (
	"fmt"
	"testing"

	"github.com/atollsync/atoll/crdt/causal"
)

// Indexes of a move are those before it and after it: that is, the second counts without the element.
func TestListMove(t *testing.T) {
	d := newDevice(0)
	d.update(t, func(tx *Tx) { tx.List("l").Append("a", "b", "c", "d") })
	for _, c := range []struct {
		from, to int
		want     string
	}{
		{0, 3, `{"l":["b","c","d","a"]}`},
		{3, 0, `{"l":["a","b","c","d"]}`},
		{1, 2, `{"l":["a","c","b","d"]}`},
		{2, 1, `{"l":["a","b","c","d"]}`},
		{3, 2, `{"l":["a","b","d","c"]}`},
		{1, 1, `{"l":["a","b","d","c"]}`},
	} {
		before := d.graph.Len()
		d.update(t, func(tx *Tx) { tx.List("l").Move(c.from, c.to) })
		wantJSON(t, c.want, d)
		if ops := int(d.graph.Len() - before); ops != min(1, max(c.from-c.to, c.to-c.from)) {
			t.Errorf("from %d to %d: %d ops", c.from, c.to, ops)
		}
	}
}

// Concurrent moves of one element: the latest decides, the element shows once, and the others keep their order.
func TestListMoveConflict(t *testing.T) {
	all := start(t, 3, func(tx *Tx) { tx.List("l").Append("a", "b", "c", "d", "e") })
	all[1].clock = 9000
	concurrently(t, all,
		func(tx *Tx) { tx.List("l").Move(0, 2); tx.List("l").Move(4, 0) },
		func(tx *Tx) { tx.List("l").Move(0, 4) },
		func(tx *Tx) { tx.List("l").Move(0, 1); tx.List("l").Insert(1, "x") },
	)
	wantJSON(t, `{"l":["e","b","x","c","d","a"]}`, all...)
	// One who has seen that moves it last, whatever the clock says.
	all[2].clock = 1
	all[2].update(t, func(tx *Tx) { tx.List("l").Move(5, 0) })
	meet(t, all...)
	wantJSON(t, `{"l":["a","e","b","x","c","d"]}`, all...)
}

// What an element holds, and what others write below it meanwhile, goes with it. Its view stays with it.
func TestListMoveContents(t *testing.T) {
	all := start(t, 3, func(tx *Tx) {
		tx.List("l").Append("a", "b")
		tx.List("l").InsertMap(2).Put("title", "milk")
		tx.List("l").InsertText(3).Append("abc")
	})
	m := all[0].state.List("l").Map(2)
	concurrently(t, all,
		func(tx *Tx) { tx.List("l").Move(2, 0); tx.List("l").Map(0).Put("by", 0) },
		func(tx *Tx) {
			tx.List("l").Map(2).Put("done", true)
			tx.List("l").Move(3, 0)
			tx.List("l").Text(0).Insert(3, "!")
		},
		func(tx *Tx) { tx.List("l").Set(1, "B"); tx.List("l").Text(3).Delete(0, 1) },
	)
	wantJSON(t, `{"l":[{"by":0,"done":true,"title":"milk"},"bc!","a","B"]}`, all...)
	if got, want := m.JSON(), `{"by":0,"done":true,"title":"milk"}`; got != want {
		t.Errorf("the view of the moved map reads %s, want %s", got, want)
	}
	concurrently(t, all,
		func(tx *Tx) { tx.List("l").Delete(0, 1) },
		func(tx *Tx) { tx.List("l").Move(0, 3) },
		func(tx *Tx) { tx.List("l").Map(0).Put("late", 1); tx.List("l").Move(0, 1) },
	)
	wantJSON(t, `{"l":["bc!","a","B"]}`, all...)
	if m.Exists() {
		t.Errorf("the view of the deleted map reads %s", m.JSON())
	}
}

// A move is a write to the list and to what it is in, but none to the element.
func TestListMoveIsWrite(t *testing.T) {
	all := start(t, 2, func(tx *Tx) { tx.Map("m").List("l").Append("a", "b") })
	concurrently(t, all,
		func(tx *Tx) { tx.Delete("m") },
		func(tx *Tx) { tx.Map("m").List("l").Move(0, 1) },
	)
	wantJSON(t, `{"m":{"l":["b","a"]}}`, all...)
}

// Moves of what is no element of the list, or none that the author saw, are void; one of a deleted element has no effect.
func TestListMoveForeign(t *testing.T) {
	all := start(t, 2, func(tx *Tx) { tx.List("l").Append("a", "b", "c"); tx.List("m").Append("x"); tx.List("l").Move(0, 1) })
	me := all[0].actor
	path := Path{{Key: "l", Kind: List}}
	move := func(actor Actor, seq causal.Seq, pos int) *Op {
		return &Op{Code: CodeListMove, Len: 1, Path: path, Elem: causal.Dot{Actor: actor, Seq: seq}, Pos: pos}
	}
	other := all[1].update(t, func(tx *Tx) { tx.List("l").Insert(0, "unseen") })
	all[0].raw(
		move(other.Actor, other.Seq, 0),
		move(me, 4, 0),  // a move
		move(me, 5, 0),  // an element of another list
		move(me, 6, 0),  // itself
		move(me, 99, 0), // never written
		&Op{Code: CodeListMove, Len: 1, Path: Path{{Key: "none", Kind: List}}, Elem: causal.Dot{Actor: me, Seq: 1}},
		&Op{Code: CodeListMove, Len: 1, Path: Path{{Key: "l", Kind: List, Birth: causal.Dot{Actor: me, Seq: 1}}}, Elem: causal.Dot{Actor: me, Seq: 1}},
	)
	meet(t, all...)
	wantJSON(t, `{"l":["unseen","b","a","c"],"m":["x"]}`, all...)
	for _, d := range all {
		if got := d.state.Stats(); got != (Stats{Void: 7}) {
			t.Errorf("stats %+v", got)
		}
	}
	all[0].raw(
		&Op{Code: CodeListDelete, Len: 1, Path: path, Pos: 2},
		move(me, 1, 0),
		&Op{Code: CodeListInsert, Len: 1, Path: path, Pos: 1, Values: []Value{IntValue(7)}},
		move(me, 2, MaxPosition),
	)
	meet(t, all...)
	wantJSON(t, `{"l":["unseen",7,"c","b"],"m":["x"]}`, all...)
	if got := all[1].state.Stats(); got != (Stats{Void: 7}) {
		t.Errorf("stats %+v", got)
	}
}

// The event of a move takes the element out in one place and puts it, with what it shows, in another; edits below
// an element that moves meanwhile come with its index of then.
func TestListMoveEvents(t *testing.T) {
	all := newDevices(2)
	for _, c := range []struct {
		name string
		do   func(tx *Tx)
		want string
	}{
		{"there is a list", func(tx *Tx) {
			tx.List("l").Append("a", "b", "c")
			tx.List("l").InsertMap(3).Put("k", 1)
		}, "list l nothing -> [\"a\",\"b\",\"c\",{\"k\":1}]\n"},
		{"a move", func(tx *Tx) { tx.List("l").Move(3, 1) }, "list l [3 -1 +0 \"\" []] [1 -0 +1 \"\" [{\"k\":1}]]\n"},
		{"edits below it", func(tx *Tx) { tx.List("l").Map(1).Put("k", 2) }, "register l/1/k 1 -> 2\n"},
		{"edits below others, and below it, of which its splice tells", func(tx *Tx) {
			tx.List("l").Set(3, "C")
			tx.List("l").Map(1).Put("k", 3)
			tx.List("l").Move(1, 0)
			tx.List("l").Map(0).Put("l", 4)
		}, "list l [1 -1 +0 \"\" []] [0 -0 +1 \"\" [{\"k\":3,\"l\":4}]]\nregister l/3 \"c\" -> \"C\"\n"},
		{"a move of what is then deleted", func(tx *Tx) {
			tx.List("l").Move(3, 0)
			tx.List("l").Delete(0, 1)
		}, "list l [3 -1 +0 \"\" []] [0 -0 +1 \"\" [null]] [0 -1 +0 \"\" []]\n"},
		{"a move and back", func(tx *Tx) {
			tx.List("l").Move(0, 2)
			tx.List("l").Move(2, 0)
		}, "list l [0 -1 +0 \"\" []] [2 -0 +1 \"\" [{\"k\":3,\"l\":4}]] [2 -1 +0 \"\" []] [0 -0 +1 \"\" [{\"k\":3,\"l\":4}]]\n"},
	} {
		all[0].update(t, c.do)
		if got := all[0].last.show(); got != c.want {
			t.Errorf("%s: the author's event\n%swant\n%s", c.name, got, c.want)
		}
		if got := all[1].take(t, all[0])[0].show(); got != c.want {
			t.Errorf("%s: the other's event\n%swant\n%s", c.name, got, c.want)
		}
	}
	// A move that lost shows in no event of those who have seen the later one.
	all[0].clock, all[1].clock = 5000, 6000
	all[0].update(t, func(tx *Tx) { tx.List("l").Move(0, 2) })
	all[1].update(t, func(tx *Tx) { tx.List("l").Move(0, 1) })
	all[1].take(t, all[0])
	if got := all[1].last.show(); got != "" {
		t.Errorf("the move that lost: %s", got)
	}
	all[0].take(t, all[1])
	if got, want := all[0].last.show(), "list l [2 -1 +0 \"\" []] [1 -0 +1 \"\" [{\"k\":3,\"l\":4}]]\n"; got != want {
		t.Errorf("the move that won: %swant %s", got, want)
	}
}

// A transaction that is taken back leaves every element where it was, with all it held and its latest move.
func TestListMoveRollback(t *testing.T) {
	all := start(t, 2, func(tx *Tx) {
		tx.List("l").Append("a", "b", "c")
		tx.List("l").InsertMap(3).Put("k", 1)
	})
	all[0].update(t, func(tx *Tx) { tx.List("l").Move(3, 0) })
	all[1].update(t, func(tx *Tx) { tx.List("l").Move(1, 2) })
	meet(t, all...)
	d := all[0]
	before := d.state.describe()
	tx := d.state.Begin(d.actor, 9000)
	l := tx.List("l")
	l.Move(0, 3)
	l.Map(3).Put("k", 2)
	l.Append("d", "e")
	l.Delete(1, 1)
	l.Move(3, 0)
	l.Insert(2, "f")
	l.Delete(0, 2)
	l.Append("g")
	tx.Rollback()
	if after := d.state.describe(); after != before {
		t.Fatalf("left\n%s, before it was\n%s", after, before)
	}
	// As if nothing had been: moves that follow find what they found elsewhere.
	concurrently(t, all,
		func(tx *Tx) { tx.List("l").Move(0, 3); tx.List("l").Insert(0, "x") },
		func(tx *Tx) { tx.List("l").Move(0, 2); tx.List("l").Delete(0, 1) },
	)
	if got, want := d.clone().describe(), d.state.describe(); got != want {
		t.Errorf("replayed from the log\n%s, built up\n%s", got, want)
	}
}

// A transaction on several slices, the ops of which change their dots when they are put in order.
func TestListMoveRegroups(t *testing.T) {
	all := newDevices(2)
	all[0].update(t, func(tx *Tx) {
		tx.List("y").Append("a", "b")
		tx.Counter("c").Add(1)
		tx.List("y").Insert(2, "own")
		tx.List("x").Append(1)
		tx.List("y").Move(2, 0)
	})
	meet(t, all...)
	wantJSON(t, `{"c":1,"x":[1],"y":["own","a","b"]}`, all...)
	if s := all[1].state.Stats(); s.Void != 0 {
		t.Errorf("stats %+v", s)
	}
}

// Elements of one run that go away one by one and come back elsewhere keep their values.
func TestListMoveRuns(t *testing.T) {
	d := newDevice(0)
	const n = 60
	d.update(t, func(tx *Tx) {
		for i := range n {
			tx.List("l").Insert(i, i) // all of them one run
		}
		for i := range n {
			tx.List("l").Move(n-1, i) // back to front
		}
	})
	want := make([]any, 0, n)
	for i := range n {
		want = append(want, n-1-i)
	}
	wantJSON(t, fmt.Sprintf(`{"l":%s}`, mustValue(t, want)), d)
	d.update(t, func(tx *Tx) {
		tx.List("l").Delete(10, n-20)
		tx.List("l").Move(0, 19)
	})
	want = append(append(want[1:10:10], want[n-10:]...), n-1)
	wantJSON(t, fmt.Sprintf(`{"l":%s}`, mustValue(t, want)), d)
	if got, want := d.clone().describe(), d.state.describe(); got != want {
		t.Errorf("replayed from the log\n%s, built up\n%s", got, want)
	}
}

// Where two moves put an element at the same place, the digest tells which of them the state takes for the latest: that
// decides about moves that come later.
func TestListMoveDigest(t *testing.T) {
	all := start(t, 2, func(tx *Tx) { tx.List("l").Append("a", "b") })
	digest := func(d *device) string {
		return string(d.state.root.places["l"].entries[0].content.(*listContent).appendDigest(d.state, nil))
	}
	digests := map[string]bool{digest(all[0]): true}
	for _, d := range all {
		d.update(t, func(tx *Tx) { tx.List("l").Move(0, 1) })
		digests[digest(d)] = true
	}
	wantJSON(t, `{"l":["b","a"]}`, all...)
	if len(digests) != 3 {
		t.Errorf("%d digests of lists without a move, with one and with another", len(digests))
	}
}
