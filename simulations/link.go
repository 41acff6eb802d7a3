package simulations

import (
	"math/rand/v2"
	"time"

	"github.com/atollsync/atoll/peer/replica"
)

// link is a way between two devices, a before b. A stream over it carries messages in order while it is up; what is cut is not
// noticed at once.
type link struct {
	a, b     *Device
	what     Link // what it does to messages
	rng      *rand.Rand
	epoch    int // of the stream: what was sent over an earlier one does not arrive
	up       bool
	dialling bool          // the two will try to connect
	downAt   time.Duration // since when the two could not connect
	noticing bool
	cut      [2]int // how many cuts there are from a to b, and from b to a
	ferry    bool   // the ferry is at the other island
	way      [2]way
	mesh     [2]bool // a, or b, chose the other for gossip
	used     bool    // it was up once
	replaced bool    // a stream to a device with the same key took the place of this one
}

// way is one direction of a link.
type way struct {
	busy time.Duration // until when what was sent is still leaving
	last time.Duration // when the last message of the stream arrives
}

// parcel is a message on its way. It is used again once it has arrived.
type parcel struct {
	link  *link
	from  *Device
	to    *Device
	epoch int
	sent  time.Duration
	size  int
	index int // in Result.Sent, or -1
	// One of them: a message of a stream; a message by gossip, or that it is to be had, or wanted; bytes that may be none.
	message replica.Message
	gossip  *rumour
	stage   gossipStage
	raw     []byte
	lie     LieKind // a lie, "" if it is none
	fresh   bool    // over a stream of its own: it may be doubled or late
}

// gossipStage is what a parcel of gossip is.
type gossipStage uint8

const (
	offer gossipStage = iota
	want
	body
)

// dispatch puts a parcel on its way, in the memory of one that is done with.
func (s *Sim) dispatch(p parcel) {
	var q *parcel
	if n := len(s.spare); n > 0 {
		q, s.spare = s.spare[n-1], s.spare[:n-1]
	} else {
		q = new(parcel)
	}
	*q = p
	s.send(q)
}

// done says that nobody needs p any more.
func (s *Sim) done(p *parcel) {
	if len(s.spare) < maxSpare {
		*p = parcel{}
		s.spare = append(s.spare, p)
	}
}

// maxSpare bounds the parcels whose memory is kept.
const maxSpare = 1 << 12

// peer returns the other end of l.
func (l *link) peer(d *Device) *Device {
	if l.a == d {
		return l.b
	}
	return l.a
}

// dir returns 0 for what a sends and 1 for what b sends.
func (l *link) dir(from *Device) int {
	if l.a == from {
		return 0
	}
	return 1
}

// blocked says what keeps messages from getting through in a direction: a fault, and whether there is one.
func (s *Sim) blocked(l *link, dir int) (fault, bool) {
	switch {
	case l.a.offline > 0 || l.b.offline > 0:
		return faultOffline, true
	case s.side != nil && s.side[l.a.number] != s.side[l.b.number]:
		return faultPartition, true
	case l.cut[dir] > 0:
		return s.cutKind, true
	case l.ferry:
		return faultFerry, true
	}
	return 0, false
}

// maxRedial is the most that a device waits between two attempts to connect, as a node does.
const maxRedial = 32 * time.Second

// eager makes a device that has a network again, or has just started, connect to all it can without waiting: it knows that something changed.
func (d *Device) eager() {
	for _, l := range d.links {
		if !l.up {
			l.downAt = d.sim.now
		}
	}
}

// relink looks at a link after something changed that it depends on: whether the two can connect now, or no longer hear each other.
func (s *Sim) relink(l *link) {
	f1, cut1 := s.blocked(l, 0)
	f2, cut2 := s.blocked(l, 1)
	apart := cut1 || cut2 || !l.a.running() || !l.b.running()
	switch {
	case apart && l.up && !l.noticing:
		l.noticing = true
		epoch := l.epoch
		s.after(s.noticed, func() { s.notice(l, epoch) })
	case apart && !l.up:
		if cut1 {
			s.faults.saw(f1)
		} else if cut2 {
			s.faults.saw(f2)
		}
		l.dialling = false
		l.downAt = min(l.downAt, s.now)
	case !apart && !l.up && !l.dialling:
		l.dialling = true
		down := s.now - l.downAt
		backoff := min(max(down/2, s.redial), maxRedial)
		if l.replaced {
			backoff, l.replaced = time.Minute, false
		}
		if !l.used {
			backoff = s.redial / 10
		}
		at := s.now + 3*s.latency(l) + time.Duration(l.rng.Int64N(int64(backoff)+1))
		s.at(at, func() { s.connect(l) })
	}
}

// notice is when the two ends of a link that was cut may see it.
func (s *Sim) notice(l *link, epoch int) {
	if !l.up || l.epoch != epoch {
		return
	}
	l.noticing = false
	_, cut1 := s.blocked(l, 0)
	_, cut2 := s.blocked(l, 1)
	if !cut1 && !cut2 && l.a.running() && l.b.running() {
		return // it was short, and nobody saw it
	}
	s.disconnect(l)
	s.relink(l)
}

// disconnect ends the stream of a link.
func (s *Sim) disconnect(l *link) {
	if !l.up {
		return
	}
	l.up = false
	l.noticing = false
	l.epoch++
	l.downAt = s.now
	s.trace.note(s.now, markDisconnect, l.a.number, l.b.number, 0, func() string { return l.a.name + " and " + l.b.name + " are no longer connected" })
	for _, d := range [2]*Device{l.a, l.b} {
		other := l.peer(d)
		d.unmesh(l)
		d.connected--
		d.input(input{disconnect: other})
	}
}

