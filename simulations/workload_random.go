package simulations

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/atollsync/atoll/crdt"
)

// defaultSlices are those of a workload that names none: one of every kind.
var defaultSlices = []SliceKind{{"title", "register"}, {"visits", "counter"}, {"tags", "set"}, {"banned", "rwset"},
	{"todos", "map"}, {"settings", "dwmap"}, {"steps", "list"}, {"notes", "text"}}

// defaultWeights are about how often people do what: they write more than they delete.
var defaultWeights = map[string]int{"put": 8, "touch": 1, "delete": 3, "add": 8, "remove": 3, "clear": 1, "insert": 10, "set": 3,
	"move": 3, "mark": 2, "unmark": 1}

// verbsOf are the verbs that a random workload has for a kind.
var verbsOf = map[crdt.Kind][]string{
	crdt.Register:      {"put", "delete", "touch", "undo"},
	crdt.Counter:       {"add", "delete", "undo"},
	crdt.Set:           {"add", "remove", "clear", "delete", "undo"},
	crdt.RemoveWinsSet: {"add", "remove", "clear", "delete", "undo"},
	crdt.Map:           {"put", "delete", "touch", "undo"},
	crdt.DeleteWinsMap: {"put", "delete", "touch", "undo"},
	crdt.List:          {"insert", "delete", "set", "move", "touch", "undo"},
	crdt.Text:          {"insert", "delete", "mark", "unmark", "put", "undo"},
}

// field is what a random workload keeps in the entries of maps and in the elements of lists.
type field struct {
	name string
	kind crdt.Kind
}

var fields = []field{{"title", crdt.Register}, {"done", crdt.Register}, {"votes", crdt.Counter}, {"labels", crdt.Set}, {"hidden", crdt.RemoveWinsSet},
	{"body", crdt.Text}, {"parts", crdt.List}, {"more", crdt.Map}, {"prefs", crdt.DeleteWinsMap}}

// entryKeys are few, so that devices meet at them.
var entryKeys = []string{"1", "2", "3"}

// maxNesting is how deep below a slice a random workload writes.
const maxNesting = 4

// randomWorkload does random ops of any kind.
type randomWorkload struct {
	pace
	slices  []field
	weights map[string]int
	// What is typed comes in bursts: the next chars of one go on at the end of the last.
	typing struct {
		left   int
		device int
		path   []string
		at     int
	}
	now     time.Duration
	current int  // device
	goesOn  bool // the op at hand goes on typing
}

func newRandomWorkload(w *Workload, p pace) (*randomWorkload, error) {
	r := &randomWorkload{pace: p, weights: w.Weights}
	if len(r.weights) == 0 {
		r.weights = defaultWeights
	}
	named := w.Slices
	if len(named) == 0 {
		named = defaultSlices
	}
	for _, s := range named {
		kind, err := crdt.ParseKind(s.Kind)
		if err != nil {
			return nil, fmt.Errorf("slice %s: %w", s.Name, err)
		}
		r.slices = append(r.slices, field{s.Name, kind})
	}
	if !slices.ContainsFunc(r.slices, func(s field) bool { return r.weight(s.kind) > 0 }) {
		return nil, fmt.Errorf("no slice of the workload has any op that its weights name")
	}
	return r, nil
}

// weight returns the sum of the weights of what a kind has.
func (r *randomWorkload) weight(kind crdt.Kind) int {
	sum := 0
	for _, v := range verbsOf[kind] {
		sum += r.weights[v]
	}
	return sum
}

// next is that of the pace, unless somebody is typing.
func (r *randomWorkload) next() (time.Duration, int, bool) {
	if t := &r.typing; t.left > 0 && r.left > 0 {
		t.left--
		if at := r.now + time.Duration(80+r.rng.IntN(240))*time.Millisecond; at < r.end {
			r.left--
			r.now, r.at, r.current, r.goesOn = at, max(r.at, at), t.device, true
			return at, t.device, true
		}
	}
	at, device, ok := r.pace.next()
	r.now, r.current, r.goesOn = at, device, false
	return at, device, ok
}

