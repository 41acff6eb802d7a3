package simulations

import (
	"fmt"
	"slices"
	"time"
)

// activeCut is a Cut that lasts.
type activeCut struct {
	ways []cutWay
}

// cutWay is one direction of a link.
type cutWay struct {
	l   *link
	dir int
}

// checkAction reports what is wrong with an event: names that nobody bears.
func (s *Sim) checkAction(e *Event) error {
	var names []string
	switch a := e.Action.(type) {
	case Partition:
		for _, side := range a.Sides {
			names = append(names, side...)
		}
	case Cut:
		names = append(append(names, a.From...), a.To...)
	case Flap:
		names = append(append(names, a.From...), a.To...)
		if a.Down <= 0 || a.Up <= 0 {
			return fmt.Errorf("simulations: %sflap: down and up must be more than 0", where(e.Line))
		}
	case Offline:
		names = a.Devices
	case Online:
		names = a.Devices
	case Crash:
		names = a.Devices
	case Backup:
		names = []string{a.Device}
	case Restore:
		names = []string{a.Device}
	case Clone:
		names = []string{a.Device}
		if len(s.names[a.As]) > 0 || a.As == "" {
			return fmt.Errorf("simulations: %sclone: there is a device named %q already", where(e.Line), a.As)
		}
	case SetClock:
		names = a.Devices
	case FillDisk:
		names = a.Devices
	case Do:
		names = []string{a.Device}
	case Tell:
		names = []string{a.Device}
	}
	for _, n := range names {
		if len(s.names[n]) == 0 && !s.cloned(n) {
			return fmt.Errorf("simulations: %sthere is no device or group %q", where(e.Line), n)
		}
	}
	return nil
}

// cloned reports whether a clone in the timeline will bear a name.
func (s *Sim) cloned(name string) bool {
	return slices.ContainsFunc(s.scenario.Timeline, func(e Event) bool {
		c, ok := e.Action.(Clone)
		return ok && c.As == name
	})
}

func where(line int) string {
	if line == 0 {
		return ""
	}
	return fmt.Sprintf("line %d: ", line)
}

// askAction counts the faults that an action asks for.
func (s *Sim) askAction(a Action) {
	switch a := a.(type) {
	case Partition:
		s.faults.ask(faultPartition)
	case Cut:
		s.faults.ask(faultCut)
	case Flap:
		s.faults.ask(faultFlap)
	case Offline:
		s.faults.ask(faultOffline)
	case Crash:
		s.faults.ask(faultCrash)
		if a.Torn {
			s.faults.ask(faultTorn)
		}
		switch a.During {
		case "write":
			s.faults.ask(faultDuringWrite)
		case "merge":
			s.faults.ask(faultDuringMerge)
		case "rewrite":
			s.faults.ask(faultDuringRewrite)
		}
	case Restore:
		s.faults.ask(faultRestore)
	case Clone:
		s.faults.ask(faultClone)
	case SetClock:
		s.faults.ask(faultClockJump)
	case FillDisk:
		s.faults.ask(faultDiskFull)
	case Tell:
		s.faults.ask(lieFaults[a.Lie])
	case SetLink:
		s.askLink(a.Link)
	}
}

// askLink counts the faults that a link asks for.
func (s *Sim) askLink(l Link) {
	l = l.resolved()
	if l.Loss > 0 {
		s.faults.ask(faultLoss)
	}
	if l.Duplicate > 0 {
		s.faults.ask(faultDuplicate)
	}
	if l.Reorder > 0 {
		s.faults.ask(faultReorder)
	}
	if l.Jitter > 0 {
		s.faults.ask(faultJitter)
	}
}

// act makes what an event says happen.
func (s *Sim) act(a Action) {
	s.trace.note(s.now, markAction, 0, 0, 0, func() string { return fmt.Sprintf("%T %+v", a, a) })
	switch a := a.(type) {
	case Partition:
		s.partition(a.Sides)
	case Cut:
		s.startCut(a.From, a.To, a.OneWay, faultCut)
	case Flap:
		s.flap(a, s.now+a.For)
	case Heal:
		s.heal()
	case Offline:
		for _, d := range s.find(a.Devices) {
			s.offline(d)
			if a.For > 0 {
				s.after(a.For, func() { s.online(d) })
			}
		}
	case Online:
		for _, d := range s.find(a.Devices) {
			if d.offline > 0 {
				d.offline = 1
				s.online(d)
			}
		}
	case Crash:
		for _, d := range s.find(a.Devices) {
			s.crash(d, a)
		}
	case Backup:
		for _, d := range s.find([]string{a.Device}) {
			if d.disk != nil {
				d.backup = d.disk.copy()
				s.faults.saw(faultBackup)
			}
		}
	case Restore:
		for _, d := range s.find([]string{a.Device}) {
			s.restore(d)
		}
	case Clone:
		s.clone(a)
	case SetClock:
		for _, d := range s.find(a.Devices) {
			d.jumped += a.By
			s.faults.saw(faultClockJump)
		}
	case FillDisk:
		for _, d := range s.find(a.Devices) {
			s.full[d.number]++
			if a.For > 0 {
				s.after(a.For, func() {
					if s.full[d.number] = max(0, s.full[d.number]-1); s.full[d.number] == 0 {
						d.makeRoom()
					}
				})
			}
		}
	case Do:
		for _, d := range s.find([]string{a.Device}) {
			s.do(d, a.Op)
		}
	case Tell:
		for _, d := range s.find([]string{a.Device}) {
			if d.liar == nil {
				d.liar = newLiar(d, nil)
			}
			s.lie(d, a.Lie)
		}
	case SetLink:
		s.scenario.Network.Link = a.Link
		for _, l := range s.links {
			l.what = s.linkBetween(l.a, l.b)
		}
	}
}

