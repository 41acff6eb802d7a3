package crdt

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// Branches say of which branch of an actor's log some of a change's Refs are, ascending by Ref. An author who knows that a log is
// forked names the branch of each ref to it; of all other refs the hashes are implied.
type Branches []BranchRef

// BranchRef names the branch of Refs[Ref] by a change: Seq is that of its last op, and the same as the ref's own unless that is 0.
// Dots that ops give as of this ref are of the log that leads to that change.
type BranchRef struct {
	Ref  int
	Seq  causal.Seq
	Hash Hash
}

// branch returns the branch that c names for Refs[i], nil if it names none.
func (c *Change) branch(i int) *BranchRef {
	if c.Branches == nil {
		return nil
	}
	list := *c.Branches
	at, ok := slices.BinarySearchFunc(list, i, func(b BranchRef, i int) int { return b.Ref - i })
	if !ok {
		return nil
	}
	return &list[at]
}

// DepTips returns the dependencies of c as Deps does, with the hashes of those that c names one for; the others have none.
func (c *Change) DepTips() []Tip {
	var out []Tip
	for i, d := range c.Refs {
		if d.Seq == 0 {
			continue
		}
		t := Tip{Actor: d.Actor, Seq: d.Seq}
		if b := c.branch(i); b != nil {
			t.Hash = b.Hash
		}
		out = append(out, t)
	}
	return out
}

// BranchOf returns the change that names the branch of the actor of Refs[i], nil if c names none: then what its ops give as of this ref is the
// one op of that dot in c's causal history, and nothing if there are several.
func (c *Change) BranchOf(i int) *Tip {
	b := c.branch(i)
	if b == nil {
		return nil
	}
	return &Tip{Actor: c.Refs[i].Actor, Seq: b.Seq, Hash: b.Hash}
}

// flawInRefs says what is wrong with the order of c's Refs, or with its Branches, "" if nothing is.
func (c *Change) flawInRefs() string {
	at := 0
	var list Branches
	if c.Branches != nil {
		if list = *c.Branches; len(list) == 0 {
			return "no branches"
		}
	}
	var before *BranchRef
	for i := range c.Refs {
		var named *BranchRef
		if at < len(list) && list[at].Ref == i {
			named = &list[at]
			at++
			if named.Seq < 1 || named.Seq > MaxSeq || c.Refs[i].Seq > 0 && c.Refs[i].Seq != named.Seq {
				return "branch out of range"
			}
		}
		if i > 0 {
			switch order := c.Refs[i-1].Actor.Compare(c.Refs[i].Actor); {
			case order > 0, order == 0 && (named == nil || before == nil || before.compare(named) >= 0):
				return "refs not sorted"
			}
		}
		before = named
	}
	if at < len(list) {
		return "branches not sorted"
	}
	return ""
}

func (b *BranchRef) compare(o *BranchRef) int {
	return cmp.Or(cmp.Compare(b.Seq, o.Seq), bytes.Compare(b.Hash[:], o.Hash[:]))
}

// appendSeq appends what follows the actor in the encoding of Refs[i].
func (c *Change) appendSeq(buf []byte, i int) []byte {
	b := c.branch(i)
	if b == nil {
		return appendUint(buf, uint64(c.Refs[i].Seq))
	}
	if c.Refs[i].Seq > 0 {
		buf = append(buf, mpFixArr|2)
	} else {
		buf = append(buf, mpFixArr|3, 0)
	}
	return appendBin(appendUint(buf, uint64(b.Seq)), b.Hash[:])
}

// branchesSize returns how much c's Branches add to its encoding.
func (c *Change) branchesSize() int {
	n := 0
	if c.Branches != nil {
		n = len(*c.Branches) * (3 + 9 + 2 + len(Hash{})) // at most
	}
	return n
}

// readBranch reads what appendSeq wrote of a ref that names its branch. seq is the ref's own.
func readBranch(b []byte) (seq causal.Seq, branch BranchRef, rest []byte, ok bool) {
	n, b, ok := readArray(b)
	if !ok || n != 2 && n != 3 {
		return 0, branch, nil, false
	}
	if n == 3 {
		if len(b) == 0 || b[0] != 0 {
			return 0, branch, nil, false
		}
		b = b[1:]
	}
	if branch.Seq, b, ok = readSeq(b); !ok || branch.Seq < 1 {
		return 0, branch, nil, false
	}
	hash, b, ok := readBin(b)
	if !ok || len(hash) != len(branch.Hash) {
		return 0, branch, nil, false
	}
	copy(branch.Hash[:], hash)
	if n == 2 {
		seq = branch.Seq
	}
	return seq, branch, b, true
}

// ErrForked is the error of a transaction by an actor whose log is forked: its device goes on as a new actor.
var ErrForked = errors.New("crdt: the actor's log is forked: go on as a new actor")

// elem returns the dot of an element's op, and what names its branch if its actor's log is forked.
func (s *State) elem(lv causal.LV) (causal.Dot, *Tip) {
	d := s.dot(lv)
	if !s.graph.Forked() || lv >= s.graph.Len() || !s.graph.IsForked(s.graph.ActorOf(lv)) {
		return d, nil
	}
	return d, s.chains.name(lv)
}

