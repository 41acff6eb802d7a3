package peer

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/oracle"
	"github.com/atollsync/atoll/peer/internal/packetnet"
	"github.com/atollsync/atoll/storage"
)

var (
	packetsSeed = flag.Uint64("packets.seed", 0, "the seed of loss, jitter and schedule on the simulated network (0: another each time)")
	packetsLog  = flag.Bool("packets.log", false, "log what the nodes on the simulated network say")
)

// world is a simulated network and the nodes on it, all members of one store: shipped nodes, with libp2p over
// QUIC, gossipsub and badger, on the clock of a bubble. It is used by one goroutine.
//
// A seed says what the network loses and delays and what the test asks for. The order in which goroutines run is not
// in it, so no run is like another, and only what must hold in all of them is asserted.
type world struct {
	t     *testing.T
	net   *packetnet.Network
	rng   *rand.Rand
	nodes []*member
	keys  int            // written so far
	acked []acknowledged // every Update that returned without an error
}

type acknowledged struct {
	by  *member
	key string // "" if it was not made by write
	dot crdt.Dot
}

// member is a node of a world with its data directory.
type member struct {
	*device
	dir   string
	addr  netip.Addr
	store *Store
	seen  watched
	unsee func() // ends the watcher and waits for it
}

// watched is what a watcher of a store has been shown. It goes on where it was when its node is restarted.
type watched struct {
	mu     sync.Mutex
	follow follow
	dots   []crdt.Dot // in the order shown
}

// inWorld runs f in a bubble of virtual time with n nodes that have met over link.
func inWorld(t *testing.T, n int, link packetnet.Link, f func(w *world), opts ...func(*Config)) {
	t.Helper()
	seed := *packetsSeed
	if seed == 0 {
		seed = 1 + rand.Uint64N(1<<32)
	}
	defer func() {
		if t.Failed() {
			t.Logf("the same losses, delays and schedule, though not the same order of goroutines: go test ./peer -run '^%s$' -packets.log -packets.seed=%d", t.Name(), seed)
		}
	}()
	temp := t.TempDir() // removed outside the bubble, after all is closed
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, net: packetnet.New(seed, link), rng: rand.New(rand.NewPCG(seed, 1))}
		for i := range n {
			w.nodes = append(w.nodes, w.newMember(i, filepath.Join(temp, fmt.Sprint(i)), opts...))
		}
		first := w.nodes[0]
		first.store = first.create("list")
		ticket := first.store.Ticket()
		for _, m := range w.nodes[1:] {
			m.store = m.join(ticket)
		}
		for _, m := range w.nodes {
			m.watch()
		}
		w.writeAll()
		w.converge(time.Minute)
		w.meshed(time.Minute)
		w.within(time.Minute, "a store with many members is gossiped, and one with few is not", func() bool {
			for _, m := range w.nodes {
				if m.store.Status().Gossip != (n-1 > defaultGossipAbove) {
					return false
				}
			}
			return true
		})
		f(w)
		w.check()
	})
}

func (w *world) newMember(i int, dir string, opts ...func(*Config)) *member {
	w.t.Helper()
	m := &member{dir: dir, addr: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i + 1)})}
	m.seen.follow.t = w.t
	db, err := storage.Open(dir)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := m.db.Close(); err != nil {
			w.t.Errorf("%s: close the storage: %v", m.name, err)
		}
	})
	level := slog.LevelWarn
	if *packetsLog {
		level = slog.LevelDebug
	}
	name := fmt.Sprint("n", i)
	start := time.Now()
	m.device = openDevice(w.t, name, db, append([]func(*Config){func(c *Config) {
		c.NoGossip, c.Heartbeat = false, 0
		c.Listen = []string{"/ip4/" + m.addr.String() + "/udp/4001/quic-v1"}
		c.Libp2p = []libp2p.Option{w.net.Host(m.addr)}
		c.Logger = slog.New(slog.NewTextHandler(testWriter{w.t}, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Duration("at", a.Value.Time().Sub(start))
			}
			return a
		}})).With("node", name)
	}}, opts...)...)
	w.t.Cleanup(func() {
		if m.unsee != nil {
			m.unsee()
		}
	})
	m.run()
	return m
}

// watch follows the store from where the last watcher was.
func (m *member) watch() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	store := m.store
	m.unsee = func() {
		cancel()
		<-done
		m.unsee = nil
	}
	go func() {
		defer close(done)
		for e, err := range store.Watch(ctx, m.seen.follow.at) {
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					m.t.Errorf("%s: Watch: %v", m.name, err)
				}
				return
			}
			m.seen.mu.Lock()
			m.seen.follow.take(e)
			for _, c := range e.Changes {
				m.seen.dots = append(m.seen.dots, c.Dot)
			}
			m.seen.mu.Unlock()
		}
	}()
}

