package crdt

import (
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/sequence"
)

// MarkEdit says that the code points [From, To) of a Text now bear a mark of some name with a value, or none.
type MarkEdit struct {
	From int    `json:"from"`
	To   int    `json:"to"`
	Name string `json:"name"`
	// Value is nil if they bear no mark of the name any more.
	Value *Value `json:"value,omitempty"`
}

// mark notes that a mark or unmark of the text shown at t is applied.
func (t *touch) mark() {
	if t != nil {
		t.marks++
	}
}

// markEdits returns what the last ops, fresh of them, and the text that splices inserted changed about the marks that
// the text bears, as if what was inserted came without.
func (c *textContent) markEdits(s *State, splices []tracedSplice, fresh int) []MarkEdit {
	if c.marks == nil || len(splices) == 0 && fresh == 0 {
		return nil
	}
	m, ends := c.marks, c.ends(s)
	inserted := insertedRanges(splices, c.rope.Len())
	from, to := c.rope.Len(), 0
	widen := func(a, b int) {
		if a < b {
			from, to = min(from, a), max(to, b)
		}
	}
	if n := len(inserted); n > 0 {
		widen(int(inserted[0].Start), int(inserted[n-1].End))
	}
	old := len(m.ops) - fresh
	for i := old; i < len(m.ops); i++ {
		widen(ends[2*i].Pos(), ends[2*i+1].Pos())
	}
	if from >= to {
		return nil
	}
	after := m.runs(ends, len(m.ops), from, to)
	var before []MarkRange
	if fresh > 0 || len(inserted) != 1 || int(inserted[0].Start) > from || int(inserted[0].End) < to {
		before = outside(m.runs(ends, old, from, to), inserted)
	}
	return diffMarks(before, after)
}

// insertedRanges returns where in the end the text is that splices inserted into a text which is then length long.
func insertedRanges(splices []tracedSplice, length int) []causal.Span {
	if len(splices) == 1 {
		sp := splices[0]
		return causal.AppendSpan(nil, causal.Span{Start: causal.LV(sp.Pos), End: causal.LV(sp.Pos + sp.Inserted)})
	}
	// Play them on a list of names: what stood there before counts from 0 on, the rest from somewhere beyond.
	for _, sp := range splices {
		length += sp.Deleted - sp.Inserted
	}
	var list sequence.Elements
	list.Insert(0, 0, length)
	first := causal.LV(length + 1)
	next := first
	for _, sp := range splices {
		list.Delete(sp.Pos, sp.Deleted, nil)
		list.Insert(sp.Pos, next, sp.Inserted)
		next += causal.LV(sp.Inserted)
	}
	var out []causal.Span
	at := causal.LV(0)
	for s := range list.Spans {
		end := at + causal.LV(s.Len())
		if s.Start >= first {
			out = causal.AppendSpan(out, causal.Span{Start: at, End: end})
		}
		at = end
	}
	return out
}

// outside returns runs, ordered by name and place, without what lies in cut.
func outside(runs []MarkRange, cut []causal.Span) []MarkRange {
	var out []MarkRange
	for _, r := range runs {
		for _, s := range causal.Subtract([]causal.Span{{Start: causal.LV(r.From), End: causal.LV(r.To)}}, cut) {
			out = append(out, MarkRange{int(s.Start), int(s.End), r.Mark})
		}
	}
	return out
}

// diffMarks returns what turns before into after, both ordered by name and place: in order of names and places.
func diffMarks(before, after []MarkRange) []MarkEdit {
	var out []MarkEdit
	for len(before) > 0 || len(after) > 0 {
		var name string
		if len(before) == 0 || len(after) > 0 && after[0].Name < before[0].Name {
			name = after[0].Name
		} else {
			name = before[0].Name
		}
		var old, now []MarkRange
		old, before = ofName(before, name)
		now, after = ofName(after, name)
		out = diffMark(name, old, now, out)
	}
	return out
}

// ofName parts the ranges of a name from those that follow.
func ofName(runs []MarkRange, name string) (of, rest []MarkRange) {
	n := slices.IndexFunc(runs, func(r MarkRange) bool { return r.Name != name })
	if n < 0 {
		n = len(runs)
	}
	return runs[:n], runs[n:]
}

// diffMark appends to out what turns old into now, both in order and of one name.
func diffMark(name string, old, now []MarkRange, out []MarkEdit) []MarkEdit {
	var cuts []int
	for _, runs := range [2][]MarkRange{old, now} {
		for _, r := range runs {
			cuts = append(cuts, r.From, r.To)
		}
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	first := len(out)
	for i := range len(cuts) - 1 {
		from, to := cuts[i], cuts[i+1]
		was, is := valueAt(&old, from), valueAt(&now, from)
		if was == nil && is == nil || was != nil && is != nil && *was == *is {
			continue
		}
		if k := len(out) - 1; k >= first && out[k].To == from && (is == nil && out[k].Value == nil || is != nil && out[k].Value != nil && *is == *out[k].Value) {
			out[k].To = to
			continue
		}
		out = append(out, MarkEdit{from, to, name, is})
	}
	return out
}

// valueAt returns the value at pos of runs, nil if there is none, and drops those that end before.
func valueAt(runs *[]MarkRange, pos int) *Value {
	for len(*runs) > 0 && (*runs)[0].To <= pos {
		*runs = (*runs)[1:]
	}
	if len(*runs) == 0 || (*runs)[0].From > pos {
		return nil
	}
	return &(*runs)[0].Value
}
