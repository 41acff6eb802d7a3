package peer

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/peer/replica"
	"github.com/atollsync/atoll/storage"
)

// wire is two nodes without a network that hold one store, in a bubble of virtual time. What their replicas say to each
// other takes wireLatency.
type wire struct {
	t      *testing.T
	began  time.Time
	nets   [2]*network
	disks  [2]*faultyStore
	stores [2]*Store
	links  [2]*link
	clocks [2]clock
	lost   atomic.Bool // whatever is sent
	mu     sync.Mutex
	said   [2][]saying // to each store; guarded by mu
}

const wireLatency = 17 * time.Millisecond

// saying is a message that arrived.
type saying struct {
	at   time.Duration
	what string
}

// clock is the wall clock of a device.
type clock struct {
	off    atomic.Int64 // by how much it is wrong
	stands atomic.Int64 // if not 0, when it stopped, in ns
	looks  atomic.Int64 // how often somebody looked at it
}

func (c *clock) now() time.Time {
	c.looks.Add(1)
	at := time.Now().UnixNano()
	if s := c.stands.Load(); s != 0 {
		at = s
	}
	return time.Unix(0, at+c.off.Load())
}

// inWire runs f with two connected stores. Their replicas are told the time by the tickers of their nodes; with always, ten times a second
// whether or not they have something to do.
func inWire(t *testing.T, always bool, f func(t *testing.T, w *wire)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &wire{t: t, began: time.Now()}
		ctx, cancel := context.WithCancel(t.Context())
		t.Cleanup(func() {
			cancel()
			synctest.Wait()
		})
		var ticket Ticket
		for i := range w.nets {
			seed := [ed25519.SeedSize]byte{byte(i)} // which device is the smaller one makes a difference
			w.disks[i] = &faultyStore{Batching: storage.MemoryDatastore()}
			db, err := storage.New(w.disks[i], storage.Config{Key: ed25519.NewKeyFromSeed(seed[:])})
			if err != nil {
				t.Fatal(err)
			}
			d := openDevice(t, fmt.Sprint("n", i), db, func(c *Config) { c.Now = w.clocks[i].now })
			if i == 0 {
				w.stores[i] = d.create("s")
				ticket = w.stores[i].Ticket()
			} else {
				w.stores[i] = d.join(ticket)
			}
			w.nets[i] = &network{node: d.Node, log: d.log, ctx: ctx, sessions: make(map[peer.ID]*session)}
			w.nets[i].dialer = newDialer(w.nets[i])
		}
		for i := range w.links {
			other := w.nets[1-i].node
			s := &session{net: w.nets[i], device: other.device, peer: other.id, poked: make(chan struct{}, 1)}
			s.out.init()
			w.nets[i].sessions[other.id] = s
			w.links[i] = &link{session: s, store: w.stores[i], device: other.device}
		}
		for i := range w.links {
			go w.carry(ctx, 1-i)
			if !always {
				go w.nets[i].tick()
				continue
			}
			go func() {
				for ticker := time.NewTicker(tickInterval); ; {
					select {
					case <-ticker.C:
						w.stores[i].tick(ctx)
					case <-ctx.Done():
						return
					}
				}
			}()
		}
		w.sleep(30 * time.Millisecond) // between ticks
		w.connect()
		f(t, w)
	})
}

