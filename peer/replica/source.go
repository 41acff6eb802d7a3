package replica

import (
	"slices"
	"sort"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// source is the log together with what is on its way there, as etcd raft joins its
// Storage with the entries that are not stable yet.
type source struct {
	log      Log
	stable   causal.LV       // what is below is read from the log
	unstable []crdt.Accepted // the rest, in LV order
}

// Changes yields the changes that overlap span, in LV order.
func (s *source) Changes(span causal.Span, yield func(crdt.Accepted) bool) error {
	if span.Start < s.stable {
		stopped := false
		below := causal.Span{Start: span.Start, End: min(span.End, s.stable)}
		err := s.log.Changes(below, func(a crdt.Accepted) bool {
			stopped = !yield(a)
			return !stopped
		})
		if err != nil || stopped {
			return err
		}
	}
	i := sort.Search(len(s.unstable), func(i int) bool { return s.unstable[i].Span.End > span.Start })
	for ; i < len(s.unstable) && s.unstable[i].Span.Start < span.End; i++ {
		if !yield(s.unstable[i]) {
			return nil
		}
	}
	return nil
}

// settle says that everything before lv is in the log.
func (s *source) settle(lv causal.LV) {
	i := sort.Search(len(s.unstable), func(i int) bool { return s.unstable[i].Span.End > lv })
	if cap(s.unstable) <= keptUnstable {
		s.unstable = slices.Delete(s.unstable, 0, i)
	} else {
		s.unstable = append([]crdt.Accepted(nil), s.unstable[i:]...)
	}
	s.stable = lv
}

// keptUnstable is the room for changes on their way to the log that is kept once they are there.
const keptUnstable = 64
