package sequence

import (
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// ranges are stretches of a Sequence, each named by what the author of an op saw, that are found again in the
// merged sequence however it is edited.
//
// Where ops have seen everything before them, the anchors at the ends are numbers that move with
// the ops, run by run, when somebody asks. Where branches meet, the anchors hang on the sequence's tracker and move with what it does to the
// merged sequence. A late op may need a tracker that starts before all that is known; for this some earlier versions are kept with the
// anchors they had, at distances that grow exponentially.
type ranges struct {
	all []anchored // in order of their ops
	// The anchors of the first ranges, two each, where all ops before at have been applied. They are behind those that hang on
	// the sequence's tracker, if there is one, or else no op that is left is concurrent with one before at.
	settled
	// points are settled versions to go back to, ascending, all critical: everything since has seen everything before.
	points []settled
	hung   hung
}

// settled is a version at which all is known: of the ops of the sequence, those before at, and the anchors
// of all ranges before at.
type settled struct {
	at      causal.LV
	anchors []Anchor
	steps   int // it took from the start: runs of the log, in pieces as they came
}

// pointEvery is the least number of steps between two points. Most late ops are not very late.
const pointEvery = 8

// AddRange adds the range of n elements from pos on, of what the author of op lv saw: what lies outside that is
// cut off, and a range of which nothing is left stays empty. growStart and growEnd say whether what is inserted right at
// an end belongs to it. The rest is as for Insert. A sequence with ranges has no moves.
func (s *Sequence) AddRange(g *causal.Graph, h causal.History, lv causal.LV, pos, n int, growStart, growEnd bool) {
	o := anchored{lv: lv, low: lv, size: s.length, pos: pos, n: n, grow: growth{growStart, growEnd}}
	low, concurrent := s.lowest(h, lv)
	if concurrent {
		o.low = low
	}
	r := s.ranges
	if r == nil {
		r = &ranges{settled: settled{at: s.base(o.low)}}
		s.ranges = r
		if t := s.tracker; t != nil {
			t.ranges, r.hung.at = r, t.done
		}
	}
	if concurrent {
		t := s.open(g, low)
		t.astray = t.move(h.Missing()) || t.astray
		r.hung.add(t, &o)
	}
	r.all = append(r.all, o)
}

// Ends returns the places of the start and of the end of each range, in the order in which the ranges were added: elements between the
// two belong to it. s must have been settled since the last op, whether that had an effect or not. Read-only, until the next op.
func (s *Sequence) Ends() []Anchor {
	if s.ranges == nil {
		return nil
	}
	return s.ranges.anchors
}

// Settle finds the places of all ranges in s as it is now, for Ends. g must hold all ops, but for those
// that saw everything before them.
func (s *Sequence) Settle(g *causal.Graph) {
	if s.ranges != nil {
		s.ranges.settle(s, g)
	}
}

// SettledEnds returns what Ends would after Settle, and changes nothing: many may ask at once.
func (s *Sequence) SettledEnds(g *causal.Graph) []Anchor {
	if s.ranges == nil {
		return nil
	}
	r := *s.ranges
	r.anchors, r.points = slices.Clone(r.anchors), slices.Clone(r.points)
	if s.tracker == nil {
		r.hung = hung{}
	}
	r.settle(s, g)
	return r.anchors
}

// base is opLog.base for the ranges too.
func (s *Sequence) base(low causal.LV) causal.LV {
	for {
		base := s.log.base(low)
		if s.ranges == nil {
			return base
		}
		low = base
		for i := len(s.ranges.all) - 1; i >= 0 && s.ranges.all[i].lv >= base; i-- {
			low = min(low, s.ranges.all[i].low)
		}
		if low == base {
			return base
		}
	}
}

// settle moves the anchors on to the end of s. Nothing of s is changed.
func (r *ranges) settle(s *Sequence, g *causal.Graph) {
	end := s.log.end()
	if n := len(r.all); n > 0 {
		end = max(end, r.all[n-1].lv+1)
	}
	if s.tracker != nil {
		r.catchUp(&s.log)
	}
	log := s.log.warmed(r.at)
	r.advance(s, g, &log, nil, end)
}

// goTo moves the anchors to version base, critical and as s.base returns it: forwards if they can, else from a point. It may use t,
// a tracker of s that is made anew afterwards.
func (r *ranges) goTo(s *Sequence, g *causal.Graph, t *tracker, base causal.LV) {
	if s.tracker != nil {
		r.catchUp(&s.log)
	}
	if r.forget(base); r.at > base {
		r.back(s, base)
	}
	log := s.log.warmed(r.at)
	r.advance(s, g, &log, t, base)
}

// takeDown ends that the anchors hang on the tracker of s, which log is of: all ops that it does not have are serial.
func (r *ranges) takeDown(log *opLog) {
	r.catchUp(log)
	r.point()
}

// catchUp moves the anchors on as far as those that hang on a tracker are. log begins no later than its base.
func (r *ranges) catchUp(log *opLog) {
	if r.at < r.hung.at {
		r.steps += log.from(r.hung.at) - log.from(r.at)
		r.take()
	}
}

// take makes the anchors those that hang on a tracker.
func (r *ranges) take() { r.at, r.anchors = r.hung.at, append(r.anchors[:0], r.hung.anchors...) }

// advance moves the anchors on to version end, critical or the last one. Stretches that are concurrent are played again in t, or a tracker of its own
// if t is nil.
func (r *ranges) advance(s *Sequence, g *causal.Graph, log *opLog, t *tracker, end causal.LV) {
	for _, region := range r.regions(log, end) {
		r.walk(log, region.Start)
		if t == nil {
			t = new(tracker)
		}
		s.begin(t, log, region.Start, 1, r)
		s.replay(g, log, t, region.End)
		r.takeDown(log)
	}
	r.walk(log, end)
}

// truncate forgets the ranges of ops from lv on, which s has forgotten already, and so has its tracker, or dropped it.
func (r *ranges) truncate(s *Sequence, lv causal.LV) {
	n := len(r.all)
	for n > 0 && r.all[n-1].lv >= lv {
		n--
	}
	r.all = r.all[:n]
	t := s.tracker
	switch {
	case n == 0:
		s.ranges = nil
		if t != nil {
			t.ranges = nil
		}
	case t != nil:
		r.forget(lv)
		if r.hung.truncate(r, t); r.at > lv {
			r.take()
		}
	case r.at > lv || r.at < r.hung.at: // there was a tracker
		r.hung.at = 0
		r.back(s, lv)
	}
}

// rest frees the memory that r keeps in order to go on settling.
func (r *ranges) rest(s *Sequence) {
	if s.tracker != nil {
		r.catchUp(&s.log)
	}
	r.points, r.hung = nil, hung{}
}

// regions returns the stretches of versions from r.at to end where ops are concurrent with others. Around and between them
// all versions at the boundaries of ops are critical.
func (r *ranges) regions(log *opLog, end causal.LV) []causal.Span {
	var out []causal.Span
	var region causal.Span // empty: none is under way
	b := backward{log.runs, r.all}
	for {
		item, ok := b.next()
		if !ok || item.End <= r.at {
			break
		}
		if item.Start >= end {
			continue
		}
		if region != (causal.Span{}) && item.End <= region.Start {
			out = append(out, region)
			region = causal.Span{}
		}
		switch {
		case item.serial():
		case region == causal.Span{}:
			region = causal.Span{Start: item.low, End: item.End}
		default:
			region.Start = min(region.Start, item.low)
		}
	}
	if region != (causal.Span{}) {
		out = append(out, region)
	}
	slices.Reverse(out)
	return out
}

// backward lists runs of a log and ranges together, the last first.
type backward struct {
	runs []opRun
	all  []anchored
}

// item is a run or a range: its ops, and the first op before them that they did not see, Start if there is none.
type item struct {
	causal.Span
	low causal.LV
}

func (i *item) serial() bool { return i.low == i.Start }

func (b *backward) next() (item, bool) {
	n, m := len(b.runs), len(b.all)
	switch {
	case n == 0 && m == 0:
		return item{}, false
	case m == 0 || n > 0 && b.runs[n-1].lv > b.all[m-1].lv:
		run := &b.runs[n-1]
		b.runs = b.runs[:n-1]
		return item{causal.Span{Start: run.lv, End: run.end()}, run.low}, true
	default:
		o := &b.all[m-1]
		b.all = b.all[:m-1]
		return item{causal.Span{Start: o.lv, End: o.lv + 1}, o.low}, true
	}
}

// walk moves the anchors on to version end, from which no region parts r.at.
func (r *ranges) walk(log *opLog, end causal.LV) {
	for r.at < end {
		next := end
		k := len(r.anchors) / 2
		if k < len(r.all) {
			next = min(next, r.all[k].lv)
		}
		for i := log.from(r.at); i < len(log.runs) && log.runs[i].lv < next; i++ {
			op := log.runs[i].part(causal.Span{Start: r.at, End: next})
			shift(r.anchors, &op)
			r.at = op.end()
			r.steps++
			r.point()
		}
		if r.at = next; next < end {
			o := &r.all[k]
			start, last := o.ends(o.size)
			r.anchors = append(r.anchors, start, last)
			r.at++
		}
	}
}

// point keeps the anchors as they are, if the last point is far enough. Older points are given up where the gap that leaves is
// small beside the distance: going back costs no more than a few times what came since.
func (r *ranges) point() {
	age := func(i int) int { // of point i; of none, everything
		if i < 0 {
			return r.steps
		}
		return r.steps - r.points[i].steps
	}
	last := len(r.points) - 1
	if age(last) < pointEvery {
		return
	}
	for i := last - 1; i >= 0; i-- {
		if age(i-1)-age(i+1) <= 4*age(i+1) {
			r.points = slices.Delete(r.points, i, i+1)
		}
	}
	r.points = append(r.points, settled{r.at, slices.Clone(r.anchors), r.steps})
}

// forget drops the points after version lv.
func (r *ranges) forget(lv causal.LV) {
	n := len(r.points)
	for n > 0 && r.points[n-1].at > lv {
		n--
	}
	clear(r.points[n:])
	r.points = r.points[:n]
}

// back goes back to the last point that is not after lv, or to before the first range.
func (r *ranges) back(s *Sequence, lv causal.LV) {
	r.forget(lv)
	to := settled{at: lv}
	if n := len(r.points); n > 0 {
		to = r.points[n-1]
	} else if len(r.all) > 0 {
		to.at = min(lv, s.base(r.all[0].low))
	}
	r.at, r.anchors, r.steps = to.at, append(r.anchors[:0], to.anchors...), to.steps
}
