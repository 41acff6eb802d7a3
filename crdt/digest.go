package crdt

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// Digest returns a hash of the state: equal for states that applied the same changes, in whatever order
// and on whatever replica. It covers what is shown, what is hidden and may be shown again, and the writes that decide
// between them; opaque slices are left out. Its cost is that of reading the whole state.
func (s *State) Digest() Hash {
	h := sha256.New()
	for _, d := range s.SliceDigests() {
		h.Write(appendStr(nil, d.Name))
		h.Write(d.Digest[:])
	}
	return Hash(h.Sum(nil))
}

// SliceDigest is the digest of one slice.
type SliceDigest struct {
	Name   string
	Digest Hash
}

// SliceDigests returns the digests of the slices that were ever written to, by name, so that
// a difference can be narrowed down.
func (s *State) SliceDigests() []SliceDigest {
	var out []SliceDigest
	var buf []byte
	for _, name := range sortedKeys(s.shownRoot().places) {
		buf = s.shownRoot().places[name].appendDigest(s, buf[:0])
		out = append(out, SliceDigest{name, sha256.Sum256(buf)})
	}
	return out
}

// appendWholeDot appends a dot as every replica writes it.
func appendWholeDot(buf []byte, d causal.Dot) []byte {
	return binary.BigEndian.AppendUint64(d.Actor.AppendTo(buf), uint64(d.Seq))
}

// appendDots appends the dots of lvs, sorted.
func (s *State) appendDots(buf []byte, lvs []causal.LV) []byte {
	var room [4]causal.Dot
	dots := room[:0]
	for _, lv := range lvs {
		dots = append(dots, s.dot(lv))
	}
	slices.SortFunc(dots, causal.Dot.Compare)
	buf = appendArrayHead(buf, len(dots))
	for _, d := range dots {
		buf = appendWholeDot(buf, d)
	}
	return buf
}
