package replica

import (
	"fmt"
	"slices"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/internal/planted"
)

// peer is what a replica knows of another, and where their exchange is. Of a peer that is
// not connected only device, shared, held and seen mean anything.
//
// Invariant: while heard, every op below horizon that the peer is not known to hold is in todo or in
// flight.
type peer struct {
	device     causal.Device
	connected  bool
	since      int64  // when it was connected
	seen       uint64 // Connects before this one
	subscribed bool   // to the store's topic
	touched    bool   // see attention
	retimed    bool
	due        int64

	// What the peer has.
	heard   bool      // its summary is known
	known   *holdings // what it said it holds durably; see ownKnown
	lent    bool      // known is not the peer's alone
	count   tally     // of known
	shared  []shared
	offered shared                // own summary as it was last told to the peer
	held    summary               // of this device's own actors, the furthest the peer was ever known to hold
	apart   map[causal.Actor]bool // it holds what is not held here of their logs, on a branch that is not known

	// What goes to it.
	todo      []causal.Span // not sent yet
	horizon   causal.LV
	inFlight  []flight
	unacked   int // bytes in flight
	acked     causal.LV
	ackedAt   int64                 // when something was last acknowledged
	ackOf     map[causal.Actor]bool // owed whether or not they changed
	counters  map[causal.Device]uint64
	told      uint64 // it has all delivery records as of that version of the table
	recordsAt int64  // when it may be sent more of them

	// What it says is still to come.
	remaining uint64

	// What it says to hold of this device's own log and has not shown, since when; and whether it once failed to.
	idle      meter
	statesOf  crdt.Hash // the summary whose states it was told
	sayStates bool
	claimed   crdt.Tip
	claimedAt int64
	liar      bool

	// Times, and what is to be said in the next Ready.
	retry      int64 // how long to wait for a sign of progress
	restarted  int64 // when what is in flight was last given up
	progress   int64 // when the peer last acknowledged something in flight, or sending began
	probed     int64
	compared   int64     // when digests were last compared
	comparedAt crdt.Hash // the own digest then
	inStepAt   causal.LV // how long the graph was when the two were last in step
	outSince   int64     // since which tick they are not, -1: they are
	busySince  int64     // since which tick changes are on their way to it, -1: they are not
	differed   crdt.Hash // the digest of the peer's delivery records when they last differed from the own
	asked      crdt.Hash // the digest of the last Digest with Ask, while that may still be on its way
	saidHave   int64
	savedAt    int64
	gap        []crdt.Tip // named by the peer and not held: if they still are not at the next Tick, it is asked
	have       haveWish
	needFull   bool
	sayDigest  bool
	askDigest  bool
	sayAck     bool
	sayRecords bool
	unsaved    bool
}

// flight is a Changes on its way, or lost.
type flight struct {
	at    int64 // when it was sent
	bytes int
	sent  []causal.Span
	ends  []causal.LV // the last op of each of its branches
}

// ownKnown returns p.known for writing to it. Until then it may be somebody else's as well: mostly both hold the same.
func (p *peer) ownKnown() *holdings {
	if p.lent || p.known == nil {
		p.known, p.lent = p.known.copy(), false
	}
	return p.known
}

// haveWish says whether a Have is to be sent, and how soon.
type haveWish uint8

const (
	noHave   haveWish = iota
	plain             // as soon as the last one is haveSpacing ago
	plainAsk          // the same, with Ask
	greeting          // at once: the peer has just connected
)

// leastHaveSpacing is haveSpacing in a store of few actors.
const leastHaveSpacing = 250

// haveActorsPerMilli stretches it in stores of many actors: 8 of them take about 640 bytes.
const haveActorsPerMilli = 8

// wantHave queues a Have.
func (p *peer) wantHave(ask bool) {
	w := plain
	if ask {
		w = plainAsk
	}
	p.have = max(p.have, w)
}

