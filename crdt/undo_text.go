package crdt

import (
	"cmp"
	"slices"
	"unicode/utf8"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/sequence"
)

// textUndo is how to undo what a change did in a text: edits, one after the other, each of which deletes or
// inserts.
type textUndo struct {
	edits []textEdit
	left  int // code points there are then
}

type textEdit struct {
	pos, deleted int
	restored     []causal.Span // what inserted it before
}

// stretches returns the elements of a sequence with whether it shows them now, and would without the change. named
// is false if one that it only would has no name.
func (u *undoer) stretches(ops *sequence.Sequence, whole bool) (out []sequence.Stretch, named bool) {
	named = true
	ops.Compare(u.tx.s.graph, nil, []causal.Span{u.span}, whole, func(s sequence.Stretch) bool {
		named = named && (s.A || !s.B || s.LV >= 0)
		out = append(out, s)
		return true
	})
	return out, named
}

// textUndo returns how to undo what the change did in the text c.
func (u *undoer) textUndo(at *undoSpot, c *textContent) *textUndo {
	if at.done.text != nil {
		return at.done.text
	}
	t := &textUndo{left: c.rope.Len()}
	at.done.text = t
	if at.copied || len(u.lineage.elems) > 0 {
		u.textAmongCopies(t, at, c)
		t.settle()
		return t
	}
	all, named := u.stretches(&c.ops, false)
	if !named {
		all, _ = u.stretches(&c.ops, true)
	}
	pos := 0
	for _, s := range all {
		switch {
		case s.A && !s.B:
			t.edits = append(t.edits, textEdit{pos: pos, deleted: s.N})
		case s.B && !s.A:
			t.restore(pos, s.LV, s.N)
		}
		if s.A {
			pos += s.N
		}
	}
	t.settle()
	return t
}

// textAmongCopies does what textUndo does where code points may have been brought back.
func (u *undoer) textAmongCopies(t *textUndo, at *undoSpot, c *textContent) {
	var shown []shownSpan
	pos := 0
	c.ops.Compare(u.tx.s.graph, nil, nil, true, func(s sequence.Stretch) bool {
		if s.A {
			shown = append(shown, shownSpan{causal.Span{Start: s.LV, End: s.LV + causal.LV(s.N)}, pos})
			pos += s.N
		}
		return true
	})
	for _, s := range shown {
		for s.Start < s.End {
			did, k := u.lineage.elems.within(s.Start, s.Len(), u.span)
			if did {
				t.edits = append(t.edits, textEdit{pos: s.pos, deleted: k})
			}
			s.Start, s.pos = s.Start+causal.LV(k), s.pos+k
		}
	}
	if at.was == nil || !at.done.cut {
		return
	}
	all, _ := u.stretches(&at.was.content.(*textContent).ops, true)
	var index []indexedSpan
	n := 0
	for _, s := range all {
		index = append(index, indexedSpan{Span: causal.Span{Start: s.LV, End: s.LV + causal.LV(s.N)}, index: n})
		n += s.N
	}
	o := u.orderOf(index, shown)
	for _, s := range all {
		for i := 0; s.B && !s.A && i < s.N; i++ {
			if lv := s.LV + causal.LV(i); !o.there[lv] {
				t.restore(o.gap(lv), lv, 1)
			}
		}
	}
}

// restore has what inserted n code points from lv on inserted again at a position of what is shown.
func (t *textUndo) restore(pos int, lv causal.LV, n int) {
	span := causal.Span{Start: lv, End: lv + causal.LV(n)}
	if k := len(t.edits) - 1; k >= 0 && t.edits[k].pos == pos && t.edits[k].deleted == 0 {
		t.edits[k].restored = causal.AppendSpan(slices.Clip(t.edits[k].restored), span)
		return
	}
	t.edits = append(t.edits, textEdit{pos: pos, restored: []causal.Span{span}})
}

// settle puts the edits, the positions of which are in what is shown, in order and makes each mean what those before it
// left.
func (t *textUndo) settle() {
	slices.SortStableFunc(t.edits, func(a, b textEdit) int {
		if a.pos == b.pos { // an insertion goes before what is deleted there
			return cmp.Compare(min(a.deleted, 1), min(b.deleted, 1))
		}
		return cmp.Compare(a.pos, b.pos)
	})
	by, out := 0, t.edits[:0]
	for _, e := range t.edits {
		e.pos += by
		n := -e.deleted
		for _, span := range e.restored {
			n += span.Len()
		}
		by += n
		if k := len(out) - 1; k >= 0 && e.deleted > 0 && out[k].deleted > 0 && out[k].pos == e.pos {
			out[k].deleted += e.deleted
			continue
		}
		out = append(out, e)
	}
	t.edits, t.left = out, t.left+by
}

// text undoes what the change did in a text.
func (u *undoer) text(at *undoSpot, c *textContent) {
	t := u.textUndo(at, c)
	var want []causal.Span
	for _, e := range t.edits {
		want = append(want, e.restored...)
	}
	var text written
	if len(want) > 0 {
		var err error
		if text, err = readWritten(u.src, want); err != nil {
			u.tx.fail(err)
			return
		}
	}
	for _, e := range t.edits {
		if e.deleted > 0 {
			u.tx.do(&Op{Code: CodeTextDelete, Len: e.deleted, Path: at.path, Pos: e.pos})
			continue
		}
		var buf []byte
		for _, span := range e.restored {
			buf = text.appendTo(buf, span)
		}
		lv := u.tx.do(&Op{Code: CodeTextInsert, Len: utf8.RuneCount(buf), Path: at.path, Pos: e.pos, Text: string(buf)})
		for _, span := range e.restored {
			u.lineage.elems.add(lv, span.Start, span.Len())
			lv += causal.LV(span.Len())
		}
	}
}
