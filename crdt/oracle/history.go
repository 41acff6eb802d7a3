package oracle

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// event is a change with what follows from its causal history.
type event struct {
	*crdt.Change
	number int      // its place in the list Of was given
	causes []*event // that it names, and before
	before *event   // the one before it in its actor's log
	hash   crdt.Hash
	past   []bool // its causal history, by number: itself left out
	// effective is max(time, 1 + the greatest effective time in past), in milliseconds with 16 bits
	// for the "+1"s.
	effective uint64
}

// op is one op of an event. Void ones are never made into an op.
type op struct {
	crdt.Op
	in  *event
	seq causal.Seq // of its first dot
}

func (o *op) dot() causal.Dot { return causal.Dot{Actor: o.in.Actor, Seq: o.seq} }

// saw reports whether p is in o's causal history: in an event its author saw,
// or earlier in the same one.
func (o *op) saw(p *op) bool {
	if o.in == p.in {
		return p.seq < o.seq
	}
	return o.in.past[p.in.number]
}

// write is one write to an entry: an op, and which of its dots, since one insert
// writes to the places of several elements. Value is what it put, if it put something.
type write struct {
	*op
	dot   causal.Dot
	value crdt.Value
}

// inTime compares writes by (effective time, actor, seq), and as inLog: the greater is the later.
func inTime(a, b write) int {
	return cmp.Or(cmp.Compare(a.in.effective, b.in.effective), a.compareDots(b))
}

// compareDots compares the dots of two writes; of those on two branches of one log that have the same, it compares the branches.
func (w write) compareDots(v write) int { return cmp.Or(w.dot.Compare(v.dot), inLog(w.in, v.in)) }

// inLog compares two changes of one log by the hashes of the first changes in which what leads to each there differs.
func inLog(a, b *event) int {
	if a == b {
		return 0
	}
	x, y := a.log(), b.log()
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return bytes.Compare(x[i].hash[:], y[i].hash[:])
		}
	}
	return cmp.Compare(len(x), len(y))
}

// log returns what leads to e in its actor's log, e last.
func (e *event) log() []*event {
	if e == nil {
		return nil
	}
	return append(e.before.log(), e)
}

// named returns the event that t names in o's causal history, nil if there is none.
func (o *op) named(t *crdt.Tip, all []*event) *event {
	for _, e := range all {
		if o.in.past[e.number] && e.Dot() == t.Dot() && e.hash == t.Hash {
			return e
		}
	}
	return nil
}

// resolve returns the one of items, all with one dot, that o means by it: of its own actor, the one in the log that
// leads to o; else the one in the log that leads to the change that on names, or without that the only one its author saw.
func (o *op) resolve(items []*item, on *crdt.Tip, all []*event) *item {
	among := func(log []*event) *item {
		for _, i := range items {
			if slices.Contains(log, i.in) && o.saw(i.op) {
				return i
			}
		}
		return nil
	}
	switch {
	case len(items) == 0:
		return nil
	case items[0].in.Actor == o.in.Actor:
		return among(o.in.log())
	case on != nil:
		return among(o.named(on, all).log())
	}
	var seen []*item
	for _, i := range items {
		if o.saw(i.op) {
			seen = append(seen, i)
		}
	}
	if len(seen) != 1 {
		return nil
	}
	return seen[0]
}

// events returns the changes with their histories, causes before effects.
func events(changes []*crdt.Change) ([]*event, error) {
	all := make([]*event, len(changes))
	byLast := make(map[causal.Dot]*event, len(changes)) // changes are named by their last dot
	for i, c := range changes {
		all[i] = &event{Change: c, number: i}
		if byLast[c.Dot()] != nil {
			return nil, fmt.Errorf("oracle: two changes end in %s", c.Dot())
		}
		byLast[c.Dot()] = all[i]
	}
	for _, e := range all {
		causes := e.Deps()
		if e.Seq > 1 {
			before := causal.Dot{Actor: e.Actor, Seq: e.Seq - 1}
			causes, e.before = append(causes, before), byLast[before]
		}
		for _, d := range causes {
			if byLast[d] == nil {
				return nil, fmt.Errorf("oracle: %s depends on %s, which is not among the changes", e.Dot(), d)
			}
			e.causes = append(e.causes, byLast[d])
		}
	}
	return inOrder(all), nil
}

// inOrder finds the histories of events that have their causes, and puts causes before effects.
func inOrder(all []*event) []*event {
	for _, e := range all {
		e.look(len(all))
	}
	// An event's effective time is greater than any in its past, so this is a causal order.
	slices.SortFunc(all, func(a, b *event) int {
		return cmp.Or(cmp.Compare(a.effective, b.effective), a.Dot().Compare(b.Dot()), inLog(a, b))
	})
	return all
}

// look finds the past and effective time of e, one of n events, those of its causes first.
func (e *event) look(n int) {
	if e.past != nil {
		return
	}
	past := make([]bool, n)
	effective := uint64(e.Time) << 16
	for _, cause := range e.causes {
		cause.look(n)
		past[cause.number] = true
		for n, in := range cause.past {
			past[n] = past[n] || in
		}
		// A cause's effective time is greater than any in its past, so causes suffice.
		effective = max(effective, cause.effective+1)
	}
	e.past, e.effective = past, effective
}
