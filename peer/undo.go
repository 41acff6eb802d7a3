package peer

import (
	"context"
	"errors"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/peer/replica"
)

// ErrNothingToUndo is returned by Undo and Redo if there is nothing to undo or redo: this process has made no change that
// still shows anywhere, or has redone all that it undid.
var ErrNothingToUndo = errors.New("peer: there is nothing to undo or redo")

// Undo undoes the latest change of this process that is not undone and that still shows anywhere, by a change
// as any other, whose dot it returns. What others wrote since stays: see crdt.Tx.Undo. The changes of this process are
// those made by Update and the like; how many of them can be undone is bounded, and after a failure of the disk
// none of those before it can.
func (s *Store) Undo(ctx context.Context) (crdt.Dot, error) {
	return s.undoing(ctx, (*crdt.UndoStack).Undo)
}

// Redo undoes the latest Undo. Any other change of this process makes an end of redoing.
func (s *Store) Redo(ctx context.Context) (crdt.Dot, error) {
	return s.undoing(ctx, (*crdt.UndoStack).Redo)
}

// UndoChange undoes the change that dot is in, whenever and by whomever it was made, and returns the dot of the change that
// does; zero if nothing of it shows any more. To Undo and Redo that is a change of this process. Errors wrap
// crdt.ErrAhead if this device does not hold the change, and crdt.ErrUndone if this process has undone it: undo
// that.
func (s *Store) UndoChange(ctx context.Context, dot crdt.Dot) (crdt.Dot, error) {
	by, err := s.undoing(ctx, func(u *crdt.UndoStack, tx *crdt.Tx, src crdt.Source) func(crdt.Dot, error) {
		return u.UndoChange(tx, src, dot)
	})
	if errors.Is(err, ErrNothingToUndo) {
		err = nil
	}
	return by, err
}

// undoing makes the change with which fill fills a transaction.
func (s *Store) undoing(ctx context.Context, fill func(*crdt.UndoStack, *crdt.Tx, crdt.Source) func(crdt.Dot, error)) (crdt.Dot, error) {
	return s.commit(ctx, func(r *replica.Replica) (crdt.Dot, error) {
		var ended func(crdt.Dot, error)
		dot, err := r.Commit(s.now(), func(tx *crdt.Tx) error {
			ended = fill(&s.undo, tx, r.Source())
			return tx.Err()
		})
		if ended != nil {
			ended(dot, err)
		}
		if err == nil && dot.IsZero() {
			err = ErrNothingToUndo
		}
		return dot, err
	})
}

// CanUndo reports whether there are changes for Undo, and undone ones for Redo.
func (s *Store) CanUndo() (undo, redo bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.undo.CanUndo(), s.undo.CanRedo()
}

// Edits returns what turns what the store showed at one version into what it showed at another: see crdt.State.Edits. It
// holds up writers for as long as it takes.
func (s *Store) Edits(from, to crdt.Version) (edits []crdt.Edit, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed || s.rep == nil {
		return nil, s.gone()
	}
	return s.rep.State().Edits(s.rep.Source(), from, to)
}