// carry takes to one store what the other says.
func (w *wire) carry(ctx context.Context, to int) {
	type parcel struct {
		at time.Time
		m  replica.Message
	}
	under := make(chan parcel, 1<<16)
	go func() {
		for p := range under {
			time.Sleep(time.Until(p.at))
			w.mu.Lock()
			w.said[to] = append(w.said[to], saying{time.Since(w.began), fmt.Sprintf("%T of %d bytes", p.m, len(p.m.AppendTo(nil)))})
			w.mu.Unlock()
			if err := w.stores[to].step(ctx, w.links[to], p.m); err != nil && ctx.Err() == nil {
				w.t.Errorf("step: %v", err)
			}
		}
	}()
	defer close(under)
	out := &w.links[1-to].session.out
	for {
		it, ok, _, _ := out.next()
		if !ok {
			select {
			case <-out.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		if w.lost.Load() {
			continue
		}
		m, err := replica.DecodeMessage(it.payload[1:])
		if err != nil {
			w.t.Error(err)
			return
		}
		under <- parcel{time.Now().Add(wireLatency), m}
	}
}

// heard returns how much was said to a store.
func (w *wire) heard(to int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.said[to])
}

func (w *wire) connect() {
	w.t.Helper()
	for i := range w.links {
		if err := w.stores[i].attach(w.t.Context(), w.links[i], nil); err != nil {
			w.t.Fatal(err)
		}
	}
}

// disconnect cuts both ends off, and loses what is on its way.
func (w *wire) disconnect() {
	for i := range w.links {
		w.stores[i].detach(w.links[i])
	}
	w.lost.Store(true)
	w.sleep(20 * time.Millisecond)
	w.lost.Store(false)
}

func (w *wire) sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// lasts reports how long it takes until ok holds.
func (w *wire) lasts(what string, ok func() bool) time.Duration {
	w.t.Helper()
	start := time.Now()
	for synctest.Wait(); !ok(); w.sleep(time.Millisecond) {
		if time.Since(start) > time.Hour {
			w.t.Fatalf("not within an hour: %s", what)
		}
	}
	return time.Since(start)
}

// schedule lets both stores write, lose messages and each other, and rest. Nothing in it happens on a tick.
func (w *wire) schedule() {
	w.sleep(500 * time.Millisecond)
	put(w.t, w.stores[0], "first", 0)
	w.sleep(3 * time.Second)
	for i := range 30 {
		put(w.t, w.stores[i%2], "k", i)
		w.sleep(time.Duration(37+50*(i%7)) * time.Millisecond)
	}
	w.sleep(30 * time.Minute)
	w.lost.Store(true)
	put(w.t, w.stores[1], "lost", 1)
	w.sleep(700 * time.Millisecond)
	put(w.t, w.stores[0], "lost too", 1)
	w.sleep(9 * time.Second)
	w.lost.Store(false)
	w.sleep(20 * time.Minute)
	w.disconnect()
	put(w.t, w.stores[0], "offline", 2)
	w.sleep(10 * time.Minute)
	put(w.t, w.stores[1], "offline too", 2)
	w.sleep(time.Second)
	w.connect()
	w.sleep(2 * time.Hour)
	put(w.t, w.stores[1], "at last", 3)
	w.sleep(10 * time.Minute)
	converged(w.t, w.stores[:]...)
	for _, s := range w.stores {
		if st := s.Status(); st.Outbox != 0 {
			w.t.Errorf("%d ops in the outbox", st.Outbox)
		}
	}
}

// TestTicksWhenDue holds nodes whose tickers go by NextTick to others that tick always: whatever happens, both say the same to each other, at
// the same time. So nothing is late: no acknowledgement, digest, record or retry.
func TestTicksWhenDue(t *testing.T) {
	want, got := said(t, true), said(t, false)
	for to := range want {
		if len(want[to]) < 100 {
			t.Errorf("store %d was only told %d things", to, len(want[to]))
		}
		for i := range max(len(want[to]), len(got[to])) {
			at := func(list []saying) []saying { return list[min(i, len(list)):min(i+3, len(list))] }
			if a, b := at(want[to]), at(got[to]); len(a) == 0 || len(b) == 0 || a[0] != b[0] {
				t.Fatalf("who ticks always says to store %d\n%v\nand who ticks when due\n%v", to, a, b)
			}
		}
	}
}

// said returns what the stores say to each other in a schedule.
func said(t *testing.T, always bool) (said [2][]saying) {
	inWire(t, always, func(t *testing.T, w *wire) {
		w.schedule()
		w.mu.Lock()
		defer w.mu.Unlock()
		said = w.said
		for i := range w.nets {
			if w.awoken(i) {
				t.Errorf("device %d is said to have slept", i)
			}
		}
	})
	return said
}

// awoken reports whether a device has noticed since the last call that it had slept.
func (w *wire) awoken(i int) bool {
	s := w.links[i].session
	select {
	case <-s.poked:
		<-w.nets[i].dialer.wake
		return true
	default:
		return len(w.nets[i].dialer.wake) > 0
	}
}

// A node in whose stores nothing happens only looks at the clock now and then.
func TestQuietNodeDoesNotTick(t *testing.T) {
	inWire(t, false, func(t *testing.T, w *wire) {
		put(t, w.stores[0], "k", 1)
		w.sleep(3 * time.Hour)
		const spell = 2 * time.Hour
		looks := int64(spell / clockInterval)
		comparisons := int64(spell / (10 * time.Minute))
		for i := range w.clocks {
			w.clocks[i].looks.Store(0)
		}
		w.sleep(spell)
		for i := range w.clocks {
			if n := w.clocks[i].looks.Load(); n < looks-1 || n > looks+8*comparisons {
				t.Errorf("device %d looked %d times at its clock in %v of quiet, with %d comparisons of digests", i, n, spell, comparisons)
			}
		}
		w.disconnect()
		w.sleep(time.Hour)
		for i := range w.clocks {
			w.clocks[i].looks.Store(0)
		}
		w.sleep(spell)
		for i := range w.clocks {
			if n := w.clocks[i].looks.Load(); n < looks-1 || n > looks+1 {
				t.Errorf("device %d looked %d times at its clock in %v on its own", i, n, spell)
			}
			if due := w.stores[i].due.Load(); due != never {
				t.Errorf("device %d is due at tick %d, and nothing is to be done", i, due)
			}
		}
	})
}

// A device that wakes up, or whose clock was set forward, looks whether its connections still are, and does what was due meanwhile.
func TestSleepIsNoticed(t *testing.T) {
	inWire(t, false, func(t *testing.T, w *wire) {
		put(t, w.stores[0], "k", 1)
		w.sleep(time.Hour)
		for _, busy := range []bool{false, true} {
			heard := w.heard(1)
			w.clocks[0].off.Add(int64(time.Hour))
			if busy {
				put(t, w.stores[0], "k", 2)
			}
			took := w.lasts("it wakes up", func() bool { return w.awoken(0) })
			if took > clockInterval {
				t.Errorf("noticed after %v", took)
			}
			w.sleep(wireLatency + time.Millisecond)
			if w.heard(1) == heard {
				t.Error("digests were due, and not compared at once")
			}
			if w.awoken(1) {
				t.Error("the other device has not slept")
			}
			w.sleep(time.Hour)
		}
		// A jump that is too short for that makes nothing late.
		heard := w.heard(1)
		w.sleep(5 * time.Minute) // before digests are compared again
		if w.heard(1) != heard {
			t.Fatal("digests were compared")
		}
		for range 60 {
			w.clocks[0].off.Add(int64(wallJump - time.Second))
			w.sleep(clockInterval + time.Millisecond)
		}
		if w.heard(1) == heard {
			t.Error("digests were due, and not compared")
		}
		if w.awoken(0) {
			t.Error("a clock that is a few seconds ahead was taken for sleep")
		}
		// Nor is a disk that hangs sleep, although a tick waits for it.
		put(t, w.stores[0], "k", 3)
		if _, err := w.stores[0].Update(t.Context(), func(*crdt.Tx) error {
			w.sleep(2 * wallJump)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		w.sleep(clockInterval)
		if w.awoken(0) {
			t.Error("a write that took long was taken for sleep")
		}
	})
}

// A clock that is set back, or stands still, makes nothing late.
func TestClockThatDoesNotGoOn(t *testing.T) {
	type figures struct {
		acked, repaired time.Duration
		digests         int
		looks           int64 // at the clock
	}
	measure := func(t *testing.T, spoil func(c *clock)) (f figures) {
		inWire(t, false, func(t *testing.T, w *wire) {
			put(t, w.stores[0], "k", 1)
			w.sleep(20 * time.Minute)
			for i := range w.clocks {
				spoil(&w.clocks[i])
			}
			w.sleep(time.Minute)
			sent := func() bool { return w.stores[0].Status().Outbox == 0 }
			put(t, w.stores[0], "k", 2)
			f.acked = w.lasts("an acknowledgement", sent)
			w.sleep(time.Minute)
			w.lost.Store(true)
			put(t, w.stores[0], "k", 3)
			w.sleep(time.Second)
			w.lost.Store(false)
			for range 300 { // and what comes meanwhile does not hold it up
				if sent() {
					break
				}
				w.sleep(10 * time.Millisecond)
				f.repaired += 10 * time.Millisecond
				if err := w.stores[1].step(t.Context(), w.links[1], &replica.Ack{}); err != nil {
					t.Fatal(err)
				}
			}
			w.clocks[0].looks.Store(0)
			heard := w.heard(0) + w.heard(1)
			w.sleep(time.Hour)
			f.looks = w.clocks[0].looks.Load()
			f.digests = w.heard(0) + w.heard(1) - heard
			if w.awoken(0) || w.awoken(1) {
				t.Error("a device is said to have slept")
			}
		})
		return f
	}
	want := measure(t, func(*clock) {})
	t.Logf("with a clock that goes on: %+v", want)
	for _, c := range []struct {
		name  string
		spoil func(*clock)
	}{
		{"set back", func(c *clock) { c.off.Add(-int64(24 * time.Hour)) }},
		{"stands still", func(c *clock) { c.stands.Store(time.Now().UnixNano()) }},
	} {
		got := measure(t, c.spoil)
		t.Logf("%s: %+v", c.name, got)
		if got.acked > want.acked || got.repaired > want.repaired+tickInterval || got.digests < want.digests-1 || got.digests > want.digests+2 || got.looks > want.looks+want.looks/3 {
			t.Errorf("%s: %+v, and with a clock that goes on %+v", c.name, got, want)
		}
	}
}

// A tick that the end of Run cuts off comes with the next Run.
func TestTickCutOff(t *testing.T) {
	s := newDevice(t, "a").create("s")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.leader <- struct{}{} // somebody writes
	s.due.Store(never)
	s.tick(ctx)
	<-s.leader
	put(t, s, "k", 1)
	if due := s.due.Load(); due > s.node.ticks() {
		t.Errorf("due at tick %d, and it is %d", due, s.node.ticks())
	}
}
