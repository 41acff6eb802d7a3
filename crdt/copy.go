package crdt

import (
	"unicode/utf8"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/sequence"
)

// copier writes what a container of one state showed into a new container of a transaction's, kinds and all. What it writes
// stands for what it copies.
type copier struct {
	tx      *Tx
	from    *State
	lineage *Lineage
}

// fill writes what from shows into the new, empty container that path leads to.
func (c *copier) fill(path Path, from *entry) {
	op := func(op Op) causal.LV {
		op.Path = path
		if op.Len == 0 {
			op.Len = 1
		}
		return c.tx.do(&op)
	}
	switch content := from.content.(type) {
	case *registerContent:
		if put, ok := content.shown(c.from); ok {
			c.lineage.writes.add(op(Op{Code: CodePut, Value: put.value}), put.lv, 1)
			return
		}
	case *counterContent:
		if content.sum != 0 {
			op(Op{Code: CodeAdd, Delta: content.sum})
			return
		}
	case memberContent:
		add := setCode(from.kind, CodeSetAdd)
		all := content.elements()
		for _, v := range all {
			c.lineage.writes.add(op(Op{Code: add, Value: v}), content.addsOf(v)[0], 1)
		}
		if len(all) > 0 {
			return
		}
	case *textContent:
		if content.rope.Len() > 0 {
			text := content.rope.String()
			lv := op(Op{Code: CodeTextInsert, Text: text, Len: utf8.RuneCountInString(text)})
			content.ops.Compare(c.from.graph, nil, nil, true, func(s sequence.Stretch) bool {
				if s.A {
					c.lineage.elems.add(lv, s.LV, s.N)
					lv += causal.LV(s.N)
				}
				return true
			})
			return
		}
	case *mapContent:
		keys := content.keys()
		for _, key := range keys {
			e := content.places[key].shown(c.from)
			c.fill(append(path[:len(path):len(path)], Step{Key: key, Kind: e.kind}), e)
		}
		if len(keys) > 0 {
			return
		}
	case *listContent:
		var all []causal.LV
		content.each(func(lv causal.LV) { all = append(all, lv) })
		for n := 0; n < len(all); {
			_, k := c.insert(path, n, content, all[n:])
			n += k
		}
		if len(all) > 0 {
			return
		}
	}
	op(Op{Code: CodeTouch, Kind: from.kind})
}

// insert inserts copies of the first k of some elements of from at index at of the list that path leads to, with one op if they
// hold values, and returns the first of the copies.
func (c *copier) insert(path Path, at int, from *listContent, elems []causal.LV) (copies causal.LV, k int) {
	var values []Value
	var puts []causal.LV
	for _, lv := range elems {
		e := from.peek(lv).shown(c.from)
		if e != nil && e.kind != Register {
			break
		}
		value, was := Value{}, lv // nil where nothing stands
		if e != nil {
			if put, ok := e.content.(*registerContent).shown(c.from); ok {
				value, was = put.value, put.lv
			}
		}
		values, puts = append(values, value), append(puts, was)
	}
	if k = len(values); k > 0 {
		copies = c.tx.do(&Op{Code: CodeListInsert, Len: k, Path: path, Pos: at, Values: values})
		for i := range k {
			c.lineage.elems.add(copies+causal.LV(i), elems[i], 1)
			c.lineage.writes.add(copies+causal.LV(i), puts[i], 1)
		}
		return copies, k
	}
	e := from.peek(elems[0]).shown(c.from)
	copies = c.tx.do(&Op{Code: CodeListNew, Len: 1, Path: path, Pos: at, Kind: e.kind})
	c.lineage.elems.add(copies, elems[0], 1)
	if !e.isEmpty() {
		c.fill(append(path[:len(path):len(path)], Step{Elem: c.tx.s.dot(copies), Kind: e.kind}), e) // an own dot
	}
	return copies, 1
}

// isEmpty reports whether e shows nothing that an entry that was only touched would not show.
func (e *entry) isEmpty() bool {
	switch c := e.content.(type) {
	case *registerContent:
		return len(c.puts) == 0
	case *counterContent:
		return c.sum == 0
	case memberContent:
		return len(c.elements()) == 0
	case *textContent:
		return c.rope.Len() == 0
	case *mapContent:
		return len(c.keys()) == 0
	case *listContent:
		return c.elements.Len() == 0
	}
	panic("crdt: empty " + e.kind.String())
}

// setCode returns a code of Set, or the same of RemoveWinsSet.
func setCode(k Kind, code Code) Code {
	if k == RemoveWinsSet {
		return code + CodeRWSetAdd - CodeSetAdd
	}
	return code
}
