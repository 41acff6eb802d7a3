package crdt

import (
	"fmt"

	"github.com/atollsync/atoll/crdt/causal"
)

// Import writes a JSON document, an object with the slices at the top level. Where something stands that
// shows as the same type of JSON, it is edited: a Text as Set does, a Counter by adding the
// difference, a set by adding what is missing. Otherwise objects become Maps, arrays Lists and the rest
// Registers. What is unchanged makes no op. Nothing that the document lacks is deleted: keys, members and elements
// beyond the end of an array stay.
func (tx *Tx) Import(doc []byte) {
	if tx.over() {
		return
	}
	v, err := ParseJSON(doc)
	if err != nil {
		tx.fail(fmt.Errorf("crdt: import: %w", err))
		return
	}
	tx.ImportValue(v)
}

// ImportValue is Import for a document that has been read.
func (tx *Tx) ImportValue(doc Value) {
	if tx.over() {
		return
	}
	if doc.Type() != ObjectType {
		tx.fail(fmt.Errorf("crdt: import: the document is not an object but a %s", doc.Type()))
		return
	}
	doc.eachField(func(slice string, v Value) { tx.importAt(tx.root(slice, 0), v) })
}

// eachField calls f with the keys and values of an object, in order.
func (v Value) eachField(f func(key string, v Value)) {
	parts := v.parts()
	for i := 0; i < len(parts); i += 2 {
		key, _ := parts[i].Str()
		f(key, parts[i+1])
	}
}

// importAt makes the place at v.at show doc.
func (tx *Tx) importAt(v view, doc Value) {
	if tx.over() {
		return
	}
	var shown *entry
	if p := tx.s.place(v.at); p != nil {
		shown = p.shown(tx.s)
	}
	kind := Register
	switch t := doc.Type(); {
	case shown != nil && shown.kind.takes(t):
		kind = shown.kind
	case t == ObjectType:
		kind = Map
	case t == ListType:
		kind = List
	}
	if shown == nil && v.at.inList() && doc.IsNil() {
		return // an element where nothing stands shows nil
	}
	if shown != nil && !kind.isParent() && tx.s.valueOf(shown).String() == doc.String() {
		return
	}
	if kind.isParent() && shown != nil && shown.kind == Register && tx.s.valueOf(shown).String() == doc.String() {
		return // an opaque value that is the same
	}
	at := view{v.s, &address{parent: v.at.parent, key: v.at.key, elem: v.at.elem, kind: kind}}
	switch kind {
	case Map, DeleteWinsMap:
		if !at.Exists() {
			tx.touch(at.at)
		}
		doc.eachField(func(key string, field Value) { tx.importAt(at.child(key, 0), field) })
	case List:
		if !at.Exists() {
			tx.touch(at.at)
		}
		tx.importList(&TxList{ListView{at}, tx}, doc.parts())
	case Text:
		s, _ := doc.Str()
		(&TxText{TextView{at}, tx}).Set(s)
	case Counter:
		n, _ := doc.Int()
		c := &TxCounter{CounterView{at}, tx}
		c.Add(n - c.Int())
	case Set, RemoveWinsSet:
		set := &TxSet{SetView{at}, tx}
		for _, member := range doc.parts() {
			if !set.Has(member) {
				set.Add(member)
			}
		}
	default:
		(&TxRegister{RegisterView{at}, tx}).Put(doc)
	}
}

// takes reports whether a container of kind k is shown as a value of type t.
func (k Kind) takes(t ValueType) bool {
	switch k {
	case Map, DeleteWinsMap:
		return t == ObjectType
	case List, Set, RemoveWinsSet:
		return t == ListType
	case Text:
		return t == StringType
	case Counter:
		return t == IntType
	}
	return false
}

// importList makes the first elements of l show items and appends those that are more than it has.
func (tx *Tx) importList(l *TxList, items []Value) {
	n := min(l.Len(), len(items))
	elems := make([]causal.LV, n)
	for i := range elems {
		elems[i], _ = l.elementAt(i)
	}
	for i, elem := range elems {
		tx.importAt(l.element(elem, 0), items[i])
	}
	var plain []any
	for _, item := range items[n:] {
		if item.IsScalar() {
			plain = append(plain, item)
			continue
		}
		l.Append(plain...)
		plain = nil
		kind := Map
		if item.Type() == ListType {
			kind = List
		}
		tx.importAt(l.insertNew(l.Len(), kind), item)
	}
	l.Append(plain...)
}
