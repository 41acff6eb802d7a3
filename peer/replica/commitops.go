package replica

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// ErrOps is returned by CommitOps for ops that would have no effect, or are out of order.
var ErrOps = errors.New("replica: ops that cannot be committed")

// CommitOps is CommitAs for a caller who knows the ops: a client that has indexes and the version it saw, and no
// state. The state of that version is not needed, so it costs the same however old the version is. Ops must be
// ascending by slice (the first step of their paths), with their Len set. Positions are not
// checked: as for any change, an insert beyond the end goes to the end.
func (r *Replica) CommitOps(now int64, version causal.Version, actor causal.Actor, ops []crdt.Op) (causal.Dot, error) {
	r.clock(now)
	heads, err := r.heads(version)
	if err != nil {
		return causal.Dot{}, err
	}
	if actor.Device != r.cfg.Device || !r.mayWrite(actor, heads) || slices.Contains(r.self.retired, actor) {
		return causal.Dot{}, fmt.Errorf("%w: %s", ErrActor, actor)
	}
	if len(ops) == 0 {
		return causal.Dot{}, nil
	}
	ch, err := r.changeOf(now, heads, actor, ops)
	if err != nil {
		return causal.Dot{}, err
	}
	// Nothing below can fail.
	acc := r.chains.Author(ch, heads)
	ev := r.state.Apply(acc)
	if !slices.Contains(r.author.actors, actor) {
		r.author.actors = append(r.author.actors, actor)
	}
	r.authored(acc, ev)
	return acc.Dot(), nil
}

// changeOf returns the change of actor that ops make at heads.
func (r *Replica) changeOf(now int64, heads []causal.LV, actor causal.Actor, ops []crdt.Op) (*crdt.Change, error) {
	list := make([]*crdt.Op, len(ops))
	for i := range ops {
		list[i] = &ops[i]
		path := ops[i].Path
		if len(path) == 0 || i > 0 && ops[i-1].Path[0].Key > path[0].Key {
			return nil, fmt.Errorf("%w: op %d is not in the order of slices", ErrOps, i)
		}
		if i == 0 || ops[i-1].Path[0].Key != path[0].Key {
			if err := r.checkSlice(path[0].Key); err != nil {
				return nil, err
			}
		}
		elems := []causal.Dot{ops[i].Elem}
		for _, step := range path {
			elems = append(elems, step.Elem)
		}
		for _, d := range elems {
			if !d.IsZero() && d.Actor != actor {
				if !slices.ContainsFunc(r.graph.All(d), func(lv causal.LV) bool { return r.graph.Contains(heads, lv) }) {
					return nil, fmt.Errorf("%w: op %d: element %s is not in the version", ErrOps, i, d)
				}
			}
		}
	}
	if err := r.chains.Explicit(heads, list); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOps, err)
	}
	ch := r.chains.NewChange(actor, r.graph.Last(actor)+1, min(max(now, 0), crdt.MaxTime), heads, list)
	if err := ch.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOps, err)
	}
	var void error
	ch.Ops(func(seq causal.Seq, slice string, op *crdt.Op) bool {
		if op.Void {
			void = fmt.Errorf("%w: the op on %q at %d of the change is void", ErrOps, slice, seq-ch.Seq)
		}
		return void == nil
	})
	if void != nil {
		return nil, void
	}
	return ch, nil
}

// checkSlice checks that name may be written to, as a transaction does.
func (r *Replica) checkSlice(name string) error {
	if name == "" || strings.HasPrefix(name, "local:") || strings.HasPrefix(name, "live:") {
		return fmt.Errorf("%w: slice name %q is reserved", ErrOps, name)
	}
	for _, s := range r.state.Slices() {
		if s.Opaque && s.Name == name {
			return fmt.Errorf("%w: slice %s: %w", ErrOps, name, crdt.ErrOpaque)
		}
	}
	return nil
}
