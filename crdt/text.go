package crdt

import (
	"fmt"
	"unicode/utf8"

	"github.com/atollsync/atoll/crdt/sequence"
)

// textContent is what a Text holds.
type textContent struct {
	ops  sequence.Sequence
	rope sequence.Rope
	// marks are nil until the first.
	marks *textMarks
}

// insert applies a TextInsert of text, which has n code points.
func (c *textContent) insert(ps *pass, pos int, text string, n int, t *touch) {
	c.edit(ps, c.ops.Insert(ps.s.graph, ps.history, ps.lv, pos, n), 0, text, n, t)
	c.disturb(ps.s)
	c.save(ps)
}

// delete applies a TextDelete of n code points.
func (c *textContent) delete(ps *pass, pos, n int, t *touch) {
	ps.s.edits = c.ops.Delete(ps.s.graph, ps.history, ps.lv, pos, n, ps.s.edits[:0])
	for _, e := range ps.s.edits {
		c.edit(ps, e.Pos, e.Deleted, "", 0, t)
	}
	c.disturb(ps.s)
	c.save(ps)
}

// edit changes the text shown: at pos, deleted code points go and the inserted ones of part come.
func (c *textContent) edit(ps *pass, pos, deleted int, part string, inserted int, t *touch) {
	if deleted > 0 {
		if ps.undoable() {
			old := c.rope.Slice(pos, pos+deleted)
			ps.undo(func() { c.rope.Insert(pos, old) })
		}
		c.rope.Delete(pos, deleted)
	}
	if inserted > 0 {
		if ps.undoable() {
			ps.undo(func() { c.rope.Delete(pos, inserted) })
		}
		c.rope.Insert(pos, part)
	}
	t.splice(Splice{Pos: pos, Deleted: deleted, Inserted: inserted, Text: part}, 0)
}

// save makes the sequence forget the op being applied if the pass is taken back.
func (c *textContent) save(ps *pass) {
	if ps.undoable() {
		lv := ps.lv
		ps.undo(func() { c.ops.Truncate(lv) })
	}
}

func (c *textContent) appendValue(_ *State, buf []byte) []byte {
	return appendStr(buf, c.rope.String())
}

func (c *textContent) appendDigest(s *State, buf []byte) []byte {
	return c.appendMarks(s, c.appendValue(s, buf))
}

// TextView reads a Text. Positions and lengths count Unicode code points unless said otherwise.
type TextView struct{ view }

func (v *TextView) rope() *sequence.Rope {
	if e := v.entry(); e != nil {
		return &e.content.(*textContent).rope
	}
	return new(sequence.Rope)
}

// String returns the text.
func (v *TextView) String() string { return v.rope().String() }

// Slice returns the code points [from, to). It panics if there are none such.
func (v *TextView) Slice(from, to int) string { return v.rope().Slice(from, to) }

// Len returns the number of code points.
func (v *TextView) Len() int { return v.rope().Len() }

// LenUTF16 returns the number of UTF-16 code units, which is what JavaScript calls the length.
func (v *TextView) LenUTF16() int { return v.rope().LenUTF16() }

// RuneOfUTF16 returns the position of the code point that holds the i-th UTF-16 code unit, 0 <= i <= LenUTF16(). It
// panics if there is none such.
func (v *TextView) RuneOfUTF16(i int) int { return v.rope().RuneOfUTF16(i) }

// UTF16OfRune returns the number of UTF-16 code units before position i, 0 <= i <= Len(). It panics if there is none such.
func (v *TextView) UTF16OfRune(i int) int { return v.rope().UTF16OfRune(i) }

// TxText is a Text in a transaction.
type TxText struct {
	TextView
	tx *Tx
}

// Len returns the number of code points.
func (t *TxText) Len() int { return t.length(!t.tx.over() && t.tx.s.spot.at(t.at)) }

// length is Len for those who know whether t is at the spot.
func (t *TxText) length(atSpot bool) int {
	if atSpot {
		return t.tx.s.spotLen()
	}
	return t.TextView.Len()
}

// spotLen returns the number of code points of the text at the spot, with what was put off.
func (s *State) spotLen() int {
	if len(s.draft.put) > 0 {
		return s.draft.textLen
	}
	return s.spot.text.rope.Len()
}

