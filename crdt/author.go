package crdt

// authorNext is Author for a valid change without refs of the actor whose op is the last of the graph, and who has seen no more than
// that since: all there is to know is in what was added last.
func (c *Chains) authorNext(ch *Change) Accepted {
	if c.unhashed {
		panic("crdt: author a change of chains without hashes")
	}
	ai := c.graph.ActorOf(c.graph.Len() - 1)
	own := &c.chains[ai]
	k, i := c.infos.at(own.last)
	before := k.count(i)
	a := Accepted{Change: ch, Effective: effectiveOf(ch.Time, k.effective(i), false)}
	prev, _ := c.hash(k, i) // the last change of an actor has its hash, whatever rests
	a.Hash, c.checker.buf = ch.hashWith(c.checker.buf, &prev, k.time(i), nil)
	a.Span = c.graph.Continue(ch.Len())
	c.fresh = false
	own.last, own.next = c.infos.len, own.next+Seq(a.Span.Len())
	k, i = c.infos.add(&a.Hash, a.Span, ch.Time, a.Effective, ai)
	k.setCount(i, ai, before, ch.wireSize())
	return a
}
