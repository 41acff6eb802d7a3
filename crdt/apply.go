package crdt

import (
	"fmt"

	"github.com/atollsync/atoll/crdt/causal"
)

// Apply applies a change that the state's chains have accepted and returns what it did to
// what s shows. Its dependencies must have been applied, and no op with a higher local version:
// changes are applied in the order in which the chains accepted them. Apply cannot fail: an op without meaning is void and
// has no effect.
func (s *State) Apply(a Accepted) Event {
	t := &s.trace
	from := s.versionTold()
	ops := s.apply(&a, t)
	s.Settle()
	return t.event(s, from, a, ops)
}

// ApplyQuietly is Apply for those who do not ask what happened. See also Settle. Only a.Change and a.Span are looked at.
func (s *State) ApplyQuietly(a Accepted) { s.apply(&a, nil) }

// apply applies a change and returns the number of its ops.
func (s *State) apply(a *Accepted, t *trace) int {
	ps := s.start(a.Span, t)
	ps.actor, ps.first = a.Actor, a.Seq
	n := 0
	switch {
	case t == nil:
		n = ps.stream(a.Change)
	case len(a.Groups) == 1 && s.spot.isPlain(s) && s.spot.takeOne(ps, &a.Groups[0]):
		n = 1
	default:
		var ops []*Op
		a.Ops(func(_ causal.Seq, slice string, op *Op) bool {
			ops = append(ops, op.in(slice))
			return true
		})
		// What was shown where something else may be shown afterwards, noted before anything changes.
		ps.each(ops, func(op *Op) { t.expect(ps, op) })
		ps.each(ops, func(op *Op) { ps.apply(op) })
		n = len(ops)
	}
	return n
}

// in returns op, of the given slice, with a path if it is unknown: its own, if it has one, is of no use here; that it
// lies in this slice is.
func (op *Op) in(slice string) *Op {
	if op.Unknown {
		op.Path = Path{{Key: slice}}
	}
	return op
}

// stream applies the ops of a change one by one as they are decoded, and returns their number.
func (ps *pass) stream(c *Change) int {
	d := &ps.s.decoder
	d.change = nil // c may be where another change was, see BatchDecoder.Passing
	n := 0
	for i := range c.Groups {
		g := &c.Groups[i]
		d.enter(c, g.Slice)
		for b, left := g.Ops, g.Len; left > 0; n++ {
			if rest, k, ok := ps.s.spot.take(ps, g.Slice, b, left); ok {
				b, left, ps.lv = rest, left-k, ps.lv+causal.LV(k)
				continue
			}
			op := &ps.s.op
			*op = Op{}
			b = d.next(b, left, op)
			ps.apply(op.in(g.Slice))
			ps.lv += causal.LV(op.Len)
			left -= op.Len
		}
	}
	ps.s.op.Values = nil // they may be many
	return n
}

// start begins the application of span, ops of one actor: whose, and which, the caller says.
func (s *State) start(span causal.Span, t *trace) *pass {
	if s.writing {
		panic("crdt: Apply during a transaction")
	}
	if end := s.applied.End(); span.Start < end {
		panic(fmt.Sprintf("crdt: Apply of ops [%d, %d) after op %d", span.Start, span.End, end-1))
	}
	// Field by field: it is not worth the time to clear what is there first.
	ps := &s.pass
	ps.base, ps.lv = span.Start, span.Start
	ps.history = s.applied.Take(s.graph, span)
	ps.journaled = false
	if ps.trace != t {
		ps.trace = t
	}
	return ps
}

// each calls f with every op of a change, with the pass at the op.
func (ps *pass) each(ops []*Op, f func(op *Op)) {
	ps.lv = ps.base
	for _, op := range ops {
		f(op)
		ps.lv += causal.LV(op.Len)
	}
}

