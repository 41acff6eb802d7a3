package model

// Property is something that must always hold.
type Property string

// The properties.
const (
	// Durable: what a device sends, or says it holds, is durable there.
	Durable Property = "nothing leaves before it is durable"
	// Dots: no dot is issued twice.
	Dots Property = "no dot is issued twice"
	// Kept: what was acknowledged to its author, or is durable elsewhere, its author has.
	Kept Property = "nothing acknowledged or seen elsewhere is lost"
	// Word: what a device said it holds, or is thought to hold, it holds.
	Word Property = "a device holds what it is known to hold"
	// Retried: what waits lacks something.
	Retried Property = "nothing waits for what is held"
	// Live: something can always happen until all agree.
	Live Property = "no deadlock"
	// Agreement: from every state all can come to agree without further faults.
	Agreement Property = "ends in agreement"
)

// broken returns the property that s breaks, not counting those in ignore, or "".
func (m *Model) broken(s *State, ignore map[Property]bool) Property {
	switch {
	case !ignore[Kept] && !m.keeps(s):
		return Kept
	case !ignore[Word] && !m.truthful(s):
		return Word
	case !ignore[Retried] && !m.retried(s):
		return Retried
	}
	return ""
}

// keeps checks Kept.
func (m *Model) keeps(s *State) bool {
	var durable, held Set
	for d := range m.bounds.devices() {
		durable |= s.durable[d]
		held |= s.holds(d)
	}
	if !s.promised.within(held) {
		return false
	}
	for d := range m.bounds.devices() {
		if !(durable & m.current(s, d)).within(s.holds(d)) {
			return false
		}
	}
	return true
}

// truthful checks Word. A device that lost its disk holds less than it once said.
func (m *Model) truthful(s *State) bool {
	for i := range m.ends() {
		d := m.device(i)
		if int(s.wiped) == d+1 {
			continue
		}
		if !s.ends[i^1].known.within(s.durable[d]) {
			return false
		}
		q := &s.queue[i]
		for k := range q.n {
			if q.msg[k].kind != changes && !q.msg[k].set.within(s.durable[d]) {
				return false
			}
		}
	}
	return true
}

// retried checks Retried.
func (m *Model) retried(s *State) bool {
	for d := range m.bounds.devices() {
		for _, w := range s.waiting[d] {
			if w != 0 && s.closed(w, s.holds(d)) {
				return false
			}
		}
	}
	return true
}

// agree reports whether all devices hold the same, durably.
func (m *Model) agree(s *State) bool {
	for d := range m.bounds.devices() {
		if s.durable[d] != s.durable[0] {
			return false
		}
	}
	return true
}
