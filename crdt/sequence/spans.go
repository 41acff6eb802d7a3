package sequence

import (
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// sameSpans reports whether a and b are the same, without reading them if they are one slice.
func sameSpans(a, b []causal.Span) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || slices.Equal(a, b))
}
