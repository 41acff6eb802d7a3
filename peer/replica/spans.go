package replica

import "github.com/atollsync/atoll/crdt/causal"

// Lists of spans are ascending, without overlap, and treated as values.

// total returns how many ops spans hold.
func total(spans []causal.Span) uint64 {
	n := uint64(0)
	for _, s := range spans {
		n += uint64(s.Len())
	}
	return n
}

// join adds s, which must not start before the end of spans, at their end.
func join(spans []causal.Span, s causal.Span) []causal.Span {
	if s.Start >= s.End {
		return spans
	}
	if n := len(spans); n > 0 && spans[n-1].End == s.Start {
		spans[n-1].End = s.End
		return spans
	}
	return append(spans, s)
}

// without returns spans less what is in cut. It returns spans itself if they have
// nothing in common.
func without(spans, cut []causal.Span) []causal.Span {
	if len(spans) == 0 || len(cut) == 0 || cut[len(cut)-1].End <= spans[0].Start || spans[len(spans)-1].End <= cut[0].Start {
		return spans
	}
	out := make([]causal.Span, 0, len(spans))
	j := 0
	for _, s := range spans {
		for j < len(cut) && cut[j].End <= s.Start {
			j++
		}
		for k := j; k < len(cut) && cut[k].Start < s.End; k++ {
			out = join(out, causal.Span{Start: s.Start, End: min(s.End, cut[k].Start)})
			s.Start = max(s.Start, cut[k].End)
		}
		out = join(out, s)
	}
	return out
}
