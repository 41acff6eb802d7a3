package crdt

import (
	"fmt"

	"github.com/atollsync/atoll/crdt/causal"
)

// At returns the state at a version of c's graph, the heads of which are given as local versions, by
// applying the changes of its history, read from src. Its cost is that of the history. Transactions begun
// on it author changes at that version; c must be given them, and other states of c apply them, as always.
//
// Errors are those of src, and of a version that ends in the middle of a change.
func At(c *Chains, version []causal.LV, src Source) (*State, error) {
	s := NewState(c)
	for _, lv := range version {
		if lv < 0 || lv >= s.graph.Len() {
			return nil, fmt.Errorf("crdt: at: no op %d, there are %d", lv, s.graph.Len())
		}
	}
	history, _ := s.graph.Diff(version, nil)
	for _, span := range history {
		next := span.Start
		var problem error
		err := src.Changes(span, func(a Accepted) bool {
			if a.Span.Start != next || a.Span.End > span.End {
				problem = fmt.Errorf("crdt: at: change %s has ops [%d, %d) where [%d, %d) was asked for",
					a.Dot(), a.Span.Start, a.Span.End, next, span.End)
				return false
			}
			s.ApplyQuietly(a)
			next = a.Span.End
			return true
		})
		if problem == nil && err == nil && next != span.End {
			problem = fmt.Errorf("crdt: at: ops [%d, %d) are missing from the log", next, span.End)
		}
		if err == nil {
			err = problem
		}
		if err != nil {
			return nil, err
		}
	}
	s.Settle()
	return s, nil
}
