package model

// What a device does with a message, and what it sends: package peer/replica in terms of sets.

// take gives a message to the device of end i.
func (m *Model) take(s *State, i int, msg message) {
	d, e := m.device(i), &s.ends[i]
	if s.busy == 0 {
		s.busy, s.held = uint8(d)+1, s.durable[d]
	}
	switch msg.kind {
	case have, haveAsk:
		m.hear(s, i, msg.set, msg.kind == have)
		if msg.kind == haveAsk && !msg.set.within(s.held) {
			e.due |= dueHave
		}
	case digest, digestAsk:
		equal := m.summary(msg.set) == m.summary(s.held)
		if equal {
			m.hear(s, i, s.held, false)
		}
		switch {
		case msg.kind == digest:
		case equal:
			e.due |= dueDigest
		default:
			e.due |= dueHaveAsk
		}
	case ack:
		if e.heard {
			m.learn(e, msg.set)
		}
	case changes:
		m.takeChanges(s, i, msg.set)
	}
	m.rest(s)
}

// summary returns what stands for a set in a digest.
func (m *Model) summary(set Set) Set {
	if m.mutation == DigestIgnoresTip {
		return set &^ m.own[m.bounds.devices()-1]
	}
	return set
}

// hear makes set what the peer is known to hold, whatever was thought before. What it misses, as it says by a Have that
// nobody asked for, is to be sent again; else what is still under way is not.
func (m *Model) hear(s *State, i int, set Set, misses bool) {
	e := &s.ends[i]
	e.heard = true
	if m.mutation == TrustThePast {
		set |= e.known
	}
	e.known = set
	switch {
	case m.mutation == NeverGiveUp:
	case misses || m.bounds.Impatient:
		e.inFlight = 0
	default:
		e.inFlight &= s.queue[i].changes()
	}
	e.inFlight &^= set
	if m.mutation == SkipOnResume && set != 0 {
		e.inFlight |= m.todo(s, i).first()
	}
	e.due |= dueChanges
}

// learn adds what the peer acknowledged.
func (m *Model) learn(e *end, set Set) {
	e.known |= set
	e.inFlight &^= set
	e.due |= dueChanges // there may be credit again
}

// todo returns what the peer at end i lacks and was not sent.
func (m *Model) todo(s *State, i int) Set {
	e := &s.ends[i]
	if !e.heard {
		return 0
	}
	return s.holds(m.device(i)) &^ e.known &^ e.inFlight
}

// takeChanges takes in a batch, or keeps it until what it builds on has come.
func (m *Model) takeChanges(s *State, i int, batch Set) {
	d, e := m.device(i), &s.ends[i]
	if !s.closed(batch, s.held) {
		m.wait(s, d, batch)
		e.due |= dueHave
		return
	}
	m.grow(s, d, batch)
	e.tell |= batch
	e.due |= dueAck
	if e.heard {
		m.learn(e, m.tips(s, batch, batch))
	}
	for again := m.mutation != LosePendingRetry; again; {
		again = false
		for k, w := range s.waiting[d] {
			if w != 0 && s.closed(w, s.held) {
				s.forgetWaiting(d, k)
				m.grow(s, d, w)
				again = true
				break
			}
		}
	}
}

// wait keeps a batch pending.
func (m *Model) wait(s *State, d int, batch Set) {
	w := &s.waiting[d]
	for k := range w {
		switch w[k] {
		case batch:
			return
		case 0:
			w[k] = batch
			return
		}
	}
	s.forgetWaiting(d, 0)
	w[maxWaiting-1] = batch
}

func (s *State) forgetWaiting(d, k int) {
	w := &s.waiting[d]
	copy(w[k:], w[k+1:])
	w[maxWaiting-1] = 0
}

// grow adds changes of others, or of a lost disk of its own, to what the busy device holds.
func (m *Model) grow(s *State, d int, batch Set) {
	fresh := batch &^ s.held
	s.held |= batch
	for i := range m.ends() {
		e := &s.ends[i]
		if m.device(i) != d || !e.open || !s.ends[i^1].open {
			continue
		}
		e.tell |= fresh &^ m.own[d]
		if e.heard {
			e.known |= fresh & m.own[m.device(i^1)] // it came from the peer at first
		}
	}
}

