package crdt

// Limits of format version 2. They are part of the format: whether a change is
// accepted, and whether an op is void, must come out the same on every replica
// for ever, so a new value needs a new format version.
const (
	// FormatVersion is the version of the encoding of changes and batches.
	FormatVersion = 2

	// Framing: a change beyond these is refused by every replica.

	MaxChangeBytes = 8 << 20 // encoded size of one change
	MaxRefs        = 4096    // actors one change refers to
	MaxGroups      = 4096    // slices one change has ops on
	MaxSliceName   = 255     // bytes
	MaxChangeLen   = 1 << 32 // dots one change covers
	MaxSeq         = 1 << 53 // dots in one actor's log: exact in JavaScript numbers
	MaxTime        = 1<<46 - 1

	// Ops: an op beyond these is void.

	MaxDepth    = 64        // steps in a path; also nesting of an opaque value
	MaxKeyBytes = 4096      // a map key
	MaxPosition = 1<<53 - 1 // an index in a list or text

	// Batches: what one message or stored block may hold. A receiver checks these
	// before it allocates. A single change of any permitted size fits.

	MaxBatchBytes    = 16 << 20
	MaxBatchChanges  = 1 << 18
	MaxBatchActors   = 1 << 16
	MaxBatchSegments = 1 << 17
	MaxBatchItems    = 1 << 19 // refs and slices of all its changes that are not in columns, and 7 for each of those

	// MaxColumnsBytes bounds the Columns of a batch: a time may take two bytes more there.
	MaxColumnsBytes = MaxBatchBytes + 2*MaxBatchChanges + 16
)

// Targets for cutting batches, not limits: a batch ends at the first kept signature
// past one of them.
const (
	TargetBatchBytes   = 256 << 10
	TargetBatchChanges = 1024
)
