package sequence

import "github.com/atollsync/atoll/crdt/causal"

// Tracks reports whether s has a tracker, for tests of which way ops go.
func (s *Sequence) Tracks() bool { return s.tracker != nil }

// Tracked reports whether r keeps a tracker.
func (r *Ranges) Tracked() bool { return r.tracker != nil }

// Points returns how many versions r keeps to go back to.
func (r *Ranges) Points() int { return len(r.points) }

// Back returns to which version Settle goes back before it catches up, and whether it does.
func (r *Ranges) Back(s *Sequence) (causal.LV, bool) {
	log := s.log.warmed(r.at)
	low := r.news(&log)
	if low >= r.at {
		return r.at, false
	}
	c := r.Clone()
	c.back(low)
	return c.at, true
}

// Afresh returns the ranges of r, not settled yet and without anything kept.
func (r *Ranges) Afresh() *Ranges { return &Ranges{all: r.all} }
