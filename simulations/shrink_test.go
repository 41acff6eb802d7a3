package simulations

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// runIf returns a run that fails a check if what it is asked of a scenario is true.
func runIf(bad func(*Scenario) bool) func(*Scenario) *Result {
	return func(s *Scenario) *Result {
		r := &Result{Scenario: s, Seed: s.Seed}
		for i, w := range s.Workloads {
			for j := range w.Ops {
				r.Ops = append(r.Ops, RecordedOp{At: time.Duration(j) * time.Minute, Device: "phone-2", Op: Op{Text: fmt.Sprintf("op %d.%d", i, j)}})
			}
		}
		if bad(s) {
			r.Failures = []Failure{{Check: "it must not be bad"}}
		}
		return r
	}
}

// wrote reports whether a device does an op in a scenario, by itself or as a workload's.
func wrote(s *Scenario, device, op string) bool {
	for _, w := range s.Workloads {
		var i, j int
		if n, _ := fmt.Sscanf(op, "op %d.%d", &i, &j); n == 2 && j < w.Ops {
			return true
		}
	}
	return slices.ContainsFunc(s.Timeline, func(e Event) bool {
		do, ok := e.Action.(Do)
		return ok && do.Device == device && do.Op.Text == op
	})
}

func has[A Action](s *Scenario) bool {
	return slices.ContainsFunc(s.Timeline, func(e Event) bool { _, ok := e.Action.(A); return ok })
}

// What a failure does not need goes: ops of a workload, devices, faults, settings and time.
func TestShrink(t *testing.T) {
	s := &Scenario{
		Name: "large", Seed: 7, For: 24 * time.Hour,
		Devices: []Group{{Name: "phone", Count: 5, Clock: Clock{Skew: time.Hour}, Lies: []Lie{{Kind: Flood}}}, {Name: "laptop", Count: 4, Online: Schedule{Preset: "office"}}, {Name: "liar"}},
		Network: Network{Link: Link{Loss: 5, Jitter: time.Second, Reorder: 2}, Links: []LinkBetween{{A: "phone", B: "laptop", Link: Link{Loss: 3}}}},
		Timeline: []Event{
			{At: time.Hour, Action: Partition{Sides: [][]string{{"phone-2"}, {"laptop"}}}},
			{At: 2 * time.Hour, Action: Crash{Devices: []string{"phone-2", "laptop-1"}}},
			{At: 3 * time.Hour, Action: Offline{Devices: []string{"laptop"}, For: time.Hour}},
			{At: 4 * time.Hour, Action: Heal{}},
		},
		Workloads: []Workload{{Ops: 500}},
	}
	bad := func(s *Scenario) bool {
		return wrote(s, "phone-2", "op 0.123") && wrote(s, "phone-2", "op 0.321") && has[Crash](s) && s.Network.Link.Loss > 0
	}
	run := runIf(bad)
	small, r := Shrinking{Run: run}.Shrink(s, run(s))
	if r.OK() || !bad(small) {
		t.Fatal("what came out does not fail")
	}
	want := small.size(r)
	if want.Devices > 1 || want.Ops != 2 || want.Faults != 2 {
		t.Errorf("left: %+v\n%+v", want, small)
	}
	if want.For > 10*time.Second {
		t.Errorf("it takes %v", want.For)
	}
	if s.Network.Link.Reorder != 2 || len(s.Devices) != 3 || len(s.Workloads) != 1 || len(s.Timeline) != 4 {
		t.Error("the scenario given was changed")
	}
}

// A failure that needs its workload keeps it, and another failure than the first is none.
func TestShrinkKeepsTheFailure(t *testing.T) {
	s := &Scenario{For: time.Hour, Devices: []Group{{Name: "a"}, {Name: "b"}}, Workloads: []Workload{{Ops: 10}}, Timeline: []Event{{Action: Heal{}}}}
	run := func(s *Scenario) *Result {
		r := &Result{Scenario: s}
		switch {
		case len(s.Workloads) > 0:
			r.Failures = []Failure{{Check: "first"}}
		default:
			r.Failures = []Failure{{Check: "another"}}
		}
		return r
	}
	small, r := Shrinking{Run: run}.Shrink(s, run(s))
	if len(small.Workloads) != 1 || r.Failures[0].Check != "first" {
		t.Errorf("kept %+v, %+v", small, r.Failures)
	}
	if len(small.Devices) != 1 || len(small.Timeline) != 0 {
		t.Errorf("left: %+v", small)
	}
}

// The number of runs is bounded.
func TestShrinkIsBounded(t *testing.T) {
	s := &Scenario{For: time.Hour, Devices: []Group{{Name: "a", Count: 50}}, Workloads: []Workload{{Ops: 1000}}}
	n := 0
	run := func(s *Scenario) *Result {
		n++
		r := runIf(func(s *Scenario) bool { return true })(s)
		if len(s.Timeline) < 900 && len(s.Workloads) == 0 {
			r.Failures = nil
		}
		return r
	}
	failed := run(s)
	n = 0
	told := 0
	small, r := Shrinking{Run: run, Runs: 40, Progress: func(runs int, z Size) { told = runs }}.Shrink(s, failed)
	if n > 40 || told != n || r.OK() {
		t.Errorf("%d runs, told %d", n, told)
	}
	if again := run(small); again.OK() {
		t.Error("what came out does not fail")
	}
}
