package crdt

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
