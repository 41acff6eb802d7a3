package crdt

import (
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// undoing commits a transaction that a stack fills.
func (d *device) undoing(t fataler, fill func(tx *Tx) func(Dot, error)) Accepted {
	d.clock++
	tx := d.state.Begin(d.actor, d.clock)
	ended := fill(&tx)
	a, ev, ok, err := tx.Commit()
	if err != nil {
		ended(Dot{}, err)
		t.Fatalf("undo: %v", err)
	}
	if !ok {
		ended(Dot{}, nil)
		return Accepted{}
	}
	ended(a.Dot(), nil)
	d.committed(a, ev)
	return a
}

// undo undoes a change, without any stack.
func (d *device) undo(t fataler, a Accepted, lineage *Lineage) Accepted {
	return d.update(t, func(tx *Tx) { tx.Undo(d, a.Dot(), lineage) })
}

// TestUndoIsExact: to undo a change right away, of whatever kind, restores all that was shown, and to undo that, all that
// the change had made of it, and so on.
func TestUndoIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := newDevices(3)
		wander(t, all, 6, func(tx *Tx) { doSomething(t, tx, 3) })
		for _, d := range all {
			d.update(t, func(tx *Tx) { doSomething(t, tx, 2) })
		}
		d := rapid.SampledFrom(all).Draw(t, "undoes")
		if rapid.Bool().Draw(t, "conflicts") {
			meet(t, all...)
		}
		var lineage *Lineage
		if rapid.Bool().Draw(t, "lineage") {
			lineage = new(Lineage)
		}
		shown := []string{d.state.JSON()}
		a := d.update(t, func(tx *Tx) { doSomething(t, tx, 4) })
		if a.Change == nil {
			return
		}
		shown = append(shown, d.state.JSON())
		for i := range 4 {
			by := d.undo(t, a, lineage)
			if got, want := d.state.JSON(), shown[i%2]; got != want {
				t.Fatalf("undone %d times\n     %s\ngot  %s\nwant %s\nby   %v", i+1, shown[1-i%2], got, want, by.Change)
			}
			if by.Change == nil {
				break
			}
			a = by
		}
		meet(t, all...)
		if got := d.clone().describe(); got != d.state.describe() {
			t.Fatalf("replayed\n%s\nauthored\n%s", got, d.state.describe())
		}
	})
}

// TestUndoStack: undo goes back through what was shown, and redo forth again, whatever the kinds, and with what
// others wrote before.
func TestUndoStack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := newDevices(2)
		wander(t, all, 4, func(tx *Tx) { doSomething(t, tx, 3) })
		d := all[0]
		var stack UndoStack
		shown := []string{d.state.JSON()}
		at := 0
		// press presses a key until something else is shown, or the stack is at its end.
		press := func(can func() bool, key func(tx *Tx, src Source) func(Dot, error)) {
			for before := d.state.JSON(); can() && d.state.JSON() == before; {
				d.undoing(t, func(tx *Tx) func(Dot, error) { return key(tx, d) })
			}
		}
		for range rapid.IntRange(1, 16).Draw(t, "steps") {
			switch key := rapid.IntRange(0, 3).Draw(t, "key"); {
			case key == 0:
				press(stack.CanUndo, stack.Undo)
				for at--; at > 0 && shown[at] == shown[at+1]; at-- {
				}
				at = max(at, 0)
			case key == 1:
				press(stack.CanRedo, stack.Redo)
				for at++; at < len(shown)-1 && shown[at] == shown[at-1]; at++ {
				}
				at = min(at, len(shown)-1)
			default:
				a := d.update(t, func(tx *Tx) { doSomething(t, tx, 2) })
				if a.Change == nil {
					continue
				}
				stack.Did(a.Dot())
				at++
				shown = append(shown[:at], d.state.JSON())
			}
			if got := d.state.JSON(); got != shown[at] {
				t.Fatalf("got  %s\nwant %s", got, shown[at])
			}
		}
	})
}

// wantText checks what all devices show as text t.
func wantText(t *testing.T, want string, all ...*device) {
	t.Helper()
	for i, d := range all {
		if got := d.state.Text("t").String(); got != want {
			t.Fatalf("device %d shows %q, want %q", i, got, want)
		}
	}
}

