package replica

import (
	"errors"
	"fmt"
	"slices"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// Rewrite replaces the end of the log.
type Rewrite struct {
	// From is the first op that goes: that of a block, as Log.Start gave it. Blocks go on from there.
	From   causal.LV
	Blocks []Block
	// Moved says under which names what this device wrote is found now.
	Moved []Moved
}

// Moved says that an actor's ops from From on are those of another from To on, in the same order.
type Moved struct{ From, To causal.Dot }

// Of returns the name of d after the move, and false if it did not move.
func (m Moved) Of(d causal.Dot) (causal.Dot, bool) {
	if d.Actor != m.From.Actor || d.Seq < m.From.Seq {
		return d, false
	}
	return causal.Dot{Actor: m.To.Actor, Seq: d.Seq - m.From.Seq + m.To.Seq}, true
}

// before returns a copy of the chains as they were before op end, with every signature that is kept.
func (r *Replica) before(end causal.LV) (*crdt.Copy, error) {
	c := crdt.NewCopy(r.cfg.Store)
	if end == 0 {
		return c, nil
	}
	var failed error
	err := r.source.Changes(causal.Span{End: end}, func(a crdt.Accepted) bool {
		if a.Span.End <= end {
			_, failed = r.copyChange(c, a)
		}
		return a.Span.End < end && failed == nil
	})
	if err = errors.Join(err, failed); err == nil && c.Chains().Graph().Len() != end {
		err = fmt.Errorf("replica: the log ends at %d, before %d", c.Chains().Graph().Len(), end)
	}
	return c, err
}

// copyChange adds a, which r holds, to c, with its signature.
func (r *Replica) copyChange(c *crdt.Copy, a crdt.Accepted) (crdt.Accepted, error) {
	start := a.Span.Start
	own, ok := r.graph.LVOf(r.graph.ActorOf(start), a.Seq-1)
	if !ok {
		own = -1
	}
	copied, err := c.Add(a.Change, a.Span, own, r.graph.Parents(start))
	if s, ok := r.chains.SignatureAt(a.Span.End - 1); ok && err == nil {
		c.Chains().AddSignature(s)
	}
	return copied, err
}

// rewriter writes a log anew from some op on.
type rewriter struct {
	r     *Replica
	c     *crdt.Copy
	gone  []causal.Span // what is left out, to be written anew
	moved []Moved
	list  []crdt.Accepted // what was added to c, from Rewrite.From on
	first int             // of list, the first that is not kept
}

// rewrite returns the log without the own changes from split on that others hold otherwise, and without what builds on them, but with the
// same as new changes of new actors. ok is false if that cannot be done: the log then stays as it is.
func (r *Replica) rewrite(split causal.LV) (rw *Rewrite, ok bool, err error) {
	from := min(r.cfg.Log.Start(split), r.source.stable)
	c, err := r.before(split)
	if err != nil {
		return nil, false, err
	}
	w := &rewriter{r: r, c: c}
	// What stays of the block that is cut.
	if err := r.source.Changes(causal.Span{Start: from, End: split}, func(a crdt.Accepted) bool {
		w.list = append(w.list, a)
		return true
	}); err != nil {
		return nil, false, err
	}
	var again []crdt.Accepted
	var failed error
	err = r.source.Changes(causal.Span{Start: split, End: r.graph.Len()}, func(a crdt.Accepted) bool {
		if a.Span.Start > split && !w.follows(a) {
			var copied crdt.Accepted
			copied, failed = r.copyChange(c, a)
			w.list = append(w.list, copied)
			return failed == nil
		}
		if _, ok := w.dot(a.Dot()); !ok {
			w.move(causal.Dot{Actor: a.Actor, Seq: a.Seq})
		}
		w.gone = causal.AppendSpan(w.gone, a.Span)
		again = append(again, a)
		return true
	})
	if err = errors.Join(err, failed); err != nil {
		return nil, false, err
	}
	w.first = len(w.list)
	for _, a := range again {
		if !w.again(a) {
			return nil, false, nil
		}
	}
	blocks, ok := w.blocks(from)
	return &Rewrite{From: from, Blocks: blocks, Moved: w.moved}, ok, nil
}

// readyToRewrite returns the Ready that asks for what others hold otherwise to be written anew, if that is to be done now and can be.
func (r *Replica) readyToRewrite() (Ready, bool) {
	s := &r.self
	if !s.parted {
		return Ready{}, false
	}
	s.parted = false
	rw, ok, err := r.rewrite(s.split)
	if err != nil || !ok {
		// It goes out as it is, and becomes a fork.
		r.release()
		return Ready{}, false
	}
	rd := Ready{Rewrite: rw}
	for _, m := range rw.Moved {
		if m.From.Actor == r.Actor() {
			r.author.actors[0], s.renewed = m.To.Actor, true
		}
	}
	if s.renewed {
		rd.Actor = r.Actor()
	}
	s.done = true
	r.out = output{waiting: true, sealed: r.sealed}
	return rd, true
}

// move gives an actor's ops from d on to a new actor: first the one that the replica writes as since, if that has written nothing yet.
func (w *rewriter) move(d causal.Dot) {
	to := w.r.Actor()
	if len(w.moved) > 0 || w.r.graph.Last(to) > 0 {
		to = w.r.cfg.NewActor()
	}
	w.moved = append(w.moved, Moved{From: d, To: causal.Dot{Actor: to, Seq: 1}})
}

// dot returns the name of d in the new log, and whether it is another.
func (w *rewriter) dot(d causal.Dot) (causal.Dot, bool) {
	for _, m := range w.moved {
		if d, ok := m.Of(d); ok {
			return d, true
		}
	}
	return d, false
}

// follows reports whether a builds on what is left out, and has to be written anew as well.
func (w *rewriter) follows(a crdt.Accepted) bool {
	return slices.ContainsFunc(w.r.graph.Parents(a.Span.Start), func(p causal.LV) bool {
		return slices.ContainsFunc(w.gone, func(s causal.Span) bool { return s.Contains(p) })
	})
}

// again writes a anew: the same ops at the same version by the actor that took its author's place. It reports false if it cannot, since
// this version does not understand what is in it.
func (w *rewriter) again(a crdt.Accepted) bool {
	var ops []*crdt.Op
	a.Ops(func(_ causal.Seq, _ string, op *crdt.Op) bool {
		if op.Void {
			ops = nil
			return false
		}
		o := *op
		o.Elem, _ = w.dot(o.Elem)
		o.Path = slices.Clone(o.Path)
		for i := range o.Path {
			o.Path[i].Elem, _ = w.dot(o.Path[i].Elem)
			o.Path[i].Birth, _ = w.dot(o.Path[i].Birth)
		}
		ops = append(ops, &o)
		return true
	})
	if len(ops) == 0 {
		return false
	}
	first, _ := w.dot(causal.Dot{Actor: a.Actor, Seq: a.Seq})
	parents, ok := w.c.LVs(w.r.graph.Parents(a.Span.Start))
	if !ok {
		return false
	}
	slices.Sort(parents)
	ch := w.c.Chains().NewChange(first.Actor, first.Seq, a.Time, parents, ops)
	if ch.Validate() != nil || ch.Len() != a.Len() {
		return false
	}
	anew := w.c.Chains().Author(ch, parents)
	w.c.Put(a.Span, anew.Span.Start)
	w.list = append(w.list, anew)
	return true
}

// signOwn signs own changes where a batch needs it: where another actor takes over, and where each actor ends.
func (w *rewriter) signOwn(changes []crdt.Accepted) {
	c := w.c.Chains()
	ended := make(map[causal.Actor]bool)
	for i := len(changes) - 1; i >= 0; i-- {
		a := changes[i]
		_, signed := c.SignatureAt(a.Span.End - 1)
		if a.Actor.Device == w.r.cfg.Device && !signed && (!ended[a.Actor] || changes[i+1].Actor != a.Actor) {
			tip, err := c.TipAt(a.Span.End - 1)
			if err != nil {
				panic(err) // nothing of a copy rests
			}
			s := crdt.Signature{Dot: tip.Dot()}
			copy(s.Sig[:], w.r.cfg.Sign(crdt.SigningBytes(tip.Hash)))
			c.AddSignature(s)
		}
		ended[a.Actor] = true
	}
}

// blocks returns what was added to the new chains in blocks that go on from a log of from ops. ok is false if a batch would be too large, or
// would have two branches of a log.
func (w *rewriter) blocks(from causal.LV) (out []Block, ok bool) {
	add := func(changes []crdt.Accepted) bool {
		if len(changes) == 0 {
			return true
		}
		if !w.c.Chains().OneBatch(changes) {
			return false
		}
		w.signOwn(changes)
		batch := w.c.Chains().AppendBatch(nil, changes)
		out = append(out, Block{First: changes[0].Span.Start, Batch: batch})
		return len(batch) <= crdt.MaxBatchBytes && len(changes) <= crdt.MaxBatchChanges
	}
	ok = add(w.list[:w.first])
	for rest := w.list[w.first:]; ok && len(rest) > 0; {
		n, size := 0, 0
		for n < len(rest) && n < crdt.TargetBatchChanges && size < crdt.TargetBatchBytes {
			size += rest[n].Size()
			n++
		}
		ok = add(rest[:n])
		rest = rest[n:]
	}
	return out, ok && len(out) > 0 && out[0].First == from
}
