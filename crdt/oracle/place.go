package oracle

import (
	"slices"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// name names a place in its parent: a key of a Map, the dot of an element of a List.
type name struct {
	key  string
	elem causal.Dot
	in   *event // that inserted it
}

// place is what was ever written or deleted under one name of one parent.
type place struct {
	deletesWin bool // the parent is a DeleteWinsMap
	deletes    []*op
	entries    map[id]*entry
}

// id names an entry at its place. A birth is an opaque name: that it is the dot of a
// delete is the author's affair and never checked.
type id struct {
	kind  crdt.Kind
	birth causal.Dot
}

// entry is one container and all that was ever done to it.
type entry struct {
	id
	writes   []write         // to it or anywhere below
	ops      []*op           // on it, those of a sequence apart
	puts     []write         // Register
	sequence sequence        // List, Text
	places   map[name]*place // Map, DeleteWinsMap, List
}

func (e *entry) place(n name) *place {
	if e.places == nil {
		e.places = map[name]*place{}
	}
	if e.places[n] == nil {
		e.places[n] = &place{deletesWin: e.kind == crdt.DeleteWinsMap, entries: map[id]*entry{}}
	}
	return e.places[n]
}

func (p *place) entry(i id) *entry {
	if p.entries[i] == nil {
		p.entries[i] = &entry{id: i}
	}
	return p.entries[i]
}

// survives reports whether w, a write to or below p, survives there: unless a delete of p saw
// it, or, where deletes win, unless it did not see every delete of p.
func (p *place) survives(w write) bool {
	for _, d := range p.deletes {
		if p.deletesWin && !w.saw(d) || d.saw(w.op) {
			return false
		}
	}
	return true
}

// surviving returns those of writes that survive at p, latest first.
func (p *place) surviving(writes []write) []write {
	var out []write
	for _, w := range writes {
		if p.survives(w) {
			out = append(out, w)
		}
	}
	slices.SortFunc(out, func(a, b write) int { return inTime(b, a) })
	return out
}

// standing returns the entries that stand at p, that is have a surviving write: by the latest
// of those, latest first.
func (p *place) standing() []*entry {
	var out []*entry
	latest := map[*entry]write{}
	for _, e := range p.entries {
		if surviving := p.surviving(e.writes); len(surviving) > 0 {
			out = append(out, e)
			latest[e] = surviving[0]
		}
	}
	slices.SortFunc(out, func(a, b *entry) int { return inTime(latest[b], latest[a]) })
	return out
}

// maximal returns those of writes that no other of them saw.
func maximal(writes []write) []write {
	var out []write
	for _, w := range writes {
		if !slices.ContainsFunc(writes, func(v write) bool { return v.saw(w.op) }) {
			out = append(out, w)
		}
	}
	return out
}

// record adds o to the entries on its path under root, and reports whether it could: an op that names
// an element that its author did not see, on its path or to move it, is void.
func (root *entry) record(o *op, all []*event) bool {
	e := root
	var path []*entry // its entries so far, the root apart
	var at *place     // where the last step leads
	for n, step := range o.Path {
		where := name{key: step.Key}
		if e.kind == crdt.List {
			i := o.resolve(e.sequence.elements[step.Elem], step.Branch, all)
			if i == nil {
				return false
			}
			where.elem, where.in = i.dot, i.in
		}
		at = e.place(where)
		if o.Code == crdt.CodeDelete && n == len(o.Path)-1 {
			at.deletes = append(at.deletes, o)
			return true
		}
		e = at.entry(id{step.Kind, step.Birth})
		path = append(path, e)
	}
	var moved *item
	if o.Code == crdt.CodeListMove {
		if moved = o.resolve(e.sequence.elements[o.Elem], o.Branch, all); moved == nil {
			return false
		}
	}
	if o.Code.Class() == crdt.ClassWrite {
		for _, e := range path {
			e.writes = append(e.writes, write{op: o, dot: o.dot()})
		}
	}
	e.apply(o, moved)
	return true
}

// apply gives o to the content of e, on which it is. moved is the element that it moves, if it is a move.
func (e *entry) apply(o *op, moved *item) {
	switch o.Code {
	case crdt.CodePut:
		e.puts = append(e.puts, write{o, o.dot(), o.Value})
	case crdt.CodeTextInsert:
		var items []*item
		for _, char := range o.Text {
			items = append(items, &item{write: o.nth(len(items)), char: char})
		}
		e.sequence.insert(o, items)
	case crdt.CodeListInsert, crdt.CodeListNew:
		var items []*item
		for n := range o.Len {
			items = append(items, &item{write: o.nth(n)})
		}
		e.sequence.insert(o, items)
		for n, i := range items {
			e.place(name{elem: i.dot, in: i.in}).begin(i.write, n)
		}
	case crdt.CodeListMove:
		e.sequence.move(o, moved)
	case crdt.CodeTextMark, crdt.CodeTextUnmark:
		e.sequence.mark(o)
	case crdt.CodeTextDelete, crdt.CodeListDelete:
		e.sequence.delete(o)
	default:
		e.ops = append(e.ops, o)
	}
}

// nth returns the write that is o's n-th dot.
func (o *op) nth(n int) write {
	d := o.dot()
	d.Seq += causal.Seq(n)
	return write{op: o, dot: d}
}

// begin gives the place of a new element its first entry: a Register that holds the n-th inserted
// value, or an empty container.
func (p *place) begin(w write, n int) {
	kind := w.Kind
	if w.Code == crdt.CodeListInsert {
		kind = crdt.Register
		w.value = w.Values[n]
	}
	e := p.entry(id{kind: kind})
	e.writes = append(e.writes, w)
	if w.Code == crdt.CodeListInsert {
		e.puts = append(e.puts, w)
	}
}
