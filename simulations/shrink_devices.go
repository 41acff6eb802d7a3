package simulations

import "slices"

// devices takes away devices, half of them first, then fewer, with all that names them.
func (sh *shrinker) devices() bool {
	names := sh.best.deviceNames()
	if len(names) != sh.best.singles() {
		c := sh.best.clone()
		c.split()
		if !sh.try(c) {
			return false // the names of groups matter: to a topology drawn from the seed, say
		}
	}
	shrunk := false
	for chunk := (len(sh.best.Devices) + 1) / 2; chunk > 0; chunk /= 2 {
		for from := 0; from < len(sh.best.Devices) && len(sh.best.Devices) > chunk; {
			c := sh.best.clone()
			gone := c.Devices[from:min(from+chunk, len(c.Devices))]
			var without []string
			for _, g := range gone {
				without = append(without, g.Name)
			}
			c.Devices = slices.Delete(c.Devices, from, min(from+chunk, len(c.Devices)))
			c.forget(without)
			if !sh.try(c) {
				from += chunk
				continue
			}
			shrunk = true
		}
	}
	return shrunk
}

// singles returns how many groups are of one device.
func (s *Scenario) singles() int {
	n := 0
	for i := range s.Devices {
		if s.Devices[i].count() == 1 {
			n++
		}
	}
	return n
}

// split makes each device a group of its own, under the name it has, and names devices where groups were named.
func (s *Scenario) split() {
	members := make(map[string][]string)
	var groups []Group
	for _, g := range s.Devices {
		names := g.names()
		if len(names) > 1 {
			members[g.Name] = names
		}
		for i, name := range names {
			one := g
			one.Name, one.Count = name, 1
			one.Joins, one.Leaves = g.Joins.share(i, len(names)), g.Leaves.share(i, len(names))
			groups = append(groups, one)
		}
	}
	s.Devices = groups
	s.rename(func(name string) []string {
		if m, ok := members[name]; ok {
			return m
		}
		return []string{name}
	})
}

// share returns the part of w that the i-th of n devices has.
func (w Window) share(i, n int) Window {
	if w == (Window{}) {
		return w
	}
	at := w.at(i, n)
	return Window{at, at}
}

// forget takes names out of all that names devices.
func (s *Scenario) forget(names []string) {
	s.rename(func(name string) []string {
		if slices.Contains(names, name) {
			return nil
		}
		return []string{name}
	})
}

// rename replaces the names of devices in events, links and workloads by those that to gives. What names nobody any more goes.
func (s *Scenario) rename(to func(string) []string) {
	all := func(names []string) []string {
		var out []string
		for _, n := range names {
			out = append(out, to(n)...)
		}
		return out
	}
	var events []Event
	for _, e := range s.Timeline {
		for _, a := range renamed(e.Action, to, all) {
			one := e
			one.Action = a
			events = append(events, one)
		}
	}
	s.Timeline = events
	var links []LinkBetween
	for _, l := range s.Network.Links {
		for _, a := range to(l.A) {
			for _, b := range to(l.B) {
				one := l
				one.A, one.B = a, b
				links = append(links, one)
			}
		}
	}
	s.Network.Links = links
	var workloads []Workload
	for _, w := range s.Workloads {
		if len(w.Devices) > 0 {
			if w.Devices = all(w.Devices); len(w.Devices) == 0 {
				continue
			}
		}
		workloads = append(workloads, w)
	}
	s.Workloads = workloads
}

// renamed returns what an action becomes if devices have other names: none, one or several actions.
func renamed(a Action, to func(string) []string, all func([]string) []string) []Action {
	each := func(name string, with func(string) Action) (out []Action) {
		for _, n := range to(name) {
			out = append(out, with(n))
		}
		return out
	}
	some := func(names []string, with func([]string) Action) []Action {
		if names = all(names); len(names) > 0 {
			return []Action{with(names)}
		}
		return nil
	}
	switch a := a.(type) {
	case Partition:
		var sides [][]string
		for _, side := range a.Sides {
			if side = all(side); len(side) > 0 {
				sides = append(sides, side)
			}
		}
		if len(sides) == 0 {
			return nil
		}
		return []Action{Partition{Sides: sides}}
	case Cut:
		if a.From, a.To = all(a.From), all(a.To); len(a.From) > 0 && len(a.To) > 0 {
			return []Action{a}
		}
		return nil
	case Flap:
		if a.From, a.To = all(a.From), all(a.To); len(a.From) > 0 && len(a.To) > 0 {
			return []Action{a}
		}
		return nil
	case Offline:
		return some(a.Devices, func(n []string) Action { a.Devices = n; return a })
	case Online:
		return some(a.Devices, func(n []string) Action { a.Devices = n; return a })
	case Crash:
		return some(a.Devices, func(n []string) Action { a.Devices = n; return a })
	case SetClock:
		return some(a.Devices, func(n []string) Action { a.Devices = n; return a })
	case FillDisk:
		return some(a.Devices, func(n []string) Action { a.Devices = n; return a })
	case Backup:
		return each(a.Device, func(n string) Action { a.Device = n; return a })
	case Restore:
		return each(a.Device, func(n string) Action { a.Device = n; return a })
	case Do:
		return each(a.Device, func(n string) Action { a.Device = n; return a })
	case Tell:
		return each(a.Device, func(n string) Action { a.Device = n; return a })
	case Clone:
		return each(a.Device, func(n string) Action { a.Device = n; return a })
	}
	return []Action{a}
}
