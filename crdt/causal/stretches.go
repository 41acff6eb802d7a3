package causal

import "math/bits"

// stretchSet is a set of stretches of a graph, each told by its first run, from first on. What a walk down from versions that lie close together
// has still to visit is kept in one at less cost than in a heap: nothing is compared, and what is met twice is there once.
type stretchSet struct {
	words []uint64
	first int32
	top   int // no word above this one has a member
}

// newStretchSet returns an empty set for the stretches from first to last, in room if that is enough, which is zero.
func newStretchSet(first, last int32, room []uint64) stretchSet {
	n := int(last-first)/64 + 1
	if n > len(room) {
		room = make([]uint64, n)
	}
	return stretchSet{words: room, first: first, top: n - 1}
}

// add adds a stretch that is below the last one taken.
func (s *stretchSet) add(i int32) {
	at := uint32(i - s.first)
	s.words[at/64] |= 1 << (at % 64)
}

// take takes out the last stretch, of which there must be one.
func (s *stretchSet) take() int32 {
	for s.words[s.top] == 0 {
		s.top--
	}
	w := &s.words[s.top]
	bit := bits.Len64(*w) - 1
	*w &^= 1 << (bit & 63)
	return s.first + int32(s.top*64+bit)
}