// TestUndoAmongEdits undoes what was typed and deleted after others edited inside, around and over it.
func TestUndoAmongEdits(t *testing.T) {
	insert := func(pos int, s string) func(tx *Tx) { return func(tx *Tx) { tx.Text("t").Insert(pos, s) } }
	remove := func(pos, n int) func(tx *Tx) { return func(tx *Tx) { tx.Text("t").Delete(pos, n) } }
	tests := []struct {
		name             string
		mine, theirs     func(tx *Tx)
		concurrent       bool
		edited, undone   string
		redone           string
		theirsFirst      bool
		undoTheirs, both string
	}{
		{name: "inside what was inserted", mine: insert(3, "MINE"), theirs: insert(5, "x"),
			edited: "abcMIxNEdef", undone: "abcxdef", redone: "abcMIxNEdef"},
		{name: "around what was inserted", mine: insert(3, "MINE"), theirs: func(tx *Tx) { insert(7, ">")(tx); insert(3, "<")(tx) },
			edited: "abc<MINE>def", undone: "abc<>def", redone: "abc<MINE>def"},
		{name: "over what was inserted", mine: insert(3, "MINE"), theirs: remove(2, 3),
			edited: "abNEdef", undone: "abdef", redone: "abNEdef"},
		{name: "inside what was deleted", mine: remove(1, 4), theirs: insert(3, "x"), concurrent: true,
			edited: "axf", undone: "abcxdef", redone: "axf"},
		{name: "around what was deleted", mine: remove(1, 4), theirs: func(tx *Tx) { insert(5, ">")(tx); insert(1, "<")(tx) }, concurrent: true,
			edited: "a<>f", undone: "a<bcde>f", redone: "a<>f"},
		{name: "over what was deleted", mine: remove(1, 3), theirs: remove(2, 4), concurrent: true,
			edited: "a", undone: "ab", redone: "a"},
		{name: "where it was deleted, later", mine: remove(1, 4), theirs: insert(1, "x"),
			edited: "axf", undone: "axbcdef", redone: "axf"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			all := start(t, 2, func(tx *Tx) { tx.Text("t").Append("abcdef") })
			mine := all[0].update(t, test.mine)
			if !test.concurrent {
				meet(t, all...)
			}
			all[1].update(t, test.theirs)
			meet(t, all...)
			wantText(t, test.edited, all...)
			undo := all[0].undo(t, mine, nil)
			meet(t, all...)
			wantText(t, test.undone, all...)
			all[0].undo(t, undo, nil)
			meet(t, all...)
			wantText(t, test.redone, all...)
		})
	}
}

// TestUndoOfUndoTwice: two devices redo, or undo, the same change at once.
func TestUndoOfUndoTwice(t *testing.T) {
	all := start(t, 2, func(tx *Tx) {
		tx.Text("t").Append("text")
		tx.Map("m").Map("a").Put("k", 1)
		tx.Counter("n").Add(1)
		tx.Set("s").Add("x")
		tx.Register("r").Put("old")
		tx.List("l").Append("e")
	})
	before := all[0].state.JSON()
	change := all[0].update(t, func(tx *Tx) {
		tx.Text("t").Insert(4, "!")
		tx.Map("m").Delete("a")
		tx.Counter("n").Add(2)
		tx.Set("s").Remove("x")
		tx.Register("r").Put("new")
		tx.List("l").Append("f")
	})
	after := all[0].state.JSON()
	undo := all[0].undo(t, change, nil)
	meet(t, all...)
	wantJSON(t, before, all...)

	// Redone by both: there is nothing but the counter that could count twice, and what was inserted again.
	redo := func(d *device) Accepted { return d.undo(t, undo, nil) }
	a, b := redo(all[0]), redo(all[1])
	wantJSON(t, after, all[:1]...)
	meet(t, all...)
	wantJSON(t, `{"l":["e","f","f"],"m":{},"n":5,"r":"new","s":[],"t":"text!!"}`, all...)
	// Each takes back its own.
	all[0].undo(t, a, nil)
	all[1].undo(t, b, nil)
	meet(t, all...)
	wantJSON(t, before, all...)

	// Undone by both, which is what the redoing devices would now do again.
	change = all[0].update(t, func(tx *Tx) {
		tx.Text("t").Insert(0, "(")
		tx.Map("m").Map("b").Text("deep").Append("x")
		tx.List("l").Insert(0, "first")
	})
	meet(t, all...)
	all[0].undo(t, change, nil)
	all[1].undo(t, change, nil)
	meet(t, all...)
	wantJSON(t, before, all...)
}

