package crdt

import (
	"encoding/hex"

	"github.com/atollsync/atoll/crdt/causal"
)

// StoreID names a store. It is derived from the store's secret and never shown to strangers.
type StoreID [32]byte

// String returns the first four bytes in hex.
func (id StoreID) String() string { return hex.EncodeToString(id[:4]) }

// Hash is the SHA-256 chain hash of a change: it names the change and its whole causal history.
type Hash [32]byte

// String returns the first four bytes in hex.
func (h Hash) String() string { return hex.EncodeToString(h[:4]) }

// Change is an atomic list of ops by one actor: what is stored, sent and applied
// as one. It is immutable once made. Positions and references in its ops mean the
// version given by Deps and the actor's own previous change.
type Change struct {
	Actor causal.Actor
	Seq   causal.Seq // of its first op
	// Time is the author's wall clock in unix milliseconds, at most MaxTime: a claim.
	Time int64
	// Refs are the other actors this change names, sorted by actor. An actor occurs once, or, if its log is forked, once for each
	// of its branches that is named, sorted by what names them. One whose Seq is not 0 is a
	// dependency: the dot of the last op of a head the author saw. One with Seq 0 is
	// only named by ops. Ops name Actor as 0 and Refs[i].Actor as i+1.
	Refs []causal.Dot
	// Groups are the ops by slice, ascending by name, at least one.
	Groups []Group
	// Branches, nil in most changes, say of which branches of forked logs Refs are.
	Branches *Branches
}

// Group is the part of a change that is about one slice.
type Group struct {
	Slice string
	Len   int    // dots, at least 1
	Ops   []byte // encoded ops; whatever is malformed in it is void
}

// Len returns the number of dots c covers.
func (c *Change) Len() int {
	n := 0
	for _, g := range c.Groups {
		n += g.Len
	}
	return n
}

// Dot returns the dot of c's last op, which names c in versions and deps.
func (c *Change) Dot() causal.Dot {
	return causal.Dot{Actor: c.Actor, Seq: c.Seq + causal.Seq(c.Len()) - 1}
}

// Deps returns the dependencies among c.Refs: all but the actor's own previous change.
func (c *Change) Deps() []causal.Dot {
	var out []causal.Dot
	for _, d := range c.Refs {
		if d.Seq > 0 {
			out = append(out, d)
		}
	}
	return out
}
