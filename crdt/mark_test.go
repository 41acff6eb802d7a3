package crdt

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// richText writes spans as the tests do: texts with their marks in braces, those of value true by name alone.
func richText(spans []TextSpan) string {
	var parts []string
	for _, s := range spans {
		var marks []string
		for _, m := range s.Marks {
			if m.Value == BoolValue(true) {
				marks = append(marks, m.Name)
			} else {
				marks = append(marks, fmt.Sprintf("%s=%v", m.Name, m.Value))
			}
		}
		if len(marks) > 0 {
			s.Text += "{" + strings.Join(marks, ",") + "}"
		}
		parts = append(parts, s.Text)
	}
	return strings.Join(parts, "|")
}

func wantSpans(t *testing.T, want string, all ...*device) {
	t.Helper()
	for i, d := range all {
		if got := richText(d.state.Text("t").Spans()); got != want {
			t.Errorf("device %d: %s, want %s", i, got, want)
		}
	}
}

func bolden(x *TxText, from, to int) { x.Mark(from, to, MarkBold, true, GrowEnd) }
func linkTo(x *TxText, from, to int, url string) {
	x.Mark(from, to, MarkLink, url, GrowNone)
}

func TestMarks(t *testing.T) {
	all := start(t, 3, func(tx *Tx) { tx.Text("t").Append("The fox jumped.") })
	all[0].update(t, func(tx *Tx) { bolden(tx.Text("t"), 0, 7) })
	all[1].update(t, func(tx *Tx) { tx.Text("t").Mark(4, 14, MarkItalic, true, GrowEnd) })
	all[2].update(t, func(tx *Tx) { tx.Text("t").Insert(4, "brown ") })
	meet(t, all...)
	wantSpans(t, "The brown {bold}|fox{bold,italic}| jumped{italic}|.", all...)
	for _, d := range all {
		if d.state.Digest() != all[0].state.Digest() {
			t.Error("digests differ")
		}
	}
	all[0].update(t, func(tx *Tx) {
		x := tx.Text("t")
		x.Unmark(0, 4, MarkBold, GrowEnd)
		x.Insert(13, "!")
		if got, want := richText(x.Spans()), "The |brown {bold}|fox!{bold,italic}| jumped{italic}|."; got != want {
			t.Errorf("in the transaction: %s, want %s", got, want)
		}
	})
	meet(t, all...)
	wantSpans(t, "The |brown {bold}|fox!{bold,italic}| jumped{italic}|.", all...)
	want := []MarkRange{{4, 14, Mark{MarkBold, BoolValue(true)}}, {10, 21, Mark{MarkItalic, BoolValue(true)}}}
	if got := all[1].state.Text("t").Marks(); !slices.Equal(got, want) {
		t.Errorf("marks %v, want %v", got, want)
	}
	if got := all[1].state.Text("none").Spans(); got != nil {
		t.Errorf("spans of nothing: %v", got)
	}
}