// Insert inserts s, valid UTF-8, at position pos. It bears the marks that a person would expect there: those of the text before it
// and after it that go on from one to the other, or grow.
func (t *TxText) Insert(pos int, s string) {
	tx := t.tx
	if tx.over() {
		return
	}
	runes, valid := 1, true
	if len(s) != 1 || s[0] >= utf8.RuneSelf { // else it is a key like most
		runes, valid = utf8.RuneCountInString(s), utf8.ValidString(s)
	}
	atSpot := tx.s.spot.at(t.at) || tx.toSpot(t.at)
	switch n := t.length(atSpot); {
	case tx.over():
	case !valid:
		tx.fail(fmt.Errorf("crdt: insert into %s: %s", t.at.String(), notUTF8(s)))
	case pos < 0 || pos > n:
		tx.fail(fmt.Errorf("%w: insert into %s at %d of %d", ErrRange, t.at.String(), pos, n))
	case s == "":
	case atSpot && tx.s.spot.text.marks == nil:
		tx.putOff(CodeTextInsert, pos, runes, s)
	default:
		if path, ok := tx.enter(t.at, ClassWrite); ok {
			t.insert(path, pos, s)
		}
	}
}

// insert inserts s, and marks it where that is called for.
func (t *TxText) insert(path Path, pos int, s string) {
	op := &Op{Code: CodeTextInsert, Len: utf8.RuneCountInString(s), Path: path, Pos: pos, Text: s}
	var names []typing
	var marks *textMarks
	if e := t.entry(); e != nil {
		if c := e.content.(*textContent); c.marks != nil {
			marks = c.marks
			names = marks.typed(c.ends(t.s), pos)
		}
	}
	t.tx.do(op)
	t.remark(path, pos, op.Len, names, marks)
}

// Append inserts s at the end.
func (t *TxText) Append(s string) { t.Insert(t.Len(), s) }

// Delete deletes n code points from position pos.
func (t *TxText) Delete(pos, n int) {
	tx := t.tx
	if tx.over() {
		return
	}
	atSpot := tx.s.spot.at(t.at) || tx.toSpot(t.at)
	switch length := t.length(atSpot); {
	case tx.over():
	case pos < 0 || n < 0 || pos > length || n > length-pos:
		tx.fail(fmt.Errorf("%w: delete from %s: [%d, %d+%d) of %d", ErrRange, t.at.String(), pos, pos, n, length))
	case n == 0:
	case atSpot:
		tx.putOff(CodeTextDelete, pos, n, "")
	default:
		if path, ok := tx.enter(t.at, ClassNeither); ok {
			tx.do(&Op{Code: CodeTextDelete, Len: n, Path: path, Pos: pos})
		}
	}
}

// Set turns the text into s by deleting and inserting what differs between a common beginning and end.
func (t *TxText) Set(s string) {
	if !utf8.ValidString(s) {
		t.tx.fail(fmt.Errorf("crdt: set %s: %s", t.at.String(), notUTF8(s)))
		return
	}
	old, want := []rune(t.String()), []rune(s)
	start := 0
	for start < len(old) && start < len(want) && old[start] == want[start] {
		start++
	}
	end := 0
	for end < len(old)-start && end < len(want)-start && old[len(old)-1-end] == want[len(want)-1-end] {
		end++
	}
	t.Delete(start, len(old)-start-end)
	t.Insert(start, string(want[start:len(want)-end]))
	if s == "" && !t.Exists() {
		t.Touch()
	}
}

// InsertUTF16 is Insert at an offset in UTF-16 code units. Within a surrogate pair it is an error.
func (t *TxText) InsertUTF16(offset int, s string) {
	if pos, ok := t.ofUTF16(offset); ok {
		t.Insert(pos, s)
	}
}

// DeleteUTF16 is Delete by UTF-16 code units. Within a surrogate pair it is an error.
func (t *TxText) DeleteUTF16(offset, n int) {
	from, ok := t.ofUTF16(offset)
	if !ok {
		return
	}
	if to, ok := t.ofUTF16(offset + n); ok {
		t.Delete(from, to-from)
	}
}

// ofUTF16 turns a UTF-16 offset into a position.
func (t *TxText) ofUTF16(offset int) (pos int, ok bool) {
	if t.tx.over() {
		return 0, false
	}
	if n := t.LenUTF16(); offset < 0 || offset > n {
		t.tx.fail(fmt.Errorf("%w: edit %s: UTF-16 offset %d of %d", ErrRange, t.at.String(), offset, n))
		return 0, false
	}
	pos = t.RuneOfUTF16(offset)
	if t.UTF16OfRune(pos) != offset {
		t.tx.fail(fmt.Errorf("%w: edit %s: UTF-16 offset %d is inside a surrogate pair", ErrRange, t.at.String(), offset))
		return 0, false
	}
	return pos, true
}

// Touch makes the text stand, empty if nothing is in it.
func (t *TxText) Touch() { t.tx.touch(t.at) }
