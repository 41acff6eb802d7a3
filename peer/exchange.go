package peer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/atollsync/atoll/crdt"
)

const (
	maxTold      = 32 // members one message tells of
	maxToldAddrs = 8  // addresses of each
	maxAddrBytes = 256
	maxIDBytes   = 64
)

// ErrNotRunning is returned by what needs the network while Run is not under way.
var ErrNotRunning = errors.New("peer: the node is not running")

// ErrNoSharedStore is wrapped by Connect if the peer was reached, but holds none of this node's
// stores: a ticket from one of the two must be joined on the other.
var ErrNoSharedStore = errors.New("peer: the peer was reached but shares no store with this node")

// linked returns the links to the connected peers that have proved to hold a store, by ID.
func (s *Store) linked() []*link {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []*link
	for _, l := range s.links {
		if l.verified.Load() {
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b *link) int { return strings.Compare(string(a.session.peer), string(b.session.peer)) })
	return out
}

// membersConnected counts the connected members of a store.
func (w *network) membersConnected(id crdt.StoreID) int {
	w.node.mu.Lock()
	defer w.node.mu.Unlock()
	if e, ok := w.node.entries[id]; ok {
		if s := e.store.Load(); s != nil {
			return int(s.members.Load())
		}
	}
	return 0
}

// addrsOf returns where a peer can be dialled: what it says it listens on.
func (w *network) addrsOf(p peer.ID, limit int) peer.AddrInfo {
	addrs := slices.Clone(w.host.Peerstore().Addrs(p))
	slices.SortFunc(addrs, func(a, b ma.Multiaddr) int { return strings.Compare(a.String(), b.String()) })
	if s := w.session(p); s != nil { // its own word first: what else is known may be old
		addrs = append(s.listens(), addrs...)
	}
	out := peer.AddrInfo{ID: p}
	for _, a := range addrs {
		if len(out.Addrs) < limit && !ma.Contains(out.Addrs, a) {
			out.Addrs = append(out.Addrs, a)
		}
	}
	return out
}

// exchangePeers tells each connected member of a store of the others, if they are not those it was told of last. Only
// who has proved to hold a store hears of its members.
func (w *network) exchangePeers() {
	for _, st := range w.node.opened() {
		if st.members.Load() < 2 {
			continue
		}
		links := st.linked()
		for _, to := range links {
			if !to.confirmed.Load() {
				continue
			}
			var told []peer.AddrInfo
			for _, other := range links {
				if other != to && len(told) < maxTold {
					if info := w.addrsOf(other.session.peer, maxToldAddrs); len(info.Addrs) > 0 {
						told = append(told, info)
					}
				}
			}
			payload := encodePeers(told)
			if sum := sha256.Sum256(payload); sum != to.lastPeers && len(told) > 0 {
				to.lastPeers = sum
				to.session.out.put(outItem{link: to, payload: payload})
			}
		}
	}
}

// encodePeers returns the payload that tells of peers: msgpack, [ID, number of addresses, addresses...]...
func encodePeers(peers []peer.AddrInfo) []byte {
	fields := 0
	for _, p := range peers {
		fields += 2 + len(p.Addrs)
	}
	w := newArray(fields)
	for _, p := range peers {
		w.bytes([]byte(p.ID))
		w.uint(uint64(len(p.Addrs)))
		for _, a := range p.Addrs {
			w.bytes(a.Bytes())
		}
	}
	return append([]byte{payloadPeers}, w.done()...)
}

func decodePeers(raw []byte) ([]peer.AddrInfo, error) {
	f := openArray(raw)
	var out []peer.AddrInfo
	for f.err == nil && f.left > 0 {
		info := peer.AddrInfo{ID: peer.ID(f.bytes(maxIDBytes))}
		n := f.uint()
		if info.ID.Validate() != nil || n > maxToldAddrs || len(out) == maxTold {
			f.fail()
		}
		for ; f.err == nil && n > 0; n-- {
			a, err := ma.NewMultiaddrBytes(f.bytes(maxAddrBytes))
			if err != nil {
				f.fail()
				break
			}
			info.Addrs = append(info.Addrs, a)
		}
		out = append(out, info)
	}
	return out, f.end()
}

