package crdt

import (
	"slices"
	"strconv"

	"github.com/atollsync/atoll/crdt/causal"
)

// Value returns the whole store as one object, the slices by name. Opaque slices are not in it.
func (s *State) Value() Value { return newValue(s.shownRoot().appendValue(s, nil)) }

// JSON returns Value as JSON.
func (s *State) JSON() string { return s.Value().String() }

// PlaceView reads whatever is shown at a place. It is good until the state changes.
type PlaceView struct {
	s     *State
	keys  []string
	place *place
	shown *entry
	root  bool
}

// Path returns the place that keys lead to through what is shown: keys of maps, and indexes of
// list elements in decimal. Without keys it is the store itself, an object of all slices.
func (s *State) Path(keys ...string) *PlaceView {
	v := &PlaceView{s: s, keys: keys, root: len(keys) == 0}
	var c content = s.shownRoot()
	for _, key := range keys {
		v.place = nil
		switch c := c.(type) {
		case *mapContent:
			v.place = c.places[key]
		case *listContent:
			if i, ok := parseIndex(key); ok && i < c.elements.Len() {
				v.place = c.peek(c.elements.At(i))
			}
		}
		if v.place == nil {
			return &PlaceView{s: s, keys: keys}
		}
		c = nil
		if v.shown = v.place.shown(s); v.shown != nil {
			c = v.shown.content
		}
	}
	return v
}

// parseIndex reads a list index as JSON Pointer writes it: decimal, without leading zeros.
func parseIndex(key string) (int, bool) {
	i, err := strconv.Atoi(key)
	return i, err == nil && i >= 0 && strconv.Itoa(i) == key
}

// Exists reports whether anything stands there.
func (v *PlaceView) Exists() bool { return v.root || v.shown != nil }

// Kind returns the kind of what is shown, 0 if nothing stands. The store itself is a Map.
func (v *PlaceView) Kind() Kind {
	switch {
	case v.root:
		return Map
	case v.shown != nil:
		return v.shown.kind
	}
	return 0
}

// Value returns what is shown, whole: nil if nothing stands.
func (v *PlaceView) Value() Value {
	switch {
	case v.root:
		return v.s.Value()
	case v.shown != nil:
		return v.s.valueOf(v.shown)
	}
	return Value{}
}

// JSON returns Value as JSON.
func (v *PlaceView) JSON() string { return v.Value().String() }

// Text returns the Text there, an empty one if none stands.
func (v *PlaceView) Text() *TextView { return &TextView{v.of(Text)} }

// List returns the List there, an empty one if none stands.
func (v *PlaceView) List() *ListView { return &ListView{v.of(List)} }

// of returns the view of a kind there.
func (v *PlaceView) of(kind Kind) view {
	out, err := v.s.resolve(v.keys, kind)
	if err != nil { // there is no such place: an element that no list has reads as empty
		return view{v.s, &address{parent: &address{kind: List}, elem: -1, kind: kind}}
	}
	return out
}

// Keys returns the keys that lead on from here: those of a map in order, the indexes of a list.
func (v *PlaceView) Keys() []string {
	var c content
	switch {
	case v.root:
		c = v.s.shownRoot()
	case v.shown != nil:
		c = v.shown.content
	}
	switch c := c.(type) {
	case *mapContent:
		return c.keys()
	case *listContent:
		out := make([]string, c.elements.Len())
		for i := range out {
			out[i] = strconv.Itoa(i)
		}
		return out
	}
	return nil
}

// Conflict is one of several things that concurrent writes made stand at one place.
type Conflict struct {
	Value Value `json:"value"`
	Kind  Kind  `json:"kind"`
	// Dot is the latest write that keeps it standing; for a value of a Register, the put.
	Dot   Dot   `json:"dot"`
	Actor Actor `json:"actor"`
	Time  int64 `json:"time"`  // the author's claim, unix ms
	Shown bool  `json:"shown"` // this is what everybody sees
}

// Conflicts returns all that stands there, the one shown first, then by latest write: the entries,
// and in place of a Register entry each of its values that no later write saw. Without a
// conflict that is one, and none if nothing stands.
func (v *PlaceView) Conflicts() []Conflict {
	if v.place == nil {
		return nil
	}
	var out []Conflict
	for _, e := range v.place.standing(v.s) {
		if r, ok := e.content.(*registerContent); ok && len(r.puts) > 0 {
			for _, p := range r.all(v.s) {
				out = append(out, v.s.conflict(p.value, e.kind, p.lv))
			}
			continue
		}
		out = append(out, v.s.conflict(v.s.valueOf(e), e.kind, v.s.latest(e.alive)))
	}
	if len(out) > 0 {
		out[0].Shown = true
	}
	return out
}

func (s *State) conflict(v Value, k Kind, lv causal.LV) Conflict {
	c := Conflict{Value: v, Kind: k, Dot: s.dot(lv)}
	c.Actor = c.Dot.Actor
	if s.writing && lv >= s.pass.base {
		c.Time = s.draft.time
	} else {
		c.Time = s.chains.ChangeAt(lv).Time
	}
	return c
}

// AllConflicts calls yield with the path of every place where more than one thing stands, and what
// stands there, in the order of the paths, until yield returns false.
func (s *State) AllConflicts(yield func(path []string, conflicts []Conflict) bool) {
	s.conflictsBelow(s.shownRoot(), nil, yield)
}

func (s *State) conflictsBelow(c content, path []string, yield func([]string, []Conflict) bool) bool {
	at := func(key string, p *place) bool {
		e := p.shown(s)
		if e == nil {
			return true
		}
		path := append(slices.Clip(path), key)
		v := PlaceView{s: s, place: p, shown: e}
		if all := v.Conflicts(); len(all) > 1 && !yield(path, all) {
			return false
		}
		return s.conflictsBelow(e.content, path, yield)
	}
	switch c := c.(type) {
	case *mapContent:
		for _, k := range sortedKeys(c.places) {
			if !at(k, c.places[k]) {
				return false
			}
		}
	case *listContent:
		i, goOn := 0, true
		c.elements.Spans(func(span causal.Span) bool {
			for lv := span.Start; lv < span.End && goOn; lv++ {
				if p := c.places[lv]; p != nil {
					goOn = at(strconv.Itoa(i), p)
				} else if run := &c.runs[c.runIndex(lv+1)-1]; run.kind.isParent() {
					goOn = at(strconv.Itoa(i), c.peek(lv))
				}
				i++
			}
			return goOn
		})
		return goOn
	}
	return true
}
