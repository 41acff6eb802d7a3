package sequence

// Tracks reports whether s has a tracker, for tests of which way ops go.
func (s *Sequence) Tracks() bool { return s.tracker != nil }
