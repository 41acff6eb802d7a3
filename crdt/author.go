package crdt

import (
	"crypto/sha256"

	"github.com/atollsync/atoll/crdt/causal"
)

// chainEnd is what a change that goes on from the last op of the graph needs to know of the change that op is of.
type chainEnd struct {
	actor     causal.ActorIndex
	hash      Hash
	time      int64
	effective EffectiveTime
	count     changeCount
}

// end returns the end of the chain of the actor whose op is the last of the graph.
func (c *Chains) end() chainEnd {
	if c.unhashed {
		panic("crdt: author a change of chains without hashes")
	}
	ai := c.graph.ActorOf(c.graph.Len() - 1)
	k, i := c.infos.at(c.chains[ai].last)
	e := chainEnd{actor: ai, time: k.time(i), effective: k.effective(i), count: k.count(i)}
	e.hash, _ = c.hash(k, i) // the last change of an actor has its hash, whatever rests
	return e
}

// goOn adds a change that goes on from e and has seen no more: n ops, made at time, size bytes about.
func (c *Chains) goOn(e *chainEnd, hash *Hash, n int, time int64, size int) (causal.Span, EffectiveTime) {
	span, effective := c.graph.Continue(n), effectiveOf(time, e.effective, false)
	c.fresh = false
	own := &c.chains[e.actor]
	own.last, own.next = c.infos.len, own.next+Seq(n)
	k, i := c.infos.add(hash, span, time, effective, e.actor)
	k.setCount(i, e.actor, e.count, size)
	return span, effective
}

// authorNext is Author for a valid change without refs of the actor whose op is the last of the graph, and who has seen no more than
// that since: all there is to know is in what was added last.
func (c *Chains) authorNext(ch *Change) Accepted {
	e := c.end()
	a := Accepted{Change: ch}
	a.Hash, c.checker.buf = ch.hashWith(c.checker.buf, &e.hash, e.time, nil)
	a.Span, a.Effective = c.goOn(&e, &a.Hash, ch.Len(), ch.Time, ch.wireSize())
	return a
}

// authorKeystroke is authorNext for the change that consists of op, made at time, and goes on where t stops: it becomes the last of t,
// and never a Change.
func (c *Chains) authorKeystroke(t *keystrokes, op *typedOp, time int64) causal.Span {
	e := c.end()
	buf, ops := t.appendHashed(append(c.checker.buf[:0], e.hash[:]...), op, time-e.time)
	c.checker.buf = buf
	hash := Hash(sha256.Sum256(buf))
	t.add(time, op)
	span, _ := c.goOn(&e, &hash, op.size, time, wireSizeOf(len(t.slice), ops))
	return span
}
