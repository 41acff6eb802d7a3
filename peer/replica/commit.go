package replica

import (
	"errors"
	"fmt"
	"slices"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// ErrVersion is returned by CommitAt, CommitAs and CommitOps for a version that the replica does not hold: fetch it
// first. A version that ends inside a change is none.
var ErrVersion = errors.New("replica: unknown version")

// ErrActor is returned by CommitAs for an actor that cannot write at that version: one of
// another device, or whose last change is not in the version.
var ErrActor = errors.New("replica: actor cannot write at this version")

// Signatures of own changes are made at least this often, per actor, and once per Ready.
const (
	signChanges = 1000
	signBytes   = 64 << 10
)

// authoring is what a replica keeps for the changes it writes itself.
type authoring struct {
	actors   []causal.Actor // this process writes to them: what Commit writes as first
	unsigned []unsigned
	changes  int // not sealed
	bytes    int
	at       []pastState
}

// unsigned counts what an actor wrote since its last signature.
type unsigned struct {
	actor   causal.Actor
	changes int
	bytes   int
}

// pastState is a state at an earlier version, kept because whoever writes at one version often
// goes on from there.
type pastState struct {
	state *crdt.State
	used  int64
}

const (
	maxPastStates  = 4
	pastStateSpell = 60_000 // ms without use after which one is dropped
)

// Commit runs fn against the current state and makes what it did one change of Actor, which is
// applied whole or not at all. It returns the dot of the change's last op, and the zero dot if fn
// made no op. now is the change's time. The change is safe, may be shown and may leave only when the Blocks
// of the next Ready are durable. If fn fails, panics or exits, nothing has happened.
func (r *Replica) Commit(now int64, fn func(*crdt.Tx) error) (causal.Dot, error) {
	r.clock(now)
	acc, ev, err := commit(r.state, r.Actor(), now, fn)
	if err != nil || acc.Change == nil {
		return causal.Dot{}, err
	}
	r.authored(acc, ev)
	return acc.Dot(), nil
}

// CommitAt is Commit against the state at an earlier version; positions mean what that version shows. The
// change is written by an actor of this replica whose last change is in that version, or else by
// fresh, a new actor of this device, which is then kept for later use. It returns ErrVersion if the
// replica does not hold the version, and an error if the log cannot be read.
func (r *Replica) CommitAt(now int64, version causal.Version, fresh causal.Actor, fn func(*crdt.Tx) error) (causal.Dot, error) {
	r.clock(now)
	heads, err := r.heads(version)
	if err != nil {
		return causal.Dot{}, err
	}
	for _, a := range r.author.actors {
		if r.mayWrite(a, heads) {
			return r.commitAt(now, heads, a, fn)
		}
	}
	return r.CommitAs(now, version, fresh, fn)
}

// CommitAs is CommitAt with the actor chosen by the caller. It returns ErrActor if it is not this
// device's or has written something that is not in the version. No other process may write to actor.
func (r *Replica) CommitAs(now int64, version causal.Version, actor causal.Actor, fn func(*crdt.Tx) error) (causal.Dot, error) {
	r.clock(now)
	heads, err := r.heads(version)
	if err != nil {
		return causal.Dot{}, err
	}
	if actor.Device != r.cfg.Device || !r.mayWrite(actor, heads) || slices.Contains(r.self.retired, actor) {
		return causal.Dot{}, fmt.Errorf("%w: %s", ErrActor, actor)
	}
	return r.commitAt(now, heads, actor, fn)
}

// heads returns the local versions of a version's dots, each of which must be the last op of a change. The hashes of
// those changes are then to be had: at rest they may have to be computed again, and nobody can write without them.
func (r *Replica) heads(version causal.Version) ([]causal.LV, error) {
	heads, ok := r.graph.LVs(version)
	if r.graph.Forked() && version.Equal(r.state.Version()) {
		heads = slices.Clone(r.graph.Heads()) // whatever several ops a dot may name
	}
	if !ok {
		return nil, fmt.Errorf("%w %s", ErrVersion, version)
	}
	for _, lv := range heads {
		if r.chains.ChangeAt(lv).Span.End != lv+1 {
			return nil, fmt.Errorf("%w %s: it ends inside a change", ErrVersion, version)
		}
		if _, err := r.chains.TipAt(lv); err != nil {
			return nil, fmt.Errorf("replica: write at version %s: its hash cannot be computed again, since the log cannot be read", version)
		}
	}
	return heads, nil
}

// mayWrite reports whether all that a wrote is in the version.
func (r *Replica) mayWrite(a causal.Actor, heads []causal.LV) bool {
	if len(r.graph.Branches(a)) > 1 {
		return false // its log is forked: nobody goes on with it
	}
	last := r.graph.Last(a)
	if last == 0 {
		return true
	}
	lv, _ := r.graph.LV(causal.Dot{Actor: a, Seq: last})
	return r.graph.Contains(heads, lv)
}

func (r *Replica) commitAt(now int64, heads []causal.LV, actor causal.Actor, fn func(*crdt.Tx) error) (causal.Dot, error) {
	var acc crdt.Accepted
	var ev crdt.Event
	var err error
	if slices.Equal(heads, r.graph.Heads()) {
		acc, ev, err = commit(r.state, actor, now, fn)
	} else {
		var past *crdt.State
		if past, err = r.stateAt(heads); err != nil {
			return causal.Dot{}, err
		}
		acc, _, err = commit(past, actor, now, fn)
		if err == nil && acc.Change != nil {
			ev = r.state.Apply(acc)
		}
	}
	if err != nil || acc.Change == nil {
		return causal.Dot{}, err
	}
	if !slices.Contains(r.author.actors, actor) {
		r.author.actors = append(r.author.actors, actor)
	}
	r.authored(acc, ev)
	return acc.Dot(), nil
}

// commit runs one transaction on s. The Change is nil if fn made no op.
func commit(s *crdt.State, actor causal.Actor, now int64, fn func(*crdt.Tx) error) (crdt.Accepted, crdt.Event, error) {
	tx := s.Begin(actor, min(max(now, 0), crdt.MaxTime))
	open := true
	defer func() {
		if open { // fn failed, panicked or called runtime.Goexit
			tx.Rollback()
		}
	}()
	if err := fn(&tx); err != nil {
		return crdt.Accepted{}, crdt.Event{}, err
	}
	open = false // Commit ends the transaction, well or badly
	acc, ev, ok, err := tx.Commit()
	if err != nil || !ok {
		return crdt.Accepted{}, crdt.Event{}, err
	}
	return acc, ev, nil
}

// stateAt returns the state at heads, from one used a short while ago if it leads there.
func (r *Replica) stateAt(heads []causal.LV) (*crdt.State, error) {
	best, ahead := -1, []causal.Span(nil)
	for i := range r.author.at {
		// A state takes in ops in ascending order only, so it leads to what lies above all it holds.
		at := r.author.at[i].state.Heads()
		back, forth := r.graph.Diff(at, heads)
		if len(back) > 0 || len(forth) > 0 && len(at) > 0 && forth[0].Start < at[len(at)-1] {
			continue
		}
		if best < 0 || total(forth) < total(ahead) {
			best, ahead = i, forth
		}
	}
	if best >= 0 {
		s := r.author.at[best].state
		for _, span := range ahead {
			err := r.source.Changes(span, func(a crdt.Accepted) bool {
				s.ApplyQuietly(a)
				return true
			})
			if err != nil {
				r.author.at = slices.Delete(r.author.at, best, best+1)
				return nil, fmt.Errorf("replica: state at an earlier version: %w", err)
			}
		}
		r.author.at[best].used = r.now
		return s, nil
	}
	s, err := crdt.At(r.chains, heads, &r.source)
	if err != nil {
		return nil, fmt.Errorf("replica: state at an earlier version: %w", err)
	}
	if len(r.author.at) == maxPastStates {
		oldest := 0
		for i := range r.author.at {
			if r.author.at[i].used < r.author.at[oldest].used {
				oldest = i
			}
		}
		r.author.at = slices.Delete(r.author.at, oldest, oldest+1)
	}
	r.author.at = append(r.author.at, pastState{state: s, used: r.now})
	return s, nil
}

// tick drops states at earlier versions that nobody writes at any more.
func (w *authoring) tick(now int64) {
	w.at = slices.DeleteFunc(w.at, func(p pastState) bool { return now-p.used > pastStateSpell })
}

// authored takes notice of an own change that chains and state hold already.
func (r *Replica) authored(acc crdt.Accepted, ev crdt.Event) {
	r.source.unstable = append(r.source.unstable, acc)
	r.out.events = append(r.out.events, ev)
	size := acc.Size()
	w := &r.author
	w.changes++
	w.bytes += size
	// A batch may end, for an actor, only at a signature, and must have one wherever another actor's change
	// depends on it: so actors sign when another takes over.
	own := -1
	for i := 0; i < len(w.unsigned); i++ {
		if w.unsigned[i].actor == acc.Actor {
			own = i
			continue
		}
		r.sign(w.unsigned[i].actor)
		w.unsigned = slices.Delete(w.unsigned, i, i+1)
		i--
	}
	if own < 0 {
		w.unsigned = append(w.unsigned, unsigned{actor: acc.Actor})
	}
	u := &w.unsigned[0]
	u.changes++
	u.bytes += size
	if u.changes >= signChanges || u.bytes >= signBytes {
		r.sign(acc.Actor)
		w.unsigned = nil
	}
	if w.changes >= crdt.TargetBatchChanges || w.bytes >= crdt.TargetBatchBytes {
		r.seal()
	}
}

// sign signs an own actor's last change.
func (r *Replica) sign(a causal.Actor) {
	tip, ok := r.chains.Tip(a)
	if !ok {
		panic(fmt.Sprintf("replica: sign the empty log of %s", a))
	}
	s := crdt.Signature{Dot: tip.Dot()}
	if n := copy(s.Sig[:], r.cfg.Sign(crdt.SigningBytes(tip.Hash))); n != len(s.Sig) {
		panic(fmt.Sprintf("replica: Config.Sign returned %d bytes", n))
	}
	r.chains.AddSignature(s)
}

// seal signs the own changes that are in no block yet and puts them in one.
func (r *Replica) seal() {
	n := r.graph.Len()
	if r.sealed == n {
		return
	}
	for _, u := range r.author.unsigned {
		r.sign(u.actor)
	}
	if r.cfg.NewActor != nil && r.alone() {
		r.self.hold(r.sealed)
		r.own.valid = false
	}
	r.author.unsigned, r.author.changes, r.author.bytes = nil, 0, 0
	span := causal.Span{Start: r.sealed, End: n}
	changes := r.source.unstable
	i, _ := slices.BinarySearchFunc(changes, r.sealed, func(a crdt.Accepted, lv causal.LV) int { return int(a.Span.Start - lv) })
	batch := r.chains.AppendBatch(nil, changes[i:])
	r.addBlock(span, batch, len(changes)-i)
	r.out.pushed = true
	if r.gossip && !r.self.held {
		r.announce(span, batch)
	}
}

// addBlock queues a batch of n changes for the log. It is also what to send to a peer that lacks just that, and, if it is large, to one that
// lacks that first.
func (r *Replica) addBlock(span causal.Span, batch []byte, n int) {
	r.out.blocks = append(r.out.blocks, Block{First: span.Start, Batch: batch})
	whole := []causal.Span{span}
	c := cutting{missing: whole, batch: batch, sent: whole}
	r.out.cuts = append(r.out.cuts, c)
	if len(batch) <= crdt.TargetBatchBytes && (4*n >= crdt.TargetBatchChanges || 4*len(batch) >= crdt.TargetBatchBytes) {
		if len(r.large) == maxLarge {
			r.large = slices.Delete(r.large, 0, 1)
		}
		r.large = append(r.large, c)
	}
	r.sealed = span.End
	r.grew()
}

// announce gossips own changes, or only their heads if they are many.
func (r *Replica) announce(span causal.Span, batch []byte) {
	if len(batch) <= r.limits.AnnounceBytes {
		r.out.announce = append(r.out.announce, &Changes{Batch: batch})
		return
	}
	var heads summary
	r.graph.Runs(span, func(run causal.Run) bool {
		heads.add(r.chains.TipOf(run.Actor))
		return true
	})
	r.out.announce = append(r.out.announce, &Heads{Tips: heads})
}
