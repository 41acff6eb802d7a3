package crdt

import (
	"slices"
	"sort"
	"strconv"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/sequence"
)

// hunk is a stretch of a sequence in which two versions differ, between elements that both show.
type hunk struct {
	pos      int // in the second version
	deleted  int
	inserted int
	spans    []causal.Span // what is inserted
}

// hunks returns what turns a sequence as the version that lacks a shows it into that of the one that lacks b. The spans
// are only good if named.
func hunks(g *causal.Graph, ops *sequence.Sequence, a, b []causal.Span, whole bool) (out []hunk, named bool) {
	pos, named := 0, true
	open := false
	ops.Compare(g, a, b, whole, func(s sequence.Stretch) bool {
		switch {
		case s.A && s.B:
			pos += s.N
			open = false
		case s.A || s.B:
			if !open {
				out = append(out, hunk{pos: pos})
				open = true
			}
			h := &out[len(out)-1]
			if s.A {
				h.deleted += s.N
				break
			}
			named = named && s.LV >= 0
			pos += s.N
			h.inserted += s.N
			h.spans = causal.AppendSpan(h.spans, causal.Span{Start: s.LV, End: s.LV + causal.LV(s.N)})
		}
		return true
	})
	return out, named
}

// Edits returns what turns the text of v as it was at one version into what it was at another: splices in order,
// applied one after the other. Any two versions will do that the state includes; errors wrap ErrAhead if it
// does not include one, ErrNotThere if the text does not stand, and are those of src, which may be nil if to is the
// version the state is at.
//
// It costs what happened to the text between the two, and since the last version that both of them share with
// whatever is concurrent to them; where text comes back that was deleted, the whole history of the text.
func (v *TextView) Edits(src Source, from, to Version) ([]Splice, error) {
	e := v.entry()
	if e == nil {
		return nil, ErrNotThere
	}
	a, err := v.s.lacks(from)
	if err != nil {
		return nil, err
	}
	b, err := v.s.lacks(to)
	if err != nil {
		return nil, err
	}
	return v.s.textEdits(src, e.content.(*textContent), a, b)
}

// textEdits is Edits for versions told by what they lack.
func (s *State) textEdits(src Source, c *textContent, a, b []causal.Span) ([]Splice, error) {
	all, named := hunks(s.graph, &c.ops, a, b, false)
	var text written
	if len(b) > 0 {
		if !named {
			all, _ = hunks(s.graph, &c.ops, a, b, true)
		}
		var want []causal.Span
		for _, h := range all {
			want = append(want, h.spans...)
		}
		var err error
		if text, err = readWritten(src, want); err != nil {
			return nil, err
		}
	}
	out := make([]Splice, len(all))
	for i, h := range all {
		sp := Splice{Pos: h.pos, Deleted: h.deleted, Inserted: h.inserted}
		if len(b) == 0 {
			sp.Text = c.rope.Slice(h.pos, h.pos+h.inserted)
		} else {
			var buf []byte
			for _, span := range h.spans {
				buf = text.appendTo(buf, span)
			}
			sp.Text = string(buf)
		}
		out[i] = sp
	}
	return out, nil
}

// At returns the text of v as it was at a version, "" if nothing had been written yet. It costs what Edits does; of the log
// it reads no more than text that was deleted since. Errors are those of Edits.
func (v *TextView) At(src Source, version Version) (string, error) {
	splices, err := v.Edits(src, v.s.Version(), version)
	if err != nil {
		return "", err
	}
	text := v.rope().Snapshot()
	for _, sp := range splices {
		text.Delete(sp.Pos, sp.Deleted)
		text.Insert(sp.Pos, sp.Text)
	}
	return text.String(), nil
}

// Edits returns what turns what the store showed at one version into what it showed at another, any two that s
// includes: edits in order, applied one after the other, as those of an Event. Paths are sorted by key. An element of
// a list that moved goes, with a splice, and comes. Errors wrap ErrAhead, or are those of src. Its
// cost is that of At, for either version that s is not at.
func (s *State) Edits(src Source, from, to Version) ([]Edit, error) {
	var states [2]*State
	var lacks [2][]causal.Span
	for i, version := range [2]Version{from, to} {
		var err error
		if lacks[i], err = s.lacks(version); err != nil {
			return nil, err
		}
		if states[i] = s; len(lacks[i]) > 0 {
			lvs, _ := s.graph.LVs(version)
			if states[i], err = At(s.chains, lvs, src); err != nil {
				return nil, err
			}
		}
	}
	d := differ{s: s, a: states[0], b: states[1], lacksA: lacks[0], lacksB: lacks[1]}
	d.maps(s.shownRoot(), d.a.root, d.b.root)
	return d.out, nil
}

// differ compares two states with the help of a third, which has all that they have.
type differ struct {
	s, a, b        *State
	lacksA, lacksB []causal.Span
	path           []string
	out            []Edit
}