// rest ends the work of the busy device if there is none.
func (m *Model) rest(s *State) {
	d := int(s.busy) - 1
	idle := s.held == s.durable[d]
	for i := range m.ends() {
		e := &s.ends[i]
		if m.device(i) != d || e.due == 0 {
			continue
		}
		if !s.ends[i^1].open {
			e.due = 0
			e.heard, e.known, e.inFlight, e.tell = false, e.known&m.kept(), 0, 0
			continue
		}
		if m.todo(s, i) == 0 || m.room(s, i) == 0 {
			e.due &^= dueChanges
		}
		idle = idle && e.due == 0
	}
	if idle {
		m.idle(s)
	}
}

// idle ends the work of the busy device: whoever waits for a commit is told that it is safe.
func (m *Model) idle(s *State) {
	d := int(s.busy) - 1
	s.promised |= s.durable[d] & m.current(s, d)
	s.busy, s.held = 0, 0
}

// kept masks what an end goes on believing of its peer when the stream is gone.
func (m *Model) kept() Set {
	if m.mutation == TrustThePast {
		return ^Set(0)
	}
	return 0
}

// room returns how many messages may still be put on their way from end i.
func (m *Model) room(s *State, i int) int { return m.bounds.Queue - int(s.queue[i].n) }

// send says all that is due and in which. It reports whether everything in it was durable.
func (m *Model) send(s *State, which due) bool {
	d, safe := int(s.busy)-1, true
	for i := range m.ends() {
		e := &s.ends[i]
		if m.device(i) != d || e.due&which == 0 {
			continue
		}
		later := e.due &^ which
		e.due &= which
		if e.due&(dueHave|dueHaveAsk) != 0 {
			k := have
			if e.due&dueHaveAsk != 0 {
				k = haveAsk
			}
			safe = m.say(s, i, message{k, s.held}) && safe
			e.tell = 0
		}
		if e.due&dueDigest != 0 {
			safe = m.say(s, i, message{digest, s.held}) && safe
		}
		if e.due&dueAck != 0 {
			safe = m.sayAck(s, i) && safe
		}
		if e.due&dueChanges != 0 {
			safe = m.sayChanges(s, i) && safe
		}
		e.due = later
	}
	if s.held == s.durable[d] {
		m.idle(s)
	}
	return safe
}

// current returns the changes of the actor that device d writes as.
func (m *Model) current(s *State, d int) Set {
	if int(s.wiped) == d+1 && m.mutation != ReissueAfterWipe {
		return m.own[d] & s.fresh
	}
	return m.own[d]
}

// say puts a message on its way. One for which there is no room is lost: whoever asked for it asks again. It reports
// whether what it says is durable.
func (m *Model) say(s *State, i int, msg message) bool {
	if m.room(s, i) > 0 && s.ends[i^1].open {
		s.queue[i].push(msg)
	}
	return msg.set.within(s.durable[m.device(i)])
}

func (m *Model) sayAck(s *State, i int) bool {
	e := &s.ends[i]
	if e.tell == 0 || m.room(s, i) == 0 {
		return true // what is left to tell is told later
	}
	held := s.holds(m.device(i))
	set := m.tips(s, e.tell, held)
	e.tell = 0
	return m.say(s, i, message{ack, set})
}

func (m *Model) sayChanges(s *State, i int) bool {
	e, safe := &s.ends[i], true
	for m.room(s, i) > 0 {
		batch := m.todo(s, i)
		if m.bounds.Split {
			batch = s.earliest(batch)
		}
		if batch == 0 {
			break
		}
		e.inFlight |= batch
		safe = m.say(s, i, message{changes, batch}) && safe
	}
	return safe
}

// earliest returns a change of set that builds on no other of it.
func (s *State) earliest(set Set) Set {
	for c := range MaxChanges {
		if set.has(c) && s.past[c]&set == 1<<c {
			return 1 << c
		}
	}
	return 0
}
