package peer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/peer/replica"
	"github.com/atollsync/atoll/storage"
)

// ErrReadOnly is wrapped by the errors of a store whose log could not be written. What is
// durable can be read and is still sent to peers (but see StoreStatus.Problem); nothing more can be written until the cause is
// gone and the node is opened again.
var ErrReadOnly = errors.New("peer: the store is read-only: its log could not be written")

// errUnwound goes to those who waited for a write during which the program panicked.
var errUnwound = errors.New("peer: the write was not finished")

// maxGroup is how many jobs share one append: it bounds how long readers wait.
const maxGroup = 1024

// job is something to do with a store's replica under its lock. It runs on the
// goroutine that asked for it, so that a panic ends where it belongs.
type job struct {
	state atomic.Int32
	turn  chan struct{} // closed by the leader: run now, the lock is held for you
	ran   chan struct{} // closed when it has run, or unwound
	done  chan struct{} // closed when what it did is durable, or lost
	err   error         // before done: what run returned; after: the outcome
}

const (
	jobQueued int32 = iota
	jobRunning
	jobGone // its caller gave up before its turn came
)

// do runs fn on s's replica, makes durable what came of it, shows it and sends it, and then
// returns fn's error or that of the write. Callers that come while a write is under way share the next
// one: whoever gets the lock leads, gives each that waits its turn, and writes once for
// all (group commit). If ctx ends before fn's turn, fn does not run; afterwards do sees it through.
func (s *Store) do(ctx context.Context, fn func(*replica.Replica) error) error {
	j := &job{turn: make(chan struct{}), ran: make(chan struct{}), done: make(chan struct{})}
	s.queueMu.Lock()
	s.queue = append(s.queue, j)
	s.queueMu.Unlock()

	ended := ctx.Done()
	for {
		select {
		case s.leader <- struct{}{}:
			if j.state.Load() == jobQueued {
				s.lead(j, fn)
			} else { // an earlier leader is done with this one, or is about to be
				<-s.leader
			}
		case <-j.turn:
			s.run(j, fn)
			<-j.done
		case <-j.done:
		case <-ended:
			if j.state.CompareAndSwap(jobQueued, jobGone) {
				return context.Cause(ctx)
			}
			ended = nil
			continue
		}
		select {
		case <-j.done:
			return j.err
		default:
		}
	}
}

// run runs fn for j. If fn panics, its caller gets the panic, and the leader goes on.
func (s *Store) run(j *job, fn func(*replica.Replica) error) {
	defer close(j.ran)
	if s.closed || s.rep == nil {
		j.err = s.gone()
		return
	}
	j.err = fn(s.rep)
}

