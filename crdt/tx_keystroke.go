package crdt

import (
	"fmt"
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// Sign returns the signature over msg of the device whose actor commits.
type Sign func(msg []byte) []byte

// CommitEncoded is Commit for those who need the change only as it is sent, and do not ask what happened: it appends the encoding of the
// batch of that change alone, which is that of Chains.AppendBatch, to buf. The batch has a signature, which the chains keep, unless
// sign is nil. Without an op buf is returned as it is.
//
// A keystroke, in a transaction begun quietly, goes from the text to buf: it never becomes a Change. State.TakeKeystroke is its
// counterpart at those who receive it.
func (tx *Tx) CommitEncoded(buf []byte, sign Sign) (batch []byte, span causal.Span, ok bool, err error) {
	s := tx.s
	if tx.isKeystroke() {
		var op typedOp
		s.draft.playKeystroke(s, &op)
		buf, span = s.chains.appendKeystroke(buf, s.spot.typing(), &op, s.draft.time, sign)
		s.draft.wroteKeystroke(s, span)
		tx.finish()
		return buf, span, true, nil
	}
	a, _, ok, err := tx.Commit()
	if !ok {
		return buf, a.Span, ok, err
	}
	if sign != nil {
		s.chains.AddSignature(sign.change(a.Dot(), a.Hash))
	}
	return s.chains.AppendBatch(buf, []Accepted{a}), a.Span, true, nil
}

// change returns the signature at the change that ends in d and has the given hash.
func (sign Sign) change(d causal.Dot, h Hash) Signature {
	s := Signature{Dot: d}
	if n := copy(s.Sig[:], sign(SigningBytes(h))); n != len(s.Sig) {
		panic(fmt.Sprintf("crdt: a signature of %d bytes", n))
	}
	return s
}

// isKeystroke reports whether the change is one op on the text at the spot, which was put off, and goes on from the one committed
// last. Nobody asks what happens.
func (tx *Tx) isKeystroke() bool {
	s := tx.s
	d := &s.draft
	if tx.over() || len(d.put) != 1 || len(d.ops) > 0 || !d.alone || s.pass.trace != nil {
		return false
	}
	op := &d.put[0]
	if op.n > MaxChangeLen || op.pos > MaxPosition || s.pass.first > MaxSeq-MaxChangeLen {
		return false
	}
	enc := s.spot.enc
	return enc != nil && (len(enc)+op.to <= inlineOps/2 || s.spot.sizeOf(op) <= inlineOps)
}

// playKeystroke applies the op of a change that isKeystroke, and writes it to op, which is empty.
func (d *draft) playKeystroke(s *State, op *typedOp) {
	put, ps := &d.put[0], &s.pass
	ps.journaled = false
	ps.lv = ps.base
	op.size, op.pos = put.n, put.pos
	if put.code == CodeTextInsert {
		op.text = d.inserted()
		s.spot.insert(ps, put.pos, put.n, op.text)
	} else {
		op.kind = typeDelete
		s.spot.delete(ps, put.pos, put.n)
	}
}

// wroteKeystroke takes notice of a change that isKeystroke, or a row of such, that has become span of the graph.
func (d *draft) wroteKeystroke(s *State, span causal.Span) {
	s.applied.Take(s.graph, span)
	d.end = span.End
	d.next += causal.Seq(span.End - span.Start)
}

// appendKeystroke appends the batch of a change that authorRow could make: op, made at time, in the text that f is about.
func (c *Chains) appendKeystroke(buf []byte, f *typingFrame, op *typedOp, time int64, sign Sign) ([]byte, causal.Span) {
	e := c.lookUpEnd()
	next := c.chains[e.actor].next
	// About what it takes: such batches are small and many.
	size := keystrokeHead + uintSize(uint64(next)) + 2 + len(e.hash) + uintSize(uint64(e.time)) + 5 +
		1 + uintSize(uint64(time-e.time)) + len(f.one) + uintSize(uint64(op.pos)) + len(op.text) + 2
	if sign != nil {
		size += 2 + 9 + 66
	}
	buf = slices.Grow(buf, size)
	buf = appendUint(append(buf, e.head[:]...), uint64(next-1))
	buf = appendInt(append(append(buf, mpBin8, byte(len(e.hash))), e.hash[:]...), e.time)
	buf = append(buf, mpFixArr|3, 0, 1, mpBin8, 0)
	from := len(buf)
	buf, ops := f.appendHashed(buf, op, time-e.time)
	h := &c.checker.hasher
	h.sum(append(h.begin(e.hash), buf[from:]...))
	buf = endBin(buf, from)
	span := c.goOn(e, h.last(), op.size, time, wireSizeOf(len(f.slice), ops))
	if sign == nil {
		return append(buf, mpFixArr), span
	}
	last := causal.Dot{Actor: e.name, Seq: next + causal.Seq(op.size) - 1}
	sig := sign.change(last, *e.hash)
	c.AddSignature(sig)
	buf = appendUint(append(buf, mpFixArr|3, 0), uint64(last.Seq))
	return appendBin(buf, sig.Sig[:]), span
}