// TestUndoKinds undoes a change of every kind after somebody else had a hand in it too.
func TestUndoKinds(t *testing.T) {
	tests := []struct {
		name          string
		start         func(tx *Tx)
		mine, theirs  func(tx *Tx)
		edited        string // before undoing
		undone        string
		wantsNothing  bool
		notConcurrent bool
	}{
		{name: "a value, written again later", start: func(tx *Tx) { tx.Map("m").Put("k", 0) },
			mine: func(tx *Tx) { tx.Map("m").Put("k", 1) }, theirs: func(tx *Tx) { tx.Map("m").Put("k", 2) }, notConcurrent: true,
			edited: `{"m":{"k":2}}`, undone: `{"m":{"k":2}}`, wantsNothing: true},
		{name: "a value beside another key", start: func(tx *Tx) { tx.Map("m").Put("k", 0) },
			mine: func(tx *Tx) { tx.Map("m").Put("k", 1); tx.Map("m").Put("new", 1) }, theirs: func(tx *Tx) { tx.Map("m").Put("l", 2) },
			edited: `{"m":{"k":1,"l":2,"new":1}}`, undone: `{"m":{"k":0,"l":2}}`},
		{name: "a key deleted, with all below", start: func(tx *Tx) {
			x := tx.Map("m").Map("todo")
			x.Put("title", "milk")
			x.Text("note").Append("2 l")
			x.Counter("n").Add(3)
			x.Set("s").Add(1)
			x.List("l").InsertMap(0).Put("deep", true)
		}, mine: func(tx *Tx) { tx.Map("m").Delete("todo") }, theirs: func(tx *Tx) { tx.Map("m").Put("x", 1) },
			edited: `{"m":{"x":1}}`, undone: `{"m":{"todo":{"l":[{"deep":true}],"n":3,"note":"2 l","s":[1],"title":"milk"},"x":1}}`},
		{name: "a key deleted, where something stands again", start: func(tx *Tx) { tx.Map("m").Map("todo").Put("title", "milk") },
			mine: func(tx *Tx) { tx.Map("m").Delete("todo") }, theirs: func(tx *Tx) { tx.Map("m").Map("todo").Put("title", "tea") }, notConcurrent: true,
			edited: `{"m":{"todo":{"title":"tea"}}}`, undone: `{"m":{"todo":{"title":"tea"}}}`, wantsNothing: true},
		{name: "a map made, in which others wrote", start: func(tx *Tx) { tx.Map("m").Touch() },
			mine: func(tx *Tx) { tx.Map("m").Map("todo").Put("title", "milk") }, theirs: func(tx *Tx) { tx.Map("m").Map("todo").Put("done", true) },
			edited: `{"m":{"todo":{"done":true,"title":"milk"}}}`, undone: `{"m":{"todo":{"done":true}}}`},
		{name: "a counter", start: func(tx *Tx) { tx.Counter("n").Add(1) },
			mine: func(tx *Tx) { tx.Counter("n").Add(5) }, theirs: func(tx *Tx) { tx.Counter("n").Add(7) },
			edited: `{"n":13}`, undone: `{"n":8}`},
		{name: "members, one of which others made too", start: func(tx *Tx) { tx.Set("s").Add("gone", "away") },
			mine:   func(tx *Tx) { tx.Set("s").Add("both", "mine"); tx.Set("s").Remove("gone", "away") },
			theirs: func(tx *Tx) { tx.Set("s").Add("both", "theirs", "away") },
			edited: `{"s":["away","both","mine","theirs"]}`, undone: `{"s":["away","both","gone","theirs"]}`},
		{name: "members of a set where removes win", start: func(tx *Tx) { tx.RemoveWinsSet("s").Add("gone") },
			mine:   func(tx *Tx) { tx.RemoveWinsSet("s").Add("mine"); tx.RemoveWinsSet("s").Remove("gone") },
			theirs: func(tx *Tx) { tx.RemoveWinsSet("s").Add("theirs") },
			edited: `{"s":["mine","theirs"]}`, undone: `{"s":["gone","theirs"]}`},
		{name: "elements", start: func(tx *Tx) { tx.List("l").Append("a", "b", "c") },
			mine:   func(tx *Tx) { tx.List("l").Delete(1, 1); tx.List("l").Insert(1, "X") },
			theirs: func(tx *Tx) { tx.List("l").Insert(2, "y"); tx.List("l").Set(0, "A") },
			edited: `{"l":["A","X","y","c"]}`, undone: `{"l":["A","b","y","c"]}`},
		{name: "an element with all it holds", start: func(tx *Tx) {
			tx.List("l").Append("a")
			tx.List("l").InsertMap(1).Text("t").Append("deep")
			tx.List("l").Append("c")
		}, mine: func(tx *Tx) { tx.List("l").Delete(0, 2) }, theirs: func(tx *Tx) { tx.List("l").Append("d") },
			edited: `{"l":["c","d"]}`, undone: `{"l":["a",{"t":"deep"},"c","d"]}`},
		{name: "a move", start: func(tx *Tx) { tx.List("l").Append("a", "b", "c", "d") },
			mine: func(tx *Tx) { tx.List("l").Move(0, 3) }, theirs: func(tx *Tx) { tx.List("l").Insert(1, "x") },
			edited: `{"l":["x","b","c","d","a"]}`, undone: `{"l":["a","x","b","c","d"]}`},
		{name: "a move that others overrode", start: func(tx *Tx) { tx.List("l").Append("a", "b", "c", "d") },
			mine: func(tx *Tx) { tx.List("l").Move(0, 3) }, theirs: func(tx *Tx) { tx.List("l").Move(3, 1) }, notConcurrent: true,
			edited: `{"l":["b","a","c","d"]}`, undone: `{"l":["b","a","c","d"]}`, wantsNothing: true},
		{name: "an element set", start: func(tx *Tx) { tx.List("l").Append("a", "b") },
			mine: func(tx *Tx) { tx.List("l").Set(1, "B") }, theirs: func(tx *Tx) { tx.List("l").Insert(0, "x") },
			edited: `{"l":["x","a","B"]}`, undone: `{"l":["x","a","b"]}`},
		{name: "another kind in its place", start: func(tx *Tx) { tx.Map("m").Map("k").Put("deep", 1) },
			mine: func(tx *Tx) { tx.Map("m").Put("k", "flat") }, theirs: func(tx *Tx) { tx.Map("m").Put("l", 2) },
			edited: `{"m":{"k":"flat","l":2}}`, undone: `{"m":{"k":{"deep":1},"l":2}}`},
		{name: "a whole slice", start: func(tx *Tx) { tx.Text("t").Append("text") },
			mine: func(tx *Tx) { tx.Delete("t") }, theirs: func(tx *Tx) { tx.Counter("n").Add(1) },
			edited: `{"n":1}`, undone: `{"n":1,"t":"text"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			all := start(t, 2, test.start)
			mine := all[0].update(t, test.mine)
			if test.notConcurrent {
				meet(t, all...)
			}
			all[1].update(t, test.theirs)
			meet(t, all...)
			wantJSON(t, test.edited, all...)
			undo := all[0].undo(t, mine, nil)
			if nothing := undo.Change == nil; nothing != test.wantsNothing {
				t.Errorf("undone by %v", undo.Change)
			}
			meet(t, all...)
			wantJSON(t, test.undone, all...)
			if undo.Change != nil {
				all[0].undo(t, undo, nil)
				meet(t, all...)
				wantJSON(t, test.edited, all...)
			}
		})
	}
}

func TestUndoErrors(t *testing.T) {
	all := start(t, 2, func(tx *Tx) { tx.Text("t").Append("x") })
	a, b := all[0], all[1]
	change := a.update(t, func(tx *Tx) { tx.Text("t").Append("y") })
	tx := b.state.Begin(b.actor, 3000)
	tx.Undo(b, change.Dot(), nil)
	if err := tx.Err(); !errors.Is(err, ErrAhead) {
		t.Errorf("a change that has not come: %v", err)
	}
	tx.Rollback()
	tx = a.state.Begin(a.actor, 3000)
	tx.Counter("n").Add(1)
	tx.Undo(a, change.Dot(), nil)
	if err := tx.Err(); !errors.Is(err, ErrUndo) {
		t.Errorf("after another op: %v", err)
	}
	tx.Rollback()
	broken := errors.New("broken")
	for _, src := range []Source{failingSource{broken}, failingSource{nil}} {
		tx = a.state.Begin(a.actor, 3000)
		tx.Undo(src, change.Dot(), nil)
		if err := tx.Err(); err == nil || src == (failingSource{broken}) && !errors.Is(err, broken) {
			t.Errorf("from a log that cannot be read: %v", err)
		}
		tx.Rollback()
	}

	var stack UndoStack
	undone := func(dot Dot) error {
		tx := a.state.Begin(a.actor, 4000)
		ended := stack.UndoChange(&tx, a, dot)
		acc, ev, ok, err := tx.Commit()
		ended(acc2dot(acc), err)
		if ok {
			a.committed(acc, ev)
		}
		return err
	}
	if err := undone(change.Dot()); err != nil {
		t.Fatal(err)
	}
	if err := undone(change.Dot()); !errors.Is(err, ErrUndone) {
		t.Errorf("undone again: %v", err)
	}
	a.undoing(t, func(tx *Tx) func(Dot, error) { return stack.Undo(tx, a) })
	wantText(t, "xy", a)
	if stack.CanUndo() || !stack.CanRedo() {
		t.Error("the undoing of a change is to be undone, and that then redone")
	}
	if err := undone(change.Dot()); err != nil {
		t.Errorf("redone, and undone again: %v", err)
	}
	wantText(t, "x", a)
}

func acc2dot(a Accepted) Dot {
	if a.Change == nil {
		return Dot{}
	}
	return a.Dot()
}

// TestUndoStackBounds: what is older than the limit cannot be undone, and is forgotten.
func TestUndoStackBounds(t *testing.T) {
	d := newDevice(0)
	stack := UndoStack{Limit: 3}
	for range 50 {
		stack.Did(d.update(t, func(tx *Tx) { tx.Text("t").Append("x") }).Dot())
	}
	if len(stack.undo) > 6 {
		t.Errorf("%d changes held", len(stack.undo))
	}
	for range 10 {
		d.undoing(t, func(tx *Tx) func(Dot, error) { return stack.Undo(tx, d) })
	}
	if got := d.state.Text("t").Len(); got < 44 || got > 47 || stack.CanUndo() {
		t.Errorf("%d left, can undo: %v", got, stack.CanUndo())
	}
}

// TestUndoOrder: what comes back one after the other comes back in its order, also beside what was typed to what
// had come back before.
func TestUndoOrder(t *testing.T) {
	d := newDevice(0)
	var stack UndoStack
	do := func(fn func(x *TxText)) {
		stack.Did(d.update(t, func(tx *Tx) { fn(tx.Text("t")) }).Dot())
	}
	undo := func() { d.undoing(t, func(tx *Tx) func(Dot, error) { return stack.Undo(tx, d) }) }
	redo := func() { d.undoing(t, func(tx *Tx) func(Dot, error) { return stack.Redo(tx, d) }) }
	do(func(x *TxText) { x.Append("a12c") })
	do(func(x *TxText) { x.Delete(1, 1) })
	do(func(x *TxText) { x.Delete(1, 1) })
	wantText(t, "ac", d)
	undo()
	wantText(t, "a2c", d)
	undo()
	wantText(t, "a12c", d)
	do(func(x *TxText) { x.Delete(2, 1) })
	do(func(x *TxText) { x.Delete(1, 1) })
	undo()
	undo()
	wantText(t, "a12c", d)
	do(func(x *TxText) { x.Insert(2, "xy") })
	undo()
	redo()
	wantText(t, "a1xy2c", d)
	do(func(x *TxText) { x.Delete(0, 5) })
	undo()
	wantText(t, "a1xy2c", d)
	undo()
	undo()
	wantText(t, "", d)
	redo()
	redo()
	wantText(t, "a1xy2c", d)
}