// maps compares two maps. all has whatever they have, but is nil if that cannot be told: in an opaque slice.
func (d *differ) maps(all, a, b *mapContent) {
	keys := sortedKeys(a.places)
	for key := range b.places {
		if a.places[key] == nil {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		var p *place
		if all != nil {
			p = all.places[key]
		}
		d.places(key, p, a.places[key], b.places[key])
	}
}

// places compares what is shown at a place.
func (d *differ) places(key string, all, a, b *place) {
	var was, is *entry
	if a != nil {
		was = a.shown(d.a)
	}
	if b != nil {
		is = b.shown(d.b)
	}
	if was == nil && is == nil {
		return
	}
	d.path = append(d.path, key)
	defer func() { d.path = d.path[:len(d.path)-1] }()
	if was == nil || is == nil || was.kind != is.kind || was.birth != is.birth {
		d.replaced(was, is)
		return
	}
	var e *entry
	if all != nil {
		e = all.find(is.kind, is.birth)
	}
	d.entries(e, was, is)
}

// replaced notes that is is shown where was was.
func (d *differ) replaced(was, is *entry) {
	e := Edit{Path: slices.Clone(d.path)}
	if was != nil {
		v := d.a.valueOf(was)
		e.Kind, e.Old = was.kind, &v
	}
	if is != nil {
		v := d.b.valueOf(is)
		e.Kind, e.New = is.kind, &v
	}
	if was == nil || is == nil || *e.Old != *e.New || was.kind != is.kind {
		d.out = append(d.out, e)
	}
}

// entries compares one container at two versions.
func (d *differ) entries(all, was, is *entry) {
	e := Edit{Path: slices.Clone(d.path), Kind: is.kind}
	switch b := is.content.(type) {
	case *mapContent:
		var c *mapContent
		if all != nil {
			c = all.content.(*mapContent)
		}
		d.maps(c, was.content.(*mapContent), b)
		return
	case *listContent:
		var c *listContent
		if all != nil {
			c = all.content.(*listContent)
		}
		d.lists(c, was.content.(*listContent), b)
		return
	case memberContent:
		a := was.content.(memberContent)
		e.Removed = slices.DeleteFunc(a.elements(), b.has)
		e.Added = slices.DeleteFunc(b.elements(), a.has)
	case *textContent:
		if all == nil {
			d.replaced(was, is)
			return
		}
		changed, _ := hunks(d.s.graph, &all.content.(*textContent).ops, d.lacksA, d.lacksB, false)
		for _, h := range changed {
			e.Splices = append(e.Splices, Splice{Pos: h.pos, Deleted: h.deleted, Inserted: h.inserted,
				Text: b.rope.Slice(h.pos, h.pos+h.inserted)})
		}
		e.Marks = diffMarks(follow(was.content.(*textContent).allMarks(d.a), changed), b.allMarks(d.b))
	default:
		d.replaced(was, is)
		return
	}
	if !e.isNothing() {
		d.out = append(d.out, e)
	}
}

// allMarks returns the marks of a text, by name, then in order.
func (c *textContent) allMarks(s *State) []MarkRange {
	if c.marks == nil {
		return nil
	}
	return c.marks.runs(c.ends(s), len(c.marks.ops), 0, c.rope.Len())
}

// follow returns where marks are after changes to the text, of which what is inserted bears none.
func follow(marks []MarkRange, changed []hunk) (out []MarkRange) {
	for _, m := range marks {
		by := 0 // how much further to the right it is what follows the hunks so far
		for _, h := range changed {
			start := h.pos - by // in the old text
			if m.From < start {
				if to := min(m.To, start); m.From < to {
					out = append(out, MarkRange{m.From + by, to + by, m.Mark})
				}
			}
			m.From = max(m.From, min(start+h.deleted, m.To))
			if m.From >= m.To {
				break
			}
			by += h.inserted - h.deleted
		}
		if m.From < m.To {
			out = append(out, MarkRange{m.From + by, m.To + by, m.Mark})
		}
	}
	return out
}

// lists compares two lists, which know their elements by name.
func (d *differ) lists(all, a, b *listContent) {
	var before, after []causal.LV
	a.each(func(lv causal.LV) { before = append(before, lv) })
	b.each(func(lv causal.LV) { after = append(after, lv) })
	stays := staying(before, after)
	var splices []Splice
	i, j := 0, 0
	for i < len(before) || j < len(after) {
		sp := Splice{Pos: j}
		for ; i < len(before) && !stays[before[i]]; i++ {
			sp.Deleted++
		}
		for ; j < len(after) && !stays[after[j]]; j++ {
			sp.Inserted++
			sp.Values = append(sp.Values, newValue(b.appendElement(d.b, after[j], nil)))
		}
		if sp.Deleted+sp.Inserted > 0 {
			splices = append(splices, sp)
		}
		for i < len(before) && j < len(after) && before[i] == after[j] && stays[after[j]] {
			i, j = i+1, j+1
		}
	}
	if len(splices) > 0 {
		d.out = append(d.out, Edit{Path: slices.Clone(d.path), Kind: List, Splices: splices})
	}
	for j, lv := range after {
		if !stays[lv] || a.places[lv] == nil && b.places[lv] == nil {
			continue // as it was inserted, at either version
		}
		var p *place
		if all != nil && all.inserted(lv) {
			p = all.peek(lv)
		}
		d.places(strconv.Itoa(j), p, a.peek(lv), b.peek(lv))
	}
}

// staying returns those elements of before that are in after too and need not move for that: a longest ascending
// subsequence.
func staying(before, after []causal.LV) map[causal.LV]bool {
	at := make(map[causal.LV]int, len(before))
	for i, lv := range before {
		at[lv] = i
	}
	type link struct {
		at, back int // where the element was in before; the link before it, -1 for none
		lv       causal.LV
	}
	var links []link
	var ends []int // by length less one: the link that ends a subsequence of that length the lowest
	for _, lv := range after {
		i, ok := at[lv]
		if !ok {
			continue
		}
		n := sort.Search(len(ends), func(k int) bool { return links[ends[k]].at >= i })
		l := link{at: i, back: -1, lv: lv}
		if n > 0 {
			l.back = ends[n-1]
		}
		links = append(links, l)
		if n == len(ends) {
			ends = append(ends, 0)
		}
		ends[n] = len(links) - 1
	}
	stays := make(map[causal.LV]bool, len(ends))
	if len(ends) > 0 {
		for k := ends[len(ends)-1]; k >= 0; k = links[k].back {
			stays[links[k].lv] = true
		}
	}
	return stays
}
