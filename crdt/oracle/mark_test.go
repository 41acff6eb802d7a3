package oracle_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/oracle"
)

// spans writes a text with its marks as the tests do: runs of the same marks, with these in braces.
func spans(text string, marks []map[string]crdt.Value) string {
	var out strings.Builder
	chars := []rune(text)
	for from := 0; from < len(chars); {
		to := from + 1
		for to < len(chars) && maps.Equal(marks[from], marks[to]) {
			to++
		}
		if from > 0 {
			out.WriteByte('|')
		}
		out.WriteString(string(chars[from:to]))
		var names []string
		for _, name := range slices.Sorted(maps.Keys(marks[from])) {
			s := name
			if v := marks[from][name]; v != crdt.BoolValue(true) {
				s = fmt.Sprintf("%s=%v", name, v)
			}
			names = append(names, s)
		}
		if len(names) > 0 {
			fmt.Fprintf(&out, "{%s}", strings.Join(names, ","))
		}
		from = to
	}
	return out.String()
}

// textSpans writes the spans of the engine the same way.
func textSpans(of []crdt.TextSpan) string {
	var text string
	var marks []map[string]crdt.Value
	for i, s := range of {
		if s.Text == "" || i > 0 && slices.Equal(s.Marks, of[i-1].Marks) {
			return fmt.Sprintf("%v: span %d is empty or bears what the one before does", of, i)
		}
		values := map[string]crdt.Value{}
		for _, m := range s.Marks {
			values[m.Name] = m.Value
		}
		text += s.Text
		for range []rune(s.Text) {
			marks = append(marks, values)
		}
	}
	return spans(text, marks)
}

func bold(pos, n int) crdt.Op   { return marked("t:text", pos, n, "bold", true, crdt.GrowEnd) }
func unbold(pos, n int) crdt.Op { return unmarked("t:text", pos, n, "bold", crdt.GrowEnd) }
func italic(pos, n int) crdt.Op { return marked("t:text", pos, n, "italic", true, crdt.GrowEnd) }
func link(pos, n int, to string) crdt.Op {
	return marked("t:text", pos, n, "link", to, crdt.GrowNone)
}
func comment(pos, n int, id string) crdt.Op {
	return marked("t:text", pos, n, "comment:"+id, id, crdt.GrowNone)
}
func grown(pos, n int, growth crdt.Growth) crdt.Op {
	return marked("t:text", pos, n, "m", true, growth)
}

