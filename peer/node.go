package peer

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/storage"
)

var (
	// ErrExists is wrapped where a name is taken by another store of this device: choose another, or open that one.
	ErrExists = errors.New("peer: there is a store of that name already")
	// ErrNoStore is wrapped where no store has a name: Stores lists those there are.
	ErrNoStore = errors.New("peer: there is no store of that name")
	// ErrClosed is wrapped by whatever needs the node after Close.
	ErrClosed = errors.New("peer: the node is closed")
	// ErrForgotten is wrapped by the methods of a Store that Forget removed. Join it again with a ticket.
	ErrForgotten = errors.New("peer: the store was forgotten")
	// ErrRunning is returned by Run while another Run of the node is under way.
	ErrRunning = errors.New("peer: the node is running already")
)

// Node is one device: its key, its stores and, while Run is under way, its place in the network. It is safe for concurrent
// use.
type Node struct {
	cfg     Config
	log     *slog.Logger
	key     ed25519.PrivateKey
	device  crdt.Device
	id      peer.ID
	metrics *metrics
	packer  *compressor
	traffic traffic
	offline atomic.Bool
	began   time.Time     // ticks count from here
	roused  chan struct{} // a store is due sooner than the ticker knows
	// openList is what opened returns.
	openList atomic.Pointer[[]*Store]

	entering sync.Mutex // held while a store is entered, or its log deleted; taken before mu

	mu      sync.Mutex
	closed  bool
	entries map[crdt.StoreID]*entry
	net     *network                // while Run is under way
	up      chan struct{}           // closed while net is not nil, then replaced
	stop    context.CancelCauseFunc // ends Run
	stopped chan struct{}           // closed when Run has returned
}

// entry is what the node knows of a store before, or without, reading its log.
type entry struct {
	info  storage.StoreInfo // guarded by Node.mu; ID and Secret never change
	name  atomic.Pointer[string]
	mu    sync.Mutex            // held while the log is read, so that it is read once
	store atomic.Pointer[Store] // nil until somebody wants it; set under mu
	gone  error                 // guarded by mu: why it cannot be had any more
}

func newEntry(info storage.StoreInfo) *entry {
	e := &entry{info: info}
	e.name.Store(&info.Name)
	return e
}

// traffic counts the bytes of the streams between nodes.
type traffic struct{ in, out atomic.Uint64 }

// Open returns the device whose key and stores cfg.Storage holds. It starts no goroutine and opens no
// socket: without Run the device is offline, and all else works.
func Open(cfg Config) (*Node, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, key: cfg.Storage.Identity(), device: cfg.Storage.Device(), entries: make(map[crdt.StoreID]*entry), up: make(chan struct{}),
		began: time.Now(), roused: make(chan struct{}, 1)}
	n.log = cfg.Logger.With(logDevice, n.device.String())
	if n.id, err = peerOf(n.device); err != nil {
		return nil, err
	}
	for _, notice := range cfg.Storage.Notices() {
		n.log.Warn("storage repaired itself on opening", logNotice, notice)
	}
	infos, err := cfg.Storage.Stores()
	if err != nil {
		return nil, fmt.Errorf("list the stores: %w", err)
	}
	for _, info := range infos {
		n.entries[info.ID] = newEntry(info)
	}
	if n.packer, err = newCompressor(maxPlain); err != nil {
		return nil, fmt.Errorf("set up zstd: %w", err)
	}
	if n.metrics, err = newMetrics(cfg.Metrics, n); err != nil {
		n.packer.close()
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return n, nil
}

// Close ends Run, if it is under way, waits for it, and ends every store. What was durable stays so. It does not close Config.Storage.
func (n *Node) Close() error {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return nil
	}
	n.closed = true
	stop, stopped := n.stop, n.stopped
	entries := n.list()
	n.mu.Unlock()
	if stop != nil {
		stop(ErrClosed)
		<-stopped
	}
	for _, e := range entries {
		e.end(ErrClosed)
	}
	n.metrics.close()
	n.packer.close()
	return nil
}

// Run connects the device to the network until ctx ends or the node is closed, and then returns nil; or it
// returns why it could not. All goroutines of the network have exited when it returns. It may be called again
// afterwards.
func (n *Node) Run(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	stopped := make(chan struct{})
	n.mu.Lock()
	if n.closed || n.stop != nil {
		defer n.mu.Unlock()
		if n.closed {
			return ErrClosed
		}
		return ErrRunning
	}
	n.stop, n.stopped = stop, stopped
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		n.stop, n.stopped = nil, nil
		n.mu.Unlock()
		close(stopped)
	}()
	return n.runNetwork(ctx)
}

