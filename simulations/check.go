package simulations

import (
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/oracle"
	"github.com/atollsync/atoll/peer/replica"
)

// check is something that must hold.
type check int

const (
	checkState check = iota
	checkOracle
	checkLost
	checkOnce
	checkConverged
	checkBounded
	checkHonest
	checkFaults
	checkRestart
	checkPanic
	checkShows
	checkForks
	checkSettled
	checkDelivery
	checkKinds
)

var checkNames = [checkKinds]string{
	checkState:     "equal versions mean equal state",
	checkOracle:    "the state is what the oracle says",
	checkLost:      "nothing acknowledged is lost",
	checkOnce:      "watchers see each change once and in causal order",
	checkConverged: "honest devices converge",
	checkBounded:   "memory stays bounded",
	checkHonest:    "honest devices understand each other",
	checkFaults:    "every fault asked for was seen",
	checkRestart:   "a device that starts again has what was synced",
	checkPanic:     "no panic",
	checkShows:     "what is expected is shown",
	checkForks:     "forks are known",
	checkSettled:   "nothing is left waiting",
	checkDelivery:  "no device is believed to hold what it does not",
}

// checkTable counts checks.
type checkTable [checkKinds]int

func (t *checkTable) ran(c check) { t[c]++ }

func (t *checkTable) counts() []CheckCount {
	var out []CheckCount
	for c, n := range t {
		if n > 0 {
			out = append(out, CheckCount{Name: checkNames[c], Runs: n})
		}
	}
	return out
}

// maxFailed bounds the failures that are kept.
const maxFailed = 100

// fail notes that something must not be. d is nil if it is about all.
func (s *Sim) fail(c check, d *Device, detail string) {
	name, number := "", -1
	if d != nil {
		name, number = d.name, d.number
	}
	s.trace.note(s.now, markFailure, int(c), number, 0, func() string { return "FAILURE: " + checkNames[c] + ": " + name + ": " + detail })
	if len(s.result.Failures) < maxFailed {
		s.result.Failures = append(s.result.Failures, Failure{Check: checkNames[c], At: s.now, Device: name, Detail: detail})
	}
	if c == checkPanic || c == checkRestart {
		s.stopped = true
	}
}

// guard makes a panic a failure, after which the run cannot go on. d is whose replica was at work, nil if that is not known.
func (s *Sim) guard(d *Device) {
	if p := recover(); p != nil {
		s.fail(checkPanic, d, fmt.Sprintf("%v\n%s", p, debug.Stack()))
		if d != nil {
			d.r, d.syncing = nil, false
		}
	}
}

// show is what a device's watchers see. Events come in the order of the log, which is a causal one: so each must show the next change of it.
func (s *Sim) show(d *Device, events []crdt.Event) {
	g := d.r.Chains().Graph()
	for i := range events {
		for _, c := range events[i].Changes {
			s.checks.ran(checkOnce)
			end := d.shown + causal.LV(c.Len)
			if end > g.Len() || g.Dot(end-1) != c.Dot {
				s.fail(checkOnce, d, fmt.Sprintf("shown %s at place %d of the log, where something else is", s.text(c.Dot), d.shown))
				d.shown = g.Len()
				return
			}
			s.parents = g.AppendParents(s.parents[:0], d.shown)
			for _, p := range s.parents {
				if p >= d.shown {
					s.fail(checkOnce, d, fmt.Sprintf("shown %s before what it builds on", s.text(c.Dot)))
				}
			}
			d.shown = end
			s.track(d, c)
		}
	}
}

// spreading is how far a change has come.
type spreading struct {
	author *Device
	at     time.Duration
	have   int
}

// maxTracked bounds the changes whose way is followed.
const maxTracked = 50_000

