package peer

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// chunkOps is how many ops of the log are read between two looks at the world.
const chunkOps = 4096

// past replays a store's log into memory of its own, some ops at a time, so that it holds up no
// writer however long the history is, and what comes of it belongs to the caller alone.
type past struct {
	store    *Store
	rewrites int        // of the log, when this began
	copy     *crdt.Copy // what add was given
	next     causal.LV  // the first op that read has not returned
}

// newPast returns a past of the log as it is after the given number of rewrites.
func (s *Store) newPast(rewrites int) *past {
	return &past{store: s, rewrites: rewrites, copy: crdt.NewCopy(s.id)}
}

// errRewritten says that the end of the log was replaced while it was replayed.
var errRewritten = errors.New("peer: the log was rewritten meanwhile")

// record is a change in the log and what it was made against.
type record struct {
	*crdt.Change
	span    causal.Span
	own     causal.LV // the op before it in its actor's log, -1: there is none
	parents []causal.LV
	version crdt.Version // of parents
	signed  bool
}

// read returns the next changes of the log in causal order, none at its end.
func (p *past) read(ctx context.Context) ([]record, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	s := p.store
	s.mu.RLock()
	if s.closed || s.rep == nil {
		defer s.mu.RUnlock()
		return nil, s.gone()
	}
	end := min(s.rep.Chains().Graph().Len(), p.next+chunkOps)
	rewritten := s.rewrites != p.rewrites
	s.mu.RUnlock()
	if rewritten {
		return nil, errRewritten
	}
	if end <= p.next {
		return nil, nil
	}

	var out []record
	err := s.log.Changes(causal.Span{Start: p.next, End: end}, func(a crdt.Accepted) bool {
		out = append(out, record{Change: a.Change, span: a.Span})
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("read the log of %q: %w", s.Name(), err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.rep == nil {
		return nil, s.gone()
	}
	if s.rewrites != p.rewrites {
		return nil, errRewritten
	}
	chains := s.rep.Chains()
	g := chains.Graph()
	for i := range out {
		r := &out[i]
		if r.span.Start != p.next || r.span.End > g.Len() {
			return nil, fmt.Errorf("peer: the log of %q continues with ops %v, not at %d", s.Name(), r.span, p.next)
		}
		r.parents, r.own = g.Parents(r.span.Start), -1
		if lv, ok := g.LVOf(g.ActorOf(r.span.Start), r.Seq-1); ok {
			r.own = lv
		}
		r.version = g.Version(r.parents)
		r.signed = chains.ChangeAt(r.span.Start).Signed
		p.next = r.span.End
	}
	return out, nil
}

// add copies r, whose parents have been added.
func (p *past) add(r record) (crdt.Accepted, error) {
	return p.copy.Add(r.Change, r.span, r.own, r.parents)
}

// replay adds and applies, in the order of the log, the changes that are in want, all of which the log must
// hold, to an empty state.
func (p *past) replay(ctx context.Context, want []causal.Span) (*crdt.State, error) {
	state := crdt.NewState(p.copy.Chains())
	for len(want) > 0 {
		records, err := p.read(ctx)
		if err != nil {
			return nil, err
		}
		if len(records) == 0 {
			return nil, fmt.Errorf("peer: the log of %q ends before op %d", p.store.Name(), want[len(want)-1].End)
		}
		for _, r := range records {
			for len(want) > 0 && want[0].End <= r.span.Start {
				want = want[1:]
			}
			if len(want) == 0 {
				break
			}
			if r.span.End <= want[0].Start {
				continue
			}
			if r.span.Start < want[0].Start || r.span.End > want[0].End {
				return nil, fmt.Errorf("%w: it ends inside the change %v", ErrUnknownVersion, r.Dot())
			}
			a, err := p.add(r)
			if err != nil {
				return nil, err
			}
			state.Apply(a)
		}
		if len(want) > 0 && want[len(want)-1].End <= p.next {
			break
		}
	}
	return state, nil
}

// historyOf returns the ops in the history of version, which s must hold, ascending. s.mu is held.
func (s *Store) historyOf(version crdt.Version) ([]causal.Span, error) {
	if s.closed || s.rep == nil {
		return nil, s.gone()
	}
	g := s.rep.Chains().Graph()
	lvs, ok := g.LVs(version)
	if !ok {
		return nil, fmt.Errorf("%w: %v", ErrUnknownVersion, version)
	}
	history, _ := g.Diff(lvs, nil)
	return history, nil
}

// At returns what the store showed at version, replayed from the log. The state is the caller's own. Errors
// wrap ErrUnknownVersion if this device does not hold version.
func (s *Store) At(ctx context.Context, version crdt.Version) (*crdt.State, error) {
	for {
		s.mu.RLock()
		want, err := s.historyOf(version)
		rewrites := s.rewrites
		s.mu.RUnlock()
		if err != nil {
			return nil, err
		}
		state, err := s.newPast(rewrites).replay(ctx, want)
		if err != errRewritten {
			return state, err
		}
	}
}

// Source returns the changes this device holds, for what reads history below View: a crdt.TextView's Edits and At, and a
// crdt.State's Edits.
func (s *Store) Source() crdt.Source { return s.log }

// LogEntry is a change as the log holds it.
type LogEntry struct {
	// Accepted is the change, with its hash and its effective time.
	crdt.Accepted
	// Parents name the version the change was made against: its dependencies, and the actor's own previous change
	// unless a dependency covers it.
	Parents crdt.Version
	// Signed: a signature of this very change is kept. The others of its actor are
	// vouched for by a later one.
	Signed bool
}

// Log returns the changes this device holds, in causal order, from the first. It ends with the last one
// there is when it gets there, or with an error.
func (s *Store) Log(ctx context.Context) iter.Seq2[LogEntry, error] {
	return func(yield func(LogEntry, error) bool) {
		s.mu.RLock()
		p := s.newPast(s.rewrites)
		s.mu.RUnlock()
		for {
			records, err := p.read(ctx)
			if err != nil {
				yield(LogEntry{}, err)
				return
			}
			if len(records) == 0 {
				return
			}
			for _, r := range records {
				a, err := p.add(r)
				if !yield(LogEntry{Accepted: a, Parents: r.version, Signed: r.signed}, err) || err != nil {
					return
				}
			}
		}
	}
}
