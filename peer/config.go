package peer

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/storage"
)

// Config says what a Node is made of. Only Storage is required: a zero field
// means the default that its comment gives.
type Config struct {
	// Storage holds the device's key and its stores. The Node does not close it.
	Storage *storage.DB

	// Listen are the multiaddrs to listen on. Default: TCP and QUIC on every interface, at a port that
	// follows from the device's key, so that it is the same after a restart; any port if that one is taken.
	Listen []string
	// Bootstrap are multiaddrs, ending in /p2p/ID, of nodes to keep a connection to.
	Bootstrap []string
	// NoMDNS turns off looking for, and being found by, other nodes on the local network.
	NoMDNS bool

	// NoGossip turns gossipsub off: changes travel over the streams between pairs of nodes alone.
	NoGossip bool
	// GossipAbove is the number of peers of one store above which its changes are gossiped on
	// a topic, and not pushed to each peer. Default: 8. Negative: every store has a topic.
	GossipAbove int

	// Libp2p are further options for the node's libp2p host, which come after its own: a relay, hole punching, sockets of another
	// kind. They must leave the identity, the connection gater and the event bus alone. Default: none.
	Libp2p []libp2p.Option

	// Heartbeat is how often a quiet connection is tried. A peer that is silent for three of them
	// is cut off, and redialled. Default: 3 s.
	Heartbeat time.Duration

	// Logger gets what the node has to say. Default: slog.Default().
	Logger *slog.Logger
	// Metrics, if not nil, gets the node's Prometheus collectors until Close.
	Metrics prometheus.Registerer
	// Now is the wall clock that changes are stamped with. Default: time.Now.
	Now func() time.Time

	bootstrap []peer.AddrInfo
	listen    []ma.Multiaddr
	ownPort   bool // listen is the default
}

const (
	defaultGossipAbove = 8
	defaultHeartbeat   = 3 * time.Second
	minHeartbeat       = 50 * time.Millisecond
)

// withDefaults returns c with its defaults filled in, or all that is wrong with it.
func (c Config) withDefaults() (Config, error) {
	var problems []error
	if c.Storage == nil {
		problems = append(problems, errors.New("no Storage: see storage.Open"))
	}
	if c.GossipAbove == 0 {
		c.GossipAbove = defaultGossipAbove
	}
	switch {
	case c.Heartbeat == 0:
		c.Heartbeat = defaultHeartbeat
	case c.Heartbeat < minHeartbeat:
		problems = append(problems, fmt.Errorf("a Heartbeat of %v is too short: at least %v", c.Heartbeat, minHeartbeat))
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	for _, s := range c.Bootstrap {
		info, err := parsePeerAddr(s)
		if err != nil {
			problems = append(problems, fmt.Errorf("bootstrap: %w", err))
			continue
		}
		c.bootstrap = append(c.bootstrap, info)
	}
	c.bootstrap = mergePeers(c.bootstrap)
	for _, s := range c.Listen {
		a, err := ma.NewMultiaddr(s)
		if err != nil {
			problems = append(problems, fmt.Errorf("listen: %w", err))
			continue
		}
		c.listen = append(c.listen, a)
	}
	if len(problems) > 0 {
		return c, fmt.Errorf("peer: config: %w", errors.Join(problems...))
	}
	if len(c.Listen) == 0 {
		c.ownPort = true
		c.listen = defaultListen(c.Storage.Device())
	}
	return c, nil
}

// defaultListen returns the addresses a device listens on if it was told none. The port is a
// dynamic one (RFC 6335) taken from the device's key: peers that remember the address find
// the device there again, and two devices on one machine seldom want the same.
func defaultListen(d crdt.Device) []ma.Multiaddr {
	sum := sha256.Sum256(append([]byte("atoll port v1\x00"), d[:]...))
	port := 49152 + int(binary.BigEndian.Uint16(sum[:])%16384)
	var out []ma.Multiaddr
	for _, ip := range []string{"/ip4/0.0.0.0", "/ip6/::"} {
		out = append(out, ma.StringCast(fmt.Sprintf("%s/udp/%d/quic-v1", ip, port)), ma.StringCast(fmt.Sprintf("%s/tcp/%d", ip, port)))
	}
	return out
}

// parsePeerAddr reads a multiaddr that says who is to be found there.
func parsePeerAddr(s string) (peer.AddrInfo, error) {
	a, err := ma.NewMultiaddr(s)
	if err != nil {
		return peer.AddrInfo{}, fmt.Errorf("address %q: %w", s, err)
	}
	info, err := peer.AddrInfoFromP2pAddr(a)
	if err != nil {
		return peer.AddrInfo{}, fmt.Errorf("address %q must end in /p2p/ID, so that nobody else can answer there: %w", s, err)
	}
	return *info, nil
}

// mergePeers joins the entries of one peer. The order is that of first appearance.
func mergePeers(in []peer.AddrInfo) []peer.AddrInfo {
	var out []peer.AddrInfo
	at := make(map[peer.ID]int)
	for _, p := range in {
		i, ok := at[p.ID]
		if !ok {
			i = len(out)
			at[p.ID] = i
			out = append(out, peer.AddrInfo{ID: p.ID})
		}
		for _, a := range p.Addrs {
			if !ma.Contains(out[i].Addrs, a) {
				out[i].Addrs = append(out[i].Addrs, a)
			}
		}
	}
	return out
}

// parsePeers reads what formatPeers wrote and leaves out what it cannot read.
func parsePeers(addrs []string) []peer.AddrInfo {
	var out []peer.AddrInfo
	for _, s := range addrs {
		if info, err := parsePeerAddr(s); err == nil {
			out = append(out, info)
		}
	}
	return mergePeers(out)
}

// formatPeers returns one multiaddr, ending in /p2p/ID, per address.
func formatPeers(peers []peer.AddrInfo) []string {
	var out []string
	for _, p := range peers {
		addrs, err := peer.AddrInfoToP2pAddrs(&p)
		if err != nil {
			continue // the peer's own ID was no ID
		}
		for _, a := range addrs {
			out = append(out, a.String())
		}
	}
	return out
}
