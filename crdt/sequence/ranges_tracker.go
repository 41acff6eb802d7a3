package sequence

import "github.com/atollsync/atoll/crdt/causal"

// hungAnchor is an anchor on an element of a tracker: the place before it or after it (side 1). Elements are named as
// the tracker names them, atStart and atEnd are the places before and after everything.
type hungAnchor struct {
	elem causal.LV
	side Anchor
	gone bool // the element is deleted in the merged sequence
}

// begin makes a tracker of what comes after base, a critical version, at which r is settled.
func (r *Ranges) begin(log *opLog, base causal.LV) {
	if r.tracker == nil {
		if r.tracker, r.spare = r.spare, nil; r.tracker == nil {
			r.tracker = new(tracker)
		}
	}
	t := r.tracker
	size := log.sizeAt(base)
	t.reset(base, size, len(log.runs)-log.from(base))
	r.fed = base
	r.hung = r.hung[:0]
	for _, a := range r.anchors {
		r.hung = append(r.hung, hang(a, size, func(i int) causal.LV { return firstOld + causal.LV(i) }))
	}
}

// hang returns a, a place among size elements that at names.
func hang(a Anchor, size int, at func(i int) causal.LV) hungAnchor {
	switch i := a.elem(); {
	case i < 0:
		return hungAnchor{elem: atStart, side: a.side()}
	case i >= size:
		return hungAnchor{elem: atEnd, side: a.side()}
	default:
		return hungAnchor{elem: at(i), side: a.side()}
	}
}

// feed gives the tracker the ops before end that it does not have, from log: that of s, warmed from the tracker's base on. It hangs up
// the ranges among them, and finds where all anchors are in the merged sequence.
func (r *Ranges) feed(s *Sequence, g *causal.Graph, log *opLog, end causal.LV) {
	t := r.tracker
	r.steps += log.from(end) - log.from(t.done)
	played := r.played
	afresh := r.at != r.fed // the anchors have moved on without the tracker
	if afresh {
		played = nil
	}
	for k := len(r.hung) / 2; k < len(r.all) && r.all[k].lv < end; k++ {
		o := &r.all[k]
		s.replay(g, log, t, o.lv, played)
		off := t.off
		t.move(t.missing(g, o))
		size := int(t.tree.total.seen)
		start, last := o.ends(size)
		r.hung = append(r.hung, hang(start, size, t.seenAt), hang(last, size, t.seenAt))
		t.move(off) // as if it had not been here
		if !afresh {
			r.anchors = append(r.anchors, t.merged(&r.hung[2*k]), t.merged(&r.hung[2*k+1]))
		}
	}
	s.replay(g, log, t, end, played)
	if afresh {
		r.anchors = r.anchors[:0]
		for i := range r.hung {
			r.anchors = append(r.anchors, t.merged(&r.hung[i]))
		}
	}
	r.at, r.fed = end, end
}

// played moves the anchors on by an edit of the merged sequence, which the tracker has just made. Only where something is
// inserted right where an element stood that is deleted the tracker must tell on which side that is.
func (r *Ranges) played(e Edit) {
	at, n := Before(e.Pos), Anchor(2*e.Deleted)
	if e.Deleted > 0 {
		for i, a := range r.anchors {
			switch {
			case a >= at+n:
				r.anchors[i] = a - n
			case a >= at:
				r.anchors[i], r.hung[i].gone = at, true
			}
		}
	}
	if e.Inserted > 0 {
		n := Anchor(2 * e.Inserted)
		for i, a := range r.anchors {
			switch {
			case a == at && r.hung[i].gone:
				r.anchors[i] = r.tracker.merged(&r.hung[i])
			case a >= at:
				r.anchors[i] = a + n
			}
		}
	}
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

// merged returns where h is in the merged sequence, and notes whether its element is deleted there.
func (t *tracker) merged(h *hungAnchor) Anchor {
	switch h.elem {
	case atStart:
		return After(-1)
	case atEnd:
		return Before(int(t.tree.total.merged))
	}
	ref := t.refOf(h.elem)
	p := t.tree.at(ref)
	before := int(t.tree.before(p).merged)
	if h.gone = !t.stands(p); h.gone {
		return Before(before)
	}
	return Before(before+int(h.elem-t.tree.spans[ref].id)) + h.side
}
