package replica

import (
	"errors"
	"fmt"
	"slices"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// A device can be restored from a backup, cloned with its key, or lose the end of its log. Then somebody
// else holds more of an actor's log than the device that writes it, or another branch of it, and the next change of that
// actor would fork it. So as soon as a replica hears of such a thing it goes on as a new actor (Ready.Actor), and so
// does the other clone when it hears of it.
//
// What was written while there was nobody to send it to need not become part of a fork at all. Such changes are unsent: no message
// names or carries them until a peer's summary has come that does not contradict them. If one does, they are kept
// back until the peer has proved its word, and are then written anew by a new actor: see reauthor.go.

// selfState is what a replica knows about its own standing.
type selfState struct {
	// held: own changes at unsent or above have never left this device, nor has the news of them.
	held    bool
	unsent  causal.LV
	changed bool // and that is to be kept, before anything is sent
	// contested is until when unsent changes are kept back because a peer contradicts them. 0: they are not.
	contested int64
	claimed   bool           // some peer's claim may wait to be shown
	renewed   bool           // the actor is another than the driver knows
	retired   []causal.Actor // write no more
	// split is where the own log parts from one that its own signatures prove, if parted.
	parted bool
	split  causal.LV
	done   bool // Rewrite was handed out
}

// proofTime is how long a peer that says it holds more of this device's own log may take to show it, in ms.
const proofTime = 60_000

// selfVersion is the first number of what RestoreSelf takes.
const selfVersion = 1

// RestoreSelf takes back what the last Ready with one asked to keep in Self. Call it after every Restore and before
// anything else. Without it, or if it returns an error, all that the log holds counts as sent.
func (r *Replica) RestoreSelf(state []byte) error {
	rd := reader{b: state}
	if n := rd.array(); rd.err == nil && n != 3 {
		rd.fail("wrong number of fields")
	}
	if v := rd.uint(1 << 20); rd.err == nil && v != selfVersion {
		rd.fail("unknown version")
	}
	held := rd.uint(1)
	unsent := rd.uint(1 << 62)
	if err := rd.end(); err != nil {
		return fmt.Errorf("replica: restore self: %w", err)
	}
	if held == 1 {
		r.self.held, r.self.unsent = true, causal.LV(unsent)
		r.own.valid = false
	}
	return nil
}

// takeSelf returns what is to be kept, nil if that has not changed.
func (r *Replica) takeSelf() []byte {
	s := &r.self
	if !s.changed {
		return nil
	}
	s.changed = false
	held, unsent := uint64(0), uint64(0)
	if s.held {
		held, unsent = 1, uint64(s.unsent)
	}
	return appendUint(appendUint(appendUint(appendArray(nil, 3), selfVersion), held), unsent)
}

// Actor returns the actor that Commit writes as: Config.Actor, or the last of Ready.Actor.
func (r *Replica) Actor() causal.Actor { return r.author.actors[0] }

// hold marks own changes from lv on as unsent, unless somebody is there to send them to.
func (s *selfState) hold(lv causal.LV) {
	if !s.held {
		s.held, s.unsent, s.changed = true, lv, true
	}
}

// alone reports whether no peer's summary is known, so that nothing can be sent.
func (r *Replica) alone() bool {
	return !slices.ContainsFunc(r.order, func(p *peer) bool { return p.connected && p.heard })
}

// release lets unsent changes leave. That they may have left is made durable before they do.
func (r *Replica) release() {
	s := &r.self
	s.contested = 0
	if !s.held {
		return
	}
	s.held, s.unsent, s.changed = false, 0, true
	r.own.valid = false
	r.records.lv = -1
	r.touchAll()
	for _, p := range r.order {
		if !p.connected || !p.heard {
			continue
		}
		r.requeue(p)
		if total(p.todo) > crdt.TargetBatchChanges {
			// So that it knows how much is to come.
			for _, a := range r.graph.Actors() {
				if a.Device == r.cfg.Device && r.graph.Last(a) > p.known.seq(a) {
					p.ackOf[a], p.sayAck = true, true
				}
			}
		}
	}
}

// told returns the end of a's log as others may know it: without what is unsent. It is the zero Seq if that is
// nothing. The hash is zero if the log cannot be read.
func (r *Replica) told(a causal.Actor) crdt.Tip {
	tip, _ := r.chains.Tip(a)
	if !r.self.held || a.Device != r.cfg.Device || tip.Seq == 0 {
		return tip
	}
	d := causal.Dot{Actor: a}
	for _, s := range r.graph.ActorSpans(a, 1, tip.Seq+1) {
		if s.Start >= r.self.unsent {
			break
		}
		d = r.graph.Dot(min(s.End, r.self.unsent) - 1)
	}
	if d.Seq == tip.Seq {
		return tip
	}
	hash, _ := r.chains.HashAt(d)
	return crdt.Tip{Actor: a, Seq: d.Seq, Hash: hash}
}

// toldAll returns the ends of all branches of a's log as others may know them.
func (r *Replica) toldAll(a causal.Actor) []crdt.Tip {
	branches := r.graph.Branches(a)
	if len(branches) > 1 {
		out := make([]crdt.Tip, len(branches))
		for i, ai := range branches {
			out[i] = r.chains.TipOf(ai)
		}
		return out
	}
	if t := r.told(a); t.Seq > 0 {
		return []crdt.Tip{t}
	}
	return nil
}

// isUnsent reports whether d is an op of an unsent change, or would come after one.
func (r *Replica) isUnsent(d causal.Dot) bool {
	if !r.self.held || d.Actor.Device != r.cfg.Device {
		return false
	}
	told := r.told(d.Actor).Seq
	return d.Seq > told && r.graph.Last(d.Actor) > told
}

// sendable returns spans without what is unsent.
func (r *Replica) sendable(spans []causal.Span) []causal.Span {
	if !r.self.held || len(spans) == 0 {
		return spans
	}
	var unsent []causal.Span
	for _, a := range r.graph.Actors() {
		if a.Device == r.cfg.Device {
			unsent = append(unsent, r.graph.ActorSpans(a, r.told(a).Seq+1, r.graph.Last(a)+1)...)
		}
	}
	slices.SortFunc(unsent, func(a, b causal.Span) int { return int(a.Start - b.Start) })
	return causal.Subtract(spans, unsent)
}

// retire makes a write no more. If it is the one that Commit writes as, a new one takes its place. It reports false if a
// does not write, or there is no supply of new actors.
func (r *Replica) retire(a causal.Actor) bool {
	i := slices.Index(r.author.actors, a)
	if i < 0 || r.cfg.NewActor == nil {
		return false
	}
	r.self.retired = append(r.self.retired, a)
	if i > 0 {
		r.author.actors = slices.Delete(r.author.actors, i, i+1)
		return true
	}
	fresh := r.cfg.NewActor()
	if fresh.Device != r.cfg.Device || r.graph.Last(fresh) > 0 || slices.Contains(r.author.actors, fresh) {
		panic(fmt.Sprintf("replica: Config.NewActor returned %s, which is not a new actor of %s", fresh, r.cfg.Device))
	}
	r.author.actors[0] = fresh
	r.self.renewed = true
	return true
}

// contradicted reports whether t, which somebody says to hold, is more of an own actor's log than this replica
// holds, or another branch of it.
func (r *Replica) contradicted(t crdt.Tip) bool {
	if t.Actor.Device != r.cfg.Device || t.Seq == 0 {
		return false
	}
	if t.Seq > r.graph.Last(t.Actor) {
		return true
	}
	held, err := r.chains.Holds(t)
	return !held && err == nil
}

// meetSelf looks for own actors in what a peer says to hold. Somebody's word is enough to go on as a new actor, and to keep
// back what is unsent for a while, but not for ever, and no more from one who once did not keep it: otherwise a liar could
// make a device take actor after actor.
func (r *Replica) meetSelf(p *peer, tips []crdt.Tip) {
	if r.cfg.NewActor == nil {
		return
	}
	for _, t := range tips {
		if p.liar || !r.contradicted(t) {
			continue
		}
		if p.claimed.Seq == 0 {
			p.claimed, p.claimedAt = t, r.now
			r.self.claimed = true
		}
		if r.isUnsent(t.Dot()) && r.self.contested == 0 {
			r.self.contested = r.now + proofTime
		}
		r.retire(t.Actor)
	}
}

// meetRecord looks for own actors in a delivery record: this device's own word, if a clone of it has given it, or that of the peer it
// came from.
func (r *Replica) meetRecord(p *peer, rec Record) {
	switch rec.Device {
	case p.device:
		r.meetSelf(p, rec.Tips)
	case r.cfg.Device:
		for _, t := range rec.Tips {
			if r.contradicted(t) {
				r.retire(t.Actor)
			}
		}
	}
}

// settleSelf ends the contest about what is unsent if nobody contradicts it any more.
func (r *Replica) settleSelf() {
	if r.self.contested == 0 || r.self.parted {
		return
	}
	for _, p := range r.order {
		if !p.connected || !p.heard || p.liar {
			continue
		}
		for t := range p.known.all {
			if r.isUnsent(t.Dot()) && r.contradicted(t) {
				return
			}
		}
	}
	r.release()
}

// proven reports whether what p said of this device's own log was so.
func (r *Replica) proven(t crdt.Tip) bool {
	if !r.contradicted(t) {
		return true
	}
	return slices.ContainsFunc(r.forks.forks, func(f Fork) bool { return f.Actor == t.Actor && f.By == t.Actor })
}

// tickSelf gives up waiting for peers to show what they say they hold of this device's log.
func (r *Replica) tickSelf() {
	if r.self.claimed {
		r.tickClaims()
	}
	if r.self.contested > 0 && r.now >= r.self.contested {
		r.release()
	}
}

func (r *Replica) tickClaims() {
	r.self.claimed = false
	for _, p := range r.order {
		if p.claimed.Seq == 0 {
			continue
		}
		if r.now-p.claimedAt < proofTime {
			r.self.claimed = true
			continue
		}
		if p.connected && !r.proven(p.claimed) {
			p.liar = true
			r.blame(p.device, Withheld, fmt.Errorf("replica: it says that it holds %s of this device's own log, and did not send it", p.claimed.Dot()))
		}
		p.claimed = crdt.Tip{}
	}
}

// metOwn is told that changes came from elsewhere and were taken in, whose first op is first: if actors that this replica writes as are among
// their authors, somebody else writes as them too.
func (r *Replica) metOwn(span causal.Span) {
	r.graph.Runs(span, func(run causal.Run) bool {
		if a := r.graph.Actor(run.Actor); a.Device == r.cfg.Device {
			r.retire(a)
		}
		return true
	})
	r.settleSelf()
}

// metBranch is told of another branch of an actor's log, which signatures stand for.
func (r *Replica) metBranch(f Fork) {
	if f.Actor.Device == r.cfg.Device && f.By == f.Actor {
		r.retire(f.Actor)
	}
}

// partFrom looks in a batch for another branch of what is unsent here. If the batch proves one, it notes where that begins, for the
// next Ready, and reports true: the batch comes again afterwards.
func (r *Replica) partFrom(from causal.Device, b *crdt.Batch) (bool, error) {
	if !r.self.held || r.cfg.NewActor == nil {
		return false, nil
	}
	if r.self.parted {
		return true, nil
	}
	split := causal.LV(-1)
	for run := range b.Runs {
		if !r.isUnsent(causal.Dot{Actor: run.Actor, Seq: run.End - 1}) {
			continue
		}
		lv, err := r.partOf(b, run.Actor)
		if err != nil {
			return false, err
		}
		if lv >= 0 && (split < 0 || lv < split) {
			split = lv
		}
	}
	if split < 0 {
		return false, nil
	}
	past, err := r.before(split)
	if err != nil {
		return false, err
	}
	_, err = past.Chains().Check(b, r.cfg.Verify)
	var missing *crdt.MissingError
	switch {
	case err == nil:
		r.self.parted, r.self.split = true, split
		return true, nil
	case errors.As(err, &missing):
		return false, nil
	case errors.Is(err, crdt.ErrSignature):
		return false, r.refuse(from, BadSignature, err)
	}
	return false, r.refuse(from, Invalid, err)
}

// partOf returns where b has another change of an own actor than is held and unsent, and -1 if nowhere.
func (r *Replica) partOf(b *crdt.Batch, a causal.Actor) (causal.LV, error) {
	told := r.told(a).Seq
	theirs := make(map[causal.Seq]*crdt.Change)
	last := causal.Seq(0)
	for ch := range b.All {
		if ch.Actor == a && ch.Seq > told {
			theirs[ch.Seq] = ch
			last = max(last, ch.Dot().Seq)
		}
	}
	split := causal.LV(-1)
	for _, span := range r.graph.ActorSpans(a, told+1, r.graph.Last(a)+1) {
		err := r.source.Changes(span, func(own crdt.Accepted) bool {
			other := theirs[own.Seq]
			if own.Actor != a || own.Seq > last || other != nil && sameChange(own.Change, other) {
				return true
			}
			split = own.Span.Start
			return false
		})
		if err != nil || split >= 0 {
			return split, err
		}
	}
	return -1, nil
}

// sameChange reports whether two changes say the same. Whether they follow the same, their hashes would tell.
func sameChange(a, b *crdt.Change) bool {
	return a.Actor == b.Actor && a.Seq == b.Seq && a.Time == b.Time && slices.Equal(a.Refs, b.Refs) &&
		slices.EqualFunc(a.Groups, b.Groups, func(x, y crdt.Group) bool {
			return x.Slice == y.Slice && x.Len == y.Len && string(x.Ops) == string(y.Ops)
		})
}
