package crdt

import (
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// pass is one application of ops to a State, which has one at a time: of a change, or of a transaction
// while it is being authored. It knows what their author saw, can be taken back if it keeps a
// journal, and notes for the event what it touches.
type pass struct {
	s     *State
	actor causal.Actor
	first causal.Seq // dots from here on, of actor, are those of the pass itself
	base  causal.LV  // the local version of first
	lv    causal.LV  // of the op being applied
	// history is what the author saw when the pass began; ops of the pass itself count as seen.
	history   causal.History
	journaled bool   // it can be taken back: by the State's draft, which has the journal
	trace     *trace // nil: nobody asks what happened
}

// journal holds what takes a pass back, last done first undone.
type journal struct{ undos []func() }

// rollback takes back what the journal holds, and reports whether that was anything.
func (j *journal) rollback() bool {
	some := len(j.undos) > 0
	for i := len(j.undos) - 1; i >= 0; i-- {
		j.undos[i]()
	}
	return some
}

// undoable reports whether the pass may be taken back: if so, whatever is changed must be given to undo.
func (ps *pass) undoable() bool { return ps.journaled }

func (ps *pass) undo(f func()) {
	j := &ps.s.draft.journal
	j.undos = append(j.undos, f)
}

// saw reports whether the op being applied has lv, an applied op, in its causal history.
func (ps *pass) saw(lv causal.LV) bool { return ps.history.Contains(lv) }

// find returns the local version of d if the op being applied saw it. If d's actor is forked, that is the op on the branch that
// on names, or without that the only one seen. Whether the state has applied it is for the caller to check.
func (ps *pass) find(d causal.Dot, on *Tip) (causal.LV, bool) {
	var lv causal.LV
	if d.Actor == ps.actor && d.Seq >= ps.first {
		lv = ps.base + causal.LV(d.Seq-ps.first)
	} else {
		var ok bool
		if on != nil || ps.s.graph.Forked() {
			lv, ok = ps.findForked(d, on)
		} else {
			lv, ok = ps.s.graph.LV(d)
		}
		if !ok {
			return 0, false
		}
	}
	return lv, lv < ps.lv && ps.saw(lv)
}

// findForked is find where some log is forked, or was for the author.
func (ps *pass) findForked(d causal.Dot, on *Tip) (causal.LV, bool) {
	g := &ps.s.chains.graph
	if d.Actor == ps.actor {
		if ps.base < g.Len() {
			return g.LVOf(g.ActorOf(ps.base), d.Seq)
		}
		return g.LV(d) // nobody whose log is forked begins a transaction
	}
	if on != nil {
		i, ok, err := ps.s.chains.findTip(*on)
		if !ok || err != nil || d.Seq > on.Seq {
			return 0, false
		}
		end := ps.s.chains.span(i).End - 1
		if end >= ps.lv || !ps.saw(end) {
			return 0, false
		}
		return g.LVOf(g.ActorOf(end), d.Seq)
	}
	found, n := causal.LV(0), 0
	for _, lv := range g.All(d) {
		if lv < ps.lv && ps.saw(lv) {
			found, n = lv, n+1
		}
	}
	return found, n == 1
}

// supersede makes lv, of the op being applied, a member of set and drops from it what the op saw.
func (ps *pass) supersede(set *[]causal.LV, lv causal.LV) {
	ps.save(set)
	if n := len(*set); n > 0 && (*set)[n-1] >= ps.base {
		(*set)[n-1] = lv // an op before it, which saw the same but for itself, has dropped the rest
		return
	}
	*set = append(ps.unseen(*set), lv)
}

// unseen drops from set, which is ascending, in place, what the op being applied saw.
func (ps *pass) unseen(set []causal.LV) []causal.LV { return ps.history.Unseen(set) }

// drop drops from set what the op being applied saw, or everything.
func (ps *pass) drop(set *[]causal.LV, all bool) {
	if len(*set) == 0 {
		return
	}
	ps.save(set)
	if all {
		*set = (*set)[:0]
		return
	}
	*set = ps.unseen(*set)
}

// save lets the pass put set back as it is.
func (ps *pass) save(set *[]causal.LV) {
	if ps.undoable() {
		old := slices.Clone(*set)
		ps.undo(func() { *set = old })
	}
}
