package simulations

import (
	"github.com/atollsync/atoll/crdt"
)

// Op is something that a user does, as a line of text that can be done in any state: indexes beyond the end are taken as the end.
type Op struct {
	// Text is what ParseOp reads.
	Text string
	do   func(tx *crdt.Tx) error
}

// String returns the line that ParseOp reads.
func (o Op) String() string { return o.Text }
