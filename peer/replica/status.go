package replica

import (
	"slices"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// Status describes a replica to a person.
type Status struct {
	Version crdt.Version
	Digest  crdt.Hash // of the summary: equal on two replicas that hold the same changes
	Changes int
	Ops     int
	// Pending batches wait for what they build on, which is PendingFor.
	PendingBatches int
	PendingBytes   int
	PendingFor     []causal.Dot
	// RefusedPending counts batches that turned out invalid when what they waited for had come.
	RefusedPending uint64
	// Void and Unknown are the ops without effect, as crdt.Stats counts them.
	Void, Unknown int
	Forks         []Fork
	// Diverged are slices that peers with the same changes show otherwise: a bug in what one of the two runs.
	Diverged []Divergence
	// Skewed are authors whose last change is from ahead of the local clock, sorted, at most 256.
	Skewed []Skew
	Peers  []PeerStatus
	// Outbox is how many ops of this device no other device is known to hold.
	Outbox uint64
}

// Skew says how far ahead of the local clock an author is, in milliseconds.
type Skew struct {
	Actor causal.Actor
	Ahead int64
}

// PeerStatus describes the exchange with one peer.
type PeerStatus struct {
	Device    causal.Device
	Connected bool
	// Heard: the peer's summary came, so the rest means something.
	Heard bool
	// InSync: neither is known to lack anything.
	InSync bool
	// Lacks is how many ops held here the peer is not known to hold, and Owes how many more ops the peer
	// has named than are held here.
	Lacks, Owes uint64
	// Remaining is how many ops the peer said are still to come.
	Remaining uint64
	// Unacked is how many bytes are on their way to it, in InFlight messages.
	Unacked, InFlight int
	// Forked are the actors of whose logs it holds a branch, or more of one, that is not held here, sorted.
	Forked []causal.Actor
}

// Status returns the state of the replica and of its exchanges. now is the local clock in unix ms, by which
// skewed authors are told.
func (r *Replica) Status(now int64) Status {
	stats := r.state.Stats()
	s := Status{
		Version:        r.state.Version(),
		Digest:         r.Digest(),
		Changes:        r.chains.Len(),
		Ops:            int(r.graph.Len()),
		PendingBatches: r.pending.Len(),
		PendingBytes:   r.pending.Bytes(),
		PendingFor:     r.pending.Missing(),
		RefusedPending: r.refused,
		Void:           stats.Void,
		Unknown:        stats.Unknown,
		Forks:          slices.Clone(r.forks.forks),
		Diverged:       slices.Clone(r.states.diverged),
		Outbox:         r.OutboxLen(causal.Device{}),
		Skewed:         r.skewed(now),
	}
	for _, p := range r.order {
		s.Peers = append(s.Peers, r.peerStatus(p))
	}
	return s
}

// maxSkewed bounds how many skewed authors are listed.
const maxSkewed = 256

// skewed returns the authors whose last change is from the future, sorted. No change is refused for its clock.
func (r *Replica) skewed(now int64) []Skew {
	var out []Skew
	for i, a := range r.graph.Actors() {
		ai := causal.ActorIndex(i)
		last, _ := r.graph.LVOf(ai, r.graph.LastOf(ai))
		if ahead := r.chains.ChangeAt(last).Time - now; ahead > r.limits.MaxSkew {
			out = append(out, Skew{Actor: a, Ahead: ahead})
		}
	}
	slices.SortFunc(out, func(a, b Skew) int { return a.Actor.Compare(b.Actor) })
	return out[:min(len(out), maxSkewed)]
}

func (r *Replica) peerStatus(p *peer) PeerStatus {
	s := PeerStatus{Device: p.device, Connected: p.connected, Heard: p.heard}
	if !p.heard {
		return s
	}
	s.Remaining = p.remaining
	s.Unacked, s.InFlight = p.unacked, len(p.inFlight)
	s.Lacks = total(r.graph.Beyond(func(ai causal.ActorIndex) causal.Seq { return r.reach(p, ai) }))
	for t := range p.known.all {
		if last := r.graph.Last(t.Actor); t.Seq > last {
			s.Owes += uint64(t.Seq - last)
		} else if p.apart[t.Actor] && !r.holds(t) {
			s.Owes++ // at least
		}
	}
	for a := range p.apart {
		s.Forked = append(s.Forked, a)
	}
	slices.SortFunc(s.Forked, causal.Actor.Compare)
	s.InSync = s.Lacks == 0 && s.Owes == 0 && len(s.Forked) == 0
	return s
}

// Peer returns the status of one peer, and false if nothing is known of it.
func (r *Replica) Peer(device causal.Device) (PeerStatus, bool) {
	p := r.peers[device]
	if p == nil {
		return PeerStatus{}, false
	}
	return r.peerStatus(p), true
}
