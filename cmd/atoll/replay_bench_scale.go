package main

import (
	"math/rand/v2"
	"strconv"
)

// benchScale says how large the histories are that are made up for measurements.
type benchScale struct {
	branchBase, branchEdits, branchPieces int
	crowds                                [2]int
	listLength, listEdits                 int
	largeText, largePiece, largeEdits     int // in bytes; an insertion; how many edits
}

// fullScale is what the goals are about.
var fullScale = benchScale{
	branchBase: 100_000, branchEdits: 50_000, branchPieces: 100,
	crowds:     [2]int{1_000, 10_000},
	listLength: 100_000, listEdits: 10_000,
	largeText: 100_000_000, largePiece: 1_000_000, largeEdits: 10_000,
}

// rows returns the measurements that need no session, in parts that are measured one after the other, since together they
// would take much memory.
func (b benchScale) rows() []func() ([]measurement, error) {
	return []func() ([]measurement, error){typingRows, b.branchRows, b.crowdRows, b.listRows, b.largeTextRows}
}

// benchSeed seeds all that measurements draw at random.
const benchSeed = 1

func benchRandom() *rand.Rand { return rand.New(rand.NewPCG(benchSeed, benchSeed)) }

// grouped returns n with its digits in groups of three.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for at := len(s) - 3; at > 0; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}
