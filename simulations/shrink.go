package simulations

import (
	"slices"
	"time"
)

// Shrinking makes a failing scenario smaller.
type Shrinking struct {
	// Run simulates a scenario. Required.
	Run func(*Scenario) *Result
	// Runs is how often it may be called. Default 2,000.
	Runs int
	// Progress, if not nil, is told after each run how many there were and how large the smallest scenario is that fails.
	Progress func(runs int, size Size)
}

// Size is how large a scenario is.
type Size struct {
	Devices int
	// Ops are those in the timeline; of a workload nobody knows before it ran, so it counts as what its run made.
	Ops int
	// Faults are events of the timeline that are no ops, schedules, lies, and settings of links, clocks and disks.
	Faults int
	For    time.Duration
}

// Shrink returns the smallest scenario it found that still fails the check that failed first in failed, the result of a run of s, and
// the result of its run. Workloads become single ops; then devices, ops, faults and time are taken away as long as the run still fails
// (delta debugging: Zeller, Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002). s is not
// changed. If failed did not fail, s is returned as it is.
func (g Shrinking) Shrink(s *Scenario, failed *Result) (*Scenario, *Result) {
	if failed.OK() {
		return s, failed
	}
	if g.Runs == 0 {
		g.Runs = 2_000
	}
	sh := &shrinker{Shrinking: g, check: failed.Failures[0].Check, best: s.clone(), result: failed}
	sh.best.Seed = failed.Seed
	sh.size = sh.best.size(failed)
	sh.materialise(failed)
	for again := true; again && sh.runs < sh.Runs; {
		again = sh.devices()
		again = sh.timeline() || again
		again = sh.settings() || again
		again = sh.time() || again
	}
	sh.best.Name = s.Name + "-small"
	sh.best.Question = "Made smaller from " + orUnnamed(s.Name) + ": the check that fails is: " + sh.check + "."
	return sh.best, sh.result
}

func orUnnamed(name string) string {
	if name == "" {
		return "a scenario without a name"
	}
	return name
}

// shrinker is a shrinking under way.
//
// Invariant: result is that of a run of best and fails check.
type shrinker struct {
	Shrinking
	check  string
	best   *Scenario
	result *Result
	size   Size
	runs   int
}

// try runs a candidate, and keeps it if it fails as it should.
func (sh *shrinker) try(c *Scenario) bool {
	if sh.runs >= sh.Runs {
		return false
	}
	sh.runs++
	r := sh.Run(c)
	fails := slices.ContainsFunc(r.Failures, func(f Failure) bool { return f.Check == sh.check })
	if fails {
		sh.best, sh.result, sh.size = c, r, c.size(r)
	}
	if sh.Progress != nil {
		sh.Progress(sh.runs, sh.size)
	}
	return fails
}

// materialise replaces workloads by the ops that they made: all of them together, or one after the other.
func (sh *shrinker) materialise(r *Result) {
	if len(sh.best.Workloads) == 0 {
		return
	}
	c := sh.best.clone()
	c.Workloads = nil
	c.Timeline = merge(c.Timeline, recorded(r.Ops))
	sh.try(c)
}

// recorded returns ops that were made as events.
func recorded(ops []RecordedOp) []Event {
	events := make([]Event, len(ops))
	for i, op := range ops {
		events[i] = Event{At: op.At, Action: Do{Device: op.Device, Op: op.Op}}
	}
	return events
}

// merge returns all events by time, those of a before those of b at the same time.
func merge(a, b []Event) []Event {
	out := append(slices.Clone(a), b...)
	slices.SortStableFunc(out, func(a, b Event) int { return int(min(max(a.At-b.At, -1), 1)) })
	return out
}

// timeline takes away events: half of them, then quarters, down to single ones.
func (sh *shrinker) timeline() bool {
	// Events of workloads that could not be replaced are not here.
	shrunk := false
	for chunk := (len(sh.best.Timeline) + 1) / 2; chunk > 0; chunk /= 2 {
		for from := 0; from < len(sh.best.Timeline); {
			c := sh.best.clone()
			c.Timeline = slices.Delete(c.Timeline, from, min(from+chunk, len(c.Timeline)))
			if !sh.try(c) {
				from += chunk
				continue
			}
			shrunk = true
		}
		if sh.runs >= sh.Runs {
			break
		}
	}
	return shrunk
}

// time makes the run shorter: less at its end, and less between events.
func (sh *shrinker) time() bool {
	shrunk := false
	end := time.Duration(0)
	for _, e := range sh.best.Timeline {
		end = max(end, e.At)
	}
	for _, to := range []time.Duration{end + time.Second, end + 10*time.Second, end + time.Minute, end + 10*time.Minute, sh.best.For / 2} {
		if len(sh.best.Workloads) == 0 && to < sh.best.For && to >= end {
			c := sh.best.clone()
			c.For = to
			if sh.try(c) {
				shrunk = true
				break
			}
		}
	}
	for _, gap := range []time.Duration{100 * time.Millisecond, time.Second, 10 * time.Second, time.Minute, 10 * time.Minute} {
		c := sh.best.clone()
		if c.squeeze(gap) && sh.try(c) {
			shrunk = true
			break
		}
	}
	return shrunk
}

// squeeze moves events together so that none is later than gap after the one before. It reports whether anything moved.
func (s *Scenario) squeeze(gap time.Duration) bool {
	if len(s.Workloads) > 0 {
		return false
	}
	s.Timeline = merge(s.Timeline, nil)
	var before, cut time.Duration
	for i := range s.Timeline {
		e := &s.Timeline[i]
		at := e.At
		if over := at - before - gap; over > 0 {
			cut += over
		}
		before = at
		e.At -= cut
	}
	s.For = max(s.For-cut, time.Second)
	return cut > 0
}

// SizeOf returns how large s is, of which r is the run.
func SizeOf(s *Scenario, r *Result) Size { return s.size(r) }

// size returns how large s is, of which r is the run.
func (s *Scenario) size(r *Result) Size {
	z := Size{For: s.For}
	for _, g := range s.Devices {
		z.Devices += g.count()
	}
	for _, e := range s.Timeline {
		if _, ok := e.Action.(Do); ok {
			z.Ops++
		} else {
			z.Faults++
		}
	}
	if len(s.Workloads) > 0 {
		z.Ops = max(z.Ops, len(r.Ops))
	}
	z.Faults += len(s.reductions())
	return z
}

// clone returns a copy of s that shares nothing with it that is written to here.
func (s *Scenario) clone() *Scenario {
	c := *s
	c.Devices = slices.Clone(s.Devices)
	for i := range c.Devices {
		c.Devices[i].Lies = slices.Clone(s.Devices[i].Lies)
		c.Devices[i].Online.Offline = slices.Clone(s.Devices[i].Online.Offline)
	}
	c.Network.Links = slices.Clone(s.Network.Links)
	c.Timeline = slices.Clone(s.Timeline)
	c.Workloads = slices.Clone(s.Workloads)
	c.Expect.Shows = slices.Clone(s.Expect.Shows)
	return &c
}
