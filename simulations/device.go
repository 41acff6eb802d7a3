package simulations

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/internal/planted"
	"github.com/atollsync/atoll/peer/replica"
)

// ErrDown is returned by Update for a device that does not run.
var ErrDown = errors.New("simulations: the device is down")

// Device is one device of a simulation: a replica with a disk, a clock and links to others. It drives the replica as a node does: what a
// Ready holds is made durable, and only then shown, acknowledged and sent.
type Device struct {
	sim    *Sim
	number int
	name   string
	group  *Group
	id     causal.Device
	sign   func([]byte) []byte
	rng    *rand.Rand
	links  []*link
	clock  Clock
	jumped time.Duration // how far the clock was set since

	disk   *disk
	backup *disk
	liar   *liar

	// While it runs:
	r       *replica.Replica // nil: it does not
	life    int              // counts starts
	rd      replica.Ready    // being made durable
	syncing bool
	inbox   []input // what came meanwhile
	wake    time.Duration
	woken   bool          // a tick is in the queue for wake
	busy    time.Duration // until when a slow device works on what it took in
	shown   causal.LV     // how far watchers were shown the log
	waiting []waiting     // own ops whose changes are not durable yet
	// readOnly: a write failed, and nothing is written any more until the device starts again.
	readOnly bool
	crashOn  fault  // crash at the next write of this kind, or 0
	struck   func() // and how

	suspect bool // its log was cloned or restored, so what it said once may be true no more
	cloned  bool // there is another with the same key

	joined, left bool
	offline      int  // how many things keep it off the network
	connected    int  // streams that are up
	gossiping    bool // it is subscribed to the store's topic
	actors       int  // that it knew of when that was decided

	refusals   map[*Device]int
	received   int
	sent       int
	authored   int
	applied    int
	pending    int // bytes of what waits for what it builds on
	maxPending int
	crashes    int
	lag        time.Duration
	acked      []acked
	ownActors  []causal.Actor
}

// acked is a change whose author was told that it is safe.
type acked struct {
	dot  causal.Dot
	hash crdt.Hash
	at   time.Duration
}

// waiting is an op whose change is not durable yet.
type waiting struct {
	dot  causal.Dot
	done func(error)
}

// input is something that happens to a device: one of them.
type input struct {
	parcel     *parcel
	connect    *Device
	disconnect *Device
	subscribed *Device // it was told whether that device is subscribed
	op         func(*crdt.Tx) error
	done       func(error) // of op
}

// Name returns the device's name.
func (d *Device) Name() string { return d.name }

// running reports whether the device runs.
func (d *Device) running() bool { return d.r != nil }

// honest reports whether the device is no liar.
func (d *Device) honest() bool { return d.liar == nil }

// counts reports whether the device is one of those that must converge: honest and not gone for good.
func (d *Device) counts() bool { return d.honest() && d.joined && !d.left }

// now returns what the device's clock shows, in unix ms.
func (d *Device) now() int64 {
	at := d.sim.now + d.clock.Skew + d.jumped + time.Duration(float64(d.sim.now)/1e6*float64(d.clock.Drift))
	return max(1, d.sim.start+at.Milliseconds())
}

// renew mints the actor that the replica goes on as because somebody holds more of its log than it does, or another one.
func (d *Device) renew() causal.Actor {
	d.sim.faults.saw(faultRenewed)
	return d.newActor()
}

// newActor mints an actor that no device of the simulation had before.
func (d *Device) newActor() causal.Actor {
	a := causal.Actor{Device: d.id}
	d.sim.actors++
	n := d.sim.actors
	for i := range a.Nonce {
		a.Nonce[i] = byte(n >> (8 * (len(a.Nonce) - 1 - i)))
	}
	d.ownActors = append(d.ownActors, a)
	return a
}

