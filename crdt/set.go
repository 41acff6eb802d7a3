package crdt

import (
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/internal/planted"
)

// setContent is what a Set holds: for each member the maximal adds of it that no remove
// or clear saw.
type setContent struct {
	members map[Value][]causal.LV
}

func (c *setContent) add(ps *pass, v Value) {
	adds := slices.Clone(c.members[v])
	c.put(ps, v, append(slices.DeleteFunc(adds, ps.saw), ps.lv))
}

func (c *setContent) remove(ps *pass, v Value) {
	if adds, ok := c.members[v]; ok {
		if planted.Is(planted.ForgetfulRemove) {
			adds = nil
		}
		c.put(ps, v, slices.DeleteFunc(slices.Clone(adds), ps.saw))
	}
}

func (c *setContent) clear(ps *pass, before func(Value)) {
	for _, v := range c.elements() {
		before(v)
		c.remove(ps, v)
	}
}

// put sets the adds of v.
func (c *setContent) put(ps *pass, v Value, adds []causal.LV) {
	if ps.undoable() {
		old, had := c.members[v]
		ps.undo(func() {
			if had {
				c.members[v] = old
			} else {
				delete(c.members, v)
			}
		})
	}
	if len(adds) == 0 {
		delete(c.members, v)
	} else {
		c.members[v] = adds
	}
}

func (c *setContent) has(v Value) bool { return len(c.members[v]) > 0 }

func (c *setContent) addsOf(v Value) []causal.LV { return c.members[v] }

func (c *setContent) elements() []Value {
	out := make([]Value, 0, len(c.members))
	for v := range c.members {
		out = append(out, v)
	}
	slices.SortFunc(out, Value.Compare)
	return out
}

func (c *setContent) appendValue(_ *State, buf []byte) []byte {
	return appendValues(buf, c.elements())
}

func (c *setContent) appendDigest(s *State, buf []byte) []byte {
	buf = appendArrayHead(buf, len(c.members))
	for _, v := range c.elements() {
		buf = s.appendDots(v.AppendTo(buf), c.members[v])
	}
	return buf
}

// rwSetContent is what a RemoveWinsSet holds. A value is a member if one add saw every remove of
// it and every clear.
type rwSetContent struct {
	members map[Value]*rwMember
	clears  []causal.LV // maximal
}

// rwMember is what is known of one value. It is replaced, not changed.
type rwMember struct {
	adds    []causal.LV // the maximal ones of those that saw every remove and clear
	removes []causal.LV // the maximal ones of those that no clear saw
}

func (c *rwSetContent) add(ps *pass, v Value) {
	m := c.member(v)
	unseen := func(lv causal.LV) bool { return !ps.saw(lv) }
	if slices.ContainsFunc(m.removes, unseen) || slices.ContainsFunc(c.clears, unseen) {
		return
	}
	c.put(ps, v, rwMember{append(slices.DeleteFunc(slices.Clone(m.adds), ps.saw), ps.lv), m.removes})
}

func (c *rwSetContent) remove(ps *pass, v Value) {
	m := c.member(v)
	c.put(ps, v, rwMember{nil, append(slices.DeleteFunc(slices.Clone(m.removes), ps.saw), ps.lv)})
}

func (c *rwSetContent) clear(ps *pass, before func(Value)) {
	for _, v := range c.known() {
		before(v)
		removes := slices.DeleteFunc(slices.Clone(c.member(v).removes), ps.saw)
		c.put(ps, v, rwMember{nil, removes})
	}
	ps.supersede(&c.clears, ps.lv)
}

func (c *rwSetContent) member(v Value) rwMember {
	if m := c.members[v]; m != nil {
		return *m
	}
	return rwMember{}
}

func (c *rwSetContent) put(ps *pass, v Value, m rwMember) {
	if ps.undoable() {
		old, had := c.members[v]
		ps.undo(func() {
			if had {
				c.members[v] = old
			} else {
				delete(c.members, v)
			}
		})
	}
	if len(m.adds) == 0 && len(m.removes) == 0 {
		delete(c.members, v)
	} else {
		c.members[v] = &m
	}
}

func (c *rwSetContent) has(v Value) bool { return len(c.member(v).adds) > 0 }

func (c *rwSetContent) addsOf(v Value) []causal.LV { return c.member(v).adds }

// known returns the values that were added or removed, in order.
func (c *rwSetContent) known() []Value {
	out := make([]Value, 0, len(c.members))
	for v := range c.members {
		out = append(out, v)
	}
	slices.SortFunc(out, Value.Compare)
	return out
}

