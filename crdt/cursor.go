package crdt

import (
	"errors"
	"fmt"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/sequence"
)

// Bias says to which of its two neighbours a Cursor belongs, and so on which side of it goes what is inserted
// exactly there.
type Bias uint8

const (
	// BiasLeft: to the element before it. What is inserted at the cursor goes after it.
	BiasLeft Bias = 0
	// BiasRight: to the element after it. What is inserted at the cursor goes before it.
	BiasRight Bias = 1
)

// String returns b's name.
func (b Bias) String() string {
	if b == BiasLeft {
		return "left"
	}
	return "right"
}

// Cursor is a position between two elements of a Text or List that survives edits by others: it belongs to one of
// the two, by its Bias, and stays next to that. Where that was deleted it is the place where it stood, and
// what is inserted there later comes before it. A Cursor at the start, with BiasLeft, or at the end, with BiasRight, stays there.
//
// It is told as a position at a version, just as an op is, so it can be made, sent and kept without any state; it is resolved
// as if an op had been made there. It is a value, and can be used at any version that includes its own, on every
// replica. The zero Cursor is none.
//
// Others keep the name of an element (Yjs relative positions, Automerge cursors). The text of this package has no names.
type Cursor struct {
	path    Path
	version Version
	pos     int
	bias    Bias
}

// ErrNotThere is wrapped by errors about a Cursor of a container that is not shown, or of another one than asked.
// The cursor may be good again when what was deleted is written again.
var ErrNotThere = errors.New("crdt: the container of the cursor is not shown here")

// ErrAhead is wrapped by errors about a version, that of a Cursor or one asked about, that the state does not
// include: apply its changes first, and ask again.
var ErrAhead = errors.New("crdt: the state lacks changes of the version")

// IsZero reports whether c is no cursor.
func (c Cursor) IsZero() bool { return len(c.path) == 0 }

// Path returns the path to the container c is in. Read-only.
func (c Cursor) Path() Path { return c.path }

// Kind returns the kind of the container c is in: Text or List, 0 if c is zero.
func (c Cursor) Kind() Kind {
	if c.IsZero() {
		return 0
	}
	return c.path[len(c.path)-1].Kind
}

// Version returns the version at which c was made. Read-only.
func (c Cursor) Version() Version { return c.version }

// Bias returns the side to which c belongs.
func (c Cursor) Bias() Bias { return c.bias }

// String renders c for logs.
func (c Cursor) String() string {
	return fmt.Sprintf("%s at %d, %s, of %s", c.path, c.pos, c.bias, c.version)
}

// Cursor returns a cursor at position pos. Errors wrap ErrRange if there is no such position, ErrNotThere if the
// text does not stand, and ErrTx during a transaction, which has no version yet.
func (v *TextView) Cursor(pos int, bias Bias) (Cursor, error) { return v.cursor(v.Len(), pos, bias) }

// Resolve returns the position where c, a cursor of this text, is now. Errors wrap ErrNotThere or ErrAhead. Its cost is
// that of what happened to the text since c was made: no more than a look if nothing did.
func (v *TextView) Resolve(c Cursor) (int, error) { return v.resolve(c) }

// Cursor returns a cursor before index i, or at the end if i is Len. It is made as that of a Text is.
func (v *ListView) Cursor(i int, bias Bias) (Cursor, error) { return v.cursor(v.Len(), i, bias) }

// Resolve returns the index before which c, a cursor of this list, is now. It works as that of a Text does. A cursor
// stays where it is when the element it belongs to is moved away, as if that had been deleted.
func (v *ListView) Resolve(c Cursor) (int, error) { return v.resolve(c) }

