package sequence

import "github.com/atollsync/atoll/crdt/causal"

// hung are the anchors of the first ranges, two each, in the merged sequence as a tracker has it.
type hung struct {
	at      causal.LV // all ops and ranges before that are there
	anchors []Anchor
	graves  []grave
}

// grave is the element of an anchor, if it was deleted since the base of a tracker: what is inserted where it stood goes to either side of it.
type grave struct {
	elem causal.LV // as the tracker names it
	ref  int32     // a span that had it, none if it stands
}

// hang hangs the anchors of r, which are those of version base, on a tracker that begins there.
func (r *ranges) hang(base causal.LV) {
	h := &r.hung
	h.at, h.anchors, h.graves = base, append(h.anchors[:0], r.anchors...), h.graves[:0]
	for range h.anchors {
		h.graves = append(h.graves, grave{ref: none})
	}
}

// hangBefore hangs the ranges before lv on t, which has the ops before them.
func (r *ranges) hangBefore(g *causal.Graph, t *tracker, lv causal.LV) {
	for k := len(r.hung.anchors) / 2; k < len(r.all) && r.all[k].lv < lv; k++ {
		o, h := &r.all[k], &r.hung
		if o.serial() {
			start, last := o.ends(o.size)
			h.anchors, h.graves = append(h.anchors, start, last), append(h.graves, grave{ref: none}, grave{ref: none})
			h.at = o.lv + 1
			continue
		}
		off := t.off
		// The seen version is that of the last op applied.
		gone, come := g.Diff([]causal.LV{t.done - 1}, g.Parents(o.lv))
		t.move(causal.Subtract(causal.Union(off, gone), come))
		h.add(t, o)
		t.move(off) // as if it had not been here
	}
}

// add hangs o on t, of which the seen version is what the author of o saw.
func (h *hung) add(t *tracker, o *anchored) {
	size := int(t.tree.total.seen)
	start, last := o.ends(size)
	for _, a := range [2]Anchor{start, last} {
		in := grave{ref: none}
		switch i := a.elem(); {
		case i < 0:
		case i >= size:
			a = Before(int(t.tree.total.merged))
		default:
			p, off, merged := t.tree.seek(i)
			if t.stands(p) {
				a = Before(merged+off) + a.side()
				break
			}
			a = Before(merged)
			in.ref = t.tree.ref(p)
			in.elem = t.tree.spans[in.ref].id + causal.LV(off)
		}
		h.anchors, h.graves = append(h.anchors, a), append(h.graves, in)
	}
	h.at = o.lv + 1
}

// truncate forgets the ranges that r does not have, and the version after what is left, all of which t has.
func (h *hung) truncate(r *ranges, t *tracker) {
	n := min(len(h.anchors), 2*len(r.all))
	h.anchors, h.graves, h.at = h.anchors[:n], h.graves[:n], t.done
	if n > 0 {
		h.at = max(h.at, r.all[n/2-1].lv+1)
	}
}

// inserted moves the anchors on by an insertion of n elements at pos of the merged sequence, into the span ref of t.
func (r *ranges) inserted(t *tracker, pos, n int, ref int32) {
	at, by := Before(pos), Anchor(2*n)
	for i, a := range r.hung.anchors {
		if a > at || a == at && !t.behind(ref, &r.hung.graves[i]) {
			r.hung.anchors[i] = a + by
		}
	}
}

// behind reports whether the span ref comes after a grave in document order.
func (t *tracker) behind(ref int32, g *grave) bool {
	if g.ref == none {
		return false
	}
	g.ref = t.fragment(g.ref, g.elem)
	return t.tree.compare(ref, g.ref) > 0
}

// deleted moves the anchors on by the deletion of the span ref of t, n elements at pos of the merged sequence.
func (r *ranges) deleted(t *tracker, pos, n int, ref int32) {
	at, by := Before(pos), Anchor(2*n)
	for i, a := range r.hung.anchors {
		switch {
		case a >= at+by:
			r.hung.anchors[i] = a - by
		case a >= at:
			if in := &r.hung.graves[i]; in.ref == none {
				*in = grave{elem: t.tree.spans[ref].id + causal.LV(a.elem()-pos), ref: ref}
			}
			r.hung.anchors[i] = at
		}
	}
}
