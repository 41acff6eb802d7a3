package crdt

import (
	"fmt"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/internal/planted"
)

// place gives the new changes their place in the graph. All they build on is held, on the
// same chains, or in the batch.
func (k *checker) place() (*Checked, error) {
	out := &k.out
	out.base, out.changes, out.parents = k.c.graph.Len(), 0, out.parents[:0]
	o := &k.overlay
	o.begin(&k.c.graph)
	next := out.base
	for i := range k.links {
		l := &k.links[i]
		ba := &k.actors[l.actor]
		if l.seq < ba.held {
			if l.end <= ba.held {
				planted.Mark(planted.CountedTwice)
				l.parentsEnd = len(out.parents)
				continue
			}
			l.cutHeld(&k.hasher, ba.held)
		}
		from := len(out.parents)
		after := k.ownBefore(ba, l.seq)
		l.from = origin{after: ba.lv, leaves: ba.leaves}
		ba.leaves = nil
		if ba.lv >= 0 {
			out.parents = append(out.parents, ba.lv)
		}
		if l.change != nil {
			for i := range l.change.Refs {
				if l.change.Refs[i].Seq == 0 {
					continue
				}
				lv, e, err := k.placeOf(l.change, i)
				if err != nil {
					return nil, err
				}
				out.parents, after = append(out.parents, lv), max(after, e)
			}
		}
		parents := out.parents[from:]
		if !o.maximal(parents, ba.lv) {
			return nil, fmt.Errorf("%w: %s:%d: a dep is in the history of another", ErrInvalid, ba.Actor, l.seq)
		}
		l.span = causal.Span{Start: next, End: next + causal.LV(l.end-l.seq)}
		l.parentsEnd = len(out.parents)
		next = l.span.End
		o.add(l.span, parents)
		out.changes += l.len()
		ba.last = l.setEffective(after, len(parents) == 0)
		ba.lv = l.span.End - 1
	}
	out.links = k.links
	return out, nil
}

// ownBefore makes ba.lv that of the actor's op before seq, and returns the effective time of that op's change.
func (k *checker) ownBefore(ba *batchActor, seq causal.Seq) EffectiveTime {
	if ba.lv < 0 && seq > 1 {
		ba.lv, ba.last = ba.own, k.c.effective(ba.own)
	}
	return ba.last
}

// placeOf returns where the change is that ch depends on by its i-th ref, its last op, and its effective time. It is held or placed.
func (k *checker) placeOf(ch *Change, i int) (causal.LV, EffectiveTime, error) {
	d, g := ch.Refs[i], &k.c.graph
	b := ch.branch(i)
	if ai, ok := k.find(d.Actor); ok && d.Seq >= k.actors[ai].first {
		ba := &k.actors[ai]
		if b != nil {
			_, ok = k.inBatch(Tip{Actor: d.Actor, Seq: b.Seq, Hash: b.Hash})
		}
		switch {
		case !ok: // of another branch
		case d.Seq >= ba.held:
			l := &k.links[k.linkOf(ba, d.Seq)]
			return l.span.Start + causal.LV(d.Seq-l.seq), l.effectiveAt(d.Seq), nil
		default:
			lv, _ := g.LVOf(g.ActorOf(ba.own), d.Seq)
			return lv, k.c.effective(lv), nil
		}
	}
	var lv causal.LV
	switch {
	case b != nil:
		at, _, err := k.c.findTip(Tip{Actor: d.Actor, Seq: b.Seq, Hash: b.Hash})
		if err != nil {
			return 0, 0, err
		}
		lv = k.c.span(at).End - 1
	case g.Forked():
		at, _ := k.anchor(d)
		lv = k.anchors[at].lv
	default:
		lv, _ = g.LV(d)
	}
	return lv, k.c.effective(lv), nil
}

// cutHeld takes the changes below seq out of l, a typing with some left.
func (l *link) cutHeld(h *hasher, seq causal.Seq) {
	k, i := l.at(seq - 1)
	hash, time := k.hash(i), k.time(i)
	n := i + 1
	for _, before := range l.chunks {
		if before == k {
			break
		}
		n += before.len()
	}
	l.typing, l.seq = l.typing.from(n), seq
	if k.bare != nil {
		l.chunks = []*infoChunk{{end: causal.LV(l.typing.len), bare: l.typing}}
		return
	}
	l.chunks = l.typing.hash(h, hash, time)
}

// setEffective gives the changes of l, which is placed, their effective times, given the greatest in the history of the
// first, or that it has none, and returns the last one.
func (l *link) setEffective(after EffectiveTime, first bool) EffectiveTime {
	if l.change != nil {
		l.effective = effectiveOf(l.change.Time, after, first)
		return l.effective
	}
	for _, k := range l.chunks {
		k.start += l.span.Start
		k.end += l.span.Start
		if k.bare != nil {
			k.after, k.alone = after, first
			after = k.effective(k.bare.n - 1)
			continue
		}
		for i := range k.hashes {
			after = effectiveOf(k.time(i), after, first)
			first = false
			k.setEffective(i, after)
		}
	}
	return after
}
