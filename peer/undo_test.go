package peer

import (
	"errors"
	"testing"

	"github.com/atollsync/atoll/crdt"
)

// TestUndo undoes and redoes on one device while another edits on.
func TestUndo(t *testing.T) {
	a, b := newDevice(t, "a").run(), newDevice(t, "b").run()
	sa := a.create("list")
	sb := b.join(sa.Ticket())
	typed := func(s *Store, fn func(x *crdt.TxText)) crdt.Dot {
		t.Helper()
		dot, err := s.Update(ctxFor(t), func(tx *crdt.Tx) error { fn(tx.Text("t")); return nil })
		if err != nil {
			t.Fatal(err)
		}
		return dot
	}
	both := func(want string) {
		t.Helper()
		if got := converged(t, sa, sb); got != want {
			t.Fatalf("shows %s, want %s", got, want)
		}
	}
	undo := func(s *Store) {
		t.Helper()
		if dot, err := s.Undo(ctxFor(t)); err != nil || dot.IsZero() {
			t.Fatalf("undo: %v, %v", dot, err)
		}
	}
	if _, err := sa.Undo(ctxFor(t)); !errors.Is(err, ErrNothingToUndo) {
		t.Errorf("undo with nothing done: %v", err)
	}
	typed(sa, func(x *crdt.TxText) { x.Append("hello world") })
	cut := typed(sa, func(x *crdt.TxText) { x.Delete(0, 6) })
	both(`{"t":"world"}`)
	before := version(t, sa)
	typed(sb, func(x *crdt.TxText) { x.Append("!") })
	both(`{"t":"world!"}`)
	undo(sa)
	both(`{"t":"hello world!"}`)
	if _, err := sa.UndoChange(ctxFor(t), cut); !errors.Is(err, crdt.ErrUndone) {
		t.Errorf("undo what is undone: %v", err)
	}
	if undo, redo := sa.CanUndo(); !undo || !redo {
		t.Errorf("can undo %v, redo %v", undo, redo)
	}
	undo(sa)
	both(`{"t":"!"}`)
	for range 2 {
		if _, err := sa.Redo(ctxFor(t)); err != nil {
			t.Fatal(err)
		}
	}
	both(`{"t":"world!"}`)
	edits, err := sb.Edits(before, version(t, sb))
	if err != nil || len(edits) != 1 || edits[0].Splices[0].Text != "world!" {
		t.Errorf("edits %+v, %v", edits, err)
	}

	// Another's change, and one made before the node was started.
	if _, err := sb.UndoChange(ctxFor(t), cut); err != nil {
		t.Fatal(err)
	}
	if _, err := sb.UndoChange(ctxFor(t), crdt.Dot{Actor: cut.Actor, Seq: 1 << 20}); !errors.Is(err, crdt.ErrAhead) {
		t.Errorf("a change that is not held: %v", err)
	}
	typed(sa, func(x *crdt.TxText) { x.Append("?") })
	if _, err := sa.Redo(ctxFor(t)); !errors.Is(err, ErrNothingToUndo) {
		t.Errorf("redo after a new change: %v", err)
	}
}

// TestUndoAfterFailure: what was not made is not to be undone.
func TestUndoAfterFailure(t *testing.T) {
	a, ds := newFaulty(t, "a")
	a.run()
	s := a.create("list")
	put(t, s, "safe", 1)
	want := show(t, s)
	ds.broken.Store(true)
	if _, err := s.Undo(ctxFor(t)); !errors.Is(err, ErrReadOnly) {
		t.Errorf("undo on a full disk: %v", err)
	}
	if got := show(t, s); got != want {
		t.Errorf("shows %s, want %s", got, want)
	}
	if undo, redo := s.CanUndo(); undo || redo {
		t.Errorf("can undo %v, redo %v", undo, redo)
	}
}
