package simulations_test

import (
	"testing"
	"time"

	"github.com/atollsync/atoll/simulations"
)

// honestRun simulates a scenario with several seeds, and fails the test with whatever is found.
func honestRun(t *testing.T, sc *simulations.Scenario, seeds int, see ...string) {
	t.Helper()
	for seed := uint64(1); seed <= uint64(seeds); seed++ {
		c := *sc
		c.Seed = seed
		r, err := simulations.Simulate(&c, simulations.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range r.Failures {
			t.Errorf("seed %d: %s on %s at %v: %s", seed, f.Check, f.Device, f.At, f.Detail)
		}
		seen := map[string]int{}
		for _, f := range r.Faults {
			seen[f.Name] = f.Seen
		}
		for _, name := range see {
			if seen[name] == 0 {
				t.Errorf("seed %d: %s was not seen: %v", seed, name, r.Faults)
			}
		}
		if r.Changes == 0 || r.Applied == 0 {
			t.Errorf("seed %d: %d changes, %d applied", seed, r.Changes, r.Applied)
		}
	}
}

// Honest devices converge, and lose nothing, whatever one of them tells the others.
func TestLiars(t *testing.T) {
	for kind, see := range map[simulations.LieKind][]string{
		simulations.Forge:    {"forged changes", "message refused"},
		simulations.Fork:     {"fork"},
		simulations.Withhold: {"withheld changes", "changes before what they build on"},
		simulations.Garbage:  {"garbage", "message refused"},
		simulations.Flood:    {"flood"},
		simulations.Replay:   {"replay"},
	} {
		t.Run(string(kind), func(t *testing.T) {
			honestRun(t, &simulations.Scenario{
				Name: string(kind), For: 10 * time.Minute,
				Devices:   []simulations.Group{{Name: "honest", Count: 3}, {Name: "liar", Lies: []simulations.Lie{{Kind: kind, Every: 30 * time.Second}}}},
				Timeline:  []simulations.Event{{At: 4 * time.Minute, Action: simulations.Offline{Devices: []string{"honest-2"}, For: 2 * time.Minute}}},
				Workloads: []simulations.Workload{{Ops: 60}},
			}, 5, see...)
		})
	}
}

// A restored device, and two copies of one, go on as new actors; what they wrote is on all.
func TestCopies(t *testing.T) {
	for name, timeline := range map[string][]simulations.Event{
		"restored": {{At: time.Minute, Action: simulations.Backup{Device: "a"}}, {At: 5 * time.Minute, Action: simulations.Restore{Device: "a"}}},
		"restored offline": {{At: time.Minute, Action: simulations.Backup{Device: "a"}}, {At: 5 * time.Minute, Action: simulations.Offline{Devices: []string{"a"}, For: time.Minute}},
			{At: 5 * time.Minute, Action: simulations.Restore{Device: "a"}}},
		"cloned": {{At: 3 * time.Minute, Action: simulations.Clone{Device: "a", As: "a2"}}},
	} {
		t.Run(name, func(t *testing.T) {
			honestRun(t, &simulations.Scenario{
				Name: name, For: 10 * time.Minute,
				Devices:   []simulations.Group{{Name: "a"}, {Name: "other", Count: 3}},
				Timeline:  timeline,
				Workloads: []simulations.Workload{{Ops: 100}},
			}, 5, "went on as a new actor")
		})
	}
}
