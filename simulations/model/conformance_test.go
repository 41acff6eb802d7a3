package model

import (
	"crypto/ed25519"
	"crypto/sha256"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/peer/replica"
)

var (
	walks = flag.Int("model.walks", 300, "random walks of real replicas that the model follows")
	walk  = flag.Uint64("model.walk", 0, "follow this walk alone, as a failure prints it")
)

// TestConformance lets real replicas do at random what the model knows (commit, connect, break, crash before and after fsync, take in,
// lose, double, overtake, tick, lose a disk), and has the model follow: after each step both must hold the same, durable or
// not, and wait for the same; and every message a replica sends must be one that the model may send then, with the same
// content, and every one that the model must send must have come.
func TestConformance(t *testing.T) {
	first, n := uint64(1), *walks
	if *walk != 0 {
		first, n = *walk, 1
	}
	if raced {
		n = min(n, 30)
	}
	done := map[string]int{}
	for seed := first; seed < first+uint64(n); seed++ {
		w := newWalk(t, seed, "")
		if err := w.run(); err != nil {
			t.Fatalf("%v\nreplay: go test -run Conformance -model.walk %d ./simulations/model", err, seed)
		}
		for k, c := range w.done {
			done[k] += c
		}
	}
	t.Logf("%v", done)
	if n < 100 {
		return
	}
	for _, what := range []string{"commit", "connect", "cut", "crash before fsync", "crash after fsync", "take", "drop", "double", "overtake", "tick", "wipe",
		"waits", "two inputs in one Ready", "Have", "Have, asking", "Changes", "Ack", "Digest", "Digest, asking", "a summary asked for in full"} {
		if done[what] == 0 {
			t.Errorf("no walk had %q: of %v", what, slices.Sorted(maps.Keys(done)))
		}
	}
}

// TestConformanceFails sees that a model that is not that of the code is noticed.
func TestConformanceFails(t *testing.T) {
	for _, mutation := range []Mutation{SkipOnResume, DigestIgnoresTip, LosePendingRetry, TrustThePast, ReissueAfterWipe} {
		var err error
		seed := uint64(0)
		for seed < 1000 && err == nil {
			seed++
			err = newWalk(t, seed, mutation).run()
		}
		if err == nil {
			t.Errorf("a model with %q goes with the code in %d walks", mutation, seed)
			continue
		}
		t.Logf("%s: walk %d: %v", mutation, seed, err)
	}
}

// realDevice is a replica, its disk and the driver around it.
type realDevice struct {
	key   ed25519.PrivateKey
	id    causal.Device
	actor causal.Actor
	log   *replica.MemoryLog
	r     *replica.Replica
}

// sent is a message under way, as the replica made it and as the model sees it.
type sent struct {
	real  replica.Message
	model message
}

// following is real replicas and the model that follows them. Its queues take the place of the model's.
type following struct {
	m       *Model
	s       State
	rng     *rand.Rand
	now     int64
	devices []*realDevice
	dots    [MaxChanges]causal.Dot
	queue   [maxEnds][]sent
	gap     [maxEnds]bool   // the peer named something that is not held; the next tick may ask for it
	took    [maxEnds][]kind // since the device sent anything
	told    [maxEnds]Set    // 1 + the last summary that was told the peer; 0 if none is remembered
	early   []outgoing      // sent already, for finish to look at
	done    map[string]int
}

var modelStore = crdt.StoreID(sha256.Sum256([]byte("model")))

func newWalk(t *testing.T, seed uint64, mutation Mutation) *following {
	rng := rand.New(rand.NewPCG(seed, 7))
	quota := [][]int{{2, 2}, {4, 0}, {2, 1, 1}, {1, 1, 2}, {3, 1, 0}}[rng.IntN(5)]
	m, err := New(Bounds{Quota: quota, Impatient: true, Wipe: true}, mutation)
	if err != nil {
		t.Fatal(err)
	}
	w := &following{m: m, rng: rng, now: 1_700_000_000_000, done: map[string]int{}}
	for i := range quota {
		seed := sha256.Sum256([]byte{byte(i)})
		d := &realDevice{key: ed25519.NewKeyFromSeed(seed[:]), log: &replica.MemoryLog{}}
		copy(d.id[:], d.key.Public().(ed25519.PublicKey))
		d.actor = causal.Actor{Device: d.id}
		if err := d.start(); err != nil {
			t.Fatal(err)
		}
		w.devices = append(w.devices, d)
	}
	return w
}

// start opens the replica from its disk. Timers are short, so that each of them runs out between any two steps, but for the comparison of
// states, which changes nothing and the model does not have.
func (d *realDevice) start() error {
	r, err := replica.New(replica.Config{Store: modelStore, Device: d.id, Actor: d.actor, Log: d.log,
		Limits: replica.Limits{PendingBatches: maxWaiting, RetryInterval: 1, MaxRetryInterval: 1, StateInterval: 1 << 40},
		Sign:   func(msg []byte) []byte { return ed25519.Sign(d.key, msg) }})
	if err != nil {
		return err
	}
	for _, b := range d.log.Blocks() {
		if err := r.Restore(b.Batch); err != nil {
			return err
		}
	}
	d.r = r
	return nil
}

