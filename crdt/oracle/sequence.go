package oracle

import (
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// sequence is the content of a List or Text: its items in a tree, whose in-order
// walk is their order. An item hangs where its author put it, so the tree is a function of the set of ops.
//
// The item's left origin is the visible item before the position, or the
// start; its right origin is the item after that, visible or not, if the two have the
// same left origin, or else the end. With a right origin it is a left child of
// that, without one a right child of its left origin. Siblings stand in the order of
// their dots.
//
// An item is a code point, or a slot of an element. An insertion makes an element's first slot, each move another one, and
// the element shows at its latest. So a slot is visible to those who saw no later one of its element, and
// no delete of the element.
type sequence struct {
	start    item                   // before all
	elements map[causal.Dot][]*item // by the dot that inserted them, code points too: one, or one on each branch of a log
	marks    []*mark                // of a Text, unmarks too
}

// item is one code point or slot.
type item struct {
	write             // the dot that made it
	char        rune  // Text
	origin      *item // the left one
	left, right []*item
	// of is the item that the insertion made: this one itself, unless it is of a move. What happened to
	// the element is noted there.
	of      *item
	slots   []*item // all of the element
	deletes []*op   // of the element
}

// walk calls yield with the items in order.
func (i *item) walk(yield func(*item)) {
	for _, child := range i.left {
		child.walk(yield)
	}
	yield(i)
	for _, child := range i.right {
		child.walk(yield)
	}
}

// visible reports whether i shows in the version that has the ops for which saw is true, i's own among them.
func (i *item) visible(saw func(*op) bool) bool {
	later := func(j *item) bool { return saw(j.op) && inTime(j.write, i.write) > 0 }
	return !slices.ContainsFunc(i.of.deletes, saw) && !slices.ContainsFunc(i.of.slots, later)
}

// seenBy returns the items that o's author saw, in order, with the start first: all, and those
// visible.
func (s *sequence) seenBy(o *op) (all, visible []*item) {
	s.start.walk(func(i *item) {
		if i == &s.start {
			all, visible = append(all, i), append(visible, i)
			return
		}
		if !o.saw(i.op) {
			return
		}
		all = append(all, i)
		if i.visible(o.saw) {
			visible = append(visible, i)
		}
	})
	return all, visible
}

// insert puts the items that o inserts, in order, at the position o's author saw. A position beyond the end
// is the end.
func (s *sequence) insert(o *op, items []*item) {
	if s.elements == nil {
		s.elements = map[causal.Dot][]*item{}
	}
	for _, i := range items {
		i.of, i.slots = i, []*item{i}
		s.elements[i.dot] = append(s.elements[i.dot], i)
	}
	s.place(o, items)
}

// move puts a slot of the element of at the position o's author saw, counted without the element.
func (s *sequence) move(o *op, of *item) {
	slot := &item{write: o.nth(0), of: of}
	s.place(o, []*item{slot})
	of.slots = append(of.slots, slot)
}

// place puts items that o makes, in order, at o's position among those that its author saw, without the one where
// the element of a move showed until then.
func (s *sequence) place(o *op, items []*item) {
	all, visible := s.seenBy(o)
	visible = slices.DeleteFunc(visible, func(i *item) bool { return i.of == items[0].of })
	origin := visible[min(o.Pos, len(visible)-1)]
	next := slices.Index(all, origin) + 1
	for _, i := range items {
		i.origin = origin
		siblings := &origin.right
		if next < len(all) && all[next].origin == origin {
			siblings = &all[next].left
		}
		*siblings = append(*siblings, i)
		slices.SortFunc(*siblings, func(a, b *item) int { return a.compareDots(b.write) })
		origin = i // the next one follows this one
	}
}

// delete marks the elements or code points that o deletes. The part of it outside what its author saw is void.
func (s *sequence) delete(o *op) {
	_, visible := s.seenBy(o)
	visible = visible[1:]
	from := min(o.Pos, len(visible))
	for _, i := range visible[from : from+min(o.Len, len(visible)-from)] {
		i.of.deletes = append(i.of.deletes, o)
	}
}

// visible returns the items that show where everything has been seen, in order.
func (s *sequence) visible() []*item {
	var out []*item
	s.start.walk(func(i *item) {
		if i != &s.start && i.visible(func(*op) bool { return true }) {
			out = append(out, i)
		}
	})
	return out
}
