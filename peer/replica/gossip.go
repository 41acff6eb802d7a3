package replica

import "github.com/atollsync/atoll/crdt/causal"

// Gossip brings a change to every peer that is subscribed to the store's topic, mostly. What is then to be said on streams is who
// holds what, so that what gossip lost is repaired; and that has time. In a store of many devices, where every change would
// otherwise be acknowledged by all to all of their peers, acknowledgements to subscribed peers are put together, and what a peer is not known to hold is
// forwarded to it only once its own are overdue.

// SetGossip says whether the store has a gossip topic. With one, own changes are announced, and pushed only to
// peers that are not subscribed to it. Nobody is subscribed to a topic that has just been opened.
func (r *Replica) SetGossip(on bool) {
	if r.gossip == on {
		return
	}
	r.gossip, r.late = on, forwarding{}
	r.retimeAll()
	if on {
		r.late.marks = []mark{{from: r.now, lv: r.sealed}}
		return
	}
	for _, p := range r.order {
		if p.subscribed {
			p.subscribed = false
			r.unsubscribed++
		}
		r.extend(p, r.soon.lv)
	}
}

// SetSubscribed says whether a connected peer is subscribed to the store's topic, and so gets what is announced there. Until it
// is said to be, it is not.
func (r *Replica) SetSubscribed(device causal.Device, on bool) {
	p := r.peers[device]
	if p == nil || !p.connected || p.subscribed == on {
		return
	}
	p.subscribed = on
	r.touch(p)
	if on {
		r.unsubscribed--
		r.extend(p, r.late.lv)
		return
	}
	r.unsubscribed++
	r.extend(p, r.soon.lv)
}

// gossips reports whether p gets by gossip what this replica does.
func (r *Replica) gossips(p *peer) bool { return r.gossip && p.subscribed }

// paced reports whether p is subscribed in a store of so many that acknowledgements are put together.
func (r *Replica) paced(p *peer) bool { return r.gossips(p) && r.stretch() > 1 }

// ackDelay is the most time between two acknowledgements to a subscribed peer of what it did not send. Up to 16 actors there is none; it grows
// with their square, as the pairs do that tell each other.
func (r *Replica) ackDelay() int64 {
	return min((r.stretch()-1)*r.limits.DigestInterval, r.limits.MaxDigestInterval)
}

// quiet is how long nothing must have come for such an acknowledgement to be sent before it is due.
func (r *Replica) quiet() int64 {
	return min((r.stretch()-1)*2*r.limits.SettleInterval, r.limits.MaxDigestInterval/10)
}

// ackAt returns when p is told of what came, if it has not been yet.
func (r *Replica) ackAt(p *peer) int64 {
	if !r.gossips(p) || p.acked < r.soon.streamed || r.graph.Forked() {
		return r.now // it may be about to forward the same
	}
	at := min(p.ackedAt+r.ackDelay(), r.grownAt+r.quiet())
	if r.paced(p) {
		// After a pause both mostly hold the same, and one Digest and its answer say that in a few bytes.
		wait := pause * r.limits.SettleInterval
		if r.cfg.Device.Compare(p.device) > 0 {
			wait += r.limits.SettleInterval
			at += r.limits.SettleInterval
		}
		at = max(at, min(r.grownAt+wait, at+r.ackDelay()/4))
	}
	return at
}

// tellAll tells p what came, by a Digest if all has probably reached both.
func (r *Replica) tellAll(p *peer) {
	if r.paced(p) && len(p.ackOf) == 0 && p.acked >= r.soon.streamed && r.now >= r.grownAt+pause*r.limits.SettleInterval {
		r.compare(p)
		p.ackedAt = r.now
		return
	}
	p.sayAck = true
}

// pause is how many times Limits.SettleInterval it takes for a change to reach everybody who is there, mostly.
const pause = 2

// forwardAfter is how long after its acknowledgement was due a subscribed peer is sent what it is not known to hold.
const forwardAfter = 1_000

// lateAt returns when what a mark of r.late holds back is forwarded.
func (r *Replica) lateAt(m *mark) int64 {
	delay, quiet := r.ackDelay(), r.quiet()
	return forwardAfter + min(m.from+delay+delay/2, max(m.from, r.grownAt)+quiet+quiet/4)
}
