package oracle

import (
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// sequence is the content of a List or Text: its items in a tree, whose in-order
// walk is their order. An item hangs where its author put it, so the tree is a function of the set of ops.
//
// The item's left origin is the visible item before the position, or the
// start; its right origin is the item after that, deleted or not, if the two have the
// same left origin, or else the end. With a right origin it is a left child of
// that, without one a right child of its left origin. Siblings stand in the order of
// their dots.
type sequence struct {
	start item // before all
	items map[causal.Dot]*item
}

// item is one element or code point.
type item struct {
	write             // the dot that inserted it
	char        rune  // Text
	origin      *item // the left one
	left, right []*item
	deletes     []*op
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

// seenBy returns the items that o's author saw, in order, with the start first: all, and those
// not deleted.
func (s *sequence) seenBy(o *op) (all, visible []*item) {
	s.start.walk(func(i *item) {
		if i != &s.start && !o.saw(i.op) {
			return
		}
		all = append(all, i)
		if !slices.ContainsFunc(i.deletes, o.saw) {
			visible = append(visible, i)
		}
	})
	return all, visible
}

// insert puts o's new items, in order, at the position o's author saw. A position beyond the end
// is the end.
func (s *sequence) insert(o *op, items []*item) {
	all, visible := s.seenBy(o)
	origin := visible[min(o.Pos, len(visible)-1)]
	next := slices.Index(all, origin) + 1
	for _, i := range items {
		i.origin = origin
		siblings := &origin.right
		if next < len(all) && all[next].origin == origin {
			siblings = &all[next].left
		}
		*siblings = append(*siblings, i)
		slices.SortFunc(*siblings, func(a, b *item) int { return a.dot.Compare(b.dot) })
		if s.items == nil {
			s.items = map[causal.Dot]*item{}
		}
		s.items[i.dot] = i
		origin = i // the next one follows this one
	}
}

// delete marks what o deletes. The part of it outside what its author saw is void.
func (s *sequence) delete(o *op) {
	_, visible := s.seenBy(o)
	visible = visible[1:]
	from := min(o.Pos, len(visible))
	for _, i := range visible[from : from+min(o.Len, len(visible)-from)] {
		i.deletes = append(i.deletes, o)
	}
}

// visible returns the items that nobody deleted, in order.
func (s *sequence) visible() []*item {
	var out []*item
	s.start.walk(func(i *item) {
		if i != &s.start && len(i.deletes) == 0 {
			out = append(out, i)
		}
	})
	return out
}
