package crdt

import (
	"cmp"
	"fmt"

	"github.com/atollsync/atoll/crdt/causal"
)

// ListView reads a List. The views of its elements stay with the element when its index changes.
type ListView struct{ view }

func (v *ListView) content() *listContent {
	if e := v.entry(); e != nil {
		return e.content.(*listContent)
	}
	return nil
}

// Len returns the number of elements.
func (v *ListView) Len() int {
	if c := v.content(); c != nil {
		return c.elements.Len()
	}
	return 0
}

// elementAt returns the element at index i, and false if there is none.
func (v *ListView) elementAt(i int) (causal.LV, bool) {
	c := v.content()
	if c == nil || i < 0 || i >= c.elements.Len() {
		return -1, false
	}
	return c.elements.At(i), true
}

// Get returns what is shown at index i, and false if there is no such element. A container is given whole.
func (v *ListView) Get(i int) (Value, bool) {
	lv, ok := v.elementAt(i)
	if !ok {
		return Value{}, false
	}
	return newValue(v.content().appendElement(v.s, lv, nil)), true
}

// Kind returns the kind of what is shown at index i, 0 if nothing stands there.
func (v *ListView) Kind(i int) Kind {
	lv, ok := v.elementAt(i)
	if !ok {
		return 0
	}
	c := v.content()
	p := c.places[lv]
	if p == nil { // it is as it was inserted
		return cmp.Or(c.run(lv).kind, Register)
	}
	if e := p.shown(v.s); e != nil {
		return e.kind
	}
	return 0
}

// at returns the view of a kind at index i, which stands nowhere if there is no such element.
func (v *ListView) child(i int, kind Kind) view {
	lv, _ := v.elementAt(i)
	return v.element(lv, kind)
}

// Map returns the Map at index i. Like all views it is empty if none stands there.
func (v *ListView) Map(i int) *MapView { return &MapView{v.child(i, Map)} }

// DeleteWinsMap returns the DeleteWinsMap at index i.
func (v *ListView) DeleteWinsMap(i int) *MapView { return &MapView{v.child(i, DeleteWinsMap)} }

// List returns the List at index i.
func (v *ListView) List(i int) *ListView { return &ListView{v.child(i, List)} }

// Text returns the Text at index i.
func (v *ListView) Text(i int) *TextView { return &TextView{v.child(i, Text)} }

// Counter returns the Counter at index i.
func (v *ListView) Counter(i int) *CounterView { return &CounterView{v.child(i, Counter)} }

// Set returns the Set at index i.
func (v *ListView) Set(i int) *SetView { return &SetView{v.child(i, Set)} }

// RemoveWinsSet returns the RemoveWinsSet at index i.
func (v *ListView) RemoveWinsSet(i int) *SetView { return &SetView{v.child(i, RemoveWinsSet)} }

// TxList is a List in a transaction. Indexes count the elements as they are at the time of the call.
type TxList struct {
	ListView
	tx *Tx
}

// Insert inserts values before index i, in order. A list or object is inserted as one opaque value; use
// InsertNew for a container that can be edited.
func (l *TxList) Insert(i int, values ...any) {
	if !l.checkInsert(i) || len(values) == 0 {
		return
	}
	vals := make([]Value, len(values))
	for j, value := range values {
		var ok bool
		if vals[j], ok = l.tx.value(value); !ok {
			return
		}
	}
	if path, ok := l.tx.enter(l.at, ClassWrite); ok {
		l.tx.doLater(&Op{Code: CodeListInsert, Len: len(vals), Path: path, Pos: i, Values: vals})
	}
}

// Append inserts values at the end.
func (l *TxList) Append(values ...any) { l.Insert(l.Len(), values...) }

// InsertNew inserts an empty container before index i.
func (l *TxList) InsertNew(i int, kind Kind) { l.insertNew(i, kind) }

// insertNew returns the view of the new element.
func (l *TxList) insertNew(i int, kind Kind) view {
	lv := causal.LV(-1)
	switch {
	case !l.checkInsert(i):
	case !kind.Known():
		l.tx.fail(fmt.Errorf("%w: insert into %s: %s", ErrKind, l.at, kind))
	default:
		if path, ok := l.tx.enter(l.at, ClassWrite); ok {
			lv = l.tx.do(&Op{Code: CodeListNew, Len: 1, Path: path, Pos: i, Kind: kind})
		}
	}
	return l.element(lv, kind)
}

func (l *TxList) checkInsert(i int) bool {
	if l.tx.over() {
		return false
	}
	if n := l.Len(); i < 0 || i > n {
		l.tx.fail(fmt.Errorf("%w: insert into %s at %d of %d", ErrRange, l.at, i, n))
		return false
	}
	return true
}

// InsertMap inserts an empty Map before index i and returns it.
func (l *TxList) InsertMap(i int) *TxMap { return &TxMap{MapView{l.insertNew(i, Map)}, l.tx} }

