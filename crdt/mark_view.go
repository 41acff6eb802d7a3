package crdt

import (
	"slices"
	"strings"
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
	out := c.marks.runs(c.ends(s), len(c.marks.ops), 0, c.rope.Len())
	slices.SortFunc(out, byPlace)
	return out
}

// spans returns the spans of a Text, nil of anything else, nothing included.
func (e *entry) spans(s *State) []TextSpan {
	if e == nil || e.kind != Text {
		return nil
	}
	rope := &e.content.(*textContent).rope
	marks := e.marks(s)
	cuts := []int{0, rope.Len()}
	for _, m := range marks {
		cuts = append(cuts, m.From, m.To)
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	var out []TextSpan
	var open []MarkRange // by name
	for i, from := range cuts[:len(cuts)-1] {
		open = slices.DeleteFunc(open, func(m MarkRange) bool { return m.To == from })
		for ; len(marks) > 0 && marks[0].From == from; marks = marks[1:] {
			at, _ := slices.BinarySearchFunc(open, marks[0], func(a, b MarkRange) int { return strings.Compare(a.Name, b.Name) })
			open = slices.Insert(open, at, marks[0])
		}
		span := TextSpan{Text: rope.Slice(from, cuts[i+1])}
		for _, m := range open {
			span.Marks = append(span.Marks, m.Mark)
		}
		out = append(out, span)
	}
	return out
}
