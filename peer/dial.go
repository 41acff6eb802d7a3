package peer

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	lnet "github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/atollsync/atoll/crdt"
)

// Where a contact is known from. A contact can be known from several places.
type source uint8

const (
	sourceBootstrap source = 1 << iota // the user's configuration, or Connect
	sourceMember                       // the addresses kept with a store, or a ticket
	sourceLocal                        // mDNS
	sourceExchange                     // another member of a store
)

const (
	maxContacts     = 1024
	maxContactAddrs = 16
	maxDials        = 8 // at once
	dialTimeout     = 10 * time.Second

	backoffBase     = 500 * time.Millisecond
	maxBackoffSteps = 6 // 500 ms * 2^6 = 32 s
	// recoverPause is how often one peer that comes back has the others dialled that have failed.
	recoverPause = 5 * time.Second
	// forgetAfter is how many failures it takes to forget a contact that was only heard of.
	forgetAfter = 12
	// enoughMembers is how many connected members of a store are enough not to dial those others tell of.
	enoughMembers = 16
)

// backoff returns how long to wait after some failures: about twice as long each time.
func backoff(failures int) time.Duration {
	d := backoffBase << min(failures, maxBackoffSteps)
	return d/2 + rand.N(d/2)
}

// contact is a peer that this node wants to be connected to.
type contact struct {
	id       peer.ID
	addrs    []ma.Multiaddr // the newest first
	sources  source
	stores   map[crdt.StoreID]source // it is said to be a member of
	failures int
	lastErr  error // of the last dial, nil if it worked
	next     time.Time
	dialing  bool
	// idle: it was met and shares no store. It is dialled again when that may have changed.
	idle bool
}

// dialer keeps connections to contacts: libp2p reconnects nothing by itself.
type dialer struct {
	net  *network
	wake chan struct{}
	busy chan struct{} // a slot for each dial under way

	mu        sync.Mutex
	contacts  map[peer.ID]*contact
	recovered time.Time // when all that had failed were last dialled because one was reached
}

func newDialer(net *network) *dialer {
	return &dialer{net: net, wake: make(chan struct{}, 1), busy: make(chan struct{}, maxDials), contacts: make(map[peer.ID]*contact)}
}

func (d *dialer) rouse() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// add makes info a contact, or adds to what is known of it, and dials it soon.
func (d *dialer) add(info peer.AddrInfo, from source, stores ...crdt.StoreID) {
	if info.ID == d.net.id || info.ID.Validate() != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.contacts[info.ID]
	if c == nil {
		if len(d.contacts) >= maxContacts && !d.makeRoom(from) {
			return
		}
		c = &contact{id: info.ID, stores: make(map[crdt.StoreID]source)}
		d.contacts[info.ID] = c
	}
	news := c.sources&from == 0
	c.sources |= from
	for _, id := range stores {
		news = news || c.stores[id] == 0
		c.stores[id] |= from
	}
	addrs := make([]ma.Multiaddr, 0, maxContactAddrs)
	for _, a := range info.Addrs {
		if len(addrs) < maxContactAddrs && !ma.Contains(addrs, a) {
			news = news || !ma.Contains(c.addrs, a)
			addrs = append(addrs, a)
		}
	}
	for _, a := range c.addrs {
		if len(addrs) < maxContactAddrs && !ma.Contains(addrs, a) {
			addrs = append(addrs, a)
		}
	}
	c.addrs = addrs
	// mDNS says that it is there now. What others merely repeat says nothing new.
	if news || from == sourceLocal {
		c.failures, c.idle = 0, c.idle && !news
		if c.next = d.turn(c.id); from&(sourceBootstrap|sourceMember) != 0 {
			c.next = time.Now() // it need not know of us, so it will not dial at the same time
		}
		d.rouse()
	}
}

// makeRoom forgets a contact that was only heard of, unless the new one is itself only heard of. d.mu is held.
func (d *dialer) makeRoom(from source) bool {
	if from == sourceExchange {
		return false
	}
	for id, c := range d.contacts {
		if c.sources&(sourceBootstrap|sourceMember) == 0 && !c.dialing {
			delete(d.contacts, id)
			return true
		}
	}
	return false
}

// turn returns when to dial p next if nothing speaks against it: the peer with the smaller ID at once, the other a
// little later, since two dials that meet spoil each other.
func (d *dialer) turn(p peer.ID) time.Time {
	if d.net.id < p {
		return time.Now().Add(rand.N(50 * time.Millisecond))
	}
	return time.Now().Add(jitter(400 * time.Millisecond))
}

// addMembers makes contacts of the peers whose addresses are kept with a store.
func (d *dialer) addMembers(s *Store) {
	for _, info := range d.net.node.membersOf(s.id) {
		d.add(info, sourceMember, s.id)
	}
}

// forget drops what was known for the sake of a store alone.
func (d *dialer) forget(id crdt.StoreID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for p, c := range d.contacts {
		if _, ok := c.stores[id]; ok {
			delete(c.stores, id)
			if len(c.stores) == 0 && c.sources&(sourceBootstrap|sourceLocal) == 0 {
				delete(d.contacts, p)
			}
		}
	}
}

// expects reports whether a ticket, or what was met before, says that p is a member of a store.
func (d *dialer) expects(p peer.ID, id crdt.StoreID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.contacts[p]
	return c != nil && c.stores[id]&sourceMember != 0
}

