package peer

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/peer/replica"
	"github.com/atollsync/atoll/storage"
)

// ErrUnknownVersion is wrapped where a version names changes that this device does not hold
// (yet). Wait for them, or start from a version that View or Watch gave.
var ErrUnknownVersion = errors.New("peer: this device does not hold all of that version")

// Store is a device's copy of one store. It is safe for concurrent use. It works with or without
// a network, until the store is forgotten or the node is closed.
type Store struct {
	node   *Node
	id     crdt.StoreID
	secret secret
	keys   *keys
	log    *storage.Log
	name   *atomic.Pointer[string] // the entry's

	// leader is held by whoever runs a group of jobs; it is taken before mu.
	leader  chan struct{}
	queueMu sync.Mutex
	queue   []*job

	// mu guards what follows. It is held through the write of a group, so that whoever reads under it
	// sees only what is durable.
	mu    sync.RWMutex
	actor crdt.Actor       // that Update writes as
	rep   *replica.Replica // nil if not even the log can be read
	fault error            // why s is read-only or closed
	// unreadable is what reading the log for a peer, or to build the replica, last failed with, until all that failed then can be read.
	unreadable error
	unsent     bool      // for that reason a message could not be made at the last tick or since
	reread     time.Time // when it was last tried to read for a peer, or once more
	revived    time.Time // when reading the log again was last tried
	told       int64     // the last time that the replica was told
	toldAt     time.Time // up to when it was told what has passed
	rivalled   bool      // somebody else was found to hold more of this device's log, or another one
	mute       bool      // read-only, and tells nobody anything: see writeSelf
	closed     bool
	stirred    bool                     // what is known of peers has changed since wake
	links      map[crdt.Device]*link    // the peers the replica is connected to, and how to reach them
	known      map[crdt.Device]struct{} // devices that have proved membership, at some time
	refused    map[crdt.Device]struct{} // peers from the ticket that do not hold s
	topic      *topic                   // nil: changes are pushed
	undo       crdt.UndoStack           // the changes of this process
	ring       ring
	rewrites   int           // of the log: what was known of places in it before is of no use after one
	moved      []moved       // own changes that were written anew, the latest last
	changed    chan struct{} // closed, and replaced, when something was shown or acknowledged

	appends  atomic.Uint64 // writes to the log
	unkept   atomic.Bool   // something was put beside the log since it was last written
	members  atomic.Int32  // len(links), for those who must not wait for mu
	watchers atomic.Int32
	merged   causal.LV    // how long the log was when there was nothing to merge; the housekeeper's
	active   atomic.Int64 // the last tick before the replica had something to do
	due      atomic.Int64 // the next tick at which it has
}

// newStore returns the store that info describes, its log replayed.
func (n *Node) newStore(info storage.StoreInfo, name *atomic.Pointer[string]) (*Store, error) {
	k, err := newKeys(info.Secret)
	if err != nil {
		return nil, err
	}
	if info.Actor.IsZero() {
		// New here, or the end of the log may have been lost: the dots after it may be
		// out in the world, and must never be given out twice.
		info.Actor = n.newActor()
		if err := n.cfg.Storage.PutStore(info); err != nil {
			return nil, fmt.Errorf("store the new actor of %q: %w", info.Name, err)
		}
	}
	log, err := n.cfg.Storage.Log(k.id)
	if err != nil {
		return nil, fmt.Errorf("open the log of %q: %w", info.Name, err)
	}
	s := &Store{
		node: n, id: k.id, secret: info.Secret, keys: k, actor: info.Actor, name: name, log: log,
		leader:  make(chan struct{}, 1),
		links:   make(map[crdt.Device]*link),
		known:   make(map[crdt.Device]struct{}),
		refused: make(map[crdt.Device]struct{}),
		changed: make(chan struct{}),
		told:    n.now(), toldAt: time.Now(),
	}
	s.active.Store(n.ticks())
	s.due.Store(n.ticks() + 1)
	if s.rep, err = s.restore(); err != nil {
		return nil, fmt.Errorf("read the log of %q: %w", info.Name, err)
	}
	s.ring.reset(s.rep.Chains().Graph().Len())
	return s, nil
}

// newActor mints an actor of this device.
func (n *Node) newActor() crdt.Actor {
	a := crdt.Actor{Device: n.device}
	rand.Read(a.Nonce[:]) // never fails: crypto/rand ends the process first
	return a
}

