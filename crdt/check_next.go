package crdt

import "github.com/atollsync/atoll/crdt/causal"

// checkNext is Check for what comes most often: one change that goes on where its actor's chain ends and depends on
// nothing else. It reports whether the batch is that and good, and then k.out is as place would have left it. If not, the
// long way says why.
func (k *checker) checkNext(verify Verify) bool {
	c, b := k.c, k.b
	if b.n != 1 || len(b.single) != 1 || len(b.Context) != 1 || len(b.Sigs) > 1 || verify != nil && len(b.Sigs) == 0 {
		return false
	}
	ch, before := b.single[0], &b.Context[0]
	if len(ch.Refs) != 0 || before.Seq+1 != ch.Seq || before.Actor != ch.Actor || !b.valid && ch.flaw() != "" {
		return false
	}
	own := c.chainOf(ch.Actor)
	if own == nil || own.next != ch.Seq {
		return false
	}
	in, i := c.infos.at(own.last)
	if hash, err := c.hash(in, i); err != nil || hash != before.Hash || in.time(i) != before.Time {
		return false
	}
	end := ch.Seq + causal.Seq(ch.Len())
	var hash Hash
	hash, k.buf = ch.hashWith(k.buf, &before.Hash, before.Time, nil)
	k.out.sigs = k.out.sigs[:0]
	if len(b.Sigs) == 1 {
		s := &b.Sigs[0]
		if s.Dot.Seq != end-1 || s.Dot.Actor != ch.Actor || verify != nil && !verify(ch.Actor.Device, SigningBytes(hash), s.Sig[:]) {
			return false
		}
		k.out.sigs = append(k.out.sigs, *s)
	}
	start := c.graph.Len()
	k.links = append(k.links, link{change: ch, seq: ch.Seq, end: end, hash: hash,
		effective:  effectiveOf(ch.Time, in.effective(i), false),
		span:       causal.Span{Start: start, End: start + causal.LV(end-ch.Seq)},
		parentsEnd: 1,
	})
	k.out.base, k.out.changes, k.out.links = start, 1, k.links
	k.out.parents = append(k.out.parents[:0], in.span(i).End-1)
	return true
}
