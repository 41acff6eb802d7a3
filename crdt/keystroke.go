package crdt

import (
	"bytes"
	"crypto/ed25519"

	"github.com/atollsync/atoll/crdt/causal"
)

// TakeKeystroke takes in an encoded batch if it is what most are while somebody types: one change, typed on the text that s
// was at last by who wrote last, which depends on nothing else. It is checked as by Chains.Check, with what verify says of its
// signature, added to the chains of s, and applied as by ApplyQuietly: in a third of the time, since it never becomes a Batch or a
// Change. TakeKeystroke reports whether it did that; if not, nothing has changed, and the batch is to be decoded and checked.
//
// s must have applied all that its chains hold.
func (s *State) TakeKeystroke(batch []byte, verify Verify) bool {
	c, sp := s.chains, &s.spot
	if sp.enc == nil || c.unhashed || s.tx != nil || s.applied.End() != c.graph.Len() {
		return false
	}
	e := c.lookUpEnd()
	k, ok := c.readNext(e, batch)
	if !ok || string(k.slice) != sp.path[0].Key {
		return false
	}
	op, ok := sp.read(k.ops, k.len)
	if !ok {
		return false
	}
	h := &c.checker.hasher
	h.sum(append(h.begin(&e.hash), k.change...))
	own := &c.chains[e.actor]
	if verify != nil && (len(k.sig) == 0 || !verify(c.graph.Actor(e.actor).Device, SigningBytes(*h.last()), k.sig)) {
		return false
	}
	// Nothing below can fail.
	e.hash = *h.last()
	ps := s.start(c.goOn(e, k.len, k.time, wireSizeOf(len(k.slice), len(k.ops))), nil)
	ps.actor = c.graph.Actor(e.actor)
	ps.first = own.next - causal.Seq(k.len)
	sp.play(ps, &op)
	s.Settle()
	if len(k.sig) > 0 {
		c.AddSignature(Signature{Dot: causal.Dot{Actor: ps.actor, Seq: own.next - 1}, Sig: [ed25519.SignatureSize]byte(k.sig)})
	}
	return true
}

// nextChange is the one change of a batch, which goes on where its actor's chain ends and has no refs.
type nextChange struct {
	change []byte // as it travels, which is as it is hashed
	time   int64
	slice  []byte // the name of its only one
	len    int
	ops    []byte
	sig    []byte // of ed25519, empty: none
}

// readNext reads a batch of one change that goes on from e, has one slice, and ops that are hashed as they are. It checks all that decoding the batch
// and Chains.Check would, but for the name of the slice, the hash and the signature.
func (c *Chains) readNext(e *chainEnd, b []byte) (k nextChange, ok bool) {
	const actorHead = 2 + causal.ActorSize
	// The table of actors, and the context: the change before.
	if len(b) < 3+actorHead+2 || b[0] != mpFixArr|5 || b[1] != FormatVersion || b[2] != mpFixArr|1 || b[3] != mpBin8 || b[4] != causal.ActorSize {
		return k, false
	}
	if name := c.graph.Actor(e.actor); !bytes.Equal(b[5:5+len(name.Device)], name.Device[:]) ||
		!bytes.Equal(b[5+len(name.Device):3+actorHead], name.Nonce[:]) || b[3+actorHead] != mpFixArr|4 || b[4+actorHead] != 0 {
		return k, false
	}
	next := c.chains[e.actor].next
	seq, b, ok := readUint(b[5+actorHead:])
	if !ok || seq != uint64(next)-1 || len(b) < 2+len(e.hash) || b[0] != mpBin8 || int(b[1]) != len(e.hash) || !bytes.Equal(b[2:2+len(e.hash)], e.hash[:]) {
		return k, false
	}
	time, b, ok := readInt(b[2+len(e.hash):])
	if !ok || time != e.time || len(b) < 5 {
		return k, false
	}
	// The segment: the change.
	if b[0] != mpFixArr|3 || b[1] != 0 || b[2] != 1 {
		return k, false
	}
	if k.change, b, ok = readBin(b[3:]); !ok || len(k.change) < 3 || k.change[0] != mpFixArr {
		return k, false
	}
	delta, rest, ok := readInt(k.change[1:])
	if !ok || delta < -MaxTime || delta > MaxTime || len(rest) == 0 || rest[0] != mpFixArr|3 {
		return k, false
	}
	if k.time = time + delta; k.time < 0 || k.time > MaxTime {
		return k, false
	}
	if k.slice, rest, ok = readStr(rest[1:]); !ok {
		return k, false
	}
	size, rest, ok := readUint(rest)
	if !ok || size < 1 || size > MaxChangeLen || uint64(next)+size-1 > MaxSeq {
		return k, false
	}
	k.len = int(size)
	if k.ops, rest, ok = readBin(rest); !ok || len(k.ops) > inlineOps || len(rest) > 0 {
		return k, false
	}
	// The signature.
	if len(b) == 1 && b[0] == mpFixArr {
		return k, true
	}
	if len(b) < 2 || b[0] != mpFixArr|3 || b[1] != 0 {
		return k, false
	}
	if seq, b, ok = readUint(b[2:]); !ok || seq != uint64(next)+size-1 {
		return k, false
	}
	k.sig, b, ok = readBin(b)
	return k, ok && len(k.sig) == ed25519.SignatureSize && len(b) == 0
}
