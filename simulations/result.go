package simulations

import (
	"time"

	"github.com/atollsync/atoll/crdt"
)

// Result is what a simulation found. All times are since the start of the run unless they say otherwise.
type Result struct {
	Scenario *Scenario
	Seed     uint64
	// Trace is the SHA-256 of the whole trace: equal for equal runs.
	Trace crdt.Hash
	// Healed is when everything was made well, Converged when all honest devices first held the same after that, 0 if they did not.
	Healed, Converged time.Duration
	// Ended is when the run ended. Interrupted says that its user ended it.
	Ended       time.Duration
	Interrupted bool
	// Changes is how many changes were made, Applied how many were taken in by devices that did not make them.
	Changes, Applied int
	Messages         int
	Bytes            int
	// Failures are what must not be, in the order found. Empty: the run passed.
	Failures []Failure
	// Faults counts what was asked for and seen, by name.
	Faults []FaultCount
	// Devices are the devices, by number.
	Devices []DeviceResult
	// Samples are figures over time.
	Samples []Sample
	// Spans are partitions, cuts, and devices offline or down, by From.
	Spans []Span
	// Conflicts are places where concurrent writes met, with who won, at most MaxConflicts.
	Conflicts []Conflict
	// Ops are the ops that were made, so that a run can be made again without its workloads, at most MaxRecorded.
	Ops []RecordedOp
	// Sent are the messages, for a space-time diagram: only of runs with at most MaxDiagram messages.
	Sent []SentMessage
	// Checked counts what was checked, by name of the check.
	Checked []CheckCount
	// State is what honest devices show in the end, as JSON, if it is not large.
	State string
}

// OK reports whether nothing failed.
func (r *Result) OK() bool { return len(r.Failures) == 0 }

// Bounds of what a Result holds.
const (
	MaxConflicts = 1_000
	MaxRecorded  = 200_000
	MaxDiagram   = 3_000
)

// Failure is something that must not be.
type Failure struct {
	// Check is the name of the check that failed.
	Check string
	At    time.Duration
	// Device is where, empty if everywhere.
	Device string
	Detail string
}

// FaultCount is how often a fault was asked for and how often it was seen to happen.
type FaultCount struct {
	Name        string
	Asked, Seen int
}

// CheckCount is how often a check was made.
type CheckCount struct {
	Name string
	Runs int
}

// DeviceResult is about one device.
type DeviceResult struct {
	Name           string
	Liar           bool
	Left           bool
	Sent, Received int // bytes
	Authored       int // changes
	Applied        int // changes of others
	MaxPending     int // bytes
	Crashes        int
	// Lag is the longest that it took until all other honest devices online held a change of this one, as far as Samples tell.
	Lag time.Duration
	// Actors are the device's actors, in order.
	Actors []crdt.Actor
}

// Sample is figures at one time.
type Sample struct {
	At time.Duration
	// Apart is how many different versions the honest devices that run hold; 1: all hold the same.
	Apart int
	// Behind is how many ops, summed over these devices, are held by another and not by them.
	Behind int
	Online int
	Down   int
	// Changes, Applied and Bytes are totals so far.
	Changes, Applied, Bytes int
}

// Span is a time during which something was amiss.
type Span struct {
	// What is "partition", "cut", "offline", "down", "disk full" or the name of another fault.
	What     string
	Devices  []int
	From, To time.Duration
	Detail   string
}

// Conflict is a place that concurrent writes met at.
type Conflict struct {
	Path   string
	Winner ConflictSide
	Others []ConflictSide
}

// ConflictSide is one of the writes of a conflict.
type ConflictSide struct {
	Device string
	Value  string // as JSON, cut if long
	At     time.Duration
}

// RecordedOp is an op that was made.
type RecordedOp struct {
	At     time.Duration
	Device string
	Op     Op
}

// SentMessage is a message on its way from one device to another.
type SentMessage struct {
	From, To      int
	Sent, Arrived time.Duration
	// Lost says why it did not arrive, empty if it did.
	Lost string
	Kind string // Have, Changes, ...
	Size int
	// Text describes it for a person.
	Text string
}
