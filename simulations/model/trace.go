package model

import (
	"fmt"
	"slices"
	"strings"
)

var stepNames = [...]string{doFsync: "fsync", doSend: "send", doTake: "take in", doConnect: "connect", doNotice: "notice a broken stream",
	doAck: "acknowledge", doForward: "forward", doCompare: "compare", doCommit: "commit", doCrash: "crash", doWipe: "lose the disk",
	doCut: "break a stream", doDrop: "lose a message", doDouble: "double a message", doOvertake: "overtake"}

// Violation is a broken property and the steps that lead to where it is.
type Violation struct {
	Property Property
	Trace    []string // one step a line, the state last
}

// String renders v over several lines.
func (v *Violation) String() string {
	return "broken: " + string(v.Property) + "\n  " + strings.Join(v.Trace, "\n  ")
}

// way returns the keys of the states on the way to state i, less the first.
func (x *explorer) way(i int) []key {
	var keys []key
	for ; i != 0; i = x.states.origin(i) {
		keys = append(keys, *x.states.at(i))
	}
	slices.Reverse(keys)
	return keys
}

// trace renders the way through the states with these keys, and what there is at its end.
func (x *explorer) trace(keys []key) []string {
	// The keys are canonical, so devices change names from one to the next; walking keeps them.
	var s State
	var out []string
	for n, want := range keys {
		found := false
		var then State
		x.m.each(&s, func(p step, next *State, _ Property) {
			if !found && x.m.canonical(next) == want {
				found, then = true, *next
				out = append(out, fmt.Sprintf("%2d. %s", n+1, x.m.describe(p, &s, next)))
			}
		})
		if !found {
			panic(fmt.Sprintf("model: no step leads from state %+v to %v", s, want))
		}
		s = then
	}
	return append(out, x.m.describeState(&s))
}

func deviceName(d int) string { return string(rune('a' + d)) }

// names lists the changes of a set as dots: a1 is the first change of a. Those made after a's disk was lost
// go on with a', which is another actor.
func (m *Model) names(s *State, set Set) string {
	var out []string
	var n [MaxDevices]int
	for c := range m.bounds.changes() {
		d := m.author[c]
		n[d]++
		if !set.has(c) {
			continue
		}
		mark := ""
		if s.fresh.has(c) {
			mark = "'"
		}
		out = append(out, fmt.Sprintf("%s%s%d", deviceName(d), mark, n[d]))
	}
	return "{" + strings.Join(out, " ") + "}"
}

func (m *Model) messageName(s *State, msg message) string {
	return kindNames[msg.kind] + " " + m.names(s, msg.set)
}

// describe renders a step from s to next.
func (m *Model) describe(p step, s, next *State) string {
	name := func(i int) string { return deviceName(m.device(i)) }
	var what string
	switch p.kind {
	case doFsync:
		what = fmt.Sprintf("%s makes %s durable", deviceName(p.at), m.names(s, s.held&^s.durable[p.at]))
	case doSend:
		what = deviceName(p.at) + " sends what is due"
	case doTake, doDouble, doOvertake, doDrop:
		k := 0
		if p.kind == doOvertake {
			k = 1
		}
		msg := m.messageName(s, s.queue[p.at^1].msg[k])
		switch p.kind {
		case doDrop:
			what = fmt.Sprintf("%s of %s to %s is lost", msg, name(p.at^1), name(p.at))
		default:
			what = fmt.Sprintf("%s takes in %s of %s", name(p.at), msg, name(p.at^1))
		}
		switch p.kind {
		case doDouble:
			what += ", which is doubled"
		case doOvertake:
			what += ", which overtook another"
		}
	case doConnect:
		what = fmt.Sprintf("%s and %s connect", name(2*p.at), name(2*p.at+1))
	case doNotice:
		what = fmt.Sprintf("%s notices that its stream with %s is broken", name(p.at), name(p.at^1))
	case doCut:
		what = fmt.Sprintf("the stream of %s and %s breaks at %s's end", deviceName(m.links[p.at/2][0]), deviceName(m.links[p.at/2][1]), name(p.at))
	case doAck, doForward:
		what = deviceName(p.at) + " ticks"
	case doCompare:
		what = fmt.Sprintf("%s asks what %s has", name(p.at), name(p.at^1))
	case doCommit:
		what = fmt.Sprintf("%s commits %s", deviceName(p.at), m.names(next, next.holds(p.at)&^s.holds(p.at)))
	case doCrash:
		what = deviceName(p.at) + " crashes and restarts"
	case doWipe:
		what = deviceName(p.at) + " loses its disk and restarts"
	}
	for i := range m.ends() {
		// What was sent stands at the end of a queue that only lost messages at its front.
		q, old := &next.queue[i], &s.queue[i]
		was := int(old.n)
		if (p.kind == doTake || p.kind == doOvertake || p.kind == doDrop) && p.at^1 == i {
			was--
		}
		if p.kind == doConnect && p.at == i/2 {
			was = 0
		}
		for k := was; k < int(q.n); k++ {
			what += fmt.Sprintf("; to %s: %s", name(i^1), m.messageName(next, q.msg[k]))
		}
	}
	return what
}

// describeState renders what is durable where, and what is known.
func (m *Model) describeState(s *State) string {
	var out []string
	for d := range m.bounds.devices() {
		text := fmt.Sprintf("%s has durable %s", deviceName(d), m.names(s, s.durable[d]))
		if held := s.holds(d); held != s.durable[d] {
			text += " and not yet " + m.names(s, held&^s.durable[d])
		}
		for _, w := range s.waiting[d] {
			if w != 0 {
				text += ", waiting " + m.names(s, w)
			}
		}
		out = append(out, text)
	}
	for i := range m.ends() {
		if e := &s.ends[i]; e.heard {
			out = append(out, fmt.Sprintf("%s thinks %s has %s", deviceName(m.device(i)), deviceName(m.device(i^1)), m.names(s, e.known)))
		}
		for k := range s.queue[i].n {
			out = append(out, fmt.Sprintf("under way to %s: %s", deviceName(m.device(i^1)), m.messageName(s, s.queue[i].msg[k])))
		}
	}
	return "then " + strings.Join(out, "; ")
}