// Up waits until Run, called by somebody else, has brought the network up, so that Addrs and Ticket know where the
// node listens. It returns an error if ctx ends first.
func (n *Node) Up(ctx context.Context) error {
	n.mu.Lock()
	up := n.up
	n.mu.Unlock()
	select {
	case <-up:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// setNetwork says what Run runs now. w is nil when it ends.
func (n *Node) setNetwork(w *network) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case w != nil:
		close(n.up)
	case n.net != nil:
		n.up = make(chan struct{})
	}
	n.net = w
}

// network returns what Run runs, nil while it does not.
func (n *Node) network() *network {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.net
}

// putActor makes a store's new actor durable.
func (n *Node) putActor(id crdt.StoreID, actor crdt.Actor) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	e, ok := n.entries[id]
	if !ok {
		return ErrForgotten
	}
	info := e.info
	info.Actor = actor
	if err := n.cfg.Storage.PutStore(info); err != nil {
		return err
	}
	e.info = info
	return nil
}

// list returns the entries, sorted by name. n.mu is held.
func (n *Node) list() []*entry {
	out := make([]*entry, 0, len(n.entries))
	for _, e := range n.entries {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b *entry) int { return strings.Compare(a.info.Name, b.info.Name) })
	return out
}

// find returns the entry with the given name. n.mu is held.
func (n *Node) find(name string) (*entry, error) {
	if n.closed {
		return nil, ErrClosed
	}
	for _, e := range n.entries {
		if e.info.Name == name {
			return e, nil
		}
	}
	return nil, fmt.Errorf("%w: %q", ErrNoStore, name)
}

// open returns e's store, reading its log if nobody has yet.
func (n *Node) open(e *entry) (*Store, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gone != nil {
		return nil, e.gone
	}
	if s := e.store.Load(); s != nil {
		return s, nil
	}
	n.mu.Lock()
	info := e.info
	n.mu.Unlock()
	s, err := n.newStore(info, &e.name)
	if err != nil {
		return nil, err // perhaps it can be had later
	}
	e.store.Store(s)
	n.relist()
	return s, nil
}

// end makes e's store unusable and returns it, nil if it was never opened.
func (e *entry) end(why error) *Store {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gone = why
	s := e.store.Swap(nil)
	if s != nil {
		s.shut(why)
	}
	return s
}

// Create makes a new store, with a secret of its own, that no other device knows of until it is given a
// ticket. Errors wrap ErrExists if the name is taken.
func (n *Node) Create(ctx context.Context, name string) (*Store, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	var sec [SecretSize]byte
	rand.Read(sec[:]) // never fails: crypto/rand ends the process first
	return n.add(ctx, name, sec, nil)
}

// Join makes this device a member of the store that a ticket opens. It does not wait for a peer: offline it gives an empty,
// writable store that fills when a member is met. If the device is a member already, it gives that store, and keeps
// the ticket's addresses. Errors wrap ErrExists if another store has the name: see Ticket.WithName.
func (n *Node) Join(ctx context.Context, t Ticket) (*Store, error) {
	if t.secret == (secret{}) {
		return nil, fmt.Errorf("%w; this one is empty", ErrTicket)
	}
	if err := checkName(t.name); err != nil {
		return nil, err
	}
	return n.add(ctx, t.name, t.secret, t.peers)
}

func (n *Node) add(ctx context.Context, name string, sec secret, peers []peer.AddrInfo) (*Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	k, err := newKeys(sec)
	if err != nil {
		return nil, err
	}
	peers = slices.DeleteFunc(slices.Clone(peers), func(p peer.AddrInfo) bool { return p.ID == n.id })

	e, err := n.enter(k.id, name, sec, peers)
	if err != nil {
		return nil, err
	}
	s, err := n.open(e)
	if err != nil {
		return nil, err
	}
	if net := n.network(); net != nil {
		net.storeAdded(s)
	}
	return s, nil
}

// enter returns the entry of a store, a new one if there is none.
func (n *Node) enter(id crdt.StoreID, name string, sec secret, peers []peer.AddrInfo) (*entry, error) {
	n.entering.Lock()
	defer n.entering.Unlock()
	// n.mu is held through the write: two calls must not take one name.
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, ErrClosed
	}
	if e, ok := n.entries[id]; ok {
		e.info.Addrs = mergeAddrs(peers, e.info.Addrs)
		if err := n.cfg.Storage.PutStore(e.info); err != nil {
			return nil, fmt.Errorf("keep the addresses of %q: %w", e.info.Name, err)
		}
		return e, nil
	}
	if _, err := n.find(name); err == nil {
		return nil, fmt.Errorf("%w: %q", ErrExists, name)
	}
	info := storage.StoreInfo{ID: id, Name: name, Secret: sec, Actor: n.newActor(), Created: n.now(), Addrs: mergeAddrs(peers, nil)}
	if err := n.cfg.Storage.PutStore(info); err != nil {
		return nil, fmt.Errorf("store %q: %w", name, err)
	}
	e := newEntry(info)
	n.entries[id] = e
	return e, nil
}

