// Package oracle says what a set of changes means, slowly and plainly.
//
// It is the data model written down as definitions: a function from a set of
// changes to a value, with causal histories as explicit sets and no state that
// is carried from one change to the next. It shares with the engine the types
// of a change (Change, Op, Value, Dot) and nothing that merges, so that a mistake in the
// engine is not repeated here. Tests and simulations compare the two: engine
// and oracle must agree on every set of changes.
//
// The words are those of the data model. A place is a key of a Map or an element of a
// List; what stands there is an entry, named by place, kind and birth. A
// write survives at a place unless a delete there saw it; an entry with a surviving
// write stands, whole; of those that stand, the one with the latest surviving
// write is shown.
//
// Its cost grows with the square of the number of ops, and worse on sequences: it is
// meant for thousands of ops, not for millions.
//
// Sources: pure operation-based CRDTs (Baquero, Almeida, Shoker 2017) for
// meaning as a function of the partially ordered log; Burckhardt, Gotsman, Yang, Zawirski,
// "Replicated Data Types: Specification, Verification, Optimality" (POPL 2014) for the form of the definitions; the tree
// of Fugue (Weidner and Kleppmann, "The Art of the Fugue", 2023) for the order of sequences.
package oracle
