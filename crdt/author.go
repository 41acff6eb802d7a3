package crdt

import "github.com/atollsync/atoll/crdt/causal"

// chainEnd is the change that the last op of the graph is of, as far as one that goes on from it needs to know. It is
// remembered while an author goes on: to look it up takes a fifth of the time that a keystroke does.
type chainEnd struct {
	end       causal.LV // of its ops; another value than the graph's says that all else is out of date
	actor     causal.ActorIndex
	name      causal.Actor // of actor
	hash      *Hash        // where the chains have it
	time      int64
	effective EffectiveTime
	count     changeCount
	looked    Hash // room for a hash that was looked up
	// head is how a batch begins that holds one change by actor, which builds on no other's: up to the seq of the change before.
	head [keystrokeHead]byte
}

const keystrokeHead = 3 + 2 + causal.ActorSize + 2

// lookUpEnd returns the end of the chain of the actor whose op is the last of the graph.
func (c *Chains) lookUpEnd() *chainEnd {
	if c.end.end != c.graph.Len() {
		c.findLast()
	}
	return &c.end
}

// findLast looks up what is not remembered.
func (c *Chains) findLast() {
	if c.unhashed {
		panic("crdt: author a change of chains without hashes")
	}
	n := c.graph.Len()
	ai := c.graph.ActorOf(n - 1)
	k, i := c.infos.at(c.chains[ai].last)
	e := &c.end
	*e = chainEnd{end: n, actor: ai, name: c.graph.Actor(ai), time: k.time(i), effective: k.effective(i), count: k.count(i)}
	e.looked, _ = c.hash(k, i) // the last change of an actor has its hash, whatever rests
	e.hash = &e.looked
	e.name.AppendTo(append(e.head[:0], mpFixArr|5, FormatVersion, mpFixArr|1, mpBin8, causal.ActorSize))
	copy(e.head[keystrokeHead-2:], []byte{mpFixArr | 4, 0})
}

// goOn adds a change that goes on from e, which becomes it, and has seen no more: n ops, made at time, of size bytes about, with the given
// hash.
func (c *Chains) goOn(e *chainEnd, hash *Hash, n int, time int64, size int) causal.Span {
	span := c.graph.Continue(n)
	c.fresh = false
	own := &c.chains[e.actor]
	own.last, own.next = c.infos.len, own.next+Seq(n)
	e.end, e.time, e.effective = span.End, time, effectiveOf(time, e.effective, false)
	if n == 1 && size <= 2*typedBytes {
		if at := c.infos.addTyped(hash, span.Start, time, e.effective, e.actor); at != nil {
			e.hash = at
			e.count.changes++
			e.count.bytes += typedBytes
			return span
		}
	}
	k, i := c.infos.add(hash, span, time, e.effective, e.actor)
	e.hash = &k.hashes[i]
	k.setCount(i, e.actor, e.count, size)
	e.count = k.count(i)
	return span
}

// authorNext is Author for a valid change without refs of the actor whose op is the last of the graph, and who has seen no more than
// that since: all there is to know is in what was added last.
func (c *Chains) authorNext(ch *Change) Accepted {
	e := c.lookUpEnd()
	a := Accepted{Change: ch}
	a.Hash = c.checker.hasher.hash(ch, e.hash, e.time, nil)
	a.Span = c.goOn(e, &a.Hash, ch.Len(), ch.Time, ch.wireSize())
	a.Effective = e.effective
	return a
}

// authorRow is authorNext for the changes that are left to row, typed into the text that f is about. They never become Changes.
func (c *Chains) authorRow(f *typingFrame, row typingCursor) {
	e := c.lookUpEnd()
	h := &c.checker.hasher
	for row.next() {
		buf, ops := f.appendHashed(h.begin(e.hash), &row.typedOp, row.time-e.time)
		h.pad(buf)
		h.finish()
		c.goOn(e, h.last(), row.size, row.time, wireSizeOf(len(f.slice), ops))
	}
}