// lead gives every waiting job its turn, in the order in which they came, then writes and shows what came of
// them. It holds s.leader on entry and gives it back, also when own panics; those after it then wait for another leader.
func (s *Store) lead(own *job, fn func(*replica.Replica) error) {
	s.queueMu.Lock()
	n := min(len(s.queue), maxGroup)
	group := slices.Clone(s.queue[:n])
	s.queue = slices.Delete(s.queue, 0, n)
	s.queueMu.Unlock()

	ran := make([]*job, 0, n)
	err := errUnwound
	defer func() {
		for _, j := range ran {
			if err != nil && j.err == nil {
				j.err = err
			}
			close(j.done)
		}
		<-s.leader
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() {
		err = s.flush()
		s.retime()
	}()
	next := 0
	defer func() {
		s.queueMu.Lock()
		defer s.queueMu.Unlock()
		s.queue = slices.Insert(s.queue, 0, group[next:]...)
	}()
	if s.rep == nil && !s.closed && time.Since(s.revived) > reviveInterval {
		s.revive()
	}
	for next < n {
		j := group[next]
		next++
		if !j.state.CompareAndSwap(jobQueued, jobRunning) {
			continue
		}
		ran = append(ran, j)
		if j == own {
			s.run(own, fn)
			continue
		}
		close(j.turn)
		<-j.ran
	}
}

// flush makes durable what the replica wants written, then shows and sends what depends on it.
// On failure memory is rebuilt from the log, so that nothing stays that is not durable. s.mu is held.
func (s *Store) flush() error {
	for !s.closed && s.rep != nil && s.rep.HasReady() {
		rd := s.rep.Ready()
		if err := s.write(&rd); err != nil {
			s.breakDown(err)
			return s.fault
		}
		if rd.Rewrite != nil {
			s.rewritten(rd.Rewrite)
			continue
		}
		s.rep.Advance()
		s.active.Store(s.node.ticks())
		s.show(rd.Events)
		s.send(rd.Messages)
		if len(rd.Announce) > 0 && s.topic != nil {
			s.topic.announce(rd.Announce)
		}
		for _, f := range rd.Forks {
			s.node.log.Warn("an actor's log has forked", logStore, s.Name(), logFork, f.String())
		}
		for _, d := range rd.Diverged {
			s.node.metrics.diverged.Inc()
			s.node.log.Error("a peer with the same changes shows something else: a bug in what one of the two runs", logStore, s.Name(), logDiverged, d.String())
		}
		for _, b := range rd.Blamed {
			if s.fault != nil && b.Reason == replica.Withheld {
				continue // perhaps it was sent, and could not be taken in
			}
			s.node.metrics.refused.Inc()
			if l := s.links[b.Peer]; l != nil {
				l.session.fail(violation(b.Reason.Points(), b))
			}
		}
		s.stirred = s.stirred || len(rd.Events) > 0 || len(rd.Records) > 0
		if rd.Err != nil {
			s.noteUnreadable(rd.Err)
			break
		}
	}
	if s.stirred {
		s.wake()
	}
	return nil
}

// noteUnreadable notes that the log cannot be read for a peer. Own writes may still work. What could not be read is not sent; a later tick tries
// again. s.mu is held.
func (s *Store) noteUnreadable(err error) {
	if s.unreadable == nil {
		s.node.log.Error("the log cannot be read", logStore, s.Name(), logError, err)
	}
	s.unreadable, s.unsent, s.reread = err, true, time.Now()
}

// rereadInterval is how often it is tried to read once more what could not be read for a peer.
const rereadInterval = 10 * time.Second

// readAgain finds out whether what could not be read for a peer can be read by now. s.mu is held.
func (s *Store) readAgain() {
	if s.unreadable == nil || time.Since(s.reread) < rereadInterval {
		return
	}
	s.reread = time.Now()
	if s.unreadable = s.rep.Reread(); s.unreadable == nil {
		s.node.log.Info("the log can be read again", logStore, s.Name())
	}
}

// send queues messages for the peers they are for. s.mu is held.
func (s *Store) send(messages []replica.Envelope) {
	for _, m := range messages {
		if l := s.links[m.To]; l != nil {
			l.send(m.Message)
		}
	}
}

// write puts what rd wants to survive into the log.
func (s *Store) write(rd *replica.Ready) error {
	if s.fault != nil && (len(rd.Blocks) > 0 || rd.Rewrite != nil) {
		return s.fault
	}
	if !rd.Actor.IsZero() {
		if err := s.renew(rd.Actor); err != nil {
			return err
		}
	}
	if rd.Rewrite != nil {
		blocks := make([]storage.Block, len(rd.Rewrite.Blocks))
		for i, b := range rd.Rewrite.Blocks {
			blocks[i] = storage.Block{First: b.First, Batch: b.Batch}
		}
		if rd.Rewrite.From == s.log.Len() {
			return s.log.Append(blocks...) // what is replaced was never written
		}
		return s.log.Rewrite(rd.Rewrite.From, blocks...)
	}
	if rd.Self != nil {
		if err := s.writeSelf(rd); err != nil {
			return err
		}
	}
	// Buffered: durable with the next append. Losing them costs a longer Have, or a record that is made again.
	for _, p := range rd.Peers {
		if err := s.log.PutPeer(p.Device, p.State); err != nil && s.fault == nil {
			return err
		}
	}
	for _, r := range rd.Records {
		if err := s.log.PutRecord(r.Device, r.Record); err != nil && s.fault == nil {
			return err
		}
	}
	if len(rd.Blocks) == 0 {
		if len(rd.Peers)+len(rd.Records) > 0 {
			s.unkept.Store(true)
		}
		return nil
	}
	blocks := make([]storage.Block, len(rd.Blocks))
	for i, b := range rd.Blocks {
		blocks[i] = storage.Block{First: b.First, Batch: b.Batch}
	}
	start := time.Now()
	if err := s.log.Append(blocks...); err != nil {
		return fmt.Errorf("append %d blocks: %w", len(rd.Blocks), err)
	}
	s.appends.Add(1)
	s.node.metrics.appended(time.Since(start))
	return nil
}

// renew goes on as another actor. A store that is read-only writes as none: if it cannot keep its new actor either, it
// will be told again why it needs one. s.mu is held.
func (s *Store) renew(actor crdt.Actor) error {
	s.rivalled = true
	err := s.node.putActor(s.id, actor)
	switch {
	case err == nil:
		s.actor = actor
		s.node.metrics.renewals.Inc()
		s.node.log.Warn("somebody else holds more of this device's log than it does, or another one: "+
			"a restored backup, or a second copy of its directory. It goes on as a new actor", logStore, s.Name(), logActor, actor)
	case s.fault == nil:
		return fmt.Errorf("store a new actor: %w", err)
	}
	return nil
}

// writeSelf makes durable what the replica keeps of what has never left this device, which mostly is that it is about to leave. From a
// store that is read-only it leaves although that cannot be noted, so that it is somewhere at least, but not if somebody else holds another log
// of this device: it is to be written anew then, once that is possible, and until then nobody may have it. s.mu is held.
func (s *Store) writeSelf(rd *replica.Ready) error {
	withheld := func(b *replica.RefusedError) bool { return b.Reason == replica.Withheld } // as it must seem to one who takes nothing in
	if s.fault != nil && (s.rivalled || slices.ContainsFunc(rd.Blamed, withheld)) {
		s.mute = true
		return s.fault
	}
	err := s.log.PutSelf(rd.Self)
	if err == nil && len(rd.Blocks) == 0 {
		err = s.log.Flush() // else with the blocks
	}
	if err != nil && s.fault == nil {
		return fmt.Errorf("keep what has never left this device: %w", err)
	}
	if err != nil {
		s.unkept.Store(true) // perhaps there is room later
	}
	return nil
}

// breakDown makes s read-only because of err and goes back to what the log holds. s.mu is held.
func (s *Store) breakDown(err error) {
	if s.fault == nil {
		s.fault = fmt.Errorf("%w: %w", ErrReadOnly, err)
		s.node.log.Error("the store is read-only until the node is opened again", logStore, s.Name(), logError, err)
	}
	s.rep = nil
	s.revive()
}

// reviveInterval is how often reading a log again is tried that could not be read.
const reviveInterval = time.Second

// revive rebuilds the replica from the log. It stays nil if that fails. s.mu is held.
func (s *Store) revive() {
	defer s.wake()
	s.revived = time.Now()
	rep, err := s.restore()
	if err != nil {
		if s.unreadable == nil {
			s.node.log.Error("the store cannot be read", logStore, s.Name(), logError, err)
		}
		s.unreadable = err
		return
	}
	s.rep, s.unreadable = rep, nil
	s.undo = crdt.UndoStack{} // some of its changes may not have been made
	s.ring.reset(rep.Chains().Graph().Len())
	now := s.now()
	rep.SetGossip(s.topic != nil)
	for device := range s.links {
		if s.mute {
			break
		}
		rep.Connect(device, now)
		rep.SetSubscribed(device, s.topic.has(device))
	}
	// What this sends needs no write: nothing of it can fail again for the same reason.
	for rep.HasReady() {
		rd := rep.Ready()
		if len(rd.Blocks) > 0 {
			break
		}
		rep.Advance()
		s.send(rd.Messages)
		if rd.Err != nil {
			s.noteUnreadable(rd.Err)
			break
		}
	}
}

// moved says where own changes went with a rewrite of the log.
type moved struct {
	replica.Moved
	rewrite int // its number, from 1
}

// maxMoved bounds how many moves of own changes are remembered.
const maxMoved = 64

// rewritten builds the replica anew after the end of its log was replaced. Watchers go on from what they saw, under its
// new names. s.mu is held.
func (s *Store) rewritten(rw *replica.Rewrite) {
	s.rewrites++
	for _, m := range rw.Moved {
		s.moved = append(s.moved, moved{m, s.rewrites})
	}
	if n := len(s.moved) - maxMoved; n > 0 {
		s.moved = s.moved[n:]
	}
	s.rep = nil
	s.revive()
}

// current returns the name that d, which this process gave to an own change, has now.
func (s *Store) current(d crdt.Dot) crdt.Dot {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.renamed(d, 0)
}

// renamed returns the name that d has now, if it had that after the given number of rewrites. s.mu is held.
func (s *Store) renamed(d crdt.Dot, rewrites int) crdt.Dot {
	for _, m := range s.moved {
		if m.rewrite > rewrites {
			d, _ = m.Of(d)
		}
	}
	return d
}

// gone says why there is no replica to work with. s.mu is held.
func (s *Store) gone() error {
	if s.closed || s.unreadable == nil {
		return s.fault
	}
	return fmt.Errorf("%w; and it cannot be read: %w", s.fault, s.unreadable)
}

// wake tells everybody who waits for something of s to look again. s.mu is held.
func (s *Store) wake() {
	s.stirred = false
	close(s.changed)
	s.changed = make(chan struct{})
}

// now is the node's wall clock in the milliseconds that changes are stamped with.
func (n *Node) now() int64 { return max(0, min(n.cfg.Now().UnixMilli(), crdt.MaxTime)) }