// boot opens the replica from the disk.
func (d *Device) boot() {
	s := d.sim
	if d.disk == nil {
		d.disk = newDisk(d.newActor(), &s.common)
	}
	if d.disk.torn {
		// Half a block is behind the log's end. It was not synced, so nothing of it left; but that is not known here for sure.
		d.disk.torn = false
		d.disk.actor = d.newActor()
	}
	if !d.open() {
		return
	}
	d.life++
	d.inbox, d.syncing, d.connected = nil, false, 0
	d.woken, d.gossiping, d.actors = false, false, -1
	s.trace.note(s.now, markStart, d.number, int(d.disk.len()), d.life, func() string { return fmt.Sprintf("%s starts with %d ops", d.name, d.disk.len()) })
	d.tickAt(s.now)
	d.eager()
	for _, l := range d.links {
		if l.up { // the other end has not noticed that this one was away
			s.disconnect(l)
		}
		s.relink(l)
	}
}

// open makes the replica from what is on the disk, and reports whether that could be done.
func (d *Device) open() bool {
	s := d.sim
	renew := d.renew
	if d.readOnly || planted.Is(planted.ReissuedDot) {
		renew = nil
	}
	r, err := replica.New(replica.Config{Store: s.store, Device: d.id, Actor: d.disk.actor, NewActor: renew, Sign: d.sign, Verify: s.signer.verify,
		Log: d.disk, Limits: s.limits, Decode: s.common.decode, Brief: s.signer.standIn && d.number > 0})
	if err == nil {
		for i := range d.disk.blocks {
			if err = r.Restore(d.disk.batch(i)); err != nil {
				break
			}
		}
	}
	if err == nil && d.disk.self != nil {
		err = r.RestoreSelf(d.disk.self)
	}
	for _, id := range sortedDevices(d.disk.peers) {
		if err == nil {
			err = r.RestorePeer(id, d.disk.peers[id])
		}
	}
	for _, id := range sortedDevices(d.disk.records) {
		if err == nil {
			err = r.RestoreRecord(d.disk.records[id])
		}
	}
	if err != nil {
		s.fail(checkRestart, d, fmt.Sprintf("the disk cannot be opened: %v", err))
		return false
	}
	d.r, d.shown = r, d.disk.len()
	return true
}

// rewritten goes on after the end of the log was replaced: what the device wrote and told nobody has other names now.
func (d *Device) rewritten(rw *replica.Rewrite) {
	s := d.sim
	s.faults.saw(faultRewritten)
	s.trace.note(s.now, markRewritten, d.number, int(rw.From), len(rw.Moved), func() string {
		return fmt.Sprintf("%s writes anew what it had told nobody, from %d on", d.name, rw.From)
	})
	if !d.open() {
		d.r = nil
		return
	}
	d.reconnect()
	for _, m := range rw.Moved {
		for i := range d.acked {
			a := &d.acked[i]
			if to, moved := m.Of(a.dot); moved {
				a.dot = to
				a.hash, _ = d.r.Chains().HashAt(to)
			}
		}
		for i := range d.waiting {
			d.waiting[i].dot, _ = m.Of(d.waiting[i].dot)
		}
	}
	d.acknowledge()
}

// reconnect connects a replica that was made anew to those that the device is connected to.
func (d *Device) reconnect() {
	d.r.SetGossip(d.gossiping)
	for _, l := range d.links {
		if l.up {
			d.greet(l.peer(d))
		}
	}
}

// breakDown is what a write that fails does, as in a node: memory is made anew from what is durable, which is still read, and sent to peers. Nothing
// is written any more until somebody makes room and starts the device again.
func (d *Device) breakDown() {
	s := d.sim
	s.faults.saw(faultDiskFull)
	s.begin("disk full", d, "")
	s.trace.note(s.now, markReadOnly, d.number, int(d.disk.len()), 0, func() string { return d.name + " cannot write: its disk is full" })
	for _, w := range d.waiting {
		w.done(errDiskFull)
	}
	d.waiting, d.rd, d.readOnly = d.waiting[:0], replica.Ready{}, true
	if !d.open() {
		d.r = nil
		return
	}
	d.reconnect()
}

// makeRoom starts a device again that could not write.
func (d *Device) makeRoom() {
	if d.readOnly && d.r != nil {
		d.halt("there is room on its disk again")
		d.sim.revive(d)
	}
}

