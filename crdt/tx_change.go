package crdt

import (
	"slices"
	"sort"
	"strings"

	"github.com/atollsync/atoll/crdt/causal"
)

// group sorts the ops by slice, as a change has them, and renames the dots of the transaction's own that they
// refer to. It reports whether they were in order already: if not, they have
// other dots now than those they were applied with.
func (tx *Tx) group() (inOrder bool) {
	d, ps := &tx.s.draft, &tx.s.pass
	bySlice := func(a, b *Op) int { return strings.Compare(a.Path[0].Key, b.Path[0].Key) }
	if slices.IsSortedFunc(d.ops, bySlice) {
		return true
	}
	starts := make([]causal.Seq, len(d.ops)) // as authored
	at := make(map[*Op]int, len(d.ops))
	next := ps.first
	for i, op := range d.ops {
		starts[i], at[op] = next, i
		next += causal.Seq(op.Len)
	}
	sorted := slices.Clone(d.ops)
	slices.SortStableFunc(sorted, bySlice)
	moved := make([]causal.Seq, len(d.ops)) // by place in starts: as sorted
	next = ps.first
	for _, op := range sorted {
		moved[at[op]] = next
		next += causal.Seq(op.Len)
	}
	rename := func(dot *causal.Dot, means func(op *Op) bool) {
		if dot.Actor == ps.actor && dot.Seq >= ps.first && dot.Seq < next {
			i := sort.Search(len(starts), func(i int) bool { return starts[i] > dot.Seq }) - 1
			if means(d.ops[i]) {
				dot.Seq += moved[i] - starts[i]
			}
		}
	}
	for _, op := range sorted {
		op.Path = slices.Clone(op.Path)
		rename(&op.Elem, func(*Op) bool { return true })
		for i := range op.Path {
			step := &op.Path[i]
			rename(&step.Elem, func(*Op) bool { return true })
			// A birth is an opaque name: one that somebody made up earlier may look like a dot of this transaction.
			rename(&step.Birth, func(del *Op) bool {
				return del.Code == CodeDelete && len(del.Path) == i+1 && del.Path[i].Key == step.Key
			})
		}
	}
	d.ops = sorted
	return false
}

// NewChange returns the change that ops make, written by an actor, whose next op is seq, having seen version. The
// ops must be in order of their slices, and mean what they say: nothing checks them, and whatever
// is wrong with one makes it void. A program that knows only the positions and the version a user saw can
// author changes with it; others use a Tx.
func NewChange(actor Actor, seq Seq, time int64, version Version, ops []*Op) *Change {
	var room changeRoom
	return room.change(actor, seq, time, refsOf(actor, version, ops), nil, ops)
}

// changeRoom is memory for changes, taken in pieces that grow: most changes are so small that to ask for each
// one's would cost more than writing it. What it gives out it never touches again.
type changeRoom struct {
	changes []changeWithGroup
	bytes   []byte
	piece   int // changes in the last piece taken
	dots    []causal.Dot
	ops     []byte // for encoding
}

// changeWithGroup is a Change with its only Group.
type changeWithGroup struct {
	change Change
	group  [1]Group
}

const (
	roomChanges = 64      // at most in one piece
	roomRefs    = 16      // in one piece
	roomBytes   = 4 << 10 // at most in one piece for several groups
)

// change is NewChange, given what the change refers to.
func (r *changeRoom) change(actor Actor, seq Seq, time int64, refs []causal.Dot, branches *Branches, ops []*Op) *Change {
	next := r.next()
	c := &next.change
	*c = Change{Actor: actor, Seq: seq, Time: time, Refs: refs, Branches: branches, Groups: next.group[:0]}
	number := func(a causal.Actor, on *Tip) int {
		if on != nil {
			for i, d := range c.Refs {
				if b := c.branch(i); b != nil && d.Actor == a && b.Seq == on.Seq && b.Hash == on.Hash {
					return i + 1
				}
			}
		}
		i, ok := slices.BinarySearchFunc(c.Refs, a, func(d causal.Dot, a causal.Actor) int { return d.Actor.Compare(a) })
		if !ok {
			return 0
		}
		return i + 1
	}
	for len(ops) > 0 {
		g := Group{Slice: ops[0].Path[0].Key}
		r.ops = r.ops[:0]
		for len(ops) > 0 && ops[0].Path[0].Key == g.Slice {
			g.Len += ops[0].Len
			r.ops = AppendOp(r.ops, ops[0], number)
			ops = ops[1:]
		}
		g.Ops = r.keep()
		c.Groups = append(c.Groups, g)
	}
	return c
}

