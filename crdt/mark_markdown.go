package crdt

import (
	"slices"
	"strings"
	"unicode"
)

// Markdown returns the text as Markdown (CommonMark, and strikethrough as GitHub has it) that shows what the text says, with
// the formatting it knows: bold, italic, code, strike and links. Of these it asks only whether they are there: a value of nil or
// false counts as not, and a link must have a string. Comments and marks of other names are left out.
//
// What means something in Markdown is escaped, so no text turns into a heading or list. A line break is kept as one, two
// and more part paragraphs. Formatting that overlaps is parted so that it nests, links outside, code inside. Where asterisks or
// underscores would not be read as formatting, as around half a word that ends in punctuation, HTML tags stand
// for them. White space at the ends of bold, italic and strike stays outside.
func (v *TextView) Markdown() string { return v.entry().markdown(v.s) }

// Markdown is TextView.Markdown of the Text that is shown there, empty if there is none.
func (v *PlaceView) Markdown() string { return v.shown.markdown(v.s) }

// markdown returns a Text as Markdown, nothing for anything else.
func (e *entry) markdown(s *State) string {
	var cells []mdCell
	for _, span := range e.spans(s) {
		cell := mdCell{}
		for _, m := range span.Marks {
			cell.take(m)
		}
		for _, r := range strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(span.Text) {
			cell.r = r
			cells = append(cells, cell)
		}
	}
	w := mdWriter{}
	for len(cells) > 0 {
		end := 0 // of the paragraph
		for end < len(cells) && !(cells[end].r == '\n' && end+1 < len(cells) && cells[end+1].r == '\n') {
			end++
		}
		if w.cells = trimLines(cells[:end]); len(w.cells) > 0 {
			if w.out.Len() > 0 {
				w.out.WriteString("\n\n")
			}
			w.links()
		}
		for end < len(cells) && cells[end].r == '\n' {
			end++
		}
		cells = cells[end:]
	}
	return w.out.String()
}

// trimLines cuts line breaks from both ends.
func trimLines(cells []mdCell) []mdCell {
	for len(cells) > 0 && cells[0].r == '\n' {
		cells = cells[1:]
	}
	for len(cells) > 0 && cells[len(cells)-1].r == '\n' {
		cells = cells[:len(cells)-1]
	}
	return cells
}

// mdFormat is a set of formats.
type mdFormat uint8

const (
	mdBold mdFormat = 1 << iota
	mdItalic
	mdStrike
	mdCode

	mdEmphasis = mdBold | mdItalic | mdStrike // what goes around others
)

// mdTags are how each emphasis is written, and how where that would not be read as one.
var mdTags = map[mdFormat]struct{ mark, tag string }{
	mdBold: {"**", "strong"}, mdItalic: {"_", "em"}, mdStrike: {"~~", "del"},
}

// mdCell is a code point with its formats.
type mdCell struct {
	r      rune
	format mdFormat
	linked bool
	url    string
}

// take adds a mark.
func (c *mdCell) take(m Mark) {
	if on, isBool := m.Value.Bool(); m.Value.IsNil() || isBool && !on {
		return
	}
	switch m.Name {
	case MarkBold:
		c.format |= mdBold
	case MarkItalic:
		c.format |= mdItalic
	case MarkStrike:
		c.format |= mdStrike
	case MarkCode:
		c.format |= mdCode
	case MarkLink:
		c.url, c.linked = m.Value.Str()
	}
}

// has reports whether all of the formats of f apply to c. A line break cannot be code.
func (c *mdCell) has(f mdFormat) bool { return c.format&f == f && (f != mdCode || c.r != '\n') }

func (c *mdCell) isSpace() bool { return unicode.IsSpace(c.r) && !c.has(mdCode) }

// mdWriter writes one paragraph after the other.
type mdWriter struct {
	cells []mdCell // of the paragraph
	out   strings.Builder
}

// links writes the paragraph.
func (w *mdWriter) links() {
	for from := 0; from < len(w.cells); {
		c, to := w.cells[from], from
		for to < len(w.cells) && w.cells[to].linked == c.linked && w.cells[to].url == c.url {
			to++
		}
		if c.linked {
			w.out.WriteByte('[')
		}
		w.emphasis(from, to, mdEmphasis)
		if c.linked {
			w.out.WriteString("](" + mdURL(c.url) + ")")
		}
		from = to
	}
}

// mdURL returns a URL as the target of a link.
func mdURL(url string) string {
	if url != "" && !strings.ContainsFunc(url, func(r rune) bool { return r <= ' ' || strings.ContainsRune("\\<>()&\x7f", r) }) {
		return url
	}
	return "<" + strings.NewReplacer("\\", "\\\\", "<", "\\<", ">", "\\>", "&", "&amp;", "\n", "%0A", "\r", "%0D").Replace(url) + ">"
}

// emphasis writes the cells [from, to), with those of the formats in left that apply. What goes on longest goes around
// the others.
func (w *mdWriter) emphasis(from, to int, left mdFormat) {
	for from < to {
		end, best := from, mdFormat(0)
		for f := mdBold; f <= mdStrike; f <<= 1 {
			if left&f == 0 {
				continue
			}
			n := from
			for n < to && w.cells[n].has(f) {
				n++
			}
			if n > end {
				end, best = n, f
			}
		}
		if best == 0 {
			end = from + 1
			for end < to && w.cells[end].format&left == 0 {
				end++
			}
			w.text(from, end)
		} else {
			w.emphasize(from, end, best, left&^best)
		}
		from = end
	}
}