// connect opens a stream over a link, unless something came between.
func (s *Sim) connect(l *link) {
	if !l.dialling {
		return
	}
	l.dialling = false
	_, cut1 := s.blocked(l, 0)
	_, cut2 := s.blocked(l, 1)
	if l.up || cut1 || cut2 || !l.a.running() || !l.b.running() {
		return
	}
	l.up = true
	l.epoch++
	l.way = [2]way{}
	if l.used {
		s.faults.saw(faultReconnect)
	}
	l.used = true
	s.trace.note(s.now, markConnect, l.a.number, l.b.number, 0, func() string { return l.a.name + " and " + l.b.name + " connect" })
	for _, d := range [2]*Device{l.a, l.b} {
		d.replace(l)
		d.connected++
		d.input(input{connect: l.peer(d)})
	}
	l.a.remesh()
	l.b.remesh()
}

// replace ends d's stream to another device with the same key as the one that l connects it to: of two clones only the one that came last is
// heard, until the other comes again.
func (d *Device) replace(l *link) {
	other := l.peer(d)
	if !other.cloned {
		return
	}
	for _, old := range d.links {
		if p := old.peer(d); old != l && old.up && p.id == other.id {
			old.replaced = true
			d.sim.disconnect(old)
			d.sim.relink(old)
		}
	}
}

// latency returns the least time a message takes over l.
func (s *Sim) latency(l *link) time.Duration {
	if l.what.Latency == 0 {
		return defaultLatency
	}
	return l.what.Latency
}

// send puts a parcel on its way.
func (s *Sim) send(p *parcel) {
	l := p.link
	dir := l.dir(p.from)
	p.epoch, p.sent = l.epoch, s.now
	p.from.sent += p.size
	s.bytes += p.size
	s.messages++
	s.record(p)
	s.trace.note(s.now, markSend, p.from.number, p.to.number, p.size, func() string { return p.from.name + " -> " + p.to.name + ": " + p.String() })
	if f, cut := s.blocked(l, dir); cut {
		s.faults.saw(f)
		if l.up {
			s.faults.saw(faultSilent)
		}
		s.lost(p, faultNames[f])
		return
	}
	stream := p.gossip == nil && !p.fresh
	chance := func(percent float64) bool { return percent > 0 && l.rng.Float64()*100 < percent }
	w := &l.way[dir]
	at := s.now + s.latency(l)
	if l.what.Bandwidth > 0 {
		leaves := max(w.busy, s.now) + time.Duration(float64(p.size)/float64(l.what.Bandwidth)*float64(time.Second))
		if w.busy > s.now {
			s.faults.saw(faultBandwidth)
		}
		w.busy = leaves
		at = leaves + s.latency(l)
	}
	if l.what.Jitter > 0 {
		at += time.Duration(l.rng.Int64N(int64(l.what.Jitter)))
		s.faults.saw(faultJitter)
	}
	for tries := 0; chance(l.what.Loss); tries++ {
		s.faults.saw(faultLoss)
		if !stream || tries == 6 {
			s.lost(p, "lost on the way")
			return
		}
		at += (200*time.Millisecond + 2*s.latency(l)) << tries // it is sent again
	}
	if chance(l.what.Duplicate) {
		s.faults.saw(faultDuplicate)
		twin := *p
		twin.index = -1
		s.queue.push(happening{at: at + s.latency(l), parcel: &twin})
	}
	if chance(l.what.Reorder) {
		s.faults.saw(faultReorder)
		at += time.Duration(l.rng.Int64N(int64(10 * s.latency(l))))
	} else if stream {
		at = max(at, w.last) // what was sent later does not come before
		w.last = at
	}
	s.queue.push(happening{at: at, parcel: p})
}

// lost is what becomes of a parcel that does not arrive. It is done with.
func (s *Sim) lost(p *parcel, why string) {
	s.trace.note(s.now, markLost, p.from.number, p.to.number, p.size, func() string {
		return p.from.name + " -> " + p.to.name + ": " + p.String() + " is lost: " + why
	})
	if p.index >= 0 && p.index < len(s.result.Sent) {
		s.result.Sent[p.index].Lost = why
	}
	s.done(p)
}

// arrive hands a parcel over.
func (s *Sim) arrive(p *parcel) {
	l, d := p.link, p.to
	if f, cut := s.blocked(l, l.dir(p.from)); cut {
		s.faults.saw(f)
		if l.up {
			s.faults.saw(faultSilent)
		}
		s.lost(p, faultNames[f])
		return
	}
	if !d.running() {
		s.lost(p, d.name+" is down")
		return
	}
	if p.epoch != l.epoch || !l.up {
		s.lost(p, "its stream is gone")
		return
	}
	d.received += p.size
	if p.index >= 0 && p.index < len(s.result.Sent) {
		s.result.Sent[p.index].Arrived = s.now
	}
	s.trace.note(s.now, markArrive, p.from.number, d.number, p.size, func() string { return d.name + " <- " + p.from.name + ": " + p.String() })
	if p.gossip != nil && p.stage != body {
		s.gossip(p)
		s.done(p)
		return
	}
	d.input(input{parcel: p})
}

// String says what a parcel carries.
func (p *parcel) String() string {
	switch {
	case p.raw != nil:
		return "bytes that are no message"
	case p.gossip != nil && p.stage == offer:
		return "offers " + p.gossip.message.String()
	case p.gossip != nil && p.stage == want:
		return "wants " + p.gossip.message.String()
	case p.gossip != nil:
		return "gossip " + p.gossip.message.String()
	}
	return p.message.String()
}

// kind names what a parcel carries in a word.
func (p *parcel) kind() string {
	switch {
	case p.raw != nil:
		return "garbage"
	case p.gossip != nil:
		return [...]string{offer: "offer", want: "want", body: "gossip"}[p.stage]
	}
	return messageKind(p.message)
}