// Store returns the store this device knows by name. Errors wrap ErrNoStore if there is none, and
// *storage.CorruptError if its log is damaged.
func (n *Node) Store(name string) (*Store, error) {
	n.mu.Lock()
	e, err := n.find(name)
	n.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return n.open(e)
}

// Rename changes the name by which this device knows a store. Other devices have their own.
func (n *Node) Rename(ctx context.Context, old, name string) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if err := checkName(name); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	e, err := n.find(old)
	if err != nil {
		return err
	}
	if old == name {
		return nil
	}
	if _, err := n.find(name); err == nil {
		return fmt.Errorf("%w: %q", ErrExists, name)
	}
	info := e.info
	info.Name = name
	if err := n.cfg.Storage.PutStore(info); err != nil {
		return fmt.Errorf("rename %q: %w", old, err)
	}
	e.info = info
	e.name.Store(&name)
	return nil
}

// Forget removes a store and its log from this device, with whatever no other device has (see
// Store.Outbox). Other members keep theirs.
func (n *Node) Forget(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	n.mu.Lock()
	e, err := n.find(name)
	net := n.net
	n.mu.Unlock()
	if err != nil {
		return err
	}
	s := e.end(fmt.Errorf("%w: %q", ErrForgotten, name))
	n.relist()
	if s != nil && net != nil {
		net.storeRemoved(s)
	}

	// Nobody joins the store again before its log is gone: what was written since would go with it.
	n.entering.Lock()
	defer n.entering.Unlock()
	n.mu.Lock()
	held := n.entries[e.info.ID] == e
	if held {
		delete(n.entries, e.info.ID)
	}
	n.mu.Unlock()
	if !held {
		return fmt.Errorf("%w: %q", ErrNoStore, name) // another call was faster
	}
	if err := n.cfg.Storage.DeleteStore(e.info.ID); err != nil {
		return fmt.Errorf("forget %q: %w", name, err)
	}
	return nil
}

// Device returns this device's public key.
func (n *Node) Device() crdt.Device { return n.device }

// SetOffline(true) cuts every connection and refuses new ones in both directions, as an aeroplane mode does;
// SetOffline(false) lets them back and dials at once. It may be called before Run.
func (n *Node) SetOffline(off bool) {
	n.offline.Store(off)
	if net := n.network(); net != nil {
		net.offlineChanged()
	}
}

// Offline reports what SetOffline was last told.
func (n *Node) Offline() bool { return n.offline.Load() }

// maxAddrs is how many addresses of members are kept with a store.
const maxAddrs = 32

// mergeAddrs puts the addresses of peers before those kept, and drops the oldest.
func mergeAddrs(peers []peer.AddrInfo, kept []string) []string {
	out := formatPeers(peers)
	for _, a := range kept {
		if !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out[:min(len(out), maxAddrs)]
}

// remember keeps the addresses at which members of a store were met.
func (n *Node) remember(id crdt.StoreID, peers []peer.AddrInfo) {
	n.mu.Lock()
	defer n.mu.Unlock()
	e, ok := n.entries[id]
	if !ok || len(peers) == 0 {
		return
	}
	addrs := mergeAddrs(peers, e.info.Addrs)
	if sameAddrs(addrs, e.info.Addrs) {
		return
	}
	info := e.info
	info.Addrs = addrs
	if err := n.cfg.Storage.PutStore(info); err != nil { // the addresses are a convenience
		n.log.Warn("the addresses of members could not be kept", logStore, info.Name, logError, err)
		return
	}
	e.info = info
}

func sameAddrs(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// membersOf returns the peers whose addresses are kept with a store.
func (n *Node) membersOf(id crdt.StoreID) []peer.AddrInfo {
	n.mu.Lock()
	defer n.mu.Unlock()
	e, ok := n.entries[id]
	if !ok {
		return nil
	}
	return parsePeers(e.info.Addrs)
}

// opened returns the stores whose logs have been read, sorted by name. Read-only.
func (n *Node) opened() []*Store {
	if list := n.openList.Load(); list != nil {
		return *list
	}
	return nil
}

// relist renews what opened returns.
func (n *Node) relist() {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []*Store
	for _, e := range n.list() {
		if s := e.store.Load(); s != nil {
			out = append(out, s)
		}
	}
	n.openList.Store(&out)
	n.rouse()
}
