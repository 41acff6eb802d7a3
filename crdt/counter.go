package crdt

import "github.com/atollsync/atoll/internal/planted"

// counterContent is what a Counter holds: the sum of all that was ever added, which wraps.
type counterContent struct {
	sum int64
}

func (c *counterContent) add(ps *pass, delta int64) {
	if planted.Marked(planted.CountedTwice) {
		delta += delta
	}
	c.sum += delta
	if ps.undoable() {
		ps.undo(func() { c.sum -= delta })
	}
}

func (c *counterContent) appendValue(_ *State, buf []byte) []byte  { return appendInt(buf, c.sum) }
func (c *counterContent) appendDigest(_ *State, buf []byte) []byte { return appendInt(buf, c.sum) }

// CounterView reads a Counter.
type CounterView struct{ view }

// Int returns the sum, 0 if the counter does not stand.
func (v *CounterView) Int() int64 {
	if e := v.entry(); e != nil {
		return e.content.(*counterContent).sum
	}
	return 0
}

// TxCounter is a Counter in a transaction.
type TxCounter struct {
	CounterView
	tx *Tx
}

// Add adds n, which may be negative. Concurrent adds all count.
func (c *TxCounter) Add(n int64) {
	if path, ok := c.tx.enter(c.at, ClassWrite); ok {
		c.tx.do(&Op{Code: CodeAdd, Len: 1, Path: path, Delta: n})
	}
}

// Touch makes the counter stand, at 0 if nothing was added.
func (c *TxCounter) Touch() { c.tx.touch(c.at) }
