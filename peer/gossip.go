package peer

import (
	"context"
	"errors"
	"fmt"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/peer/replica"
)

const (
	// Queues: with libp2p's own, of 32, messages are lost at a few hundred a second.
	gossipQueue = 4096
	// maxGossip is the size of the largest gossiped message, sealed; maxGossipPlain before it was compressed.
	maxGossip      = 256 << 10
	maxGossipPlain = 1 << 20
	// gossipTarget is how much of what was announced is put into one message.
	gossipTarget = 128 << 10
	// gossipPause is how long announcements are gathered for one message.
	gossipPause    = 5 * time.Millisecond
	maxGossipParts = 4096
)

// gossip is the fast path to many peers: one topic per store, for stores with many peers. Nothing depends on it: what it
// loses, the streams repair.
type gossip struct {
	net    *network
	host   *gossipHost
	ps     *pubsub.PubSub
	packer *compressor
	cancel context.CancelFunc
}

func newGossip(w *network) (*gossip, error) {
	h, err := newGossipHost(w.host, pubsub.GossipSubDefaultProtocols)
	if err != nil {
		return nil, err
	}
	packer, err := newCompressor(maxGossipPlain)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(w.ctx)
	ps, err := pubsub.NewGossipSub(ctx, h,
		pubsub.WithMaxMessageSize(maxGossip+4<<10),
		pubsub.WithPeerOutboundQueueSize(gossipQueue),
		pubsub.WithValidateQueueSize(gossipQueue),
		pubsub.WithFloodPublish(true), // own changes go to every member there is a stream to
		pubsub.WithSubscriptionFilter(subscriptions{w}),
	)
	if err != nil {
		cancel()
		packer.close()
		return nil, err
	}
	return &gossip{net: w, host: h, ps: ps, packer: packer, cancel: cancel}, nil
}

// close ends every topic and gossipsub itself.
func (g *gossip) close() {
	for _, s := range g.net.node.opened() {
		g.leave(s)
	}
	g.cancel()
	g.host.close()
	g.packer.close()
}

// gossipMet lets gossipsub see a peer that has proved to share a store: at once if it knows that we have proved it
// too, else only for the streams it opens, which it will not before.
func (w *network) gossipMet(s *session) {
	if w.gossip == nil {
		return
	}
	w.gossip.host.admit(s.peer)
	s.mu.Lock()
	confirmed := false
	for _, l := range s.byStore {
		confirmed = confirmed || l.verified.Load() && l.confirmed.Load()
	}
	s.mu.Unlock()
	if confirmed {
		if err := w.gossip.host.greet(s.peer); err != nil {
			w.log.Debug("gossipsub was not told of a peer", logPeer, s.peer, logError, err)
		}
	}
}

// gossipDrop hides the peer of a session that has ended.
func (w *network) gossipDrop(s *session) {
	if w.gossip != nil && w.session(s.peer) == s {
		w.gossip.host.hide(s.peer)
	}
}

// topic is a store's topic, while it has one.
type topic struct {
	gossip *gossip
	store  *Store
	topic  *pubsub.Topic
	sub    *pubsub.Subscription
	events *pubsub.TopicEventHandler
	queue  chan replica.Message
	cancel context.CancelFunc
	others map[crdt.Device]bool // who is subscribed as well; under store.mu
}

// adjust opens the store's topic if the store has many peers, and closes it if they have become few.
func (g *gossip) adjust(s *Store) {
	above := g.net.node.cfg.GossipAbove
	s.mu.RLock()
	open := s.topic != nil
	peers := 0
	if s.rep != nil && !s.closed {
		// Both ends of a connection must come to the same conclusion, more or less: so all that are
		// known count, connected or not.
		peers = max(len(s.links), len(s.rep.Devices()))
	}
	s.mu.RUnlock()
	var err error
	switch {
	case !open && peers > above:
		err = g.join(s)
	case open && above >= 0 && peers <= above/2:
		g.leave(s)
	}
	if err != nil && g.net.ctx.Err() == nil {
		g.net.log.Warn("no topic for the store", logStore, s.Name(), logError, err)
	}
}