// track follows a change on its way to all.
func (s *Sim) track(d *Device, c crdt.ChangeNote) {
	key := c.Dot
	sp := s.spreading[key]
	if sp == nil {
		if len(s.spreading) >= maxTracked || c.Actor.Device != d.id {
			return
		}
		if s.spreading == nil {
			s.spreading = make(map[causal.Dot]*spreading)
		}
		sp = &spreading{author: d, at: s.now}
		s.spreading[key] = sp
	}
	sp.have++
	need := 0
	if sp.have >= s.present {
		for _, e := range s.devices {
			if e.counts() && e.r != nil && e.offline == 0 {
				need++
			}
		}
		if sp.have >= need {
			sp.author.lag = max(sp.author.lag, s.now-sp.at)
			delete(s.spreading, key)
		}
	}
}

// compare checks that devices which hold the same show the same, at most so many of each version, and returns how many different versions the
// honest devices that run hold. Each time it begins with another device.
func (s *Sim) compare(most int) (apart int) {
	s.versions = s.versions[:0]
	for i := range s.devices {
		d := s.devices[(i+len(s.result.Samples)*most)%len(s.devices)]
		if d.r == nil || !d.counts() || d.syncing {
			continue
		}
		digest := d.r.Chains().Digest()
		i := slices.IndexFunc(s.versions, func(v heldVersion) bool { return v.digest == digest })
		if i < 0 {
			s.versions = append(s.versions, heldVersion{digest: digest, device: d})
			continue
		}
		v := &s.versions[i]
		if v.compared >= most {
			continue
		}
		v.compared++
		s.checks.ran(checkState)
		if v.state == (crdt.Hash{}) {
			v.state = v.device.r.State().Digest()
		}
		if d.r.State().Digest() != v.state {
			s.fail(checkState, d, fmt.Sprintf("it holds the same changes as %s and shows something else: %s, and %s", v.device.name, differ(d.r.State(), v.device.r.State()), v.device.name))
		}
	}
	return len(s.versions)
}

// heldVersion is a version that devices hold.
type heldVersion struct {
	digest, state crdt.Hash
	device        *Device
	compared      int
}

// maxCompared is how many devices' states are compared for a version at one time, and maxComparedBig in a run of many devices, before its end:
// their digests read all of a state.
const (
	maxCompared    = 20
	maxComparedBig = 4
)

// differ returns the JSON of a slice that two states show differently.
func differ(a, b *crdt.State) string {
	x, y := a.SliceDigests(), b.SliceDigests()
	for i := range x {
		if i >= len(y) || x[i] != y[i] {
			return fmt.Sprintf("slice %q; in all %s; %s", x[i].Name, cutText(a.JSON(), 400), cutText(b.JSON(), 400))
		}
	}
	return "slices that are missing"
}

func cutText(s string, n int) string {
	if len(s) > n {
		return s[:n] + "..."
	}
	return s
}

// oracleLimit is up to how many changes the oracle is asked: it takes more than linear time.
const oracleLimit = 100

// askOracle compares what a device shows, or would show at a part of what it holds that is small enough, with the oracle.
func (s *Sim) askOracle(d *Device) {
	if d.r == nil || d.syncing {
		return
	}
	changes := d.disk.first(oracleLimit)
	if len(changes) == 0 {
		return
	}
	end := changes[len(changes)-1].Span.End
	state := d.r.State()
	if end < d.r.Chains().Graph().Len() {
		var err error
		if state, err = crdt.At(d.r.Chains(), headsBelow(d.r.Chains().Graph(), end), d.disk); err != nil {
			s.fail(checkOracle, d, err.Error())
			return
		}
	}
	s.checks.ran(checkOracle)
	want, err := meaning(s.store, d.r.Chains(), changes)
	if err != nil {
		s.fail(checkOracle, d, "oracle: "+err.Error())
		return
	}
	if got := state.JSON(); got != want.JSON() {
		s.fail(checkOracle, d, fmt.Sprintf("%d changes give %s, the oracle says %s", len(changes), cutText(got, 2000), cutText(want.JSON(), 2000)))
	}
}

