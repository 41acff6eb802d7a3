package crdt

import (
	"fmt"
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// batchWithOne is a Batch of one change with what such a one mostly holds, in one piece of memory.
type batchWithOne struct {
	batch   Batch
	single  [1]*Change
	parts   [1]batchPart
	context [1]Anchor
}

// onesRoom is how many of these are made in one piece at most, once it is clear that more than one is wanted.
const onesRoom = 16

// newOne returns room for a batch of one change.
func (c *Chains) newOne() *batchWithOne {
	r := &c.checker
	if len(r.ones) == 0 {
		r.onesPiece = min(max(2*r.onesPiece, 1), onesRoom)
		r.ones = make([]batchWithOne, r.onesPiece)
	}
	room := &r.ones[0]
	r.ones = r.ones[1:]
	return room
}

// batchOfOne is BatchOf for one change, as it is sent the moment it is made.
func (c *Chains) batchOfOne(a *Accepted) (*Batch, error) {
	ch := a.Change
	room := c.newOne()
	b := &room.batch
	b.single, b.parts, b.Context = room.single[:0], room.parts[:0], room.context[:0]
	b.Append(ch)
	own := c.graph.ActorOf(a.Span.Start)
	if ch.Seq > 1 {
		lv, _ := c.graph.LVOf(own, ch.Seq-1)
		a, err := c.anchorAt(lv)
		if err != nil {
			return nil, err
		}
		b.Context = append(b.Context, a)
	}
	for i, d := range ch.Refs {
		if d.Seq > 0 && ch.branch(i) == nil {
			lv, _ := c.dep(a.Span.Start, d)
			a, err := c.anchorAt(lv)
			if err != nil {
				return nil, err
			}
			b.Context = append(b.Context, a)
		}
	}
	if len(b.Context) > 1 {
		slices.SortFunc(b.Context, func(x, y Anchor) int { return x.Dot().Compare(y.Dot()) })
	}
	b.Sigs = c.keptSigs(own, ch.Seq, ch.Seq+causal.Seq(ch.Len()))
	return b, nil
}

// anchorAt returns the change whose last op is lv as what a batch builds on. Its hash may have to be computed again, which fails
// if the source does.
func (c *Chains) anchorAt(lv causal.LV) (Anchor, error) {
	k, j := c.endAt(lv)
	hash, err := c.hash(k, j)
	d := c.graph.Dot(lv)
	return Anchor{Tip: Tip{Actor: d.Actor, Seq: d.Seq, Hash: hash}, Time: k.time(j)}, err
}

// endAt returns the change whose last op is lv, which a batch builds on: its chunk and its index there.
func (c *Chains) endAt(lv causal.LV) (*infoChunk, int) {
	k, j := c.infos.at(c.change(lv))
	if end := k.span(j).End; end != lv+1 {
		panic(fmt.Sprintf("crdt: batch builds on local version %d, inside a change that ends at %d", lv, end))
	}
	return k, j
}
