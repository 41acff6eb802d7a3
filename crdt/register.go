package crdt

import (
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// registerContent is what a Register holds: the maximal ones of its surviving puts, of which
// the latest is shown. A touch makes a register stand but is no put.
type registerContent struct {
	puts []put
}

type put struct {
	lv    causal.LV
	value Value
}

// put replaces the puts that the op being applied saw.
func (c *registerContent) put(ps *pass, v Value) {
	c.save(ps)
	c.puts = append(c.forget(ps), put{ps.lv, v})
}

// drop drops the puts that a delete, the op being applied, saw, or all of them.
func (c *registerContent) drop(ps *pass, all bool) {
	if len(c.puts) == 0 {
		return
	}
	c.save(ps)
	if all {
		c.puts = c.puts[:0]
		return
	}
	c.puts = c.forget(ps)
}

func (c *registerContent) forget(ps *pass) []put {
	return slices.DeleteFunc(c.puts, func(p put) bool { return ps.saw(p.lv) })
}

func (c *registerContent) save(ps *pass) {
	if ps.undoable() {
		old := slices.Clone(c.puts)
		ps.undo(func() { c.puts = old })
	}
}

// value returns the value shown: nil if there is no put.
func (c *registerContent) value(s *State) Value {
	p, _ := c.shown(s)
	return p.value
}

// shown returns the put that is shown, and false if there is none.
func (c *registerContent) shown(s *State) (put, bool) {
	if len(c.puts) == 0 {
		return put{}, false
	}
	best := c.puts[0]
	for _, p := range c.puts[1:] {
		if s.later(p.lv, best.lv) {
			best = p
		}
	}
	return best, true
}

// all returns the puts, the one shown first, then by latest.
func (c *registerContent) all(s *State) []put {
	out := slices.Clone(c.puts)
	slices.SortFunc(out, func(a, b put) int { return s.byLatest(a.lv, b.lv) })
	return out
}

func (c *registerContent) appendValue(s *State, buf []byte) []byte { return c.value(s).AppendTo(buf) }

func (c *registerContent) appendDigest(s *State, buf []byte) []byte {
	puts := slices.Clone(c.puts)
	slices.SortFunc(puts, func(a, b put) int { return s.compareDots(a.lv, b.lv) })
	buf = appendArrayHead(buf, len(puts))
	for _, p := range puts {
		buf = p.value.AppendTo(appendWholeDot(buf, s.dot(p.lv)))
	}
	return buf
}

// RegisterView reads a Register.
type RegisterView struct{ view }

// Get returns the value shown, nil if there is none.
func (v *RegisterView) Get() Value { return v.Value() }

// TxRegister is a Register in a transaction.
type TxRegister struct {
	RegisterView
	tx *Tx
}

// Put sets the register: to nil, a bool, number, string or []byte, or to a list or object, which
// becomes one opaque value.
func (r *TxRegister) Put(value any) {
	v, ok := r.tx.value(value)
	if !ok {
		return
	}
	if path, ok := r.tx.enter(r.at, ClassWrite); ok {
		r.tx.do(&Op{Code: CodePut, Len: 1, Path: path, Value: v})
	}
}

// Touch makes the register stand, as nil if it holds nothing.
func (r *TxRegister) Touch() { r.tx.touch(r.at) }
