package replica_test

import (
	"bytes"
	"container/heap"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/peer/replica"
)

// network is devices on virtual time, with a network between them that does its worst. Everything random in it comes
// from one seed: the same seed and the same calls give the same run.
type network struct {
	rng     *rand.Rand
	now     int64
	devices []*device
	byID    map[causal.Device]int
	queue   parcelHeap
	sent    int

	linked map[[2]int]bool // a stream is open between the two, a < b
	silent map[[2]int]bool // and carries nothing, unnoticed

	// Faults of the network, in percent.
	drop, double, late int

	acknowledged []causal.Dot // changes whose author was told that they are safe
	arrived      map[[2]int]int
	faults       map[string]int
	messages     map[string]int // delivered, by type
	bytes        int

	forked  int               // logs are forked, by devices that are not honest
	liar    *device           // the last of the devices, if not nil
	dueOnly bool              // replicas tick only when NextTick says so
	heard   func(said string) // if not nil, is told of what is sent
}

// travelling is a message on its way.
type travelling struct {
	at       int64
	sent     int
	from, to int
	gossip   bool
	message  []byte
}

type parcelHeap []travelling

func (h parcelHeap) Len() int { return len(h) }
func (h parcelHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].sent < h[j].sent
}
func (h parcelHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *parcelHeap) Push(x any)   { *h = append(*h, x.(travelling)) }
func (h *parcelHeap) Pop() any {
	x := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return x
}

const latency = 20 // ms, one way, when nothing is wrong

func newNetwork(seed uint64, n int, gossip bool, limits replica.Limits) (*network, error) {
	w := &network{rng: rand.New(rand.NewPCG(seed, 1)), now: 1_700_000_000_000, byID: map[causal.Device]int{},
		linked: map[[2]int]bool{}, silent: map[[2]int]bool{}, arrived: map[[2]int]int{}, faults: map[string]int{}, messages: map[string]int{}}
	for i := range n {
		d := newDevice(string(rune('a'+i)), limits)
		d.announce = gossip
		if err := d.start(); err != nil {
			return nil, err
		}
		w.byID[d.id] = i
		w.devices = append(w.devices, d)
	}
	return w, nil
}

func pair(a, b int) [2]int { return [2]int{min(a, b), max(a, b)} }

// link opens a stream, or a new one in place of the old. A device that is down is not reached.
func (w *network) link(a, b int) error {
	if a == b || w.devices[a].r == nil || w.devices[b].r == nil {
		return nil
	}
	if w.linked[pair(a, b)] {
		w.unlink(a, b)
	}
	w.linked[pair(a, b)] = true
	delete(w.silent, pair(a, b))
	for _, ends := range [][2]*device{{w.devices[a], w.devices[b]}, {w.devices[b], w.devices[a]}} {
		ends[0].r.Connect(ends[1].id, w.now)
		ends[0].r.SetSubscribed(ends[1].id, ends[1].announce)
	}
	return errors.Join(w.drive(a), w.drive(b))
}

// unlink closes a stream. Some of what was on its way arrives all the same, later, if there is a new one by then: no
// transport does that, but nothing may depend on it.
func (w *network) unlink(a, b int) {
	if !w.linked[pair(a, b)] {
		return
	}
	delete(w.linked, pair(a, b))
	delete(w.silent, pair(a, b))
	for _, x := range [][2]int{{a, b}, {b, a}} {
		if d := w.devices[x[0]]; d.r != nil {
			d.r.Disconnect(w.devices[x[1]].id)
		}
	}
	w.queue = slices.DeleteFunc(w.queue, func(p travelling) bool {
		return !p.gossip && pair(p.from, p.to) == pair(a, b) && w.rng.IntN(2) == 0
	})
	heap.Init(&w.queue)
}

// drive lets a device do its work and puts what it sends on its way.
func (w *network) drive(i int) error {
	d := w.devices[i]
	return d.drive(func(to causal.Device, gossip bool, message []byte) {
		if !gossip {
			w.send(i, w.byID[to], false, message)
			return
		}
		for j := range w.devices {
			if j != i {
				w.send(i, j, true, message)
			}
		}
	})
}

