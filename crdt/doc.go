// Package crdt says what operations mean.
//
// A store is a map of named slices, each a container of some [Kind]: a Register, Counter,
// Set, Map, List or Text. What devices exchange are [Change]s, atomic lists of
// [Op]s, each op being what the user did. A [State] is what a set of changes means: a pure function of
// the set, whatever the order in which they came.
//
//	Value    a scalar, or an opaque list or object
//	Op       one mutation, as decoded from a change; Void if it has no effect
//	Change   what is hashed, signed, stored, sent and applied whole
//	Batch    changes and signatures in transit
//	Chains   the hash chain of every actor: what has been accepted
//	State    the value of the store at one version
//	Tx       a change being authored against a State
//	Typist   a row of changes being authored in one Text, an edit each
//	Event    what a change did to what a State shows
//
// Everything here is pure: no goroutine, clock, randomness, I/O, logger, context
// or lock, and nothing depends on the iteration order of a map. Nothing is safe for concurrent use while
// one caller changes it; readers may share what nobody changes.
//
// Meaning. An entry is a container at a place, named by place, kind and birth; a place is
// a key of a map or an element of a list. An entry stands as long as a write to it or anywhere
// below survives every delete at its place: whole, with whatever it holds. Entries
// are never emptied, only hidden. (For single-writer histories all this is
// what anybody would expect of maps, lists and strings.)
//
// Sources: pure operation-based CRDTs (Baquero, Almeida, Shoker, "Pure
// Operation-Based Replicated Data Types", 2017); the event graph walker (Gentle, Kleppmann, EuroSys 2025); marks on text
// (Litt, Lim, Kleppmann, van Hardenberg, "Peritext", CSCW 2022).
package crdt

import "github.com/atollsync/atoll/crdt/causal"

// The names from package causal that users of a store meet.
type (
	// Actor names one single-writer log: a device and a nonce.
	Actor = causal.Actor
	// Device is a device's ed25519 public key.
	Device = causal.Device
	// Seq is the number of an op in its actor's log, from 1.
	Seq = causal.Seq
	// Dot names one op: an actor and a Seq.
	Dot = causal.Dot
	// Version names a causal history by its heads.
	Version = causal.Version
	// VersionVector summarises a causal history by the highest Seq of each actor.
	VersionVector = causal.VersionVector
)