// Connect tells that a stream to a peer opened. Its summary goes out with the next Ready. A peer that is
// connected already begins anew. It may not have proved yet that it shares the store: Step then is
// not called before it has, and Disconnect is if it does not.
func (r *Replica) Connect(device causal.Device, now int64) {
	if device == r.cfg.Device {
		return
	}
	r.clock(now)
	p := r.peers[device]
	if p == nil {
		p = &peer{device: device}
		r.peers[device] = p
		i, _ := slices.BinarySearchFunc(r.order, device, func(p *peer, d causal.Device) int { return p.device.Compare(d) })
		r.order = slices.Insert(r.order, i, p)
	}
	r.seen++
	if !p.connected || p.subscribed {
		r.unsubscribed++
	}
	*p = peer{
		device: device, connected: true, since: r.now, seen: r.seen,
		shared: p.shared, offered: p.offered, held: p.held, unsaved: p.unsaved, savedAt: p.savedAt,
		retry: r.limits.RetryInterval, have: greeting, saidHave: r.now,
		compared: r.now, restarted: r.now - r.limits.RetryInterval, busySince: -1, outSince: -1,
		ackOf: make(map[causal.Actor]bool), counters: make(map[causal.Device]uint64),
		liar: p.liar, idle: p.idle, touched: p.touched, retimed: p.retimed, due: p.due,
	}
	r.touch(p)
}

// Disconnect tells that a peer's stream is gone, and with it everything that was on its way.
func (r *Replica) Disconnect(device causal.Device) {
	p := r.peers[device]
	if p == nil || !p.connected {
		return
	}
	r.savePeer(p)
	if !p.subscribed {
		r.unsubscribed--
	}
	*p = peer{device: device, seen: p.seen, shared: p.shared, offered: p.offered, held: p.held, liar: p.liar, idle: p.idle, touched: p.touched, retimed: p.retimed, due: p.due}
	r.forgetPeers()
}

// forgetPeers keeps what is remembered of peers that are not connected within bounds.
func (r *Replica) forgetPeers() {
	for {
		gone, n := -1, 0
		for i, p := range r.order {
			if p.connected {
				continue
			}
			n++
			if gone < 0 || p.seen < r.order[gone].seen {
				gone = i
			}
		}
		if n <= r.limits.MaxPeers {
			return
		}
		delete(r.peers, r.order[gone].device)
		r.order = slices.Delete(r.order, gone, gone+1)
	}
}

// stepHave takes in a peer's summary: from here on it is sent what it lacks.
func (r *Replica) stepHave(p *peer, m *Have) error {
	var tips *holdings
	if m.Base == (crdt.Hash{}) {
		tips = holdingsOf(m.Tips)
	} else {
		base, ok := r.base(p, m.Base)
		if !ok {
			p.needFull = true
			return nil
		}
		tips = base.with(m.Tips)
	}
	if tips.len() > MaxTips {
		return r.refuse(p.device, OverLimit, fmt.Errorf("replica: a summary of %d actors", tips.len()))
	}
	if same := m.Base == m.Digest && len(m.Tips) == 0; !same && tips.digest(r.cfg.Store) != m.Digest {
		return r.refuse(p.device, WrongSummary, fmt.Errorf("replica: the summary does not have digest %s", m.Digest))
	}
	// Nothing below can fail.
	p.counters, p.told = make(map[causal.Device]uint64), 0
	for _, c := range m.Counters {
		if _, ok := r.records.find(c.Device); ok { // of what is not held nothing is ever to be said to p
			p.counters[c.Device] = c.Counter
		}
	}
	p.sayRecords = true
	r.hear(p, tips, m.Digest, !m.Ask)
	if m.Ask && r.lacks(m) {
		p.wantHave(false)
	}
	return nil
}

