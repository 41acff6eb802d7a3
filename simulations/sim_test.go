package simulations_test

import (
	"testing"
	"time"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/simulations"
)

func addTodo(what string) func(*crdt.Tx) error {
	return func(tx *crdt.Tx) error {
		tx.Map("todos").Register(what).Put(true)
		return nil
	}
}

// What the README shows.
func TestRun(t *testing.T) {
	// README
	simulations.Run(t, simulations.Config{Devices: 5, Seed: 1}, func(s *simulations.Sim) {
		s.Partition([]int{0, 1}, []int{2, 3, 4})
		if err := s.Device(0).Update(addTodo("milk")); err != nil {
			t.Fatal(err)
		}
		s.For(72 * time.Hour)
		s.Heal()
		s.Converged(simulations.Within(10 * time.Second))
		if got := s.Device(4).View().JSON(); got != `{"todos":{"milk":true}}` {
			t.Errorf("the last device shows %s", got)
		}
	})
	// README
}

// everything is a scenario with every fault that honest devices must live with.
func everything(seed uint64) *simulations.Scenario {
	return &simulations.Scenario{
		Name: "everything", Seed: seed, For: 20 * time.Minute,
		Devices: []simulations.Group{
			{Name: "laptop", Count: 2, Clock: simulations.Clock{Skew: 3 * time.Second}},
			{Name: "phone", Count: 2, Online: simulations.Schedule{Preset: "flaky"}, Slow: 5 * time.Millisecond},
			{Name: "late", Joins: simulations.Window{From: 5 * time.Minute}},
		},
		Network: simulations.Network{Link: simulations.Link{Jitter: 100 * time.Millisecond, Loss: 2, Duplicate: 2, Reorder: 5}},
		Timeline: []simulations.Event{
			{At: 2 * time.Minute, Action: simulations.Partition{Sides: [][]string{{"laptop-1", "phone-1"}, {"laptop-2", "phone-2"}}}},
			{At: 4 * time.Minute, Action: simulations.Heal{}},
			{At: 6 * time.Minute, Action: simulations.Crash{Devices: []string{"laptop-1"}, During: "write"}},
			{At: 8 * time.Minute, Action: simulations.Crash{Devices: []string{"laptop-2"}, During: "merge"}},
			{At: 9 * time.Minute, Action: simulations.Crash{Devices: []string{"phone-1"}, Torn: true}},
			{At: 10 * time.Minute, Action: simulations.FillDisk{Devices: []string{"laptop-1"}, For: time.Minute}},
			{At: 12 * time.Minute, Action: simulations.SetClock{Devices: []string{"laptop-2"}, By: -time.Hour}},
			{At: 13 * time.Minute, Action: simulations.Flap{From: []string{"laptop"}, To: []string{"phone"}, Down: 5 * time.Second, Up: 10 * time.Second, For: 2 * time.Minute}},
		},
		Workloads: []simulations.Workload{{Ops: 400}},
	}
}

// The same seed gives the same trace, another gives another; and nothing fails.
func TestEverything(t *testing.T) {
	for seed := uint64(1); seed <= 5; seed++ {
		r, err := simulations.Simulate(everything(seed), simulations.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range r.Failures {
			t.Errorf("seed %d: %s on %s at %v: %s", seed, f.Check, f.Device, f.At, f.Detail)
		}
		again, err := simulations.Simulate(everything(seed), simulations.Options{Trace: func(string) {}})
		if err != nil {
			t.Fatal(err)
		}
		if again.Trace != r.Trace {
			t.Errorf("seed %d gives %x, and then %x", seed, r.Trace, again.Trace)
		}
		t.Logf("seed %d: %d changes, %d applied, converged after %v, %v, %v", seed, r.Changes, r.Applied, r.Converged-r.Healed, r.Faults, r.Checked)
	}
}