// run takes some steps.
func (w *following) run() error {
	for range 120 {
		if err := w.step(); err != nil {
			return err
		}
	}
	return nil
}

// step does one thing at random, in both.
func (w *following) step() error {
	w.now += 300 // a Have may follow another
	m, s := w.m, &w.s
	d := w.rng.IntN(len(w.devices))
	i := w.rng.IntN(m.ends())
	l := i / 2
	choice := w.rng.IntN(100)
	var err error
	switch {
	case choice < 12:
		if m.nextOwn(s, d) < 0 {
			return nil
		}
		if err = w.commit(d); err != nil {
			return err
		}
		err = w.finish(d, true)
	case choice < 25:
		if s.ends[2*l].open && s.ends[2*l+1].open {
			return nil
		}
		err = w.connect(l)
	case choice < 28:
		if !s.ends[i].open {
			return nil
		}
		w.done["cut"]++
		w.close(i)
	case choice < 31:
		w.done["crash"]++
		err = w.crash(d)
	case choice < 32:
		if s.wiped != 0 || s.durable[d] == 0 {
			return nil
		}
		err = w.wipe(d)
	case choice < 80:
		err = w.receive(i)
	default:
		err = w.tick(d)
	}
	if err != nil {
		return err
	}
	return w.compare()
}

// commit commits on device d.
func (w *following) commit(d int) error {
	w.done["commit"]++
	c := w.m.nextOwn(&w.s, d)
	if wrong := w.m.commit(&w.s, d); wrong != "" {
		return fmt.Errorf("the model: %s", wrong)
	}
	dot, err := w.devices[d].r.Commit(w.now, func(tx *crdt.Tx) error {
		tx.Counter("n").Add(1)
		return nil
	})
	w.dots[c] = dot
	return err
}

// receive lets end i take in what is on its way to it, or something happen to that.
func (w *following) receive(i int) error {
	q := &w.queue[i^1]
	if !w.s.ends[i].open || len(*q) == 0 {
		return nil
	}
	at, keep := 0, false
	switch w.rng.IntN(12) {
	case 0:
		w.done["drop"]++
		*q = slices.Delete(*q, 0, 1)
		return nil
	case 1:
		w.done["double"]++
		keep = true
	case 2:
		if len(*q) > 1 {
			w.done["overtake"]++
			at = 1
		}
	}
	x := (*q)[at]
	if !keep {
		*q = slices.Delete(*q, at, at+1)
	}
	if err := w.take(i, x); err != nil {
		return err
	}
	d := w.m.device(i)
	if w.rng.IntN(4) == 0 && w.m.nextOwn(&w.s, d) >= 0 && x.model.kind == changes {
		w.done["two inputs in one Ready"]++
		if err := w.commit(d); err != nil {
			return err
		}
	}
	return w.finish(d, false)
}

// connect opens a stream.
func (w *following) connect(l int) error {
	w.done["connect"]++
	for i := 2 * l; i < 2*l+2; i++ {
		w.queue[i], w.gap[i] = nil, false
	}
	w.m.connect(&w.s, l)
	for i := 2 * l; i < 2*l+2; i++ {
		w.s.queue[i] = queue{} // the queues are here
		d := w.m.device(i)
		w.devices[d].r.Connect(w.devices[w.m.device(i^1)].id, w.now)
		out, err := w.drive(d)
		if err != nil {
			return err
		}
		w.s.ends[i].due = dueHave
		if err := w.send(d, out, false, false); err != nil {
			return err
		}
	}
	return nil
}

// close closes an end, and drops what the model does not keep under way to the other.
func (w *following) close(i int) {
	w.devices[w.m.device(i)].r.Disconnect(w.devices[w.m.device(i^1)].id)
	w.closed(i)
	w.m.close(&w.s, i)
}

func (w *following) closed(i int) {
	w.queue[i^1], w.gap[i], w.gap[i^1] = nil, false, false
	if !w.s.ends[i^1].open {
		w.queue[i] = nil
	}
	w.queue[i] = slices.DeleteFunc(w.queue[i], func(x sent) bool { return x.model.kind != changes })
}

// crash stops device d and starts it from its disk.
func (w *following) crash(d int) error {
	for i := range w.m.ends() {
		if w.m.device(i) == d {
			w.told[i] = 0
			if w.s.ends[i].open {
				w.closed(i)
			}
		}
	}
	w.forget(d)
	w.m.crash(&w.s, d)
	return w.devices[d].start()
}

// forget forgets what was going on at device d.
func (w *following) forget(d int) {
	for i := range w.m.ends() {
		if w.m.device(i) == d {
			w.took[i] = nil
		}
	}
	w.early = nil
}

// wipe is crash, and the disk is lost: the device goes on as a new actor.
func (w *following) wipe(d int) error {
	w.done["wipe"]++
	dev := w.devices[d]
	dev.log = &replica.MemoryLog{}
	dev.actor.Nonce[0]++
	if err := w.crash(d); err != nil {
		return err
	}
	w.m.wipe(&w.s, d)
	return nil
}
