package replica

import (
	"math"
	"slices"
)

// A replica in the middle of thousands of peers must not look at all of them whenever something comes from one. So it keeps
// in mind those with whom something happened, and when the first of the others is due.

// attention is which peers are to be looked at.
type attention struct {
	touched []*peer // each once, and whether there is something to say to it has not been looked at since
	retimed []*peer // since the last NextTick
	due     int64   // when one of the others is due, at the earliest
	known   bool    // that is known
}

// touch notes that there may be something to say to p, or to do for it sooner than was thought.
func (r *Replica) touch(p *peer) {
	if !p.touched {
		p.touched = true
		r.attention.touched = append(r.attention.touched, p)
	}
	if !p.retimed && r.attention.known {
		p.retimed = true
		r.attention.retimed = append(r.attention.retimed, p)
	}
}

// touchAll is touch for all peers.
func (r *Replica) touchAll() {
	for _, p := range r.order {
		r.touch(p)
	}
	r.attention.known = false
}

// anyTouched reports whether there is something to say to a peer that was touched. Those to whom there is not are forgotten.
func (r *Replica) anyTouched() bool {
	for t := &r.attention.touched; len(*t) > 0; {
		last := len(*t) - 1
		p := (*t)[last]
		if r.hasMessages(p) {
			return true
		}
		p.touched = false
		*t = (*t)[:last]
	}
	return false
}

// soon says that a peer is due with the next Tick.
func (a *attention) soon(now int64) { a.due = min(a.due, now) }

// takeTouched returns the peers that were touched, sorted by device, and forgets them.
func (r *Replica) takeTouched() []*peer {
	t := r.attention.touched
	r.attention.touched = nil
	for _, p := range t {
		p.touched = false
	}
	slices.SortFunc(t, func(a, b *peer) int { return a.device.Compare(b.device) })
	return t
}

// peersAt returns when Tick has something to do for a peer, at the earliest, as far as it is before at.
func (r *Replica) peersAt(at int64) int64 {
	a := &r.attention
	if a.known && a.due <= r.now {
		return a.due
	}
	list := a.retimed
	if !a.known {
		list, a.due, a.known = r.order, math.MaxInt64, true
	}
	for _, p := range a.retimed {
		p.retimed = false
	}
	a.retimed = a.retimed[:0]
	for _, p := range list {
		a.due = min(a.due, r.peerTick(p))
		if a.due <= r.now {
			break // after the Tick that is due all are looked at anew
		}
	}
	return min(at, a.due)
}