// meaning returns what the oracle says of changes, which a device holds.
func meaning(store crdt.StoreID, chains *crdt.Chains, changes []crdt.Accepted) (*oracle.Store, error) {
	if !chains.Graph().Forked() {
		plain := make([]*crdt.Change, len(changes))
		for i := range changes {
			plain[i] = changes[i].Change
		}
		return oracle.Of(plain)
	}
	hashed := slices.Clone(changes)
	for i := range hashed {
		tip, err := chains.TipAt(hashed[i].Span.Start)
		if err != nil {
			return nil, err
		}
		hashed[i].Hash = tip.Hash
	}
	return oracle.OfForked(store, hashed)
}

// headsBelow returns the heads of the ops below end.
func headsBelow(g *causal.Graph, end causal.LV) []causal.LV {
	seen := make([]bool, end)
	var heads []causal.LV
	for lv := end - 1; lv >= 0; lv-- {
		if !seen[lv] {
			heads = append(heads, lv)
		}
		for _, p := range g.Parents(lv) {
			seen[p] = true
		}
	}
	slices.Sort(heads)
	return heads
}

// What a replica may keep for a peer and of what waits: the defaults of replica.Limits, said here so that they can be checked.
const (
	windowBytes  = 8 << 20
	pendingBytes = 32 << 20
)

// bounded checks that a device keeps no more than it may, and returns its status.
func (s *Sim) bounded(d *Device) replica.Status {
	s.checks.ran(checkBounded)
	st := d.r.Status(d.now())
	if st.PendingBytes > s.limits.PendingBytes {
		s.fail(checkBounded, d, fmt.Sprintf("%d bytes are pending, the limit is %d", st.PendingBytes, s.limits.PendingBytes))
	}
	for _, p := range st.Peers {
		if p.Unacked > s.limits.Window+2*crdt.TargetBatchBytes { // a batch may overrun it
			s.fail(checkBounded, d, fmt.Sprintf("%d bytes are on their way to one peer", p.Unacked))
		}
	}
	return st
}

// delivered checks that whoever a device believes to hold its last change has it on disk.
func (s *Sim) delivered(d *Device) {
	if len(d.acked) == 0 {
		return
	}
	dot := d.acked[len(d.acked)-1].dot
	for _, id := range d.r.Delivery(dot).Holders {
		h := s.devID[id]
		if h == nil || h.suspect || !h.honest() {
			continue // its word was true once, or never
		}
		s.checks.ran(checkDelivery)
		if !h.disk.holds(dot) {
			s.fail(checkDelivery, d, fmt.Sprintf("it believes that %s holds %s durably", h.name, s.text(dot)))
		}
	}
}

// together reports whether all honest devices hold the same, as cheaply as that can be told.
func (s *Sim) together() bool {
	var first *Device
	for _, d := range s.devices {
		if !d.counts() {
			continue
		}
		if d.r == nil || d.syncing || len(d.inbox) > 0 {
			return false
		}
		if first == nil {
			first = d
		} else if d.r.Chains().Graph().Len() != first.r.Chains().Graph().Len() {
			return false
		}
	}
	if first == nil {
		return true
	}
	digest := first.r.Chains().Digest()
	for _, d := range s.devices {
		if d.counts() && d.r.Chains().Digest() != digest {
			return false
		}
	}
	return true
}

// apart says in words what keeps devices apart.
func (s *Sim) apart() string {
	var first *Device
	for _, d := range s.devices {
		switch {
		case !d.counts():
		case d.r == nil:
			return d.name + " is down"
		case first == nil:
			first = d
		case d.r.Chains().Digest() != first.r.Chains().Digest():
			return fmt.Sprintf("%s holds %d ops at %v, %s %d at %v", first.name, first.r.Chains().Graph().Len(), s.tips(first), d.name, d.r.Chains().Graph().Len(), s.tips(d))
		}
	}
	return "something is under way all the time"
}

func (s *Sim) tips(d *Device) []string {
	var out []string
	for i, t := range d.r.Chains().Tips() {
		if i == 12 {
			out = append(out, "...")
			break
		}
		out = append(out, s.text(t.Dot())+"#"+t.Hash.String())
	}
	return out
}