// restore builds a replica from what is durable.
func (s *Store) restore() (*replica.Replica, error) {
	key := s.node.key
	rep, err := replica.New(replica.Config{
		Store: s.id, Device: s.node.device, Actor: s.actor, Log: s.log, NewActor: s.node.newActor,
		Sign: func(msg []byte) []byte { return ed25519.Sign(key, msg) },
	})
	if err != nil {
		return nil, err
	}
	if err := s.log.Load(func(_ uint64, batch []byte) error { return rep.Restore(batch) }); err != nil {
		return nil, err
	}
	self, err := s.log.Self()
	if err != nil {
		return nil, err
	}
	if self != nil {
		if err := rep.RestoreSelf(self); err != nil { // all counts as sent
			s.node.log.Warn("what has never left this device cannot be told any more", logStore, s.Name(), logError, err)
		}
	}
	peers, err := s.log.Peers()
	if err != nil {
		return nil, err
	}
	for _, p := range peers {
		s.known[p.Device] = struct{}{}
		if err := rep.RestorePeer(p.Device, p.Value); err != nil { // a cache, no more
			s.node.log.Warn("what was known of a peer cannot be read", logStore, s.Name(), logPeer, p.Device, logError, err)
		}
	}
	records, err := s.log.Records()
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		if err := rep.RestoreRecord(r.Value); err != nil { // comes again from its device
			s.node.log.Warn("a delivery record cannot be read", logStore, s.Name(), logPeer, r.Device, logError, err)
		}
	}
	return rep, nil
}

// Name returns the name by which this device knows the store.
func (s *Store) Name() string { return *s.name.Load() }

// ID returns what names the store among its members. It is never shown to strangers.
func (s *Store) ID() crdt.StoreID { return s.id }

// Ticket returns what lets another device join the store, with this node's addresses at the moment
// and those of members seen lately. Whoever holds it can read and write the store for good.
func (s *Store) Ticket() Ticket {
	t := Ticket{secret: s.secret, name: s.Name()}
	t.peers = s.node.ticketPeers(s.id)
	return t
}

// Update makes a change: fn says what, and reads its own writes. On return the change is durable and shown,
// and on its way to peers, if there are any; offline it waits. If fn, a bad argument or the write fails, or fn panics,
// nothing happened. The dot names the change; it is zero if fn did nothing.
//
// fn runs once, under the store's lock: it must not call any method of s. If ctx ends before its
// turn comes, it does not run.
func (s *Store) Update(ctx context.Context, fn func(tx *crdt.Tx) error) (crdt.Dot, error) {
	return s.update(ctx, func(r *replica.Replica) (crdt.Dot, error) { return r.Commit(s.now(), fn) })
}

// UpdateAt is Update against an earlier version: positions in what fn does mean what the store showed
// then, and the change is concurrent to all that came since. Errors wrap ErrUnknownVersion if
// this device does not hold version.
func (s *Store) UpdateAt(ctx context.Context, version crdt.Version, fn func(tx *crdt.Tx) error) (crdt.Dot, error) {
	actor := s.node.newActor()
	return s.update(ctx, func(r *replica.Replica) (crdt.Dot, error) { return r.CommitAt(s.now(), version, actor, fn) })
}

// UpdateAs is UpdateAt by a given actor of this device, for programs that replay a history. It
// is an error if the last change of that actor is not in version.
func (s *Store) UpdateAs(ctx context.Context, nonce [causal.NonceSize]byte, version crdt.Version, fn func(tx *crdt.Tx) error) (crdt.Dot, error) {
	actor := crdt.Actor{Device: s.node.device, Nonce: nonce}
	return s.update(ctx, func(r *replica.Replica) (crdt.Dot, error) { return r.CommitAs(s.now(), version, actor, fn) })
}

// UpdateOps is UpdateAs for ops whose positions are known to mean version, as a thin client sends them: they
// are ascending by slice, and Len is set. It takes no longer for an old version. An op that would have
// no effect is an error.
func (s *Store) UpdateOps(ctx context.Context, nonce [causal.NonceSize]byte, version crdt.Version, ops []crdt.Op) (crdt.Dot, error) {
	actor := crdt.Actor{Device: s.node.device, Nonce: nonce}
	return s.update(ctx, func(r *replica.Replica) (crdt.Dot, error) { return r.CommitOps(s.now(), version, actor, ops) })
}

// AuthorOps makes one change as UpdateOps does. The dot is not durable yet.
type AuthorOps func(nonce [causal.NonceSize]byte, version crdt.Version, ops []crdt.Op) (crdt.Dot, error)

// UpdateMany makes several changes, in order, that become durable with one write: fn makes each by a call of
// author, and may build on the dots of those before it. What it made stands even if fn then returns an error, which UpdateMany
// returns. None of it is durable, and so none may be told to anybody, before UpdateMany has
// returned; if the write fails all of it is gone. fn runs under the store's lock, so make a few hundred at a time.
func (s *Store) UpdateMany(ctx context.Context, fn func(author AuthorOps) error) error {
	return s.do(ctx, func(r *replica.Replica) error {
		if s.fault != nil {
			return s.fault
		}
		return fn(func(nonce [causal.NonceSize]byte, version crdt.Version, ops []crdt.Op) (crdt.Dot, error) {
			actor := crdt.Actor{Device: s.node.device, Nonce: nonce}
			dot, err := r.CommitOps(s.now(), version, actor, ops)
			if errors.Is(err, replica.ErrVersion) {
				err = fmt.Errorf("%w: %w", ErrUnknownVersion, err)
			}
			if err == nil && !dot.IsZero() {
				s.undo.Did(dot)
				s.node.metrics.updates.Inc()
			}
			return dot, err
		})
	})
}

