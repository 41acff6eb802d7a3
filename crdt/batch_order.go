package crdt

import (
	"cmp"
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// Ordered returns b with its changes in the order in which to take them in: any causal one would do, and causal.Order's makes
// merging cheap where branches went on side by side. It is b itself unless there are more than two of these at
// once, or if b is not in causal order to begin with, which Check will say.
//
// A batch from one's own log must be left as it is: local versions are places in that.
func (b *Batch) Ordered() *Batch {
	if !b.mayBranch() {
		return b
	}
	actors := make(map[causal.Actor][]int32) // the changes of each
	changes := make([]*Change, 0, b.n)
	for ch := range b.All {
		changes = append(changes, ch)
	}
	var ends, parents []int32
	heads, most := 0, 0
	followed := make([]bool, len(changes))
	for i, ch := range changes {
		own := actors[ch.Actor]
		actors[ch.Actor] = append(own, int32(i))
		if len(own) > 0 {
			parents = append(parents, own[len(own)-1])
		}
		for r, d := range ch.Refs {
			if d.Seq == 0 {
				continue
			}
			theirs := actors[d.Actor]
			at, _ := slices.BinarySearchFunc(theirs, d.Seq, func(k int32, seq causal.Seq) int {
				if changes[k].Seq+causal.Seq(changes[k].Len()) <= seq {
					return -1
				}
				return 1
			})
			switch {
			case at < len(theirs):
				parents = append(parents, theirs[at])
			case ch.branch(r) != nil: // of another branch than the batch's
			case len(theirs) > 0 || !b.isContext(d):
				return b
			}
		}
		heads++
		from := int32(0)
		if i > 0 {
			from = ends[i-1]
		}
		for _, p := range parents[from:] {
			if !followed[p] {
				followed[p] = true
				heads--
			}
		}
		most = max(most, heads)
		ends = append(ends, int32(len(parents)))
	}
	if most < 3 {
		return b
	}
	order := causal.Order(ends, parents, func(i int) int { return changes[i].Len() })
	if slices.IsSorted(order) {
		return b
	}
	out := make([]*Change, len(order))
	for k, i := range order {
		out[k] = changes[i]
	}
	return NewBatch(b.Context, out, b.Sigs)
}

// mayBranch reports whether b may have more than two branches at once, without a look at each change that is in columns. All of them
// are taken to go on if only some are seen by others.
func (b *Batch) mayBranch() bool {
	if len(b.parts) < 3 {
		return false
	}
	type stretch struct {
		end      causal.Seq // after it
		followed bool
	}
	actors := make(map[causal.Actor][]stretch)
	heads := 0
	add := func(actor causal.Actor, end causal.Seq, refs []causal.Dot) {
		heads++
		follow := func(s *stretch) {
			if !s.followed {
				s.followed = true
				heads--
			}
		}
		for _, d := range refs {
			theirs := actors[d.Actor]
			at, ok := slices.BinarySearchFunc(theirs, d.Seq+1, func(s stretch, end causal.Seq) int { return cmp.Compare(s.end, end) })
			if ok {
				follow(&theirs[at])
			}
		}
		own := actors[actor]
		if n := len(own); n > 0 {
			follow(&own[n-1])
		}
		actors[actor] = append(own, stretch{end: end})
	}
	for i := range b.parts {
		p := &b.parts[i]
		if t := p.typing; t != nil {
			if add(t.actor, t.end(), nil); heads > 2 {
				return true
			}
			continue
		}
		for _, ch := range b.single[p.from:p.to] {
			if add(ch.Actor, ch.Seq+causal.Seq(ch.Len()), ch.Refs); heads > 2 {
				return true
			}
		}
	}
	return false
}

// isContext reports whether d is of the batch's context.
func (b *Batch) isContext(d causal.Dot) bool {
	_, ok := slices.BinarySearchFunc(b.Context, d, func(a Anchor, d causal.Dot) int { return a.Dot().Compare(d) })
	return ok
}
