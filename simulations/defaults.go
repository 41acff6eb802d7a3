package simulations

import (
	"errors"
	"fmt"
	"time"
)

// Bounds of a scenario.
const (
	maxDevices  = 100_000
	maxTimeline = 1_000_000
	maxRun      = 10 * 365 * day
)

// monday is the default start: Monday 5 January 2026, 00:00 UTC.
const monday = 1_767_571_200_000

// withDefaults returns a copy of s with its defaults filled in, and an error that names every problem.
func (s *Scenario) withDefaults() (*Scenario, error) {
	c := s.clone()
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("simulations: "+format, args...)) }
	if c.For == 0 {
		c.For = defaultFor
	}
	if c.For < 0 || c.For > maxRun {
		bad("for: %v is not between 0 and ten years", c.For)
	}
	if c.Start == 0 {
		c.Start = monday
	}
	if c.Every == 0 {
		c.Every = max(c.For/200, 100*time.Millisecond)
	}
	seen := map[string]bool{"all": true}
	n := 0
	for i := range c.Devices {
		g := &c.Devices[i]
		if g.Name == "" {
			g.Name = "device"
		}
		if g.Count < 0 || n+g.count() > maxDevices {
			bad("more than %d devices", maxDevices)
			break
		}
		n += g.count()
		for _, name := range append(g.names(), g.Name) {
			if seen[name] && !(name == g.Name && g.count() == 1 && name == g.names()[0]) {
				bad("two devices or groups are named %q", name)
			}
		}
		for _, name := range append(g.names(), g.Name) {
			seen[name] = true
		}
		if !knownPreset(g.Online.Preset) {
			bad("device %s: no schedule %q", g.Name, g.Online.Preset)
		}
	}
	if n == 0 {
		bad("there are no devices")
	}
	if len(c.Timeline) > maxTimeline {
		bad("more than %d events", maxTimeline)
	}
	net := &c.Network
	if net.Topology == "" {
		net.Topology = Full
		if n > maxSmall {
			net.Topology = Random
		}
	}
	switch net.Topology {
	case Full, Ring, Star, Random, Islands:
	default:
		bad("no topology %q", net.Topology)
	}
	if net.Topology == Full && n > 3_000 {
		bad("%d devices are too many to connect each to each: choose another topology", n)
	}
	if net.Degree == 0 {
		net.Degree = 6
	}
	if net.Ferry == 0 {
		net.Ferry = time.Hour
	}
	if net.Noticed == 0 {
		net.Noticed = 30 * time.Second
	}
	if net.Redial == 0 {
		net.Redial = time.Second
	}
	if net.GossipAbove == 0 {
		net.GossipAbove = 8
	}
	if c.Expect.Within == 0 {
		c.Expect.Within = 2 * time.Minute
	}
	forks, gone := c.mayFork()
	if c.Expect.Forks == 0 && forks {
		c.Expect.Forks = -1
	}
	if c.Expect.Lost == 0 && gone {
		c.Expect.Lost = -1
	}
	if c.Signatures == "" {
		c.Signatures = Ed25519
		if n > maxSmall {
			c.Signatures = StandIn
		}
	}
	return c, errors.Join(errs...)
}

func knownPreset(name string) bool {
	if name == "" {
		return true
	}
	for _, p := range Presets {
		if p.Name == name {
			return true
		}
	}
	return false
}

// mayFork reports whether the scenario has what may fork an actor's log: a liar, or a clone. A restored backup must not. gone says that changes may
// be lost that were never sent: with a device that leaves for good, or a disk that a backup replaced.
func (s *Scenario) mayFork() (forks, gone bool) {
	for i := range s.Devices {
		forks = forks || len(s.Devices[i].Lies) > 0
		gone = gone || s.Devices[i].Leaves != (Window{})
	}
	for i := range s.Timeline {
		switch s.Timeline[i].Action.(type) {
		case Clone, Tell:
			forks = true
		case Restore:
			gone = true
		}
	}
	return forks, gone
}
