package peer

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/peer/internal/packetnet"
)

// home is a link as between two homes.
var home = packetnet.Link{Latency: 20 * time.Millisecond, Jitter: 5 * time.Millisecond, Bandwidth: 2 << 20}

// forSizes runs f as a subtest for each number of nodes.
func forSizes(t *testing.T, f func(t *testing.T, n int)) {
	for _, n := range sizes {
		if testing.Short() && n > 5 {
			continue
		}
		t.Run(fmt.Sprint(n), func(t *testing.T) { f(t, n) })
	}
}

var cuts = []struct {
	name string
	how  packetnet.Cut
}{{"silent", packetnet.Silent}, {"noticed", packetnet.Noticed}}

// met fails unless packets met the cut.
func met(t *testing.T, how packetnet.Cut, during packetnet.Stats) {
	t.Helper()
	if how == packetnet.Silent && during.Cut == 0 || how == packetnet.Noticed && during.Refused == 0 {
		t.Errorf("no packet met the cut: %+v", during)
	}
}

// Two halves that cannot reach each other work on, and agree again when they can. A partition as long as
// this one is noticed by both.
func TestSimulatedPartition(t *testing.T) {
	for _, cut := range cuts {
		t.Run(cut.name, func(t *testing.T) {
			forSizes(t, func(t *testing.T, n int) {
				inWorld(t, n, home, func(w *world) {
					before := w.net.Stats()
					a, b := w.halves(cut.how)
					w.writeFor(20*time.Second, time.Second)
					w.within(time.Minute, "both halves notice", func() bool { return apart(a, b) })
					dot := w.write(a[0])
					time.Sleep(5 * time.Second)
					w.notDelivered(a[0], dot, b)
					if w.agree(w.nodes, len(w.acked)) {
						w.t.Error("all agree across a partition")
					}
					met(w.t, cut.how, w.net.Stats().Sub(before))
					w.net.Heal()
					first := w.within(time.Minute, "the halves meet", func() bool { return connected(a, b) })
					took := first + w.converge(15*time.Second)
					again := took + w.meshed(15*time.Second) // one that is back has the others dialled
					w.t.Logf("the halves meet after %v, all agree after %v, all sessions are back after %v", first, took, again)
				})
			})
		})
	}
}

// A cut that is over before anybody has noticed costs no session and no change, though packets were lost in it.
func TestSimulatedShortCut(t *testing.T) {
	forSizes(t, func(t *testing.T, n int) {
		inWorld(t, n, home, func(w *world) {
			a, b := w.halves(packetnet.Whole)
			since := make(map[[2]*member]time.Time)
			for _, x := range a {
				for _, y := range b {
					if s := sessionOf(x, y); s != nil {
						since[[2]*member{x, y}] = s.Since
					}
				}
			}
			before := w.net.Stats()
			w.halves(packetnet.Silent)
			w.writeFor(3*time.Second, 200*time.Millisecond)
			met(w.t, packetnet.Silent, w.net.Stats().Sub(before))
			w.net.Heal()
			w.t.Logf("all agree after %v", w.converge(15*time.Second))
			for pair, began := range since {
				if s := sessionOf(pair[0], pair[1]); s == nil || !s.Since.Equal(began) {
					w.t.Errorf("%s and %s do not have the session any more that they had before", pair[0].name, pair[1].name)
				}
			}
		})
	})
}

// A silent cut too short for QUIC, which gives a connection up after 30 s, is noticed by the heartbeat.
func TestSimulatedHeartbeat(t *testing.T) {
	forSizes(t, func(t *testing.T, n int) {
		inWorld(t, n, home, func(w *world) {
			before := w.net.Stats()
			a, b := w.halves(packetnet.Silent)
			w.write(a[0])
			noticed := w.within((heartbeatsMissed+1)*defaultHeartbeat, "both halves notice", func() bool { return apart(a, b) })
			w.writeFor(20*time.Second-noticed, 2*time.Second)
			met(w.t, packetnet.Silent, w.net.Stats().Sub(before))
			w.net.Heal()
			w.t.Logf("noticed after %v; all agree %v after the cut", noticed, w.converge(30*time.Second))
		})
	})
}

// A link that comes and goes delays, and loses nothing.
func TestSimulatedFlapping(t *testing.T) {
	forSizes(t, func(t *testing.T, n int) {
		inWorld(t, n, home, func(w *world) {
			var back []time.Duration
			began := w.net.Stats()
			flaps := 8
			if n > 5 {
				flaps = 4
			}
			for i := range flaps {
				cut := cuts[i%len(cuts)]
				before := w.net.Stats()
				joined := connected(w.halves(packetnet.Whole))
				a, b := w.halves(cut.how)
				w.writeFor(time.Second+time.Duration(w.rng.Int64N(int64(14*time.Second))), time.Second)
				if joined { // else nobody may have tried to send
					met(w.t, cut.how, w.net.Stats().Sub(before))
				}
				w.net.Heal()
				start := time.Now()
				if connected(a, b) {
					w.writeFor(time.Second+time.Duration(w.rng.Int64N(int64(5*time.Second))), time.Second)
					continue // nobody noticed
				}
				if i < len(cuts) { // so that a cut of each kind meets somebody
					w.within(time.Minute, "the halves meet", func() bool { return connected(a, b) })
				}
				up := 2*time.Second + time.Duration(w.rng.Int64N(int64(8*time.Second)))
				w.write(a[0])
				for time.Since(start) < up && !connected(a, b) {
					time.Sleep(20 * time.Millisecond)
				}
				if connected(a, b) {
					back = append(back, time.Since(start))
				}
				w.writeFor(up-time.Since(start), time.Second)
			}
			during := w.net.Stats().Sub(began)
			met(w.t, packetnet.Silent, during)
			met(w.t, packetnet.Noticed, during)
			took := w.converge(time.Minute)
			slices.Sort(back)
			w.t.Logf("the halves met again after %v; at the end all agree after %v", back, took)
		})
	})
}