// down closes the node and its storage; up opens them again on the same directory.
func (w *world) down(m *member) {
	w.t.Helper()
	m.unsee()
	m.halt()
	if err := m.Node.Close(); err != nil {
		w.t.Fatalf("%s: Close: %v", m.name, err)
	}
	if err := m.db.Close(); err != nil {
		w.t.Fatalf("%s: close the storage: %v", m.name, err)
	}
}

func (w *world) up(m *member) {
	w.t.Helper()
	db, err := storage.Open(m.dir)
	if err != nil {
		w.t.Fatalf("%s: open the storage again: %v", m.name, err)
	}
	m.db, m.cfg.Storage = db, db
	m.open()
	m.run()
	m.store = m.device.store("list")
	m.watch()
}

// write makes one change at m: a key of its own, one more on a counter, one character in a shared text, and a register all write to.
func (w *world) write(m *member) crdt.Dot {
	w.t.Helper()
	w.keys++
	key := fmt.Sprintf("%s/%d", m.name, w.keys)
	dot, err := m.store.Update(context.Background(), func(tx *crdt.Tx) error {
		tx.Map("keys").Put(key, w.keys)
		tx.Counter("writes").Add(1)
		tx.Text("text").Insert(0, string(rune('a'+w.keys%26)))
		tx.Map("shared").Put("last", key)
		return nil
	})
	if err != nil {
		w.t.Fatalf("%s: Update: %v", m.name, err)
	}
	w.acked = append(w.acked, acknowledged{m, key, dot})
	return dot
}

func (w *world) writeAll() {
	w.t.Helper()
	for _, m := range w.nodes {
		w.write(m)
	}
}

// writeFor writes at a node drawn at random every so often, for some time.
func (w *world) writeFor(d, every time.Duration, nodes ...*member) {
	w.t.Helper()
	if len(nodes) == 0 {
		nodes = w.nodes
	}
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(every) {
		w.write(nodes[w.rng.IntN(len(nodes))])
	}
}

