package oracle

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// event is a change with what follows from its causal history.
type event struct {
	*crdt.Change
	number int    // its place in the list Of was given
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

// inTime compares writes by (effective time, actor, seq): the greater is the later. No two are
// equal in that, so change hashes never decide.
func inTime(a, b write) int {
	return cmp.Or(cmp.Compare(a.in.effective, b.in.effective), a.dot.Compare(b.dot))
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
		if err := e.look(byLast); err != nil {
			return nil, err
		}
	}
	// An event's effective time is greater than any in its past, so this is a causal order.
	slices.SortFunc(all, func(a, b *event) int {
		return cmp.Or(cmp.Compare(a.effective, b.effective), a.Dot().Compare(b.Dot()))
	})
	return all, nil
}

// look finds e's past and effective time, those of its causes first.
func (e *event) look(byLast map[causal.Dot]*event) error {
	if e.past != nil {
		return nil
	}
	causes := e.Deps()
	if e.Seq > 1 {
		causes = append(causes, causal.Dot{Actor: e.Actor, Seq: e.Seq - 1})
	}
	past := make([]bool, len(byLast))
	effective := uint64(e.Time) << 16
	for _, d := range causes {
		cause := byLast[d]
		if cause == nil {
			return fmt.Errorf("oracle: %s depends on %s, which is not among the changes", e.Dot(), d)
		}
		if err := cause.look(byLast); err != nil {
			return err
		}
		past[cause.number] = true
		for n, in := range cause.past {
			past[n] = past[n] || in
		}
		// A cause's effective time is greater than any in its past, so causes suffice.
		effective = max(effective, cause.effective+1)
	}
	e.past, e.effective = past, effective
	return nil
}
