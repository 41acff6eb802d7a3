package crdt

import (
	"slices"
	"sort"

	"github.com/atollsync/atoll/crdt/causal"
)

// Lineage knows what undoing brought back, and what for: a code point or element that was deleted comes back as a new one, a
// value as a new write. Each stands for what it replaces, so that undoing an earlier change finds its work although that was
// meanwhile undone and redone. It lives as long as somebody may undo, and is no part of the store: what
// others, or an earlier process, brought back counts as written by them.
//
// The zero value knows of nothing. A Lineage is good for the states of one Chains. It is not safe for
// concurrent use.
type Lineage struct {
	elems  standIns // code points and elements of lists
	writes standIns // puts, touches and adds to sets
	undone []undoing
}

// undoing names a change, by its first op, and the one that undid it, -1 if no op was needed for that.
type undoing struct{ change, by causal.LV }

// maxUndoings bounds how many undoings a Lineage knows of. What is older is forgotten by halves.
const maxUndoings = 1 << 12

// note notes that one change undoes another.
func (l *Lineage) note(change, by causal.LV) {
	if len(l.undone) == maxUndoings {
		l.undone = append(l.undone[:0], l.undone[maxUndoings/2:]...)
	}
	l.undone = append(l.undone, undoing{change, by})
}

// isUndone reports whether a change is undone, and the last undoing of it is not undone in turn. by is that undoing, or what
// undid it again, and so on.
func (l *Lineage) isUndone(change causal.LV) (by causal.LV, is bool) {
	by = change
	for i := len(l.undone) - 1; i >= 0; i-- {
		if l.undone[i].change == by {
			// What undid it is undone by what came later, if at all.
			by, i = l.undone[i].by, len(l.undone)
			is = !is
		}
	}
	return by, is
}

// undoes reports whether a change undoes another.
func (l *Lineage) undoes(change causal.LV) bool {
	_, ok := l.root(change)
	return ok
}

// root returns the change that is undone or redone by one that undoes, or by one that undoes such, and so on.
func (l *Lineage) root(change causal.LV) (root causal.LV, ok bool) {
	for i := len(l.undone) - 1; i >= 0; i-- {
		if l.undone[i].by == change {
			change, ok = l.undone[i].change, true
		}
	}
	return change, ok
}

// truncate forgets what was added from lv on.
func (l *Lineage) truncate(lv causal.LV) {
	l.elems = l.elems.before(lv)
	l.writes = l.writes.before(lv)
	l.undone = slices.DeleteFunc(l.undone, func(d undoing) bool { return d.by >= lv })
}

// standIns are ascending.
type standIns []standIn

// standIn says that the ops in span brought back what those from of on had made, in order.
type standIn struct {
	span causal.Span
	of   causal.LV
}

// maxStandIns bounds standIns. What is older is forgotten by halves.
const maxStandIns = 1 << 16

// add notes that n ops from lv on, which come after all that l knows, stand for those from of on.
func (l *standIns) add(lv, of causal.LV, n int) {
	end := lv + causal.LV(n)
	if k := len(*l) - 1; k >= 0 {
		if s := &(*l)[k]; s.span.End == lv && s.of+causal.LV(s.span.Len()) == of {
			s.span.End = end
			return
		}
	}
	if len(*l) == maxStandIns {
		*l = append((*l)[:0], (*l)[maxStandIns/2:]...)
	}
	*l = append(*l, standIn{causal.Span{Start: lv, End: end}, of})
}

// from returns the index of the first that ends after lv.
func (l standIns) from(lv causal.LV) int {
	return sort.Search(len(l), func(i int) bool { return l[i].span.End > lv })
}

// before returns those before lv.
func (l standIns) before(lv causal.LV) standIns {
	i := l.from(lv)
	if i < len(l) && l[i].span.Start < lv {
		l[i].span.End = lv
		i++
	}
	return l[:i]
}

// of returns what lv stands for, and how many after it, at least one and at most n, either stand for those that
// follow that or, if ok is false, for nothing.
func (l standIns) of(lv causal.LV, n int) (of causal.LV, k int, ok bool) {
	i := l.from(lv)
	if i == len(l) {
		return 0, n, false
	}
	s := &l[i]
	if lv < s.span.Start {
		return 0, min(n, int(s.span.Start-lv)), false
	}
	return s.of + lv - s.span.Start, min(n, int(s.span.End-lv)), true
}

// within returns whether lv, or what it stands for at last or on the way, lies in span, and for how many from lv on
// the answer is the same, at least one and at most n.
func (l standIns) within(lv causal.LV, n int, span causal.Span) (in bool, k int) {
	for {
		switch {
		case lv < span.Start:
			n = min(n, int(span.Start-lv))
		case lv < span.End:
			return true, min(n, int(span.End-lv))
		}
		of, k, ok := l.of(lv, n)
		n = k
		if !ok {
			return false, n
		}
		lv = of
	}
}

// ancestors calls f with what lv stands for, nearest first.
func (l standIns) ancestors(lv causal.LV, f func(causal.LV)) {
	for {
		of, _, ok := l.of(lv, 1)
		if !ok {
			return
		}
		f(of)
		lv = of
	}
}

// descendants returns what stands for lv, directly or by way of others, the latest first.
func (l standIns) descendants(lv causal.LV) []causal.LV {
	out := []causal.LV{lv}
	for _, s := range l {
		for _, of := range out {
			if s.of <= of && of < s.of+causal.LV(s.span.Len()) {
				out = append(out, s.span.Start+of-s.of)
			}
		}
	}
	out = out[1:]
	slices.Reverse(out)
	return out
}