func (c *rwSetContent) elements() []Value {
	return slices.DeleteFunc(c.known(), func(v Value) bool { return !c.has(v) })
}

func (c *rwSetContent) appendValue(_ *State, buf []byte) []byte {
	return appendValues(buf, c.elements())
}

func (c *rwSetContent) appendDigest(s *State, buf []byte) []byte {
	buf = appendArrayHead(buf, len(c.members))
	for _, v := range c.known() {
		m := c.member(v)
		buf = s.appendDots(s.appendDots(v.AppendTo(buf), m.adds), m.removes)
	}
	return s.appendDots(buf, c.clears)
}

// memberContent is what the two kinds of set have in common.
type memberContent interface {
	content
	add(ps *pass, v Value)
	remove(ps *pass, v Value)
	// clear removes all members; before is called with every value that may cease to be one.
	clear(ps *pass, before func(Value))
	has(v Value) bool
	// addsOf returns the adds that make v a member, none if it is not.
	addsOf(v Value) []causal.LV
	elements() []Value
}

// applySet applies an op to a set of either kind. The trace notes who was a member before.
func applySet(ps *pass, c memberContent, op *Op, t *touch) {
	before := func(v Value) { t.member(v, c) }
	switch op.Code {
	case CodeSetAdd, CodeRWSetAdd:
		before(op.Value)
		c.add(ps, op.Value)
	case CodeSetRemove, CodeRWSetRemove:
		before(op.Value)
		c.remove(ps, op.Value)
	case CodeSetClear, CodeRWSetClear:
		c.clear(ps, before)
	}
}

func appendValues(buf []byte, values []Value) []byte {
	buf = appendArrayHead(buf, len(values))
	for _, v := range values {
		buf = v.AppendTo(buf)
	}
	return buf
}

// SetView reads a Set or RemoveWinsSet.
type SetView struct{ view }

func (v *SetView) content() memberContent {
	if e := v.entry(); e != nil {
		return e.content.(memberContent)
	}
	return nil
}

// Has reports whether value, a scalar, is a member. What can be no member is none.
func (v *SetView) Has(value any) bool {
	c := v.content()
	if c == nil {
		return false
	}
	val, err := ValueOf(value)
	return err == nil && c.has(val)
}

// Elements returns the members in the order of Value.Compare.
func (v *SetView) Elements() []Value {
	if c := v.content(); c != nil {
		return c.elements()
	}
	return nil
}

// Len returns the number of members.
func (v *SetView) Len() int { return len(v.Elements()) }

// TxSet is a Set or RemoveWinsSet in a transaction.
type TxSet struct {
	SetView
	tx *Tx
}

// Add makes scalars members.
func (t *TxSet) Add(values ...any) {
	for _, value := range values {
		if v, ok := t.tx.scalar(value); ok {
			if path, ok := t.tx.enter(t.at, ClassWrite); ok {
				t.tx.do(&Op{Code: t.code(CodeSetAdd, CodeRWSetAdd), Len: 1, Path: path, Value: v})
			}
		}
	}
}

// Remove makes scalars no members. In a Set that undoes the adds seen so far, and does nothing if there are none;
// in a RemoveWinsSet it also prevails over adds made elsewhere that have not seen it.
func (t *TxSet) Remove(values ...any) {
	for _, value := range values {
		v, ok := t.tx.scalar(value)
		if !ok || t.at.kind == Set && !t.Has(v) {
			continue
		}
		if path, ok := t.tx.enter(t.at, ClassNeither); ok {
			t.tx.do(&Op{Code: t.code(CodeSetRemove, CodeRWSetRemove), Len: 1, Path: path, Value: v})
		}
	}
}

// Clear removes all members, as Remove does each.
func (t *TxSet) Clear() {
	if t.at.kind == Set && t.Len() == 0 {
		return
	}
	if path, ok := t.tx.enter(t.at, ClassNeither); ok {
		t.tx.do(&Op{Code: t.code(CodeSetClear, CodeRWSetClear), Len: 1, Path: path})
	}
}

// Touch makes the set stand, empty if it has no member.
func (t *TxSet) Touch() { t.tx.touch(t.at) }

func (t *TxSet) code(addWins, removeWins Code) Code {
	if t.at.kind == RemoveWinsSet {
		return removeWins
	}
	return addWins
}
