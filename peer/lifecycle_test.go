package peer

import (
	"context"
	"errors"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/storage"
)

// All goroutines of the network have exited when Run returns, and Open starts none.
func TestNoGoroutineIsLeft(t *testing.T) {
	cycle := func() {
		a, b := newDevice(t, "a", withGossip), newDevice(t, "b", withGossip)
		a.run()
		b.run()
		sa := a.create("list")
		sb := b.join(sa.Ticket())
		put(t, sa, "k", 1)
		converged(t, sa, sb)
		a.halt()
		b.halt()
		if a.Node.Close() != nil || b.Node.Close() != nil {
			t.Error("Close failed")
		}
	}
	cycle() // what libraries start once and keep
	before := stacks()
	cycle()
	var extra []string
	// libp2p's own last goroutines end a moment after its Close.
	deadline := time.Now().Add(patience)
	for {
		extra = nil
		for s := range stacks() {
			if _, ok := before[s]; !ok {
				extra = append(extra, s)
			}
		}
		ours := false
		for _, s := range extra {
			ours = ours || strings.Contains(s, "atoll/peer.(*")
		}
		if ours {
			break // these must be gone at once
		}
		if len(extra) == 0 || time.Now().After(deadline) {
			break
		}
		<-time.After(20 * time.Millisecond)
	}
	if len(extra) > 0 {
		t.Errorf("%d goroutines are left:\n%s", len(extra), strings.Join(extra, "\n\n"))
	}
}

// stacks returns where goroutines stand, without what differs from one to the next.
func stacks() map[string]int {
	buf := make([]byte, 16<<20)
	buf = buf[:runtime.Stack(buf, true)]
	out := make(map[string]int)
	for _, g := range strings.Split(string(buf), "\n\n") {
		var lines []string
		for _, l := range strings.Split(g, "\n") {
			if strings.HasPrefix(l, "goroutine ") {
				continue
			}
			if i := strings.LastIndex(l, "("); i > 0 && !strings.HasPrefix(l, "\t") {
				l = l[:i]
			}
			l, _, _ = strings.Cut(l, " in goroutine ")
			l, _, _ = strings.Cut(l, " +0x")
			lines = append(lines, l)
		}
		s := strings.Join(lines, "\n")
		if strings.Contains(s, "testing.") || strings.Contains(s, "runtime.Stack") {
			continue
		}
		out[s]++
	}
	return out
}

func TestOpenStartsNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	a := newDevice(t, "a")
	s := a.create("list")
	put(t, s, "k", 1)
	if got := runtime.NumGoroutine(); got > before {
		t.Errorf("%d goroutines where there were %d", got, before)
	}
	if err := a.Connect(ctxFor(t), "/ip4/127.0.0.1/tcp/1/p2p/"+newDevice(t, "b").id.String()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("Connect without Run: %v, want ErrNotRunning", err)
	}
}

// freezer is a TCP proxy that can stop to pass anything on, without closing a connection: a silent cut.
type freezer struct {
	listener net.Listener
	frozen   atomic.Bool
	mu       sync.Mutex
	conns    []net.Conn
	ended    atomic.Int32 // of these
}

// gone reports whether both ends of all connections are closed.
func (f *freezer) gone() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return int(f.ended.Load()) == len(f.conns)
}

func newFreezer(t *testing.T, to string) *freezer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &freezer{listener: l}
	t.Cleanup(func() {
		l.Close()
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, c := range f.conns {
			c.Close()
		}
	})
	pass := func(dst, src net.Conn) {
		buf := make([]byte, 32<<10)
		for {
			n, err := src.Read(buf)
			if err != nil {
				f.ended.Add(1)
				if !f.frozen.Load() { // else the other end is to notice for itself
					dst.Close()
				}
				return
			}
			if f.frozen.Load() {
				continue // lost
			}
			if _, err := dst.Write(buf[:n]); err != nil {
				src.Close()
				return
			}
		}
	}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil || f.frozen.Load() {
				in.Close()
				continue
			}
			f.mu.Lock()
			f.conns = append(f.conns, in, out)
			f.mu.Unlock()
			go pass(out, in)
			go pass(in, out)
		}
	}()
	return f
}