func (v *view) cursor(n, pos int, bias Bias) (Cursor, error) {
	switch {
	case v.s.writing:
		return Cursor{}, fmt.Errorf("crdt: cursor in %s: during a transaction: %w", v.at, ErrTx)
	case pos < 0 || pos > n:
		return Cursor{}, fmt.Errorf("%w: cursor in %s at %d of %d", ErrRange, v.at, pos, n)
	case bias > BiasRight:
		return Cursor{}, fmt.Errorf("crdt: cursor in %s: bias %d", v.at, bias)
	}
	path := make(Path, v.at.depth())
	i := len(path)
	for a := v.at; a != nil; a = a.parent {
		e := v.s.entry(a)
		if e == nil {
			return Cursor{}, fmt.Errorf("%w: %s", ErrNotThere, v.at)
		}
		i--
		path[i] = Step{Key: a.key, Kind: a.kind, Birth: e.birth}
		if a.inList() {
			path[i].Elem, path[i].Branch = v.s.elem(a.elem)
		}
	}
	return Cursor{path: path, version: v.s.Version(), pos: pos, bias: bias}, nil
}

func (v *view) resolve(c Cursor) (int, error) {
	e, _, err := v.s.follow(c)
	if err != nil {
		return 0, err
	}
	if e != v.entry() {
		return 0, fmt.Errorf("%w: a cursor in %s, resolved in %s", ErrNotThere, c.path, v.at)
	}
	return v.s.resolveIn(e, c)
}

// Resolve returns where c is now: the path that leads to its container, as State.Path reads it, and the position there. Errors
// are those of TextView.Resolve.
func (s *State) Resolve(c Cursor) (keys []string, pos int, err error) {
	e, keys, err := s.follow(c)
	if err == nil {
		pos, err = s.resolveIn(e, c)
	}
	if err != nil {
		return nil, 0, err
	}
	return keys, pos, nil
}

// follow returns the entry c is in, which must be shown, and the keys that lead there.
func (s *State) follow(c Cursor) (*entry, []string, error) {
	lost := func(i int) (*entry, []string, error) {
		return nil, nil, fmt.Errorf("%w: %s", ErrNotThere, c.path[:i])
	}
	if c.IsZero() {
		return lost(0)
	}
	var e *entry
	keys := make([]string, len(c.path))
	in := content(s.shownRoot())
	for i, step := range c.path {
		var p *place
		keys[i] = step.Key
		switch in := in.(type) {
		case *mapContent:
			p = in.places[step.Key]
		case *listContent:
			if lv, ok := s.elemIn(in, step.Elem); ok {
				if index, ok := in.elements.Index(lv); ok {
					p, keys[i] = in.peek(lv), fmt.Sprint(index)
				}
			}
		}
		if p == nil {
			return lost(i + 1)
		}
		if e = p.shown(s); e == nil || e.kind != step.Kind || e.birth != step.Birth {
			return lost(i + 1)
		}
		in = e.content
	}
	return e, keys, nil
}

// resolveIn returns where c is in e, its container.
func (s *State) resolveIn(e *entry, c Cursor) (int, error) {
	lacks, err := s.lacks(c.version)
	if err != nil {
		return 0, err
	}
	return sequenceOf(e).Resolve(s.graph, lacks, c.pos, c.bias == BiasRight), nil
}

// lacks returns the ops that s has applied and version does not have.
func (s *State) lacks(version Version) ([]causal.Span, error) {
	lvs, ok := s.graph.LVs(version)
	if !ok {
		return nil, fmt.Errorf("%w: %v, it is at %v", ErrAhead, version, s.Version())
	}
	lacks, ahead := s.graph.Diff(s.Heads(), lvs)
	if len(ahead) > 0 {
		return nil, fmt.Errorf("%w: %v, it is at %v", ErrAhead, version, s.Version())
	}
	return lacks, nil
}

// sequenceOf returns the ops of a Text or List.
func sequenceOf(e *entry) *sequence.Sequence {
	switch c := e.content.(type) {
	case *textContent:
		return &c.ops
	case *listContent:
		return &c.ops
	}
	panic("crdt: no sequence in a " + e.kind.String())
}
