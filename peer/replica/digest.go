package replica

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/internal/planted"
)

// The digest of a summary is a hash tree of two levels: over the parts of the summary that are not empty, each named by its number, and in each over its
// tips. A part is the actors whose device begins with the same bits. So after a change the digest of a summary of many
// actors costs a look at few of them.

// digestParts is in how many parts a summary is hashed.
const digestParts = 64

// partOf returns the part that a device's actors are in. Actors in order are in parts in order.
func partOf(d causal.Device) int { return int(d[0] >> 2) }

// digest names h in one store: equal exactly if the tips and the stores are.
func (h *holdings) digest(store crdt.StoreID) crdt.Hash {
	var buf [len(summaryTag) + len(store) + digestParts*(1+len(crdt.Hash{}))]byte
	top := append(append(buf[:0], summaryTag...), store[:]...)
	var room [2048]byte
	for i := range digestParts {
		if len(h.part(i)) == 0 {
			continue
		}
		p := h.parts[i]
		if !p.hashed {
			p.hash, p.hashed = hashPart(p.tips, room[:0]), true
		}
		top = append(append(top, byte(i)), p.hash[:]...)
	}
	return sha256.Sum256(top)
}

// hashPart returns the hash of a part of a summary. It may use the room behind buf.
func hashPart(tips []crdt.Tip, buf []byte) crdt.Hash {
	buf = append(buf, summaryPartTag...)
	for i := range tips {
		buf = tips[i].Actor.AppendTo(buf)
		buf = binary.BigEndian.AppendUint64(buf, uint64(tips[i].Seq))
		if !planted.Is(planted.DigestIgnoresHash) {
			buf = append(buf, tips[i].Hash[:]...)
		}
	}
	return sha256.Sum256(buf)
}
