package causal

import "slices"

// Span is the half-open range [Start, End) of local versions.
type Span struct{ Start, End LV }

// Len returns the number of ops in s.
func (s Span) Len() int { return int(s.End - s.Start) }

// Contains reports whether lv lies in s.
func (s Span) Contains(lv LV) bool { return s.Start <= lv && lv < s.End }

// AppendSpan adds s, which must not start before the end of spans, at their end, joining it to the last if they
// touch. Like append it may write to the array of spans.
func AppendSpan(spans []Span, s Span) []Span {
	if s.Start >= s.End {
		return spans
	}
	if n := len(spans); n > 0 && spans[n-1].End == s.Start {
		spans[n-1].End = s.End
		return spans
	}
	return append(spans, s)
}

// Subtract returns spans less what is in cut, both ascending and without overlap. It writes to neither, and
// may return spans itself or its end.
func Subtract(spans, cut []Span) []Span { return SubtractTo(nil, spans, cut) }

// SubtractTo is Subtract that writes what it returns, if that is not a part of spans, to the array of room, as far as it is long enough.
func SubtractTo(room, spans, cut []Span) []Span {
	if len(spans) > 0 && len(cut) > 0 && &spans[0] == &cut[0] {
		n := min(len(spans), len(cut))
		spans, cut = spans[n:], cut[n:]
	}
	for len(spans) > 0 && len(cut) > 0 && cut[0].End <= spans[0].End && cut[0].Start <= spans[0].Start {
		if cut[0].End == spans[0].End {
			spans = spans[1:]
		} else if cut[0].End > spans[0].Start {
			break
		}
		cut = cut[1:]
	}
	if len(spans) == 0 || len(cut) == 0 || spans[len(spans)-1].End <= cut[0].Start {
		return spans
	}
	out := slices.Grow(room[:0], len(spans))
	for _, s := range spans {
		for len(cut) > 0 && cut[0].End <= s.Start {
			cut = cut[1:]
		}
		for _, c := range cut {
			if c.Start >= s.End {
				break
			}
			out = AppendSpan(out, Span{s.Start, c.Start})
			s.Start = c.End
		}
		out = AppendSpan(out, s)
	}
	return out
}

// Union returns what is in a or in b, both ascending and without overlap, as neither writes to, and one of
// them itself if the other is empty.
func Union(a, b []Span) []Span {
	if len(a) == 0 {
		return b
	}
	if len(b) == 0 {
		return a
	}
	out := make([]Span, 0, len(a)+len(b))
	for len(a) > 0 || len(b) > 0 {
		var s Span
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
