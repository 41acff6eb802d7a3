package simulations

import (
	"fmt"
	"time"
)

// T is what Run needs of a *testing.T, declared here so that no program that uses this package carries the testing package.
type T interface {
	Helper()
	Name() string
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
}

// Config is what Run simulates.
type Config struct {
	// Devices is how many devices there are, device-1 and so on. It is ignored if Scenario has some.
	Devices int
	Seed    uint64
	// Scenario is what is simulated beyond that: how the network is, workloads, what is expected.
	Scenario Scenario
}

// Run simulates a network that fn drives, in a test of a program's own. Everything that is always checked is, while fn lets virtual time pass and when it
// has returned; what fails is an error of t, with the seed. fn must not keep s.
func Run(t T, c Config, fn func(s *Sim)) {
	t.Helper()
	sc := c.Scenario
	if c.Seed != 0 {
		sc.Seed = c.Seed
	}
	if len(sc.Devices) == 0 {
		sc.Devices = []Group{{Name: "device", Count: max(1, c.Devices)}}
	}
	if sc.For == 0 {
		sc.For = maxRun // as long as fn lets it
	}
	if sc.Every == 0 {
		sc.Every = time.Minute
	}
	s, err := New(&sc)
	if err != nil {
		t.Fatalf("%v", err)
		return
	}
	s.t = t
	s.For(0)
	fn(s)
	r := s.finish()
	for _, f := range r.Failures {
		where := ""
		if f.Device != "" {
			where = " on " + f.Device
		}
		t.Errorf("%s%s at %v: %s", f.Check, where, f.At, f.Detail)
	}
	if !r.OK() {
		t.Logf("the same again: go test -run '^%s$' . (Config.Seed is %d)", t.Name(), sc.Seed)
	}
}

// Partition cuts the network into sides, which are numbers of devices. Those on no side are a side of their own.
func (s *Sim) Partition(sides ...[]int) {
	named := make([][]string, len(sides))
	for i, side := range sides {
		for _, d := range side {
			named[i] = append(named[i], s.devices[d].name)
		}
	}
	s.Do(Partition{Sides: named})
}

// Heal ends partitions and cuts, and takes devices back online.
func (s *Sim) Heal() {
	for _, d := range s.devices {
		if d.offline > 0 {
			d.offline = 1
			s.online(d)
		}
	}
	s.Do(Heal{})
}

// Do makes an action happen now. It panics if the action names devices that are not there.
func (s *Sim) Do(a Action) {
	if err := s.checkAction(&Event{Action: a}); err != nil {
		panic(err)
	}
	s.askAction(a)
	s.act(a)
}

// Offline takes a device off the network until Online or Heal.
func (s *Sim) Offline(device int) { s.Do(Offline{Devices: []string{s.devices[device].name}}) }

// Online ends Offline.
func (s *Sim) Online(device int) { s.Do(Online{Devices: []string{s.devices[device].name}}) }

// Crash stops a device as a power cut does, for a time.
func (s *Sim) Crash(device int, down time.Duration) {
	s.Do(Crash{Devices: []string{s.devices[device].name}, Down: down})
}

// Within is how long Converged waits.
type Within time.Duration

// Converged lets virtual time pass until all honest devices that run hold the same changes and show the same, and fails the test if that takes
// longer than within. Nobody may be down, and every fault is best ended before.
func (s *Sim) Converged(within Within) {
	if s.t != nil {
		s.t.Helper()
	}
	before := len(s.result.Failures)
	if s.result.Healed == 0 {
		s.result.Healed = s.now
	}
	s.converge(time.Duration(within))
	s.compare(maxCompared)
	if s.t != nil && len(s.result.Failures) > before {
		s.t.Logf("at %v: %s", s.now, s.result.Failures[before].Detail)
	}
}

// Result returns what was found so far.
func (s *Sim) Result() *Result { return s.result }

// String says where the simulation is.
func (s *Sim) String() string {
	return fmt.Sprintf("%d devices at %v", len(s.devices), s.now)
}
