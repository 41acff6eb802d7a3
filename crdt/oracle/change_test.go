package oracle_test

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// actor returns the n-th smallest actor of the tests. It prints as its number.
func actor(n int) causal.Actor {
	var a causal.Actor
	binary.BigEndian.PutUint16(a.Nonce[:], uint16(n+1))
	return a
}

func dot(n int, seq causal.Seq) causal.Dot { return causal.Dot{Actor: actor(n), Seq: seq} }

// newChange encodes ops, which may be on several slices, as a change. Its dots go to the slices by
// name, and within a slice to the ops as given.
func newChange(author causal.Actor, seq causal.Seq, time int64, deps []causal.Dot, ops ...crdt.Op) *crdt.Change {
	refs := map[causal.Actor]causal.Seq{}
	for _, op := range ops {
		refs[op.Elem.Actor] = 0
		for _, step := range op.Path {
			refs[step.Elem.Actor] = 0
			refs[step.Birth.Actor] = 0
		}
	}
	for _, d := range deps {
		refs[d.Actor] = d.Seq
	}
	delete(refs, author)
	delete(refs, causal.Actor{})
	c := &crdt.Change{Actor: author, Seq: seq, Time: time}
	for a, seq := range refs {
		c.Refs = append(c.Refs, causal.Dot{Actor: a, Seq: seq})
	}
	slices.SortFunc(c.Refs, causal.Dot.Compare)
	ref := func(a causal.Actor, _ *crdt.Tip) int {
		return 1 + slices.IndexFunc(c.Refs, func(d causal.Dot) bool { return d.Actor == a }) // own: 0
	}
	for _, op := range ops {
		slice := op.Path[0].Key
		i, found := slices.BinarySearchFunc(c.Groups, slice, func(g crdt.Group, s string) int { return cmp.Compare(g.Slice, s) })
		if !found {
			c.Groups = slices.Insert(c.Groups, i, crdt.Group{Slice: slice})
		}
		g := &c.Groups[i]
		g.Len += op.Len
		g.Ops = crdt.AppendOp(g.Ops, &op, ref)
	}
	return c
}

// describe lists changes for a person: who, when, what they depend on, what they do.
func describe(changes []*crdt.Change) string {
	var b strings.Builder
	for _, c := range changes {
		fmt.Fprintf(&b, "  %s time %d after %v:\n", brief(c.Dot()), c.Time, briefs(c.Deps()))
		c.Ops(func(seq causal.Seq, slice string, op *crdt.Op) bool {
			fmt.Fprintf(&b, "    %d %s", seq, op)
			for _, step := range op.Path {
				fmt.Fprintf(&b, " (%s %s", step.Kind, step.Key)
				if !step.Elem.IsZero() {
					b.WriteString(brief(step.Elem))
				}
				if !step.Birth.IsZero() {
					b.WriteString(" born " + brief(step.Birth))
				}
				b.WriteString(")")
			}
			b.WriteString("\n")
			return true
		})
	}
	return b.String()
}

func briefs(dots []causal.Dot) string {
	var s []string
	for _, d := range dots {
		s = append(s, brief(d))
	}
	return strings.Join(s, " ")
}

// brief names a dot of one of the tests' actors by a letter.
func brief(d causal.Dot) string {
	if d.IsZero() {
		return "-"
	}
	n := binary.BigEndian.Uint16(d.Actor.Nonce[:])
	if n > 26 {
		return fmt.Sprintf("#%d:%d", n-1, d.Seq)
	}
	return fmt.Sprintf("%c%d", 'A'+n-1, d.Seq)
}
