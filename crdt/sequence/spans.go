package sequence

import (
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// sameSpans reports whether a and b are the same, without reading them if they are one slice.
func sameSpans(a, b []causal.Span) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || slices.Equal(a, b))
}

// union returns what is in a or in b, all ascending.
func union(a, b []causal.Span) []causal.Span {
	if len(a) == 0 {
		return b
	}
	if len(b) == 0 {
		return a
	}
	out := make([]causal.Span, 0, len(a)+len(b))
	for len(a) > 0 || len(b) > 0 {
		var s causal.Span
		if len(b) == 0 || len(a) > 0 && a[0].Start <= b[0].Start {
			s, a = a[0], a[1:]
		} else {
			s, b = b[0], b[1:]
		}
		if n := len(out); n > 0 && out[n-1].End >= s.Start {
			out[n-1].End = max(out[n-1].End, s.End)
		} else {
			out = append(out, s)
		}
	}
	return out
}
