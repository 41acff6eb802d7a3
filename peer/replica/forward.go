package replica

import (
	"slices"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// forwarding is what is to be forwarded to peers, and has not been.
type forwarding struct {
	marks    []mark
	lv       causal.LV     // up to where past marks went
	streams  []causal.Span // what came on streams since the last mark
	streamed causal.LV     // where the last of that ends, whenever it came
}

// mark says that the ops before lv were there at a time.
type mark struct {
	from    int64
	lv      causal.LV
	streams []causal.Span // those of them that came on streams since the mark before
}

// came notes that what is new came on a stream.
func (f *forwarding) came(span causal.Span) {
	if span.Len() > 0 {
		f.streams, f.streamed = causal.AppendSpan(f.streams, span), span.End
	}
}

// behind reports whether there is something that no mark covers.
func (f *forwarding) behind(lv causal.LV) bool {
	if len(f.streams) > 0 {
		return true
	}
	if n := len(f.marks); n > 0 {
		return f.marks[n-1].lv != lv
	}
	return f.lv != lv
}

// pass takes out the first n marks.
func (f *forwarding) pass(n int) {
	f.lv = f.marks[n-1].lv
	f.marks = slices.Delete(f.marks, 0, n)
}

// tickForward queues what others wrote for peers not known to hold it, one whole tick after it came:
// by then their Acks have mostly said that they do. What a peer may still get by gossip waits longer.
func (r *Replica) tickForward() {
	due := 0
	for due < len(r.soon.marks) && r.now > r.soon.marks[due].from {
		due++
	}
	if due > 0 {
		var streams []causal.Span
		for _, m := range r.soon.marks[:due] {
			streams = causal.Union(streams, m.streams)
		}
		r.soon.pass(due)
		for _, p := range r.order {
			if !r.gossips(p) {
				r.extend(p, r.soon.lv)
			} else if len(streams) > 0 {
				r.enqueue(p, streams)
			}
		}
	}
	due = 0
	for due < len(r.late.marks) && r.now >= r.lateAt(&r.late.marks[due]) {
		due++
	}
	if due > 0 {
		r.late.pass(due)
		for _, p := range r.order {
			if r.gossips(p) {
				r.extend(p, r.late.lv)
			}
		}
	}
	// What is not sealed ends in no signature, and so in the middle of what can be sent.
	if r.soon.behind(r.sealed) {
		r.soon.marks = append(r.soon.marks, mark{from: r.now, lv: r.sealed, streams: r.soon.streams})
		r.soon.streams = nil
	}
}

// grew notes that something was sealed.
func (r *Replica) grew() {
	r.retimeAll()
	// Counted from the tick that was due next, so that peers who get the same within a tick do not all ask each other after the same time.
	r.grownAt, r.rested = r.now+tickStep-(r.now-max(0, r.ticked))%tickStep, false
	if !r.gossip {
		return
	}
	if r.unsubscribed == 0 && len(r.soon.marks) == 0 {
		r.soon.lv = r.sealed // nobody waits for it
	}
	marks := r.late.marks
	if n := len(marks); n > 0 && r.now-marks[n-1].from < max(tickStep, r.ackDelay()/8) {
		marks[n-1].lv = r.sealed
	} else {
		r.late.marks = append(marks, mark{from: r.now, lv: r.sealed})
	}
}

// forwardAt returns when tickForward has something to do, and false if it never will.
func (r *Replica) forwardAt() (int64, bool) {
	switch {
	case r.soon.behind(r.sealed):
		return r.now, true
	case len(r.soon.marks) > 0:
		return r.soon.marks[0].from + 1, true
	case len(r.late.marks) > 0:
		return r.lateAt(&r.late.marks[0]), true
	}
	return 0, false
}

// extend queues what p is not known to hold of the ops before lv.
func (r *Replica) extend(p *peer, lv causal.LV) {
	if !p.connected || !p.heard || lv <= p.horizon {
		return
	}
	r.enqueue(p, []causal.Span{{Start: p.horizon, End: lv}})
	p.horizon = lv
	r.touch(p)
}

// enqueue queues what p is not known to hold of spans.
func (r *Replica) enqueue(p *peer, spans []causal.Span) {
	if !p.connected || !p.heard {
		return
	}
	var fresh []causal.Span
	for _, span := range spans {
		r.graph.Runs(span, func(run causal.Run) bool {
			a := r.graph.Actor(run.Actor)
			end := run.Seq + causal.Seq(run.Len()) - 1
			if a.Device == p.device && !p.apart[a] && !r.graph.IsForked(run.Actor) {
				// It came from the peer at first, whichever way it took here. Should the peer have lost it, its next
				// summary will say so.
				if h, ok := r.chains.HashAt(causal.Dot{Actor: a, Seq: end}); ok {
					if old := p.known.seq(a); old < end {
						t := crdt.Tip{Actor: a, Seq: end, Hash: h}
						p.ownKnown().set(t)
						r.tally(p, old, t)
					}
				}
				return true
			}
			if known := r.reach(p, run.Actor); known >= run.Seq {
				if known >= end {
					return true
				}
				run.Start += causal.LV(known - run.Seq + 1)
			}
			fresh = causal.AppendSpan(fresh, run.Span)
			return true
		})
	}
	if len(fresh) == 0 {
		return
	}
	r.touch(p)
	fresh = r.sendable(fresh)
	for _, f := range p.inFlight {
		fresh = causal.Subtract(fresh, f.sent)
	}
	if n := len(p.todo); n > 0 && len(fresh) > 0 && fresh[0].Start < p.todo[n-1].End {
		p.todo = causal.Union(p.todo, fresh)
		return
	}
	for _, s := range fresh {
		p.todo = causal.AppendSpan(p.todo, s)
	}
}
