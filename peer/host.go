package peer

import (
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	lnet "github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/peer/replica"
)

// syncProtocol is the stream protocol between two nodes.
const syncProtocol protocol.ID = "/atoll/sync/1"

const (
	// Connections are trimmed to connsLow when there are more than connsHigh; those to members last.
	connsLow, connsHigh = 96, 160
	connGrace           = 20 * time.Second
	// maxSessionStreams is how many sync streams one peer may have open to us: the one in use,
	// one that is being given up, and one that is on its way.
	maxSessionStreams = 4
)

// newHost returns a libp2p host with the device's key: TCP and QUIC, noise and TLS, bounded resources, and
// nothing that reveals more than it must. It listens where cfg says.
func newHost(cfg *Config, key ed25519.PrivateKey, gate *gater, log *slog.Logger) (host.Host, error) {
	priv, err := crypto.UnmarshalEd25519PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("device key: %w", err)
	}
	limits := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&limits)
	limits.AddProtocolPeerLimit(syncProtocol, rcmgr.BaseLimit{
		Streams: 2 * maxSessionStreams, StreamsInbound: maxSessionStreams, StreamsOutbound: maxSessionStreams, Memory: 64 << 20,
	}, rcmgr.BaseLimitIncrease{})
	resources, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits.AutoScale()), rcmgr.WithMetricsDisabled())
	if err != nil {
		return nil, fmt.Errorf("resource manager: %w", err)
	}
	conns, err := connmgr.NewConnManager(connsLow, connsHigh, connmgr.WithGracePeriod(connGrace))
	if err != nil {
		return nil, fmt.Errorf("connection manager: %w", err)
	}
	options := []libp2p.Option{
		libp2p.Identity(priv),
		libp2p.NoListenAddrs, // listened below, one by one
		libp2p.Transport(libp2pquic.NewTransport),
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Security(noise.ID, noise.New),
		libp2p.Security(libp2ptls.ID, libp2ptls.New),
		libp2p.ConnectionGater(gate),
		libp2p.ConnectionManager(conns),
		libp2p.ResourceManager(resources),
		libp2p.UserAgent("atoll"),
		libp2p.Ping(false), // the heartbeat is in our own stream
		libp2p.DisableIdentifyAddressDiscovery(),
		libp2p.DisableMetrics(), // libp2p would put them into a registry of its own choice
	}
	h, err := libp2p.New(append(options, cfg.Libp2p...)...)
	if err != nil {
		return nil, fmt.Errorf("start libp2p: %w", err)
	}
	if err := listen(h, cfg, log); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// listen makes h listen on every address of cfg. Of the defaults, those that cannot be had are
// replaced, and it is enough if one works (a machine may have no IPv6); of what the user asked for, all must work.
func listen(h host.Host, cfg *Config, log *slog.Logger) error {
	var firstErr error
	worked := false
	for _, a := range cfg.listen {
		err := h.Network().Listen(a)
		if err != nil && cfg.ownPort {
			if any, ok := anyPort(a); ok {
				err = h.Network().Listen(any)
			}
		}
		switch {
		case err == nil:
			worked = true
		case !cfg.ownPort:
			return fmt.Errorf("listen on %v: %w", a, err)
		default:
			log.Debug("cannot listen", logAddr, a.String(), logError, err)
			if firstErr == nil {
				firstErr = fmt.Errorf("listen on %v: %w", a, err)
			}
		}
	}
	if !worked {
		return firstErr
	}
	return nil
}

// anyPort returns a with port 0.
func anyPort(a ma.Multiaddr) (ma.Multiaddr, bool) {
	var out ma.Multiaddr
	for _, c := range a {
		if code := c.Protocol().Code; code == ma.P_TCP || code == ma.P_UDP {
			zero, err := ma.NewComponent(c.Protocol().Name, "0")
			if err != nil {
				return nil, false
			}
			c = *zero
		}
		out = append(out, c)
	}
	return out, len(out) > 0
}

// peerOf returns the peer ID of a device.
func peerOf(d crdt.Device) (peer.ID, error) {
	pub, err := crypto.UnmarshalEd25519PublicKey(d[:])
	if err != nil {
		return "", fmt.Errorf("device %v: %w", d, err)
	}
	return peer.IDFromPublicKey(pub)
}

// deviceOf returns the device of a peer, and false if its key is not ed25519.
func deviceOf(p peer.ID) (crdt.Device, bool) {
	pub, err := p.ExtractPublicKey()
	if err != nil || pub.Type() != crypto.Ed25519 {
		return crdt.Device{}, false
	}
	raw, err := pub.Raw()
	if err != nil || len(raw) != len(crdt.Device{}) {
		return crdt.Device{}, false
	}
	return crdt.Device(raw), true
}

// What offences cost that only the node sees, in the points of replica.Scores. Each also costs the session.
const (
	blameFrame   = 35 // a frame that is none
	blameMessage = 35 // a sealed or framed message that is none, or that says what cannot be
	blameTag     = 50 // a tag that does not verify
	blameSlow    = 10 // does not read what it asked for
)

// gater decides who may connect: nobody while offline, and nobody who is banned.
type gater struct {
	now     func() time.Time
	offline func() bool
	began   time.Time

	mu     sync.Mutex
	scores replica.Scores
}

func newGater(offline func() bool, now func() time.Time) *gater {
	return &gater{now: now, offline: offline, began: now()}
}

// elapsed returns the milliseconds since g was made: the clock may be set, this goes on.
func (g *gater) elapsed() int64 { return g.now().Sub(g.began).Milliseconds() }

// blame adds points to p's score and returns until when p is banned, zero if it is not.
func (g *gater) blame(p peer.ID, points int, why error) time.Time {
	d, ok := deviceOf(p)
	if !ok {
		return time.Time{} // it never gets as far as a session
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	reason := why.Error()
	until := g.scores.Blame(d, points, reason[:min(len(reason), maxReason)], g.elapsed())
	if until == 0 {
		return time.Time{}
	}
	return g.began.Add(time.Duration(until) * time.Millisecond)
}

func (g *gater) allowed(p peer.ID) bool {
	if g.offline() {
		return false
	}
	d, ok := deviceOf(p)
	g.mu.Lock()
	defer g.mu.Unlock()
	return !ok || !g.scores.Banned(d, g.elapsed())
}

// offenders returns the peers with offences that are not forgiven.
func (g *gater) offenders() []Offender {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []Offender
	for _, s := range g.scores.List(g.elapsed()) {
		o := Offender{Device: s.Device, Points: s.Points, Bans: s.Bans, Reason: strings.ToValidUTF8(s.Reason, "")}
		if s.Until > 0 {
			o.Until = g.began.Add(time.Duration(s.Until) * time.Millisecond)
		}
		out = append(out, o)
	}
	return out
}

// The methods of libp2p's ConnectionGater.

func (g *gater) InterceptPeerDial(p peer.ID) bool                 { return g.allowed(p) }
func (g *gater) InterceptAddrDial(p peer.ID, _ ma.Multiaddr) bool { return g.allowed(p) }
func (g *gater) InterceptAccept(lnet.ConnMultiaddrs) bool         { return !g.offline() }
func (g *gater) InterceptSecured(_ lnet.Direction, p peer.ID, _ lnet.ConnMultiaddrs) bool {
	return g.allowed(p)
}
func (g *gater) InterceptUpgraded(c lnet.Conn) (bool, control.DisconnectReason) {
	return g.allowed(c.RemotePeer()), 0
}
