//go:build planted

package simulations_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/atollsync/atoll/internal/planted"
	"github.com/atollsync/atoll/simulations"
)

var showShrunk = flag.Bool("planted.show", false, "print the small scenario that each planted bug comes down to")

// Bounds that a planted bug must be found and made small within.
const (
	plantedSeeds   = 1_000
	plantedDevices = 3
	plantedOps     = 10
)

// plantedBugs says for each planted bug where it is looked for, and what must find it.
var plantedBugs = []struct {
	bug      planted.Bug
	scenario func(seed uint64) *simulations.Scenario
	check    string // part of the name of one that finds it
}{
	{planted.LostRetry, rough, "left waiting"},
	{planted.ForgetfulRemove, sets, ""},
	{planted.TieByArrival, paragraph, ""},
	{planted.SendBeforeSync, power, ""},
	{planted.AckBeforeSync, power, "believed"},
	{planted.SkippedChange, rough, "converge"},
	{planted.CountedTwice, counters, ""},
	{planted.ShownEarly, rough, "watchers"},
	{planted.ReissuedDot, backups, "forks"},
	{planted.DigestIgnoresHash, twoFaces, "converge"},
}

// rough is a network that loses, doubles and delays, with devices that come and go.
func rough(seed uint64) *simulations.Scenario {
	return &simulations.Scenario{
		Name: "rough", Seed: seed, For: 4 * time.Minute,
		Devices:   []simulations.Group{{Name: "laptop", Count: 3}, {Name: "phone", Online: simulations.Schedule{Offline: []simulations.Window{{From: time.Minute, To: 2 * time.Minute}}}}},
		Network:   simulations.Network{GossipAbove: 1, Link: simulations.Link{Loss: 5, Duplicate: 3, Reorder: 10, Jitter: 200 * time.Millisecond}},
		Timeline:  []simulations.Event{{At: time.Minute, Action: simulations.Partition{Sides: [][]string{{"laptop-1"}, {"laptop-2"}}}}, {At: 2 * time.Minute, Action: simulations.Heal{}}},
		Workloads: []simulations.Workload{{Ops: 120}},
	}
}

// sets is devices that add and remove while they are apart.
func sets(seed uint64) *simulations.Scenario {
	s := rough(seed)
	s.Name = "sets"
	s.Workloads = []simulations.Workload{{Ops: 80, Slices: []simulations.SliceKind{{Name: "tags", Kind: "set"}}}}
	return s
}

// paragraph is devices that type at one place.
func paragraph(seed uint64) *simulations.Scenario {
	s := rough(seed)
	s.Name = "paragraph"
	s.Workloads = []simulations.Workload{{Ops: 60, Slices: []simulations.SliceKind{{Name: "notes", Kind: "text"}}}}
	return s
}

// counters is devices that count, over a network that doubles messages.
func counters(seed uint64) *simulations.Scenario {
	s := rough(seed)
	s.Name = "counters"
	s.Network.Link.Duplicate = 20
	s.Workloads = []simulations.Workload{{Ops: 80, Slices: []simulations.SliceKind{{Name: "visits", Kind: "counter"}}}}
	return s
}

// power is devices whose power is cut while they write.
func power(seed uint64) *simulations.Scenario {
	s := rough(seed)
	s.Name = "power"
	s.Timeline = nil
	for i := range 6 {
		at := time.Duration(i+1) * 30 * time.Second
		s.Timeline = append(s.Timeline,
			simulations.Event{At: at, Action: simulations.Crash{Devices: []string{"laptop-1"}, During: "write"}},
			simulations.Event{At: at + 7*time.Second, Action: simulations.Crash{Devices: []string{"laptop-2"}, During: "merge"}})
	}
	return s
}

// backups is a device whose disk is replaced by an older one.
func backups(seed uint64) *simulations.Scenario {
	s := rough(seed)
	s.Name = "backups"
	s.Timeline = []simulations.Event{
		{At: time.Minute, Action: simulations.Backup{Device: "laptop-1"}},
		{At: 2 * time.Minute, Action: simulations.Restore{Device: "laptop-1"}},
	}
	return s
}

// twoFaces is a liar who tells two devices two stories while they cannot hear each other, which they do not notice, and is never seen again.
func twoFaces(seed uint64) *simulations.Scenario {
	return &simulations.Scenario{
		Name: "two-faces", Seed: seed, For: time.Minute,
		Devices: []simulations.Group{{Name: "left"}, {Name: "right"}, {Name: "liar", Leaves: simulations.Window{From: 17 * time.Second}}},
		Timeline: []simulations.Event{
			{At: 10 * time.Second, Action: simulations.Cut{From: []string{"left"}, To: []string{"right"}}},
			{At: 15 * time.Second, Action: simulations.Tell{Device: "liar", Lie: simulations.Fork}},
			{At: 22 * time.Second, Action: simulations.Heal{}},
		},
		Workloads: []simulations.Workload{{Ops: 6, To: 9 * time.Second}},
	}
}

// Every bug that is planted is found within a thousand seeds, and what finds it is made so small that a person can follow it.
func TestPlantedBugs(t *testing.T) {
	for _, p := range plantedBugs {
		t.Run(string(p.bug), func(t *testing.T) {
			run := func(s *simulations.Scenario) *simulations.Result {
				r, err := simulations.Simulate(s, simulations.Options{})
				if err != nil {
					return &simulations.Result{Scenario: s} // a scenario that shrinking broke
				}
				return r
			}
			if r := run(p.scenario(1)); !r.OK() {
				t.Fatalf("fails without the bug: %s: %s", r.Failures[0].Check, r.Failures[0].Detail)
			}
			defer planted.Plant(p.bug)()
			for seed := uint64(1); seed <= plantedSeeds; seed++ {
				s := p.scenario(seed)
				r := run(s)
				if r.OK() {
					continue
				}
				if !strings.Contains(checksOf(r), p.check) {
					t.Errorf("found by %q, want %q", checksOf(r), p.check)
				}
				small, failed := simulations.Shrinking{Run: run, Runs: 600}.Shrink(s, r)
				size := simulations.SizeOf(small, failed)
				t.Logf("found with seed %d by %q; made small: %+v", seed, failed.Failures[0].Check, size)
				if size.Devices > plantedDevices || size.Ops > plantedOps {
					t.Errorf("the small scenario has %d devices and %d ops, want at most %d and %d", size.Devices, size.Ops, plantedDevices, plantedOps)
				}
				if *showShrunk {
					t.Logf("%s", describeScenario(small))
				}
				return
			}
			t.Errorf("not found in %d seeds: go test -tags planted ./simulations -run 'TestPlantedBugs/%s'", plantedSeeds, p.bug)
		})
	}
}

func checksOf(r *simulations.Result) string {
	var out []string
	for _, f := range r.Failures {
		out = append(out, f.Check)
	}
	return strings.Join(out, "; ")
}

func describeScenario(s *simulations.Scenario) string {
	var b strings.Builder
	for _, g := range s.Devices {
		fmt.Fprintf(&b, "\n%+v", g)
	}
	fmt.Fprintf(&b, "\n%+v", s.Network)
	for _, e := range s.Timeline {
		fmt.Fprintf(&b, "\n%v %T %v", e.At, e.Action, e.Action)
	}
	return b.String()
}
