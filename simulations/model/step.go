package model

// stepKind says what a step is. What comes after doCommit is a fault.
type stepKind uint8

const (
	doFsync stepKind = iota
	doSend
	doTake
	doConnect
	doNotice // an end closes that the other has closed already
	doAck
	doForward
	doCompare // the last that is the protocol's own
	doCommit
	doCrash    // a device stops and is back
	doWipe     // the same, and its disk is lost
	doCut      // an end closes
	doDrop     // a message is lost
	doDouble   // a message is delivered, and will be once more
	doOvertake // the second message is delivered before the first
)

// step is one step: what, and by which device, end or link.
type step struct {
	kind stepKind
	at   int
}

// progress reports whether p is a step of the protocol's own, which happens sooner or later. If not all can be connected at
// once, they leave one for another.
func (m *Model) progress(p step) bool {
	return p.kind <= doCompare || p.kind == doCut && m.bounds.Links < len(m.links)
}

// each calls visit with every step that is possible in s, and where it leads. next is good until visit returns. wrong is
// the property that the step itself breaks, or "".
func (m *Model) each(s *State, visit func(p step, next *State, wrong Property)) {
	var next State
	try := func(kind stepKind, at int, do func() Property) {
		next = *s
		wrong := do()
		visit(step{kind, at}, &next, wrong)
	}
	if s.busy != 0 {
		m.eachBusy(s, &next, try)
		return
	}
	n := m.bounds.devices()
	for i := range m.ends() {
		if s.ends[i].open && s.queue[i^1].n > 0 {
			m.eachTake(s, i, &next, try)
		}
	}
	for i := range m.ends() {
		switch e, o := &s.ends[i], &s.ends[i^1]; {
		case e.open && !o.open:
			try(doNotice, i, func() Property { m.close(&next, i); return "" })
		case e.open && (m.bounds.Cuts || m.bounds.Links < len(m.links)):
			try(doCut, i, func() Property { m.close(&next, i); return "" })
		}
	}
	if m.bounds.Pace != Calm || !s.underWay() {
		m.eachIdle(s, &next, try)
	}
	for d := range n {
		if c := m.nextOwn(s, d); c >= 0 {
			try(doCommit, d, func() Property { return m.commit(&next, d) })
		}
		if m.bounds.Crashes && m.fragile(s, d) {
			try(doCrash, d, func() Property { m.crash(&next, d); return "" })
		}
		if m.bounds.Wipe && s.wiped == 0 && s.durable[d] != 0 {
			try(doWipe, d, func() Property { m.wipe(&next, d); return "" })
		}
	}
}

// eachIdle is each for what time brings.
func (m *Model) eachIdle(s, next *State, try func(stepKind, int, func() Property)) {
	open := 0
	for l := range m.links {
		if s.ends[2*l].open || s.ends[2*l+1].open {
			open++
		}
	}
	for l := range m.links {
		a, b := s.ends[2*l].open, s.ends[2*l+1].open
		if a && b || !a && !b && open >= m.bounds.Links {
			continue
		}
		try(doConnect, l, func() Property { return m.connect(next, l) })
	}
	for d := range m.bounds.devices() {
		m.eachTick(s, d, next, try)
	}
	for i := range m.ends() {
		if m.mayCompare(s, i) {
			try(doCompare, i, func() Property { return m.compare(next, i) })
		}
	}
}

// eachBusy is each while a device has something to make durable or to send.
func (m *Model) eachBusy(s, next *State, try func(stepKind, int, func() Property)) {
	d := int(s.busy) - 1
	if s.held != s.durable[d] {
		try(doFsync, d, func() Property {
			next.durable[d] = next.held
			m.rest(next)
			return ""
		})
	}
	if which := m.sendable(s, d); m.owes(s, d, which) {
		try(doSend, d, func() Property { return breaks(!m.send(next, which), Durable) })
	}
	if m.bounds.Crashes {
		try(doCrash, d, func() Property { m.crash(next, d); return "" })
	}
	if !m.bounds.Group {
		return
	}
	if m.nextOwn(s, d) >= 0 {
		try(doCommit, d, func() Property { return m.commit(next, d) })
	}
	for i := range m.ends() {
		if m.device(i) == d && s.ends[i].open && s.queue[i^1].n > 0 {
			try(doTake, i, func() Property { m.take(next, i, next.queue[i^1].take(0)); return "" })
		}
	}
}

// eachTake is each for the messages on their way to end i.
func (m *Model) eachTake(s *State, i int, next *State, try func(stepKind, int, func() Property)) {
	q := &next.queue[i^1]
	try(doTake, i, func() Property { m.take(next, i, q.take(0)); return "" })
	if int(s.dropped) < m.bounds.Drops {
		try(doDrop, i, func() Property { next.dropped++; q.take(0); return "" })
	}
	if int(s.doubled) < m.bounds.Doubles {
		try(doDouble, i, func() Property { next.doubled++; m.take(next, i, q.msg[0]); return "" })
	}
	if q := &s.queue[i^1]; int(s.overtook) < m.bounds.Overtakings && q.n > 1 && q.msg[0] != q.msg[1] {
		try(doOvertake, i, func() Property { next.overtook++; m.take(next, i, next.queue[i^1].take(1)); return "" })
	}
}