// A connection that dies without a word is noticed by both ends within heartbeats, and made anew.
func TestSilentCut(t *testing.T) {
	tcp := func(c *Config) {
		c.Listen = []string{"/ip4/127.0.0.1/tcp/0"}
		c.Heartbeat = 200 * time.Millisecond
	}
	a, b := newDevice(t, "a", tcp).run(), newDevice(t, "b", tcp).run()
	sa := a.create("list")
	_, port, _ := strings.Cut(a.Addrs()[0], "/tcp/")
	port, id, _ := strings.Cut(port, "/p2p/")
	proxy := newFreezer(t, "127.0.0.1:"+port)
	_, proxyPort, _ := net.SplitHostPort(proxy.listener.Addr().String())
	through := "/ip4/127.0.0.1/tcp/" + proxyPort + "/p2p/" + id

	// b knows a only through the proxy, and a does not know b.
	ticket := sa.Ticket()
	info, err := parsePeerAddr(through)
	if err != nil {
		t.Fatal(err)
	}
	ticket.peers[0] = info
	sb := b.join(ticket)
	put(t, sa, "k", 1)
	converged(t, sa, sb)

	proxy.frozen.Store(true)
	eventually(t, "both notice", proxy.gone) // they may meet again at once, at an address that they learnt of
	put(t, sa, "cut", 2)
	put(t, sb, "cut too", 3)
	proxy.frozen.Store(false)
	converged(t, sa, sb)
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	a := newDevice(t, "a", func(c *Config) { c.Metrics = registry })
	put(t, a.create("list"), "k", 1)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			found[f.GetName()] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	for _, name := range []string{"atoll_updates_total", "atoll_changes_total", "atoll_stores"} {
		if found[name] != 1 {
			t.Errorf("%s = %v, want 1", name, found[name])
		}
	}
	if _, err := Open(a.cfg); err == nil || !strings.Contains(err.Error(), "register metrics") {
		t.Errorf("two nodes in one registry: %v, want an error", err)
	}
	if err := a.Node.Close(); err != nil {
		t.Fatal(err)
	}
	if families, _ := registry.Gather(); len(families) != 0 {
		t.Errorf("%d metrics are left after Close", len(families))
	}
}

func TestDeliveredLevels(t *testing.T) {
	a, b, c := newDevice(t, "a").run(), newDevice(t, "b").run(), newDevice(t, "c")
	sa := a.create("list")
	sb := b.join(sa.Ticket())
	dot := put(t, sa, "k", 1)
	if err := sa.Delivered(ctxFor(t), dot, Reach{}); err != nil {
		t.Errorf("stored here: %v", err)
	}
	if err := sa.Delivered(ctxFor(t), dot, Reach{Devices: 1}); err != nil {
		t.Errorf("held by one: %v", err)
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if err := sa.Delivered(gone, dot, Reach{Devices: 2}); !errors.Is(err, context.Canceled) {
		t.Errorf("held by two of one: %v, want the context's cause", err)
	}
	if err := sa.Delivered(gone, dot, Reach{Device: c.Device()}); !errors.Is(err, context.Canceled) {
		t.Errorf("held by a device that never was: %v, want the context's cause", err)
	}
	if err := sa.Delivered(gone, crdt.Dot{Actor: dot.Actor, Seq: 99}, Reach{}); !errors.Is(err, ErrUnknownDot) {
		t.Errorf("an unknown change: %v, want ErrUnknownDot", err)
	}
	// c gets it from b alone; its signed record comes back to a through b.
	ticket := sb.Ticket()
	ticket.peers = ticket.peers[:1]
	a.SetOffline(true)
	c.run()
	sc := c.join(ticket)
	converged(t, sa, sb, sc)
	eventually(t, "b has c's signed word for it", func() bool {
		records, err := sb.log.Records()
		return err == nil && slices.ContainsFunc(records, func(e storage.Entry) bool { return e.Device == c.Device() })
	})
	c.halt()
	a.SetOffline(false)
	if err := sa.Delivered(ctxFor(t), dot, Reach{Devices: 2, Device: c.Device(), All: true}); err != nil {
		t.Errorf("held by c, as b says: %v", err)
	}
	if n := sa.Status().Outbox; n != 0 {
		t.Errorf("%d ops in the outbox, want none", n)
	}
}