// The examples of the Peritext paper, and of the sentences of the data model about marks.
func TestMarks(t *testing.T) {
	typed := func(pos int, text string) crdt.Op { return typed("t:text", pos, text) }
	erased := func(pos, n int) crdt.Op { return erased("t:text", pos, n) }
	begin := func(text string) done { return do("A", "", 1, typed(0, text)) }
	const fox = "The fox jumped." // 15 code points
	tests := []struct {
		name    string
		changes []done
		want    string
	}{
		{"concurrent marks of one name and value join", []done{
			begin(fox), do("B", "A15", 2, bold(0, 7)), do("C", "A15", 2, bold(4, 11))},
			"The fox jumped.{bold}"},
		{"marks of different names are independent", []done{
			begin(fox), do("B", "A15", 2, bold(0, 7)), do("C", "A15", 2, italic(4, 11))},
			"The {bold}|fox{bold,italic}| jumped.{italic}"},
		{"where a mark and an unmark are concurrent the later decides, and elsewhere each stands", []done{
			begin(fox), do("A", "", 2, bold(0, 15)),
			do("B", "A16", 3, unbold(0, 7)), do("C", "A16", 4, bold(4, 3))},
			"The |fox jumped.{bold}"},
		{"the same with the times the other way", []done{
			begin(fox), do("A", "", 2, bold(0, 15)),
			do("B", "A16", 4, unbold(0, 7)), do("C", "A16", 3, bold(4, 3))},
			"The fox| jumped.{bold}"},
		{"an unmark that saw the mark is the later, whatever the clocks", []done{
			begin("abc"), do("B", "A3", 9, bold(0, 3)), do("C", "B1", 1, unbold(1, 1))},
			"a{bold}|b|c{bold}"},
		{"a mark in turn", []done{
			begin("abc"), do("B", "A3", 9, bold(0, 3), unbold(0, 3), bold(1, 1))},
			"a|b{bold}|c"},
		{"a value is replaced where a later mark covers it: two links never make a third", []done{
			begin(fox), do("B", "A15", 2, link(0, 7, "x")), do("C", "A15", 3, link(4, 10, "y"))},
			`The {link="x"}|fox jumped{link="y"}|.`},
		{"of marks of one time that of the greater actor is the later", []done{
			begin("abc"), do("C", "A3", 2, link(0, 2, "c")), do("B", "A3", 2, link(1, 2, "b"))},
			`ab{link="c"}|c{link="b"}`},
		{"comments have names of their own, so that they overlap", []done{
			begin(fox), do("B", "A15", 2, comment(0, 7, "1")), do("C", "A15", 3, comment(4, 11, "2"))},
			`The {comment:1="1"}|fox{comment:1="1",comment:2="2"}| jumped.{comment:2="2"}`},
		{"what is inserted concurrently inside a span that is marked belongs to it", []done{
			begin(fox), do("B", "A15", 2, bold(0, 15)), do("C", "A15", 3, typed(4, "brown "))},
			"The brown fox jumped.{bold}"},
		{"what is inserted where a span is marked and deleted around it belongs to it", []done{
			begin(fox), do("B", "A15", 2, bold(4, 3)), do("C", "A15", 3, typed(6, "l"), erased(4, 2)), do("D", "A15", 3, erased(0, 4), erased(3, 8))},
			"lx{bold}"},
		{"a mark is split by an unmark inside", []done{
			begin(fox), do("A", "", 2, bold(0, 15), unbold(4, 3))},
			"The {bold}|fox| jumped.{bold}"},
		{"an end grows over what is typed there, a start does not", []done{
			begin("abc"), do("A", "", 2, bold(1, 1)), do("A", "", 3, typed(2, "y")), do("A", "", 3, typed(1, "x"))},
			"ax|by{bold}|c"},
		{"so do ends over what is typed there concurrently", []done{
			begin("abc"), do("B", "A3", 2, bold(1, 1)), do("C", "A3", 3, typed(2, "y"), typed(1, "x"))},
			"ax|by{bold}|c"},
		{"an end that does not grow", []done{
			begin("abc"), do("A", "", 2, link(1, 1, "u")), do("B", "A4", 3, typed(2, "y")), do("C", "A3", 3, typed(2, "z"))},
			`a|b{link="u"}|yzc`},
		{"a start that grows", []done{
			begin("abc"), do("A", "", 2, grown(1, 1, crdt.GrowStart)), do("A", "", 3, typed(2, "y"), typed(1, "x"))},
			"a|xb{m}|yc"},
		{"both ends grow, to the beginning and end of everything", []done{
			begin("b"), do("A", "", 2, grown(0, 1, crdt.GrowBoth)), do("B", "A1", 3, typed(1, "c"), typed(0, "a"))},
			"abc{m}"},
		{"neither does", []done{
			begin("b"), do("A", "", 2, grown(0, 1, crdt.GrowNone)), do("B", "A1", 3, typed(1, "c"), typed(0, "a"))},
			"a|b{m}|c"},
		{"an unmark grows as a mark does", []done{
			begin("abcd"), do("A", "", 2, bold(0, 4), unbold(1, 2)), do("A", "", 3, typed(3, "y"), typed(1, "x"))},
			"ax{bold}|bcy|d{bold}"},
		{"when the neighbour at which an end lies is gone it lies there still", []done{
			begin("abcd"), do("A", "", 2, bold(0, 2)), do("B", "A5", 3, erased(2, 1)), do("B", "", 4, typed(2, "x"))},
			"abx{bold}|d"},
		{"what others type behind that neighbour, having seen it, stays outside", []done{
			begin("abcd"), do("A", "", 2, bold(0, 2)), do("B", "A5", 3, erased(2, 1)), do("C", "A5", 4, typed(3, "x"), typed(2, "y"))},
			"aby{bold}|xd"},
		{"an index is all that is known of where text is typed: before what was deleted there", []done{
			begin("abc"), do("A", "", 2, link(0, 2, "u")), do("B", "A4", 3, erased(1, 1)), do("B", "", 4, typed(1, "x"))},
			`ax{link="u"}|c`},
		{"all marked text is deleted, and text typed there stands to the left of the mark", []done{
			begin("abcd"), do("A", "", 2, bold(1, 2), erased(1, 2)), do("B", "A7", 3, typed(1, "x"))},
			"axd"},
		{"text typed concurrently into what is deleted belongs to the mark", []done{
			begin("abcd"), do("A", "", 2, bold(1, 2)), do("A", "", 2, erased(1, 2)), do("B", "A5", 3, typed(2, "x"))},
			"a|x{bold}|d"},
		{"text typed to the left of it before it was marked does not", []done{
			begin("abcd"), do("B", "A4", 2, typed(1, "x")), do("C", "A4", 3, bold(1, 2), erased(1, 2))},
			"axd"},
		{"a mark is of what its author saw: what was deleted already lies inside or outside", []done{
			begin("abcdef"), do("A", "", 2, erased(1, 1), erased(3, 1)), do("B", "A8", 3, bold(1, 2)),
			do("C", "A6", 3, typed(2, "x"), typed(6, "y"))},
			"ax|cdy{bold}|f"},
		{"what lies outside the text is cut off", []done{
			begin("abc"), do("B", "A3", 2, bold(2, 9), link(0, crdt.MaxPosition, "u"))},
			`ab{link="u"}|c{bold,link="u"}`},
		{"cut off at the end it grows there", []done{
			begin("abc"), do("B", "A3", 2, bold(2, 9)), do("C", "B1", 2, typed(3, "d"))},
			"ab|cd{bold}"},
		{"nothing is left of a mark beyond the end", []done{
			begin("abc"), do("B", "A3", 2, bold(3, 9), grown(crdt.MaxPosition, crdt.MaxPosition, crdt.GrowBoth)), do("C", "B2", 2, typed(3, "d"))},
			"abcd"},
		{"positions of a mark are those its author saw", []done{
			begin("abc"), do("B", "A3", 2, typed(0, "xx")), do("C", "A3", 2, bold(1, 1))},
			"xxa|b{bold}|c"},
		{"a mark is a write to the text, whatever it covers", []done{
			begin("abc"), do("B", "A3", 2, remove("t")), do("C", "A3", 2, bold(3, 1))},
			"abc"},
		{"a fresh text bears no marks", []done{
			begin("abc"), do("A", "", 2, bold(0, 3)), do("B", "A4", 3, remove("t"), crdt.Op{
				Code: crdt.CodeTextInsert, Len: 1, Path: at("t:text@B1"), Text: "x"})},
			"x"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			all := changes(test.changes)
			store, err := oracle.Of(all)
			if err != nil {
				t.Fatal(err)
			}
			e := place(t, store, "t").Shown()
			if got := spans(e.Text, e.Marks); got != test.want {
				t.Errorf("got  %s\nwant %s\n%s", got, test.want, describe(all))
			}
			r := newEngine()
			for _, c := range all {
				if err := r.deliver(c); err != nil {
					t.Fatal(err)
				}
			}
			if diff := compare(r.state, store); diff != "" {
				t.Error(diff)
			}
		})
	}
}
