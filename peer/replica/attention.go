package replica

import (
	"container/heap"
	"math"
	"slices"
)

// A replica in the middle of thousands of peers must not look at all of them whenever something comes from one, or time passes. So it keeps
// in mind those with whom something happened, and when each of the others is due.

// attention is which peers are to be looked at.
type attention struct {
	touched []*peer // each once, and whether there is something to say to it has not been looked at since
	retimed []*peer // each once: what was known of when it is due may be wrong
	known   bool    // when each of the others is due is known
	dues    dueHeap // of them; what is not as its peer says is void
	all     bool    // Tick looks at all peers whether or not it is known that they are not due: for tests
}

// due is when Tick has something to do for a peer.
type due struct {
	at int64
	p  *peer
}

// dueHeap has the peer that is due first at the top. It is a heap.Interface.
type dueHeap []due

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].at < h[j].at }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any)        { *h = append(*h, x.(due)) }
func (h *dueHeap) Pop() any          { h.drop(); return nil }

// drop takes off the last one.
func (h *dueHeap) drop() {
	n := len(*h) - 1
	(*h)[n] = due{}
	*h = (*h)[:n]
}

// pop takes off the top.
func (h *dueHeap) pop() {
	h.Swap(0, len(*h)-1)
	h.drop()
	if len(*h) > 1 {
		heap.Fix(h, 0)
	}
}

// touch notes that there may be something to say to p, or to do for it at another time than was thought.
func (r *Replica) touch(p *peer) {
	if !p.touched {
		p.touched = true
		r.attention.touched = append(r.attention.touched, p)
	}
	r.retime(p)
}

// retime notes that there may be something to do for p at another time than was thought.
func (r *Replica) retime(p *peer) {
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
	r.retimeAll()
}

// retimeAll is retime for all peers.
func (r *Replica) retimeAll() {
	a := &r.attention
	a.known = false
	for _, p := range a.retimed {
		p.retimed = false
	}
	a.retimed = a.retimed[:0]
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

// takeTouched returns the peers that were touched, sorted by device, and forgets them. What is said to them changes when they are due.
func (r *Replica) takeTouched() []*peer {
	t := r.attention.touched
	r.attention.touched = nil
	for _, p := range t {
		p.touched = false
		r.retime(p)
	}
	slices.SortFunc(t, func(a, b *peer) int { return a.device.Compare(b.device) })
	return t
}

// timePeers works out when peers are due of which that is not known.
func (r *Replica) timePeers() {
	a := &r.attention
	if a.known && len(a.dues) < 4*len(r.order)+64 {
		for _, p := range a.retimed {
			p.retimed = false
			if at := r.peerTick(p); at != p.due {
				p.due = at
				a.dues = append(a.dues, due{at, p})
				heap.Fix(&a.dues, len(a.dues)-1)
			}
		}
		a.retimed = a.retimed[:0]
		return
	}
	r.retimeAll()
	clear(a.dues)
	a.dues, a.known = a.dues[:0], true
	for _, p := range r.order {
		p.due = r.peerTick(p)
		a.dues = append(a.dues, due{p.due, p})
	}
	heap.Init(&a.dues)
}

// peersAt returns when Tick has something to do for a peer, if that is before at.
func (r *Replica) peersAt(at int64) int64 {
	r.timePeers()
	a := &r.attention
	for len(a.dues) > 0 && a.dues[0].at != a.dues[0].p.due {
		a.dues.pop()
	}
	if len(a.dues) > 0 {
		at = min(at, a.dues[0].at)
	}
	return at
}

// takeDue returns the peers for which Tick has something to do, sorted by device. When they are due next is to be worked out anew.
func (r *Replica) takeDue() []*peer {
	if r.attention.all {
		r.retimeAll()
		return r.order
	}
	r.timePeers()
	a := &r.attention
	var out []*peer
	for len(a.dues) > 0 && a.dues[0].at <= r.now {
		d := a.dues[0]
		if a.dues.pop(); d.at == d.p.due {
			d.p.due = math.MaxInt64
			r.retime(d.p)
			out = append(out, d.p)
		}
	}
	slices.SortFunc(out, func(a, b *peer) int { return a.device.Compare(b.device) })
	return out
}
