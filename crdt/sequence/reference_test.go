package sequence_test

import (
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// reference is FugueMax as its paper defines it, element by element on an explicit
// tree, with sets for histories. It shares nothing with the package, not even the way
// the order is defined: the walker inserts into a flat list by YjsMod's rules.
//
// Source: Weidner and Kleppmann, "The Art of the Fugue", sections 3 and 5.
type reference struct {
	root     *refElement
	order    []*refElement // all of them, deleted or not
	saw      []map[int]bool
	elements map[causal.Dot]*refElement
}

type refElement struct {
	dot         causal.Dot
	value       rune
	change      int
	deletedBy   []int // changes
	rightOrigin *refElement
	left, right []*refElement // children on either side
}

func newReference() *reference {
	return &reference{root: &refElement{}, elements: make(map[causal.Dot]*refElement)}
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
	if next < len(known) {
		e.rightOrigin = known[next]
	}
	if !slices.ContainsFunc(left.right, func(c *refElement) bool { return h[c.change] }) {
		left.right = append(left.right, e)
	} else {
		e.rightOrigin.left = append(e.rightOrigin.left, e)
	}
	r.elements[e.dot] = e

	place := make(map[*refElement]int)
	for i, x := range r.order {
		place[x] = i
	}
	place[nil] = len(r.order) // the end
	r.order = nil
	r.traverse(r.root, place)
}

// traverse rebuilds the order. place is the former one, which has all right origins.
func (r *reference) traverse(e *refElement, place map[*refElement]int) {
	slices.SortFunc(e.left, func(a, b *refElement) int { return a.dot.Compare(b.dot) })
	slices.SortFunc(e.right, func(a, b *refElement) int {
		return a.dot.Compare(b.dot)
	})
	for _, c := range e.left {
		r.traverse(c, place)
	}
	if e != r.root {
		r.order = append(r.order, e)
	}
	for _, c := range e.right {
		r.traverse(c, place)
	}
}
