package peer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	lnet "github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/multiformats/go-multistream"
)

// lastingSession is how long a session must last for the next to be opened without patience.
const lastingSession = 10 * time.Second

// openTimeout bounds the opening of a stream, and the time a peer may take to say what it is after.
const openTimeout = 15 * time.Second

// network is what Run runs: the host, the sessions, and the goroutines that keep them.
type network struct {
	node    *Node
	log     *slog.Logger
	ctx     context.Context // ends with Run
	host    host.Host
	id      peer.ID
	gate    *gater
	dialer  *dialer
	gossip  *gossip // nil: off
	work    sync.WaitGroup
	nudged  chan struct{}
	metrics *metrics

	mu       sync.Mutex
	ended    bool // no goroutine may start any more
	sessions map[peer.ID]*session
	keepers  map[peer.ID]*keeper // one for each connected peer
	changed  chan struct{}       // closed, and replaced, when sessions changes or one is settled
}

// keeper is the goroutine that sees to it that there is a session with a connected peer.
type keeper struct {
	cancel context.CancelFunc
	wake   chan struct{} // try again now
}

// runNetwork is Run.
func (n *Node) runNetwork(ctx context.Context) error {
	// Every store is offered to peers, so every log is read. A damaged one must not keep the others offline.
	n.mu.Lock()
	entries := n.list()
	n.mu.Unlock()
	for _, e := range entries {
		if ctx.Err() != nil {
			return nil
		}
		if _, err := n.open(e); err != nil {
			n.log.Error("the store cannot be opened and stays offline", logStore, *e.name.Load(), logError, err)
		}
	}

	gate := newGater(n.offline.Load, time.Now)
	h, err := newHost(&n.cfg, n.key, gate, n.log)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	w := &network{
		node: n, log: n.log, ctx: ctx, host: h, id: h.ID(), gate: gate, metrics: n.metrics,
		nudged: make(chan struct{}, 1), sessions: make(map[peer.ID]*session),
		keepers: make(map[peer.ID]*keeper), changed: make(chan struct{}),
	}
	w.dialer = newDialer(w)
	defer w.close(cancel)
	if !n.cfg.NoGossip {
		if w.gossip, err = newGossip(w); err != nil {
			return fmt.Errorf("start gossipsub: %w", err)
		}
	}
	// NotConnected must not be missed, so the subscription has room, and events does little.
	sub, err := h.EventBus().Subscribe([]any{new(event.EvtPeerConnectednessChanged), new(event.EvtLocalAddressesUpdated)}, eventbus.BufSize(1024))
	if err != nil {
		return fmt.Errorf("subscribe to libp2p's events: %w", err)
	}
	w.start(func() { w.events(sub) })
	h.SetStreamHandler(syncProtocol, w.accept)
	for _, info := range n.cfg.bootstrap {
		w.dialer.add(info, sourceBootstrap)
	}
	for _, s := range n.opened() {
		w.dialer.addMembers(s)
	}
	w.start(w.dialer.run)
	w.start(w.tick)
	w.start(w.keepHouse)
	if !n.cfg.NoMDNS {
		w.start(w.discover)
	}
	n.setNetwork(w)
	for _, s := range n.opened() { // those that came while there was no n.net to tell
		w.dialer.addMembers(s)
	}
	w.nudge()
	w.log.Info("node is up", logPeer, w.id, logAddrs, formatAddrs(h.Addrs()))

	<-ctx.Done()
	return nil
}

// close ends everything and waits for it.
func (w *network) close(cancel context.CancelCauseFunc) {
	w.node.setNetwork(nil)
	w.rememberMembers()
	w.host.RemoveStreamHandler(syncProtocol)
	w.mu.Lock()
	w.ended = true
	w.mu.Unlock()
	cancel(errShutdown)
	for _, s := range w.list() {
		s.fail(errShutdown)
	}
	if w.gossip != nil {
		w.gossip.close()
	}
	if err := w.host.Close(); err != nil {
		w.log.Debug("libp2p did not close cleanly", logError, err)
	}
	w.work.Wait()
	w.log.Info("node is down")
}

// start runs f in a goroutine that close waits for. It does nothing, and says so, once close has begun.
func (w *network) start(f func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return false
	}
	w.work.Go(f)
	return true
}

// nudge asks for housekeeping soon.
func (w *network) nudge() {
	select {
	case w.nudged <- struct{}{}:
	default:
	}
}

