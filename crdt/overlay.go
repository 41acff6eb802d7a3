package crdt

import (
	"fmt"
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// overlay is a graph with the runs of a batch on top that are not part of it yet.
type overlay struct {
	base    *causal.Graph
	start   causal.LV // of the first op on top
	runs    []overlayRun
	queue   []causal.LV
	initial []causal.LV
}

// overlayRun is a stretch of ops each of which but the first has the one before it as its only parent.
type overlayRun struct {
	causal.Span
	parents []causal.LV
}

// begin makes o what base is, with nothing on top.
func (o *overlay) begin(base *causal.Graph) {
	clear(o.runs)
	o.base, o.start, o.runs = base, base.Len(), o.runs[:0]
}

// add puts the ops of span on top. It keeps parents.
func (o *overlay) add(span causal.Span, parents []causal.LV) {
	if n := len(o.runs); n > 0 && len(parents) == 1 && parents[0] == span.Start-1 {
		o.runs[n-1].End = span.End
		return
	}
	o.runs = append(o.runs, overlayRun{span, parents})
}

// maximal reports whether no parent but own, which is -1 if there is none, is
// in the history of another or named twice.
func (o *overlay) maximal(parents []causal.LV, own causal.LV) bool {
	deps := len(parents)
	if own >= 0 {
		deps--
	}
	if deps == 0 || deps == 1 && parents[len(parents)-1] > own {
		return true
	}
	// Walk down from all parents at once: one that is met on the way is in another's history.
	o.initial = append(o.initial[:0], parents...)
	slices.Sort(o.initial)
	if len(o.runs) == 0 && o.base.AreHeads(o.initial, own) {
		return true
	}
	least := o.initial[0]
	if least == own {
		least = o.initial[1]
	}
	o.queue = append(o.queue[:0], o.initial...)
	isDep := func(lv causal.LV) bool {
		_, ok := slices.BinarySearch(o.initial, lv)
		return ok && lv != own
	}
	push := func(lv causal.LV) bool {
		if isDep(lv) {
			return false
		}
		if lv >= least {
			if at, ok := slices.BinarySearch(o.queue, lv); !ok {
				o.queue = slices.Insert(o.queue, at, lv)
			}
		}
		return true
	}
	for n := len(o.queue); n > 0 && o.queue[n-1] >= o.start; n = len(o.queue) {
		top := o.queue[n-1]
		r := &o.runs[o.runAt(top)]
		o.queue = o.queue[:n-1]
		// What else is queued in the same run is in the history of top.
		for n := len(o.queue); n > 0 && o.queue[n-1] >= r.Start; n = len(o.queue) {
			if isDep(o.queue[n-1]) {
				return false
			}
			o.queue = o.queue[:n-1]
		}
		for _, p := range r.parents {
			if !push(p) {
				return false
			}
		}
	}
	// The rest is in the graph below.
	for i, lv := range o.queue {
		if isDep(lv) && o.base.Contains(o.queue[i+1:], lv) {
			return false
		}
	}
	return true
}

func (o *overlay) runAt(lv causal.LV) int {
	i, ok := slices.BinarySearchFunc(o.runs, lv, func(r overlayRun, lv causal.LV) int {
		switch {
		case r.End <= lv:
			return -1
		case r.Start > lv:
			return 1
		}
		return 0
	})
	if !ok {
		panic(fmt.Sprintf("crdt: local version %d is in no run of the batch", lv))
	}
	return i
}
