package simulations

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/peer/replica"
)

// Sim is a simulation under way: devices, the network between them, and what will happen to them.
type Sim struct {
	scenario *Scenario
	seed     uint64
	store    crdt.StoreID
	start    int64 // unix ms
	now      time.Duration
	queue    queue
	trace    trace
	faults   faultTable
	signer   signer
	limits   replica.Limits
	common   common

	devices    []*Device
	names      map[string][]*Device // by device, by group, and "all"
	devID      map[causal.Device]*Device
	links      []*link
	byPair     map[[2]*Device]*link
	island     []int
	ferryAt    int
	side       []int // of a partition, by device; nil: none
	cutKind    fault // what a cut is called now
	cuts       []*activeCut
	full       []int // how many things fill a device's disk
	noticed    time.Duration
	redial     time.Duration
	above      int // known devices above which one gossips
	generators []generator
	healing    bool
	actors     int // handed out

	changes, applied, messages, bytes int
	skipped                           int // ops that could not be made
	steps                             int
	scratch                           []byte
	parents                           []causal.LV // room
	spare                             []*parcel   // see dispatch
	spreading                         map[causal.Dot]*spreading
	versions                          []heldVersion
	present                           int // honest devices online at the last sample
	lostDetail                        string
	diagram                           bool // messages are recorded
	checks                            checkTable
	open                              map[spanKey]int // of result.Spans, those that have not ended
	ops                               []RecordedOp
	result                            *Result
	progress                          func(Progress) bool
	t                                 T    // of Run
	stopped                           bool // something failed that the run cannot go on after
}

// New returns the simulation of a scenario, at its start. It returns an error that names every problem of the scenario.
func New(sc *Scenario) (*Sim, error) {
	sc, err := sc.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Sim{scenario: sc, seed: sc.Seed, start: sc.Start, devID: make(map[causal.Device]*Device), names: make(map[string][]*Device),
		byPair: make(map[[2]*Device]*link), open: make(map[spanKey]int), noticed: sc.Network.Noticed, redial: sc.Network.Redial, above: sc.Network.GossipAbove,
		result: &Result{Scenario: sc, Seed: sc.Seed}}
	s.store = crdt.StoreID(sha256.Sum256(binary.BigEndian.AppendUint64([]byte("simulated store"), s.seed)))
	s.signer = signer{standIn: sc.Signatures == StandIn, secret: sha256.Sum256(binary.BigEndian.AppendUint64([]byte("simulated keys"), s.seed))}
	for i := range sc.Devices {
		g := &sc.Devices[i]
		for _, name := range g.names() {
			s.add(name, g)
		}
	}
	s.full = make([]int, len(s.devices))
	s.limits.Window, s.limits.PendingBytes = windowBytes, pendingBytes
	if len(s.devices) > maxSmall {
		// Every device's record comes to every device and names every actor: what they cost grows with the cube of the devices, and
		// nothing here asks who holds what.
		s.limits.RecordInterval = time.Hour.Milliseconds()
		s.limits.StateInterval = time.Hour.Milliseconds()    // the states are compared here, too
		s.limits.RestAfter = 10 * time.Minute.Milliseconds() // so that not all of them go to rest between two changes
	}
	s.wire()
	var errs []error
	for i := range sc.Timeline {
		errs = append(errs, s.checkAction(&sc.Timeline[i]))
	}
	for i := range sc.Workloads {
		g, err := sc.newGenerator(&sc.Workloads[i], s.source(fmt.Sprintf("workload %d", i)))
		if err != nil {
			errs = append(errs, fmt.Errorf("simulations: %sworkload: %w", where(sc.Workloads[i].Line), err))
			continue
		}
		s.generators = append(s.generators, g)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	s.schedule()
	return s, nil
}

// source returns a source of random numbers for a purpose. Each purpose has its own, so that what one draws does not change what others do.
func (s *Sim) source(purpose string) *rand.Rand {
	h := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(purpose+"\x00"), s.seed))
	return rand.New(rand.NewPCG(binary.BigEndian.Uint64(h[:]), binary.BigEndian.Uint64(h[8:])))
}

// add adds a device.
func (s *Sim) add(name string, g *Group) *Device {
	d := &Device{sim: s, number: len(s.devices), name: name, group: g, rng: s.source("device " + name), clock: g.Clock}
	d.id, d.sign = s.signer.key(name)
	if len(g.Lies) > 0 {
		d.liar = newLiar(d, g.Lies)
	}
	s.devices = append(s.devices, d)
	s.devID[d.id] = d
	for _, n := range []string{name, "all"} {
		s.names[n] = append(s.names[n], d)
	}
	if g.Name != name {
		s.names[g.Name] = append(s.names[g.Name], d)
	}
	return d
}

