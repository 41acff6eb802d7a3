//go:build planted

package planted

// now is the bug that is planted, "" if none is.
var now Bug

// Is reports whether b is planted.
func Is(b Bug) bool { return b == now }

// marked says that the planted bug has had its occasion.
var marked bool

// Mark notes that b has its occasion to do harm, if it is planted.
func Mark(b Bug) { marked = marked || b == now }

// Marked reports, once, whether Mark was called for b.
func Marked(b Bug) bool {
	was := marked && b == now
	marked = marked && !was
	return was
}

// Plant plants b, and nothing else, until the function it returns is called. It is not safe for concurrent use.
func Plant(b Bug) (remove func()) {
	now, marked = b, false
	return func() { now, marked = "", false }
}