// apply applies one op and reports whether it has an effect: it is void otherwise. Nothing keeps op itself.
func (ps *pass) apply(op *Op) bool {
	s := ps.s
	here := op.isTyping() && s.spot.is(op.Path)
	if here && ps.trace == nil {
		ps.applyAtSpot(op)
		return true
	}
	if !here {
		s.spot.leave(op)
	}
	switch {
	case op.Unknown:
		s.stats.Void++
		s.stats.Unknown++
		s.setOpaque(op.Path[0].Key)
		return false
	case op.Void:
		s.stats.Void++
		return false
	case s.opaque[op.Path[0].Key]:
		return true // it may well have one, but nobody here can tell
	case !ps.sees(op):
		s.countForeign(op.Path[0].Key)
		return false
	}
	// Nothing below can fail.
	var parent parentContent = s.root
	t := ps.trace.top()
	for i, step := range op.Path {
		p := parent.place(ps, step)
		t = t.touch(ps, step, p)
		deletesWin := parent.deletesWins()
		if op.Code == CodeDelete && i == len(op.Path)-1 {
			p.delete(ps, deletesWin)
			return true
		}
		e := p.entry(ps, step.Kind, step.Birth)
		admitted := true
		if op.Code.Class() == ClassWrite {
			if admitted = p.admits(ps, deletesWin); admitted {
				ps.supersede(&e.alive, ps.lv)
			}
		}
		if i == len(op.Path)-1 {
			ps.applyTo(e, op, admitted, t.content(e))
			if op.isTyping() && !here {
				s.spot.move(s, op.Path)
			}
			return true
		}
		parent = e.content.(parentContent)
		t = t.content(e)
	}
	panic(fmt.Sprintf("crdt: op without a path: %v", op))
}

// applyAtSpot applies a text op at the State's spot.
func (ps *pass) applyAtSpot(op *Op) {
	sp := &ps.s.spot
	if op.Code == CodeTextInsert {
		sp.keepAlive(ps)
		sp.text.insert(ps, op.Pos, op.Text, op.Len, nil)
	} else {
		sp.text.delete(ps, op.Pos, op.Len, nil)
	}
}

// countForeign counts an op of slice that names an element its author never saw.
func (s *State) countForeign(slice string) {
	if s.foreign == nil {
		s.foreign = make(map[string]int)
	}
	s.foreign[slice]++
	s.stats.Void++
}

// applyTo applies op to the content of e. t notes what e showed before, if it did.
func (ps *pass) applyTo(e *entry, op *Op, admitted bool, t *touch) {
	switch c := e.content.(type) {
	case *registerContent:
		if op.Code == CodePut && admitted {
			c.put(ps, op.Value)
		}
	case *counterContent:
		if op.Code == CodeAdd {
			c.add(ps, op.Delta)
		}
	case memberContent:
		applySet(ps, c, op, t)
	case *listContent:
		switch op.Code {
		case CodeListInsert, CodeListNew:
			c.insert(ps, op, t)
		case CodeListDelete:
			c.delete(ps, op.Pos, op.Len, t)
		case CodeListMove:
			c.move(ps, op, t)
		}
	case *textContent:
		switch op.Code {
		case CodeTextInsert:
			c.insert(ps, op.Pos, op.Text, op.Len, t)
		case CodeTextDelete:
			c.delete(ps, op.Pos, op.Len, t)
		case CodeTextMark, CodeTextUnmark:
			c.mark(ps, op, t)
		}
	}
}

// sees reports whether every element that op's path leads through, and the one that it moves, was inserted, into
// the list it is said to be in, by an op that the author saw. Whether it was deleted since does not matter.
func (ps *pass) sees(op *Op) bool {
	path := op.Path
	if len(path) == 1 && op.Code != CodeListMove {
		return true // a slice
	}
	var c content = ps.s.root
	for i, step := range path {
		if l, ok := c.(*listContent); ok && i == len(path)-1 && op.Code != CodeListMove {
			return ps.seesElement(l, step.Elem, step.Branch) // what it holds does not matter
		}
		var p *place
		if c != nil {
			p = ps.peek(c, step)
		}
		if p == nil && i > 0 && path[i-1].Kind == List {
			return false
		}
		c = nil
		if p != nil {
			if e := p.find(step.Kind, step.Birth); e != nil {
				c = e.content
			}
		}
	}
	if op.Code != CodeListMove {
		return true
	}
	l, ok := c.(*listContent)
	return ok && ps.seesElement(l, op.Elem, op.Branch)
}

// peek returns the place below c that step leads to, for reading, nil if there is none.
func (ps *pass) peek(c content, step Step) *place {
	switch c := c.(type) {
	case *mapContent:
		return c.places[step.Key]
	case *listContent:
		if ps.seesElement(c, step.Elem, step.Branch) {
			lv, _ := ps.find(step.Elem, step.Branch)
			return c.peek(lv)
		}
	}
	return nil
}

// seesElement reports whether d inserted an element into c, deleted since or not, and the author saw that.
func (ps *pass) seesElement(c *listContent, d causal.Dot, on *Tip) bool {
	lv, ok := ps.find(d, on)
	return ok && c.inserted(lv)
}
