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
	context, refs := k.b.Context, ch.Refs
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
		in, j, ok := k.addDep(a.Dot())
		if !ok || k.deps[len(k.deps)-1] != a.Hash || in.time(j) != a.Time {
			return nil, 0, false
		}
		after = max(after, in.effective(j))
	}
	if slices.ContainsFunc(refs, func(d causal.Dot) bool { return d.Seq > 0 }) {
		return nil, 0, false
	}
	return before, after, k.areMaximal(last)
}

// addDep adds the change that d names, which one that is checked depends on, to k.deps and the parents, and returns where what is known of it is.
func (k *checker) addDep(d causal.Dot) (in *infoChunk, j int, ok bool) {
	c := k.c
	lv, ok := c.graph.LV(d)
	if !ok {
		return nil, 0, false
	}
	in, j = c.infos.at(c.change(lv))
	hash, err := c.hash(in, j)
	if err != nil || in.span(j).End != lv+1 {
		return nil, 0, false
	}
	k.deps, k.out.parents = append(k.deps, hash), append(k.out.parents, lv)
	return in, j, true
}

// areMaximal reports whether no dep is in the history of another or of last, the author's own previous op.
func (k *checker) areMaximal(last causal.LV) bool {
	if len(k.deps) == 0 {
		return true
	}
	k.overlay.begin(&k.c.graph)
	return k.overlay.maximal(k.out.parents, last)
}

// addNext adds ch to c if it goes on where its actor's chain ends, all else it depends on is held, and its hash is as given. It
// reports whether it did; if not nothing has changed. ch names no branches.
func (c *Chains) addNext(ch *Change, hash *Hash) (causal.Span, bool) {
	own := c.chainOf(ch.Actor)
	if own == nil || own.next != ch.Seq || len(ch.Refs) > 0 && ch.flaw() != "" {
		return causal.Span{}, false
	}
	in, i := c.infos.at(own.last)
	last, after := in.span(i).End-1, in.effective(i)
	k := &c.checker
	k.c, k.deps, k.out.parents = c, k.deps[:0], append(k.out.parents[:0], last)
	for _, d := range ch.Refs {
		in, j, ok := k.addDep(d)
		if !ok {
			return causal.Span{}, false
		}
		after = max(after, in.effective(j))
	}
	prev, err := c.hash(in, i)
	if err != nil || !k.areMaximal(last) || k.hasher.hash(ch, &prev, in.time(i), k.deps) != *hash {
		return causal.Span{}, false
	}
	start := c.graph.Len()
	a := Accepted{Change: ch, Span: causal.Span{Start: start, End: start + causal.LV(ch.Len())}, Effective: effectiveOf(ch.Time, after, false), Hash: *hash}
	c.append(&a, origin{after: last}, k.out.parents)
	return a.Span, true
}