// finalChecks are those of a run that has ended.
func (s *Sim) finalChecks() {
	s.compare(maxCompared)
	allowed := s.scenario.Expect.Lost
	if lost := s.countLost(); allowed >= 0 && lost > allowed {
		s.fail(checkLost, nil, fmt.Sprintf("%d acknowledged changes are not on every honest device%s", lost, s.lostDetail))
	}
	for i, d := range s.devices {
		if d.r == nil || !d.counts() {
			continue
		}
		st := s.bounded(d)
		if i < 5 || len(s.devices) <= maxSmall {
			s.askOracle(d)
		}
		if s.result.Converged > 0 {
			s.checks.ran(checkSettled)
			if st.PendingBatches > 0 && !s.lied() {
				s.fail(checkSettled, d, fmt.Sprintf("%d batches still wait for %v", st.PendingBatches, st.PendingFor))
			}
			if d.shown != d.r.Chains().Graph().Len() {
				s.fail(checkOnce, d, fmt.Sprintf("watchers were shown %d ops of %d", d.shown, d.r.Chains().Graph().Len()))
			}
		}
	}
	s.checkExpected()
	s.checks.ran(checkFaults)
	for f, c := range s.faults {
		if c.Asked > 0 && c.Seen == 0 {
			s.fail(checkFaults, nil, fmt.Sprintf("%s was asked for and never happened", faultNames[f]))
		}
	}
	for _, name := range s.scenario.Expect.Faults {
		i := slices.Index(faultNames[:], name)
		switch {
		case i < 0:
			s.fail(checkFaults, nil, fmt.Sprintf("there is no fault %q", name))
		case s.faults[i].Seen == 0:
			s.fail(checkFaults, nil, fmt.Sprintf("%s was expected and never happened", name))
		}
	}
}

// lied reports whether a device of the run is a liar.
func (s *Sim) lied() bool {
	return slices.ContainsFunc(s.devices, func(d *Device) bool { return d.liar != nil })
}

// countLost returns how many changes that honest devices acknowledged are not on every honest device.
func (s *Sim) countLost() int {
	missed := make([][]bool, len(s.devices)) // by author, and its acknowledged changes
	lost := 0
	for _, d := range s.devices { // one device after another: what it holds is then at hand
		if d.r == nil || !d.counts() {
			continue
		}
		chains := d.r.Chains()
		for i, author := range s.devices {
			if !author.honest() {
				continue
			}
			for j, ack := range author.acked {
				s.checks.ran(checkLost)
				held, err := chains.Holds(crdt.Tip{Actor: ack.dot.Actor, Seq: ack.dot.Seq, Hash: ack.hash})
				if held && err == nil || missed[i] != nil && missed[i][j] {
					continue
				}
				if missed[i] == nil {
					missed[i] = make([]bool, len(author.acked))
				}
				missed[i][j] = true
				lost++
				if s.lostDetail == "" {
					s.lostDetail = fmt.Sprintf(": %s, acknowledged on %s at %v, is not on %s", s.text(ack.dot), author.name, ack.at, d.name)
				}
			}
		}
	}
	return lost
}

// checkExpected checks what the scenario expects of the values shown and the forks known.
func (s *Sim) checkExpected() {
	for _, d := range s.devices {
		if d.r == nil || !d.counts() {
			continue
		}
		for _, x := range s.scenario.Expect.Shows {
			s.checks.ran(checkShows)
			got := "nothing"
			if keys, err := crdt.ParsePointer(x.Path); err != nil {
				got = err.Error()
			} else if v := d.r.State().Path(keys...); v.Exists() {
				got = v.JSON()
			}
			if !sameJSON(got, x.JSON) {
				s.fail(checkShows, d, fmt.Sprintf("%s%s shows %s, expected %s", where(x.Line), x.Path, cutText(got, 400), cutText(x.JSON, 400)))
			}
		}
		if want := s.scenario.Expect.Forks; want >= 0 {
			s.checks.ran(checkForks)
			if got := len(d.r.Status(d.now()).Forks); got != want {
				s.fail(checkForks, d, fmt.Sprintf("it knows of %d forked actors, expected %d", got, want))
			}
		}
		if len(s.devices) > maxSmall {
			break
		}
	}
}
