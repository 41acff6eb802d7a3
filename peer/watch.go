package peer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// What the ring of recent events holds, at most; the newest event always.
const (
	maxRingEvents = 1024
	maxRingWeight = 1 << 20 // bytes, roughly
	// maxMerge is the weight at which a merged event is big enough to be given out.
	maxMerge = 256 << 10
)

// ring holds a store's recent events, for the watchers that keep up. It is the same memory however
// many there are: a watcher is a version, not a queue.
type ring struct {
	items  []ringItem // each begins where the one before it ends
	end    causal.LV  // of the last item; where it begins if there is none
	weight int
}

type ringItem struct {
	span   causal.Span
	weight int
	event  crdt.Event
}

// reset empties r; the next event will begin at end.
func (r *ring) reset(end causal.LV) { *r = ring{end: end} }

// push adds the next event.
func (r *ring) push(e crdt.Event) {
	ops := 0
	for _, c := range e.Changes {
		ops += c.Len
	}
	it := ringItem{span: causal.Span{Start: r.end, End: r.end + causal.LV(ops)}, weight: weigh(e), event: e}
	r.end = it.span.End
	r.weight += it.weight
	r.items = append(r.items, it)
	drop := 0
	for drop < len(r.items)-1 && (len(r.items)-drop > maxRingEvents || r.weight > maxRingWeight) {
		r.weight -= r.items[drop].weight
		drop++
	}
	clear(r.items[:drop]) // let go of what they hold; append gives the room back in time
	r.items = r.items[drop:]
}

// weigh estimates the memory an event takes, in bytes.
func weigh(e crdt.Event) int {
	n := 128 + 80*len(e.Changes)
	for i := range e.Edits {
		ed := &e.Edits[i]
		n += 96
		for _, k := range ed.Path {
			n += 16 + len(k)
		}
		for _, v := range []*crdt.Value{ed.Old, ed.New} {
			if v != nil {
				n += 16 + len(v.AppendTo(nil))
			}
		}
		for j := range ed.Splices {
			n += 48 + len(ed.Splices[j].Text)
		}
	}
	return n
}