// update makes a change that can be undone.
func (s *Store) update(ctx context.Context, commit func(*replica.Replica) (crdt.Dot, error)) (crdt.Dot, error) {
	return s.commit(ctx, func(r *replica.Replica) (crdt.Dot, error) {
		dot, err := commit(r)
		if err == nil && !dot.IsZero() {
			s.undo.Did(dot)
		}
		return dot, err
	})
}

// commit makes a change.
func (s *Store) commit(ctx context.Context, commit func(*replica.Replica) (crdt.Dot, error)) (crdt.Dot, error) {
	var dot crdt.Dot
	err := s.do(ctx, func(r *replica.Replica) error {
		if s.fault != nil {
			return s.fault
		}
		var err error
		dot, err = commit(r)
		if errors.Is(err, replica.ErrVersion) {
			err = fmt.Errorf("%w: %w", ErrUnknownVersion, err)
		}
		return err
	})
	if err != nil {
		return crdt.Dot{}, err
	}
	if !dot.IsZero() {
		s.node.metrics.updates.Inc()
	}
	return s.current(dot), nil
}

// View calls fn with what the store shows now, which is all durable, and returns fn's error. The state
// must not be used after fn returns; fn must not call Update, and should not take long, since writers wait.
func (s *Store) View(fn func(*crdt.State) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed || s.rep == nil {
		return s.gone()
	}
	return fn(s.rep.State())
}

// step gives the replica a message that came over l.
func (s *Store) step(ctx context.Context, l *link, m replica.Message) error {
	return s.do(ctx, func(r *replica.Replica) error {
		if s.links[l.device] != l {
			return nil // the link was replaced while the message waited
		}
		if _, ok := m.(*replica.Changes); s.mute || ok && s.fault != nil {
			return nil // cannot be made durable; what is can still be asked for
		}
		s.stirred = true
		return r.Step(l.device, m, s.now())
	})
}

// attach connects the replica to the peer at the other end of l. digest, if not nil, is what both held when they compared.
func (s *Store) attach(ctx context.Context, l *link, digest *crdt.Hash) error {
	return s.do(ctx, func(r *replica.Replica) error {
		if old := s.links[l.device]; old == l {
			return nil
		} else if old != nil {
			r.Disconnect(l.device)
		}
		s.links[l.device] = l
		s.members.Store(int32(len(s.links)))
		if s.mute {
			return nil
		}
		now := s.now()
		r.Connect(l.device, now)
		r.SetSubscribed(l.device, s.topic.has(l.device))
		if digest != nil { // as if the peer had said so: the Have stays unsent, if the digest still holds
			return r.Step(l.device, &replica.Digest{Digest: *digest}, now)
		}
		return nil
	})
}

// detach undoes attach, unless another link has taken l's place.
func (s *Store) detach(l *link) {
	// The context is never done: the caller is about to end, and the replica must know. A
	// closed store has no replica that would need to.
	_ = s.do(context.Background(), func(r *replica.Replica) error {
		if s.links[l.device] == l {
			delete(s.links, l.device)
			s.members.Store(int32(len(s.links)))
			r.Disconnect(l.device)
		}
		return nil
	})
}

// digest returns what stands for all that the replica holds.
func (s *Store) digest() crdt.Hash {
	var d crdt.Hash
	// Under the lock proper: the replica computes it when it is asked. The context is never done,
	// and a store that cannot be read has no digest.
	_ = s.do(context.Background(), func(r *replica.Replica) error {
		d = r.Digest()
		return nil
	})
	return d
}

// knows reports whether device has ever proved to be a member.
func (s *Store) knows(device crdt.Device) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, ok := s.known[device]
	return ok
}

// proved keeps that device has proved to be a member.
func (s *Store) proved(device crdt.Device) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[device] = struct{}{}
	clear(s.refused)
}

// refusedBy keeps that a peer said to be a member does not hold s.
func (s *Store) refusedBy(device crdt.Device) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) == 0 && len(s.refused) < maxTicketPeers {
		s.refused[device] = struct{}{}
	}
}

// shut ends s: whoever waits gets err, and so does whoever calls.
func (s *Store) shut(err error) {
	s.leader <- struct{}{}
	defer func() { <-s.leader }()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if ferr := s.log.Flush(); ferr != nil && s.fault == nil { // caches: what is lost is found out again
		s.node.log.Warn("what peers hold could not be kept", logStore, s.Name(), logError, ferr)
	}
	s.closed = true
	s.fault = err
	s.wake()
}

// keep makes durable what is known of peers, if it is not.
func (s *Store) keep() {
	if !s.unkept.Swap(false) {
		return
	}
	if err := s.log.Flush(); err != nil {
		s.node.log.Warn("what peers hold could not be kept", logStore, s.Name(), logError, err)
	}
}
