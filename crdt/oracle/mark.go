package oracle

import (
	"math"

	"github.com/atollsync/atoll/crdt"
)

// mark is a mark or unmark of a Text: all that lies between its two ends.
//
// The ends are given by what the author saw, and so that each takes in what is typed beside it or not. An end
// that grows lies at the visible neighbour outside, one that does not at the outermost of the marked. Whether
// the item at which it lies is deleted later makes no difference.
//
//	             start                          end
//	grows        after the one before           before the one that follows
//	does not     before the first marked        after the last marked
//
// The sources are Litt, Lim, Kleppmann, van Hardenberg, "Peritext: A CRDT for Collaborative Rich Text Editing"
// (CSCW 2022), for anchors and growth, and for the rule that a latest op decides.
type mark struct {
	write
	start, end anchor
}

// anchor is a place between items: right before or right after one.
type anchor struct {
	item  *item // nil: that after the last, which nobody ever makes
	after bool
}

// mark notes a mark of the code points that o covers in what its author saw. What lies outside that
// is cut off, and where nothing is left there is no mark.
func (s *sequence) mark(o *op) {
	_, visible := s.seenBy(o) // the start is the first
	from := min(o.Pos, len(visible)-1) + 1
	to := from + min(o.Count, len(visible)-from)
	if from == to {
		return
	}
	m := &mark{write: o.nth(0)}
	if o.Growth&crdt.GrowStart != 0 {
		m.start = anchor{item: visible[from-1], after: true}
	} else {
		m.start = anchor{item: visible[from]}
	}
	switch {
	case o.Growth&crdt.GrowEnd == 0:
		m.end = anchor{item: visible[to-1], after: true}
	case to < len(visible):
		m.end = anchor{item: visible[to]}
	}
	s.marks = append(s.marks, m)
}

// marksOn returns what marks the visible items bear, by name. Of the marks and unmarks of one name that
// cover an item the latest decides, and only that.
func (s *sequence) marksOn() []map[string]crdt.Value {
	place := map[anchor]int{{}: math.MaxInt}
	number := 0
	s.start.walk(func(i *item) {
		place[anchor{item: i}] = number
		place[anchor{item: i, after: true}] = number + 1
		number += 2
	})
	var out []map[string]crdt.Value
	for _, i := range s.visible() {
		latest := map[string]*mark{}
		for _, m := range s.marks {
			covers := place[m.start] <= place[anchor{item: i}] && place[anchor{item: i, after: true}] <= place[m.end]
			if other := latest[m.Name]; covers && (other == nil || inTime(m.write, other.write) > 0) {
				latest[m.Name] = m
			}
		}
		values := map[string]crdt.Value{}
		for name, m := range latest {
			if m.Code == crdt.CodeTextMark {
				values[name] = m.Value
			}
		}
		out = append(out, values)
	}
	return out
}