// list returns the sessions.
func (w *network) list() []*session {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]*session, 0, len(w.sessions))
	for _, s := range w.sessions {
		out = append(out, s)
	}
	return out
}

// session returns the session with p, nil if there is none.
func (w *network) session(p peer.ID) *session {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sessions[p]
}

// signal tells those who wait for a session to look again. w.mu is held.
func (w *network) signal() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// events follows who is connected, and where we are.
func (w *network) events(sub event.Subscription) {
	defer sub.Close()
	for {
		select {
		case <-w.ctx.Done():
			return
		case e, ok := <-sub.Out():
			if !ok {
				return
			}
			switch e := e.(type) {
			case event.EvtPeerConnectednessChanged:
				if e.Connectedness == lnet.Connected {
					w.connected(e.Peer)
				} else if e.Connectedness == lnet.NotConnected {
					w.disconnected(e.Peer)
				}
			case event.EvtLocalAddressesUpdated:
				w.log.Debug("addresses changed", logAddrs, formatAddrs(w.host.Addrs()))
				w.dialer.kick(true)
				for _, s := range w.list() {
					s.poke() // perhaps the way to it is gone
				}
			}
		}
	}
}

// connected starts the keeper of p.
func (w *network) connected(p peer.ID) {
	if w.node.Offline() {
		_ = w.host.Network().ClosePeer(p) // it slipped in while we went offline; it may be gone already
		return
	}
	w.dialer.reached(p)
	w.mu.Lock()
	if old := w.keepers[p]; old != nil { // another connection came before the first had gone
		w.mu.Unlock()
		select {
		case old.wake <- struct{}{}:
		default:
		}
		return
	}
	ctx, cancel := context.WithCancel(w.ctx)
	k := &keeper{cancel: cancel, wake: make(chan struct{}, 1)}
	w.keepers[p] = k
	w.mu.Unlock()
	if !w.start(func() { w.keep(ctx, p, k) }) {
		cancel()
	}
}

// disconnected ends the keeper of p and has p dialled again.
func (w *network) disconnected(p peer.ID) {
	w.mu.Lock()
	k := w.keepers[p]
	delete(w.keepers, p)
	s := w.sessions[p]
	w.mu.Unlock()
	if k != nil {
		k.cancel()
	}
	if s != nil {
		s.poke()
	}
	w.dialer.lost(p)
}

// keep sees to it that there is a session with p, as long as p is connected. The peer with the smaller ID opens the
// stream; the other does so if that takes too long.
func (w *network) keep(ctx context.Context, p peer.ID, k *keeper) {
	defer k.cancel()
	failures := 0
	wait := func(d time.Duration) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-k.wake:
			failures = 0
		case <-ctx.Done():
		}
	}
	if w.id > p {
		wait(jitter(600 * time.Millisecond))
	}
	for ctx.Err() == nil {
		began := time.Now()
		if s := w.session(p); s != nil {
			select {
			case <-s.done:
			case <-ctx.Done():
				return
			}
			if w.id > p {
				wait(jitter(600 * time.Millisecond))
			}
		} else if w.gate.allowed(p) {
			switch err := w.open(ctx, p); {
			case isNotSupported(err):
				w.log.Debug("not a node of Atoll", logPeer, p)
				failures = maxBackoffSteps
			case err != nil:
				w.log.Debug("no session", logPeer, p, logError, err)
			}
		}
		if time.Since(began) > lastingSession {
			failures = 0
		}
		if w.session(p) == nil { // none took the place of the one that ended
			wait(backoff(failures))
			failures++
		}
	}
}

func isNotSupported(err error) bool {
	var e multistream.ErrNotSupported[protocol.ID]
	return errors.As(err, &e)
}

// open opens a stream to p and serves it until it ends. It returns an error if there was no session.
func (w *network) open(ctx context.Context, p peer.ID) error {
	device, ok := deviceOf(p)
	if !ok {
		return fmt.Errorf("%v has no ed25519 key", p)
	}
	opening, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	stream, err := w.host.NewStream(lnet.WithNoDial(opening, "connected already"), p, syncProtocol)
	if err != nil {
		return err
	}
	s := newSession(w, stream, device, true)
	if err := w.register(s); err != nil {
		s.fail(err)
		return nil // there is a session: the other
	}
	w.serve(s)
	return nil
}

