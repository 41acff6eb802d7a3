package replica

import (
	"slices"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// hasMessages reports whether messages would return any for p.
func (r *Replica) hasMessages(p *peer) bool {
	return p.connected && (p.needFull || p.sayStates || p.sayDigest || p.askDigest || r.haveDue(p) ||
		p.sayAck && r.ackDue(p) || r.maySend(p) || p.sayRecords && r.recordsDue(p))
}

func (r *Replica) haveDue(p *peer) bool {
	switch p.have {
	case noHave:
		return false
	case greeting:
		return true
	}
	return r.now-p.saidHave >= r.haveSpacing()
}

// haveSpacing is the least time between two Haves to one peer after the first, in ms: a summary can be
// large, and a peer that asks and asks gets no more of them.
func (r *Replica) haveSpacing() int64 {
	return leastHaveSpacing + int64(len(r.graph.Actors())/haveActorsPerMilli)
}

// maySend reports whether there is something to send to p, and credit for it.
func (r *Replica) maySend(p *peer) bool {
	return p.heard && len(p.todo) > 0 && p.unacked < r.limits.Window && len(p.inFlight) < r.limits.MaxInFlight
}

// messages appends what is to be said to p now.
func (r *Replica) messages(p *peer, out []Envelope) ([]Envelope, error) {
	say := func(m Message) { out = append(out, Envelope{To: p.device, Message: m}) }
	if p.needFull {
		p.needFull = false
		say(&NeedFull{})
	}
	if r.haveDue(p) {
		own := r.summary()
		m := &Have{Digest: own.digest, Counters: r.records.counters(), Ask: p.have == plainAsk}
		if len(p.shared) > 0 {
			m.Base = p.shared[0].digest
			m.Tips = own.tips.difference(p.shared[0].tips)
		} else {
			m.Tips = r.wholeSummary()
		}
		p.have, p.saidHave = noHave, r.now
		p.acked = r.graph.Len()
		clear(p.ackOf)
		p.offered = own
		say(m)
	}
	if p.askDigest || p.sayDigest {
		own := r.summary()
		m := &Digest{Digest: own.digest, Records: r.records.digest(), Ask: p.askDigest}
		if p.askDigest {
			p.asked = own.digest
		}
		p.askDigest, p.sayDigest = false, false
		p.offered = own
		say(m)
	}
	if p.sayAck {
		if tips := r.ackTips(p); len(tips) > 0 {
			say(&Ack{Tips: tips})
		}
		p.sayAck = false
	}
	for r.maySend(p) {
		c, err := r.cut(p.todo)
		if err != nil || c.batch == nil {
			// The log is unreadable; or what is left ends nowhere in a signature. The peer's
			// next summary brings it up again.
			p.todo = nil
			return out, err
		}
		say(&Changes{Batch: c.batch, Remaining: total(c.rest)})
		if len(p.inFlight) == 0 {
			p.progress = r.now
		}
		p.inFlight = append(p.inFlight, flight{at: r.now, bytes: len(c.batch), sent: c.sent, ends: c.ends})
		p.unacked += len(c.batch)
		p.todo = c.rest
	}
	if p.sayStates {
		p.sayStates = false
		if !r.self.held {
			say(r.makeStates(p))
		}
	}
	if p.sayRecords {
		if r.recordsDue(p) {
			say(r.takeRecords(p))
		}
		p.sayRecords = false
	}
	return out, nil
}

// ends returns the last op of each branch in spans, ascending.
func (r *Replica) ends(spans []causal.Span) []causal.LV {
	last := make(map[causal.ActorIndex]causal.LV)
	for _, s := range spans {
		r.graph.Runs(s, func(run causal.Run) bool {
			last[run.Actor] = run.End - 1
			return true
		})
	}
	out := make([]causal.LV, 0, len(last))
	for _, lv := range last {
		out = append(out, lv)
	}
	slices.Sort(out)
	return out
}

// ackDue reports whether there is anything to acknowledge to p.
func (r *Replica) ackDue(p *peer) bool {
	return len(p.ackOf) > 0 || p.heard && p.acked < r.graph.Len() && r.now >= r.ackAt(p)
}

// ackTips returns the tips that changed since p was last told, those of actors that are owed an answer in
// any case, and notes that p is told. This device's own changes are left out: who gets them from here knows.
func (r *Replica) ackTips(p *peer) []crdt.Tip {
	var out []crdt.Tip
	for a := range p.ackOf {
		out = append(out, r.toldAll(a)...)
	}
	seen := make([]uint64, len(r.graph.Actors())/64+1)
	r.graph.Runs(causal.Span{Start: p.acked, End: r.graph.Len()}, func(run causal.Run) bool {
		if word, bit := &seen[run.Actor/64], uint64(1)<<(run.Actor%64); *word&bit == 0 {
			*word |= bit
			if r.graph.Actor(run.Actor).Device != r.cfg.Device {
				out = append(out, r.chains.TipOf(run.Actor))
			}
		}
		return true
	})
	clear(p.ackOf)
	p.acked, p.ackedAt = r.graph.Len(), r.now
	slices.SortFunc(out, crdt.Tip.Compare)
	return slices.Compact(out)
}
