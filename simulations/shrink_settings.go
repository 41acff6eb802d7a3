package simulations

import "time"

// reduction is a way to make a scenario plainer. It changes a clone.
type reduction func(*Scenario)

// settings takes away what is not ordinary about devices and links, one thing at a time.
func (sh *shrinker) settings() bool {
	shrunk := false
	for i := 0; i < len(sh.best.reductions()); {
		c := sh.best.clone()
		sh.best.reductions()[i](c)
		if sh.try(c) {
			shrunk = true // the list is another now, and shorter: the next one has this place
			continue
		}
		i++
	}
	return shrunk
}

// reductions returns what could be taken away from s. Each one, done, is no longer in the list of what comes out.
func (s *Scenario) reductions() []reduction {
	var out []reduction
	if s.Network.Link != (Link{}) {
		out = append(out, linkReductions(s.Network.Link, func(s *Scenario) *Link { return &s.Network.Link })...)
	}
	for i := range s.Network.Links {
		out = append(out, func(s *Scenario) { s.Network.Links = append(s.Network.Links[:i:i], s.Network.Links[i+1:]...) })
	}
	for i := range s.Devices {
		g := &s.Devices[i]
		if g.Link != (Link{}) {
			out = append(out, func(s *Scenario) { s.Devices[i].Link = Link{} })
		}
		if g.Online.Preset != "" && g.Online.Preset != "always" {
			out = append(out, func(s *Scenario) { s.Devices[i].Online.Preset = "" })
		}
		for j := range g.Online.Offline {
			out = append(out, func(s *Scenario) {
				o := s.Devices[i].Online.Offline
				s.Devices[i].Online.Offline = append(o[:j:j], o[j+1:]...)
			})
		}
		if g.Clock != (Clock{}) {
			out = append(out, func(s *Scenario) { s.Devices[i].Clock = Clock{} })
		}
		if g.Disk != (Disk{}) {
			out = append(out, func(s *Scenario) { s.Devices[i].Disk = Disk{} })
		}
		if g.Joins != (Window{}) {
			out = append(out, func(s *Scenario) { s.Devices[i].Joins = Window{} })
		}
		if g.Leaves != (Window{}) {
			out = append(out, func(s *Scenario) { s.Devices[i].Leaves = Window{} })
		}
		if g.Slow != 0 {
			out = append(out, func(s *Scenario) { s.Devices[i].Slow = 0 })
		}
		for j := range g.Lies {
			out = append(out, func(s *Scenario) {
				l := s.Devices[i].Lies
				s.Devices[i].Lies = append(l[:j:j], l[j+1:]...)
			})
		}
	}
	return out
}

// linkReductions takes away what a link does, field by field.
func linkReductions(l Link, of func(*Scenario) *Link) []reduction {
	var out []reduction
	if l.Preset != "" {
		out = append(out, func(s *Scenario) { of(s).Preset = "" })
	}
	if l.Loss != 0 {
		out = append(out, func(s *Scenario) { of(s).Loss = 0 })
	}
	if l.Duplicate != 0 {
		out = append(out, func(s *Scenario) { of(s).Duplicate = 0 })
	}
	if l.Reorder != 0 {
		out = append(out, func(s *Scenario) { of(s).Reorder = 0 })
	}
	if l.Jitter != 0 {
		out = append(out, func(s *Scenario) { of(s).Jitter = 0 })
	}
	if l.Bandwidth != 0 {
		out = append(out, func(s *Scenario) { of(s).Bandwidth = 0 })
	}
	if l.Latency > time.Millisecond {
		out = append(out, func(s *Scenario) { of(s).Latency = 0 })
	}
	return out
}