// eachTick is each for what device d does as time passes.
func (m *Model) eachTick(s *State, d int, next *State, try func(stepKind, int, func() Property)) {
	tell, forward := false, false
	for i := range m.ends() {
		if e := &s.ends[i]; m.device(i) == d && e.open && s.ends[i^1].open && e.heard && m.room(s, i) > 0 {
			tell = tell || e.tell != 0
			forward = forward || m.todo(s, i) != 0
		}
	}
	over := func(say func(*State, int) bool) func() Property {
		return func() Property {
			safe := true
			for i := range m.ends() {
				if e := &next.ends[i]; m.device(i) == d && e.open && next.ends[i^1].open && e.heard {
					safe = say(next, i) && safe
				}
			}
			return breaks(!safe, Durable)
		}
	}
	if tell {
		try(doAck, d, over(m.sayAck))
	}
	if forward {
		try(doForward, d, over(m.sayChanges))
	}
}

// breaks returns p if it is broken.
func breaks(broken bool, p Property) Property {
	if broken {
		return p
	}
	return ""
}

// sendable returns what device d, which is busy, may send.
func (m *Model) sendable(s *State, d int) due {
	switch {
	case s.held == s.durable[d] || m.mutation == SendBeforeFsync:
		return ^due(0)
	case m.mutation == AckBeforeFsync:
		return dueAck
	}
	return 0
}

// owes reports whether device d has any of which to send.
func (m *Model) owes(s *State, d int, which due) bool {
	for i := range m.ends() {
		if m.device(i) == d && s.ends[i].due&which != 0 {
			return true
		}
	}
	return false
}

// fragile reports whether a crash of device d would change anything.
func (m *Model) fragile(s *State, d int) bool {
	if s.waiting[d][0] != 0 {
		return true
	}
	for i := range m.ends() {
		if m.device(i) == d && s.ends[i].open {
			return true
		}
	}
	return false
}

// connect opens a stream: each end begins anew and says what it holds.
func (m *Model) connect(s *State, l int) Property {
	safe := true
	for i := 2 * l; i < 2*l+2; i++ {
		s.ends[i] = end{open: true, known: s.ends[i].known & m.kept()}
		s.queue[i] = queue{}
	}
	for i := 2 * l; i < 2*l+2; i++ {
		safe = m.say(s, i, message{have, s.durable[m.device(i)]}) && safe
	}
	return breaks(!safe, Durable)
}

// close closes end i. What was sent to it is lost; what it sent is not, as long as the other end is open, but nothing that end
// would say in return matters any more.
func (m *Model) close(s *State, i int) {
	s.ends[i] = end{known: s.ends[i].known & m.kept()}
	s.queue[i^1] = queue{}
	q := s.queue[i]
	s.queue[i] = queue{}
	if o := &s.ends[i^1]; o.open {
		*o = end{open: true, known: o.known & m.kept()}
		for k := range q.n {
			if q.msg[k].kind == changes {
				s.queue[i].push(q.msg[k])
			}
		}
	}
}

// crash loses what device d did not make durable, and all it knew.
func (m *Model) crash(s *State, d int) {
	if int(s.busy) == d+1 {
		gone := s.held &^ s.durable[d] & m.own[d]
		s.busy, s.held = 0, 0
		for c := range m.bounds.changes() {
			if gone.has(c) && !s.seen(c, d, m) {
				s.past[c] = 0
				s.fresh &^= 1 << c
			}
		}
	}
	s.waiting[d] = [maxWaiting]Set{}
	for i := range m.ends() {
		if m.device(i) == d && s.ends[i].open {
			m.close(s, i)
		}
	}
}

// wipe is a crash that loses the disk as well. What only that disk held is gone, and nobody's fault.
func (m *Model) wipe(s *State, d int) {
	m.crash(s, d)
	s.durable[d] = 0
	s.wiped = uint8(d) + 1
	var left Set
	for _, held := range s.durable {
		left |= held
	}
	s.promised &= left
}

// nextOwn returns the change that device d would make next, or -1.
func (m *Model) nextOwn(s *State, d int) int {
	held := s.holds(d)
	fresh := int(s.wiped) == d+1 && m.mutation != ReissueAfterWipe
	for c := range m.bounds.changes() {
		if m.author[c] == d && !held.has(c) && (!fresh || s.past[c] == 0) {
			return c
		}
	}
	return -1
}

// commit makes a change, and pushes it to whoever is connected once it is durable.
func (m *Model) commit(s *State, d int) Property {
	c := m.nextOwn(s, d)
	again := s.past[c] != 0 && s.seen(c, d, m)
	if s.busy == 0 {
		s.busy, s.held = uint8(d)+1, s.durable[d]
	}
	s.held |= 1 << c
	s.past[c] = s.held
	if int(s.wiped) == d+1 && m.mutation != ReissueAfterWipe {
		s.fresh |= 1 << c
	}
	if m.mutation == AnswerBeforeFsync {
		s.promised |= 1 << c
	}
	for i := range m.ends() {
		if e := &s.ends[i]; m.device(i) == d && e.open && e.heard {
			e.due |= dueChanges
		}
	}
	m.rest(s)
	return breaks(again, Dots)
}

// mayCompare reports whether end i may ask what the peer has.
func (m *Model) mayCompare(s *State, i int) bool {
	if !s.ends[i].open || !s.ends[i^1].open || m.room(s, i) == 0 || m.mutation == NeverCompare {
		return false
	}
	return m.bounds.Pace == Hasty || s.queue[i].n+s.queue[i^1].n == 0
}

// compare asks what the peer has: by a digest, or if it never said what it holds, by a Have.
func (m *Model) compare(s *State, i int) Property {
	msg := message{digestAsk, s.durable[m.device(i)]}
	if !s.ends[i].heard {
		msg.kind = haveAsk
		s.ends[i].tell = 0
	}
	return breaks(!m.say(s, i, msg), Durable)
}
