package crdt

import (
	"bytes"
	"crypto/ed25519"

	"github.com/atollsync/atoll/crdt/causal"
)

// TakeChange takes in a change that another replica of the same program holds if it is one op on the text that s was at last, and all
// that it builds on is held. hash is its hash there, which covers all of that: it is compared, and no signature is asked for. The
// change is added to the chains of s and applied as by ApplyQuietly. TakeChange reports whether it did that; if not, nothing has
// changed, and the change is to be checked as part of a batch.
//
// s must have applied all that its chains hold. It does not keep ch.
func (s *State) TakeChange(ch *Change, hash Hash) bool {
	c, sp := s.chains, &s.spot
	if !s.takes() || ch.Branches != nil || len(ch.Groups) != 1 || ch.Groups[0].Slice != sp.path[0].Key {
		return false
	}
	g := &ch.Groups[0]
	var op typedOp
	if ch.Time < 0 || ch.Time > MaxTime || len(g.Ops) > inlineOps || g.Len > MaxChangeLen || ch.Seq > MaxSeq-MaxChangeLen || !sp.readOne(g.Ops, g.Len, &op) {
		return false
	}
	var span causal.Span
	if e := c.lookUpEnd(); len(ch.Refs) == 0 && ch.Actor == e.name {
		if ch.Seq != c.chains[e.actor].next || c.checker.hasher.hash(ch, e.hash, e.time, nil) != hash {
			return false
		}
		span = c.goOn(e, &hash, op.size, ch.Time, ch.wireSize())
	} else {
		var ok bool
		if span, ok = c.addNext(ch, &hash); !ok {
			return false
		}
	}
	s.playTaken(span, &ch.Actor, ch.Seq, &op)
	return true
}

// takes reports whether s is where a keystroke is mostly read and applied at once.
func (s *State) takes() bool {
	return s.spot.enc != nil && !s.chains.unhashed && !s.writing && s.applied.End() == s.chains.graph.Len()
}

// playTaken applies op at the spot: a change that is span of the graph, the first op of which is seq of actor.
func (s *State) playTaken(span causal.Span, actor *causal.Actor, seq causal.Seq, op *typedOp) {
	ps := s.start(span, nil)
	ps.actor, ps.first = *actor, seq
	s.spot.play(ps, op)
	s.Settle()
}

// TakeKeystroke takes in an encoded batch if it is what most are while somebody types: one change, typed on the text that s
// was at last by who wrote last, which depends on nothing else. It is checked as by Chains.Check, with what verify says of its
// signature, added to the chains of s, and applied as by ApplyQuietly: in a third of the time, since it never becomes a Batch or a
// Change. TakeKeystroke reports whether it did that; if not, nothing has changed, and the batch is to be decoded and checked.
//
// s must have applied all that its chains hold.
func (s *State) TakeKeystroke(batch []byte, verify Verify) bool {
	c, sp := s.chains, &s.spot
	if !s.takes() {
		return false
	}
	e := c.lookUpEnd()
	var k nextChange
	if !k.read(e, c.chains[e.actor].next, sp.path[0].Key, batch) {
		return false
	}
	h := &c.checker.hasher
	h.pad(append(h.begin(e.hash), k.change...))
	var op typedOp
	if !sp.readOne(k.ops, k.len, &op) {
		return false
	}
	h.finish()
	own := &c.chains[e.actor]
	if verify != nil && (len(k.sig) == 0 || !verify(e.name.Device, SigningBytes(*h.last()), k.sig)) {
		return false
	}
	// Nothing below can fail.
	seq := own.next
	s.playTaken(c.goOn(e, h.last(), k.len, k.time, wireSizeOf(len(sp.path[0].Key), len(k.ops))), &e.name, seq, &op)
	if len(k.sig) > 0 {
		c.AddSignature(Signature{Dot: causal.Dot{Actor: e.name, Seq: own.next - 1}, Sig: [ed25519.SignatureSize]byte(k.sig)})
	}
	return true
}

// nextChange is the one change of a batch, which goes on where its actor's chain ends and has no refs.
type nextChange struct {
	change []byte // as it travels, which is as it is hashed
	time   int64
	len    int
	ops    []byte
	sig    []byte // of ed25519, empty: none
}

// read reads b, a batch of one change that goes on from e with the seq next, is about one slice, and has ops that are hashed as they are. It
// checks all that decoding the batch and Chains.Check would, but for the hash and the signature.
func (k *nextChange) read(e *chainEnd, next causal.Seq, slice string, b []byte) bool {
	// The table of actors, and the context: the change before.
	if len(b) < keystrokeHead+1 || [keystrokeHead]byte(b) != e.head {
		return false
	}
	seq, b, ok := readUint(b[keystrokeHead:])
	if !ok || seq != uint64(next)-1 || len(b) < 2+len(e.hash) || b[0] != mpBin8 || int(b[1]) != len(e.hash) || !bytes.Equal(b[2:2+len(e.hash)], e.hash[:]) {
		return false
	}
	time, b, ok := readInt(b[2+len(e.hash):])
	if !ok || time != e.time || len(b) < 5 {
		return false
	}
	// The segment: the change.
	if b[0] != mpFixArr|3 || b[1] != 0 || b[2] != 1 {
		return false
	}
	if k.change, b, ok = readBin(b[3:]); !ok || len(k.change) < 3 || k.change[0] != mpFixArr {
		return false
	}
	delta, rest, ok := readInt(k.change[1:])
	if !ok || delta < -MaxTime || delta > MaxTime || len(rest) == 0 || rest[0] != mpFixArr|3 {
		return false
	}
	if k.time = time + delta; k.time < 0 || k.time > MaxTime {
		return false
	}
	name := 2 + len(slice)
	if len(slice) >= 32 || len(rest) < name || rest[1] != mpFixStr|byte(len(slice)) || string(rest[2:name]) != slice {
		return false
	}
	size, rest, ok := readUint(rest[name:])
	if !ok || size < 1 || size > MaxChangeLen || uint64(next)+size-1 > MaxSeq {
		return false
	}
	k.len = int(size)
	if k.ops, rest, ok = readBin(rest); !ok || len(k.ops) > inlineOps || len(rest) > 0 {
		return false
	}
	// The signature.
	if len(b) == 1 && b[0] == mpFixArr {
		return true
	}
	if len(b) < 2 || b[0] != mpFixArr|3 || b[1] != 0 {
		return false
	}
	if seq, b, ok = readUint(b[2:]); !ok || seq != uint64(next)+size-1 {
		return false
	}
	k.sig, b, ok = readBin(b)
	return ok && len(k.sig) == ed25519.SignatureSize && len(b) == 0
}