// base finds the summary that a peer's Have is based on.
func (r *Replica) base(p *peer, digest crdt.Hash) (*holdings, bool) {
	if own := r.summary(); own.digest == digest {
		return own.tips, true
	}
	if p.offered.digest == digest {
		return p.offered.tips, true
	}
	for _, s := range p.shared {
		if s.digest == digest {
			return s.tips, true
		}
	}
	return nil, false
}

// lacks reports whether the sender of m has something that this replica does not.
func (r *Replica) lacks(m *Have) bool {
	for i := range m.Tips {
		if m.Tips[i].Seq > 0 && !r.holds(m.Tips[i]) {
			return true
		}
	}
	for _, c := range m.Counters {
		if c.Device == r.cfg.Device {
			continue
		}
		if i, ok := r.records.find(c.Device); ok && c.Counter > r.records.list[i].Counter || !ok && len(r.records.list) < r.limits.MaxRecords {
			return true
		}
	}
	return false
}

// hear makes tips what the peer is known to hold, whatever was thought before, and works out what it lacks. What
// has been in flight for long is given up for lost. If the peer misses something, as it
// says by a Have that nobody asked for, all of it is, but not time and again: a Have that was doubled, or that crossed
// what it asks for, must not double the traffic.
func (r *Replica) hear(p *peer, tips *holdings, digest crdt.Hash, misses bool) {
	if own := r.summary(); own.digest == digest && !r.self.held && r.self.contested == 0 {
		r.hearSame(p, own)
		return
	}
	p.heard = true
	before := p.known
	p.known, p.lent, p.apart, p.count, p.inStepAt = tips, true, nil, tally{}, -1
	r.meetSelf(p, tips.ofDevice(r.cfg.Device))
	if r.self.contested == 0 {
		r.release()
	}
	for t := range tips.all {
		r.checkTip(p, t)
		r.hold(p, t)
		r.tally(p, 0, t)
	}
	for a := range p.apart {
		// Where a tip lies that is not held cannot be told: what was known of the actor before still holds, or is sent again.
		for _, t := range before.of(a) {
			if r.holds(t) {
				p.ownKnown().replace(a, r.join(p.known.of(a), t))
			}
		}
	}
	r.land(p)
	n := len(p.inFlight)
	misses = misses && r.now-p.restarted >= p.retry
	p.inFlight = slices.DeleteFunc(p.inFlight, func(f flight) bool {
		lost := misses || r.now-f.at >= p.retry
		if lost {
			p.unacked -= f.bytes
		}
		return lost
	})
	if len(p.inFlight) < n {
		p.retry = min(2*p.retry, r.limits.MaxRetryInterval)
	}
	if len(p.inFlight) < n || n == 0 {
		p.restarted = r.now
	}
	r.requeue(p)
	if own := r.summary(); own.digest == digest {
		r.agree(p, own)
	}
}

// hearSame is hear of a peer that holds exactly what this replica does.
func (r *Replica) hearSame(p *peer, own shared) {
	p.heard, p.apart = true, nil
	p.known, p.lent = own.tips, true
	p.count = tally{ops: uint64(r.graph.Len()), lost: r.graph.Forked()}
	for _, t := range own.tips.ofDevice(r.cfg.Device) {
		r.hold(p, t)
	}
	if len(p.inFlight) > 0 {
		p.progress, p.retry = r.now, r.limits.RetryInterval
	}
	p.inFlight, p.unacked, p.restarted = p.inFlight[:0], 0, r.now
	p.todo, p.horizon = nil, r.sealed
	r.agree(p, own)
}

