package crdt

import (
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/sequence"
)

// BlameRun says who wrote a stretch of a Text or List, and when.
type BlameRun struct {
	Pos int `json:"pos"`
	Len int `json:"len"`
	// Dot is that of the op that inserted the first code point or element; those of the others count up.
	Dot Dot `json:"dot"`
	// Time and Until are when the first and the last change of the run were made, as their author claims, in unix ms.
	Time  int64 `json:"time"`
	Until int64 `json:"until"`
}

// Blame returns who wrote what of the text, in order and without gaps. What one actor inserted in one go is one run: the
// dots follow each other, and between two changes lie no more than pause milliseconds. If pause is below 0 a
// run is of one change. It costs one replay of the text's history.
func (v *TextView) Blame(pause int64) []BlameRun {
	e := v.entry()
	if e == nil {
		return nil
	}
	b := blamer{s: v.s, pause: pause}
	e.content.(*textContent).ops.Compare(v.s.graph, nil, nil, true, func(s sequence.Stretch) bool {
		if s.A {
			b.add(causal.Span{Start: s.LV, End: s.LV + causal.LV(s.N)})
		}
		return true
	})
	return b.out
}

// Blame returns who inserted which elements of the list, as it does for a Text. Whoever moved or set them since is
// not told. The elements know it, so it costs nothing but the answer.
func (v *ListView) Blame(pause int64) []BlameRun {
	c := v.content()
	if c == nil {
		return nil
	}
	b := blamer{s: v.s, pause: pause}
	c.elements.Spans(func(s causal.Span) bool {
		b.add(s)
		return true
	})
	return b.out
}

// blamer makes runs of the elements it is given in order.
type blamer struct {
	s     *State
	pause int64
	pos   int
	last  causal.Span // the change that the last run ends in
	out   []BlameRun
}

// add adds the elements of span, by actor and change.
func (b *blamer) add(span causal.Span) {
	g := b.s.graph
	n := min(span.End, g.Len())
	if span.Start < n {
		g.Runs(causal.Span{Start: span.Start, End: n}, func(r causal.Run) bool {
			for at := b.s.chains.change(r.Start); r.Start < r.End; at++ {
				c, i := b.s.chains.infos.at(at)
				change := c.span(i)
				dot := causal.Dot{Actor: g.Actor(r.Actor), Seq: r.Seq}
				k := min(change.End, r.End) - r.Start
				b.piece(dot, int(k), change, c.time(i))
				r.Start, r.Seq = r.Start+k, r.Seq+causal.Seq(k)
			}
			return true
		})
	}
	if n = max(span.Start, n); n < span.End { // of the transaction under way
		b.piece(b.s.dot(n), int(span.End-n), causal.Span{Start: b.s.pass.base, End: span.End}, b.s.draft.time)
	}
}

// piece adds n elements that one change inserted.
func (b *blamer) piece(dot Dot, n int, change causal.Span, time int64) {
	defer func() { b.last, b.pos = change, b.pos+n }()
	if k := len(b.out) - 1; k >= 0 {
		r := &b.out[k]
		goesOn := r.Dot.Actor == dot.Actor && r.Dot.Seq+causal.Seq(r.Len) == dot.Seq
		if goesOn && (b.last.Start == change.Start || b.pause >= 0 && time-r.Until <= b.pause) {
			r.Len, r.Until = r.Len+n, time
			return
		}
	}
	b.out = append(b.out, BlameRun{Pos: b.pos, Len: n, Dot: dot, Time: time, Until: time})
}