// InsertDeleteWinsMap inserts an empty DeleteWinsMap before index i and returns it.
func (l *TxList) InsertDeleteWinsMap(i int) *TxMap {
	return &TxMap{MapView{l.insertNew(i, DeleteWinsMap)}, l.tx}
}

// InsertList inserts an empty List before index i and returns it.
func (l *TxList) InsertList(i int) *TxList { return &TxList{ListView{l.insertNew(i, List)}, l.tx} }

// InsertText inserts an empty Text before index i and returns it.
func (l *TxList) InsertText(i int) *TxText { return &TxText{TextView{l.insertNew(i, Text)}, l.tx} }

// InsertCounter inserts a Counter at 0 before index i and returns it.
func (l *TxList) InsertCounter(i int) *TxCounter {
	return &TxCounter{CounterView{l.insertNew(i, Counter)}, l.tx}
}

// InsertSet inserts an empty Set before index i and returns it.
func (l *TxList) InsertSet(i int) *TxSet { return &TxSet{SetView{l.insertNew(i, Set)}, l.tx} }

// InsertRemoveWinsSet inserts an empty RemoveWinsSet before index i and returns it.
func (l *TxList) InsertRemoveWinsSet(i int) *TxSet {
	return &TxSet{SetView{l.insertNew(i, RemoveWinsSet)}, l.tx}
}

// Delete deletes n elements from index i, for good: edits to them made elsewhere do not bring them back.
func (l *TxList) Delete(i, n int) {
	switch length := l.Len(); {
	case l.tx.over():
	case i < 0 || n < 0 || i > length || n > length-i:
		l.tx.fail(fmt.Errorf("%w: delete from %s: [%d, %d+%d) of %d", ErrRange, l.at, i, i, n, length))
	case n > 0:
		if path, ok := l.tx.enter(l.at, ClassNeither); ok {
			l.tx.doLater(&Op{Code: CodeListDelete, Len: n, Path: path, Pos: i})
		}
	}
}

// Move moves the element at index from so that it stands at index to, both below Len: what it holds goes with it, and so
// do edits made elsewhere meanwhile. If others move it at the same time, the latest move decides.
func (l *TxList) Move(from, to int) {
	c, n := l.content(), 0
	if c != nil {
		n = c.elements.Len()
	}
	switch {
	case l.tx.over():
	case from < 0 || to < 0 || from >= n || to >= n:
		l.tx.fail(fmt.Errorf("%w: move in %s from %d to %d of %d", ErrRange, l.at, from, to, n))
	case from != to:
		elem := c.elements.Reach(from)
		if path, ok := l.tx.enter(l.at, ClassWrite); ok {
			name, branch := l.tx.s.elem(elem)
			l.tx.doLater(&Op{Code: CodeListMove, Len: 1, Path: path, Elem: name, Branch: branch, Pos: to})
		}
	}
}

// Set puts a value at index i, in place of what is shown there.
func (l *TxList) Set(i int, value any) { l.Register(i).Put(value) }

// elem returns the view of a kind at index i, which must exist.
func (l *TxList) elem(i int, kind Kind) view {
	lv, ok := l.elementAt(i)
	if !ok && !l.tx.over() {
		l.tx.fail(fmt.Errorf("%w: %s: element %d of %d", ErrRange, l.at, i, l.Len()))
	}
	return l.element(lv, kind)
}

// Register returns the Register at index i.
func (l *TxList) Register(i int) *TxRegister {
	return &TxRegister{RegisterView{l.elem(i, Register)}, l.tx}
}

// Map returns the Map at index i. As under a map, writing to it deletes what stood there as another kind.
func (l *TxList) Map(i int) *TxMap { return &TxMap{MapView{l.elem(i, Map)}, l.tx} }

// DeleteWinsMap returns the DeleteWinsMap at index i.
func (l *TxList) DeleteWinsMap(i int) *TxMap { return &TxMap{MapView{l.elem(i, DeleteWinsMap)}, l.tx} }

// List returns the List at index i.
func (l *TxList) List(i int) *TxList { return &TxList{ListView{l.elem(i, List)}, l.tx} }

// Text returns the Text at index i.
func (l *TxList) Text(i int) *TxText { return &TxText{TextView{l.elem(i, Text)}, l.tx} }

// Counter returns the Counter at index i.
func (l *TxList) Counter(i int) *TxCounter { return &TxCounter{CounterView{l.elem(i, Counter)}, l.tx} }

// RemoveWinsSet returns the RemoveWinsSet at index i.
func (l *TxList) RemoveWinsSet(i int) *TxSet { return &TxSet{SetView{l.elem(i, RemoveWinsSet)}, l.tx} }

// SetAt returns the Set at index i.
func (l *TxList) SetAt(i int) *TxSet { return &TxSet{SetView{l.elem(i, Set)}, l.tx} }

// Touch makes the list stand, empty if it has no element.
func (l *TxList) Touch() { l.tx.touch(l.at) }