// requeue works out anew what p lacks and is not on its way. What is not sealed stays above the horizon: it may be
// followed by more before it is signed, and a batch cannot end in the middle.
func (r *Replica) requeue(p *peer) {
	r.touch(p)
	p.horizon = r.sealed
	missing := r.graph.Beyond(func(ai causal.ActorIndex) causal.Seq { return r.reach(p, ai) })
	p.todo = r.sendable(causal.Subtract(missing, []causal.Span{{Start: r.sealed, End: r.graph.Len()}}))
	if planted.Is(planted.SkippedChange) && len(p.shared) > 0 && len(p.todo) > 0 {
		first := r.chains.ChangeAt(p.todo[0].Start).Span
		p.todo = causal.Subtract(p.todo, []causal.Span{first})
	}
	for _, f := range p.inFlight {
		p.todo = causal.Subtract(p.todo, f.sent)
	}
}

// agree notes that the peer and this replica both know s.
func (r *Replica) agree(p *peer, s shared) {
	p.compared, p.comparedAt = r.now, s.digest
	if len(p.shared) > 0 && p.shared[0].digest == s.digest {
		return
	}
	p.shared = slices.Insert(slices.Clone(p.shared), 0, s)
	if len(p.shared) > maxShared {
		p.shared = p.shared[:maxShared]
	}
	p.unsaved = true
}

// stepDigest compares a peer's digest with the replica's own.
func (r *Replica) stepDigest(p *peer, m *Digest) {
	own := r.summary()
	equal := m.Digest == own.digest
	switch {
	case equal:
		if p.have == greeting {
			p.have = noHave
		}
		r.hear(p, own.tips, own.digest, false)
		p.acked, p.ackedAt = r.graph.Len(), r.now // it was told, or will be, by the same digest
	case m.Digest == p.offered.digest:
		// The peer has just what this replica had a moment ago.
		r.hear(p, p.offered.tips, m.Digest, false)
		r.agree(p, p.offered)
	}
	switch {
	case !m.Ask:
	case equal && m.Records == r.records.digest():
		// If both asked at the same time, each question answers the other, once.
		p.sayDigest = p.asked != m.Digest
		p.asked = crdt.Hash{}
	case equal && (p.differed != m.Records || p.told != r.records.version || r.now-p.saidHave < r.recordInterval()):
		// The latest records may still be on their way, or wait until p may be sent more. If they differ in the same way the next time, they are not.
		// A summary names all of them, so it is not said too often for their sake.
		p.differed = m.Records
		p.sayDigest = true
	default:
		p.wantHave(true)
	}
}

// stepAck takes in what a peer made durable.
func (r *Replica) stepAck(p *peer, m *Ack) error {
	if !p.heard {
		return nil // without the rest of its summary this says nothing
	}
	if err := r.roomFor(p, m.Tips); err != nil {
		return err
	}
	r.meetSelf(p, m.Tips)
	for i := range m.Tips {
		r.learn(p, m.Tips[i])
	}
	r.land(p)
	return nil
}

// roomFor checks that a peer's summary stays within bounds if it says that it has tips.
func (r *Replica) roomFor(p *peer, tips []crdt.Tip) error {
	n := p.known.len()
	for i := range tips {
		if len(p.known.of(tips[i].Actor)) == 0 {
			n++
		}
	}
	if n > MaxTips {
		return r.refuse(p.device, OverLimit, fmt.Errorf("replica: a summary of %d actors", n))
	}
	return nil
}

// learn notes that a peer holds what t ends.
func (r *Replica) learn(p *peer, t crdt.Tip) {
	if slices.Contains(p.known.of(t.Actor), t) {
		return
	}
	old := p.known.seq(t.Actor)
	r.checkTip(p, t)
	r.hold(p, t)
	if p.apart[t.Actor] || len(r.graph.Branches(t.Actor)) > 1 {
		p.ownKnown().replace(t.Actor, r.join(p.known.of(t.Actor), t))
		p.count.lost = true
		r.requeue(p)
		return
	}
	if t.Seq <= old {
		return
	}
	p.ownKnown().set(t)
	r.tally(p, old, t)
	if len(p.todo) == 0 {
		return
	}
	p.todo = causal.Subtract(p.todo, r.graph.ActorSpans(t.Actor, old+1, t.Seq+1))
}