// join opens s's topic.
func (g *gossip) join(s *Store) error {
	name := s.keys.topic
	err := g.ps.RegisterTopicValidator(name, g.validator(s), pubsub.WithValidatorConcurrency(16))
	if err != nil {
		return fmt.Errorf("register validator: %w", err)
	}
	t, err := g.ps.Join(name)
	if err != nil {
		_ = g.ps.UnregisterTopicValidator(name)
		return fmt.Errorf("join topic: %w", err)
	}
	sub, err := t.Subscribe(pubsub.WithBufferSize(gossipQueue))
	if err != nil {
		_ = t.Close()
		_ = g.ps.UnregisterTopicValidator(name)
		return fmt.Errorf("subscribe: %w", err)
	}
	events, err := t.EventHandler()
	if err != nil {
		sub.Cancel()
		_ = t.Close()
		_ = g.ps.UnregisterTopicValidator(name)
		return fmt.Errorf("watch topic: %w", err)
	}
	ctx, cancel := context.WithCancel(g.net.ctx)
	open := &topic{gossip: g, store: s, topic: t, sub: sub, events: events, queue: make(chan replica.Message, gossipQueue), cancel: cancel, others: make(map[crdt.Device]bool)}
	err = s.do(ctx, func(r *replica.Replica) error {
		s.topic = open
		r.SetGossip(true)
		return nil
	})
	if err != nil {
		open.close()
		return err
	}
	g.net.metrics.topics.Inc()
	if !g.net.start(func() { open.read(ctx) }) || !g.net.start(func() { open.publish(ctx) }) || !g.net.start(func() { open.watch(ctx) }) {
		g.leave(s)
		return errShutdown
	}
	g.net.log.Debug("topic opened", logStore, s.Name())
	return nil
}

// leave closes s's topic, if it has one. Changes are pushed again.
func (g *gossip) leave(s *Store) {
	s.mu.Lock()
	open := s.topic
	s.topic = nil
	if s.rep != nil {
		s.rep.SetGossip(false)
	}
	s.retime()
	s.mu.Unlock()
	if open == nil {
		return
	}
	open.close()
	g.net.metrics.topics.Dec()
	g.net.log.Debug("topic closed", logStore, s.Name())
}

func (t *topic) close() {
	t.cancel()
	t.events.Cancel()
	t.sub.Cancel()
	// Either fails only if gossipsub is ending already.
	_ = t.topic.Close()
	_ = t.gossip.ps.UnregisterTopicValidator(t.store.keys.topic)
}

// watch tells the replica which of its peers get what is announced.
func (t *topic) watch(ctx context.Context) {
	for {
		e, err := t.events.NextPeerEvent(ctx)
		if err != nil {
			return // the topic is closed
		}
		device, ok := deviceOf(e.Peer)
		if !ok {
			continue
		}
		on := e.Type == pubsub.PeerJoin
		// A closed store has no replica that would need to know.
		_ = t.store.do(ctx, func(r *replica.Replica) error {
			if t.store.topic != t {
				return nil
			}
			if on {
				t.others[device] = true
			} else {
				delete(t.others, device)
			}
			r.SetSubscribed(device, on)
			return nil
		})
	}
}

// has reports whether a device is subscribed to the topic. The store's lock must be held. It is false for a nil topic.
func (t *topic) has(device crdt.Device) bool { return t != nil && t.others[device] }

// announce queues messages for the topic. If too many wait, they are lost, and the streams make up for it.
func (t *topic) announce(messages []replica.Message) {
	for _, m := range messages {
		select {
		case t.queue <- m:
		default:
			t.gossip.net.metrics.gossipLost.Inc()
		}
	}
}

// publish puts what is announced within a few milliseconds into one message.
func (t *topic) publish(ctx context.Context) {
	for {
		var parts [][]byte
		size := 0
		take := func(m replica.Message) {
			b := m.AppendTo(nil)
			parts, size = append(parts, b), size+len(b)
		}
		select {
		case <-ctx.Done():
			return
		case m := <-t.queue:
			take(m)
		}
		pause := time.NewTimer(gossipPause)
	gather:
		for size < gossipTarget && len(parts) < maxGossipParts {
			select {
			case m := <-t.queue:
				take(m)
			case <-pause.C:
				break gather
			case <-ctx.Done():
				break gather
			}
		}
		pause.Stop()
		sealed := t.seal(parts)
		if len(sealed) > maxGossip {
			t.gossip.net.metrics.gossipLost.Add(float64(len(parts)))
			continue
		}
		if err := t.topic.Publish(ctx, sealed); err != nil {
			if ctx.Err() == nil {
				t.gossip.net.log.Debug("not gossiped", logStore, t.store.Name(), logError, err)
			}
			continue
		}
		t.gossip.net.metrics.gossipOut.Inc()
	}
}

// seal makes one message of several: flags, then msgpack, an array of them.
func (t *topic) seal(parts [][]byte) []byte {
	w := newArray(len(parts))
	for _, p := range parts {
		w.bytes(p)
	}
	plain, flag := w.done(), byte(0)
	if packed, ok := t.gossip.packer.pack(plain); ok {
		plain, flag = packed, flagZstd
	}
	return seal(t.store.keys.gossip, append([]byte{flag}, plain...), gossipPlace(t.gossip.net.id))
}

// gossipPlace binds a gossiped message to who published it.
func gossipPlace(from peer.ID) []byte { return append([]byte("atoll gossip v1\x00"), from...) }

// unseal undoes seal.
func (g *gossip) unseal(s *Store, from peer.ID, data []byte) ([]replica.Message, error) {
	if len(data) > maxGossip {
		return nil, fmt.Errorf("%w: %d bytes gossiped, at most %d allowed", errFrame, len(data), maxGossip)
	}
	plain, err := unseal(s.keys.gossip, data, gossipPlace(from))
	if err != nil {
		return nil, err
	}
	return decodeGossip(plain, g.packer)
}

