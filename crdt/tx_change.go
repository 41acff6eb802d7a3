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
	bySlice := func(a, b *Op) int { return strings.Compare(a.Path[0].Key, b.Path[0].Key) }
	if slices.IsSortedFunc(tx.ops, bySlice) {
		return true
	}
	starts := make([]causal.Seq, len(tx.ops)) // as authored
	at := make(map[*Op]int, len(tx.ops))
	next := tx.pass.first
	for i, op := range tx.ops {
		starts[i], at[op] = next, i
		next += causal.Seq(op.Len)
	}
	sorted := slices.Clone(tx.ops)
	slices.SortStableFunc(sorted, bySlice)
	moved := make([]causal.Seq, len(tx.ops)) // by place in starts: as sorted
	next = tx.pass.first
	for _, op := range sorted {
		moved[at[op]] = next
		next += causal.Seq(op.Len)
	}
	rename := func(d *causal.Dot, means func(op *Op) bool) {
		if d.Actor == tx.pass.actor && d.Seq >= tx.pass.first && d.Seq < next {
			i := sort.Search(len(starts), func(i int) bool { return starts[i] > d.Seq }) - 1
			if means(tx.ops[i]) {
				d.Seq += moved[i] - starts[i]
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
			rename(&step.Birth, func(d *Op) bool {
				return d.Code == CodeDelete && len(d.Path) == i+1 && d.Path[i].Key == step.Key
			})
		}
	}
	tx.ops = sorted
	return false
}

// NewChange returns the change that ops make, written by an actor, whose next op is seq, having seen version. The
// ops must be in order of their slices, and mean what they say: nothing checks them, and whatever
// is wrong with one makes it void. A program that knows only the positions and the version a user saw can
// author changes with it; others use a Tx.
func NewChange(actor Actor, seq Seq, time int64, version Version, ops []*Op) *Change {
	c := &Change{Actor: actor, Seq: seq, Time: time}
	refs := make(map[causal.Actor]causal.Seq)
	refer := func(d causal.Dot) {
		if !d.Actor.IsZero() && d.Actor != actor {
			refs[d.Actor] = 0
		}
	}
	for _, op := range ops {
		refer(op.Elem)
		for i := range op.Path {
			refer(op.Path[i].Elem)
			refer(op.Path[i].Birth)
		}
	}
	for _, d := range version {
		if d.Actor != actor {
			refs[d.Actor] = d.Seq
		}
	}
	for a, seq := range refs {
		c.Refs = append(c.Refs, causal.Dot{Actor: a, Seq: seq})
	}
	slices.SortFunc(c.Refs, causal.Dot.Compare)
	numbers := make(map[causal.Actor]int, len(c.Refs))
	for i, r := range c.Refs {
		numbers[r.Actor] = i + 1
	}
	number := func(a causal.Actor) int { return numbers[a] }
	for _, op := range ops {
		slice := op.Path[0].Key
		if n := len(c.Groups); n == 0 || c.Groups[n-1].Slice != slice {
			c.Groups = append(c.Groups, Group{Slice: slice})
		}
		g := &c.Groups[len(c.Groups)-1]
		g.Len += op.Len
		g.Ops = AppendOp(g.Ops, op, number)
	}
	return c
}
