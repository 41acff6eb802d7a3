package peer

import (
	"context"
	"errors"
	"fmt"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/peer/replica"
)

// Reach says how far a change is to have got. Each field that is not zero must hold; the zero Reach asks
// only that the change is stored here.
type Reach struct {
	// Devices is how many other devices hold it.
	Devices int
	// Device is one that holds it.
	Device crdt.Device
	// All: every other device that is known to share the store holds it, and there is one.
	All bool
}

// ErrUnknownDot is wrapped by Delivered for a dot that this device does not hold.
var ErrUnknownDot = errors.New("peer: this device does not hold that change")

func (r Reach) met(l replica.Level) bool {
	return l.Stored && len(l.Holders) >= r.Devices &&
		(r.Device == crdt.Device{} || l.HeldBy(r.Device)) &&
		(!r.All || l.HeldByAll())
}

// Delivered waits until other devices hold the change named by dot durably, as far as reach asks, and returns nil; or
// until ctx ends. What is known of other devices survives a restart. It can be asked about
// changes of other devices too.
func (s *Store) Delivered(ctx context.Context, dot crdt.Dot, reach Reach) error {
	for {
		level, changed, err := s.delivery(dot)
		if err != nil {
			return err
		}
		if !level.Stored {
			return fmt.Errorf("%w: %v", ErrUnknownDot, dot)
		}
		if reach.met(level) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Delivery returns how far the change named by dot has got, as far as this device knows. The zero
// Level means that this device does not hold it.
func (s *Store) Delivery(dot crdt.Dot) (replica.Level, error) {
	level, _, err := s.delivery(dot)
	return level, err
}

func (s *Store) delivery(dot crdt.Dot) (replica.Level, <-chan struct{}, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed || s.rep == nil {
		return replica.Level{}, nil, s.gone()
	}
	return s.rep.Delivery(s.renamed(dot, 0)), s.changed, nil
}

// OutboxItem is a change of this device that another is not known to hold.
type OutboxItem struct {
	Dot    crdt.Dot // of its last op
	Time   int64    // unix ms
	Slices []string // it has ops on, ascending
	Ops    int      // dots
}

// OutboxQuery selects from the outbox. The zero value selects what no other device is known to hold.
type OutboxQuery = replica.OutboxQuery

// Outbox returns this device's own changes that q selects, in causal order.
func (s *Store) Outbox(q OutboxQuery) ([]OutboxItem, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed || s.rep == nil {
		return nil, s.gone()
	}
	var out []OutboxItem
	err := s.rep.Outbox(q, func(a crdt.Accepted) bool {
		it := OutboxItem{Dot: a.Dot(), Time: a.Time, Ops: a.Len()}
		for _, g := range a.Groups {
			it.Slices = append(it.Slices, g.Slice)
		}
		out = append(out, it)
		return true
	})
	return out, err
}
