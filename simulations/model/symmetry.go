package model

import "slices"

// permutation renames devices, and with them changes and ends, so that nothing else is different: devices with
// equal quotas are interchangeable, since every pair of devices can have a stream.
type permutation struct {
	device [MaxDevices]int
	change [MaxChanges]int
	set    [1 << MaxChanges]Set
	end    [maxEnds]int
}

// findSymmetry lists the permutations of devices with equal quotas, without the identity.
func (m *Model) findSymmetry() {
	n := m.bounds.devices()
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	var visit func(k int)
	visit = func(k int) {
		if k == n {
			if !slices.IsSorted(order) {
				m.symmetry = append(m.symmetry, m.permutation(order))
			}
			return
		}
		for j := k; j < n; j++ {
			order[k], order[j] = order[j], order[k]
			if m.bounds.Quota[order[k]] == m.bounds.Quota[k] {
				visit(k + 1)
			}
			order[k], order[j] = order[j], order[k]
		}
	}
	// Where the lowest change of a set is chosen, or the last device's is left out, names matter.
	if !m.bounds.Split && m.mutation != DigestIgnoresTip && m.mutation != SkipOnResume {
		visit(0)
	}
}

// permutation returns the renaming of device d to order[d].
func (m *Model) permutation(order []int) permutation {
	var p permutation
	copy(p.device[:], order)
	var start [MaxDevices]int // of each device's changes
	for d := 1; d < m.bounds.devices(); d++ {
		start[d] = start[d-1] + m.bounds.Quota[d-1]
	}
	for c := range m.bounds.changes() {
		d := m.author[c]
		p.change[c] = start[order[d]] + c - start[d]
	}
	for s := range p.set {
		for c := range m.bounds.changes() {
			if s>>c&1 != 0 {
				p.set[s] |= 1 << p.change[c]
			}
		}
	}
	for i := range m.ends() {
		from, to := order[m.device(i)], order[m.device(i^1)]
		for j := range m.ends() {
			if m.device(j) == from && m.device(j^1) == to {
				p.end[i] = j
			}
		}
	}
	return p
}

// apply makes out the state s with everything renamed.
func (p *permutation) apply(m *Model, s, out *State) {
	*out = *s
	for c := range m.bounds.changes() {
		out.past[p.change[c]] = p.set[s.past[c]]
	}
	for d := range m.bounds.devices() {
		o := p.device[d]
		out.durable[o] = p.set[s.durable[d]]
		out.waiting[o] = [maxWaiting]Set{p.set[s.waiting[d][0]], p.set[s.waiting[d][1]]}
	}
	if s.busy != 0 {
		out.busy = uint8(p.device[s.busy-1]) + 1
	}
	if s.wiped != 0 {
		out.wiped = uint8(p.device[s.wiped-1]) + 1
	}
	out.held, out.promised, out.fresh = p.set[s.held], p.set[s.promised], p.set[s.fresh]
	for i := range m.ends() {
		e, q := &out.ends[p.end[i]], &out.queue[p.end[i]]
		*e, *q = s.ends[i], s.queue[i]
		e.known, e.inFlight, e.tell = p.set[e.known], p.set[e.inFlight], p.set[e.tell]
		for k := range q.n {
			q.msg[k].set = p.set[q.msg[k].set]
		}
	}
}

// canonical returns the least key of s and all states that differ from it in names alone.
func (m *Model) canonical(s *State) key {
	least := m.pack(s)
	var other State
	for i := range m.symmetry {
		m.symmetry[i].apply(m, s, &other)
		if k := m.pack(&other); k.less(&least) {
			least = k
		}
	}
	return least
}
