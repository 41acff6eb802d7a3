package peer

import (
	"context"
	"math"
	"time"

	"github.com/atollsync/atoll/peer/replica"
)

const (
	// tickInterval is how often a replica is told the time at most: only the ticks are made of which Replica.NextTick says that they do
	// something. Those of all stores fall together, so that a device with many wakes no more often.
	tickInterval = 100 * time.Millisecond
	// tickSlack is by how much a tick may come too early: one that a busy machine made a little late would else put off by a whole one what
	// counts from it.
	tickSlack = tickInterval / 10
	// clockInterval is how often the wall clock is looked at, at least.
	clockInterval = 2 * time.Second
	// After clockJump the replicas are told the time although they did not expect to be, and after wallJump the device must have slept.
	clockJump = time.Second
	wallJump  = 10 * time.Second
)

// never is a tick that does not come.
const never = math.MaxInt64

// ticks returns how many ticks there were since the node was opened.
func (n *Node) ticks() int64 { return int64(time.Since(n.began) / tickInterval) }

// rouse makes the ticker look again at when the stores are due.
func (n *Node) rouse() {
	select {
	case n.roused <- struct{}{}:
	default:
	}
}

// tick tells the replicas the time when they have something to do.
func (w *network) tick() {
	n := w.node
	timer := time.NewTimer(0)
	defer timer.Stop()
	last, wall := time.Now(), n.now()
	next := last // when the timer goes off
	for {
		select {
		case <-w.ctx.Done():
			return
		case <-timer.C:
		case <-n.roused:
		}
		now, shown := time.Now(), n.now()
		// The clock that timers go by may stop while the device sleeps. Where it does not, they go off late.
		passed := min(now.Sub(last), next.Sub(last))
		ahead := shown - wall - passed.Milliseconds()
		last, wall = now, shown
		if ahead > wallJump.Milliseconds() {
			w.log.Debug("the device has slept")
			w.dialer.kick(true)
			for _, s := range w.list() {
				s.poke()
			}
		}
		wait := clockInterval
		for _, s := range n.opened() {
			if ahead > clockJump.Milliseconds() || s.due.Load() <= n.ticks() {
				s.due.Store(never)
				s.tick(w.ctx)
			}
			if due := s.due.Load(); due < never {
				wait = max(0, min(wait, time.Until(n.began.Add(time.Duration(due)*tickInterval))))
			}
		}
		next = time.Now().Add(wait)
		timer.Reset(wait)
	}
}

// tick tells the replica the time: what the wall clock says, or, if that runs behind, what has passed nevertheless.
func (s *Store) tick(ctx context.Context) {
	// What fails is reported by the store.
	_ = s.do(ctx, func(r *replica.Replica) error {
		s.unsent = false
		s.readAgain()
		passed := time.Since(s.toldAt).Truncate(time.Millisecond)
		s.told, s.toldAt = max(s.node.now(), s.told+passed.Milliseconds()), s.toldAt.Add(passed)
		r.Tick(s.told)
		return nil
	})
	if ctx.Err() != nil {
		s.due.Store(0) // perhaps it was not told: the next Run does that
	}
}

// now returns the wall clock for the replica, which goes by how far it runs from one time it is told to the next. How much has passed
// that it was not shown, tick knows from told and toldAt. s.mu is held.
func (s *Store) now() int64 {
	now := s.node.now()
	passed := time.Since(s.toldAt)
	if shown := now - s.told; shown <= passed.Milliseconds() {
		passed = time.Duration(max(0, shown)) * time.Millisecond
	}
	s.toldAt = s.toldAt.Add(passed)
	s.told = now
	return now
}

// retime works out the next tick at which the replica has something to do. It is called after whatever may change that. s.mu is held.
func (s *Store) retime() {
	if s.due.Load() <= s.node.ticks()+1 {
		return // it cannot be sooner
	}
	due := int64(never)
	if at, ok := s.dueAt(); ok {
		at := at.Sub(s.node.began) - tickSlack
		due = max(int64((at+tickInterval-1)/tickInterval), s.node.ticks()+1)
	}
	if s.due.Swap(due) > due {
		s.node.rouse()
	}
}

// dueAt returns when the replica has something to do, and false if never. s.mu is held.
func (s *Store) dueAt() (time.Time, bool) {
	switch {
	case s.closed:
		return time.Time{}, false
	case s.rep == nil:
		return s.revived.Add(reviveInterval), true
	}
	next := s.rep.NextTick()
	at := s.toldAt.Add(time.Duration(next) * time.Millisecond)
	retry := time.Now().Add(reviveInterval)
	if !s.unsent {
		retry = s.reread.Add(rereadInterval)
	}
	if s.unreadable != nil && (next < 0 || at.After(retry)) {
		return retry, true
	}
	return at, next >= 0
}
