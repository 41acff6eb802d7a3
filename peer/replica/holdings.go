package replica

import (
	"slices"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// holdings is a summary in parts (see digest.go), each of which is shared with other holdings until it changes. A replica keeps several for every
// peer, and each mostly differs from another in few tips: in a store of a thousand actors a summary takes 80 kB, and what it takes more than another
// a kilobyte or two. A part that is shared is hashed once.
//
// A nil holdings is an empty one, not to be written to.
type holdings struct {
	parts [digestParts]*holdingsPart // nil: nothing is in it
	own   uint64                     // bits of the parts that are in no other holdings, and may be written to
	n     int                        // tips in all
}

// holdingsPart is one part of a summary, not empty.
type holdingsPart struct {
	tips   summary
	hash   crdt.Hash
	hashed bool // hash is right
}

// holdingsOf returns s in parts. They refer to s, which must not be written to.
func holdingsOf(s summary) *holdings {
	h := &holdings{n: len(s)}
	for len(s) > 0 {
		i, n := partOf(s[0].Actor.Device), 1
		for n < len(s) && partOf(s[n].Actor.Device) == i {
			n++
		}
		h.parts[i] = &holdingsPart{tips: s[:n:n]}
		s = s[n:]
	}
	return h
}

// copy returns holdings with the same in them, to be written to. h must not be from then on.
func (h *holdings) copy() *holdings {
	out := new(holdings)
	if h != nil {
		out.parts, out.n = h.parts, h.n
	}
	return out
}

// len returns the number of tips.
func (h *holdings) len() int {
	if h == nil {
		return 0
	}
	return h.n
}

// part returns the tips of part i.
func (h *holdings) part(i int) summary {
	if h == nil || h.parts[i] == nil {
		return nil
	}
	return h.parts[i].tips
}

// all yields the tips in order.
func (h *holdings) all(yield func(crdt.Tip) bool) {
	for i := range digestParts {
		for _, t := range h.part(i) {
			if !yield(t) {
				return
			}
		}
	}
}

// summary returns the tips in order, in a new slice.
func (h *holdings) summary() summary {
	return slices.AppendSeq(make(summary, 0, h.len()), h.all)
}

// of returns the tips of a: one, or several if its log is forked.
func (h *holdings) of(a causal.Actor) []crdt.Tip {
	return h.part(partOf(a.Device)).of(a)
}

// ofDevice returns the tips of a device's actors.
func (h *holdings) ofDevice(d causal.Device) []crdt.Tip {
	tips := h.part(partOf(d))
	from, _ := slices.BinarySearchFunc(tips, d, func(t crdt.Tip, d causal.Device) int { return t.Actor.Device.Compare(d) })
	to := from
	for to < len(tips) && tips[to].Actor.Device == d {
		to++
	}
	return tips[from:to]
}

// seq returns the last seq of a, 0 if there is none.
func (h *holdings) seq(a causal.Actor) causal.Seq {
	if tips := h.of(a); len(tips) > 0 {
		return tips[len(tips)-1].Seq
	}
	return 0
}

// set puts t in place of the tips of its actor.
func (h *holdings) set(t crdt.Tip) { h.replace(t.Actor, []crdt.Tip{t}) }

// replace puts tips, sorted, in place of those of a.
func (h *holdings) replace(a causal.Actor, tips []crdt.Tip) {
	i := partOf(a.Device)
	before, room := h.part(i), 0
	least := len(before) + len(tips)
	switch {
	case h.own&(1<<i) == 0:
		h.parts[i], room = new(holdingsPart), least
		h.own |= 1 << i
	case least > cap(before):
		room = least + 3 // parts are many, and grow little
	}
	p := h.parts[i]
	if room > 0 {
		p.tips = append(make(summary, 0, room), before...)
	}
	h.n -= len(p.tips)
	p.tips.replace(a, tips)
	p.hashed = false
	if h.n += len(p.tips); len(p.tips) == 0 {
		h.parts[i] = nil
		h.own &^= 1 << i
	}
}

// equal reports whether the tips are those of s.
func (h *holdings) equal(s []crdt.Tip) bool {
	if h.len() != len(s) {
		return false
	}
	for i := range digestParts {
		tips := h.part(i)
		if !slices.Equal(tips, s[:len(tips)]) {
			return false
		}
		s = s[len(tips):]
	}
	return true
}

// difference returns what turns base into h: all tips in h of each actor of whom base has not just the same, and a tip
// of seq 0 for each actor that only base has.
func (h *holdings) difference(base *holdings) []crdt.Tip {
	var out []crdt.Tip
	for i := range digestParts {
		if s, b := h.part(i), base.part(i); len(s) != len(b) || len(s) > 0 && &s[0] != &b[0] {
			out = append(out, s.difference(b)...)
		}
	}
	return out
}

// with returns h changed by what difference returned. h must not be written to from then on.
func (h *holdings) with(difference []crdt.Tip) *holdings {
	out := h.copy()
	for d := summary(difference); len(d) > 0; {
		n := d.end(0)
		tips := d[:n]
		if d[0].Seq == 0 {
			tips = nil
		}
		out.replace(d[0].Actor, tips)
		d = d[n:]
	}
	return out
}
