package crdt

import (
	"fmt"
	"strings"
	"testing"
)

// show prints what an event says, an edit a line.
func (e Event) show() string {
	var b strings.Builder
	for _, d := range e.Edits {
		fmt.Fprintf(&b, "%s %s", d.Kind, FormatPointer(d.Path))
		if d.replaces() {
			fmt.Fprintf(&b, " %v -> %v", orNothing(d.Old), orNothing(d.New))
		}
		for _, s := range d.Splices {
			fmt.Fprintf(&b, " [%d -%d +%d %q %v]", s.Pos, s.Deleted, s.Inserted, s.Text, s.Values)
		}
		if len(d.Removed)+len(d.Added) > 0 {
			fmt.Fprintf(&b, " removed %v added %v", d.Removed, d.Added)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func orNothing(v *Value) string {
	if v == nil {
		return "nothing"
	}
	return v.String()
}

func TestEvents(t *testing.T) {
	all := newDevices(2)
	for _, c := range []struct {
		name string
		do   func(tx *Tx)
		want string
	}{
		{"containers come whole", func(tx *Tx) {
			tx.Map("m").Map("k").Put("a", 1)
			tx.Map("m").Put("b", 2)
			tx.Text("t").Append("abc")
			tx.List("l").Append(1, 2, 3)
			tx.Set("s").Add("x", "y")
			tx.Counter("c").Add(1)
		}, `counter c nothing -> 1
list l nothing -> [1,2,3]
map m nothing -> {"b":2,"k":{"a":1}}
set s nothing -> ["x","y"]
text t nothing -> "abc"
`},
		{"then by what changed", func(tx *Tx) {
			tx.Text("t").Insert(1, "-")
			tx.Map("m").Map("k").Put("a", 2)
			tx.Map("m").Map("k").Put("c", 3)
			tx.Text("t").Delete(2, 1)
			tx.Set("s").Remove("x")
			tx.Set("s").Add("z", "y")
			tx.Counter("c").Add(4)
			tx.Map("m").Put("b", 2)
		}, `counter c 1 -> 5
register m/k/a 1 -> 2
register m/k/c nothing -> 3
set s removed ["x"] added ["z"]
text t [1 -0 +1 "-" []] [2 -1 +0 "" []]
`},
		{"elements", func(tx *Tx) {
			tx.List("l").Set(2, "three")
			tx.List("l").Delete(0, 1)
			tx.List("l").InsertMap(1).Put("in", true)
			tx.List("l").Insert(0, "gone")
			tx.List("l").Delete(0, 1)
		}, `list l [0 -1 +0 "" []] [1 -0 +1 "" [{"in":true}]] [0 -0 +1 "" [null]] [0 -1 +0 "" []]
register l/2 3 -> "three"
`},
		{"inside elements", func(tx *Tx) { tx.List("l").Map(1).Put("in", false) }, "register l/1/in true -> false\n"},
		{"another kind, with what it showed before the change", func(tx *Tx) {
			tx.Map("m").Map("k").Put("a", 9)
			tx.Map("m").Counter("k").Add(1)
			tx.Text("t").Append("lost")
			tx.Delete("t")
		}, `counter m/k {"a":2,"c":3} -> 1
text t "a-c" -> nothing
`},
		{"nothing that shows", func(tx *Tx) {
			tx.Map("m").Put("b", 7)
			tx.Map("m").Put("b", 2)
			tx.Map("m").Touch()
			tx.Set("s").Add("q")
			tx.Set("s").Remove("q")
		}, ""},
	} {
		all[0].update(t, c.do)
		if got := all[0].last.show(); got != c.want {
			t.Errorf("%s: the author's event\n%swant\n%s", c.name, got, c.want)
		}
		events := all[1].take(t, all[0])
		if got := events[0].show(); got != c.want {
			t.Errorf("%s: the other's event\n%swant\n%s", c.name, got, c.want)
		}
		note, a := events[0].Changes[0], all[0].log[len(all[0].log)-1]
		if note.Dot != a.Dot() || note.Actor != a.Actor || note.Len != a.Span.Len() || note.Time != a.Time || note.Effective != a.Effective ||
			note != all[0].last.Changes[0] {
			t.Errorf("%s: noted %+v", c.name, note)
		}
	}
}

// A concurrent edit that another's delete did not see brings the whole entry back, and the event says so.
func TestEventOfReturn(t *testing.T) {
	all := start(t, 2, func(tx *Tx) { tx.Map("m").Map("k").Put("a", 1) })
	all[0].update(t, func(tx *Tx) { tx.Map("m").Delete("k") })
	all[1].update(t, func(tx *Tx) { tx.Map("m").Map("k").Put("b", 2) })
	all[0].take(t, all[1])
	if got, want := all[0].last.show(), "map m/k nothing -> {\"a\":1,\"b\":2}\n"; got != want {
		t.Errorf("got %swant %s", got, want)
	}
	all[1].take(t, all[0])
	if got := all[1].last.show(); got != "" {
		t.Errorf("the delete that lost: %s", got)
	}
}

func TestEventMerge(t *testing.T) {
	d := newDevice(0)
	var merged Event
	for i := range 100 {
		d.update(t, func(tx *Tx) { tx.Text("t").Insert(i, "x"); tx.Counter("a").Add(1) })
		merged.Merge(d.last)
	}
	if len(merged.Changes) != 100 || !merged.To.Equal(d.state.Version()) || len(merged.From) != 0 {
		t.Errorf("from %v to %v, %d changes", merged.From, merged.To, len(merged.Changes))
	}
	m := newMirror()
	if err := m.apply(merged); err != nil || fold(m.root) != d.state.Value() {
		t.Errorf("the merged event gives %s, %v", fold(m.root), err)
	}
	merged = Event{}
	for i := range 100 {
		d.update(t, func(tx *Tx) { tx.Text("t").Insert(i, "y") })
		merged.Merge(d.last)
	}
	if got := len(merged.Edits); got != 1 || len(merged.Edits[0].Splices) != 1 {
		t.Errorf("typing is merged into %d edits: %s", got, merged.show())
	}
	merged = Event{}
	for i := range 10 {
		d.update(t, func(tx *Tx) { tx.List("l").Insert(i, i) })
		merged.Merge(d.last)
		d.update(t, func(tx *Tx) { tx.List("l").Set(i, "set") })
		merged.Merge(d.last)
		d.update(t, func(tx *Tx) { tx.Text("t").Delete(i, 1); tx.Text("t").Insert(2*i, "-") })
		merged.Merge(d.last)
	}
	if err := m.apply(Event{Edits: []Edit{{Path: []string{"t"}, Splices: []Splice{{Inserted: 100, Text: strings.Repeat("y", 100)}}}}}); err != nil {
		t.Fatal(err)
	}
	if err := m.apply(merged); err != nil || fold(m.root) != d.state.Value() {
		t.Errorf("the merged event gives\n%s, %v, the state is\n%s", fold(m.root), err, d.state.JSON())
	}
	merged = Event{}
	d.update(t, func(tx *Tx) { tx.Map("m").Put("k", 1) })
	merged.Merge(d.last)
	d.update(t, func(tx *Tx) { tx.Delete("m") })
	merged.Merge(d.last)
	if got := merged.show(); got != "" || len(merged.Changes) != 2 {
		t.Errorf("what came and went: %s", got)
	}
}

// A change that touches many places of one container.
func TestEventOfManyPlaces(t *testing.T) {
	all := start(t, 2, func(tx *Tx) {
		for i := range 40 {
			tx.Map("m").Put(fmt.Sprint("k", i%7, i), i)
			tx.List("l").Append(i)
		}
	})
	m := newMirror()
	m.root = unfold(all[1].state.Value())
	all[0].update(t, func(tx *Tx) {
		for i := range 40 {
			key := fmt.Sprint("k", i%7, i)
			tx.Map("m").Put(key, -i)
			tx.List("l").Set(i, -i)
			if i%3 == 0 {
				tx.Map("m").Counter(key).Add(1)
				tx.Map("m").Delete(key)
			}
		}
		tx.List("l").Delete(3, 20)
		tx.List("l").InsertMap(9).Put("new", 1)
	})
	if err := m.apply(all[1].take(t, all[0])[0]); err != nil || fold(m.root) != all[1].state.Value() {
		t.Errorf("the event gives\n%s, %v, the state is\n%s", fold(m.root), err, all[1].state.JSON())
	}
}
