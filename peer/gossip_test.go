package peer

import (
	"fmt"
	"sync"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/peer/replica"
)

func withGossip(c *Config) { c.NoGossip, c.GossipAbove = false, -1 }

// counted returns the value of a counter.
func counted(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

func TestGossip(t *testing.T) {
	const n = 4
	var devices []*device
	var stores []*Store
	for i := range n {
		d := newDevice(t, fmt.Sprint("d", i), withGossip).run()
		devices = append(devices, d)
		if i == 0 {
			stores = append(stores, d.create("list"))
		} else {
			stores = append(stores, d.join(stores[0].Ticket()))
		}
	}
	eventually(t, "all are in one topic", func() bool {
		for i, d := range devices {
			stores[i].mu.RLock()
			open := stores[i].topic
			stores[i].mu.RUnlock()
			if open == nil || len(open.topic.ListPeers()) < n-1 {
				return false
			}
			_ = d
		}
		return true
	})
	var all sync.WaitGroup
	for i, s := range stores {
		all.Go(func() {
			for k := range 10 {
				put(t, s, fmt.Sprintf("%d-%d", i, k), k)
			}
		})
	}
	all.Wait()
	converged(t, stores...)
	eventually(t, "something was gossiped", func() bool {
		for _, d := range devices {
			if counted(t, d.metrics.gossipOut) == 0 || counted(t, d.metrics.gossipIn) == 0 {
				return false
			}
		}
		return true
	})
	for _, d := range devices {
		if got := counted(t, d.metrics.gossipRefused) + counted(t, d.metrics.violations); got > 0 {
			t.Errorf("%s refused %v honest messages", d.name, got)
		}
	}
	// What gossip cannot deliver, the streams do.
	devices[1].SetOffline(true)
	put(t, stores[0], "while 1 was away", 1)
	put(t, stores[1], "while away", 1)
	devices[1].SetOffline(false)
	converged(t, stores...)
}

// A device without gossip is served over the stream by those that have it.
func TestGossipWithOneThatHasNone(t *testing.T) {
	a, b := newDevice(t, "a", withGossip).run(), newDevice(t, "b").run()
	sa := a.create("list")
	sb := b.join(sa.Ticket())
	eventually(t, "a has a topic", func() bool { return sa.Status().Gossip })
	put(t, sa, "from a", 1)
	put(t, sb, "from b", 2)
	converged(t, sa, sb)
}

// The replica is told who gets what is gossiped: others are sent it on their streams.
func TestWhoIsSubscribed(t *testing.T) {
	a, b, c := newDevice(t, "a", withGossip).run(), newDevice(t, "b", withGossip).run(), newDevice(t, "c").run()
	sa := a.create("list")
	sb, sc := b.join(sa.Ticket()), c.join(sa.Ticket())
	has := func(d *device) bool {
		sa.mu.RLock()
		defer sa.mu.RUnlock()
		return sa.topic.has(d.Device())
	}
	put(t, sb, "from b", 1)
	put(t, sc, "from c", 2)
	converged(t, sa, sb, sc)
	eventually(t, "a knows that b is subscribed", func() bool { return has(b) })
	if has(c) {
		t.Error("c is said to be subscribed, and has no gossip")
	}
	b.SetOffline(true)
	eventually(t, "a knows that b is gone", func() bool { return !has(b) })
	b.SetOffline(false)
	eventually(t, "a knows that b is back", func() bool { return has(b) })
	put(t, sa, "from a", 3)
	converged(t, sa, sb, sc)
}

// Few peers need no topic.
func TestNoTopicForFewPeers(t *testing.T) {
	gossip := func(c *Config) { c.NoGossip, c.GossipAbove = false, 1 }
	a, b := newDevice(t, "a", gossip).run(), newDevice(t, "b", gossip).run()
	sa := a.create("list")
	sb := b.join(sa.Ticket())
	put(t, sa, "k", 1)
	converged(t, sa, sb)
	if sa.Status().Gossip || sb.Status().Gossip {
		t.Error("two devices opened a topic, though GossipAbove is 1 peer")
	}
	c := newDevice(t, "c", gossip).run()
	sc := c.join(sb.Ticket())
	eventually(t, "three devices have a topic", func() bool {
		return sa.Status().Gossip && sb.Status().Gossip && sc.Status().Gossip
	})
	put(t, sc, "k", 2)
	converged(t, sa, sb, sc)
}

// Gossiped messages open for members only, and only as from their author.
func TestGossipSeal(t *testing.T) {
	a := newDevice(t, "a", withGossip).run()
	s := a.create("list")
	eventually(t, "a has a topic", func() bool { return s.Status().Gossip })
	s.mu.RLock()
	open := s.topic
	s.mu.RUnlock()
	heads := &replica.Heads{Tips: []crdt.Tip{{Actor: crdt.Actor{Device: crdt.Device{1}}, Seq: 7, Hash: crdt.Hash{1}}}}
	sealed := open.seal([][]byte{heads.AppendTo(nil)})
	got, err := a.network().gossip.unseal(s, a.id, sealed)
	if err != nil || len(got) != 1 || got[0].String() != heads.String() {
		t.Fatalf("unseal = %v, %v; want %v", got, err, heads)
	}
	if _, err := a.network().gossip.unseal(s, peer.ID("somebody else"), sealed); err == nil {
		t.Error("a message opened as from another author")
	}
	other := a.create("other")
	if _, err := a.network().gossip.unseal(other, a.id, sealed); err == nil {
		t.Error("a message opened with the key of another store")
	}
	for i := range sealed {
		bad := append([]byte(nil), sealed...)
		bad[i] ^= 1
		if _, err := a.network().gossip.unseal(s, a.id, bad); err == nil {
			t.Errorf("a message with a flipped bit in byte %d opened", i)
		}
	}
	if s.anyNew(got) != true {
		t.Error("heads that are not held are new")
	}
	dot := put(t, s, "k", 1)
	if s.anyNew([]replica.Message{&replica.Heads{Tips: []crdt.Tip{{Actor: dot.Actor, Seq: dot.Seq, Hash: crdt.Hash{1}}}}}) {
		t.Error("heads that are held are not new")
	}
}