// What is typed where text was deleted bears what a person would expect from what stands on either side.
func TestTypingBesideDeleted(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(x *TxText)
		want string
		ops  int // marks and unmarks, those added among them
	}{
		{"at the end of a link", func(x *TxText) { linkTo(x, 1, 3, "u"); x.Insert(3, "x") }, `a|bc{link="u"}|xdef`, 1},
		{"at the end of a link whose last character is gone", func(x *TxText) {
			linkTo(x, 1, 3, "u")
			x.Delete(2, 1)
			x.Insert(2, "x")
			x.Insert(3, "y")
			x.Insert(2, "w")
		}, `a|b{link="u"}|wxydef`, 2},
		{"inside a link beside a deleted character", func(x *TxText) {
			linkTo(x, 1, 4, "u")
			x.Delete(2, 1)
			x.Insert(2, "x")
		}, `a|bxd{link="u"}|ef`, 1},
		{"at the end of bold whose last character is gone", func(x *TxText) {
			bolden(x, 1, 3)
			x.Delete(2, 1)
			x.Insert(2, "x")
		}, "a|bx{bold}|def", 1},
		{"at the end of bold, the next character gone", func(x *TxText) {
			bolden(x, 1, 3)
			x.Delete(3, 1)
			x.Insert(3, "x")
		}, "a|bcx{bold}|ef", 1},
		{"where all of a bold word is gone", func(x *TxText) {
			bolden(x, 1, 3)
			x.Delete(1, 2)
			x.Insert(1, "x")
		}, "axdef", 1},
		{"where all of a mark that grows on both sides is gone", func(x *TxText) {
			x.Mark(1, 3, "m", true, GrowBoth)
			x.Delete(1, 2)
			x.Insert(1, "x")
			x.Insert(2, "y")
		}, "axydef", 2},
		{"at the start of what grows there, the character before gone", func(x *TxText) {
			x.Mark(1, 3, "m", true, GrowStart)
			x.Delete(0, 1)
			x.Insert(0, "x")
		}, "xbc{m}|def", 2},
		{"at the start of what grows there, the first character gone", func(x *TxText) {
			x.Mark(1, 3, "m", true, GrowStart)
			x.Delete(1, 1)
			x.Insert(1, "x")
		}, "a|xc{m}|def", 1},
		{"the same, the one before gone too", func(x *TxText) {
			x.Mark(2, 4, "m", true, GrowStart)
			x.Delete(1, 1)
			x.Insert(1, "x")
		}, "a|xcd{m}|ef", 2},
		{"at the end of an unmarked stretch whose last character is gone", func(x *TxText) {
			bolden(x, 0, 6)
			x.Unmark(1, 3, MarkBold, GrowNone)
			x.Delete(2, 1)
			x.Insert(2, "x")
		}, "a{bold}|b|xdef{bold}", 3},
		{"at the end of everything", func(x *TxText) {
			linkTo(x, 4, 6, "u")
			x.Delete(5, 1)
			x.Append("x")
		}, `abcd|e{link="u"}|x`, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all := start(t, 2, func(tx *Tx) { tx.Text("t").Append("abcdef") })
			ops := len(all[0].log)
			all[0].update(t, func(tx *Tx) { tt.do(tx.Text("t")) })
			meet(t, all...)
			wantSpans(t, tt.want, all...)
			marks := 0
			for _, a := range all[0].log[ops:] {
				a.Ops(func(_ Seq, _ string, op *Op) bool {
					if op.Code == CodeTextMark || op.Code == CodeTextUnmark {
						marks++
					}
					return true
				})
			}
			if marks != tt.ops {
				t.Errorf("%d marks and unmarks, want %d", marks, tt.ops)
			}
		})
	}
}

func TestMarkErrors(t *testing.T) {
	for name, do := range map[string]func(x *TxText){
		"beyond the end":        func(x *TxText) { x.Mark(0, 4, "m", true, GrowNone) },
		"before the start":      func(x *TxText) { x.Mark(-1, 1, "m", true, GrowNone) },
		"backward":              func(x *TxText) { x.Unmark(2, 1, "m", GrowNone) },
		"no name":               func(x *TxText) { x.Mark(0, 1, "", true, GrowNone) },
		"long name":             func(x *TxText) { x.Mark(0, 1, strings.Repeat("m", MaxKeyBytes+1), true, GrowNone) },
		"name not UTF-8":        func(x *TxText) { x.Unmark(0, 1, "\xff", GrowNone) },
		"unknown growth":        func(x *TxText) { x.Mark(0, 1, "m", true, GrowBoth+1) },
		"no value":              func(x *TxText) { x.Mark(0, 1, "m", struct{}{}, GrowNone) },
		"in a surrogate pair":   func(x *TxText) { x.MarkUTF16(0, 2, "m", true, GrowNone) },
		"beyond the UTF-16 end": func(x *TxText) { x.UnmarkUTF16(0, 9, "m", GrowNone) },
	} {
		d := newDevice(0)
		d.update(t, func(tx *Tx) { tx.Text("t").Append("a😀c") })
		before := d.state.Digest()
		tx := d.state.Begin(d.actor, d.clock)
		do(tx.Text("t"))
		if _, _, ok, err := tx.Commit(); err == nil || ok {
			t.Errorf("%s: no error", name)
		}
		if d.state.Digest() != before {
			t.Errorf("%s: the state has changed", name)
		}
	}
	d := newDevice(0)
	d.update(t, func(tx *Tx) {
		x := tx.Text("t")
		x.Append("a😀c")
		x.Mark(2, 2, "none", true, GrowBoth)
		x.MarkUTF16(1, 3, "m", nil, GrowNone)
		x.UnmarkUTF16(3, 4, "m", GrowNone)
	})
	wantSpans(t, "a|😀{m=null}|c", d)
}

