package crdt

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/atollsync/atoll/crdt/causal"
)

// Source holds the changes that a Chains knows of: the storage log, or memory.
type Source interface {
	// Changes yields the changes with ops in span, in LV order, until yield returns false. It is
	// called and answers synchronously; what it yields may be kept.
	Changes(span causal.Span, yield func(Accepted) bool) error
}

// ErrCut is wrapped by errors of Cut about changes that no batch of permitted size can carry.
var ErrCut = errors.New("crdt: cannot cut a batch")

// Cut makes the next batch for a receiver who lacks missing, which is ascending, and returns what it
// then still lacks. The batch is a prefix of missing in causal order, of about maxBytes and maxChanges (0: the
// targets of the format), cut back for each actor to the last signature in it, and further so that
// it holds every missing change that one in it builds on. If that leaves nothing, it is what one actor wrote
// up to its next signature with all that builds on, whatever its size. b is nil if nothing in missing can be
// sent, since nothing in it is signed. Of what src yields only Change and Span are used.
//
// A batch has one branch at most of an actor's log, and what it leaves the hash of to be implied is on one branch: the others are
// in the next batches.
func (c *Chains) Cut(src Source, missing []causal.Span, maxBytes, maxChanges int) (b *Batch, rest []causal.Span, err error) {
	if maxBytes <= 0 {
		maxBytes = TargetBatchBytes
	}
	if maxChanges <= 0 {
		maxChanges = TargetBatchChanges
	}
	maxBytes, maxChanges = min(maxBytes, MaxBatchBytes/2), min(maxChanges, MaxBatchChanges)
	for {
		k := cutter{c: c, src: src, missing: missing}
		more, err := k.read(maxBytes, maxChanges)
		if err != nil {
			return nil, missing, err
		}
		taken := k.cutBack()
		grown := len(taken) == 0 && more
		if grown {
			if taken, err = k.grow(); err != nil {
				return nil, missing, err
			}
		}
		if len(taken) == 0 {
			return nil, missing, nil
		}
		b, err := c.batchOf(taken)
		if err != nil {
			return nil, missing, err
		}
		if b.fits() {
			return b, causal.Subtract(missing, spansOf(taken)), nil
		}
		// The context of so many deps, or their signatures, take too much.
		if grown || len(k.changes) == 1 {
			return nil, missing, fmt.Errorf("%w: %d changes that belong together are too large", ErrCut, len(taken))
		}
		maxBytes, maxChanges = k.bytes/2, len(k.changes)/2
	}
}

// cutter is one run of Cut.
type cutter struct {
	c       *Chains
	src     Source
	missing []causal.Span
	changes []Accepted // what is read
	bytes   int
	items   int
	actors  map[causal.ActorIndex]*cutActor
	lines   lines
	byCh    []*cutActor // by change
}

// cutActor is an actor's part in what was read, of one branch.
type cutActor struct {
	lv    causal.LV  // of its first op
	first causal.Seq // of its first op
	next  causal.Seq // after its last
	end   causal.Seq // of the first op that is not taken
	sigs  []keptSignature
}

// read reads missing until what was read reaches one of the sizes, and reports whether there is more.
// The first change is read whatever its size.
func (k *cutter) read(maxBytes, maxChanges int) (more bool, err error) {
	full, skipped := false, false
	for _, span := range k.missing {
		err := k.each(span, func(a Accepted) bool {
			if n := len(k.changes); n > 0 && a.Span.Start < k.changes[n-1].Span.End {
				return true // it began in the span before
			}
			if !k.lines.take(k.c, &a) {
				skipped = true // it is of another branch, or builds on one: with the next batch
				return true
			}
			size, items := a.wireSize(), a.items()
			if size <= inlineOps {
				items = 1 // it will mostly be in columns; whether the batch fits is seen in the end
			}
			full = len(k.changes) > 0 &&
				(k.bytes+size > maxBytes || len(k.changes) == maxChanges || k.items+items > MaxBatchItems)
			if full {
				return false
			}
			k.changes = append(k.changes, a)
			k.bytes += size
			k.items += items
			return true
		})
		if err != nil || full {
			return full, err
		}
	}
	return skipped, nil
}

