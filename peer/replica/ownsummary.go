package replica

import (
	"slices"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// ownSummary is the replica's own summary as of a length of its graph.
type ownSummary struct {
	shared
	digester digester
	lv       causal.LV
	valid    bool
}

// summary returns what the replica holds, less what is unsent. The tips are shared and must not be written to.
func (r *Replica) summary() shared {
	o, n := &r.own, r.graph.Len()
	if o.valid && o.lv == n {
		return o.shared
	}
	if o.valid && !r.self.held && !r.graph.Forked() {
		o.tips = slices.Clone(o.tips)
		r.graph.Runs(causal.Span{Start: o.lv, End: n}, func(run causal.Run) bool {
			t := r.chains.TipOf(run.Actor)
			o.tips.set(t)
			o.digester.changed(t.Actor)
			return true
		})
	} else {
		o.tips, o.digester = r.allTips(), digester{}
	}
	o.digest, o.lv, o.valid = o.digester.digest(o.tips, r.cfg.Store), n, true
	return o.shared
}

// allTips returns the tips of all that may be told.
func (r *Replica) allTips() summary {
	tips := summary(r.chains.Tips())
	if !r.self.held {
		return tips
	}
	for i := range tips {
		if len(r.graph.Branches(tips[i].Actor)) == 1 {
			tips[i] = r.told(tips[i].Actor)
		}
	}
	return slices.DeleteFunc(tips, func(t crdt.Tip) bool { return t.Hash == crdt.Hash{} })
}