// rich is a text with marks that is kept up by events alone.
type rich struct {
	text  []rune
	marks []map[string]Value
}

func (r *rich) apply(ev Event) error {
	for _, e := range ev.Edits {
		if e.New != nil {
			return fmt.Errorf("the text is replaced: %+v", e)
		}
		for _, s := range e.Splices {
			fresh := make([]map[string]Value, s.Inserted)
			for i := range fresh {
				fresh[i] = map[string]Value{}
			}
			r.text = slices.Replace(r.text, s.Pos, s.Pos+s.Deleted, []rune(s.Text)...)
			r.marks = slices.Replace(r.marks, s.Pos, s.Pos+s.Deleted, fresh...)
		}
		done := map[string][]MarkEdit{}
		for _, m := range e.Marks {
			for _, other := range done[m.Name] {
				if m.From < other.To && other.From < m.To {
					return fmt.Errorf("%v and %v", m, other)
				}
			}
			done[m.Name] = append(done[m.Name], m)
			changed := false
			for i := m.From; i < m.To; i++ {
				if old, ok := r.marks[i][m.Name]; m.Value == nil && ok || m.Value != nil && (!ok || old != *m.Value) {
					changed = true
				}
				if m.Value == nil {
					delete(r.marks[i], m.Name)
				} else {
					r.marks[i][m.Name] = *m.Value
				}
			}
			if !changed {
				return fmt.Errorf("%+v changes nothing", m)
			}
		}
	}
	return nil
}

func (r *rich) String() string {
	var spans []TextSpan
	for i, c := range r.text {
		s := TextSpan{Text: string(c)}
		for _, name := range slices.Sorted(maps.Keys(r.marks[i])) {
			s.Marks = append(s.Marks, Mark{name, r.marks[i][name]})
		}
		if n := len(spans); n > 0 && slices.Equal(spans[n-1].Marks, s.Marks) {
			spans[n-1].Text += s.Text
		} else {
			spans = append(spans, s)
		}
	}
	return richText(spans)
}

// editRich does something at random to a text.
func editRich(t *rapid.T, x *TxText) {
	n := x.Len()
	pos := rapid.IntRange(0, n).Draw(t, "pos")
	to := min(n, pos+rapid.IntRange(0, 6).Draw(t, "n"))
	name := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name")
	growth := Growth(rapid.IntRange(0, 3).Draw(t, "growth"))
	switch rapid.IntRange(0, 6).Draw(t, "what") {
	case 0, 1, 2:
		x.Insert(pos, rapid.SampledFrom([]string{"x", "yz", "123456"}).Draw(t, "text"))
	case 3:
		x.Delete(pos, to-pos)
	case 4, 5:
		x.Mark(pos, to, name, rapid.IntRange(0, 1).Draw(t, "value"), growth)
	case 6:
		x.Unmark(pos, to, name, growth)
	}
}

