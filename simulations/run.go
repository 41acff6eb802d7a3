package simulations

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/peer/replica"
)

// Progress is how far a run is.
type Progress struct {
	// Now is the virtual time, of For that the scenario goes on for; Healing says that this has passed and devices have yet to converge.
	Now, For time.Duration
	Healing  bool
	// Apart is how many different versions honest devices held at the last sample.
	Apart            int
	Changes, Applied int
	Devices          int
}

// Options are what a run may be given beyond its scenario. The zero value is right for most.
type Options struct {
	// Progress is called after each sample, which is a few hundred times in a run, and in large runs more often. If it returns false the run ends.
	Progress func(Progress) bool
	// Trace is called for each line of the trace.
	Trace func(line string)
}

// Simulate runs a scenario to its end and returns what it found. The error says what is wrong with the scenario; what goes wrong in the run
// is in Result.Failures.
func Simulate(sc *Scenario, o Options) (*Result, error) {
	s, err := New(sc)
	if err != nil {
		return nil, err
	}
	s.trace.write = o.Trace
	s.diagram = true
	s.progress = o.Progress
	s.run()
	return s.finish(), nil
}

// run lets the scenario happen, heals everything and waits until all have converged, or the time for that is over.
func (s *Sim) run() {
	sc := s.scenario
	s.forUntil(sc.For, nil)
	if s.stopped || s.result.Interrupted {
		return
	}
	s.healAll()
	s.converge(sc.Expect.Within)
}

// forUntil lets time pass until end, or done says so, or the run cannot go on.
func (s *Sim) forUntil(end time.Duration, done func() bool) {
	for s.queue.len() > 0 && s.queue.heap[0].at <= end && !s.stopped && !s.result.Interrupted {
		s.Step()
		if s.steps++; s.steps%stepsPerReport == 0 {
			s.report()
		}
		if done != nil && done() {
			return
		}
	}
	if !s.stopped && !s.result.Interrupted {
		s.now = max(s.now, end)
	}
}

// converge waits for honest devices to hold the same, and then a little longer for them to say so to each other.
func (s *Sim) converge(within time.Duration) {
	begin := s.now
	step := 20 * time.Millisecond
	for !s.together() {
		if s.now-begin >= within || s.stopped || s.result.Interrupted {
			if !s.stopped && !s.result.Interrupted {
				s.fail(checkConverged, nil, fmt.Sprintf("not within %v of healing: %s", within, s.apart()))
			}
			return
		}
		s.forUntil(min(s.now+step, begin+within), nil)
		step = min(step*11/10, time.Second)
	}
	s.checks.ran(checkConverged)
	s.result.Converged = s.now
	s.forUntil(s.now+settle, nil)
	if !s.together() && !s.stopped && !s.result.Interrupted {
		s.fail(checkConverged, nil, "after they had converged, devices hold different changes again: "+s.apart())
	}
}

// settle is how long a run goes on after devices converged.
const settle = 5 * time.Second

// stepsPerReport is after how many steps at most the one who waits is told how far the run is.
const stepsPerReport = 1 << 14

// report tells the one who waits how far the run is, and reports whether it is to go on.
func (s *Sim) report() bool {
	if s.progress != nil {
		apart := 0
		if n := len(s.result.Samples); n > 0 {
			apart = s.result.Samples[n-1].Apart
		}
		s.result.Interrupted = s.result.Interrupted || !s.progress(Progress{Now: s.now, For: s.scenario.For, Healing: s.healing, Apart: apart, Changes: s.changes, Applied: s.applied, Devices: len(s.devices)})
	}
	return !s.result.Interrupted
}

// sample notes how things stand, checks what can be checked at any time, and plans the next sample.
func (s *Sim) sample() {
	x := Sample{At: s.now, Changes: s.changes, Applied: s.applied, Bytes: s.bytes}
	var most int
	for _, d := range s.devices {
		if d.r == nil {
			if d.joined && !d.left {
				x.Down++
			}
			continue
		}
		if d.offline == 0 {
			x.Online++
		}
		if d.counts() {
			most = max(most, int(d.r.Chains().Graph().Len()))
		}
	}
	for _, d := range s.devices {
		if d.r != nil && d.counts() {
			x.Behind += most - int(d.r.Chains().Graph().Len())
		}
	}
	s.present = x.Online
	compared := maxCompared
	if len(s.devices) > maxSmall {
		compared = maxComparedBig
	}
	x.Apart = s.compare(compared)
	if n := len(s.devices); n > 0 {
		if d := s.devices[len(s.result.Samples)%n]; d.r != nil && d.counts() {
			if !d.syncing {
				s.bounded(d)
				s.delivered(d)
			}
			if len(s.devices) <= maxSmall && len(s.result.Samples)%oracleEvery == 0 {
				s.askOracle(d)
			}
		}
	}
	s.result.Samples = append(s.result.Samples, x)
	if !s.report() {
		return
	}
	every := s.scenario.Every
	if s.healing {
		every = min(every, 500*time.Millisecond)
	}
	s.after(every, s.sample)
}

