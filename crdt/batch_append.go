package crdt

import (
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// AppendBatch appends the encoding of the batch of the given changes, which is that of BatchOf, to buf.
func (c *Chains) AppendBatch(buf []byte, changes []Accepted) []byte {
	if len(changes) == 1 && changes[0].Branches == nil && !c.graph.Forked() {
		return c.appendOne(buf, &changes[0])
	}
	return c.BatchOf(changes).AppendTo(buf)
}

// appendOne is AppendBatch for one change, as it is sent the moment it is made, where no log is forked: what BatchOf would collect is
// written where it is found.
func (c *Chains) appendOne(buf []byte, a *Accepted) []byte {
	ch := a.Change
	// In the table of actors are those that ch names and, at by, its author.
	by, _ := slices.BinarySearchFunc(ch.Refs, ch.Actor, func(d causal.Dot, a causal.Actor) int { return d.Actor.Compare(a) })
	actors, builds := 1+len(ch.Refs), 0
	if ch.Seq > 1 {
		builds++
	}
	for i := range ch.Refs {
		if ch.Refs[i].Seq > 0 {
			builds++
		}
	}
	own := c.graph.ActorOf(a.Span.Start)
	chain, end := &c.chains[own], ch.Seq+causal.Seq(a.Span.Len())-1
	sig, signed := chain.findSig(end)
	size := 16 + (2+causal.ActorSize)*actors + (5+34+9)*builds + ch.wireSize()
	if signed {
		size += 5 + 66
	}
	buf = slices.Grow(buf, size)

	buf = append(buf, mpFixArr|5, FormatVersion)
	buf = appendArrayHead(buf, actors)
	for i := range actors {
		name := &ch.Actor
		if i != by {
			name = &ch.Refs[refAt(i, by)].Actor
		}
		buf = name.AppendTo(append(buf, mpBin8, causal.ActorSize))
	}
	before := int64(0) // the Time of the author's previous change
	buf = appendArrayHead(buf, 4*builds)
	for i := range actors {
		seq := ch.Seq - 1
		var lv causal.LV
		if i == by {
			lv, _ = c.graph.LVOf(own, seq)
		} else {
			d := &ch.Refs[refAt(i, by)]
			seq = d.Seq
			lv, _ = c.graph.LV(*d)
		}
		if seq == 0 {
			continue
		}
		k, j := c.endAt(lv)
		hash, err := c.hash(k, j)
		if err != nil {
			panic(err)
		}
		time := k.time(j)
		if i == by {
			before = time
		}
		buf = appendUint(appendUint(buf, uint64(i)), uint64(seq))
		buf = appendInt(appendBin(buf, hash[:]), time)
	}
	buf = append(buf, mpFixArr|3)
	buf = append(appendUint(buf, uint64(by)), 1, mpBin8, 0)
	from := len(buf)
	buf = ch.appendWire(buf, before, func(a causal.Actor) int {
		i, _ := slices.BinarySearchFunc(ch.Refs, a, func(d causal.Dot, a causal.Actor) int { return d.Actor.Compare(a) })
		if i >= by {
			i++
		}
		return i
	})
	buf = endBin(buf, from)
	if !signed {
		return append(buf, mpFixArr)
	}
	buf = append(buf, mpFixArr|3)
	buf = appendUint(appendUint(buf, uint64(by)), uint64(end))
	return appendBin(buf, chain.sigs[sig].sig[:])
}

// refAt returns which of a change's Refs is i-th in a table of actors that has the author at by, which i is not.
func refAt(i, by int) int {
	if i > by {
		return i - 1
	}
	return i
}