// TestMarkEvents keeps copies of a text with marks by events, one by one and merged, and compares them with the spans of
// the devices. It compares devices with each other, too, and what a transaction leaves that is taken back.
func TestMarkEvents(t *testing.T) {
	edits := 0
	rapid.Check(t, func(t *rapid.T) {
		all := newDevices(3)
		all[0].update(t, func(tx *Tx) { tx.Text("t").Touch() })
		meet(t, all...)
		copies := make([]rich, 2*len(all))
		merged := make([]Event, len(all))
		heard := func(i int, events ...Event) {
			for _, ev := range events {
				for _, e := range ev.Edits {
					edits += len(e.Marks)
				}
				if err := copies[2*i].apply(ev); err != nil {
					t.Fatal(err)
				}
				merged[i].Merge(ev)
			}
			if want, got := richText(all[i].state.Text("t").Spans()), copies[2*i].String(); got != want {
				t.Fatalf("after %+v\ngot  %s\nwant %s", events, got, want)
			}
			if rapid.IntRange(0, 3).Draw(t, "catch up") > 0 {
				return
			}
			if err := copies[2*i+1].apply(merged[i]); err != nil {
				t.Fatal(err)
			}
			if want, got := copies[2*i].String(), copies[2*i+1].String(); got != want {
				t.Fatalf("merged: after %+v\ngot  %s\nwant %s", merged[i], got, want)
			}
			merged[i] = Event{}
		}
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			i := rapid.IntRange(0, 2).Draw(t, "device")
			d := all[i]
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0, 1:
				before := len(d.log)
				d.update(t, func(tx *Tx) {
					for range rapid.IntRange(1, 3).Draw(t, "edits") {
						editRich(t, tx.Text("t"))
					}
				})
				if len(d.log) > before {
					heard(i, d.last)
				}
			case 2:
				heard(i, d.take(t, all[rapid.IntRange(0, 2).Draw(t, "from")])...)
			case 3:
				before, spans := d.state.Digest(), richText(d.state.Text("t").Spans())
				tx := d.state.Begin(d.actor, d.clock)
				for range 3 {
					editRich(t, tx.Text("t"))
				}
				tx.Rollback()
				if got := richText(d.state.Text("t").Spans()); got != spans || d.state.Digest() != before {
					t.Fatalf("after a transaction taken back: %s, before it %s", got, spans)
				}
			}
		}
		meet(t, all...)
		for _, d := range all {
			if got, want := richText(d.state.Text("t").Spans()), richText(all[0].state.Text("t").Spans()); got != want || d.state.Digest() != all[0].state.Digest() {
				t.Fatalf("%s and %s", got, want)
			}
		}
	})
	if edits == 0 {
		t.Error("no event told of marks")
	}
}

// What marks look like as JSON, in spans, ranges and events.
func TestMarkJSON(t *testing.T) {
	d := newDevice(0)
	d.update(t, func(tx *Tx) {
		tx.Text("t").Append("abc")
		linkTo(tx.Text("t"), 0, 1, "u")
	})
	d.update(t, func(tx *Tx) {
		tx.Text("t").Mark(1, 2, "m", nil, GrowNone)
		tx.Text("t").Unmark(0, 3, MarkLink, GrowNone)
	})
	v := d.state.Text("t")
	for _, tt := range []struct {
		what any
		want string
	}{
		{v.Spans(), `[{"text":"a"},{"text":"b","marks":[{"name":"m","value":null}]},{"text":"c"}]`},
		{v.Marks(), `[{"from":1,"to":2,"name":"m","value":null}]`},
		{d.last.Edits, `[{"path":["t"],"kind":"text","marks":[{"from":0,"to":1,"name":"link"},{"from":1,"to":2,"name":"m","value":null}]}]`},
	} {
		if got, err := json.Marshal(tt.what); err != nil || string(got) != tt.want {
			t.Errorf("%s, %v, want %s", got, err, tt.want)
		}
	}
}

// TestBackspacesInColumns: marks move with a batch that holds nothing but backspaces.
func TestBackspacesInColumns(t *testing.T) {
	h := newHolder()
	group := func(op Op) Group {
		op.Path = typedPaths[0]
		return Group{Slice: op.Path[0].Key, Len: op.Len, Ops: AppendOp(nil, &op, noRefs)}
	}
	h.author(actorOf(0), 1000, group(Op{Code: CodeTextInsert, Len: 20, Text: "backspaces and marks"}))
	h.author(actorOf(0), 1001, group(Op{Code: CodeTextMark, Len: 1, Pos: 15, Count: 5, Name: MarkBold, Value: BoolValue(true)}))
	for i := range 10 {
		h.author(actorOf(0), int64(1002+i), group(Op{Code: CodeTextDelete, Len: 1, Pos: 9 - i}))
	}
	c := NewChains(fixtureStore)
	s := NewState(c)
	for _, log := range [][]Accepted{h.log[:2], h.log[2:]} {
		b, err := DecodeBatch(h.BatchOf(log).AppendTo(nil))
		if err != nil {
			t.Fatal(err)
		}
		added, err := c.AddUnhashed(b)
		if err != nil {
			t.Fatal(err)
		}
		s.ApplyAll(added)
	}
	want := []MarkRange{{5, 10, Mark{MarkBold, BoolValue(true)}}}
	if got := s.Text("notes").Marks(); !slices.Equal(got, want) {
		t.Errorf("marks %v of %q, want %v", got, s.Text("notes").String(), want)
	}
}
