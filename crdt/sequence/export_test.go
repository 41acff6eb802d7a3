package sequence

import "github.com/atollsync/atoll/crdt/causal"

// Tracks reports whether s has a tracker, for tests of which way ops go.
func (s *Sequence) Tracks() bool { return s.tracker != nil }

// Points returns how many versions s keeps to go back to with its ranges.
func (s *Sequence) Points() int { return len(s.ranges.points) }

// SettledAt returns the version at which the ranges of s were settled last.
func (s *Sequence) SettledAt() causal.LV {
	if s.ranges == nil {
		return 0
	}
	return s.ranges.at
}

// HangFrom returns the version from which on the anchors of ranges hang on the tracker of s, -1 if there is none.
func (s *Sequence) HangFrom() causal.LV {
	if s.tracker == nil || s.ranges == nil {
		return -1
	}
	return s.tracker.base
}

// EndsAfresh returns what Ends would after Settle if nothing about ranges were kept.
func (s *Sequence) EndsAfresh(g *causal.Graph) []Anchor {
	if s.ranges == nil {
		return nil
	}
	c := *s
	c.tracker = nil
	r := ranges{all: s.ranges.all}
	c.ranges = &r
	r.settle(&c, g)
	return r.anchors
}
