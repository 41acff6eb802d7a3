package oracle_test

import (
	"math"
	"strings"
	"testing"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/oracle"
)

// done is one change as a definition's example gives it.
type done struct {
	by    string // A, B, C: actors in this order
	after string // dots of the changes it saw, its author's own apart
	time  int64
	ops   []crdt.Op
}

func do(by, after string, time int64, ops ...crdt.Op) done { return done{by, after, time, ops} }

func changes(all []done) []*crdt.Change {
	var out []*crdt.Change
	last := map[string]causal.Seq{}
	for _, d := range all {
		var deps []causal.Dot
		for _, name := range strings.Fields(d.after) {
			deps = append(deps, parseDot(name))
		}
		c := newChange(parseDot(d.by+"1").Actor, last[d.by]+1, d.time, deps, d.ops...)
		last[d.by] = c.Dot().Seq
		out = append(out, c)
	}
	return out
}

// standing tells what stands at a place, latest first: the kinds with their values, a Register with each of its
// maximal writes.
func standing(p *oracle.Place) string {
	var out []string
	for _, e := range p.Standing {
		s := e.Kind.String() + " " + string(e.AppendJSON(nil))
		for i, w := range e.Writes {
			if i > 0 {
				s += "|" + w.Value.String()
			}
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

// place finds the place that keys lead to through what is shown.
func place(t *testing.T, s *oracle.Store, path string) *oracle.Place {
	t.Helper()
	e := s.Root
	var at *oracle.Place
	for key := range strings.SplitSeq(path, "/") {
		at = nil
		for _, p := range e.Places {
			if p.Key == key {
				at = p
			}
		}
		if at == nil {
			return new(oracle.Place)
		}
		e = at.Shown()
	}
	return at
}

// Each example is a sentence of the data model.
func TestDefinitions(t *testing.T) {
	const m = "s:map/k:map/"
	tests := []struct {
		name    string
		changes []done
		want    string
		at      string // a place
		stands  string // what stands there
	}{
		{name: "two devices that both start from nothing write into the same container",
			changes: []done{do("A", "", 1, put(m+"x:register", 1)), do("B", "", 1, put(m+"y:register", 2))},
			want:    `{"s":{"k":{"x":1,"y":2}}}`},
		{name: "a key whose every write a delete saw does not stand, its parent does",
			changes: []done{do("A", "", 1, put(m+"x:register", 1)), do("B", "A1", 1, remove("s:map/k"))},
			want:    `{"s":{}}`},
		{name: "an entry stands whole if any write survives: fields that nobody touched stand with it",
			changes: []done{
				do("A", "", 1, put(m+"title:register", "milk"), put(m+"done:register", false)),
				do("B", "A2", 2, remove("s:map/k")),
				do("C", "A2", 3, put(m+"done:register", true))},
			want: `{"s":{"k":{"done":true,"title":"milk"}}}`},
		{name: "what was deleted stays deleted when a fresh entry is born",
			changes: []done{
				do("A", "", 1, put(m+"title:register", "milk")),
				do("A", "", 2, remove("s:map/k")),
				do("A", "", 3, put("s:map/k:map@A2/done:register", true))},
			want: `{"s":{"k":{"done":true}}}`},
		{name: "devices that saw the same delete share the birth",
			changes: []done{
				do("A", "", 1, put(m+"x:register", 1)), do("A", "", 2, remove("s:map/k")),
				do("A", "", 3, put("s:map/k:map@A2/y:register", 2)),
				do("B", "A2", 3, put("s:map/k:map@A2/z:register", 3))},
			want: `{"s":{"k":{"y":2,"z":3}}}`},
		{name: "of two entries that stand, the one with the latest surviving write is shown",
			changes: []done{
				do("A", "", 9, put("s:map/k:register", 1)),
				do("B", "", 8, add("s:map/k:counter", 5)),
				do("C", "", 7, put(m+"x:register", 1))},
			want: `{"s":{"k":1}}`, at: "s/k", stands: `register 1, counter 5, map {"x":1}`},
		{name: "a write that does not survive makes nothing the latest",
			changes: []done{
				do("A", "", 9, put("s:map/k:register", 1)), do("A", "", 9, remove("s:map/k")),
				do("B", "", 8, add("s:map/k:counter", 5))},
			want: `{"s":{"k":5}}`, at: "s/k", stands: `counter 5`},
		{name: "only deletes hide: a write to an entry that is not shown goes to it",
			changes: []done{
				do("A", "", 9, put("s:map/k:register", 1)),
				do("B", "", 8, add("s:map/k:counter", 5)),
				do("B", "A1", 8, add("s:map/k:counter", 5))},
			want: `{"s":{"k":10}}`, at: "s/k", stands: `counter 10, register 1`},
		{name: "where deletes win, a concurrent write does not stand",
			changes: []done{
				do("A", "", 1, put("s:dwmap/k:map/x:register", 1)),
				do("B", "A1", 1, remove("s:dwmap/k")),
				do("C", "A1", 9, put("s:dwmap/k:map/x:register", 2))},
			want: `{"s":{}}`},
		{name: "where deletes win, a write that saw every delete stands",
			changes: []done{
				do("A", "", 1, remove("s:dwmap/k"), touch("s:dwmap")),
				do("B", "", 1, remove("s:dwmap/k")),
				do("C", "A2", 1, put("s:dwmap/k:register@A1", 1)),
				do("C", "B1", 1, put("s:dwmap/k:register@B1", 2))},
			want: `{"s":{"k":2}}`, at: "s/k", stands: "register 2"},
		{name: "a delete of the slice hides the slice, and a concurrent write brings all of it back",
			changes: []done{
				do("A", "", 1, add("n:counter", 4)), do("A", "", 2, remove("n")),
				do("B", "A1", 1, add("n:counter", 3))},
			want: `{"n":7}`},
		{name: "a register keeps its maximal writes and shows the latest",
			changes: []done{
				do("A", "", 5, put("r:register", 1)), do("B", "", 6, put("r:register", 2)), do("C", "A1", 5, put("r:register", 3))},
			want: `{"r":2}`, at: "r", stands: "register 2|3"},
		{name: "a write is later than all it saw, whatever the clocks",
			changes: []done{
				do("A", "", 9, put("r:register", 1)), do("B", "A1", 1, put("r:register", 2)), do("C", "", 9, put("r:register", 3))},
			want: `{"r":2}`, at: "r", stands: "register 2|3"},
		{name: "of writes of one time, that of the greater actor is the later",
			changes: []done{do("B", "", 1, put("r:register", 2)), do("A", "", 1, put("r:register", 1))},
			want:    `{"r":2}`, at: "r", stands: "register 2|1"},
		{name: "a delete takes the writes it saw out of a register",
			changes: []done{
				do("A", "", 5, put("r:register", 1)), do("B", "", 9, put("r:register", 2)),
				do("C", "B1", 9, remove("r"))},
			want: `{"r":1}`, at: "r", stands: "register 1"},
		{name: "touch makes an entry stand without content",
			changes: []done{do("A", "", 1, touch("s:map/k:list"), touch("s:map/r:register"), touch("s:map/m:map"), touch("s:map/c:counter"))},
			want:    `{"s":{"c":0,"k":[],"m":{},"r":null}}`},
		{name: "touch leaves the writes of a register",
			changes: []done{do("A", "", 1, put("r:register", 1)), do("B", "A1", 1, touch("r:register"))},
			want:    `{"r":1}`, at: "r", stands: "register 1"},
		{name: "a counter wraps",
			changes: []done{do("A", "", 1, add("n:counter", math.MaxInt64)), do("B", "", 1, add("n:counter", 1))},
			want:    `{"n":-9223372036854775808}`},
		{name: "remove and clear affect the adds they saw",
			changes: []done{
				do("A", "", 1, inSet(crdt.CodeSetAdd, "s:set", "x"), inSet(crdt.CodeSetAdd, "s:set", "y")),
				do("B", "", 1, inSet(crdt.CodeSetAdd, "s:set", "x")),
				do("C", "A2", 1, inSet(crdt.CodeSetRemove, "s:set", "x"), inSet(crdt.CodeSetRemove, "s:set", "y"))},
			want: `{"s":["x"]}`},
		{name: "where removes win, one add must have seen every remove and every clear",
			changes: []done{
				do("A", "", 1, inSet(crdt.CodeRWSetAdd, "s:rwset", "x"), inSet(crdt.CodeRWSetAdd, "s:rwset", "y")),
				do("B", "", 1, inSet(crdt.CodeRWSetRemove, "s:rwset", "x")),
				do("C", "A2", 1, inSet(crdt.CodeRWSetClear, "s:rwset", nil)),
				do("C", "", 1, inSet(crdt.CodeRWSetAdd, "s:rwset", "x"), inSet(crdt.CodeRWSetAdd, "s:rwset", "y"))},
			want: `{"s":["y"]}`},
		{name: "an element is a place: set, edits below, and a concurrent change of kind",
			changes: []done{
				do("A", "", 1, insert("l:list", 0, "a", "b", "c")),
				do("B", "A3", 2, put("l:list/[A1]:register", "A")),
				do("C", "A3", 3, remove("l:list/[A2]"), put("l:list/[A2]:map@C1/x:register", 1))},
			want: `{"l":["A",{"x":1},"c"]}`},
		{name: "a delete of an element wins over edits below, and those still make the list stand",
			changes: []done{
				do("A", "", 1, insertNew("l:list", 0, 2, crdt.Map)),
				do("B", "A2", 1, cut("l:list", 0, 1)),
				do("C", "A2", 1, put("l:list/[A1]:map/x:register", 1)),
				do("B", "", 1, remove("l"))},
			want: `{"l":[{}]}`},
		{name: "an op below an element that its author did not see is void",
			changes: []done{
				do("A", "", 1, insert("l:list", 0, "a")),
				do("B", "", 1, put("l:list/[A1]:register", "b"), put("r:register", 1))},
			want: `{"l":["a"],"r":1}`},
		{name: "an element where nothing stands is nil",
			changes: []done{do("A", "", 1, insert("l:list", 0, "a", "b"), remove("l:list/[A1]"))},
			want:    `{"l":[null,"b"]}`},
		{name: "a move goes to an index counted without the element",
			changes: []done{
				do("A", "", 1, insert("l:list", 0, "a", "b", "c", "d"), move("l:list", "A1", 2), move("l:list", "A4", 0))},
			want: `{"l":["d","b","c","a"]}`},
		{name: "of concurrent moves of one element the latest shows, and it shows once",
			changes: []done{
				do("A", "", 1, insert("l:list", 0, "a", "b", "c")),
				do("B", "A3", 3, move("l:list", "A1", 2)),
				do("C", "A3", 2, move("l:list", "A1", 1))},
			want: `{"l":["b","c","a"]}`},
		{name: "a move that saw another is the later, whatever the clocks",
			changes: []done{
				do("A", "", 9, insert("l:list", 0, "a", "b", "c"), move("l:list", "A1", 2)),
				do("B", "A4", 1, move("l:list", "A1", 1))},
			want: `{"l":["b","a","c"]}`},
		{name: "a position is one of the author's version, in which an earlier move may be the latest",
			changes: []done{
				do("A", "", 1, insert("l:list", 0, "a", "b", "c")),
				do("B", "A3", 3, move("l:list", "A1", 2)),
				do("C", "A3", 2, move("l:list", "A1", 1), insert("l:list", 2, "x"))},
			want: `{"l":["b","x","c","a"]}`},
		{name: "concurrent moves do not disturb the order of others",
			changes: []done{
				do("A", "", 1, insert("l:list", 0, "a", "b", "c", "d", "e")),
				do("B", "A5", 1, move("l:list", "A1", 4), move("l:list", "A2", 4)),
				do("C", "A5", 2, move("l:list", "A1", 2)),
				do("D", "A5", 3, move("l:list", "A5", 0))},
			want: `{"l":["e","c","a","d","b"]}`},
		{name: "a delete of an element wins over a concurrent move, wherever the author saw it",
			changes: []done{
				do("A", "", 1, insert("l:list", 0, "a", "b", "c")),
				do("B", "A3", 9, move("l:list", "A1", 2)),
				do("C", "A3", 1, cut("l:list", 0, 1)),
				do("D", "B1", 1, cut("l:list", 1, 1))},
			want: `{"l":["b"]}`},
		{name: "what is inserted beside a moved element stays where it was inserted",
			changes: []done{
				do("A", "", 1, insert("l:list", 0, "a", "b", "c")),
				do("B", "A3", 1, move("l:list", "A1", 2)),
				do("C", "A3", 1, insert("l:list", 1, "x"))},
			want: `{"l":["x","b","c","a"]}`},
		{name: "what is inserted beside a moved element where a losing move put it stays there",
			changes: []done{
				do("A", "", 1, insert("l:list", 0, "a", "b", "c")),
				do("B", "A3", 1, move("l:list", "A1", 2), insert("l:list", 3, "x")),
				do("C", "A3", 2, move("l:list", "A1", 1))},
			want: `{"l":["b","a","c","x"]}`},
		{name: "set and edits below a moved element go with it, and delete wins over those too",
			changes: []done{
				do("A", "", 1, insert("l:list", 0, "a", "b", "c"), insertNew("l:list", 3, 1, crdt.Map)),
				do("B", "A4", 1, move("l:list", "A2", 0), move("l:list", "A4", 0)),
				do("C", "A4", 1, put("l:list/[A2]:register", "B"), put("l:list/[A4]:map/x:register", 1)),
				do("D", "A4", 1, cut("l:list", 0, 1))},
			want: `{"l":[{"x":1},"B","c"]}`},
		{name: "a move of a deleted element shows nothing; one of an element its author did not see is void",
			changes: []done{
				do("A", "", 1, insert("l:list", 0, "a", "b")),
				do("A", "", 1, cut("l:list", 0, 1), move("l:list", "A1", 1), insert("l:list", 1, "c")),
				do("B", "", 1, move("l:list", "A2", 0), touch("m:list"))},
			want: `{"l":["b","c"],"m":[]}`},
		{name: "a slot is no element",
			changes: []done{
				do("A", "", 1, insert("l:list", 0, "a", "b", "c"), move("l:list", "A1", 1), move("l:list", "A4", 2))},
			want: `{"l":["b","a","c"]}`},
		{name: "a move beyond the end is to the end",
			changes: []done{
				do("A", "", 1, insert("l:list", 0, "a", "b", "c"), move("l:list", "A1", 9), move("l:list", "A2", 3))},
			want: `{"l":["c","a","b"]}`},
		{name: "a move is a write to the list",
			changes: []done{
				do("A", "", 1, insert("l:list", 0, "a", "b")),
				do("B", "A2", 1, remove("l")), do("C", "A2", 1, move("l:list", "A1", 1))},
			want: `{"l":["b","a"]}`},
		{name: "positions are those the author saw; concurrent runs do not interleave",
			changes: []done{
				do("A", "", 1, typed("t:text", 0, "<>")),
				do("C", "A2", 1, typed("t:text", 1, "two")),
				do("B", "A2", 1, typed("t:text", 1, "one")),
				do("B", "", 1, typed("t:text", 4, "!"))},
			want: `{"t":"<one!two>"}`},
		{name: "backward runs do not interleave either",
			changes: []done{
				do("A", "", 1, typed("t:text", 0, "3"), typed("t:text", 0, "2"), typed("t:text", 0, "1")),
				do("B", "", 1, typed("t:text", 0, "c"), typed("t:text", 0, "b"), typed("t:text", 0, "a"))},
			want: `{"t":"123abc"}`},
		{name: "a right neighbour with another left origin is no right origin",
			changes: []done{
				do("C", "", 1, typed("t:text", 0, "a")), do("B", "", 1, typed("t:text", 0, "b")),
				do("A", "B1 C1", 1, typed("t:text", 1, "c")), do("D", "B1", 1, typed("t:text", 1, "d"))},
			want: `{"t":"bcda"}`},
		{name: "beyond the end is the end, and the part of a delete outside is void",
			changes: []done{
				do("A", "", 1, typed("t:text", 9, "ab"), typed("t:text", 9, "é😀"), erased("t:text", 3, 9)),
				do("B", "A13", 1, erased("t:text", 4, 1))},
			want: `{"t":"abé"}`},
		{name: "text deleted twice is gone, text typed into it stays",
			changes: []done{
				do("A", "", 1, typed("t:text", 0, "abc")),
				do("B", "A3", 1, erased("t:text", 0, 3)), do("C", "A3", 1, typed("t:text", 2, "x"), erased("t:text", 0, 1))},
			want: `{"t":"x"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			all := changes(test.changes)
			store, err := oracle.Of(all)
			if err != nil {
				t.Fatal(err)
			}
			if got := store.JSON(); got != test.want {
				t.Errorf("got  %s\nwant %s\n%s", got, test.want, describe(all))
			}
			if test.at != "" {
				if got := standing(place(t, store, test.at)); got != test.stands {
					t.Errorf("at %s stands\n     %s\nwant %s\n%s", test.at, got, test.stands, describe(all))
				}
			}
		})
	}
}

func TestOfRefuses(t *testing.T) {
	all := changes([]done{do("A", "", 1, put("r:register", 1)), do("B", "A1", 1, put("r:register", 2)), do("B", "", 1, put("r:register", 3))})
	for name, set := range map[string][]*crdt.Change{
		"a missing dependency":          all[1:],
		"a missing change of the actor": {all[0], all[2]},
		"one dot twice":                 {all[0], all[0]},
	} {
		if s, err := oracle.Of(set); err == nil {
			t.Errorf("%s: got %s, want an error", name, s.JSON())
		}
	}
}

// Void ops keep their dots and are counted; a slice with an op of an unknown code is opaque.
func TestVoidOps(t *testing.T) {
	c := newChange(actor(0), 1, 1, nil, put("r:register", 1), put("s:register", 2))
	c.Groups[0].Ops = append(c.Groups[0].Ops, 0xc1) // not msgpack
	c.Groups[0].Len += 3
	c.Groups[1].Ops = append(c.Groups[1].Ops, 0x94, 0x7d, 0x01, 0x90, 0xc0) // code 125, a write
	c.Groups[1].Len++
	next := newChange(actor(0), c.Dot().Seq+1, 1, nil, put("s:register", 3))
	store, err := oracle.Of([]*crdt.Change{c, next})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := store.JSON(), `{"r":1,"s":3}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if store.Void != 2 || store.Unknown != 1 || len(store.Opaque) != 1 || store.Opaque[0] != "s" {
		t.Errorf("got %d void, %d unknown, opaque %v; want 2, 1, [s]", store.Void, store.Unknown, store.Opaque)
	}
}