// decodeGossip takes apart what was sealed.
func decodeGossip(plain []byte, packer *compressor) ([]replica.Message, error) {
	if len(plain) == 0 {
		return nil, fmt.Errorf("%w: empty message", errFrame)
	}
	flag, plain := plain[0], plain[1:]
	if flag&flagZstd != 0 {
		var err error
		if plain, err = packer.unpack(plain); err != nil {
			return nil, err
		}
	}
	f := openArray(plain)
	if f.left > maxGossipParts {
		f.fail()
	}
	var out []replica.Message
	for f.err == nil && f.left > 0 {
		raw := f.bytes(maxGossipPlain)
		if f.err != nil {
			break
		}
		m, err := replica.DecodeMessage(raw)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, f.end()
}

// gossiped is what the validator found in a message.
type gossiped struct {
	from     crdt.Device
	messages []replica.Message
}

// validator looks at what comes in before it is forwarded: whoever forwards what does not open, or is no message,
// does not know the store's secret or is faulty. What is not new is not forwarded.
func (g *gossip) validator(s *Store) pubsub.ValidatorEx {
	return func(_ context.Context, via peer.ID, msg *pubsub.Message) pubsub.ValidationResult {
		if via == g.net.id {
			return pubsub.ValidationAccept
		}
		from := msg.GetFrom()
		device, ok := deviceOf(from)
		var messages []replica.Message
		err := errors.New("peer: the author has no ed25519 key")
		if ok {
			messages, err = g.unseal(s, from, msg.GetData())
		}
		if err != nil {
			g.net.metrics.gossipRefused.Inc()
			if other := g.net.session(via); other != nil {
				other.fail(violation(blameMessage, fmt.Errorf("gossip: %w", err)))
			}
			return pubsub.ValidationReject
		}
		if !s.anyNew(messages) {
			return pubsub.ValidationIgnore
		}
		msg.ValidatorData = gossiped{device, messages}
		return pubsub.ValidationAccept
	}
}

// anyNew reports whether messages hold, or announce, changes that s lacks.
func (s *Store) anyNew(messages []replica.Message) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed || s.rep == nil {
		return false
	}
	g := s.rep.Chains().Graph()
	for _, m := range messages {
		switch m := m.(type) {
		case *replica.Changes:
			b, err := crdt.DecodeBatch(m.Batch)
			if err != nil {
				return true // Step says what is wrong with it
			}
			for run := range b.Runs {
				if run.End > g.Last(run.Actor)+1 {
					return true
				}
			}
		case *replica.Heads:
			for _, t := range m.Tips {
				if t.Seq > g.Last(t.Actor) {
					return true
				}
			}
		}
	}
	return false
}

// read gives what comes in to the replica.
func (t *topic) read(ctx context.Context) {
	for {
		msg, err := t.sub.Next(ctx)
		if err != nil {
			return // the topic is closed
		}
		in, ok := msg.ValidatorData.(gossiped)
		if !ok {
			continue // our own
		}
		t.gossip.net.metrics.gossipIn.Inc()
		for _, m := range in.messages {
			err := t.store.do(ctx, func(r *replica.Replica) error {
				if t.store.fault != nil {
					return nil // cannot be made durable
				}
				return r.StepGossip(in.from, m, t.store.now())
			})
			var refused *replica.RefusedError
			if errors.As(err, &refused) {
				t.gossip.blame(in.from, err)
			}
		}
	}
}

// blame holds against a device what it gossiped. Its gossip is signed, so it is not somebody else's.
func (g *gossip) blame(device crdt.Device, err error) {
	p, perr := peerOf(device)
	if perr != nil {
		return
	}
	points := blameMessage
	var refused *replica.RefusedError
	if errors.As(err, &refused) {
		points = refused.Reason.Points()
	}
	v := violation(points, fmt.Errorf("gossip: %w", err))
	if s := g.net.session(p); s != nil {
		s.fail(v)
		return
	}
	g.net.gate.blame(p, points, err)
	g.net.log.Warn("a peer broke the protocol", logPeer, p, logError, err)
}

// subscriptions keeps of what peers say they subscribe to only the topics of this node's stores, so that
// they cannot fill its memory with names.
type subscriptions struct{ net *network }

func (f subscriptions) CanSubscribe(string) bool { return true }

func (f subscriptions) FilterIncomingSubscriptions(_ peer.ID, subs []*pb.RPC_SubOpts) ([]*pb.RPC_SubOpts, error) {
	ours := make(map[string]struct{})
	for _, s := range f.net.node.opened() {
		ours[s.keys.topic] = struct{}{}
	}
	return pubsub.FilterSubscriptions(subs, func(name string) bool {
		_, ok := ours[name]
		return ok
	}), nil
}
