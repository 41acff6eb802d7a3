// Package causal is about time: who wrote what, having seen what.
//
// It holds actors, dots, versions, version vectors and the causal graph
// of a store's ops. It is pure: no goroutine, clock, randomness, I/O, logger
// or lock, and the same calls give the same answers everywhere.
//
// There are two names for an op, kept apart by type. A Dot is global and
// eternal: it travels. An LV is a dense local number in causal order,
// meaningful in one Graph only: it never leaves the process.
//
// Sources: version vectors (Parker et al. 1983), dots (Preguiça et al., "Dotted
// Version Vectors", 2012), the run-length encoded event graph (Gentle and
// Kleppmann, "Collaborative Text Editing with Eg-walker", EuroSys 2025).
package causal
