package sequence

import (
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// step is what a stretch of ops did in a tracker: what retreat takes back and advance does again. Steps are kept in the order
// of the ops and lead straight to the spans concerned, so neither looks anything up.
type step struct {
	lv causal.LV // of its first op
	// ref is the span that had the first element inserted or deleted; what has been split off it follows by
	// origin.next. A deletion's first element is the first of the span too.
	ref int32
	// packed is the number of ops, of which there are fewer than elements, and below it the kind. backDeleteOp: the last of the
	// elements was deleted first.
	packed uint32
}

// kindBits is how many bits of step.packed are the kind.
const kindBits = 2

func (s *step) kind() opKind { return opKind(s.packed & (1<<kindBits - 1)) }

func (s *step) len() causal.LV { return causal.LV(s.packed >> kindBits) }

func (s *step) end() causal.LV { return s.lv + s.len() }

// lengthen makes s n ops longer.
func (s *step) lengthen(n int) { s.packed += uint32(n) << kindBits }

// addStep adds what n ops from lv on did to the span ref.
func (t *tracker) addStep(kind opKind, lv causal.LV, n int, ref int32) {
	if len(t.steps) == cap(t.steps) {
		t.steps = longer(t.steps, t.tree.outlook)
	}
	t.steps = append(t.steps, step{lv: lv, ref: ref, packed: uint32(n)<<kindBits | uint32(kind)})
}

// stepFrom returns the index of the first step that ends after lv.
func (t *tracker) stepFrom(lv causal.LV) int {
	if n := len(t.steps); n == 0 || t.steps[n-1].end() <= lv {
		return n
	}
	lo, hi := 0, len(t.steps)-1
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); t.steps[mid].end() > lv {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}

// move takes the seen version from one that lacks t.off to one that lacks off, and
// reports whether the two differ.
func (t *tracker) move(off []causal.Span) bool {
	if sameSpans(t.off, off) {
		return false
	}
	t.room = slices.Grow(t.room[:0], max(len(off), len(t.off)))
	retreat := causal.SubtractTo(t.room, off, t.off)
	moved := false
	for i := len(retreat) - 1; i >= 0; i-- {
		moved = t.retreat(retreat[i]) || moved
	}
	for _, s := range causal.SubtractTo(t.room, t.off, off) {
		moved = t.advance(s) || moved
	}
	t.off = off
	if moved {
		t.tip = tip{}
	}
	return moved
}

// retreat takes the ops in s back from the seen version, the last first, and reports
// whether there were any.
func (t *tracker) retreat(s causal.Span) bool {
	s = causal.Span{Start: max(s.Start, t.base), End: min(s.End, t.done)}
	if s.Start >= s.End {
		return false
	}
	i := t.stepFrom(s.End - 1)
	if i < len(t.steps) && t.steps[i].lv < s.End {
		i++
	}
	moved := false
	for i--; i >= 0 && t.steps[i].end() > s.Start; i-- {
		t.shift(&t.steps[i], s, -1)
		moved = true
	}
	return moved
}

// advance puts the ops in s back into the seen version, and reports whether there were any.
func (t *tracker) advance(s causal.Span) bool {
	s = causal.Span{Start: max(s.Start, t.base), End: min(s.End, t.done)}
	if s.Start >= s.End {
		return false
	}
	moved := false
	for i := t.stepFrom(s.Start); i < len(t.steps) && t.steps[i].lv < s.End; i++ {
		t.shift(&t.steps[i], s, 1)
		moved = true
	}
	return moved
}

// shift adds by to the state of what the ops of a step that lie in within inserted or deleted.
func (t *tracker) shift(s *step, within causal.Span, by int32) {
	kind := s.kind()
	if kind == moveOp {
		t.shiftSlot(s.ref, by)
		return
	}
	lo, hi := max(within.Start, s.lv)-s.lv, min(within.End, s.end())-s.lv
	if kind == backDeleteOp {
		lo, hi = s.len()-hi, s.len()-lo
	}
	id := s.lv
	if kind != insertOp {
		id = t.tree.spans[s.ref].id
	}
	t.shiftIDs(s.ref, id+lo, id+hi, by, kind != insertOp)
}

// shiftIDs adds by to the state of the elements [from, to), which are in the span ref or were split off it, for a deletion of them or
// their insertion.
func (t *tracker) shiftIDs(ref int32, from, to causal.LV, by int32, deletion bool) {
	ref = t.fragment(ref, from)
	for from < to {
		s := &t.tree.spans[ref]
		if off := int(from - s.id); off > 0 {
			ref, _ = t.split(t.tree.at(ref), off)
			s = &t.tree.spans[ref]
		}
		if to < s.end() {
			t.split(t.tree.at(ref), int(to-from))
			s = &t.tree.spans[ref]
		}
		from = s.end()
		o := &t.origins[ref]
		switch {
		case o.moved == 0:
			o.seen += by
			t.recount(ref, o.seen-by, o.seen)
		case deletion:
			m := &t.moved[o.moved-1]
			m.deletes += by
			t.show(m)
		default:
			t.shiftSlot(ref, by)
		}
		ref = t.origins[ref].next
	}
}

// fragment returns the span that holds id, which is in the span ref or was split off it.
func (t *tracker) fragment(ref int32, id causal.LV) int32 {
	for id >= t.tree.spans[ref].end() {
		ref = t.origins[ref].next
	}
	return ref
}

// recount makes the tree count a span according to its state in the seen version.
func (t *tracker) recount(ref, was, is int32) {
	if from, to := countsOf(was), countsOf(is); from != to {
		t.tree.toggle(ref, from^to)
	}
}

// refOf returns the span that holds an element.
func (t *tracker) refOf(id causal.LV) int32 {
	if id < firstOld+causal.LV(t.old) {
		p, _ := t.tree.seekIn(inOld, int(id-firstOld))
		return t.tree.ref(p)
	}
	return t.fragment(t.steps[t.stepFrom(id)].ref, id)
}