func (w *network) send(from, to int, gossip bool, message []byte) {
	if w.heard != nil {
		w.heard(fmt.Sprintf("%d: %d to %d, gossip %v: %x", w.now, from, to, gossip, message))
	}
	if w.silent[pair(from, to)] || gossip && !w.linked[pair(from, to)] && w.rng.IntN(3) == 0 {
		w.faults["swallowed"]++
		return
	}
	if w.rng.IntN(100) < w.drop {
		w.faults["dropped"]++
		return
	}
	copies := 1
	if w.rng.IntN(100) < w.double {
		w.faults["doubled"]++
		copies = 2
	}
	for range copies {
		at := w.now + latency
		if w.rng.IntN(100) < w.late {
			w.faults["late"]++
			at += int64(w.rng.IntN(4000))
		}
		w.sent++
		heap.Push(&w.queue, travelling{at: at, sent: w.sent, from: from, to: to, gossip: gossip, message: message})
	}
}

// advance lets time pass: what is due arrives, and every 100 ms everyone ticks.
func (w *network) advance(ms int64) error {
	end := w.now + ms
	for w.now < end {
		next := min(end, (w.now/100+1)*100)
		for len(w.queue) > 0 && w.queue[0].at <= next {
			p := heap.Pop(&w.queue).(travelling)
			w.now = max(w.now, p.at)
			if err := w.arrive(p); err != nil {
				return err
			}
		}
		w.now = next
		if w.now%100 != 0 {
			continue
		}
		for i, d := range w.devices {
			if d.r == nil {
				continue
			}
			if !w.dueOnly {
				d.r.TickAll()
			}
			if w.dueOnly && (d.r.NextTick() < 0 || d.r.Wall()+d.r.NextTick() > w.now) {
				w.faults["tick left out"]++
				continue
			}
			d.r.Tick(w.now)
			if err := w.drive(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// arrive hands over a message. Honest devices never refuse each other's.
func (w *network) arrive(p travelling) error {
	d := w.devices[p.to]
	if d.r == nil {
		w.faults["lost at a device that was down"]++
		return nil
	}
	way := [2]int{p.from, p.to}
	if p.sent < w.arrived[way] {
		w.faults["overtaken"]++
	}
	w.arrived[way] = max(w.arrived[way], p.sent)
	pending := d.r.Status(0).PendingBatches
	m, err := replica.DecodeMessage(p.message)
	if err != nil {
		return fmt.Errorf("%s sent what is no message: %w", w.devices[p.from].name, err)
	}
	if again := m.AppendTo(nil); !bytes.Equal(again, p.message) {
		return fmt.Errorf("%s is not encoded canonically", m)
	}
	w.messages[strings.TrimPrefix(fmt.Sprintf("%T", m), "*replica.")]++
	w.bytes += len(p.message)
	err = d.step(w.devices[p.from].id, p.gossip, p.message, w.now)
	if err != nil && !errors.Is(err, replica.ErrNotConnected) && d != w.liar && w.devices[p.from] != w.liar {
		return fmt.Errorf("%s to %s: %s: %w", w.devices[p.from].name, d.name, m, err)
	}
	if d.r.Status(0).PendingBatches > pending {
		w.faults["gap"]++
	}
	return w.drive(p.to)
}

// commit writes on a device, and is told that it is safe when drive returns.
func (w *network) commit(i int, fn func(*crdt.Tx) error) error {
	d := w.devices[i]
	if d.r == nil {
		return nil
	}
	dot, err := d.r.Commit(w.now, fn)
	if err != nil || dot.IsZero() {
		return w.wrote(d, err)
	}
	if err := w.drive(i); err != nil {
		return err
	}
	return w.wrote(d, nil, dot)
}

// commitAt writes on a device at the version of one of its past changes.
func (w *network) commitAt(i int, fn func(*crdt.Tx) error) error {
	d := w.devices[i]
	if d.r == nil || d.r.Chains().Graph().Len() == 0 {
		return nil
	}
	g := d.r.Chains().Graph()
	lv := causal.LV(w.rng.IntN(int(g.Len())))
	end := d.r.Chains().ChangeAt(lv).Dot
	if first, _ := g.LV(end); d.r.Chains().ChangeAt(first).Dot != end {
		return nil // by its name it is an op of another branch, inside a change
	}
	actor := d.newActor()
	dot, err := d.r.CommitAt(w.now, causal.Version{end}, actor, fn)
	if err != nil || dot.IsZero() {
		return w.wrote(d, err)
	}
	if dot.Actor == actor {
		w.faults["new actor"]++
	}
	if err := w.drive(i); err != nil {
		return err
	}
	return w.wrote(d, nil, dot)
}

// wrote notes that the author of changes was told that they are safe, or of an error. A liar's own changes may be lost, and it may find its
// log forked.
func (w *network) wrote(d *device, err error, dots ...causal.Dot) error {
	if d == w.liar {
		if errors.Is(err, crdt.ErrForked) {
			return nil
		}
		return err
	}
	for _, dot := range dots {
		if !dot.IsZero() {
			w.acknowledged = append(w.acknowledged, dot)
		}
	}
	return err
}

// together writes on a device, takes in what is next on its way to it, and writes again, all of which shares one
// Ready, as writes that come at once do.
func (w *network) together(i int, before, after func(*crdt.Tx) error) error {
	d := w.devices[i]
	if d.r == nil {
		return nil
	}
	first, err := d.r.Commit(w.now, before)
	if err != nil {
		return w.wrote(d, err)
	}
	n := slices.IndexFunc(w.queue, func(p travelling) bool { return p.to == i })
	if n >= 0 {
		p := w.queue[n]
		heap.Remove(&w.queue, n)
		if err := d.step(w.devices[p.from].id, p.gossip, p.message, w.now); err != nil && !errors.Is(err, replica.ErrNotConnected) {
			return err
		}
	}
	last, err := d.r.Commit(w.now, after)
	if err != nil {
		if err = w.wrote(d, err); err != nil {
			return err
		}
	}
	if n >= 0 && !first.IsZero() && !last.IsZero() {
		w.faults["a message between two writes"]++
	}
	if err := w.drive(i); err != nil {
		return err
	}
	return w.wrote(d, nil, first, last)
}

// crash stops a device in the middle of a commit and perhaps of taking in what others sent, before or after
// its blocks were made durable.
func (w *network) crash(i int, fsync bool, fn func(*crdt.Tx) error) error {
	d := w.devices[i]
	if d.r == nil {
		return nil
	}
	if _, err := d.r.Commit(w.now, fn); w.wrote(d, err) != nil {
		return err
	}
	for n := range w.queue { // something that arrives just now, durable with the same fsync
		if p := w.queue[n]; p.to == i {
			if err := d.step(w.devices[p.from].id, p.gossip, p.message, w.now); err != nil && !errors.Is(err, replica.ErrNotConnected) {
				return err
			}
			break
		}
	}
	if rd := d.r.Ready(); fsync {
		if err := d.write(rd); err != nil {
			return err
		}
		w.faults["crash after fsync"]++
	} else if len(rd.Blocks) > 0 {
		w.faults["crash before fsync"]++
	}
	d.crash()
	for j := range w.devices {
		w.unlink(i, j)
	}
	return nil
}

// restart brings a device back, perhaps without what it remembered of others.
func (w *network) restart(i int) error {
	d := w.devices[i]
	if d.r != nil {
		return nil
	}
	if w.rng.IntN(3) == 0 {
		w.faults["forgot its peers"]++
		clear(d.peers)
		clear(d.records)
	}
	return d.start()
}

// check asserts what must hold at any moment.
func (w *network) check(limits replica.Limits) error {
	for i, d := range w.honest() {
		if d.r == nil {
			continue
		}
		s := d.r.Status(0)
		s.Forks = slices.DeleteFunc(s.Forks, func(f replica.Fork) bool { return w.liar != nil && f.Actor.Device == w.liar.id })
		if len(s.Forks) > w.forked || s.RefusedPending > 0 {
			return fmt.Errorf("%s sees forks %v, refused %d batches", d.name, s.Forks, s.RefusedPending)
		}
		if limits.PendingBatches > 0 && s.PendingBatches > limits.PendingBatches {
			return fmt.Errorf("%s keeps %d batches pending", d.name, s.PendingBatches)
		}
		for _, p := range s.Peers {
			if limits.Window > 0 && p.Unacked > limits.Window+2*crdt.TargetBatchBytes {
				return fmt.Errorf("%s has %d bytes on their way to %s", d.name, p.Unacked, p.Device)
			}
		}
		if d.log.Len() != d.r.Chains().Graph().Len() {
			return fmt.Errorf("%s holds %d ops, its disk %d", d.name, d.r.Chains().Graph().Len(), d.log.Len())
		}
		for _, e := range w.devices[:i] {
			if e.r == nil || e.r.Digest() != d.r.Digest() {
				continue
			}
			if a, b := e.r.State().JSON(), d.r.State().JSON(); a != b || e.r.State().Digest() != d.r.State().Digest() {
				return fmt.Errorf("%s and %s hold the same changes and show\n%s\n%s", e.name, d.name, a, b)
			}
		}
		if err := causalOrder(d); err != nil {
			return err
		}
	}
	return nil
}

// causalOrder asserts that a device's watchers saw each change once, after all it builds on.
func causalOrder(d *device) error {
	var seen causal.VersionVector
	times := make(map[causal.Dot]int)
	for _, ev := range d.events {
		for _, c := range ev.Changes {
			first := c.Dot.Seq - causal.Seq(c.Len) + 1
			if lv, ok := d.r.Chains().Graph().LV(causal.Dot{Actor: c.Dot.Actor, Seq: first}); !ok {
				return fmt.Errorf("%s showed %s and does not hold it", d.name, c.Dot)
			} else {
				for _, p := range d.r.Chains().Graph().Parents(lv) {
					dep := d.r.Chains().Graph().Dot(p)
					if dep.Actor != c.Dot.Actor && !seen.Contains(dep) && len(d.events) > 0 && d.showsFromStart() {
						return fmt.Errorf("%s showed %s before %s", d.name, c.Dot, dep)
					}
				}
			}
			if times[c.Dot]++; times[c.Dot] > len(d.r.Chains().Graph().All(c.Dot)) {
				return fmt.Errorf("%s showed %s twice", d.name, c.Dot)
			}
			seen = seen.With(c.Dot)
		}
	}
	return nil
}

// showsFromStart reports whether d's events go back to the empty store: it never restarted.
func (d *device) showsFromStart() bool { return len(d.events) == d.r.Chains().Len() }

// heal makes everything well and everyone connected in a ring.
func (w *network) heal() error {
	w.drop, w.double, w.late = 0, 0, 0
	clear(w.silent)
	for i := range w.devices {
		if err := w.restart(i); err != nil {
			return err
		}
	}
	for i := range w.devices {
		if j := (i + 1) % len(w.devices); !w.linked[pair(i, j)] {
			if err := w.link(i, j); err != nil {
				return err
			}
		}
	}
	return nil
}

// honest returns the devices less the liar.
func (w *network) honest() []*device {
	if w.liar != nil {
		return w.devices[:len(w.devices)-1]
	}
	return w.devices
}

// goBack puts an earlier disk of the liar in place of the one it has.
func (w *network) goBack(earlier *device) error {
	i := len(w.devices) - 1
	for j := range w.devices {
		w.unlink(i, j)
	}
	w.devices[i].crash()
	w.devices[i], w.liar = earlier, earlier
	w.faults["a liar went back"]++
	return earlier.start()
}

// converged returns what is still amiss.
func (w *network) converged() error {
	first := w.devices[0]
	for _, d := range w.honest()[1:] {
		if d.r.Digest() != first.r.Digest() {
			return fmt.Errorf("%s holds %v, %s %v", first.name, first.r.Chains().Graph().VersionVector(), d.name, d.r.Chains().Graph().VersionVector())
		}
	}
	return nil
}

// settled asserts what must hold once all have converged.
func (w *network) settled() error {
	for _, d := range w.honest() {
		for _, dot := range w.acknowledged {
			if _, ok := d.r.Chains().Graph().LV(dot); !ok {
				return fmt.Errorf("%s was acknowledged to its author, and %s does not have it", dot, d.name)
			}
		}
		// What a liar wrote and then lost may never come.
		for _, t := range d.r.Status(0).PendingFor {
			if w.liar == nil || t.Actor.Device != w.liar.id {
				return fmt.Errorf("%s still waits for %v", d.name, t)
			}
		}
	}
	first := w.devices[0]
	if first.r.Chains().Len() > oracleChanges {
		return nil
	}
	w.faults["compared with the oracle"]++
	if first.r.Chains().Graph().Forked() {
		w.faults["compared with the oracle, forked"]++
	}
	return sameAsOracle(first)
}

// oracleChanges is up to how many changes the oracle is asked.
const oracleChanges = 60
