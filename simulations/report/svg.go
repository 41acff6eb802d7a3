package report

import (
	"fmt"
	"html"
	"html/template"
	"strings"
)

// svg is a drawing as it is written. Everything that comes from a scenario goes through text or title, which escape it.
type svg struct {
	b             strings.Builder
	width, height float64
}

// add writes markup of our own.
func (s *svg) add(format string, args ...any) { fmt.Fprintf(&s.b, format, args...) }

// text writes words at a place.
func (s *svg) text(x, y float64, class, words string) {
	s.add(`<text x="%.1f" y="%.1f" class="%s">%s</text>`, x, y, class, html.EscapeString(words))
}

// title is what is shown of the element that it stands in, on pointing at it.
func title(words string) string { return "<title>" + html.EscapeString(words) + "</title>" }

// rect draws a rectangle that says what it is.
func (s *svg) rect(x, y, w, h float64, class, words string) {
	s.add(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" class="%s">%s</rect>`, x, y, w, h, class, title(words))
}

// line draws a line.
func (s *svg) line(x1, y1, x2, y2 float64, class string) {
	s.add(`<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>`, x1, y1, x2, y2, class)
}

// html returns the drawing, as wide as its place or, if fixed, in its own size.
func (s *svg) html(label string, fixed bool) template.HTML {
	size := ""
	if fixed {
		size = fmt.Sprintf(` width="%.0f" height="%.0f"`, s.width, s.height)
	}
	return template.HTML(fmt.Sprintf(`<svg role="img" aria-label="%s" viewBox="0 0 %.0f %.0f"%s>%s</svg>`,
		html.EscapeString(label), s.width, s.height, size, s.b.String()))
}
