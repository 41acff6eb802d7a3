package sessions

// Text is a text as two slices of code points, those before the last edit and, in reverse, those after it: a plain one
// to play patches on, next to which other ways can be seen to be right. The zero value is empty.
type Text struct{ before, after []rune }

func (t *Text) seek(pos int) {
	for len(t.before) > pos {
		k := len(t.before) - 1
		t.before, t.after = t.before[:k], append(t.after, t.before[k])
	}
	for len(t.before) < pos {
		k := len(t.after) - 1
		t.before, t.after = append(t.before, t.after[k]), t.after[:k]
	}
}

// Edit makes the edit that p is. It panics if p deletes what is not there.
func (t *Text) Edit(p Patch) {
	t.seek(p.Pos)
	t.after = t.after[:len(t.after)-p.Deleted]
	t.before = append(t.before, []rune(p.Inserted)...)
}

// String returns the text.
func (t *Text) String() string {
	t.seek(len(t.before) + len(t.after))
	return string(t.before)
}
