package sequence

import (
	"fmt"

	"github.com/atollsync/atoll/crdt/causal"
)

// Tracks reports whether s has a tracker, for tests of which way ops go.
func (s *Sequence) Tracks() bool { return s.tracker != nil }

// Points returns how many versions s keeps to go back to with its ranges.
func (s *Sequence) Points() int { return len(s.ranges.points) }

// SettledAt returns the version at which the ranges of s were settled last.
func (s *Sequence) SettledAt() causal.LV {
	if s.ranges == nil {
		return 0
	}
	return s.ranges.at
}

// HangFrom returns the version from which on the anchors of ranges hang on the tracker of s, -1 if there is none.
func (s *Sequence) HangFrom() causal.LV {
	if s.tracker == nil || s.ranges == nil {
		return -1
	}
	return s.tracker.base
}

// EndsAfresh returns what Ends would after Settle if nothing about ranges were kept.
func (s *Sequence) EndsAfresh(g *causal.Graph) []Anchor {
	if s.ranges == nil {
		return nil
	}
	c := *s
	c.tracker = nil
	r := ranges{all: s.ranges.all}
	c.ranges = &r
	r.settle(&c, g)
	return r.anchors
}

// CheckTracker returns an error if what the tracker of s counts, if there is one, is not what its spans come to.
func (s *Sequence) CheckTracker() error {
	if s.tracker == nil {
		return nil
	}
	t := s.tracker
	tree := &t.tree
	tree.flush()
	for at := tree.first; at != none; at = tree.leaves[at].next {
		l := &tree.leaves[at]
		var w width
		for i, ref := range l.refs[:l.n] {
			w.add(l.in[i].width(l.ns[i]))
			o := &t.origins[ref]
			if s := &tree.spans[ref]; s.n != l.ns[i] || s.leaf() != at || l.in[i]&(inSeen|inKnown) != countsOf(o.seen) {
				return fmt.Errorf("span %d, %+v, %+v, in slot %d of leaf %d is %d long and in %04b", ref, *s, *o, i, at, l.ns[i], l.in[i])
			}
		}
		if w != l.w {
			return fmt.Errorf("leaf %d is %+v, not %+v", at, w, l.w)
		}
	}
	w, err := tree.checkBelow(tree.root, tree.height)
	if err == nil && w != tree.total {
		err = fmt.Errorf("the root is %+v, not %+v", w, tree.total)
	}
	return err
}

// checkBelow returns how wide a leaf (level 0) or node is.
func (t *spanTree) checkBelow(at int32, level int) (width, error) {
	if level == 0 {
		return t.leaves[at].w, nil
	}
	n := &t.nodes[at]
	var sum width
	for i, kid := range n.kids[:n.n] {
		w, err := t.checkBelow(kid, level-1)
		if err != nil {
			return w, err
		}
		if w != n.w[i] || t.parentOf(kid, level-1) != at {
			return w, fmt.Errorf("node %d has %+v for child %d of level %d, a child of %d, which is %+v", at, n.w[i], kid, level-1, t.parentOf(kid, level-1), w)
		}
		sum.add(w)
	}
	return sum, nil
}