func (r *randomWorkload) op(d *Device, rng Rand) (Op, error) { return r.opFor(d.View(), rng) }

// opFor returns an op for what s shows.
func (r *randomWorkload) opFor(s *crdt.State, rng Rand) (Op, error) {
	if r.goesOn {
		if t := &r.typing; s.Path(t.path...).Kind() == crdt.Text {
			c := &command{verb: "insert", keys: t.path, at: []int{t.at}, values: []crdt.Value{text(letter(rng))}}
			t.at++
			return opOf(c), nil
		}
		r.typing.left = 0 // somebody deleted it
	}
	for range 100 {
		slice := r.slices[rng.IntN(len(r.slices))]
		c := r.target(s, rng, []string{slice.name}, slice.kind, 1)
		if c != nil {
			return opOf(c), nil
		}
	}
	return Op{}, fmt.Errorf("what the weights name finds nothing to work on: %w", errNotThere)
}

// target walks down from a place that is to be of a kind, and returns a command for where it comes to, nil if there is none.
func (r *randomWorkload) target(s *crdt.State, rng Rand, path []string, kind crdt.Kind, depth int) *command {
	if depth < maxNesting && rng.IntN(3) > 0 {
		switch kind {
		case crdt.Map, crdt.DeleteWinsMap:
			below := append(slices.Clone(path), entryKeys[rng.IntN(len(entryKeys))])
			if depth == 1 && rng.IntN(4) > 0 { // an entry of its own, with fields
				f := fields[rng.IntN(len(fields))]
				return r.target(s, rng, append(below, f.name), f.kind, depth+2)
			}
			if rng.IntN(8) == 0 { // of any kind, now and then: others may have made it another
				return r.target(s, rng, below, crdt.Kind(1+rng.IntN(8)), depth+1)
			}
		case crdt.List:
			list := s.Path(path...)
			if list.Kind() != crdt.List {
				break
			}
			if n := list.List().Len(); n > 0 {
				at := rng.IntN(n)
				below := append(slices.Clone(path), strconv.Itoa(at))
				switch kind := list.List().Kind(at); kind {
				case crdt.Map, crdt.DeleteWinsMap:
					f := fields[rng.IntN(len(fields))]
					return r.target(s, rng, append(below, f.name), f.kind, depth+2)
				case 0, crdt.Register:
				default:
					return r.target(s, rng, below, kind, depth+1)
				}
			}
		}
	}
	return r.command(s, rng, path, kind)
}