// wire links the devices.
func (s *Sim) wire() {
	var meeting []int
	for _, d := range s.devices {
		if d.group.Meeting {
			meeting = append(meeting, d.number)
		}
	}
	if len(meeting) == 0 {
		meeting = []int{0}
	}
	pairs, island := edges(s.scenario.Network.Topology, len(s.devices), s.scenario.Network.Degree, meeting, s.source("topology"))
	s.island = island
	for _, p := range pairs {
		s.link(s.devices[p[0]], s.devices[p[1]])
	}
}

// link makes a link between two devices.
func (s *Sim) link(a, b *Device) *link {
	if l := s.byPair[[2]*Device{a, b}]; l != nil || a == b {
		return l
	}
	l := &link{a: a, b: b, rng: s.source("link " + a.name + " " + b.name)}
	l.what = s.linkBetween(a, b)
	s.links = append(s.links, l)
	s.byPair[[2]*Device{a, b}], s.byPair[[2]*Device{b, a}] = l, l
	a.links, b.links = append(a.links, l), append(b.links, l)
	if s.island != nil && len(s.island) > max(a.number, b.number) && (s.island[a.number] < 0 || s.island[b.number] < 0) {
		l.ferry = max(s.island[a.number], s.island[b.number]) != s.ferryAt
	}
	return l
}

// linkBetween returns what a link does to messages: what the network says, then the devices' groups, then exceptions.
func (s *Sim) linkBetween(a, b *Device) Link {
	n := &s.scenario.Network
	what := n.Link.resolved()
	what = what.over(a.group.Link).over(b.group.Link)
	for _, x := range n.Links {
		if s.named(a, x.A) && s.named(b, x.B) || s.named(b, x.A) && s.named(a, x.B) {
			what = what.over(x.Link)
		}
	}
	return what
}

// named reports whether a name means d.
func (s *Sim) named(d *Device, name string) bool {
	return name == "all" || name == d.name || name == d.group.Name
}

// at makes something happen at a time.
func (s *Sim) at(t time.Duration, do func()) { s.queue.push(happening{at: max(t, s.now), do: do}) }

// after makes something happen after a time.
func (s *Sim) after(d time.Duration, do func()) { s.at(s.now+d, do) }

// Step lets the next thing happen, and reports whether there was one.
func (s *Sim) Step() bool {
	if s.queue.len() == 0 {
		return false
	}
	h := s.queue.pop()
	s.now = h.at
	switch {
	case h.parcel != nil:
		defer s.guard(h.parcel.to)
		s.arrive(h.parcel)
	case h.device != nil:
		defer s.guard(h.device)
		h.device.happen(&h)
	default:
		defer s.guard(nil)
		h.do()
	}
	return true
}

// Now returns how much virtual time has passed.
func (s *Sim) Now() time.Duration { return s.now }

// Device returns a device by its number.
func (s *Sim) Device(i int) *Device { return s.devices[i] }

// Devices returns how many devices there are, clones included.
func (s *Sim) Devices() int { return len(s.devices) }

// For lets virtual time pass.
func (s *Sim) For(d time.Duration) {
	end := s.now + d
	for s.queue.len() > 0 && s.queue.heap[0].at <= end {
		s.Step()
	}
	s.now = end
}

// schedule puts into the queue all that is known to happen.
func (s *Sim) schedule() {
	sc := s.scenario
	for i := range sc.Devices {
		g := &sc.Devices[i]
		members := s.names[g.Name]
		for j, d := range members {
			s.schedulePresence(d, g, j, len(members))
		}
	}
	for i := range sc.Timeline {
		e := &sc.Timeline[i]
		s.askAction(e.Action)
		until := e.Until
		if until == 0 {
			until = sc.For
		}
		for at, n := e.At, 0; at <= until && at <= sc.For; at, n = at+e.Every, n+1 {
			s.at(at, func() {
				if !s.healing {
					s.act(e.Action)
				}
			})
			if e.Every <= 0 || n > 100_000 {
				break
			}
		}
	}
	for _, g := range s.generators {
		s.scheduleOp(g)
	}
	s.askLink(sc.Network.Link)
	for _, x := range sc.Network.Links {
		s.askLink(x.Link)
	}
	if s.island != nil {
		s.faults.ask(faultFerry)
		var sail func()
		sail = func() {
			if s.healing {
				return
			}
			s.ferryAt = 1 - s.ferryAt
			for _, l := range s.links {
				if a, b := s.island[l.a.number], s.island[l.b.number]; a < 0 || b < 0 {
					l.ferry = max(a, b) != s.ferryAt
					s.relink(l)
				}
			}
			s.after(sc.Network.Ferry, sail)
		}
		s.after(sc.Network.Ferry, sail)
	}
	s.at(0, s.sample)
}

