package replica

import (
	"fmt"

	"github.com/atollsync/atoll/crdt/causal"
)

// Reason says why a message was refused.
type Reason uint8

const (
	// Malformed: no message, or no batch, of this version.
	Malformed Reason = iota + 1
	// Invalid: well formed, but it breaks a rule that every replica enforces.
	Invalid
	// BadSignature: a signature that does not verify. The store may also be another one of the peer's.
	BadSignature
	// OverLimit: more than a replica takes from a peer.
	OverLimit
	// WrongSummary: tips that do not have the digest they came with. They are damaged, or of another store.
	WrongSummary
	// Withheld: the peer says that it holds something, and does not send it.
	Withheld
	// Flood: far more than the exchange has a use for.
	Flood
)

var reasonNames = [...]string{Malformed: "malformed", Invalid: "invalid", BadSignature: "bad signature", OverLimit: "over a limit", WrongSummary: "wrong summary",
	Withheld: "withheld", Flood: "flood"}

// String returns a word or two for r.
func (r Reason) String() string {
	if r < Malformed || r > Flood {
		return fmt.Sprintf("reason(%d)", uint8(r))
	}
	return reasonNames[r]
}

// RefusedError is the error of Step and StepGossip for a message that no honest, current peer
// sends: the caller should count it against Peer, and cut a peer that goes on.
type RefusedError struct {
	Peer   causal.Device
	Reason Reason
	Err    error
}

// Error says who sent what.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("replica: refused from %s: %s: %v", e.Peer, e.Reason, e.Err)
}

// Unwrap returns what is wrong with it.
func (e *RefusedError) Unwrap() error { return e.Err }

func (r *Replica) refuse(peer causal.Device, reason Reason, err error) error {
	return &RefusedError{Peer: peer, Reason: reason, Err: err}
}

// blame reports what a peer does wrong with no message that shows it.
func (r *Replica) blame(peer causal.Device, reason Reason, err error) {
	r.out.blamed = append(r.out.blamed, &RefusedError{Peer: peer, Reason: reason, Err: err})
}
