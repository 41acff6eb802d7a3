package oracle

import (
	"cmp"
	"maps"
	"slices"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// Store is what a set of changes means.
type Store struct {
	// Root holds the slices. It is a Map, and shown even if it is empty.
	Root *Entry
	// Opaque are the slices that have an op of a kind or code this version does not know, sorted. Root shows
	// them without those ops.
	Opaque []string
	// Void counts the ops that have no effect, Unknown those among them that a later version may understand.
	Void, Unknown int

	root *entry
}

// Place is a key of a Map, or an element of a List.
type Place struct {
	// Key names it: the key, or the element's dot.
	Key  string
	Elem causal.Dot
	// Standing are the entries that stand here, by their latest surviving write,
	// latest first. The first is shown. Keys where nothing stands are not shown in
	// their Map; elements of a List are, as nil.
	Standing []*Entry
}

// Shown returns the entry that is shown, nil if none stands.
func (p *Place) Shown() *Entry {
	if len(p.Standing) == 0 {
		return nil
	}
	return p.Standing[0]
}

// Entry is a container with its value. Which fields hold something follows from Kind.
type Entry struct {
	Kind   crdt.Kind
	Birth  causal.Dot
	Latest causal.Dot // its latest surviving write
	// Writes are a Register's surviving maximal writes, latest first. The first is its value; without
	// any, made to stand by a touch, it is nil.
	Writes []Write
	Sum    int64        // Counter
	Set    []crdt.Value // Set, RemoveWinsSet: sorted
	Places []*Place     // Map, DeleteWinsMap: where something stands, by key; List: the elements in order
	Text   string       // Text
	// Marks are those of a Text, of each of its code points by name.
	Marks []map[string]crdt.Value
}

// Write is one write to a Register.
type Write struct {
	Dot   causal.Dot
	Value crdt.Value
}

// Of returns what the set of changes means. Their order does not matter. It returns an error if
// a change is missing that one of them depends on, or if two have the same dot.
func Of(changes []*crdt.Change) (*Store, error) {
	all, err := events(changes)
	if err != nil {
		return nil, err
	}
	return of(all), nil
}

// of returns what events mean, which have causes before effects.
func of(all []*event) *Store {
	s := new(Store)
	root := &entry{id: id{kind: crdt.Map}}
	opaque := map[string]bool{}
	for _, e := range all {
		e.Ops(func(seq causal.Seq, slice string, decoded *crdt.Op) bool {
			if decoded.Unknown {
				opaque[slice] = true
				s.Unknown++
			}
			if decoded.Void || !root.record(&op{Op: *decoded, in: e, seq: seq}, all) {
				s.Void++
			}
			return true
		})
	}
	s.Opaque = slices.Sorted(maps.Keys(opaque))
	s.Root, s.root = root.shown(), root
	return s
}

// shown returns e's value.
func (e *entry) shown() *Entry {
	out := &Entry{Kind: e.kind, Birth: e.birth}
	switch e.kind {
	case crdt.Counter:
		out.Sum = e.sum()
	case crdt.Set, crdt.RemoveWinsSet:
		out.Set = e.elements()
	case crdt.Map, crdt.DeleteWinsMap:
		for n, p := range e.places {
			if shown := p.shown(n); len(shown.Standing) > 0 {
				out.Places = append(out.Places, shown)
			}
		}
		slices.SortFunc(out.Places, func(a, b *Place) int { return cmp.Compare(a.Key, b.Key) })
	case crdt.List:
		for _, i := range e.sequence.visible() {
			n := name{elem: i.of.dot, in: i.of.in}
			out.Places = append(out.Places, e.places[n].shown(n))
		}
	case crdt.Text:
		var text []rune
		for _, i := range e.sequence.visible() {
			text = append(text, i.char)
		}
		out.Text, out.Marks = string(text), e.sequence.marksOn()
	}
	return out
}

// shown returns what stands at p.
func (p *place) shown(n name) *Place {
	out := &Place{Key: n.key, Elem: n.elem}
	for _, e := range p.standing() {
		shown := e.shown()
		shown.Latest = p.surviving(e.writes)[0].dot
		for _, w := range p.surviving(maximal(e.puts)) {
			shown.Writes = append(shown.Writes, Write{w.dot, w.value})
		}
		out.Standing = append(out.Standing, shown)
	}
	return out
}

// Enter returns path with the births that a write should carry by the rules of the Map, if its author saw
// all changes of s; those it has do not count. At each step a kind that stands is entered where it stands, the
// latest if several do; where nothing stands because of a delete a fresh entry starts, born of the latest
// one. It reports false if at some step only other kinds stand, which have to be deleted first.
func (s *Store) Enter(path crdt.Path) (crdt.Path, bool) {
	path = slices.Clone(path)
	e := s.root
	for i := range path {
		step := &path[i]
		step.Birth = causal.Dot{}
		n := name{key: step.Key, elem: step.Elem}
		if same := e.sequence.elements[step.Elem]; len(same) > 0 {
			n.in = same[0].in
		}
		p := e.places[n]
		if p == nil {
			p = new(place) // nothing was ever there
		}
		standing := p.standing()
		i := slices.IndexFunc(standing, func(e *entry) bool { return e.kind == step.Kind })
		switch {
		case i >= 0:
			step.Birth = standing[i].birth
		case len(standing) > 0:
			return nil, false
		case len(p.deletes) > 0:
			step.Birth = slices.MaxFunc(p.deletes, func(a, b *op) int { return inTime(a.nth(0), b.nth(0)) }).dot()
		}
		if e = p.entries[id{step.Kind, step.Birth}]; e == nil {
			e = new(entry)
		}
	}
	return path, true
}
