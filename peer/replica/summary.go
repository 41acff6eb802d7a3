package replica

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/internal/planted"
)

// Domain tags: what is hashed for one purpose never serves another.
const (
	summaryTag = "atoll summary v1\x00"
	recordsTag = "atoll records v1\x00"
)

// summary is what a replica holds, or is said to hold: for each actor the last op and the hash of
// the chain up to it. It is sorted by actor and has no zero Seq. Summaries are treated as
// values except by set.
type summary []crdt.Tip

func (s summary) find(a causal.Actor) (int, bool) {
	return slices.BinarySearchFunc(s, a, func(t crdt.Tip, a causal.Actor) int { return t.Actor.Compare(a) })
}

// seq returns the last seq of a, 0 if there is none.
func (s summary) seq(a causal.Actor) causal.Seq {
	if i, ok := s.find(a); ok {
		return s[i].Seq
	}
	return 0
}

// set puts t in place of the tip of its actor, in place.
func (s *summary) set(t crdt.Tip) {
	i, ok := s.find(t.Actor)
	if ok {
		(*s)[i] = t
		return
	}
	*s = slices.Insert(*s, i, t)
}

// digest names s in one store: equal exactly if the tips and the stores are.
func (s summary) digest(store crdt.StoreID) crdt.Hash {
	h := sha256.New()
	h.Write([]byte(summaryTag))
	h.Write(store[:])
	var buf [causal.ActorSize + 8 + 32]byte
	for i := range s {
		b := s[i].Actor.AppendTo(buf[:0])
		b = binary.BigEndian.AppendUint64(b, uint64(s[i].Seq))
		if planted.Is(planted.DigestIgnoresHash) {
			h.Write(b)
			continue
		}
		h.Write(append(b, s[i].Hash[:]...))
	}
	return crdt.Hash(h.Sum(nil))
}

// difference returns what turns base into s: the tips of s that base has otherwise or not, and a tip
// of seq 0 for each actor that only base has.
func (s summary) difference(base summary) []crdt.Tip {
	var out []crdt.Tip
	i, j := 0, 0
	for i < len(s) || j < len(base) {
		switch {
		case j == len(base) || i < len(s) && s[i].Actor.Compare(base[j].Actor) < 0:
			out = append(out, s[i])
			i++
		case i == len(s) || base[j].Actor.Compare(s[i].Actor) < 0:
			out = append(out, crdt.Tip{Actor: base[j].Actor})
			j++
		default:
			if s[i] != base[j] {
				out = append(out, s[i])
			}
			i++
			j++
		}
	}
	return out
}

// with returns s changed by what difference returned.
func (s summary) with(difference []crdt.Tip) summary {
	out := make(summary, 0, len(s)+len(difference))
	i, j := 0, 0
	for i < len(s) || j < len(difference) {
		switch {
		case j == len(difference) || i < len(s) && s[i].Actor.Compare(difference[j].Actor) < 0:
			out = append(out, s[i])
			i++
		default:
			if i < len(s) && s[i].Actor == difference[j].Actor {
				i++
			}
			if difference[j].Seq > 0 {
				out = append(out, difference[j])
			}
			j++
		}
	}
	return out
}

// version returns s without its hashes.
func (s summary) version() causal.VersionVector {
	out := make(causal.VersionVector, len(s))
	for i := range s {
		out[i] = causal.Dot{Actor: s[i].Actor, Seq: s[i].Seq}
	}
	return out
}

// shared is a summary that this replica and a peer are both thought to remember.
type shared struct {
	digest crdt.Hash
	tips   summary
}

// maxShared is how many of them are kept per peer: the last, and the one before it
// in case only one side learned of the last.
const maxShared = 2
