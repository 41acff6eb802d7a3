package replica

import "github.com/atollsync/atoll/crdt/causal"

// Wall returns the last time given.
func (r *Replica) Wall() int64 { return r.wall }

// InStep reports whether a peer is known to hold exactly what this replica does.
func (r *Replica) InStep(device causal.Device) bool { return r.inStep(r.peers[device]) }

// TickAll makes Tick look at all peers, also at those that are known not to be due.
func (r *Replica) TickAll() { r.attention.all = true }