// partition cuts the network into sides.
func (s *Sim) partition(sides [][]string) {
	if s.side != nil {
		s.end("partition", nil)
	}
	s.side = make([]int, len(s.devices))
	for i, side := range sides {
		for _, d := range s.find(side) {
			s.side[d.number] = i + 1
		}
	}
	s.begin("partition", nil, fmt.Sprint(sides))
	for _, l := range s.links {
		s.relink(l)
	}
}

// startCut cuts what from sends to. It returns what ends it.
func (s *Sim) startCut(from, to []string, oneWay bool, kind fault) *activeCut {
	c := &activeCut{}
	s.cutKind = kind
	for _, a := range s.find(from) {
		for _, b := range s.find(to) {
			l := s.byPair[[2]*Device{a, b}]
			if l == nil {
				continue
			}
			c.ways = append(c.ways, cutWay{l, l.dir(a)})
			if !oneWay {
				c.ways = append(c.ways, cutWay{l, l.dir(b)})
			}
		}
	}
	for _, w := range c.ways {
		w.l.cut[w.dir]++
		s.relink(w.l)
	}
	if len(s.cuts) == 0 {
		s.begin("cut", nil, fmt.Sprint(from, " | ", to))
	}
	s.cuts = append(s.cuts, c)
	return c
}

// endCut ends a cut, if it lasts.
func (s *Sim) endCut(c *activeCut) {
	i := slices.Index(s.cuts, c)
	if i < 0 {
		return
	}
	s.cuts = slices.Delete(s.cuts, i, i+1)
	for _, w := range c.ways {
		w.l.cut[w.dir]--
		s.relink(w.l)
	}
	if len(s.cuts) == 0 {
		s.end("cut", nil)
	}
}

// flap cuts and restores until a time.
func (s *Sim) flap(a Flap, until time.Duration) {
	if a.For > 0 && s.now >= until || s.healing {
		return
	}
	c := s.startCut(a.From, a.To, false, faultFlap)
	s.after(a.Down, func() {
		s.endCut(c)
		s.after(a.Up, func() { s.flap(a, until) })
	})
}

// heal ends partitions and cuts.
func (s *Sim) heal() {
	if s.side != nil {
		s.side = nil
		s.end("partition", nil)
	}
	for len(s.cuts) > 0 {
		s.endCut(s.cuts[0])
	}
	for _, l := range s.links {
		s.relink(l)
	}
}

// crash stops a device as a power cut does.
func (s *Sim) crash(d *Device, a Crash) {
	if d.r == nil {
		return
	}
	strike := func() {
		torn := a.Torn && d.syncing && len(d.rd.Blocks) > 0
		s.faults.saw(faultCrash)
		d.crashes++
		d.halt("the power is cut")
		if torn {
			s.faults.saw(faultTorn)
			d.disk.torn = true
		}
		s.begin("down", d, "")
		down := a.Down
		if down == 0 {
			down = 10 * time.Second
		}
		s.after(down, func() { s.revive(d) })
	}
	switch {
	case a.During == "write" || a.During == "" && a.Torn:
		d.crashOn, d.struck = faultDuringWrite, strike
	case a.During == "merge":
		d.crashOn, d.struck = faultDuringMerge, strike
	case a.During == "rewrite":
		d.crashOn, d.struck = faultDuringRewrite, func() {
			if !d.rd.Actor.IsZero() {
				d.disk.actor = d.rd.Actor // a node stores it before
			}
			strike()
		}
	default:
		strike()
	}
}

// restore puts a device's backup in place of its disk.
func (s *Sim) restore(d *Device) {
	if d.backup == nil || !d.joined || d.left {
		return
	}
	s.faults.saw(faultRestore)
	d.halt("its disk is replaced by a backup")
	d.disk = d.backup.copy()
	d.suspect = true
	s.after(time.Second, func() { s.revive(d) })
}

// clone starts a second device from a copy of a device's disk.
func (s *Sim) clone(a Clone) {
	of := s.find([]string{a.Device})
	if len(of) != 1 || of[0].disk == nil || len(s.names[a.As]) > 0 {
		return
	}
	s.faults.saw(faultClone)
	d := of[0]
	g := *d.group
	g.Name, g.Count = a.As, 1
	c := s.add(a.As, &g)
	// It is the same device to others, since it has the same key: so the two are never linked to one another, and who is linked
	// to one is linked to the other as well.
	delete(s.devID, c.id)
	c.id, c.sign = d.id, d.sign
	for _, copy := range [2]*Device{c, d} {
		copy.cloned, copy.suspect = true, true
	}
	c.disk, c.joined = d.disk.copy(), true
	s.full = append(s.full, 0)
	if s.side != nil {
		s.side = append(s.side, s.side[d.number])
	}
	if s.island != nil {
		s.island = append(s.island, s.island[d.number])
	}
	for _, l := range d.links {
		s.link(l.peer(d), c)
	}
	c.boot()
}

// healAll makes everything well: who is offline comes online, who is down starts, cuts and faults of the network end.
func (s *Sim) healAll() {
	s.healing = true
	s.result.Healed = s.now
	for _, l := range s.links {
		l.what.Loss, l.what.Duplicate, l.what.Reorder = 0, 0, 0
		l.ferry = false
	}
	for _, d := range s.devices {
		s.full[d.number] = 0
		d.makeRoom()
		d.crashOn = 0
		if d.offline > 0 {
			d.offline = 1
			s.online(d)
		}
		if !d.joined {
			d.joined = true
			d.boot()
		}
		s.revive(d)
	}
	s.heal()
}