// land takes off what is in flight and known to have arrived.
func (r *Replica) land(p *peer) {
	landed := func(f flight) bool {
		for _, lv := range f.ends {
			if r.reach(p, r.graph.ActorOf(lv)) < r.graph.Dot(lv).Seq {
				return false
			}
		}
		p.unacked -= f.bytes
		return true
	}
	n := len(p.inFlight)
	p.inFlight = slices.DeleteFunc(p.inFlight, landed)
	if len(p.inFlight) < n {
		p.progress = r.now
		p.retry = r.limits.RetryInterval
	}
}

// tickPeer looks after one connected peer as time passes.
func (r *Replica) tickPeer(p *peer) {
	p.sayAck = false
	if r.ackDue(p) {
		r.tellAll(p)
	}
	p.sayRecords = r.recordsDue(p)
	if slices.ContainsFunc(p.gap, func(t crdt.Tip) bool { return !r.holds(t) }) {
		p.wantHave(false)
	}
	p.gap = nil
	if !p.heard && r.now-max(p.saidHave, p.probed) >= r.limits.RetryInterval {
		p.probed = r.now
		p.wantHave(true)
	}
	if len(p.inFlight) > 0 && r.now >= r.probeAt(p) {
		// Nothing of what was sent has been acknowledged for long: ask what the peer has.
		p.probed = r.now
		p.askDigest = true
	}
	if !r.busyWith(p) {
		p.busySince = -1
	} else if p.busySince < 0 {
		p.busySince = r.now
	}
	if r.keepsUp(p) {
		p.outSince = -1
	} else if p.outSince < 0 {
		p.outSince = r.now
	}
	if r.comparisonDue(p) {
		r.compare(p)
	}
	if at, ok := r.statesAt(p); ok && r.now >= at {
		p.sayStates = true
	}
	if p.unsaved && r.now >= r.saveAt(p) {
		r.savePeer(p)
	}
}

// compare asks p whether it holds the same.
func (r *Replica) compare(p *peer) {
	p.compared, p.comparedAt = r.now, r.summary().digest
	p.askDigest = true
}

// probeAt returns when to ask p what it has if it does not acknowledge anything of what is in flight.
func (r *Replica) probeAt(p *peer) int64 {
	return max(p.progress, p.probed) + min(p.retry, r.limits.DigestInterval)
}

// busyWith reports whether changes are on their way to p on its stream, or about to be.
func (r *Replica) busyWith(p *peer) bool {
	return len(p.inFlight)+len(p.todo) > 0 || p.horizon < r.graph.Len() && !r.gossips(p)
}

// busyAt returns when to compare digests with p although changes are on their way to it.
func (r *Replica) busyAt(p *peer) int64 {
	return max(p.compared, p.busySince) + 3*r.limits.DigestInterval
}

// comparisonDue reports whether to compare digests with p: soon after things have settled, and then now and
// then. While changes are on their way to p it would only say so; but it is not put off for ever.
func (r *Replica) comparisonDue(p *peer) bool {
	since := r.now - p.compared
	switch {
	case !p.heard:
		return false
	case r.busyWith(p):
		return r.now >= r.busyAt(p)
	case since >= r.digestInterval(p):
		return true
	}
	pace := r.pace(p)
	if since >= pace*r.limits.DigestInterval || pace == 1 && min(since, r.now-r.grownAt) >= r.limits.SettleInterval {
		return p.comparedAt != r.Digest()
	}
	return false
}

// digestInterval returns how long after the last comparison with p the next one is due if nothing comes: the longer ago the
// last change was, the longer. A phone in a store where nobody writes is left to sleep.
func (r *Replica) digestInterval(p *peer) int64 {
	quiet := p.compared - max(r.grownAt, p.since, r.records.changed)
	return min(max(quiet/3, r.pace(p)*r.limits.DigestInterval), r.limits.MaxDigestInterval)
}