// from returns the events from lv on, and false if the ring does not have one that begins there.
func (r *ring) from(lv causal.LV) ([]ringItem, bool) {
	if lv == r.end {
		return nil, true
	}
	lo, hi := 0, len(r.items)
	for lo < hi {
		if mid := (lo + hi) / 2; r.items[mid].span.Start < lv {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == len(r.items) || r.items[lo].span.Start != lv {
		return nil, false
	}
	return r.items[lo:], true
}

// forgetEvents empties the ring of a store that nobody watches.
func (s *Store) forgetEvents() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ring.reset(s.ring.end)
}

// show puts events where watchers find them. s.mu is held.
func (s *Store) show(events []crdt.Event) {
	for _, e := range events {
		s.ring.push(e)
		s.node.metrics.shown(s.node.device, e)
	}
}

// Watch returns what happens to the store after since, local and remote: first what has happened already,
// then what comes, in causal order, each change once. The sequence ends only with an error: ctx's cause, the store's end, or one
// that wraps ErrUnknownVersion.
//
// A watcher is a version, not a queue: a slow one gets fewer, larger events and never loses one, and
// costs no memory while it is busy. To go on after a restart, store the last event's To. Between two events the
// loop may use the store in any way.
func (s *Store) Watch(ctx context.Context, since crdt.Version) iter.Seq2[crdt.Event, error] {
	return func(yield func(crdt.Event, error) bool) {
		s.watchers.Add(1)
		defer s.watchers.Add(-1)
		at, rewrites, tail, err := s.locate(since)
		for err == nil {
			if !tail {
				var seen []causal.Span
				if seen, since, rewrites, err = s.seen(at, since, rewrites); err != nil {
					break
				}
				at, since, err = s.catchUp(ctx, seen, since, rewrites, yield)
				if err == errStopped {
					return
				}
				tail = true
				continue
			}
			var event crdt.Event
			event, at, tail, err = s.await(ctx, at, rewrites)
			if err == nil && tail {
				since = event.To
				if !yield(event, nil) {
					return
				}
			}
		}
		yield(crdt.Event{}, err)
	}
}

// errStopped says that the loop over a Watch was left.
var errStopped = errors.New("peer: the watcher has left")

// seen returns the ops that a watcher has seen, ascending. It has come to since, which is what the log held before op at, if at is not -1,
// as it was after the given number of rewrites. since is returned under the names that own changes have now, and with it how often the log was
// rewritten.
func (s *Store) seen(at causal.LV, since crdt.Version, rewrites int) ([]causal.Span, crdt.Version, int, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if at >= 0 && rewrites == s.rewrites { // in a forked log that says more than since
		return causal.AppendSpan(nil, causal.Span{End: at}), since, rewrites, nil
	}
	since = s.versionNow(since, rewrites)
	history, err := s.historyOf(since)
	return history, since, s.rewrites, err
}

// versionNow returns a version, known after the given number of rewrites of the log, under the names that own changes have now. s.mu is held.
func (s *Store) versionNow(version crdt.Version, rewrites int) crdt.Version {
	if s.rewrites == rewrites {
		return version
	}
	out := make(crdt.Version, len(version))
	for i, d := range version {
		out[i] = s.renamed(d, rewrites)
	}
	slices.SortFunc(out, crdt.Dot.Compare)
	return out
}

// locate returns where in the log version ends, if it is a prefix of the log, and else -1, and how often the log was rewritten.
func (s *Store) locate(version crdt.Version) (at causal.LV, rewrites int, prefix bool, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	rewrites = s.rewrites
	if s.closed || s.rep == nil {
		return -1, rewrites, false, s.gone()
	}
	g := s.rep.Chains().Graph()
	lvs, ok := g.LVs(version)
	if !ok {
		if _, ok = g.LVs(s.versionNow(version, 0)); ok {
			return -1, 0, false, nil // it is from before a rewrite
		}
		return -1, rewrites, false, fmt.Errorf("%w: %v", ErrUnknownVersion, version)
	}
	unseen, _ := g.Diff(g.Heads(), lvs)
	switch {
	case len(unseen) == 0:
		return g.Len(), rewrites, true, nil
	case len(unseen) == 1 && unseen[0].End == g.Len():
		return unseen[0].Start, rewrites, true, nil
	}
	return -1, rewrites, false, nil
}

// await returns what happened from at on, once there is something, and where that ends. tail is false if it
// happened too long ago for the ring, or the log was rewritten since.
func (s *Store) await(ctx context.Context, at causal.LV, rewrites int) (event crdt.Event, end causal.LV, tail bool, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return crdt.Event{}, at, true, context.Cause(ctx)
		}
		s.mu.RLock()
		if s.closed || s.rep == nil {
			defer s.mu.RUnlock()
			return crdt.Event{}, at, true, s.gone()
		}
		items, ok := s.ring.from(at)
		if s.rewrites != rewrites {
			items, ok = nil, false
		}
		if len(items) > 0 {
			items = append([]ringItem(nil), items...)
		}
		changed := s.changed
		s.mu.RUnlock()
		if !ok {
			return crdt.Event{}, at, false, nil
		}
		if len(items) > 0 {
			var event crdt.Event
			weight := 0
			for i, it := range items {
				if weight += it.weight; i > 0 && weight > maxMerge {
					break
				}
				event.Merge(it.event)
				at = it.span.End
			}
			return event, at, true, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// catchUp replays the log, as it is after the given number of rewrites, and yields what is not in seen, the history of since, in events of moderate
// size. It returns where the log ended when it was through, as a version too. If the log is rewritten meanwhile it ends there, and Watch catches up again.
func (s *Store) catchUp(ctx context.Context, seen []causal.Span, since crdt.Version, rewrites int, yield func(crdt.Event, error) bool) (causal.LV, crdt.Version, error) {
	// Twice through the log: since may be one branch of several, and what it shows must stand
	// before the first change that is not in it.
	p := s.newPast(rewrites)
	state, err := p.replay(ctx, seen)
	if err == errRewritten {
		return -1, since, nil
	}
	if err != nil {
		return 0, nil, err
	}
	p.next = 0
	var event crdt.Event
	weight := 0
	for {
		records, err := p.read(ctx)
		if err != nil && err != errRewritten {
			return 0, nil, err
		}
		if len(records) == 0 {
			break
		}
		for _, r := range records {
			if _, ok := p.copy.LV(r.span.Start); ok {
				continue
			}
			a, err := p.add(r)
			if err != nil {
				return 0, nil, err
			}
			e := state.Apply(a)
			event.Merge(e)
			if weight += weigh(e); weight < maxMerge {
				continue
			}
			if !yield(event, nil) {
				return 0, nil, errStopped
			}
			event, weight = crdt.Event{}, 0
		}
	}
	if weight > 0 && !yield(event, nil) {
		return 0, nil, errStopped
	}
	return p.next, state.Version(), nil
}
