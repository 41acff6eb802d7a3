package crdt

import (
	"iter"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/sequence"
)

// ApplyAll applies what Chains.Add added, as ApplyQuietly does change by change; what was typed it
// applies run by run, which costs a fraction.
func (s *State) ApplyAll(a *Added) {
	for i := range a.parts {
		p := &a.parts[i]
		if p.typing == nil {
			s.ApplyQuietly(p.Accepted)
			continue
		}
		s.applyKeystrokes(p.typing, p.Span)
	}
	s.Settle()
}

// ApplyEach applies the same change by change. It yields the ops of each when s shows what it did, for reading, until yield returns
// false: the rest is then not applied.
func (s *State) ApplyEach(a *Added) iter.Seq[causal.Span] {
	return func(yield func(causal.Span) bool) {
		for i := range a.parts {
			p := &a.parts[i]
			if p.typing != nil {
				if !s.eachKeystroke(p.typing, p.Span.Start, yield) {
					return
				}
				continue
			}
			s.ApplyQuietly(p.Accepted)
			s.Settle()
			if !yield(p.Span) {
				return
			}
		}
	}
}

// eachKeystroke applies the changes of t, the first op of which is lv, one by one from its columns, as ApplyQuietly would if
// they were made Changes of, which takes twice the time.
func (s *State) eachKeystroke(t *keystrokes, lv causal.LV, yield func(causal.Span) bool) bool {
	path := t.op().Path
	ps, text := &s.pass, t.text
	ps.actor = t.actor // whoever reads what is shown leaves it
	seq := t.seq
	begun := false
	for i := range t.runs {
		r := &t.runs[i]
		pos, step := r.pos, r.step()
		for range r.n {
			span := causal.Span{Start: lv, End: lv + causal.LV(r.size)}
			if begun {
				s.applied.Continue(span.End)
				ps.base, ps.lv = lv, lv
			} else {
				s.start(span, nil)
				begun = true
			}
			ps.first = seq
			n := 0 // bytes
			if r.kind == typeInsert {
				n = bytesOfRunes(text, r.size)
			}
			switch {
			case !s.spot.is(path):
				op := Op{Code: CodeTextInsert, Path: path, Pos: pos, Len: r.size, Text: text[:n]}
				if n == 0 {
					op.Code = CodeTextDelete
				}
				ps.apply(&op)
			case n > 0:
				s.spot.insert(ps, pos, r.size, text[:n])
			default:
				s.spot.delete(ps, pos, r.size)
			}
			s.Settle()
			if !yield(span) {
				return false
			}
			lv, seq, pos, text = span.End, seq+causal.Seq(r.size), pos+step, text[n:]
		}
	}
	return true
}

// applyKeystrokes applies t, the ops of which are span: one walk down the path for all of it, and then its runs.
func (s *State) applyKeystrokes(t *keystrokes, span causal.Span) {
	ps := s.start(span, nil)
	ps.actor, ps.first = t.actor, t.seq
	op := t.op()
	s.spot.leave(op)
	switch {
	case s.opaque[t.slice]:
		return
	case !ps.sees(op):
		for range t.n {
			s.countForeign(t.slice)
		}
		return
	}
	// Each op of a row supersedes the one before it, so of the writes only the last is left alive in the end.
	write, writes := t.lastInsert()
	write += span.Start
	var parent parentContent = s.root
	for i, step := range op.Path {
		p := parent.place(ps, step)
		e := p.entry(ps, step.Kind, step.Birth)
		if writes && p.admits(ps, parent.deletesWins()) {
			ps.supersede(&e.alive, write)
		}
		if i < len(op.Path)-1 {
			parent = e.content.(parentContent)
			continue
		}
		e.content.(*textContent).play(ps, t)
	}
}

// op returns an op of t, as far as all of them are the same.
func (t *keystrokes) op() *Op {
	d := opDecoder{change: &Change{Actor: t.actor}, slice: t.slice}
	path, _, _ := d.readPath(t.path, CodeTextInsert)
	return &Op{Code: CodeTextInsert, Path: path}
}

// lastInsert returns the first op of the last change that inserts, counted from the first of t, and false if none does.
func (t *keystrokes) lastInsert() (causal.LV, bool) {
	at := causal.LV(t.len)
	for i := len(t.runs) - 1; i >= 0; i-- {
		r := &t.runs[i]
		if r.kind == typeInsert {
			return at - causal.LV(r.size), true
		}
		at -= causal.LV(r.n * r.size)
	}
	return 0, false
}

// play applies the runs of t, the first op of which the pass is at. A run of inserts or of deletes at one
// position is what one op would be that does it all: its author saw the same before each, but for the run itself.
func (c *textContent) play(ps *pass, t *keystrokes) {
	text := t.text
	ascii := len(text) == sequence.CountRunes(text)
	for i := range t.runs {
		r := &t.runs[i]
		n := r.n * r.size
		switch r.kind {
		case typeInsert:
			size := n
			if !ascii {
				size = bytesOfRunes(text, n)
			}
			c.insert(ps, r.pos, text[:size], n, nil)
			text = text[size:]
		case typeDelete:
			c.delete(ps, r.pos, n, nil)
		case typeBackspace:
			c.backspace(ps, r)
		}
		ps.lv += causal.LV(n)
	}
}

// backspace applies a run of backspaces, those that take neighbours as one edit to the text shown.
func (c *textContent) backspace(ps *pass, r *typingRun) {
	edits := ps.s.edits[:0]
	if r.size == 1 {
		edits = c.ops.Backspace(ps.s.graph, ps.history, ps.lv, r.pos, r.n, edits)
	} else {
		for i := range r.n {
			edits = c.ops.Delete(ps.s.graph, ps.history, ps.lv+causal.LV(i*r.size), r.pos-i*r.size, r.size, edits)
		}
	}
	if ps.s.edits = edits; cap(edits) > maxRoom {
		ps.s.edits = nil
	}
	pos, deleted := 0, 0
	for _, e := range edits {
		if deleted > 0 && e.Pos+e.Deleted == pos {
			pos, deleted = e.Pos, deleted+e.Deleted
			continue
		}
		if deleted > 0 {
			c.edit(ps, pos, deleted, "", 0, nil)
		}
		pos, deleted = e.Pos, e.Deleted
	}
	if deleted > 0 {
		c.edit(ps, pos, deleted, "", 0, nil)
	}
	c.disturb(ps.s)
}
