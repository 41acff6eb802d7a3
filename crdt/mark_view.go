package crdt

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

// TextSpan is a stretch of a Text all of which bears the same marks.
type TextSpan struct {
	Text string `json:"text"`
	// Marks are sorted by name.
	Marks []Mark `json:"marks,omitempty"`
}

// Marks returns the marks that the text bears, each as long as it goes on without a gap and with one value: in order
// of where they start, then by name.
func (v *TextView) Marks() []MarkRange { return v.entry().marks(v.s) }

// Spans returns the whole text as spans as long as can be: no two neighbours bear the same marks. A text without marks is
// one span, an empty one none.
func (v *TextView) Spans() []TextSpan { return v.entry().spans(v.s) }

// Marks is TextView.Marks of the Text that is shown there, nil if there is none.
func (v *PlaceView) Marks() []MarkRange { return v.shown.marks(v.s) }

// Spans is TextView.Spans of the Text that is shown there, nil if there is none.
func (v *PlaceView) Spans() []TextSpan { return v.shown.spans(v.s) }

// marks returns the marks of a Text, nil of anything else, nothing included.
func (e *entry) marks(s *State) []MarkRange {
	if e == nil {
		return nil
	}
	c, ok := e.content.(*textContent)
	if !ok || c.marks == nil {
		return nil
	}
	runs := c.marks.runs(c.ends(s), len(c.marks.ops), 0, c.rope.Len())
	order := make([]int, len(runs))
	for i := range order {
		order[i] = i // by name
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Or(cmp.Compare(runs[i].From, runs[j].From), cmp.Compare(i, j)) })
	out := make([]MarkRange, len(runs))
	for k, i := range order {
		out[k] = runs[i]
	}
	return out
}

// spans returns the spans of a Text, nil of anything else, nothing included.
func (e *entry) spans(s *State) []TextSpan {
	if e == nil || e.kind != Text {
		return nil
	}
	text := e.content.(*textContent).rope.String()
	marks := e.marks(s)
	cuts := make([]int, 0, 2*len(marks))
	for _, m := range marks {
		cuts = append(cuts, m.From, m.To)
	}
	slices.Sort(cuts)
	var out []TextSpan
	var open []MarkRange // by name
	var bears []Mark     // of all spans
	at := 0
	for _, cut := range slices.Compact(cuts) {
		if n := byteOfRune(text, cut-at); n > 0 {
			span := TextSpan{Text: text[:n]}
			if len(open) > 0 {
				first := len(bears)
				for _, m := range open {
					bears = append(bears, m.Mark)
				}
				span.Marks = slices.Clip(bears[first:])
			}
			out = append(out, span)
			text, at = text[n:], cut
		}
		open = slices.DeleteFunc(open, func(m MarkRange) bool { return m.To == cut })
		for ; len(marks) > 0 && marks[0].From == cut; marks = marks[1:] {
			i, _ := slices.BinarySearchFunc(open, marks[0], func(a, b MarkRange) int { return strings.Compare(a.Name, b.Name) })
			open = slices.Insert(open, i, marks[0])
		}
	}
	if text != "" {
		out = append(out, TextSpan{Text: text})
	}
	return out
}

// byteOfRune returns the offset of the n-th code point of text.
func byteOfRune(text string, n int) int {
	at := 0
	for ; n > 0; n-- {
		_, size := utf8.DecodeRuneInString(text[at:])
		at += size
	}
	return at
}
