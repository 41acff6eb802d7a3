package sequence

import (
	"math"
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// Ranges are stretches of a Sequence, each named by what the author of an op saw, that are found again in the
// merged sequence however it is edited. Nothing is done while the sequence is edited; Settle catches up when somebody
// asks. The zero value holds none. Ranges are not safe for concurrent use, but Ends may be
// read by many while nobody changes them.
//
// As long as ops have seen everything before them, the anchors are numbers that move with
// the ops, run by run. Where branches meet, a tracker replays the ops since the last version that everybody shared with
// the anchors hung on its elements, and the places are read off its tree. A late op may be
// concurrent with what has been settled already; for this some earlier versions are kept with the anchors
// they had, at distances that grow exponentially.
type Ranges struct {
	all []anchored // in order of their ops
	// The anchors of the first ranges, two each, where all ops before at have been applied.
	settled
	// points are settled versions to go back to, ascending, all critical: everything since has seen everything before.
	points []settled
	// tracker, if there is one, has the ops before its done, and on its elements the anchors hung.
	tracker *tracker
	spare   *tracker // a small one that was dropped, of which only the memory is of use, as of hung
	hung    []hungAnchor
	fed     causal.LV // the version at which the anchors were as the tracker has them
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

// Add adds the range of n elements from pos on, of the sequence s as the author of op lv saw it: what lies outside that is
// cut off, and a range of which nothing is left stays empty. growStart and growEnd say whether what is inserted right at
// an end belongs to it. h is the causal history of the change the op is part of; lv must be above that of any op
// that s and r have.
func (r *Ranges) Add(s *Sequence, h causal.History, lv causal.LV, pos, n int, growStart, growEnd bool) {
	o := anchored{lv: lv, low: lv, size: s.length, pos: pos, n: n, grow: growth{growStart, growEnd}}
	if low, concurrent := s.log.firstIn(h.Missing()); concurrent {
		o.low = low
	}
	r.all = append(r.all, o)
}

// Truncate forgets the ranges of ops from lv on, which the sequence has forgotten as well.
func (r *Ranges) Truncate(lv causal.LV) {
	n := len(r.all)
	for n > 0 && r.all[n-1].lv >= lv {
		n--
	}
	r.all = r.all[:n]
	if r.tracker != nil && (r.tracker.done > lv || len(r.hung) > 2*n) {
		r.tracker = nil
	}
	if r.at > lv {
		r.back(lv)
	}
}

// Rest frees the memory that r keeps in order to go on settling.
func (r *Ranges) Rest() { r.tracker, r.spare, r.hung, r.points = nil, nil, nil, nil }

// Clone returns a copy that can be settled without r being changed, as long as r and the sequence are not.
func (r *Ranges) Clone() *Ranges {
	c := *r
	c.anchors, c.points = slices.Clone(r.anchors), slices.Clone(r.points)
	c.tracker, c.spare, c.hung = nil, nil, nil
	return &c
}

// Ends returns the places of the start and of the end of each range, as they were when r was last settled, in the order in which
// the ranges were added: elements between the two belong to it. Read-only until r is settled again.
func (r *Ranges) Ends() []Anchor { return r.anchors }

// Settle finds the places of all ranges in s as it is now. g must hold all ops, but for those
// that saw everything before them.
func (r *Ranges) Settle(s *Sequence, g *causal.Graph) {
	end := s.log.end()
	if n := len(r.all); n > 0 {
		end = max(end, r.all[n-1].lv+1)
	}
	log := s.log.warmed(r.at)
	if low := r.news(&log); low < r.at {
		// Of the versions kept, and the tracker's base, those up to there are critical still.
		if r.tracker != nil && r.tracker.base <= low {
			r.forget(low)
			log = s.log.warmed(r.tracker.base)
			r.feed(s, g, &log, end)
			return
		}
		r.back(low)
		log = s.log.warmed(r.at)
	}
	for _, region := range r.regions(&log) {
		r.walk(&log, region.Start)
		r.begin(&log, region.Start)
		r.feed(s, g, &log, region.End)
		r.point()
	}
	r.walk(&log, end)
	if t := r.tracker; t != nil && s.stale(t) {
		r.tracker = nil
		if t.tree.len() <= spareLen && len(r.hung) <= 4*spareLen {
			r.spare = t
		} else {
			r.hung = nil
		}
	}
}

// news returns the lowest op that one since r was settled did not see, the greatest there is if they saw everything.
func (r *Ranges) news(log *opLog) causal.LV {
	low := causal.LV(math.MaxInt)
	for i := log.from(r.at); i < len(log.runs); i++ {
		if !log.runs[i].serial() {
			low = min(low, log.runs[i].low)
		}
	}
	for _, o := range r.all[len(r.anchors)/2:] {
		if !o.serial() {
			low = min(low, o.low)
		}
	}
	return low
}

// regions returns the stretches of versions from r.at on where ops are concurrent with others. Around and between them
// all versions at the boundaries of ops are critical.
func (r *Ranges) regions(log *opLog) []causal.Span {
	var out []causal.Span
	var region causal.Span // empty: none is under way
	b := backward{log.runs, r.all}
	for {
		item, ok := b.next()
		if !ok || item.End <= r.at {
			break
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
func (r *Ranges) walk(log *opLog, end causal.LV) {
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
func (r *Ranges) point() {
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
func (r *Ranges) forget(lv causal.LV) {
	n := len(r.points)
	for n > 0 && r.points[n-1].at > lv {
		n--
	}
	clear(r.points[n:])
	r.points = r.points[:n]
}

// back goes back to the last point that is not after lv.
func (r *Ranges) back(lv causal.LV) {
	r.forget(lv)
	to := settled{}
	if n := len(r.points); n > 0 {
		to = r.points[n-1]
	}
	r.at, r.anchors, r.steps = to.at, append(r.anchors[:0], to.anchors...), to.steps
}
