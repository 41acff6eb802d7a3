package oracle

import (
	"fmt"
	"slices"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// OfForked is Of where logs may be forked: a change is named by its hash, and what it follows and depends on are those changes
// that give it this hash. Of changes only Change and Hash are looked at. It returns an error if there are none that do.
func OfForked(store crdt.StoreID, changes []crdt.Accepted) (*Store, error) {
	var all []*event
	byLast := map[causal.Dot][]*event{}
	for _, c := range changes {
		d := c.Dot()
		if slices.ContainsFunc(byLast[d], func(e *event) bool { return e.hash == c.Hash }) {
			continue // a set has no doubles
		}
		e := &event{Change: c.Change, hash: c.Hash, number: len(all)}
		all, byLast[d] = append(all, e), append(byLast[d], e)
	}
	for _, e := range all {
		if !e.find(store, byLast) {
			return nil, fmt.Errorf("oracle: no changes are among those given that %s can build on to have hash %s", e.Dot(), e.hash)
		}
	}
	return of(inOrder(all)), nil
}

// find finds the causes of e, by trying all that have the right dots.
func (e *event) find(store crdt.StoreID, byLast map[causal.Dot][]*event) bool {
	befores := []*event{nil}
	if e.Seq > 1 {
		befores = byLast[causal.Dot{Actor: e.Actor, Seq: e.Seq - 1}]
	}
	deps := e.DepTips()
	var try func(causes []*event) bool
	try = func(causes []*event) bool {
		if n := len(causes); n < len(deps) {
			for _, cause := range byLast[deps[n].Dot()] {
				if deps[n].Hash != (crdt.Hash{}) && deps[n].Hash != cause.hash {
					continue
				}
				if try(append(causes[:n:n], cause)) {
					return true
				}
			}
			return false
		}
		hashes := make([]crdt.Hash, len(causes))
		for i, cause := range causes {
			hashes[i] = cause.hash
		}
		for _, before := range befores {
			prev, time := crdt.GenesisHash(store, e.Actor), int64(0)
			if before != nil {
				prev, time = before.hash, before.Time
			}
			if e.Hash(prev, time, hashes) == e.hash {
				e.before, e.causes = before, causes
				if before != nil {
					e.causes = append(e.causes, before)
				}
				return true
			}
		}
		return false
	}
	return try(nil)
}
