package peer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/peer/replica"
)

// Status describes a node to a person.
type Status struct {
	Device  crdt.Device
	PeerID  string
	Running bool // Run is under way
	Offline bool // by SetOffline
	// Addrs are where the node can be dialled, each ending in /p2p/ID. Empty while it is not running.
	Addrs []string
	// BytesIn and BytesOut count all bytes of the streams between this node and others, since Open.
	BytesIn, BytesOut uint64
	DiskBytes         uint64 // taken by Config.Storage
	Notices           []string
	Stores            []StoreStatus
	Peers             []PeerInfo
	Offenders         []Offender
}

// Offender describes a peer that broke the protocol to a person.
type Offender struct {
	Device crdt.Device
	Points int       // offences, as far as they are not forgiven with time; 100 are a ban
	Bans   int       // so far; each one is longer
	Until  time.Time // it is neither dialled nor accepted before; zero: it is
	Reason string    // of the last offence
}

// Offenders returns the peers that broke the protocol and are not forgiven yet, by device. It is empty while Run is not under way, and
// forgotten when Run ends.
func (n *Node) Offenders() []Offender {
	if w := n.network(); w != nil {
		return w.gate.offenders()
	}
	return nil
}

// StoreStatus describes a store to a person.
type StoreStatus struct {
	Name    string
	ID      crdt.StoreID
	Created time.Time
	// Err says why the store cannot be used, or only be read; the rest may then be empty.
	Err error
	// Problem says what keeps the store from its peers, as far as is known; empty if nothing.
	Problem string
	// Replica is the state of the replica and of its exchanges: version, changes, pending, forks, void
	// ops, skewed clocks, outbox.
	replica.Status
	Slices    []crdt.SliceInfo
	Connected int  // peers that hold the store and are connected
	Gossip    bool // changes are gossiped on a topic
	Appends   uint64
}

// PeerInfo describes a connected node to a person.
type PeerInfo struct {
	PeerID string
	Device crdt.Device
	Addr   string // that the connection goes to
	// Stores are the names of the stores both hold. Empty: a stranger.
	Stores []string
	RTT    time.Duration // 0: not known yet
	Since  time.Time     // the session began
}

// Addrs returns where this node can be dialled, each multiaddr ending in /p2p/ID. It is empty while Run is not under way.
func (n *Node) Addrs() []string {
	w := n.network()
	if w == nil {
		return nil
	}
	return formatPeers(w.self())
}

// Peers returns the nodes with which a session is open, by peer ID.
func (n *Node) Peers() []PeerInfo {
	w := n.network()
	if w == nil {
		return nil
	}
	var out []PeerInfo
	for _, s := range w.list() {
		select {
		case <-s.settled:
		default:
			continue
		}
		info := PeerInfo{
			PeerID: s.peer.String(), Device: s.device, Addr: s.stream.Conn().RemoteMultiaddr().String(),
			RTT: time.Duration(s.rtt.Load()), Since: s.began,
		}
		for _, st := range s.shared() {
			info.Stores = append(info.Stores, st.Name())
		}
		slices.Sort(info.Stores)
		out = append(out, info)
	}
	slices.SortFunc(out, func(a, b PeerInfo) int { return strings.Compare(a.PeerID, b.PeerID) })
	return out
}

// Stores returns the status of every store of this device, sorted by name. It reads the logs of those that were not
// opened yet.
func (n *Node) Stores() []StoreStatus {
	n.mu.Lock()
	entries := n.list()
	n.mu.Unlock()
	var out []StoreStatus
	for _, e := range entries {
		s, err := n.open(e)
		if err != nil {
			out = append(out, StoreStatus{Name: *e.name.Load(), ID: e.info.ID, Err: err})
			continue
		}
		out = append(out, s.Status())
	}
	return out
}

// Status returns the state of the node, its stores and its peers.
func (n *Node) Status() Status {
	st := Status{
		Device: n.device, PeerID: n.id.String(), Running: n.network() != nil, Offline: n.Offline(), Addrs: n.Addrs(),
		BytesIn: n.traffic.in.Load(), BytesOut: n.traffic.out.Load(),
		Notices: n.cfg.Storage.Notices(), Stores: n.Stores(), Peers: n.Peers(), Offenders: n.Offenders(),
	}
	size, err := n.cfg.Storage.DiskUsage()
	if err != nil {
		st.Notices = append(slices.Clip(st.Notices), "disk use: "+err.Error())
	}
	st.DiskBytes = size
	return st
}

// Status returns the state of the store.
func (s *Store) Status() StoreStatus {
	st := StoreStatus{Name: s.Name(), ID: s.id, Created: s.node.created(s.id), Appends: s.appends.Load()}
	failed, all := 0, 0
	if w := s.node.network(); w != nil && s.members.Load() == 0 {
		failed, all = w.dialer.unreachable(s.id)
	}
	s.mu.Lock() // not for reading only: the replica works out its digest when asked
	defer s.mu.Unlock()
	st.Err = s.fault
	if st.Err == nil {
		st.Err = s.unreadable
	}
	if s.closed || s.rep == nil {
		return st
	}
	st.Status = s.rep.Status(s.node.now())
	st.Slices = s.rep.State().Slices()
	st.Connected = len(s.links)
	st.Gossip = s.topic != nil
	if s.fault != nil && s.rivalled {
		st.Problem = "somebody else holds more of this device's log than it does, or another one: a restored backup, or a second copy of its directory. " +
			"Once it can be written again, it goes on as a new actor"
		if s.mute {
			st.Problem += "; until then nothing is sent, so that what has never left this device can be written anew"
		}
	}
	if failed > 0 && failed == all {
		st.Problem = fmt.Sprintf("none of the %d known members can be reached at the addresses known", all)
	}
	if len(s.refused) > 0 && len(s.known) == 0 {
		names := make([]string, 0, len(s.refused))
		for d := range s.refused {
			names = append(names, d.String())
		}
		slices.Sort(names)
		st.Problem = "reached " + strings.Join(names, ", ") + ", but no store of theirs opens with this ticket: it is stale, or was altered, or they have forgotten the store"
	}
	return st
}

func (n *Node) created(id crdt.StoreID) time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	if e, ok := n.entries[id]; ok {
		return time.UnixMilli(e.info.Created)
	}
	return time.Time{}
}
