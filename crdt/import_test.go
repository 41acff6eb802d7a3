package crdt

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt/causal"
)

func TestImport(t *testing.T) {
	const doc = `{
		"todos": {"7": {"title": "milk", "tags": ["a", "b"]}, "8": {}},
		"list": [1, {"x": [true, {"y": null}]}, [], "z"],
		"count": 3, "ratio": 1.0, "empty": {}
	}`
	const shown = `{"count":3,"empty":{},"list":[1,{"x":[true,{"y":null}]},[],"z"],"ratio":1.0,"todos":{"7":{"tags":["a","b"],"title":"milk"},"8":{}}}`
	all := start(t, 2, func(tx *Tx) { tx.Import([]byte(doc)) })
	wantJSON(t, shown, all...)
	s := all[1].state
	for path, kind := range map[string]Kind{"todos/7": Map, "list": List, "list/1/x/1": Map, "list/2": List, "count": Register, "todos/8": Map} {
		keys, _ := ParsePointer(path)
		if got := s.Path(keys...).Kind(); got != kind {
			t.Errorf("%s is a %s, want a %s", path, got, kind)
		}
	}
	// What is unchanged makes no op, nothing is deleted.
	if a := all[0].update(t, func(tx *Tx) { tx.Import([]byte(shown)) }); a.Change != nil {
		t.Errorf("importing the same again made %d ops", a.Len())
	}
	a := all[0].update(t, func(tx *Tx) {
		tx.Import([]byte(`{"todos": {"7": {"title": "oat milk", "tags": ["a"]}}, "list": [1, {"x": [false]}, [0], "z", 5, 6, {"n": 1}, 7]}`))
	})
	var ops []string
	a.Ops(func(_ causal.Seq, _ string, op *Op) bool {
		ops = append(ops, op.Code.String())
		return true
	})
	// false, 0, [5, 6], the new map, its n, 7; the title.
	if got, want := strings.Join(ops, " "), "put insert insert insert put insert put"; got != want {
		t.Errorf("ops %s, want %s", got, want)
	}
	meet(t, all...)
	wantJSON(t, `{"count":3,"empty":{},"list":[1,{"x":[false,{"y":null}]},[0],"z",5,6,{"n":1},7],"ratio":1.0,"todos":{"7":{"tags":["a","b"],"title":"oat milk"},"8":{}}}`, all...)
}

// What stands keeps its kind where the document has what that kind is shown as.
func TestImportKeepsKinds(t *testing.T) {
	all := start(t, 2, func(tx *Tx) {
		m := tx.Map("m")
		m.Text("text").Append("hello world")
		m.Counter("count").Add(5)
		m.Set("set").Add(1, 2)
		m.DeleteWinsMap("dw").Put("a", 1)
		m.Put("opaque", map[string]any{"a": []any{1}})
		m.Put("bytes", []byte("x"))
	})
	exported := all[0].state.JSON()
	if a := all[0].update(t, func(tx *Tx) { tx.Import([]byte(exported)) }); a.Change != nil {
		t.Errorf("importing the export made %d ops", a.Len())
	}
	concurrently(t, all,
		func(tx *Tx) {
			tx.Import([]byte(`{"m": {"text": "hello, world", "count": 7, "set": [2, 3], "dw": {"b": 2}}}`))
		},
		func(tx *Tx) { tx.Map("m").Text("text").Append("!"); tx.Map("m").Counter("count").Add(1) },
	)
	wantJSON(t, `{"m":{"bytes":"eA==","count":8,"dw":{"a":1,"b":2},"opaque":{"a":[1]},"set":[1,2,3],"text":"hello, world!"}}`, all...)
	all[0].update(t, func(tx *Tx) { tx.Import([]byte(`{"m": {"text": 5, "opaque": {"a": [2]}, "count": 1.5}}`)) })
	meet(t, all...)
	wantJSON(t, `{"m":{"bytes":"eA==","count":1.5,"dw":{"a":1,"b":2},"opaque":{"a":[2]},"set":[1,2,3],"text":5}}`, all...)
}

