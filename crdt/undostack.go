package crdt

// UndoStack remembers the changes of one author, the latest last, and which of them are undone, as the undo and redo keys of an
// editor need it: undoing takes back the last change that is not undone, redoing the last undoing, and a new
// change makes an end of redoing. Others' changes never enter it. It is bounded, and forgets the oldest first; it is no
// part of the store, and lives as long as the author's session.
//
// Undo, Redo and UndoChange work in a transaction of their own, begun for them. Each returns a function that must be called
// once that has ended: with the dot of the change, zero if there was none, or with its error.
//
// The zero value is an empty stack with the default limit. An UndoStack is good for the states of one Chains. It is not
// safe for concurrent use.
type UndoStack struct {
	// Limit is how many changes can be undone, 1,000 if it is 0.
	Limit int

	undo, redo []Dot
	lineage    Lineage
}

const defaultUndoLimit = 1000

func (u *UndoStack) limit() int {
	if u.Limit > 0 {
		return u.Limit
	}
	return defaultUndoLimit
}

// CanUndo reports whether there is a change to undo.
func (u *UndoStack) CanUndo() bool { return len(u.undo) > 0 }

// CanRedo reports whether there is an undone change to redo.
func (u *UndoStack) CanRedo() bool { return len(u.redo) > 0 }

// Did notes a new change of the author's, other than what the stack's own methods made.
func (u *UndoStack) Did(dot Dot) {
	u.undo = pushDot(u.undo, dot, u.limit())
	u.redo = u.redo[:0]
}

// pushDot appends dot and forgets the oldest beyond limit, many at a time.
func pushDot(dots []Dot, dot Dot, limit int) []Dot {
	if len(dots) >= 2*limit {
		dots = append(dots[:0], dots[len(dots)-limit+1:]...)
	}
	return append(dots, dot)
}

// Undo undoes the latest change that is not undone and that still shows anywhere.
func (u *UndoStack) Undo(tx *Tx, src Source) (ended func(Dot, error)) {
	return u.pop(&u.undo, &u.redo, tx, src)
}

// Redo undoes the latest undoing.
func (u *UndoStack) Redo(tx *Tx, src Source) (ended func(Dot, error)) {
	return u.pop(&u.redo, &u.undo, tx, src)
}

// pop undoes the last change of from that still shows, and moves what undid it to to.
func (u *UndoStack) pop(from, to *[]Dot, tx *Tx, src Source) (ended func(Dot, error)) {
	left := len(*from)
	for left > max(0, len(*from)-u.limit()) && !tx.over() && len(tx.s.draft.ops) == 0 {
		left--
		dot := (*from)[left]
		if lv, ok := tx.s.graph.LV(dot); ok {
			if by, is := u.lineage.isUndone(tx.s.chains.ChangeAt(lv).Span.Start); is && by >= 0 {
				continue // by UndoChange
			}
		}
		tx.Undo(src, dot, &u.lineage)
	}
	return u.settle(tx, func(by Dot) {
		*from = (*from)[:left]
		if !by.IsZero() {
			*to = pushDot(*to, by, u.limit())
		}
	})
}

// UndoChange undoes a change that need not be the last, nor the author's. To the stack that is a new change.
func (u *UndoStack) UndoChange(tx *Tx, src Source, dot Dot) (ended func(Dot, error)) {
	tx.Undo(src, dot, &u.lineage)
	return u.settle(tx, func(by Dot) {
		if !by.IsZero() {
			u.Did(by)
		}
	})
}

// settle returns what is to be called when tx has ended; done is called if it ended well.
func (u *UndoStack) settle(tx *Tx, done func(by Dot)) func(Dot, error) {
	base, last := tx.s.pass.base, tx.s.pass.first+Seq(tx.s.draft.shown)-1
	return func(by Dot, err error) {
		if err != nil || !by.IsZero() && by.Seq != last { // with other ops in it, those of the undoing may have other dots
			u.lineage.truncate(base)
		}
		if err == nil {
			done(by)
		}
	}
}
