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

// part returns the part that an actor is in. Actors in order are in parts in order.
func part(a causal.Actor) int { return int(a.Device[0] >> 2) }

// digester works out the digest of a summary that changes. The zero value has seen none.
type digester struct {
	parts [digestParts]crdt.Hash
	same  uint64 // bits of the parts that are as they were hashed
}

// changed tells that a's tips are others than at the last digest.
func (d *digester) changed(a causal.Actor) { d.same &^= 1 << part(a) }

// digest returns the digest of s in one store.
func (d *digester) digest(s summary, store crdt.StoreID) crdt.Hash {
	var buf [512]byte
	top := append(append(buf[:0], summaryTag...), store[:]...)
	var room [1024]byte
	for len(s) > 0 {
		i, n := part(s[0].Actor), 1
		for n < len(s) && part(s[n].Actor) == i {
			n++
		}
		if d.same&(1<<i) == 0 {
			d.parts[i] = hashPart(s[:n], room[:0])
			d.same |= 1 << i
		}
		top = append(append(top, byte(i)), d.parts[i][:]...)
		s = s[n:]
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