// A node that is closed and opened again on its directory, while others go on, has all it had and gets what it missed.
func TestSimulatedRestart(t *testing.T) {
	forSizes(t, func(t *testing.T, n int) {
		inWorld(t, n, home, func(w *world) {
			for range min(n, 3) {
				m := w.nodes[w.rng.IntN(n)]
				w.write(m) // it may not have told anybody of this one
				had := version(w.t, m.store)
				w.down(m)
				rest := slices.DeleteFunc(slices.Clone(w.nodes), func(o *member) bool { return o == m })
				w.within(time.Minute, "the others notice", func() bool { return gone(rest, m) })
				w.writeFor(5*time.Second, time.Second, rest...)
				before := w.net.Stats()
				w.up(m)
				if got := version(w.t, m.store); !got.Equal(had) {
					w.t.Errorf("%s was closed at %v and opened again at %v", m.name, had, got)
				}
				w.write(m)
				took := w.converge(30 * time.Second)
				if w.net.Stats().Sub(before).Delivered == 0 {
					w.t.Error("it got all that from nowhere")
				}
				w.t.Logf("all agree %v after %s came back", took, m.name)
			}
		})
	})
}

// gone reports whether none of nodes has a session with m.
func gone(nodes []*member, m *member) bool {
	for _, o := range nodes {
		if sessionOf(o, m) != nil {
			return false
		}
	}
	return true
}

// A bad line: packets are lost, overtake each other and wait.
func TestSimulatedBadLine(t *testing.T) {
	bad := packetnet.Link{Latency: 80 * time.Millisecond, Jitter: 60 * time.Millisecond, Loss: 0.05, Bandwidth: 128 << 10, Queue: 64 << 10}
	forSizes(t, func(t *testing.T, n int) {
		inWorld(t, n, home, func(w *world) {
			before := w.net.Stats()
			w.net.SetAll(bad)
			w.writeFor(20*time.Second, 250*time.Millisecond)
			took := w.converge(30 * time.Second)
			during := w.net.Stats().Sub(before)
			if during.Lost == 0 || during.Delayed == 0 || during.Jittered == 0 || during.Overtaken == 0 || during.Queued == 0 {
				w.t.Errorf("a fault that was asked for did not happen: %+v", during)
			}
			w.t.Logf("all agree %v after the last write; %+v", took, during)
		})
	})
}

// What is missing comes as fast as the line lets it, and no faster.
func TestSimulatedSlowLine(t *testing.T) {
	const size, count = 4 << 10, 100
	slow := packetnet.Link{Latency: 50 * time.Millisecond, Bandwidth: 32 << 10}
	inWorld(t, 2, home, func(w *world) {
		author, reader := w.nodes[0], w.nodes[1]
		reader.SetOffline(true)
		w.within(time.Minute, "the reader is offline", func() bool { return len(author.Peers()) == 0 })
		var last crdt.Dot
		var written []crdt.Dot
		for range count {
			body := make([]byte, size)
			rand.Read(body)
			dot, err := author.store.Update(context.Background(), func(tx *crdt.Tx) error {
				tx.Map("bodies").Put("last", body)
				return nil
			})
			if err != nil {
				w.t.Fatal(err)
			}
			written, last = append(written, dot), dot
		}
		before := w.net.Stats()
		w.net.SetAll(slow)
		start := time.Now()
		reader.SetOffline(false)
		if err := author.store.Delivered(ctxFor(w.t), last, Reach{Device: reader.Device()}); err != nil {
			w.t.Fatal(err)
		}
		took, least := time.Since(start), time.Duration(float64(size*count)/float64(slow.Bandwidth)*float64(time.Second))
		if took < least || took > 2*least {
			w.t.Errorf("%d bytes over a line of %d bytes a second took %v, want %v and little more", size*count, slow.Bandwidth, took, least)
		}
		if during := w.net.Stats().Sub(before); during.Queued == 0 {
			w.t.Errorf("no packet waited for another: %+v", during)
		}
		for _, dot := range written {
			w.acked = append(w.acked, acknowledged{by: author, dot: dot})
		}
		w.t.Logf("%d bytes took %v, of which the line alone takes %v", size*count, took, least)
	})
}