// onPeers takes in what a member says of other members.
func (w *network) onPeers(l *link, raw []byte) error {
	peers, err := decodePeers(raw)
	if err != nil {
		return violation(blameFrame, err)
	}
	for _, info := range peers {
		if _, ok := deviceOf(info.ID); ok {
			w.dialer.add(info, sourceExchange, l.store.id)
		}
	}
	return nil
}

// rememberMembers keeps where the members of each store can be dialled.
func (w *network) rememberMembers() {
	for _, st := range w.node.opened() {
		if st.members.Load() == 0 {
			continue
		}
		var met []peer.AddrInfo
		for _, l := range st.linked() {
			if info := w.addrsOf(l.session.peer, maxAddrs/8); len(info.Addrs) > 0 && len(met) < 8 {
				met = append(met, info)
			}
		}
		w.node.remember(st.id, met)
	}
}

// ownAddrs returns where this node can be dialled: not the loopback, unless that is all there is.
func (w *network) ownAddrs() []ma.Multiaddr {
	addrs := slices.Clone(w.host.Addrs())
	public := slices.DeleteFunc(slices.Clone(addrs), manet.IsIPLoopback)
	if len(public) > 0 {
		return public
	}
	return addrs
}

// self returns this node as others can dial it.
func (w *network) self() []peer.AddrInfo {
	return []peer.AddrInfo{{ID: w.id, Addrs: w.host.Addrs()}}
}

// ticketPeers returns whom a new member should try first.
func (n *Node) ticketPeers(id crdt.StoreID) []peer.AddrInfo {
	var out []peer.AddrInfo
	if w := n.network(); w != nil {
		if addrs := w.ownAddrs(); len(addrs) > 0 {
			out = append(out, peer.AddrInfo{ID: n.id, Addrs: addrs[:min(len(addrs), maxTicketAddrs)]})
		}
	}
	for _, p := range n.membersOf(id) {
		if len(out) < 3 {
			p.Addrs = p.Addrs[:min(len(p.Addrs), 4)]
			out = append(out, p)
		}
	}
	return out
}

// Connect dials the peer at a multiaddr that ends in /p2p/ID, keeps the connection from then on, and waits
// until the two have found out which stores they share. Errors wrap ErrNoSharedStore if there is none, and
// ErrNotRunning without Run.
func (n *Node) Connect(ctx context.Context, addr string) error {
	info, err := parsePeerAddr(addr)
	if err != nil {
		return err
	}
	w := n.network()
	if w == nil {
		return ErrNotRunning
	}
	if info.ID == n.id {
		return fmt.Errorf("peer: %s is this node's own address", addr)
	}
	if n.Offline() {
		return fmt.Errorf("peer: connect to %s: this node was set offline", addr)
	}
	if err := w.connect(ctx, info); err != nil {
		return fmt.Errorf("connect to %s: %w", addr, err)
	}
	w.dialer.add(info, sourceBootstrap)
	for {
		w.mu.Lock()
		s, changed := w.sessions[info.ID], w.changed
		w.mu.Unlock()
		var settled <-chan struct{}
		if s != nil {
			settled = s.settled
		}
		select {
		case <-settled:
			if len(s.shared()) > 0 {
				return nil
			}
			if s.ctx.Err() == nil {
				return fmt.Errorf("%w: %s", ErrNoSharedStore, addr)
			}
			settled = nil
		default:
		}
		select {
		case <-settled:
		case <-changed:
		case <-w.ctx.Done():
			return ErrNotRunning
		case <-ctx.Done():
			return fmt.Errorf("connect to %s: no answer: %w", addr, context.Cause(ctx))
		}
	}
}

func formatAddrs(addrs []ma.Multiaddr) []string {
	out := make([]string, len(addrs))
	for i, a := range addrs {
		out[i] = a.String()
	}
	return out
}