// next returns an empty change.
func (r *changeRoom) next() *changeWithGroup {
	if len(r.changes) == 0 {
		r.piece = min(max(2*r.piece, 1), roomChanges)
		r.changes = make([]changeWithGroup, r.piece)
	}
	c := &r.changes[0]
	r.changes = r.changes[1:]
	return c
}

// typing returns the change that the ops of d make, all of them at sp, without an author and a time.
func (r *changeRoom) typing(sp *spot, d *draft, typed string) *Change {
	n := 0
	r.ops = slices.Grow(r.ops[:0], len(d.put)*(len(sp.enc)+10)+len(typed))
	for _, op := range d.ops {
		n += op.Len
		r.ops = AppendOp(r.ops, op, nil)
	}
	for i := range d.put {
		n += d.put[i].n
		r.ops = sp.appendOp(r.ops, &d.put[i], typed)
	}
	next := r.next()
	next.group[0] = Group{Slice: sp.path[0].Key, Len: n, Ops: r.keep()}
	next.change.Groups = next.group[:]
	return &next.change
}

// refs returns the Refs of a change of actor, whose ops name nobody, at the version of s.
func (r *changeRoom) refs(s *State, actor causal.Actor) []causal.Dot {
	heads := s.Heads()
	if cap(r.dots)-len(r.dots) < len(heads) {
		r.dots = make([]causal.Dot, 0, max(roomRefs, len(heads)))
	}
	from := len(r.dots)
	for _, lv := range heads {
		if d := s.graph.Dot(lv); d.Actor != actor {
			r.dots = append(r.dots, d)
		}
	}
	refs := r.dots[from:len(r.dots):len(r.dots)]
	if len(refs) > 1 {
		slices.SortFunc(refs, causal.Dot.Compare)
	}
	return refs
}

// keep returns a copy of what has been encoded in r.ops.
func (r *changeRoom) keep() []byte {
	n := len(r.ops)
	size := roomBytes / roomChanges * r.piece
	switch {
	case n > roomBytes:
		big := r.ops
		r.ops = nil // not to be kept for small ones
		return slices.Clip(big)
	case n > size/8:
		return slices.Clone(r.ops)
	case n > cap(r.bytes)-len(r.bytes):
		r.bytes = make([]byte, 0, size)
	}
	at := len(r.bytes)
	r.bytes = append(r.bytes, r.ops...)
	return r.bytes[at : at+n : at+n]
}

// refsOf returns the Refs of a change: the heads its author saw other than its own, and whom its ops name.
func refsOf(actor Actor, version Version, ops []*Op) []causal.Dot {
	var refs []causal.Dot
	refer := func(d causal.Dot, seq causal.Seq) {
		if d.Seq == 0 || d.Actor == actor {
			return
		}
		i, ok := slices.BinarySearchFunc(refs, d.Actor, func(r causal.Dot, a causal.Actor) int { return r.Actor.Compare(a) })
		if !ok {
			refs = slices.Insert(refs, i, causal.Dot{Actor: d.Actor})
		}
		refs[i].Seq = max(refs[i].Seq, seq)
	}
	for _, d := range version {
		refer(d, d.Seq)
	}
	for _, op := range ops {
		refer(op.Elem, 0)
		for i := range op.Path {
			refer(op.Path[i].Elem, 0)
			refer(op.Path[i].Birth, 0)
		}
	}
	return refs
}
