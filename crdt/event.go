package crdt

import "slices"

// Event says what one change, or several in a row, did to what a State shows.
type Event struct {
	From    Version      `json:"from"`
	To      Version      `json:"to"`
	Changes []ChangeNote `json:"changes"`
	// Edits turn what From shows into what To shows, applied one after the other.
	Edits []Edit `json:"edits"`
}

// ChangeNote identifies a change in an Event.
type ChangeNote struct {
	Dot       Dot           `json:"dot"` // of its last op
	Len       int           `json:"len"` // dots
	Ops       int           `json:"ops"`
	Actor     Actor         `json:"actor"`
	Time      int64         `json:"time"` // the author's claim, unix ms
	Effective EffectiveTime `json:"effective"`
}

// Edit is an edit to what is shown at Path. It says one of:
//
//   - Old and New: one value in place of the other, both whole; nil is nothing. The container changed, or
//     came, or went, or it is a Register or Counter.
//   - Splices: a Text or List that stays was edited by position. Marks: so was what a Text bears.
//   - Removed and Added: members of a Set or RemoveWinsSet that stays.
type Edit struct {
	// Path leads to the place by keys; under a List the key is the element's index in
	// decimal, as it is when the edits before this one have been applied. Read-only.
	Path []string `json:"path"`
	// Kind is that of the container shown, or if there is none now of the one that was.
	Kind    Kind     `json:"kind"`
	Old     *Value   `json:"old,omitempty"`
	New     *Value   `json:"new,omitempty"`
	Splices []Splice `json:"splices,omitempty"`
	// Marks say, after all Splices, what formatting of a Text changed: what was inserted came without any. Positions are
	// those when all is done, and no two are about the same code point and name.
	Marks   []MarkEdit `json:"marks,omitempty"`
	Removed []Value    `json:"removed,omitempty"`
	Added   []Value    `json:"added,omitempty"`
}

// Splice edits a sequence: at Pos, Deleted elements or code points go and Inserted ones come.
type Splice struct {
	Pos      int `json:"pos"`
	Deleted  int `json:"deleted,omitempty"`
	Inserted int `json:"inserted,omitempty"`
	// Text is what is inserted into a Text.
	Text string `json:"text,omitempty"`
	// Values are what the elements inserted into a List show in the end; nil for those that a later
	// splice deletes.
	Values []Value `json:"values,omitempty"`
}

// IsZero reports whether e says nothing at all.
func (e *Event) IsZero() bool { return len(e.Changes) == 0 }

// Merge adds next, which starts where e ends, to e: for those who read slower than changes come. Edits of
// one value and neighbouring splices of one text become one. The result shares no slice that e or next
// will change.
func (e *Event) Merge(next Event) {
	if e.IsZero() {
		*e = next
		e.Changes, e.Edits = slices.Clip(e.Changes), slices.Clip(e.Edits)
		return
	}
	e.To = next.To
	e.Changes = append(e.Changes, next.Changes...)
	for _, n := range next.Edits {
		if last := len(e.Edits) - 1; last < 0 || !e.Edits[last].merge(n) {
			e.Edits = append(e.Edits, n)
		} else if e.Edits[last].isNothing() {
			e.Edits = e.Edits[:last]
		}
	}
}

// mergedText bounds, in bytes, the text of a splice that others are merged into, so that
// merging many costs no more than their sum.
const mergedText = 1 << 10

// merge makes d do what d and then n do, if one edit can say that at little cost.
func (d *Edit) merge(n Edit) bool {
	if !slices.Equal(d.Path, n.Path) {
		return false
	}
	if d.replaces() && n.replaces() {
		d.Kind, d.New = n.Kind, n.New
		return true
	}
	if len(d.Splices) != 1 || len(n.Splices) != 1 {
		return false
	}
	s, next := d.Splices[0], n.Splices[0]
	marks, ok := mergeMarks(d.Marks, n.Marks, next)
	if !ok {
		return false
	}
	if next.Deleted > 0 || next.Pos != s.Pos+s.Inserted || len(s.Text) > mergedText || len(s.Values) > 0 {
		return false
	}
	s.Inserted += next.Inserted
	s.Text += next.Text
	s.Values = next.Values
	d.Splices, d.Marks = []Splice{s}, marks
	return true
}

// mergedMarks bounds how many edits of marks are merged into one edit, for the same reason as mergedText.
const mergedMarks = 16

// mergeMarks returns what old and then, after a splice that only inserts, next do to marks, and false if
// that is not easily said: it is where each of next adds to one of old or is beside all of them.
func mergeMarks(old, next []MarkEdit, splice Splice) ([]MarkEdit, bool) {
	if len(old)+len(next) > mergedMarks {
		return nil, false
	}
	var out []MarkEdit
	for _, m := range old {
		switch {
		case m.From >= splice.Pos:
			m.From, m.To = m.From+splice.Inserted, m.To+splice.Inserted
		case m.To > splice.Pos:
			return nil, false // the inserted text parts it
		}
		out = append(out, m)
	}
	for _, n := range next {
		joined := false
		for i := range out {
			m := &out[i]
			switch {
			case m.Name != n.Name:
			case m.To == n.From && (m.Value == nil) == (n.Value == nil) && (m.Value == nil || *m.Value == *n.Value):
				m.To, joined = n.To, true
			case m.From < n.To && n.From < m.To:
				return nil, false
			}
		}
		if !joined {
			out = append(out, n)
		}
	}
	return out, true
}

// replaces reports whether d gives whole values.
func (d *Edit) replaces() bool { return d.Old != nil || d.New != nil }

// isNothing reports whether d was merged away: what came went.
func (d *Edit) isNothing() bool {
	return d.Old == nil && d.New == nil && len(d.Splices) == 0 && len(d.Marks) == 0 && len(d.Added)+len(d.Removed) == 0
}
