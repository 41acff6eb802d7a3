package simulations

import (
	"strings"
	"testing"
	"time"

	"github.com/atollsync/atoll/crdt"
)

// failing runs a small scenario up to its end, but for the last checks, has harm done and returns the checks that then fail.
func failing(t *testing.T, sc *Scenario, harm func(s *Sim)) string {
	t.Helper()
	s, err := New(sc)
	if err != nil {
		t.Fatal(err)
	}
	s.run()
	if len(s.result.Failures) > 0 {
		t.Fatalf("fails without harm: %+v", s.result.Failures)
	}
	harm(s)
	var out []string
	for _, f := range s.finish().Failures {
		out = append(out, f.Check)
	}
	return strings.Join(out, "; ")
}

// Every check can fail: each is shown what it must not let pass. Those that planted bugs make fail are not here.
func TestChecksCanFail(t *testing.T) {
	small := func() *Scenario {
		return &Scenario{Seed: 1, For: time.Minute, Devices: []Group{{Name: "a"}, {Name: "b"}},
			Workloads: []Workload{{Ops: 20, Slices: []SliceKind{{Name: "n", Kind: "counter"}}}}}
	}
	tests := []struct {
		check    check
		scenario func(*Scenario)
		harm     func(*Sim)
	}{
		{checkLost, nil, func(s *Sim) {
			s.devices[0].acked = append(s.devices[0].acked, acked{dot: crdt.Dot{Actor: s.devices[0].disk.actor, Seq: 1 << 20}})
		}},
		{checkOracle, nil, func(s *Sim) {
			disk := s.devices[1].disk // what the oracle is given, and not what the device shows
			disk.blocks = append(disk.blocks[:0:0], disk.blocks...)
			ch := *disk.first(1)[0].Change
			ch.Groups = append(ch.Groups[:0:0], ch.Groups...)
			ch.Groups[0].Slice = "another"
			disk.blocks[0].batch = disk.common.put(crdt.NewBatch(nil, []*crdt.Change{&ch}, nil).AppendTo(nil), ch.Len())
		}},
		{checkShows, func(sc *Scenario) { sc.Expect.Shows = []Shows{{Path: "n", JSON: "1000000"}} }, nil},
		{checkForks, func(sc *Scenario) { sc.Expect.Forks = 1 }, nil},
		{checkFaults, func(sc *Scenario) { sc.Expect.Faults = []string{"crash"} }, nil},
		{checkFaults, func(sc *Scenario) { // nobody is cut off from anybody
			sc.Timeline = []Event{{At: time.Second, Action: Partition{Sides: [][]string{{"a", "b"}}}}}
		}, nil},
		{checkBounded, nil, func(s *Sim) { s.limits.PendingBytes = -1 }},
		{checkOnce, nil, func(s *Sim) { s.devices[0].shown-- }},
		{checkRestart, nil, func(s *Sim) {
			d := s.devices[0]
			d.disk.blocks = append(d.disk.blocks[:0:0], d.disk.blocks...)
			d.disk.blocks[0].batch = d.disk.common.put([]byte("no batch"), 1)
			d.halt("for the test")
			d.boot()
		}},
		{checkPanic, nil, func(s *Sim) { s.after(0, func() { panic("a bug") }); s.Step() }},
	}
	for _, test := range tests {
		t.Run(checkNames[test.check], func(t *testing.T) {
			sc := small()
			if test.scenario != nil {
				test.scenario(sc)
			}
			harm := test.harm
			if harm == nil {
				harm = func(*Sim) {}
			}
			if got := failing(t, sc, harm); !strings.Contains(got, checkNames[test.check]) {
				t.Errorf("what failed is %q", got)
			}
		})
	}
}

// Devices that cannot come together do not converge.
func TestConvergenceIsBounded(t *testing.T) {
	s, err := New(&Scenario{Seed: 1, For: time.Second, Devices: []Group{{Name: "a"}, {Name: "b"}}, Workloads: []Workload{{Ops: 5}}, Expect: Expect{Within: time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	s.forUntil(time.Second, nil)
	s.links[0].cut[0]++ // for good
	s.devices[0].input(input{op: func(tx *crdt.Tx) error { tx.Counter("n").Add(1); return nil }, done: func(error) {}})
	s.converge(time.Minute)
	if len(s.result.Failures) != 1 || s.result.Failures[0].Check != checkNames[checkConverged] || s.now < time.Minute {
		t.Errorf("at %v: %+v", s.now, s.result.Failures)
	}
}
