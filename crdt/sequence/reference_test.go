package sequence_test

import (
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// reference is the order of elements defined by a tree, element by element, with sets for
// histories. It shares nothing with the package, not even the way the order is defined: the
// walker inserts into a flat list by YjsMod's rules.
//
// An element is a right child of its left origin, or, if its author saw that to have
// right children already, a left child of the element that came next, which is then its right
// origin. So right children have no right origin, FugueMax's comparison of those among siblings
// never decides, and siblings stand in the order of their dots.
//
// A move adds an element like an insertion, a slot. Of what a history has of an element and its slots it shows the
// latest, unless it has a deletion.
//
// Source: Weidner and Kleppmann, "The Art of the Fugue", sections 3 and 5.
type reference struct {
	root  *refElement
	order []*refElement  // all of them, deleted or not
	saw   []map[int]bool // by change
	times []int          // by change: effective time
}

type refElement struct {
	dot         causal.Dot
	value       rune
	change      int
	of          *refElement   // what this is a slot of, itself if it is none
	slots       []*refElement // itself among them
	deletedBy   []int         // changes
	left, right []*refElement // children on either side
}

func newReference() *reference {
	return &reference{root: &refElement{}}
}

// history returns the changes that a new one with these parents saw.
func (r *reference) history(parents []int) map[int]bool {
	h := make(map[int]bool)
	for _, p := range parents {
		h[p] = true
		for q := range r.saw[p] {
			h[q] = true
		}
	}
	return h
}

// version returns the elements that a history has, and those of them it shows.
func (r *reference) version(h map[int]bool) (known, visible []*refElement) {
	for _, e := range r.order {
		if !h[e.change] {
			continue
		}
		known = append(known, e)
		if e == r.shown(e.of, h) {
			visible = append(visible, e)
		}
	}
	return known, visible
}

// shown returns the slot at which a history shows an element, nil if it does not.
func (r *reference) shown(e *refElement, h map[int]bool) *refElement {
	if slices.ContainsFunc(e.deletedBy, func(c int) bool { return h[c] }) {
		return nil
	}
	var best *refElement
	for _, s := range e.slots {
		if h[s.change] && (best == nil || r.later(s, best)) {
			best = s
		}
	}
	return best
}

func (r *reference) later(a, b *refElement) bool {
	if ta, tb := r.times[a.change], r.times[b.change]; ta != tb {
		return ta > tb
	}
	return a.dot.Compare(b.dot) > 0
}

// find returns the element with a dot.
func (r *reference) find(dot causal.Dot) *refElement {
	return r.order[slices.IndexFunc(r.order, func(e *refElement) bool { return e.dot == dot })]
}

// text returns what a history shows.
func (r *reference) text(h map[int]bool) string {
	_, visible := r.version(h)
	var out []rune
	for _, e := range visible {
		out = append(out, e.of.value)
	}
	return string(out)
}

// apply takes in the next change, c, with number i.
func (r *reference) apply(i int, c *change) {
	h := r.history(c.parents)
	h[i] = true // its own earlier ops count as seen
	r.saw = append(r.saw, h)
	r.times = append(r.times, c.time)
	for k := range h {
		if k != i {
			r.times[i] = max(r.times[i], r.times[k]+1)
		}
	}
	dot := causal.Dot{Actor: c.actor, Seq: c.seq}
	for _, o := range c.ops {
		if o.isMove() {
			e := r.find(o.elem)
			from := r.shown(e, h)
			slot := &refElement{dot: dot, change: i, of: e}
			known, visible := r.version(h)
			visible = slices.DeleteFunc(visible, func(v *refElement) bool { return v == from })
			r.insert(slot, h, known, visible, min(o.pos, len(visible)))
			e.slots = append(e.slots, slot)
			dot.Seq++
			continue
		}
		if o.text == nil {
			_, visible := r.version(h)
			for k := o.pos; k < o.pos+o.n && k < len(visible); k++ {
				visible[k].of.deletedBy = append(visible[k].of.deletedBy, i)
			}
		}
		pos := o.pos
		for _, v := range o.text {
			known, visible := r.version(h)
			pos = min(pos, len(visible))
			e := &refElement{dot: dot, value: v, change: i}
			e.of, e.slots = e, []*refElement{e}
			r.insert(e, h, known, visible, pos)
			dot.Seq++
			pos++
		}
		if o.text == nil {
			dot.Seq += causal.Seq(o.n)
		}
	}
}

// insert puts e at pos of visible, by an author who has h and so knows known.
func (r *reference) insert(e *refElement, h map[int]bool, known, visible []*refElement, pos int) {
	left, next := r.root, 0
	if pos > 0 {
		left = visible[pos-1]
		next = slices.Index(known, left) + 1
	}
	siblings := &left.right
	if slices.ContainsFunc(left.right, func(c *refElement) bool { return h[c.change] }) {
		siblings = &known[next].left
	}
	*siblings = append(*siblings, e)
	slices.SortFunc(*siblings, func(a, b *refElement) int { return a.dot.Compare(b.dot) })
	r.order = nil
	r.traverse(r.root)
}

// traverse adds what is at and below e to the order.
func (r *reference) traverse(e *refElement) {
	for _, c := range e.left {
		r.traverse(c)
	}
	if e != r.root {
		r.order = append(r.order, e)
	}
	for _, c := range e.right {
		r.traverse(c)
	}
}