// command returns a command for the container of a kind at path, nil if there is nothing to do there now.
func (r *randomWorkload) command(s *crdt.State, rng Rand, path []string, kind crdt.Kind) *command {
	sum := r.weight(kind)
	if sum == 0 {
		return nil
	}
	verb, n := "", rng.IntN(sum)
	for _, v := range verbsOf[kind] {
		if n -= r.weights[v]; n < 0 {
			verb = v
			break
		}
	}
	c := &command{verb: verb, keys: path}
	place := s.Path(path...)
	stands := place.Kind()
	switch verb {
	case "undo":
		return &command{verb: "undo"}
	case "touch":
		c.kind = kind
	case "delete":
		return r.deletion(c, rng, place, len(path) == 1)
	case "add":
		c.kind = kind
		c.values = []crdt.Value{crdt.IntValue(int64(rng.IntN(20) - 6))}
		if kind != crdt.Counter {
			c.values[0] = scalar(rng)
		}
	case "remove", "clear":
		if stands != kind {
			return nil
		}
		if verb == "remove" {
			members := place.Value().Any().([]any)
			if len(members) == 0 {
				return nil
			}
			v, err := crdt.ValueOf(members[rng.IntN(len(members))])
			if err != nil {
				return nil
			}
			c.values = []crdt.Value{v}
		}
	case "put":
		switch kind {
		case crdt.Map, crdt.DeleteWinsMap:
			if stands != kind && rng.IntN(2) == 0 {
				c.verb, c.kind = "touch", kind
				return c
			}
			c.keys = append(slices.Clone(path), entryKeys[rng.IntN(len(entryKeys))])
			c.values = []crdt.Value{value(rng)}
		case crdt.Text:
			c.kind = kind
			c.values = []crdt.Value{text(phrase(rng))}
		default:
			c.values = []crdt.Value{value(rng)}
		}
	case "insert":
		r.insertion(c, rng, place, kind)
	case "set":
		if stands != crdt.List || place.List().Len() == 0 {
			return nil
		}
		c.at, c.values = []int{rng.IntN(place.List().Len())}, []crdt.Value{value(rng)}
	case "move":
		if stands != crdt.List || place.List().Len() < 2 {
			return nil
		}
		n := place.List().Len()
		c.keys = append(slices.Clone(path), strconv.Itoa(rng.IntN(n)))
		c.at = []int{rng.IntN(n)}
	case "mark", "unmark":
		if stands != crdt.Text || place.Text().Len() == 0 {
			return nil
		}
		n := place.Text().Len()
		from := rng.IntN(n)
		c.at = []int{from, from + 1 + rng.IntN(n-from)}
		c.name = []string{crdt.MarkBold, crdt.MarkItalic, crdt.MarkLink, crdt.CommentMark("1")}[rng.IntN(4)]
		if verb == "mark" {
			c.values = []crdt.Value{crdt.BoolValue(true)}
			if c.name == crdt.MarkLink {
				c.values[0] = text([]string{"https://a.example", "https://b.example"}[rng.IntN(2)])
			}
		}
	}
	return c
}

// deletion makes c delete a part of what stands, or all of it: a whole slice seldom.
func (r *randomWorkload) deletion(c *command, rng Rand, place *crdt.PlaceView, isSlice bool) *command {
	n := 0
	switch place.Kind() {
	case 0:
		return nil
	case crdt.List:
		n = place.List().Len()
	case crdt.Text:
		n = place.Text().Len()
	case crdt.Map, crdt.DeleteWinsMap:
		if keys := place.Keys(); len(keys) > 0 && rng.IntN(8) > 0 {
			c.keys = append(slices.Clone(c.keys), keys[rng.IntN(len(keys))])
			return c
		}
	}
	if n > 0 && rng.IntN(8) > 0 {
		at := rng.IntN(n)
		c.at = []int{at, 1 + rng.IntN(min(n-at, 12))}
		return c
	}
	if isSlice && rng.IntN(8) > 0 {
		return nil
	}
	return c
}

// insertion makes c insert into a list or text, and may begin a burst of typing.
func (r *randomWorkload) insertion(c *command, rng Rand, place *crdt.PlaceView, kind crdt.Kind) {
	n := 0
	if kind == crdt.List {
		if place.Kind() == kind {
			n = place.List().Len()
		}
		c.at = []int{rng.IntN(n + 1)}
		if place.Kind() == kind && rng.IntN(3) == 0 {
			c.kind, c.isNew = []crdt.Kind{crdt.Map, crdt.Map, crdt.Text, crdt.List, crdt.Counter, crdt.Set}[rng.IntN(6)], true
			return
		}
		c.kind = kind
		for range 1 + rng.IntN(3) {
			c.values = append(c.values, value(rng))
		}
		return
	}
	if place.Kind() == kind {
		n = place.Text().Len()
	}
	at, typed := rng.IntN(n+1), phrase(rng)
	c.kind, c.at, c.values = kind, []int{at}, []crdt.Value{text(typed)}
	if rng.IntN(3) == 0 {
		t := &r.typing
		t.left, t.device, t.path, t.at = 2+rng.IntN(10), r.current, c.keys, at+len([]rune(typed))
	}
}