// oracleEvery is after how many samples the oracle is asked in a run that is under way.
const oracleEvery = 10

// finish makes the checks of the end and returns the result.
func (s *Sim) finish() *Result {
	r := s.result
	if !r.Interrupted && !s.stopped {
		s.finalChecks()
	}
	for _, i := range s.open {
		r.Spans[i].To = s.now
	}
	clear(s.open)
	s.trace.note(s.now, markEnd, s.changes, s.applied, s.bytes, func() string {
		return fmt.Sprintf("the end: %d changes, %d applied, %d bytes", s.changes, s.applied, s.bytes)
	})
	for _, d := range s.devices {
		if d.r != nil {
			digest := d.r.State().Digest()
			s.trace.bytes(digest[:])
		}
	}
	r.Trace = s.trace.sum()
	r.Ended = s.now
	r.Changes, r.Applied, r.Messages, r.Bytes = s.changes, s.applied, s.messages, s.bytes
	r.Faults, r.Checked, r.Ops = s.faults.counts(), s.checks.counts(), s.ops
	r.Devices = nil
	for _, d := range s.devices {
		r.Devices = append(r.Devices, DeviceResult{Name: d.name, Liar: d.liar != nil, Left: d.left, Sent: d.sent, Received: d.received, Authored: d.authored,
			Applied: d.applied, MaxPending: d.maxPending, Crashes: d.crashes, Lag: d.lag, Actors: d.ownActors})
	}
	for _, d := range s.devices {
		if d.r != nil && d.counts() {
			s.conflicts(d)
			if state := d.r.State().JSON(); len(state) <= maxStateJSON {
				r.State = state
			}
			break
		}
	}
	return r
}

// maxStateJSON bounds Result.State.
const maxStateJSON = 256 << 10

// conflicts notes where writes met.
func (s *Sim) conflicts(d *Device) {
	side := func(c crdt.Conflict) ConflictSide {
		out := ConflictSide{Value: cutText(string(c.Value.AppendJSON(nil)), 120), At: time.Duration(c.Time-s.start) * time.Millisecond}
		if dev := s.devID[c.Actor.Device]; dev != nil {
			out.Device = dev.name
		}
		return out
	}
	d.r.State().AllConflicts(func(path []string, all []crdt.Conflict) bool {
		c := Conflict{Path: crdt.FormatPointer(path), Winner: side(all[0])}
		for _, o := range all[1:] {
			c.Others = append(c.Others, side(o))
		}
		s.result.Conflicts = append(s.result.Conflicts, c)
		return len(s.result.Conflicts) < MaxConflicts
	})
}

// spanKey names a span that has not ended.
type spanKey struct {
	what   string
	device *Device
}

// maxSpans bounds the spans that are kept.
const maxSpans = 100_000

// begin notes that something is amiss from now on. d is nil if it is the network.
func (s *Sim) begin(what string, d *Device, detail string) {
	key := spanKey{what, d}
	if _, ok := s.open[key]; ok || len(s.result.Spans) >= maxSpans {
		return
	}
	sp := Span{What: what, From: s.now, To: s.now, Detail: detail}
	if d != nil {
		sp.Devices = []int{d.number}
	}
	s.open[key] = len(s.result.Spans)
	s.result.Spans = append(s.result.Spans, sp)
}

// end notes that it is over.
func (s *Sim) end(what string, d *Device) {
	if i, ok := s.open[spanKey{what, d}]; ok {
		s.result.Spans[i].To = s.now
		delete(s.open, spanKey{what, d})
	}
}

// record keeps a message for the space-time diagram, while there are few.
func (s *Sim) record(p *parcel) {
	p.index = -1
	if !s.diagram {
		return
	}
	if len(s.result.Sent) >= MaxDiagram || len(s.devices) > maxSmall {
		s.diagram, s.result.Sent = false, nil
		return
	}
	p.index = len(s.result.Sent)
	s.result.Sent = append(s.result.Sent, SentMessage{From: p.from.number, To: p.to.number, Sent: s.now, Arrived: s.now, Kind: p.kind(), Size: p.size, Text: cutText(p.String(), 300)})
}

// messageKind names a message in a word.
func messageKind(m replica.Message) string {
	return strings.TrimPrefix(fmt.Sprintf("%T", m), "*replica.")
}

// sameJSON reports whether two texts are the same JSON value, or else the same text.
func sameJSON(a, b string) bool {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return a == b
	}
	return reflect.DeepEqual(x, y)
}