// each yields the changes with ops in span until yield returns false. It is an error if the
// source lacks one.
func (k *cutter) each(span causal.Span, yield func(Accepted) bool) error {
	at, stopped := span.Start, false
	err := k.src.Changes(span, func(a Accepted) bool {
		if a.Span.Start > at || a.Span.End <= at {
			return false
		}
		at = a.Span.End
		stopped = !yield(a)
		return !stopped && at < span.End
	})
	if err == nil && !stopped && at < span.End {
		err = fmt.Errorf("%w: the source lacks local version %d", ErrCut, at)
	}
	return err
}

// cutBack returns the largest part of what was read that ends for each actor in a kept signature and
// holds all that it builds on, other than what is not missing.
func (k *cutter) cutBack() []Accepted {
	k.actors = make(map[causal.ActorIndex]*cutActor)
	k.byCh = make([]*cutActor, len(k.changes))
	var ca *cutActor
	for i := range k.changes {
		ch := k.changes[i].Change
		if i == 0 || k.changes[i-1].Actor != ch.Actor || k.c.graph.Forked() {
			ai := k.c.graph.ActorOf(k.changes[i].Span.Start)
			if ca = k.actors[ai]; ca == nil {
				ca = &cutActor{lv: k.changes[i].Span.Start, first: ch.Seq, next: ch.Seq, sigs: k.c.chains[ai].sigs}
				k.actors[ai] = ca
			}
		}
		k.byCh[i] = ca
		if ch.Seq == ca.next { // a gap, and all behind it, waits for another batch
			ca.next += causal.Seq(ch.Len())
		}
	}
	for _, ca := range k.actors {
		ca.cut(ca.next)
	}
	for again := true; again; {
		again = false
		for i := range k.changes {
			ch := k.changes[i].Change
			if ca := k.byCh[i]; ch.Seq < ca.end && !k.closed(&k.changes[i], ca) {
				ca.cut(ch.Seq)
				again = true
			}
		}
	}
	taken := make([]Accepted, 0, len(k.changes))
	for i, a := range k.changes {
		if a.Seq < k.byCh[i].end {
			taken = append(taken, a)
		}
	}
	return taken
}

// cut takes only what lies up to the last kept signature before end.
func (ca *cutActor) cut(end causal.Seq) {
	i, _ := slices.BinarySearchFunc(ca.sigs, end, func(s keptSignature, end causal.Seq) int {
		if s.seq < end {
			return -1
		}
		return 1
	})
	ca.end = ca.first
	if i > 0 {
		ca.end = max(ca.first, ca.sigs[i-1].seq+1)
	}
}

// closed reports whether what a depends on is taken or with the receiver.
func (k *cutter) closed(a *Accepted, own *cutActor) bool {
	g := &k.c.graph
	if g.Forked() {
		if a.Span.Start == own.lv {
			if i, ok := k.c.before(own.lv); ok && contains(k.missing, k.c.span(i).Start) {
				return false // the branch that this one leaves comes first
			}
		}
		return k.closedForked(a)
	}
	for i := range a.Refs {
		d := a.Refs[i]
		if d.Seq == 0 {
			continue
		}
		lv, ok := g.LV(d)
		if !ok || !k.has(lv, d.Seq) {
			return false
		}
	}
	return true
}

// closedForked is closed where some log is forked.
func (k *cutter) closedForked(a *Accepted) bool {
	g := &k.c.graph
	for _, p := range g.Parents(a.Span.Start) {
		if ai := g.ActorOf(p); ai != g.ActorOf(a.Span.Start) && g.Actor(ai) != a.Actor && !k.has(p, g.Dot(p).Seq) {
			return false
		}
	}
	return true
}

// has reports whether the op at lv, numbered seq, is taken or with the receiver.
func (k *cutter) has(lv causal.LV, seq causal.Seq) bool {
	ca := k.actors[k.c.graph.ActorOf(lv)]
	if ca != nil && seq >= ca.first {
		return seq < ca.end
	}
	return !contains(k.missing, lv) // what lies before its first may have been passed over, as of another branch
}

// grow returns the missing changes of one actor up to its next signature, and what they build on, in the same
// manner. It takes the first actor of whom there is such a thing.
func (k *cutter) grow() (taken []Accepted, err error) {
	tried := make(map[causal.ActorIndex]bool)
	for _, span := range k.missing {
		k.c.graph.Runs(span, func(r causal.Run) bool {
			if !tried[r.Actor] {
				tried[r.Actor] = true
				taken, err = k.closure(r.Start)
			}
			return err == nil && len(taken) == 0
		})
		if err != nil || len(taken) > 0 {
			break
		}
	}
	return taken, err
}

