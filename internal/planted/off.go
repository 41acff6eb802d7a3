//go:build !planted

package planted

// Is reports whether b is planted: never, in an ordinary build.
func Is(Bug) bool { return false }

// Mark does nothing in an ordinary build.
func Mark(Bug) {}

// Marked reports whether Mark was called while b was planted: never, in an ordinary build.
func Marked(Bug) bool { return false }
