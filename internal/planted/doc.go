// Package planted is where bugs are planted on purpose, to see that simulations find them. In an ordinary build no bug is ever
// planted, Is is a constant, and nothing of this is left in the binary. Built with the tag planted, a test plants one with Plant.
package planted

// Bug names a bug that can be planted.
type Bug string

// The bugs, each where a comment planted.Is says. What finds them is in package simulations.
const (
	// LostRetry: what waits for changes that it builds on is not looked at again when they come.
	LostRetry Bug = "lost-retry"
	// ForgetfulRemove: removing a member of a set removes concurrent adds as well: the remove forgets what it saw.
	ForgetfulRemove Bug = "forgetful-remove"
	// TieByArrival: between concurrent writes of the same time the one that arrived first is the later, as a tie
	// that is broken by the order of a map would be: different on each device.
	TieByArrival Bug = "tie-by-arrival"
	// SendBeforeSync: messages leave before what they carry is durable.
	SendBeforeSync Bug = "send-before-sync"
	// ReissuedDot: a device that was restored from a backup goes on numbering where the backup ends.
	ReissuedDot Bug = "reissued-dot"
	// DigestIgnoresHash: the digest of what a replica holds covers how far it holds each actor's log, not which log it is.
	DigestIgnoresHash Bug = "digest-ignores-hash"
	// SkippedChange: catching up with a peer that was met before leaves out the first change that it lacks.
	SkippedChange Bug = "skipped-change"
	// CountedTwice: a counter counts an add again when the change comes again.
	CountedTwice Bug = "counted-twice"
	// AckBeforeSync: changes are acknowledged before they are durable.
	AckBeforeSync Bug = "ack-before-sync"
	// ShownEarly: watchers are shown changes of others in the order in which devices come, not in causal order.
	ShownEarly Bug = "shown-early"
)