// The export of any state imports without an op; imported into nothing it shows the same.
func TestImportExport(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := newDevice(0)
		d.update(t, func(tx *Tx) { doSomething(t, tx, 20) })
		exported := d.state.JSON()
		if a := d.update(t, func(tx *Tx) { tx.Import([]byte(exported)) }); a.Change != nil {
			t.Fatalf("importing the export\n%s\nmade %d ops", exported, a.Len())
		}
		fresh := newDevice(1)
		fresh.update(t, func(tx *Tx) { tx.Import([]byte(exported)) })
		if got := fresh.state.JSON(); got != exported {
			t.Fatalf("imported\n%s, exported\n%s", got, exported)
		}
	})
}

type address1 struct{ Street, Town string }

type color uint8

func (c *color) UnmarshalText(text []byte) error {
	switch string(text) {
	case "red":
		*c = 1
	case "blue":
		*c = 2
	default:
		return errors.New("no colour")
	}
	return nil
}

func TestDecode(t *testing.T) {
	type base struct {
		ID   string `atoll:"id"`
		Kept string
	}
	type todo struct {
		base
		Title   string   `json:"title,omitempty"`
		Done    bool     `atoll:"done" json:"other"`
		Tags    []string `atoll:"tags"`
		Count   int8
		Size    uint16
		Ratio   float32
		Data    []byte
		Home    *address1
		Fixed   [3]int
		Colour  color
		Extra   map[string]any
		Colours map[string]color
		Raw     Value
		Any     any
		Skipped string `atoll:"-"`
		hidden  int
		Nothing *int
	}
	d := newDevice(0)
	d.update(t, func(tx *Tx) {
		m := tx.Map("todo")
		m.Put("id", "7")
		m.Text("title").Append("milk")
		m.Put("done", true)
		m.Set("tags").Add("b", "a")
		m.Counter("count").Add(-5)
		m.Put("SIZE", 65535)
		m.Put("Ratio", 1)
		m.Put("Data", []byte("xyz"))
		m.Map("Home").Put("street", "Elm")
		m.List("Fixed").Append(1, 2)
		m.Put("Colour", "blue")
		m.Put("Extra", map[string]any{"a": []any{1, "x"}})
		m.Map("Colours").Put("k", "red")
		m.Put("Raw", 1.5)
		m.Put("Any", []any{nil})
		m.Put("Skipped", "x")
		m.Put("hidden", 5)
		m.Put("unknown", 5)
		m.Put("Nothing", nil)
	})
	one := 1
	got := todo{base: base{Kept: "kept"}, Nothing: &one}
	if err := Decode(d.state.Map("todo"), &got); err != nil {
		t.Fatal(err)
	}
	switch {
	case got.ID != "7", got.Kept != "kept", got.Title != "milk", !got.Done, strings.Join(got.Tags, "") != "ab", got.Count != -5,
		got.Size != 65535, got.Ratio != 1, string(got.Data) != "xyz", got.Home == nil || got.Home.Street != "Elm" || got.Home.Town != "",
		got.Fixed != [3]int{1, 2, 0}, got.Colour != 2, len(got.Extra["a"].([]any)) != 2, got.Colours["k"] != 1,
		got.Raw != FloatValue(1.5), len(got.Any.([]any)) != 1, got.Skipped != "", got.hidden != 0, got.Nothing != nil:
		t.Errorf("got %+v", got)
	}
	for _, c := range []struct {
		json string
		into any
		says string
	}{
		{`300`, new(int8), "does not fit"},
		{`-1`, new(uint), "does not fit"},
		{`1.5`, new(int), "a float into a Go int"},
		{`"x"`, new(bool), "a string into a Go bool"},
		{`{"a":{"b/c":[0,"x"]}}`, new(map[string]map[string][]int), `"a/b~1c/1"`},
		{`[1,2]`, new([1]int), "too few"},
		{`{"a":1}`, new(map[int]int), "string keys"},
		{`"green"`, new(color), "no colour"},
		{`[1]`, new(string), "a list into"},
		{`{}`, new(error), "error"},
		{`1`, nil, "pointer"},
		{`1`, 5, "pointer"},
		{`1`, (*int)(nil), "pointer"},
	} {
		v, err := ParseJSON([]byte(c.json))
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Decode(c.into); !errors.Is(err, ErrValue) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s into %T: %v", c.json, c.into, err)
		}
	}
}