// accept serves a stream that a peer has opened.
func (w *network) accept(stream lnet.Stream) {
	served := make(chan struct{})
	ok := w.start(func() {
		defer close(served)
		device, ok := deviceOf(stream.Conn().RemotePeer())
		if !ok || w.node.Offline() {
			_ = stream.Reset()
			return
		}
		s := newSession(w, stream, device, false)
		if err := w.register(s); err != nil {
			s.fail(err)
			return
		}
		w.serve(s)
	})
	if !ok {
		_ = stream.Reset()
		return
	}
	<-served
}

// register makes s the session with its peer, unless another is to be kept. Both ends decide alike: of two
// streams opened by one side the newer is kept (the older one must be dead, or it would not have
// been opened), else that of the peer with the smaller ID.
func (w *network) register(s *session) error {
	w.mu.Lock()
	old := w.sessions[s.peer]
	if old != nil && old.opened != s.opened && old.smallerOpened() {
		w.mu.Unlock()
		old.poke() // why would the peer open another? Perhaps the old one is dead to it
		return errReplaced
	}
	w.sessions[s.peer] = s
	w.mu.Unlock()
	if old != nil {
		old.fail(errReplaced)
	}
	return nil
}

// serve runs s, then takes it out and judges the peer.
func (w *network) serve(s *session) {
	w.dialer.reached(s.peer)
	err := s.run()
	w.mu.Lock()
	if w.sessions[s.peer] == s {
		delete(w.sessions, s.peer)
	}
	w.signal()
	w.mu.Unlock()
	w.nudge()

	var v *violationError
	switch {
	case errors.As(err, &v):
		w.metrics.violations.Inc()
		until := w.gate.blame(s.peer, v.points, v.err)
		w.log.Warn("a peer broke the protocol", logPeer, s.peer, logError, v.err)
		if !until.IsZero() && until.After(time.Now()) {
			w.metrics.bans.Inc()
			w.log.Warn("the peer is banned", logPeer, s.peer, logUntil, until)
			_ = w.host.Network().ClosePeer(s.peer) // it may be gone already
		}
	case errors.Is(err, errSilent):
		// Whatever else runs over the connection is dead too, and libp2p would take
		// half a minute to notice. ClosePeer makes the dialer try again.
		w.log.Debug("connection went silent", logPeer, s.peer)
		_ = w.host.Network().ClosePeer(s.peer)
	case errors.Is(err, errVersion):
		w.log.Warn("one of two nodes is too old for the other", logPeer, s.peer, logError, err)
	default:
		w.log.Debug("session ended", logPeer, s.peer, logError, err)
	}
}

// met is told when the stores shared with a peer have changed, or it is clear that there are none.
func (w *network) met(s *session) {
	shared := s.shared()
	w.mu.Lock()
	w.signal()
	w.mu.Unlock()
	w.dialer.met(s.peer, len(shared) > 0)
	tag := "atoll"
	if len(shared) > 0 {
		w.host.ConnManager().Protect(s.peer, tag)
		w.gossipMet(s)
	} else {
		w.host.ConnManager().Unprotect(s.peer, tag)
	}
	for _, st := range w.node.opened() {
		if w.dialer.expects(s.peer, st.id) && !slices.Contains(shared, st) {
			st.refusedBy(s.device)
		}
	}
	w.log.Debug("met", logPeer, s.peer, logShared, len(shared))
	w.nudge()
}

// storeAdded offers a store to everybody who is there, and looks for its members.
func (w *network) storeAdded(s *Store) {
	w.dialer.addMembers(s)
	for _, other := range w.list() {
		other := other
		w.start(func() {
			select {
			case <-other.settled: // else it is offered with the rest
				other.offer([]*Store{s}, false)
			case <-other.done:
			case <-w.ctx.Done():
			}
		})
	}
	w.mu.Lock()
	for _, k := range w.keepers {
		select {
		case k.wake <- struct{}{}:
		default:
		}
	}
	w.mu.Unlock()
	w.dialer.kick(true)
	w.nudge()
}

// storeRemoved tells everybody that we no longer hold s.
func (w *network) storeRemoved(s *Store) {
	for _, other := range w.list() {
		other.drop(s)
	}
	if w.gossip != nil {
		w.gossip.leave(s)
	}
	w.dialer.forget(s.id)
	w.nudge()
}

// offlineChanged cuts all connections, or has them made again.
func (w *network) offlineChanged() {
	if w.node.Offline() {
		for _, p := range w.host.Network().Peers() {
			_ = w.host.Network().ClosePeer(p) // it may be gone already
		}
		return
	}
	w.dialer.kick(true)
}

// jitter returns a random time between half of d and one and a half.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d) }