// unreachable returns how many of those said to be members of a store were dialled in vain, of how many.
func (d *dialer) unreachable(id crdt.StoreID) (failed, all int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.contacts {
		if _, ok := c.stores[id]; ok {
			if all++; c.lastErr != nil {
				failed++
			}
		}
	}
	return failed, all
}

// configured reports whether the user asked for a connection to p.
func (d *dialer) configured(p peer.ID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.contacts[p]
	return c != nil && c.sources&sourceBootstrap != 0
}

// reached is told that p is connected. If it could not be reached before, the network may have come back: the others that could not are
// dialled too, and not only when their patience ends. What they have failed is kept, since they may be gone for good.
func (d *dialer) reached(p peer.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.contacts[p]
	if c == nil || c.failures == 0 {
		return
	}
	c.failures = 0
	now := time.Now()
	if now.Sub(d.recovered) < recoverPause {
		return
	}
	d.recovered = now
	for _, other := range d.contacts {
		if other.failures == 0 {
			continue
		}
		if at := d.turn(other.id); at.Before(other.next) {
			other.next = at
		}
	}
	d.rouse()
}

// met is told whether p shares a store. A member is redialled when it is lost, however it was met.
func (d *dialer) met(p peer.ID, member bool) {
	info := d.net.addrsOf(p, maxContactAddrs)
	if member {
		d.add(info, sourceMember)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if c := d.contacts[p]; c != nil {
		c.idle = !member
	}
}

// lost is told that p is no longer connected. It is dialled again at once: an outage is often short.
func (d *dialer) lost(p peer.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c := d.contacts[p]; c != nil {
		c.next = d.turn(p)
		d.rouse()
	}
}

// kick dials everybody now: the network has changed, or this node has a new store. all: those too that shared nothing.
func (d *dialer) kick(all bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.contacts {
		c.failures = 0
		c.next = d.turn(c.id)
		if all {
			c.idle = false
		}
	}
	d.rouse()
}

// run dials contacts when they are due, until the network ends.
func (d *dialer) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-d.net.ctx.Done():
			return
		case <-d.wake:
		case <-timer.C:
		}
		timer.Reset(d.dialDue())
	}
}

// dialDue starts the dials that are due, and returns when to look again.
func (d *dialer) dialDue() time.Duration {
	soon := time.Minute
	if d.net.node.Offline() {
		return soon
	}
	now := time.Now()
	d.mu.Lock()
	var due []*contact
	for _, c := range d.contacts {
		if c.dialing || !d.wanted(c) {
			continue
		}
		if wait := c.next.Sub(now); wait > 0 {
			soon = min(soon, wait)
			continue
		}
		if d.net.host.Network().Connectedness(c.id) == lnet.Connected {
			continue
		}
		due = append(due, c)
	}
	d.mu.Unlock()
	for _, c := range due {
		select {
		case d.busy <- struct{}{}:
		default:
			return min(soon, 50*time.Millisecond)
		}
		d.mu.Lock()
		c.dialing = true
		d.mu.Unlock()
		if !d.net.start(func() { d.dial(c) }) {
			<-d.busy
			return soon
		}
	}
	return soon
}

// wanted reports whether a connection to c is worth having. d.mu is held.
func (d *dialer) wanted(c *contact) bool {
	if len(c.addrs) == 0 {
		return false
	}
	if c.sources&sourceBootstrap != 0 {
		return true
	}
	if c.idle {
		return false
	}
	if c.sources&^sourceExchange != 0 {
		return true
	}
	for id := range c.stores {
		if d.net.membersConnected(id) < enoughMembers {
			return true
		}
	}
	return false
}

// dial connects to c once.
func (d *dialer) dial(c *contact) {
	defer func() { <-d.busy }()
	d.mu.Lock()
	info := peer.AddrInfo{ID: c.id, Addrs: append([]ma.Multiaddr(nil), c.addrs...)}
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(d.net.ctx, dialTimeout)
	defer cancel()
	err := d.net.connect(ctx, info)
	d.mu.Lock()
	defer d.mu.Unlock()
	c.dialing = false
	c.lastErr = err
	defer d.rouse()
	if err == nil {
		return // reached is told of it
	}
	d.net.metrics.dialsFailed.Inc()
	if c.failures++; c.failures == 1 {
		d.net.log.Debug("cannot reach", logPeer, c.id, logAddrs, formatAddrs(info.Addrs), logError, err)
	}
	if c.failures >= forgetAfter && c.sources&(sourceBootstrap|sourceMember) == 0 {
		delete(d.contacts, c.id)
	}
	c.next = time.Now().Add(backoff(c.failures))
}

// connect connects to a peer, now, whatever failed before.
func (w *network) connect(ctx context.Context, info peer.AddrInfo) error {
	w.metrics.dials.Inc()
	if s, ok := w.host.Network().(*swarm.Swarm); ok {
		s.Backoff().Clear(info.ID) // ours is better: it knows when the network came back
	}
	w.host.Peerstore().AddAddrs(info.ID, info.Addrs, peerstore.RecentlyConnectedAddrTTL)
	return w.host.Connect(ctx, peer.AddrInfo{ID: info.ID})
}