// emphasize writes the cells [from, to) in format f, white space at the ends apart.
func (w *mdWriter) emphasize(from, to int, f, left mdFormat) {
	first, last := from, to
	for first < last && w.cells[first].isSpace() {
		first++
	}
	for first < last && w.cells[last-1].isSpace() {
		last--
	}
	w.emphasis(from, first, left)
	if first < last {
		before, after := mdTags[f].mark, mdTags[f].mark
		if !w.readable(first, last, f, left) {
			before, after = "<"+mdTags[f].tag+">", "</"+mdTags[f].tag+">"
		}
		w.out.WriteString(before)
		w.emphasis(first, last, left)
		w.out.WriteString(after)
	}
	w.emphasis(last, to, left)
}

// readable reports whether marks of format f around [from, to), within which those in left may follow, are
// read as such: by CommonMark's rules for runs of delimiters.
func (w *mdWriter) readable(from, to int, f, left mdFormat) bool {
	outside := func(i int) bool { // is not part of a word
		if i < 0 || i >= len(w.cells) {
			return true
		}
		r := w.cells[i].r
		return unicode.IsSpace(r) || unicode.IsPunct(r) || r < 0x80 && unicode.IsSymbol(r)
	}
	inside := func(i int) bool { // is part of one, and stands right beside the mark
		c := &w.cells[i]
		return c.format&(left|mdCode) == 0 && !unicode.IsSpace(c.r) && !unicode.IsPunct(c.r) && !unicode.IsSymbol(c.r)
	}
	delimiter := func(i int) bool { // looks like a part of the mark, though it is escaped
		return i >= 0 && i < len(w.cells) && strings.ContainsRune("*_~", w.cells[i].r)
	}
	if delimiter(from-1) || delimiter(from) || delimiter(to-1) || delimiter(to) {
		return false
	}
	apart, parted := outside(from-1), outside(to)
	if f == mdItalic {
		return apart && parted
	}
	return (apart || inside(from)) && (parted || inside(to-1))
}

// text writes the cells [from, to), which bear nothing but code.
func (w *mdWriter) text(from, to int) {
	for from < to {
		end := from
		for end < to && w.cells[end].has(mdCode) {
			end++
		}
		if end > from {
			w.code(from, end)
			from = end
			continue
		}
		w.char(from)
		from++
	}
}

// code writes the cells [from, to) as code: between more backticks than there are in it.
func (w *mdWriter) code(from, to int) {
	var text strings.Builder
	ticks, run := 1, 0
	for _, c := range w.cells[from:to] {
		if run++; c.r != '`' {
			run = 0
		}
		ticks = max(ticks, run+1)
		text.WriteRune(c.r)
	}
	s := text.String()
	if w.cells[from].linked && strings.Contains(s, "]") {
		// Between backticks it could not be escaped, and might end the link, or make it a definition of one.
		w.out.WriteString("<code>")
		for i := from; i < to; i++ {
			w.char(i)
		}
		w.out.WriteString("</code>")
		return
	}
	if s[0] == '`' || s[len(s)-1] == '`' || s[0] == ' ' && s[len(s)-1] == ' ' && strings.Trim(s, " ") != "" {
		s = " " + s + " "
	}
	fence := strings.Repeat("`", ticks)
	w.out.WriteString(fence + s + fence)
}

// char writes a cell that is not code.
func (w *mdWriter) char(i int) {
	r := w.cells[i].r
	starts := i == 0 || w.cells[i-1].r == '\n'
	ends := i == len(w.cells)-1 || w.cells[i+1].r == '\n'
	switch {
	case r == '\n' && w.cells[i-1].r == '\\':
		w.out.WriteString("  \n") // not every reader takes three backslashes for one and a break
		return
	case r == '\n':
		w.out.WriteString("\\\n")
		return
	case (r == ' ' || r == '\t') && (starts || ends):
		// As it is it would be dropped, or make the line something else.
		w.out.WriteString(map[rune]string{' ': "&#32;", '\t': "&#9;"}[r])
		return
	case strings.ContainsRune("\\`*_[]<>~&", r),
		r == '!' && i+1 < len(w.cells) && w.cells[i+1].linked && !w.cells[i].linked,
		starts && strings.ContainsRune("#+-=|:", r),
		(r == '.' || r == ')') && w.numbers(i):
		w.out.WriteByte('\\')
	}
	w.out.WriteRune(r)
}

// numbers reports whether all that is before cell i on its line is digits, as in a list.
func (w *mdWriter) numbers(i int) bool {
	line := w.cells[:i]
	if n := slices.IndexFunc(line, func(c mdCell) bool { return c.r == '\n' }); n >= 0 {
		for k := range slices.Backward(line) {
			if line[k].r == '\n' {
				line = line[k+1:]
				break
			}
		}
	}
	return len(line) > 0 && !slices.ContainsFunc(line, func(c mdCell) bool { return c.r < '0' || c.r > '9' })
}
