package crdt

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/atollsync/atoll/crdt/sequence"
)

// Mark marks the code points [from, to) with a name and a value. growth says whether what is typed right beside them belongs to
// the mark. The value takes the place of others of the name there.
func (t *TxText) Mark(from, to int, name string, value any, growth Growth) {
	if v, ok := t.tx.value(value); ok {
		t.mark(Op{Code: CodeTextMark, Value: v}, from, to, name, growth)
	}
}

// Unmark takes the marks of a name from the code points [from, to). growth says whether what is typed right beside them is to
// be without as well: as a rule, what it was for the mark.
func (t *TxText) Unmark(from, to int, name string, growth Growth) {
	t.mark(Op{Code: CodeTextUnmark}, from, to, name, growth)
}

// MarkUTF16 is Mark by offsets in UTF-16 code units. Within a surrogate pair they are an error.
func (t *TxText) MarkUTF16(from, to int, name string, value any, growth Growth) {
	if from, to, ok := t.rangeOfUTF16(from, to); ok {
		t.Mark(from, to, name, value, growth)
	}
}

// UnmarkUTF16 is Unmark by offsets in UTF-16 code units.
func (t *TxText) UnmarkUTF16(from, to int, name string, growth Growth) {
	if from, to, ok := t.rangeOfUTF16(from, to); ok {
		t.Unmark(from, to, name, growth)
	}
}

func (t *TxText) rangeOfUTF16(from, to int) (a, b int, ok bool) {
	if a, ok = t.ofUTF16(from); ok {
		b, ok = t.ofUTF16(to)
	}
	return a, b, ok
}

func (t *TxText) mark(op Op, from, to int, name string, growth Growth) {
	problem := func(err error) { t.tx.fail(fmt.Errorf("crdt: mark %s: %w", t.at.String(), err)) }
	switch n := t.Len(); {
	case t.tx.over():
	case from < 0 || from > to || to > n:
		t.tx.fail(fmt.Errorf("%w: mark %s: [%d, %d) of %d", ErrRange, t.at.String(), from, to, n))
	case name == "":
		problem(errors.New("a mark needs a name"))
	case len(name) > MaxKeyBytes:
		problem(fmt.Errorf("a name of %d bytes, the limit is %d", len(name), MaxKeyBytes))
	case !utf8.ValidString(name):
		problem(fmt.Errorf("name %q is not UTF-8", name))
	case growth > GrowBoth:
		problem(fmt.Errorf("growth %d", growth))
	case from < to:
		if path, ok := t.tx.enter(t.at, ClassWrite); ok {
			op.Len, op.Path, op.Pos, op.Count, op.Name, op.Growth = 1, path, from, to-from, name, growth
			t.tx.do(&op)
		}
	}
}

// typing is what one name comes to for text that is typed at a position: which op decides, -1 for none. Wanted is
// the one that a person would expect, by what stands on either side; got the one that covers the place.
type typing struct {
	name        string
	wanted, got int
}

// typed returns the names for which text typed at pos may bear another mark than a person would expect, in the
// order in which they were first used; mostly there are none.
//
// An op says at which index text is typed, and so what was deleted there before lies to the right of it. A
// mark whose end hangs on deleted text goes on or stops there, however its ends were meant to grow. A
// person sees the neighbours only, and expects what each of them bears where that goes on over the other or grows.
func (m *textMarks) typed(ends []sequence.Anchor, pos int) []typing {
	after, before := sequence.After(pos-1), sequence.Before(pos) // of what stands to the left and to the right
	var out []typing
	find := func(name string) *typing {
		for i := range out {
			if out[i].name == name {
				return &out[i]
			}
		}
		return nil
	}
	for i := range m.ops {
		start, end := ends[2*i], ends[2*i+1]
		if start < end && (start == after || start == before || end == after || end == before) && find(m.ops[i].Name) == nil {
			out = append(out, typing{m.ops[i].Name, -1, -1})
		}
	}
	if len(out) == 0 {
		return nil
	}
	for _, i := range m.latest {
		t := find(m.ops[i].Name)
		if t == nil {
			continue
		}
		start, end, growth := ends[2*i], ends[2*i+1], m.ops[i].growth
		left, right := start < after && end >= after, start <= before && end > before
		if t.wanted < 0 && (left && right || left && growth&GrowEnd != 0 || right && growth&GrowStart != 0) {
			t.wanted = i
		}
		if t.got < 0 && start <= after && end >= before {
			t.got = i
		}
	}
	return out
}

// remark marks n code points that were typed at pos as a person would expect, where they are not so already.
func (t *TxText) remark(path Path, pos, n int, names []typing, m *textMarks) {
	for _, name := range names {
		var want, got markOp
		want.unmark, got.unmark = true, true
		if name.wanted >= 0 {
			want = m.ops[name.wanted]
		}
		if name.got >= 0 {
			got = m.ops[name.got]
		}
		op := &Op{Code: CodeTextMark, Len: 1, Path: path, Pos: pos, Count: n, Name: name.name, Value: want.Value, Growth: want.growth}
		switch {
		case want.unmark && got.unmark, want.unmark == got.unmark && want.Value == got.Value:
			continue
		case want.unmark:
			// Growing, so that more text typed here is as this.
			op.Code, op.Value, op.Growth = CodeTextUnmark, Value{}, GrowBoth
		}
		t.tx.do(op)
	}
}
