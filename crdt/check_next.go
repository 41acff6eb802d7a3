package crdt

import (
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// checkNext is Check for what comes most often: one change that goes on where its actor's chain ends, or is the actor's first, and all else
// it depends on is held. It reports whether the batch is that and good, and then k.out is as place would have left it. If not, the
// long way says why.
func (k *checker) checkNext(verify Verify) bool {
	c, b := k.c, k.b
	if b.n != 1 || len(b.single) != 1 || len(b.Sigs) > 1 || verify != nil && len(b.Sigs) == 0 {
		return false
	}
	ch := b.single[0]
	if ch.Branches != nil || !b.valid && ch.flaw() != "" {
		return false
	}
	last, after, prev, prevTime := causal.LV(-1), EffectiveTime(0), Hash{}, int64(0)
	if own := c.chainOf(ch.Actor); own != nil {
		if own.next != ch.Seq {
			return false
		}
		in, i := c.infos.at(own.last)
		var err error
		if prev, err = c.hash(in, i); err != nil {
			return false
		}
		last, after, prevTime = in.span(i).End-1, in.effective(i), in.time(i)
	} else {
		if ch.Seq != 1 {
			return false
		}
		prev = GenesisHash(c.store, ch.Actor)
	}
	before, after, ok := k.checkAnchors(ch, last, after)
	switch {
	case !ok || (before != nil) != (last >= 0):
		return false
	case before != nil && (before.Seq+1 != ch.Seq || prevTime != before.Time || prev != before.Hash):
		return false
	}
	end := ch.Seq + causal.Seq(ch.Len())
	hash := k.hasher.hash(ch, &prev, prevTime, k.deps)
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
		effective:  effectiveOf(ch.Time, after, len(k.out.parents) == 0),
		span:       causal.Span{Start: start, End: start + causal.LV(end-ch.Seq)},
		parentsEnd: len(k.out.parents),
		from:       origin{after: last},
	})
	k.out.base, k.out.changes, k.out.links = start, 1, k.links
	return true
}

// checkAnchors checks that the context is what ch, the one change of the batch, builds on: its actor's previous change, the last op of
// which is last, -1 if there is none, and its deps, all of which are held and none of which is in the history of another. It returns the anchor at the
// former, with nothing compared, nil if the context has none, and the greatest effective time of all, given that of the former, and leaves the parents in k.out and
// the hashes of the deps in k.deps.
func (k *checker) checkAnchors(ch *Change, last causal.LV, after EffectiveTime) (before *Anchor, _ EffectiveTime, ok bool) {
	c, context, refs := k.c, k.b.Context, ch.Refs
	k.deps, k.out.parents = k.deps[:0], k.out.parents[:0]
	if last >= 0 {
		k.out.parents = append(k.out.parents, last)
	}
	for i := range context {
		a := &context[i]
		if i > 0 && context[i-1].Actor.Compare(a.Actor) >= 0 {
			return nil, 0, false
		}
		if a.Actor == ch.Actor {
			before = a
			continue
		}
		for len(refs) > 0 && refs[0].Seq == 0 { // named by ops only
			refs = refs[1:]
		}
		if len(refs) == 0 || refs[0].Seq != a.Seq || refs[0].Actor != a.Actor {
			return nil, 0, false
		}
		refs = refs[1:]
		lv, ok := c.graph.LV(a.Dot())
		if !ok {
			return nil, 0, false
		}
		in, j := c.infos.at(c.change(lv))
		if hash, err := c.hash(in, j); err != nil || in.span(j).End != lv+1 || hash != a.Hash || in.time(j) != a.Time {
			return nil, 0, false
		}
		k.deps, k.out.parents = append(k.deps, a.Hash), append(k.out.parents, lv)
		after = max(after, in.effective(j))
	}
	if slices.ContainsFunc(refs, func(d causal.Dot) bool { return d.Seq > 0 }) {
		return nil, 0, false
	}
	if len(k.deps) > 0 {
		k.overlay.begin(&c.graph)
		if !k.overlay.maximal(k.out.parents, last) {
			return nil, 0, false
		}
	}
	return before, after, true
}
