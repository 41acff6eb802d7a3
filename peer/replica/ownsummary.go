package replica

import (
	"slices"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// ownSummary is the replica's own summary as of a length of its graph.
type ownSummary struct {
	shared
	lv    causal.LV
	valid bool
	whole summary // the tips once more, if somebody asked for them; nil: nobody did
}

// summary returns what the replica holds, less what is unsent.
func (r *Replica) summary() shared {
	o, n := &r.own, r.graph.Len()
	if o.valid && o.lv == n {
		return o.shared
	}
	if o.valid && !r.self.held && !r.graph.Forked() {
		o.tips = o.tips.copy()
		r.graph.Runs(causal.Span{Start: o.lv, End: n}, func(run causal.Run) bool {
			o.tips.set(r.chains.TipOf(run.Actor))
			return true
		})
	} else {
		o.tips = holdingsOf(r.allTips())
	}
	o.digest, o.lv, o.valid, o.whole = o.tips.digest(r.cfg.Store), n, true, nil
	return o.shared
}

// wholeSummary returns the tips of summary in one piece. They are shared and must not be written to.
func (r *Replica) wholeSummary() summary {
	own := r.summary()
	if r.own.whole == nil {
		r.own.whole = own.tips.summary()
	}
	return r.own.whole
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