// acknowledge tells those who wait for a write that it is durable.
func (d *Device) acknowledge() {
	s := d.sim
	for _, w := range d.waiting {
		hash, _ := d.r.Chains().HashAt(w.dot)
		d.acked = append(d.acked, acked{w.dot, hash, s.now})
		d.authored++
		s.changes++
		w.done(nil)
	}
	d.waiting = d.waiting[:0]
}

// halt stops the device at once. What was not synced is lost.
func (d *Device) halt(why string) {
	s := d.sim
	if d.r == nil {
		return
	}
	if len(d.rd.Blocks) > 0 && d.syncing {
		s.faults.saw(faultLostWrite)
	}
	for _, w := range d.waiting {
		w.done(ErrDown)
	}
	for _, in := range d.inbox {
		if in.done != nil {
			in.done(ErrDown)
		}
	}
	if d.readOnly {
		s.end("disk full", d)
	}
	d.r, d.rd, d.waiting, d.inbox, d.syncing, d.readOnly = nil, replica.Ready{}, nil, nil, false, false
	d.life++
	s.trace.note(s.now, markStop, d.number, d.life, 0, func() string { return d.name + " stops: " + why })
	for _, l := range d.links {
		s.relink(l)
	}
}

// blame counts what the replica blames peers for that no message shows.
func (d *Device) blame(blamed []*replica.RefusedError) {
	for _, err := range blamed {
		d.sim.faults.saw(faultBlamed)
		if l := d.sim.byID(d, err.Peer); l != nil {
			d.accuse(l.peer(d), l, err)
		}
	}
}

// accuse counts an offence of a peer, and cuts it off after too many.
func (d *Device) accuse(peer *Device, l *link, err *replica.RefusedError) {
	s := d.sim
	if peer.honest() {
		s.fail(checkHonest, d, fmt.Sprintf("refused what honest %s sent: %v", peer.name, err))
	}
	if peer.liar != nil {
		peer.liar.noticed(err.Reason, s)
	}
	if d.refusals == nil {
		d.refusals = make(map[*Device]int)
	}
	d.refusals[peer]++
	if d.refusals[peer]%maxRefusals == 0 && l.up {
		s.disconnect(l)
		s.after(time.Minute, func() { s.relink(l) })
	}
}

// maxRefusals is how many messages of a peer are refused before it is cut off for a while.
const maxRefusals = 20

// work does what the replica wants done, up to a write that takes time.
func (d *Device) work() {
	s := d.sim
	for rounds := 0; d.r != nil && !d.syncing && d.r.HasReady(); rounds++ {
		if rounds == 10_000 {
			s.fail(checkHonest, d, "there is always more to do")
			return
		}
		d.rd = d.r.Ready()
		if planted.Is(planted.SendBeforeSync) {
			d.sendAll()
		}
		if len(d.rd.Blocks) == 0 && d.rd.Rewrite == nil && d.rd.Self == nil && d.rd.Actor.IsZero() {
			d.finish()
			continue
		}
		d.syncing = true
		fsync := d.group.Disk.Fsync
		if fsync == 0 {
			fsync = 2 * time.Millisecond
		}
		if d.crashOn != 0 && d.strikes() {
			at := d.crashOn
			d.crashOn = 0
			life := d.life
			s.after(fsync/2, func() {
				if d.life == life {
					s.faults.saw(at)
					d.struck()
				}
			})
		}
		s.queue.push(happening{at: s.now + fsync, device: d, what: synced, life: d.life})
		if planted.Is(planted.AckBeforeSync) {
			d.sendAcks()
		}
	}
	if d.r != nil && !d.syncing {
		d.tickWhenDue()
	}
}

// finish is when what was to be written is durable.
func (d *Device) finish() {
	s := d.sim
	rd := &d.rd
	writes := len(rd.Blocks) > 0 || rd.Rewrite != nil || !rd.Actor.IsZero()
	switch {
	case d.readOnly && !writes: // what is known of peers, and that they were told something, is not kept
	case d.readOnly, d.full(writes || rd.Self != nil):
		d.breakDown()
		return
	default:
		if err := d.disk.append(rd); err != nil {
			s.fail(checkHonest, d, err.Error())
			return
		}
	}
	if rw := d.rd.Rewrite; rw != nil {
		d.rd = replica.Ready{}
		d.rewritten(rw)
		return
	}
	d.r.Advance()
	s.show(d, d.rd.Events)
	d.acknowledge()
	d.blame(d.rd.Blamed)
	if !planted.Is(planted.SendBeforeSync) {
		d.sendAll()
	}
	d.rd = replica.Ready{}
}

