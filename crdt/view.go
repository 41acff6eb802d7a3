package crdt

import (
	"github.com/atollsync/atoll/crdt/causal"
)

// address leads to a container by keys and kinds: which entry that is, is decided whenever the
// address is used.
type address struct {
	parent *address // nil: the root
	key    string
	elem   causal.LV // under a list: the element
	kind   Kind      // 0: the place, whatever stands there
}

// inList reports whether a is an element of a list.
func (a *address) inList() bool { return a.parent != nil && a.parent.kind == List }

// String returns a as a path. An element of a list is written [*].
func (a *address) String() string {
	key := escapeKey(a.key)
	if a.inList() {
		key = "[*]"
	}
	if a.parent == nil {
		return key
	}
	return a.parent.String() + "/" + key
}

// depth returns the number of steps.
func (a *address) depth() int {
	n := 1
	for a.parent != nil {
		a = a.parent
		n++
	}
	return n
}

// place returns the place a leads to, for reading, nil if there is none: nothing was ever there, its
// element is deleted, or nothing of the right kind stands above it.
func (s *State) place(a *address) *place {
	if a.parent == nil {
		return s.shownRoot().places[a.key]
	}
	return s.placeIn(s.entry(a.parent), a)
}

// placeIn is place for those who know e, the entry that a's parent leads to: nil for the root, and
// if nothing ever named it.
func (s *State) placeIn(e *entry, a *address) *place {
	if a.parent == nil {
		return s.shownRoot().places[a.key]
	}
	if e == nil {
		return nil
	}
	switch c := e.content.(type) {
	case *mapContent:
		return c.places[a.key]
	case *listContent:
		if c.holds(a.elem) {
			return c.peek(a.elem)
		}
	}
	return nil
}

// entry returns the entry a leads to: of its kind the one that stands, the latest if there are several, nil
// if there is none.
func (s *State) entry(a *address) *entry {
	if p := s.place(a); p != nil {
		return p.latest(s, a.kind)
	}
	return nil
}

// valueOf returns what e shows.
func (s *State) valueOf(e *entry) Value { return newValue(e.content.appendValue(s, nil)) }

// view reads the container at an address. It looks the container up at each call, so it
// stays true while the state changes, and what does not stand reads as empty.
type view struct {
	s  *State
	at *address
}

func (v *view) entry() *entry { return v.s.entry(v.at) }

// Exists reports whether a container of the view's kind stands there.
func (v *view) Exists() bool { return v.entry() != nil }

// Value returns the content as one value, and nil if nothing stands: maps as objects, lists and sets as
// lists, text as a string, a counter as an int.
func (v *view) Value() Value {
	if e := v.entry(); e != nil {
		return v.s.valueOf(e)
	}
	return Value{}
}

// JSON returns Value as JSON.
func (v *view) JSON() string { return v.Value().String() }

// child returns the view of a place below a map.
func (v *view) child(key string, kind Kind) view {
	return view{v.s, &address{parent: v.at, key: key, kind: kind}}
}

// element returns the view of a place below a list.
func (v *view) element(lv causal.LV, kind Kind) view {
	return view{v.s, &address{parent: v.at, elem: lv, kind: kind}}
}

func (s *State) view(slice string, kind Kind) view { return view{s, &address{key: slice, kind: kind}} }

// Map returns the Map that is slice. Like all views it is empty if none stands there.
func (s *State) Map(slice string) *MapView { return &MapView{s.view(slice, Map)} }

// DeleteWinsMap returns the DeleteWinsMap that is slice.
func (s *State) DeleteWinsMap(slice string) *MapView { return &MapView{s.view(slice, DeleteWinsMap)} }

// List returns the List that is slice.
func (s *State) List(slice string) *ListView { return &ListView{s.view(slice, List)} }

// Text returns the Text that is slice.
func (s *State) Text(slice string) *TextView { return &TextView{s.view(slice, Text)} }

// Counter returns the Counter that is slice.
func (s *State) Counter(slice string) *CounterView { return &CounterView{s.view(slice, Counter)} }

// Set returns the Set that is slice.
func (s *State) Set(slice string) *SetView { return &SetView{s.view(slice, Set)} }

// RemoveWinsSet returns the RemoveWinsSet that is slice.
func (s *State) RemoveWinsSet(slice string) *SetView { return &SetView{s.view(slice, RemoveWinsSet)} }

// Register returns the Register that is slice.
func (s *State) Register(slice string) *RegisterView { return &RegisterView{s.view(slice, Register)} }
