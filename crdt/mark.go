package crdt

import "strings"

// Mark is what a code point of a Text bears: formatting, a link, a comment. A program may use any names and
// values; those below are what Markdown knows.
//
// A code point bears at most one mark of a name, that of the latest op that covers it. So things that exclude each other, as two
// links do, share a name and differ in value; things that may overlap, as comments do, have names of their own.
type Mark struct {
	Name  string `json:"name"`
	Value Value  `json:"value"`
}

// Names of marks. Bold, italic, code and strike have the value true and grow at their end, code and links do
// not grow. The value of a link is its URL.
const (
	MarkBold   = "bold"
	MarkItalic = "italic"
	MarkCode   = "code"
	MarkStrike = "strike"
	MarkLink   = "link"
)

// commentPrefix begins the names of comments.
const commentPrefix = "comment:"

// CommentMark returns the name of the mark of a comment, which id tells from others of the text: a name of its own, so that
// comments may overlap. The value is the program's affair: the comment itself, or where it is kept.
func CommentMark(id string) string { return commentPrefix + id }

// CommentID returns the id of the comment that a mark of this name belongs to, and false if it is no comment's.
func CommentID(name string) (id string, ok bool) { return strings.CutPrefix(name, commentPrefix) }

// Growth says which ends of a mark take in what is typed right beside them. The zero value is neither. The
// numbers are part of the format.
type Growth uint8

const (
	// GrowNone: what is typed beside the mark stays outside: links, comments.
	GrowNone Growth = 0
	// GrowStart: what is typed right before the first code point of the mark belongs to it.
	GrowStart Growth = 1
	// GrowEnd: what is typed right after the last code point of the mark belongs to it: bold, italic.
	GrowEnd Growth = 2
	// GrowBoth is both.
	GrowBoth = GrowStart | GrowEnd
)

// String says which ends grow.
func (g Growth) String() string {
	switch g {
	case GrowNone:
		return "not growing"
	case GrowStart:
		return "growing at its start"
	case GrowEnd:
		return "growing at its end"
	}
	return "growing at both ends"
}