// compareDots is Graph.CompareDots, also for ops of the transaction under way.
func (s *State) compareDots(a, b causal.LV) int {
	if n := s.graph.Len(); a >= n || b >= n {
		return s.dot(a).Compare(s.dot(b))
	}
	return s.graph.CompareDots(a, b)
}

// elemIn returns the op with dot d that inserted an element into c: the first such, if the log of its actor is forked.
func (s *State) elemIn(c *listContent, d causal.Dot) (causal.LV, bool) {
	if s.graph.Forked() {
		for _, lv := range s.graph.All(d) {
			if c.inserted(lv) {
				return lv, true
			}
		}
	}
	return s.graph.LV(d)
}

// name returns the change that lv is an op of as a name for its branch, nil if the hash cannot be computed again.
func (c *Chains) name(lv causal.LV) *Tip {
	t, err := c.tipAt(c.change(lv))
	if err != nil {
		return nil
	}
	return &t
}

// refsAt is refsOf for an author who saw heads, where some log is forked: it names the branches of the logs that are.
func (c *Chains) refsAt(actor Actor, heads []causal.LV, ops []*Op) ([]causal.Dot, *Branches) {
	var refs []namedRef
	add := func(r namedRef) {
		at, ok := slices.BinarySearchFunc(refs, r, namedRef.compare)
		switch {
		case !ok:
			refs = slices.Insert(refs, at, r)
		case r.dot.Seq > 0:
			refs[at] = r
		}
	}
	for _, lv := range heads {
		ai := c.graph.ActorOf(lv)
		r := namedRef{dot: c.graph.Dot(lv)}
		if r.dot.Actor == actor {
			continue
		}
		if c.graph.IsForked(ai) {
			if t := c.name(lv); t != nil {
				r.branch = BranchRef{Seq: t.Seq, Hash: t.Hash}
			}
		}
		add(r)
	}
	elem := func(d causal.Dot, on *Tip) {
		switch {
		case d.Seq == 0 || d.Actor == actor:
		case on != nil:
			add(namedRef{dot: causal.Dot{Actor: d.Actor}, branch: BranchRef{Seq: on.Seq, Hash: on.Hash}})
		case !slices.ContainsFunc(refs, func(r namedRef) bool { return r.dot.Actor == d.Actor }):
			add(namedRef{dot: causal.Dot{Actor: d.Actor}})
		}
	}
	for _, op := range ops {
		elem(op.Elem, op.Branch)
		for i := range op.Path {
			elem(op.Path[i].Elem, op.Path[i].Branch)
		}
	}
	for _, op := range ops {
		for i := range op.Path {
			elem(op.Path[i].Birth, nil) // an opaque name: any ref to the actor will do
		}
	}
	var out []causal.Dot
	var branches Branches
	for i := range refs {
		r := &refs[i]
		out = append(out, r.dot)
		if r.branch.Seq > 0 {
			r.branch.Ref = i
			branches = append(branches, r.branch)
		}
	}
	if len(branches) == 0 {
		return out, nil
	}
	return out, &branches
}

// namedRef is an entry of Refs with what names its branch.
type namedRef struct {
	dot    causal.Dot
	branch BranchRef
}

// compare orders refs as a change has them; a dependency and a name of one branch are the same.
func (r namedRef) compare(o namedRef) int {
	return cmp.Or(r.dot.Actor.Compare(o.dot.Actor), r.branch.compare(&o.branch))
}

// Explicit completes ops whose author saw heads: where one names an element of an actor whose log is forked by a dot alone, it names the
// branch too. It returns an error if the dot is that of several ops the author saw.
func (c *Chains) Explicit(heads []causal.LV, ops []*Op) error {
	if !c.graph.Forked() {
		return nil
	}
	for _, op := range ops {
		if err := c.explicit(heads, op.Elem, &op.Branch); err != nil {
			return err
		}
		op.Path = slices.Clone(op.Path)
		for i := range op.Path {
			if err := c.explicit(heads, op.Path[i].Elem, &op.Path[i].Branch); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Chains) explicit(heads []causal.LV, d causal.Dot, on **Tip) error {
	if d.IsZero() || *on != nil {
		return nil
	}
	all := c.graph.All(d)
	if len(all) == 0 || !c.graph.IsForked(c.graph.ActorOf(all[0])) {
		return nil
	}
	all = slices.DeleteFunc(all, func(lv causal.LV) bool { return !c.graph.Contains(heads, lv) })
	if len(all) > 1 {
		return fmt.Errorf("crdt: %s names %d ops, since the log of its actor is forked", d, len(all))
	}
	if len(all) == 1 {
		*on = c.name(all[0])
	}
	return nil
}

// NewChange is the function NewChange for an author who saw heads, which c holds. It names the branches of forked logs; see Explicit.
func (c *Chains) NewChange(actor Actor, seq Seq, time int64, heads []causal.LV, ops []*Op) *Change {
	if !c.graph.Forked() {
		return NewChange(actor, seq, time, c.graph.Version(heads), ops)
	}
	var room changeRoom
	refs, branches := c.refsAt(actor, heads, ops)
	return room.change(actor, seq, time, refs, branches, ops)
}
