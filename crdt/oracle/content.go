package oracle

import (
	"slices"

	"github.com/atollsync/atoll/crdt"
)

// sum returns what a Counter holds: all that was ever added, since entries are never emptied.
func (e *entry) sum() int64 {
	var sum int64
	for _, o := range e.ops {
		if o.Code == crdt.CodeAdd {
			sum += o.Delta // wraps
		}
	}
	return sum
}

// elements returns what a Set or RemoveWinsSet holds, sorted.
func (e *entry) elements() []crdt.Value {
	var adds []*op
	for _, o := range e.ops {
		if o.Code == crdt.CodeSetAdd || o.Code == crdt.CodeRWSetAdd {
			adds = append(adds, o)
		}
	}
	var out []crdt.Value
	for _, add := range adds {
		if !slices.Contains(out, add.Value) && e.holds(add) {
			out = append(out, add.Value)
		}
	}
	slices.SortFunc(out, crdt.Value.Compare)
	return out
}

// holds reports whether add is enough for its value to be in e: in a Set if no remove of the value and no
// clear saw it; in a RemoveWinsSet if it saw every one.
func (e *entry) holds(add *op) bool {
	for _, o := range e.ops {
		switch o.Code {
		case crdt.CodeSetRemove, crdt.CodeSetClear:
			if (o.Code == crdt.CodeSetClear || o.Value == add.Value) && o.saw(add) {
				return false
			}
		case crdt.CodeRWSetRemove, crdt.CodeRWSetClear:
			if (o.Code == crdt.CodeRWSetClear || o.Value == add.Value) && !add.saw(o) {
				return false
			}
		}
	}
	return true
}