// closure returns the missing changes that a batch with the op at seed must hold, in causal order; none if one of their
// actors has not signed as far, or if they do not go in one batch.
func (k *cutter) closure(seed causal.LV) ([]Accepted, error) {
	g := &k.c.graph
	type part struct{ read, end causal.Seq } // of a branch's ops: read up to, to be read up to
	parts := make(map[causal.ActorIndex]*part)
	var queue []causal.ActorIndex
	need := func(lv causal.LV) bool {
		r := g.Run(lv)
		ai, seq := r.Actor, r.Seq+causal.Seq(lv-r.Start)
		p := parts[ai]
		if p != nil && seq < p.end || !contains(k.missing, lv) {
			return true
		}
		own := &k.c.chains[ai]
		i, _ := own.findSig(seq)
		if i == len(own.sigs) {
			return false
		}
		if p == nil {
			p = &part{read: k.firstMissing(ai)}
			parts[ai] = p
		}
		p.end = own.sigs[i].seq + 1
		queue = append(queue, ai)
		return true
	}
	var taken []Accepted
	var err error
	bytes, items := 0, 0
	signed := need(seed)
	for len(queue) > 0 && signed && err == nil {
		ai := queue[0]
		queue = queue[1:]
		p := parts[ai]
		spans := g.SpansOf(ai, p.read, p.end)
		p.read = p.end
		for _, span := range spans {
			err = k.each(span, func(a Accepted) bool {
				taken = append(taken, a)
				bytes += a.wireSize()
				items += a.items()
				for _, lv := range g.Parents(a.Span.Start) {
					signed = signed && need(lv)
				}
				return signed
			})
			if len(taken) > MaxBatchChanges || bytes > MaxBatchBytes || items > MaxBatchItems {
				err = fmt.Errorf("%w: %d changes that belong together are too large", ErrCut, len(taken))
			}
			if !signed || err != nil {
				break
			}
		}
	}
	if !signed || err != nil {
		return nil, err
	}
	slices.SortFunc(taken, func(a, b Accepted) int { return cmp.Compare(a.Span.Start, b.Span.Start) })
	var one lines
	for i := range taken {
		if !one.take(k.c, &taken[i]) {
			return nil, nil
		}
	}
	return taken, nil
}

// lines are the branches that a batch has, and the changes it leaves the hashes of to be implied: no two of an actor have the same
// dot. The zero value is that of an empty batch. It is of use where some log is forked.
type lines struct {
	own   map[causal.Actor]causal.ActorIndex
	first map[causal.Actor]causal.Seq // of the batch's part of the actor
	deps  map[causal.Dot]causal.LV
}

// take adds a to the batch, and reports whether it can be.
func (l *lines) take(c *Chains, a *Accepted) bool {
	g := &c.graph
	if !g.Forked() {
		return true
	}
	ai := g.ActorOf(a.Span.Start)
	if own, ok := l.own[a.Actor]; ok && own != ai {
		return false
	}
	if l.own == nil {
		l.own, l.first, l.deps = make(map[causal.Actor]causal.ActorIndex), make(map[causal.Actor]causal.Seq), make(map[causal.Dot]causal.LV)
	}
	implied := make(map[causal.Dot]causal.LV)
	for i, d := range a.Refs {
		if d.Seq == 0 || a.branch(i) != nil {
			continue
		}
		lv, _ := c.dep(a.Span.Start, d)
		if !g.IsForked(g.ActorOf(lv)) {
			continue
		}
		if at, ok := l.deps[d]; ok && at != lv {
			return false
		}
		if own, ok := l.own[d.Actor]; ok && d.Seq+1 >= l.first[d.Actor] { // the change before its first is context as well
			if at, ok := g.LVOf(own, d.Seq); !ok || at != lv {
				return false
			}
		}
		implied[d] = lv
	}
	if _, ok := l.own[a.Actor]; !ok && g.IsForked(ai) {
		// What was implied before is on this branch, or ends before it.
		for d, lv := range l.deps {
			if at, ok := g.LVOf(ai, d.Seq); d.Actor == a.Actor && d.Seq+1 >= a.Seq && (!ok || at != lv) {
				return false
			}
		}
	}
	for d, lv := range implied {
		l.deps[d] = lv
	}
	if _, ok := l.own[a.Actor]; !ok {
		l.own[a.Actor], l.first[a.Actor] = ai, a.Seq
	}
	return true
}

