package peer

import (
	"context"
	"fmt"
	"sync"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	lnet "github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
)

// gossipHost is the host as gossipsub sees it: only peers that have proved to share a store exist. Gossipsub
// tells every peer it has a stream to the names of all its topics, and its own filter is
// not asked, so a stranger must not get that far.
type gossipHost struct {
	host.Host
	bus     event.Bus
	emitter event.Emitter
	protos  []protocol.ID

	mu      sync.RWMutex
	members map[peer.ID]struct{}
}

func newGossipHost(h host.Host, protos []protocol.ID) (*gossipHost, error) {
	bus := eventbus.NewBus()
	emitter, err := bus.Emitter(new(event.EvtPeerIdentificationCompleted))
	if err != nil {
		return nil, err
	}
	return &gossipHost{Host: h, bus: bus, emitter: emitter, protos: protos, members: make(map[peer.ID]struct{})}, nil
}

func (g *gossipHost) has(p peer.ID) bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	_, ok := g.members[p]
	return ok
}

// admit makes p visible, to be answered if it opens a stream. It opens none to it.
func (g *gossipHost) admit(p peer.ID) {
	g.mu.Lock()
	g.members[p] = struct{}{}
	g.mu.Unlock()
}

// greet has gossipsub open a stream to p, which must have admitted us.
func (g *gossipHost) greet(p peer.ID) error {
	g.admit(p)
	return g.emitter.Emit(event.EvtPeerIdentificationCompleted{Peer: p, Protocols: g.protos})
}

// hide makes p invisible again.
func (g *gossipHost) hide(p peer.ID) {
	g.mu.Lock()
	delete(g.members, p)
	g.mu.Unlock()
}

func (g *gossipHost) close() { _ = g.emitter.Close() } // it only unregisters itself

// EventBus returns a bus on which only members are identified.
func (g *gossipHost) EventBus() event.Bus { return g.bus }

// Network returns the network as far as members are concerned.
func (g *gossipHost) Network() lnet.Network { return gossipNetwork{g.Host.Network(), g} }

func (g *gossipHost) SetStreamHandler(pid protocol.ID, handler lnet.StreamHandler) {
	g.Host.SetStreamHandler(pid, g.guard(handler))
}

func (g *gossipHost) SetStreamHandlerMatch(pid protocol.ID, match func(protocol.ID) bool, handler lnet.StreamHandler) {
	g.Host.SetStreamHandlerMatch(pid, match, g.guard(handler))
}

// guard refuses the streams of strangers.
func (g *gossipHost) guard(handler lnet.StreamHandler) lnet.StreamHandler {
	return func(s lnet.Stream) {
		if !g.has(s.Conn().RemotePeer()) {
			_ = s.Reset() // it may be gone already
			return
		}
		handler(s)
	}
}

func (g *gossipHost) NewStream(ctx context.Context, p peer.ID, pids ...protocol.ID) (lnet.Stream, error) {
	if !g.has(p) {
		return nil, fmt.Errorf("peer: %v has not proved to share a store", p)
	}
	return g.Host.NewStream(ctx, p, pids...)
}

// Connect dials nobody: whom to dial is decided elsewhere.
func (g *gossipHost) Connect(_ context.Context, info peer.AddrInfo) error {
	if g.Network().Connectedness(info.ID) == lnet.Connected {
		return nil
	}
	return fmt.Errorf("peer: gossipsub does not dial")
}

type gossipNetwork struct {
	lnet.Network
	host *gossipHost
}

func (n gossipNetwork) Peers() []peer.ID {
	var out []peer.ID
	for _, p := range n.Network.Peers() {
		if n.host.has(p) {
			out = append(out, p)
		}
	}
	return out
}

func (n gossipNetwork) Connectedness(p peer.ID) lnet.Connectedness {
	if !n.host.has(p) {
		return lnet.NotConnected
	}
	return n.Network.Connectedness(p)
}

func (n gossipNetwork) ConnsToPeer(p peer.ID) []lnet.Conn {
	if !n.host.has(p) {
		return nil
	}
	return n.Network.ConnsToPeer(p)
}

func (n gossipNetwork) Conns() []lnet.Conn {
	var out []lnet.Conn
	for _, c := range n.Network.Conns() {
		if n.host.has(c.RemotePeer()) {
			out = append(out, c)
		}
	}
	return out
}