// schedulePresence plans when a device is there: the j-th of the n of its group.
func (s *Sim) schedulePresence(d *Device, g *Group, j, n int) {
	if g.Clock != (Clock{}) {
		s.faults.ask(faultSkew)
	}
	if g.Slow > 0 {
		s.faults.ask(faultSlow)
	}
	s.askLink(g.Link)
	joins := g.Joins.at(j, n)
	if joins > 0 {
		s.faults.ask(faultLateJoin)
	}
	s.at(joins, func() {
		if !d.joined {
			if joins > 0 {
				s.faults.saw(faultLateJoin)
			}
			d.joined = true
			d.boot()
		}
	})
	if g.Leaves != (Window{}) {
		s.faults.ask(faultLeave)
		s.at(g.Leaves.at(j, n), func() {
			if !d.left && !s.healing {
				s.faults.saw(faultLeave)
				d.left = true
				d.halt("it leaves for good")
			}
		})
	}
	for _, w := range g.Online.offline(s.start, s.scenario.For, s.source("schedule "+d.name)) {
		s.faults.ask(faultOffline)
		s.at(w.From, func() { s.offline(d) })
		s.at(w.To, func() { s.online(d) })
	}
	if d.liar != nil {
		d.liar.schedule()
	}
}

// offline takes a device off the network.
func (s *Sim) offline(d *Device) {
	if s.healing {
		return
	}
	d.offline++
	if d.offline == 1 {
		s.begin("offline", d, "")
		s.faults.saw(faultOffline)
		s.relinkAll(d)
	}
}

// online ends one offline.
func (s *Sim) online(d *Device) {
	if d.offline == 0 {
		return
	}
	d.offline--
	if d.offline == 0 {
		s.end("offline", d)
		d.eager()
		s.relinkAll(d)
	}
}

func (s *Sim) relinkAll(d *Device) {
	for _, l := range d.links {
		s.relink(l)
	}
}

// revive starts a device that is down, unless it is gone for good.
func (s *Sim) revive(d *Device) {
	if d.r == nil && d.joined && !d.left {
		s.end("down", d)
		d.boot()
	}
}

// scheduleOp plans the next op of a workload.
func (s *Sim) scheduleOp(g generator) {
	at, number, ok := g.next()
	if !ok || at > s.scenario.For {
		return
	}
	s.at(at, func() {
		if d := s.devices[number]; d.r != nil && !s.healing {
			op, err := g.op(d, d.rng)
			switch {
			case err == nil && (op.do != nil || op.undo):
				s.do(d, op)
			case err != nil:
				s.skipped++
			}
		}
		s.scheduleOp(g)
	})
}

// do makes an op on a device and records it. An op that makes no sense there is skipped.
func (s *Sim) do(d *Device, op Op) {
	if d.r == nil {
		s.skipped++
		return
	}
	if len(s.ops) < MaxRecorded {
		s.ops = append(s.ops, RecordedOp{At: s.now, Device: d.name, Op: op})
	}
	do := op.do
	if op.undo {
		do = d.undo
	}
	d.input(input{op: do, done: func(err error) {
		if err != nil {
			s.skipped++
		}
	}})
}

// byID returns the link from d to the device with an ID, nil if there is none.
func (s *Sim) byID(d *Device, id causal.Device) *link {
	to := s.devID[id]
	if to == nil {
		return nil
	}
	l := s.byPair[[2]*Device{d, to}]
	if to.cloned && (l == nil || !l.up) {
		for _, other := range d.links {
			if other.up && other.peer(d).id == id {
				return other
			}
		}
	}
	return l
}

// size returns how many bytes a message takes on the wire.
func (s *Sim) size(m replica.Message) int {
	s.scratch = m.AppendTo(s.scratch[:0])
	return len(s.scratch)
}

// travels reports whether a message goes the long way, encoded and decoded: always in small runs with real signatures, and a part of them in others.
func (s *Sim) travels(p *parcel) bool {
	return len(s.devices) <= maxSmall && !s.signer.standIn || s.messages%64 == 0
}

// maxSmall is up to how many devices a run is small: everything is done the long way, and checked.
const maxSmall = 20

// text renders a dot with the name of its device.
func (s *Sim) text(d causal.Dot) string {
	if dev := s.devID[d.Actor.Device]; dev != nil {
		return fmt.Sprintf("%s/%x:%d", dev.name, d.Actor.Nonce[len(d.Actor.Nonce)-2:], d.Seq)
	}
	return d.String()
}

// find returns the devices that names mean, each once, in order.
func (s *Sim) find(names []string) []*Device {
	var out []*Device
	for _, n := range names {
		out = append(out, s.names[n]...)
	}
	slices.SortFunc(out, func(a, b *Device) int { return cmp.Compare(a.number, b.number) })
	return slices.Compact(out)
}