// OneBatch reports whether a batch can have all of changes, which c holds, whatever its size: where some log is forked, they may be of two
// branches of it, or build on them.
func (c *Chains) OneBatch(changes []Accepted) bool {
	var l lines
	for i := range changes {
		if !l.take(c, &changes[i]) {
			return false
		}
	}
	return true
}

// firstMissing returns the first seq of a branch that is missing.
func (k *cutter) firstMissing(ai causal.ActorIndex) causal.Seq {
	for _, span := range k.c.graph.SpansOf(ai, 1, k.c.graph.LastOf(ai)+1) {
		i := searchSpans(k.missing, span.Start)
		if i < len(k.missing) && k.missing[i].Start < span.End {
			return k.c.graph.Dot(max(span.Start, k.missing[i].Start)).Seq
		}
	}
	return 1
}

// searchSpans returns the index of the first of spans that ends after lv.
func searchSpans(spans []causal.Span, lv causal.LV) int {
	return sort.Search(len(spans), func(i int) bool { return spans[i].End > lv })
}

func contains(spans []causal.Span, lv causal.LV) bool {
	i := searchSpans(spans, lv)
	return i < len(spans) && spans[i].Contains(lv)
}

// BatchOf returns the batch of the given changes, which c holds: in causal order and,
// for each actor, without gaps. Context and signatures come from c: the last one of each actor, and
// those that are kept for good. A receiver takes the batch only if each actor's last change here is signed.
//
// Nothing that the batch builds on may rest, unless it is the last change of its actor or another's change depends on it: use Cut for
// what is old.
func (c *Chains) BatchOf(changes []Accepted) *Batch {
	b, err := c.batchOf(changes)
	if err != nil {
		panic(err)
	}
	return b
}

func (c *Chains) batchOf(changes []Accepted) (*Batch, error) {
	if len(changes) == 1 {
		return c.batchOfOne(&changes[0])
	}
	b := new(Batch)
	type part struct {
		ai          causal.ActorIndex
		first, next causal.Seq
	}
	parts := make(map[causal.Actor]*part)
	var actors []causal.Actor
	outside := make(map[causal.LV]bool)
	var p *part
	for i := range changes {
		a := &changes[i]
		b.Append(a.Change)
		if i == 0 || changes[i-1].Actor != a.Actor {
			if p = parts[a.Actor]; p == nil {
				p = &part{ai: c.graph.ActorOf(a.Span.Start), first: a.Seq, next: a.Seq}
				parts[a.Actor] = p
				actors = append(actors, a.Actor)
				if a.Seq > 1 {
					lv, _ := c.graph.LVOf(p.ai, a.Seq-1)
					outside[lv] = true
				}
			}
		}
		p.next += causal.Seq(a.Len())
		for j, d := range a.Refs {
			if d.Seq == 0 || a.branch(j) != nil {
				continue
			}
			if q := parts[d.Actor]; q == nil || d.Seq < q.first {
				lv, ok := c.dep(a.Span.Start, d)
				if !ok {
					panic(fmt.Sprintf("crdt: batch builds on %s, which is not held", d))
				}
				outside[lv] = true
			}
		}
	}
	for lv := range outside {
		a, err := c.anchorAt(lv)
		if err != nil {
			return nil, err
		}
		b.Context = append(b.Context, a)
	}
	slices.SortFunc(b.Context, func(x, y Anchor) int { return x.Dot().Compare(y.Dot()) })
	slices.SortFunc(actors, causal.Actor.Compare)
	for _, a := range actors {
		b.Sigs = append(b.Sigs, c.keptSigs(parts[a].ai, parts[a].first, parts[a].next)...)
	}
	return b, nil
}

// spansOf returns what changes cover, which are in LV order.
func spansOf(changes []Accepted) []causal.Span {
	var out []causal.Span
	for _, a := range changes {
		out = causal.AppendSpan(out, a.Span)
	}
	return out
}