// full reports whether there is no room for what is to be written, if anything is.
func (d *Device) full(writes bool) bool {
	n := d.disk.bytes
	for i := range d.rd.Blocks {
		n += len(d.rd.Blocks[i].Batch)
	}
	room := d.group.Disk.Capacity
	return writes && (d.sim.full[d.number] > 0 || room > 0 && n > room)
}

// sendAll sends what a Ready wants sent.
func (d *Device) sendAll() {
	s := d.sim
	for _, m := range d.rd.Announce {
		s.publish(d, m)
	}
	for i := range d.rd.Messages {
		e := &d.rd.Messages[i]
		d.post(s.byID(d, e.To), e.Message)
	}
}

// sendAcks sends what acknowledges changes, and nothing else: what AckBeforeSync plants.
func (d *Device) sendAcks() {
	for i := range d.rd.Messages {
		if ack, ok := d.rd.Messages[i].Message.(*replica.Ack); ok {
			d.post(d.sim.byID(d, d.rd.Messages[i].To), ack)
		}
	}
}

// post sends a message over the stream of a link.
func (d *Device) post(l *link, m replica.Message) {
	if l == nil || !l.up {
		return
	}
	if d.liar != nil && d.liar.keepsBack(l, m) {
		return
	}
	d.sim.dispatch(parcel{link: l, from: d, to: l.peer(d), size: d.sim.size(m), index: -1, message: m})
}

// tickAt makes sure that the device ticks at a time, or before.
func (d *Device) tickAt(at time.Duration) {
	if d.woken && d.wake <= at {
		return
	}
	d.wake, d.woken = at, true
	d.sim.queue.push(happening{at: at, device: d, what: tick})
}

// tickWhenDue makes the device tick when that does something, and no more often than ten times a second.
func (d *Device) tickWhenDue() {
	const least = 100 * time.Millisecond
	if d.woken && d.wake <= d.sim.now+least {
		return
	}
	if next := d.r.NextTick(); next >= 0 {
		d.tickAt(d.sim.now + max(least, time.Duration(next)*time.Millisecond))
	}
}

// happen does what a device has to do at a time.
func (d *Device) happen(h *happening) {
	switch h.what {
	case tick:
		if !d.woken || h.at != d.wake {
			return
		}
		d.woken = false
		if d.r == nil {
			return
		}
		if d.syncing {
			d.tickAt(d.sim.now + 100*time.Millisecond)
			return
		}
		d.r.Tick(d.now())
		d.work()
	case synced:
		if !d.syncing || h.life != d.life {
			return // the power was cut meanwhile
		}
		d.finish()
		d.syncing = false
		d.drain()
	case resume:
		if d.r != nil && !d.syncing {
			d.drain()
		}
	}
}

// strikes reports whether the crash that a device waits for is due with the write at hand.
func (d *Device) strikes() bool {
	if d.crashOn == faultDuringRewrite || d.rd.Rewrite != nil {
		return d.crashOn == faultDuringRewrite && d.rd.Rewrite != nil
	}
	own := len(d.waiting) > 0
	return own == (d.crashOn == faultDuringWrite)
}

// Update writes on the device and returns when that is durable, as a node's does. It lets as much virtual time pass as that takes.
func (d *Device) Update(fn func(*crdt.Tx) error) error {
	var result error
	done := false
	if d.r == nil {
		return ErrDown
	}
	d.input(input{op: fn, done: func(err error) { result, done = err, true }})
	for !done && d.sim.Step() {
	}
	return result
}

// View returns what the device shows, for reading until virtual time passes. It is nil while the device is down.
func (d *Device) View() *crdt.State {
	if d.r == nil {
		return nil
	}
	return d.r.State()
}
