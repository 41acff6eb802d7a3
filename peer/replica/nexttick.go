package replica

import (
	"math"
)

// NextTick returns how many milliseconds after the last time given the next Tick has something to do, if nothing else happens until then:
// 0 if it has already, -1 if no Tick ever will. Whoever ticks every so often may leave out the Ticks before that, and what the replica
// says is the same; a phone or a simulation of thousands of devices is glad of it. A device that changes its clock should tick just before.
// A Tick that turns out to have nothing to do does no harm.
func (r *Replica) NextTick() int64 {
	if r.records.due || r.ticked < 0 {
		return 0
	}
	at := int64(math.MaxInt64)
	if t, ok := r.forwardAt(); ok {
		at = t
	}
	if !r.rested {
		at = min(at, r.grownAt+r.limits.RestAfter)
	}
	if r.self.contested > 0 {
		at = min(at, r.self.contested)
	}
	if t, ok := r.recordAt(); ok {
		at = min(at, t)
	}
	for i := range r.author.at {
		at = min(at, r.author.at[i].used+pastStateSpell+1)
	}
	if at > r.now {
		at = r.peersAt(at)
	}
	if at == math.MaxInt64 {
		return -1
	}
	return max(0, at-r.now)
}

// peerTick returns when Tick has something to do for a peer; r.now or earlier means that it has now.
func (r *Replica) peerTick(p *peer) int64 {
	at := int64(math.MaxInt64)
	if p.claimed.Seq > 0 {
		at = p.claimedAt + proofTime
	}
	if !p.connected {
		return at
	}
	if p.sayAck || p.sayRecords || r.ackDue(p) || r.recordsDue(p) || len(p.gap) > 0 || r.busyWith(p) != (p.busySince >= 0) || r.keepsUp(p) != (p.outSince < 0) {
		return r.now
	}
	if p.have != noHave {
		at = min(at, p.saidHave+r.haveSpacing())
	}
	if !p.heard {
		at = min(at, max(p.saidHave, p.probed)+r.limits.RetryInterval)
	}
	if len(p.inFlight) > 0 {
		at = min(at, r.probeAt(p))
	}
	if p.recordsAt > r.now && p.told != r.records.version {
		at = min(at, p.recordsAt)
	}
	if p.unsaved {
		at = min(at, r.saveAt(p))
	}
	if p.heard && p.acked < r.graph.Len() {
		at = min(at, r.ackAt(p))
	}
	if t, ok := r.statesAt(p); ok {
		at = min(at, t)
	}
	return min(at, r.comparisonAt(p))
}

// comparisonAt returns when comparisonDue says so at the earliest. It does not work out a digest for that.
func (r *Replica) comparisonAt(p *peer) int64 {
	switch {
	case !p.heard:
		return math.MaxInt64
	case r.busyWith(p):
		return r.busyAt(p)
	case r.own.valid && r.own.lv == r.graph.Len() && p.comparedAt == r.own.digest && r.inStep(p):
		return p.compared + r.digestInterval(p)
	}
	pace := r.pace(p)
	at := p.compared + min(pace*r.limits.DigestInterval, r.digestInterval(p))
	switch {
	case pace == 1:
		at = min(at, max(p.compared, r.grownAt)+r.limits.SettleInterval)
	case !r.keepsUp(p):
		at = min(at, p.outSince+outOfStep)
	}
	return at
}

// PendingBytes returns how many bytes of batches wait for what they build on.
func (r *Replica) PendingBytes() int { return r.pending.Bytes() }
