package peer

import (
	"context"
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
	store  *Store
	chains *crdt.Chains // what add was given
	next   causal.LV    // the first op that read has not returned
}

func (s *Store) newPast() *past { return &past{store: s, chains: crdt.NewChains(s.id)} }

// record is a change in the log and the version it was made against.
type record struct {
	*crdt.Change
	span    causal.Span
	parents crdt.Version
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
	s.mu.RUnlock()
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
	chains := s.rep.Chains()
	g := chains.Graph()
	for i := range out {
		r := &out[i]
		if r.span.Start != p.next || r.span.End > g.Len() {
			return nil, fmt.Errorf("peer: the log of %q continues with ops %v, not at %d", s.Name(), r.span, p.next)
		}
		r.parents = g.Version(g.Parents(r.span.Start))
		r.signed = chains.ChangeAt(r.span.Start).Signed
		p.next = r.span.End
	}
	return out, nil
}

// add makes r, whose parents have been added, part of p's own chains.
func (p *past) add(r record) (crdt.Accepted, error) {
	parents, ok := p.chains.Graph().LVs(r.parents)
	if !ok {
		return crdt.Accepted{}, fmt.Errorf("peer: the log of %q holds %v before %v", p.store.Name(), r.Dot(), r.parents)
	}
	return p.chains.Author(r.Change, parents), nil
}

// replay adds and applies, in the order of the log, the changes that are in want, all of which the log must
// hold, to an empty state.
func (p *past) replay(ctx context.Context, want crdt.VersionVector) (*crdt.State, error) {
	state := crdt.NewState(p.chains)
	left := 0
	for _, d := range want {
		left += int(d.Seq)
	}
	for left > 0 {
		records, err := p.read(ctx)
		if err != nil {
			return nil, err
		}
		if len(records) == 0 {
			return nil, fmt.Errorf("peer: the log of %q ends %d ops early", p.store.Name(), left)
		}
		for _, r := range records {
			if !want.Contains(causal.Dot{Actor: r.Actor, Seq: r.Seq}) {
				continue
			}
			if !want.Contains(r.Dot()) {
				return nil, fmt.Errorf("%w: it ends inside the change %v", ErrUnknownVersion, r.Dot())
			}
			a, err := p.add(r)
			if err != nil {
				return nil, err
			}
			state.Apply(a)
			left -= r.span.Len()
		}
	}
	return state, nil
}

// vector returns the summary of version, which s must hold.
func (s *Store) vector(version crdt.Version) (crdt.VersionVector, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed || s.rep == nil {
		return nil, s.gone()
	}
	g := s.rep.Chains().Graph()
	lvs, ok := g.LVs(version)
	if !ok {
		return nil, fmt.Errorf("%w: %v", ErrUnknownVersion, version)
	}
	return g.VersionVectorOf(lvs), nil
}

// At returns what the store showed at version, replayed from the log. The state is the caller's own. Errors
// wrap ErrUnknownVersion if this device does not hold version.
func (s *Store) At(ctx context.Context, version crdt.Version) (*crdt.State, error) {
	want, err := s.vector(version)
	if err != nil {
		return nil, err
	}
	return s.newPast().replay(ctx, want)
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
		p := s.newPast()
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
				if !yield(LogEntry{Accepted: a, Parents: r.parents, Signed: r.signed}, err) || err != nil {
					return
				}
			}
		}
	}
}
