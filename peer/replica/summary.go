package replica

import (
	"slices"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// Domain tags: what is hashed for one purpose never serves another.
const (
	summaryTag     = "atoll summary v1\x00"
	summaryPartTag = "atoll summary part v1\x00"
	recordsTag     = "atoll records v1\x00"
)

// summary is what a replica holds, or is said to hold: for each branch of an actor's log the last op and the hash of
// the chain up to it. It is sorted, and has no zero Seq. Summaries are treated as
// values except by replace and add. See also holdings.
type summary []crdt.Tip

// of returns the tips of a: one, or several if its log is forked.
func (s summary) of(a causal.Actor) []crdt.Tip {
	i, ok := s.search(a)
	if !ok {
		return nil
	}
	return s[i:s.end(i)]
}

// search returns where the tips of a are, or would be, and whether there are any.
func (s summary) search(a causal.Actor) (int, bool) {
	lo, hi := 0, len(s)
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); s[mid].Actor.Compare(a) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < len(s) && s[lo].Actor == a
}

// end returns where the tips of the actor of the i-th tip, which is its first, end.
func (s summary) end(i int) int {
	j := i + 1
	for j < len(s) && s[j].Actor == s[i].Actor {
		j++
	}
	return j
}

// replace puts tips, sorted, in place of those of a, in place.
func (s *summary) replace(a causal.Actor, tips []crdt.Tip) {
	i, ok := s.search(a)
	j := i
	if ok {
		j = s.end(i)
	}
	*s = slices.Replace(*s, i, j, tips...)
}

// add adds t unless it is there.
func (s *summary) add(t crdt.Tip) {
	if i, ok := slices.BinarySearchFunc(*s, t, crdt.Tip.Compare); !ok {
		*s = slices.Insert(*s, i, t)
	}
}

// difference returns what turns base into s: all tips in s of each actor of whom base has not just the same, and a tip
// of seq 0 for each actor that only base has.
func (s summary) difference(base summary) []crdt.Tip {
	var out []crdt.Tip
	for len(s) > 0 || len(base) > 0 {
		switch {
		case len(base) == 0 || len(s) > 0 && s[0].Actor.Compare(base[0].Actor) < 0:
			n := s.end(0)
			out, s = append(out, s[:n]...), s[n:]
		case len(s) == 0 || base[0].Actor.Compare(s[0].Actor) < 0:
			out, base = append(out, crdt.Tip{Actor: base[0].Actor}), base[base.end(0):]
		default:
			n, m := s.end(0), base.end(0)
			if !slices.Equal(s[:n], base[:m]) {
				out = append(out, s[:n]...)
			}
			s, base = s[n:], base[m:]
		}
	}
	return out
}

// shared is a summary that this replica and a peer are both thought to remember.
type shared struct {
	digest crdt.Hash
	tips   *holdings // not written to
}

// maxShared is how many of them are kept per peer: the last, and the one before it
// in case only one side learned of the last.
const maxShared = 2
