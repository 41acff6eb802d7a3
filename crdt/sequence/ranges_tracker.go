package sequence

import "github.com/atollsync/atoll/crdt/causal"

// hungAnchor is an anchor on an element of a tracker: the place before it or after it (side 1). Elements are named as
// the tracker names them, atStart and atEnd are the places before and after everything.
type hungAnchor struct {
	elem causal.LV
	side Anchor
}

// begin makes a tracker of what comes after base, a critical version, at which r is settled.
func (r *Ranges) begin(log *opLog, base causal.LV) {
	if r.tracker == nil {
		r.tracker = new(tracker)
	}
	t := r.tracker
	size := log.sizeAt(base)
	t.reset(base, size, len(log.runs)-log.from(base))
	r.hung = r.hung[:0]
	for _, a := range r.anchors {
		r.hung = append(r.hung, t.hang(a, size, func(i int) causal.LV { return firstOld + causal.LV(i) }))
	}
}

// hang returns a, a place among size elements that at names.
func (t *tracker) hang(a Anchor, size int, at func(i int) causal.LV) hungAnchor {
	switch i := a.elem(); {
	case i < 0:
		return hungAnchor{atStart, a.side()}
	case i >= size:
		return hungAnchor{atEnd, a.side()}
	default:
		return hungAnchor{at(i), a.side()}
	}
}

// feed gives the tracker the ops before end that it does not have, from log: that of s, warmed from the tracker's base on. It hangs up
// the ranges among them, and reads off where all anchors are in the merged sequence.
func (r *Ranges) feed(s *Sequence, g *causal.Graph, log *opLog, end causal.LV) {
	t := r.tracker
	r.steps += log.from(end) - log.from(t.done)
	for k := len(r.hung) / 2; k < len(r.all) && r.all[k].lv < end; k++ {
		o := &r.all[k]
		s.replay(g, log, t, o.lv)
		off := t.off
		t.move(t.missing(g, o))
		size := int(t.tree.total.seen)
		start, last := o.ends(size)
		r.hung = append(r.hung, t.hang(start, size, t.seenAt), t.hang(last, size, t.seenAt))
		t.move(off) // as if it had not been here
	}
	s.replay(g, log, t, end)
	r.anchors = r.anchors[:0]
	for _, h := range r.hung {
		r.anchors = append(r.anchors, t.merged(h))
	}
	r.at = end
}

// missing returns what the author of o did not see of the ops that t has.
func (t *tracker) missing(g *causal.Graph, o *anchored) []causal.Span {
	if o.serial() || t.done == t.base {
		return nil
	}
	// The seen version is that of the last op applied.
	gone, come := g.Diff([]causal.LV{t.done - 1}, g.Parents(o.lv))
	return causal.Subtract(causal.Union(t.off, gone), come)
}

// seenAt returns the element at pos of the seen version.
func (t *tracker) seenAt(pos int) causal.LV {
	p, off, _ := t.tree.seek(pos)
	return t.tree.spans[t.tree.ref(p)].id + causal.LV(off)
}

// merged returns where h is in the merged sequence.
func (t *tracker) merged(h hungAnchor) Anchor {
	switch h.elem {
	case atStart:
		return After(-1)
	case atEnd:
		return Before(int(t.tree.total.merged))
	}
	ref := t.refOf(h.elem)
	p := t.tree.at(ref)
	before := int(t.tree.before(p).merged)
	if t.tree.width(p).merged == 0 {
		return Before(before)
	}
	return Before(before+int(h.elem-t.tree.spans[ref].id)) + h.side
}
