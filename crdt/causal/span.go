package causal

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
// returns spans itself if they have nothing in common.
func Subtract(spans, cut []Span) []Span {
	if len(spans) == 0 || len(cut) == 0 || cut[len(cut)-1].End <= spans[0].Start || spans[len(spans)-1].End <= cut[0].Start {
		return spans
	}
	out := make([]Span, 0, len(spans))
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
