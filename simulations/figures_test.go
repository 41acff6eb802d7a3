package simulations_test

import (
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/atollsync/atoll/simulations"
)

// cpu returns how much CPU time the process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestFigures measures how fast large networks are simulated. It takes minutes and gigabytes, so it runs when it is asked to, each network for so much CPU time at most:
//
//	ATOLL_FIGURES=10m go test -run TestFigures -v -timeout 1h ./simulations
func TestFigures(t *testing.T) {
	if os.Getenv("ATOLL_FIGURES") == "" {
		t.Skip("ATOLL_FIGURES is not set")
	}
	limit := 10 * time.Minute // of CPU time, for one
	if v, err := time.ParseDuration(os.Getenv("ATOLL_FIGURES")); err == nil {
		limit = v
	}
	defer simulations.CollectSeldom()()
	// One op in ten or so finds nothing that it could delete or move, and makes no change.
	hours := func(n int) time.Duration { return time.Duration(n) * time.Hour }
	for _, sc := range []*simulations.Scenario{
		{
			Name: "10 devices, throughput", Seed: 1, For: 5 * time.Minute, Signatures: simulations.StandIn, Every: 10 * time.Second,
			Devices:   []simulations.Group{{Name: "device", Count: 10}},
			Workloads: []simulations.Workload{{Ops: 100_000}},
		},
		{
			Name: "100 devices, a week with partitions", Seed: 1, For: hours(7 * 24),
			Devices:   []simulations.Group{{Name: "device", Count: 100}},
			Workloads: []simulations.Workload{{Ops: 22_500}},
			Timeline: []simulations.Event{
				{At: hours(10), Every: hours(24), Action: simulations.Partition{Sides: [][]string{{"device-1", "device-2", "device-3", "device-4", "device-5", "device-6", "device-7"}}}},
				{At: hours(14), Every: hours(24), Action: simulations.Heal{}},
			},
		},
		{
			Name: "1,000 devices, two islands that heal", Seed: 1, For: hours(24), Every: time.Hour,
			Devices:   []simulations.Group{{Name: "east", Count: 500}, {Name: "west", Count: 500}},
			Network:   simulations.Network{GossipAbove: -1},
			Workloads: []simulations.Workload{{Ops: 11_200}},
			Timeline:  []simulations.Event{{At: time.Second, Action: simulations.Partition{Sides: [][]string{{"east"}, {"west"}}}}},
		},
		{
			Name: "10,000 devices, star", Seed: 1, For: hours(1), Every: 10 * time.Minute,
			Devices:   []simulations.Group{{Name: "server", Meeting: true}, {Name: "phone", Count: 9_999}},
			Network:   simulations.Network{Topology: simulations.Star},
			Workloads: []simulations.Workload{{Ops: 1_200}},
			Expect:    simulations.Expect{Within: 10 * time.Minute},
		},
	} {
		t.Run(sc.Name, func(t *testing.T) {
			most := uint64(0)
			began, used := time.Now(), cpu()
			r, err := simulations.Simulate(sc, simulations.Options{Progress: func(p simulations.Progress) bool {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.Sys-m.HeapReleased)
				return cpu()-used < limit
			}})
			if err != nil {
				t.Fatal(err)
			}
			took := cpu() - used
			if r.Interrupted {
				t.Errorf("stopped after %v of CPU time, at %v of virtual time", took.Round(time.Second), r.Ended)
			}
			for _, f := range r.Failures {
				t.Errorf("%s on %s at %v: %s", f.Check, f.Device, f.At, f.Detail)
			}
			t.Logf("%d changes, %d applied, %d messages, %d MB sent, converged %v after healing: %v CPU (%v), %.0f applied/s, %d MB memory",
				r.Changes, r.Applied, r.Messages, r.Bytes>>20, r.Converged-r.Healed, took.Round(time.Millisecond), time.Since(began).Round(time.Millisecond),
				float64(r.Applied)/took.Seconds(), most>>20)
		})
	}
}
