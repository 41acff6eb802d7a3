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
// Source: Weidner and Kleppmann, "The Art of the Fugue", sections 3 and 5.
type reference struct {
	root  *refElement
	order []*refElement  // all of them, deleted or not
	saw   []map[int]bool // by change
}

type refElement struct {
	dot         causal.Dot
	value       rune
	change      int
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
		if !slices.ContainsFunc(e.deletedBy, func(c int) bool { return h[c] }) {
			visible = append(visible, e)
		}
	}
	return known, visible
}

// text returns what a history shows.
func (r *reference) text(h map[int]bool) string {
	_, visible := r.version(h)
	var out []rune
	for _, e := range visible {
		out = append(out, e.value)
	}
	return string(out)
}

// apply takes in the next change, c, with number i.
func (r *reference) apply(i int, c *change) {
	h := r.history(c.parents)
	h[i] = true // its own earlier ops count as seen
	r.saw = append(r.saw, h)
	dot := causal.Dot{Actor: c.actor, Seq: c.seq}
	for _, o := range c.ops {
		if o.text == nil {
			_, visible := r.version(h)
			for k := o.pos; k < o.pos+o.n && k < len(visible); k++ {
				visible[k].deletedBy = append(visible[k].deletedBy, i)
			}
		}
		pos := o.pos
		for _, v := range o.text {
			_, visible := r.version(h)
			pos = min(pos, len(visible))
			r.insert(&refElement{dot: dot, value: v, change: i}, h, pos)
			dot.Seq++
			pos++
		}
		if o.text == nil {
			dot.Seq += causal.Seq(o.n)
		}
	}
}

func (r *reference) insert(e *refElement, h map[int]bool, pos int) {
	known, visible := r.version(h)
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
