package crdt

import (
	"errors"
	"fmt"
	"slices"

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

// Cut makes the next batch for a receiver who lacks missing, which is ascending, and returns what it then still lacks. The batch
// is a prefix of missing in causal order, of about maxBytes and maxChanges (0: the targets of the
// format), cut back for each actor to the last kept signature in it, and further so that
// it holds every missing change that one in it builds on. If that leaves nothing the prefix grows
// until it does not. b is nil if nothing in missing can be sent, since nothing in it is signed.
func (c *Chains) Cut(src Source, missing []causal.Span, maxBytes, maxChanges int) (b *Batch, rest []causal.Span, err error) {
	if maxBytes <= 0 {
		maxBytes = TargetBatchBytes
	}
	if maxChanges <= 0 {
		maxChanges = TargetBatchChanges
	}
	maxBytes, maxChanges = min(maxBytes, MaxBatchBytes/2), min(maxChanges, MaxBatchChanges)
	k := cutter{c: c, missing: missing, todo: missing}
	for shrunk := false; ; {
		more, err := k.read(src, maxBytes, maxChanges)
		if err != nil {
			return nil, missing, err
		}
		taken := k.cutBack()
		if len(taken) > 0 {
			b := c.BatchOf(taken)
			if b.fits() {
				return b, subtract(missing, taken), nil
			}
		} else if !more {
			return nil, missing, nil
		}
		// Too few or, with all their context, too many. Sizes double or halve, never both.
		switch {
		case len(taken) > 0 && len(k.changes) > 1:
			shrunk = true
			maxBytes, maxChanges = k.bytes/2, len(k.changes)/2
			k = cutter{c: c, missing: missing, todo: missing}
		case len(taken) > 0 || shrunk || maxBytes == MaxBatchBytes/2 && maxChanges == MaxBatchChanges:
			return nil, missing, fmt.Errorf("%w: no kept signatures within %d changes of %d bytes", ErrCut, len(k.changes), k.bytes)
		default:
			maxBytes, maxChanges = min(2*maxBytes, MaxBatchBytes/2), min(2*maxChanges, MaxBatchChanges)
		}
	}
}

// cutter is one run of Cut.
type cutter struct {
	c       *Chains
	missing []causal.Span
	todo    []causal.Span // of missing, what is not read yet
	changes []Accepted    // what is read
	bytes   int
	items   int
	actors  map[causal.Actor]*cutActor
	byCh    []*cutActor // by change
}

// cutActor is an actor's part in what was read.
type cutActor struct {
	first causal.Seq // of its first op
	next  causal.Seq // after its last
	end   causal.Seq // of the first op that is not taken
	sigs  []keptSignature
}

// read reads on until what was read reaches one of the sizes, and reports whether there is more.
// The first change is read whatever its size.
func (k *cutter) read(src Source, maxBytes, maxChanges int) (more bool, err error) {
	for len(k.todo) > 0 {
		span := k.todo[0]
		full := false
		at := span.Start
		err := src.Changes(span, func(a Accepted) bool {
			if n := len(k.changes); n > 0 && a.Span.Start < k.changes[n-1].Span.End {
				return true // it began in the span before
			}
			size, items := a.wireSize(), len(a.Refs)+len(a.Groups)
			full = len(k.changes) > 0 &&
				(k.bytes+size > maxBytes || len(k.changes) == maxChanges || k.items+items > MaxBatchItems)
			if full {
				return false
			}
			k.changes = append(k.changes, a)
			k.bytes += size
			k.items += items
			at = a.Span.End
			return at < span.End
		})
		if err != nil {
			return false, err
		}
		if !full && at < span.End {
			return false, fmt.Errorf("%w: the source lacks local versions %d to %d", ErrCut, at, span.End)
		}
		k.todo = k.todo[1:]
		if at < span.End {
			k.todo = append([]causal.Span{{Start: at, End: span.End}}, k.todo...)
		}
		if full {
			return true, nil
		}
	}
	return false, nil
}

// cutBack returns the largest part of what was read that ends for each actor in a kept signature and
// holds all that it builds on, other than what is not missing.
func (k *cutter) cutBack() []Accepted {
	k.actors = make(map[causal.Actor]*cutActor)
	k.byCh = make([]*cutActor, len(k.changes))
	var ca *cutActor
	for i := range k.changes {
		ch := k.changes[i].Change
		if i == 0 || k.changes[i-1].Actor != ch.Actor {
			ca = k.actors[ch.Actor]
		}
		if ca == nil {
			ca = &cutActor{first: ch.Seq, next: ch.Seq}
			if own := k.c.chainOf(ch.Actor); own != nil {
				ca.sigs = own.sigs
			}
			k.actors[ch.Actor] = ca
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
			if ca := k.byCh[i]; ch.Seq < ca.end && !k.closed(ch) {
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

// closed reports whether what ch depends on is taken or with the receiver.
func (k *cutter) closed(ch *Change) bool {
	for i := range ch.Refs {
		d := ch.Refs[i]
		if d.Seq == 0 {
			continue
		}
		ca := k.actors[d.Actor]
		if ca != nil && d.Seq < ca.end {
			continue
		}
		if ca != nil && d.Seq >= ca.first {
			return false
		}
		if lv, ok := k.c.graph.LV(d); !ok || contains(k.missing, lv) {
			return false
		}
	}
	return true
}

func contains(spans []causal.Span, lv causal.LV) bool {
	i, _ := slices.BinarySearchFunc(spans, lv, func(s causal.Span, lv causal.LV) int {
		if s.End <= lv {
			return -1
		}
		return 1
	})
	return i < len(spans) && spans[i].Contains(lv)
}

// subtract returns spans without those of the taken changes, both ascending.
func subtract(spans []causal.Span, taken []Accepted) []causal.Span {
	var out []causal.Span
	for _, s := range spans {
		for len(taken) > 0 && taken[0].Span.End <= s.Start {
			taken = taken[1:]
		}
		for len(taken) > 0 && taken[0].Span.Start < s.End {
			if t := taken[0].Span; t.Start > s.Start {
				out = append(out, causal.Span{Start: s.Start, End: t.Start})
			}
			s.Start = taken[0].Span.End
			if s.Start > s.End {
				break
			}
			taken = taken[1:]
		}
		if s.Start < s.End {
			out = append(out, s)
		}
	}
	return out
}

// BatchOf returns the batch of the given changes, which c holds: in causal order and,
// for each actor, without gaps. Context and all kept signatures come from c.
func (c *Chains) BatchOf(changes []Accepted) *Batch {
	b := &Batch{Changes: make([]*Change, len(changes))}
	type part struct{ first, next causal.Seq }
	parts := make(map[causal.Actor]*part)
	var actors []causal.Actor
	outside := make(map[causal.Dot]bool)
	var p *part
	for i, a := range changes {
		b.Changes[i] = a.Change
		if i == 0 || changes[i-1].Actor != a.Actor {
			if p = parts[a.Actor]; p == nil {
				p = &part{first: a.Seq, next: a.Seq}
				parts[a.Actor] = p
				actors = append(actors, a.Actor)
				if a.Seq > 1 {
					outside[causal.Dot{Actor: a.Actor, Seq: a.Seq - 1}] = true
				}
			}
		}
		p.next += causal.Seq(a.Len())
		for _, d := range a.Refs {
			if d.Seq == 0 {
				continue
			}
			if q := parts[d.Actor]; q == nil || d.Seq < q.first {
				outside[d] = true
			}
		}
	}
	for d := range outside {
		i, ok := c.findEnd(d)
		if !ok {
			panic(fmt.Sprintf("crdt: batch builds on %s, which is not held", d))
		}
		b.Context = append(b.Context, Anchor{Tip: c.tip(i), Time: c.infos.at(i).time})
	}
	slices.SortFunc(b.Context, func(x, y Anchor) int { return x.Dot().Compare(y.Dot()) })
	slices.SortFunc(actors, causal.Actor.Compare)
	for _, a := range actors {
		own := c.chainOf(a)
		if own == nil {
			continue
		}
		i, _ := own.findSig(parts[a].first)
		for ; i < len(own.sigs) && own.sigs[i].seq < parts[a].next; i++ {
			b.Sigs = append(b.Sigs, Signature{Dot: causal.Dot{Actor: a, Seq: own.sigs[i].seq}, Sig: own.sigs[i].sig})
		}
	}
	return b
}