// within waits until ok holds and returns how long that took; longer than bound fails the test.
func (w *world) within(bound time.Duration, what string, ok func() bool) time.Duration {
	w.t.Helper()
	start := time.Now()
	for !ok() {
		if time.Since(start) > bound {
			var state []string
			for _, m := range w.nodes {
				state = append(state, fmt.Sprintf("%s: %d changes, %d peers", m.name, m.store.Status().Changes, len(m.Peers())))
			}
			w.t.Fatalf("not within %v: %s\n%s", bound, what, strings.Join(state, "\n"))
		}
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(start)
}

// converge waits until every node is at one version, in which all that was acknowledged is.
func (w *world) converge(bound time.Duration) time.Duration {
	w.t.Helper()
	return w.within(bound, "the nodes converge", func() bool { return w.agree(w.nodes, len(w.acked)) })
}

func (w *world) agree(nodes []*member, changes int) bool {
	for _, m := range nodes {
		if n := m.store.Status().Changes; n != changes {
			return false
		}
	}
	first := version(w.t, nodes[0].store)
	for _, m := range nodes[1:] {
		if !version(w.t, m.store).Equal(first) {
			return false
		}
	}
	return true
}

// meshed waits until every node has a session with each of the others, or as many as it looks for.
func (w *world) meshed(bound time.Duration) time.Duration {
	w.t.Helper()
	want := min(len(w.nodes)-1, enoughMembers)
	return w.within(bound, "every node has its sessions", func() bool {
		for _, m := range w.nodes {
			if len(m.Peers()) < want {
				return false
			}
		}
		return true
	})
}

// connected reports whether some node of one group and one of the other both think that they have a session.
func connected(a, b []*member) bool {
	for _, x := range a {
		for _, y := range b {
			if sessionOf(x, y) != nil && sessionOf(y, x) != nil {
				return true
			}
		}
	}
	return false
}

// sessionOf returns what a says of its session with b, nil if there is none.
func sessionOf(a, b *member) *PeerInfo {
	for _, p := range a.Peers() {
		if p.Device == b.Device() {
			return &p
		}
	}
	return nil
}

// apart reports whether no node of one group thinks that it has a session with one of the other.
func apart(a, b []*member) bool {
	for _, x := range a {
		for _, y := range b {
			if sessionOf(x, y) != nil || sessionOf(y, x) != nil {
				return false
			}
		}
	}
	return true
}

// halves cuts the network in two and returns both parts.
func (w *world) halves(how packetnet.Cut) (a, b []*member) {
	a, b = w.nodes[:len(w.nodes)/2], w.nodes[len(w.nodes)/2:]
	w.net.Part(addrsOf(a), addrsOf(b), how)
	return a, b
}

func addrsOf(nodes []*member) []netip.Addr {
	var out []netip.Addr
	for _, m := range nodes {
		out = append(out, m.addr)
	}
	return out
}

// check asserts what must hold at the end of every run, in which all have converged.
func (w *world) check() {
	w.t.Helper()
	w.converge(time.Minute)
	w.checkState()
	w.checkDelivered()
	w.checkWatchers()
}

// checkState: all show what the oracle makes of the changes, and all that was acknowledged is in it.
func (w *world) checkState() {
	w.t.Helper()
	changes := w.changes()
	meant, err := oracle.Of(changes)
	if err != nil {
		w.t.Fatalf("oracle: %v", err)
	}
	want := meant.JSON()
	for _, m := range w.nodes {
		if got := show(w.t, m.store); got != want {
			w.t.Errorf("%s shows\n%s\nthe oracle\n%s", m.name, got, want)
		}
	}
	held := make(map[crdt.Dot]bool)
	for _, c := range changes {
		held[c.Dot()] = true
	}
	keys := 0
	for _, a := range w.acked {
		if !held[a.dot] {
			w.t.Errorf("%s was told that %v is durable, and it is gone", a.by.name, a.dot)
		}
		if a.key == "" {
			continue // not by write
		}
		keys++
		if !strings.Contains(want, fmt.Sprintf("%q:", a.key)) {
			w.t.Errorf("what %s wrote at %s is not shown", a.by.name, a.key)
		}
	}
	if writes := fmt.Sprintf(`"writes":%d`, keys); !strings.Contains(want, writes) {
		w.t.Errorf("%d increments were acknowledged, and the counter says something else: %s", keys, want)
	}
}

// changes returns what the first node's log holds.
func (w *world) changes() []*crdt.Change {
	w.t.Helper()
	log := w.nodes[0].store.log
	var out []*crdt.Change
	if err := log.Changes(causal.Span{End: log.Len()}, func(a crdt.Accepted) bool { out = append(out, a.Change); return true }); err != nil {
		w.t.Fatal(err)
	}
	return out
}

// checkDelivered: every author learns that everybody has what it wrote.
func (w *world) checkDelivered() {
	w.t.Helper()
	w.within(time.Minute, "every author knows that all have its changes", func() bool {
		for _, m := range w.nodes {
			if m.store.Status().Outbox != 0 {
				return false
			}
		}
		for _, a := range w.acked {
			level, err := a.by.store.Delivery(a.dot)
			if err != nil {
				w.t.Fatalf("%s: Delivery: %v", a.by.name, err)
			}
			if len(level.Holders) != len(w.nodes)-1 || !level.HeldByAll() {
				return false
			}
		}
		return true
	})
}

// checkWatchers: each was shown every change once, after those it builds on.
func (w *world) checkWatchers() {
	w.t.Helper()
	synctest.Wait()
	changes := w.changes()
	for _, m := range w.nodes {
		m.seen.mu.Lock()
		at := make(map[crdt.Dot]int)
		for i, d := range m.seen.dots {
			at[d] = i
		}
		if len(m.seen.dots) != len(changes) || len(at) != len(changes) {
			w.t.Errorf("%s: the watcher was shown %d changes, %d different ones, of %d", m.name, len(m.seen.dots), len(at), len(changes))
		}
		for _, c := range changes {
			for _, dep := range c.Deps() {
				before, ok := at[dep]
				if after := at[c.Dot()]; !ok || before >= after {
					w.t.Errorf("%s: the watcher was shown %v before %v, on which it builds", m.name, c.Dot(), dep)
				}
			}
		}
		m.seen.mu.Unlock()
	}
}

// notDelivered fails if the author of dot is told that one of others holds it.
func (w *world) notDelivered(by *member, dot crdt.Dot, others []*member) {
	w.t.Helper()
	level, err := by.store.Delivery(dot)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, m := range others {
		if slices.Contains(level.Holders, m.Device()) {
			w.t.Errorf("%s is told that %s holds %v, from which it is cut off", by.name, m.name, dot)
		}
	}
	if !level.Stored || level.HeldByAll() {
		w.t.Errorf("%s: the delivery of %v is %+v while others are cut off", by.name, dot, level)
	}
}
