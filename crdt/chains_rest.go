package crdt

import (
	"fmt"
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// restChunk is the most changes that are laid to rest as one: the more, the less memory they take, and the longer it takes
// to compute the hash of one again. restLeast is the fewest.
const (
	restChunk = 1 << 12
	restLeast = 1 << 6
)

// restedChunk is what is kept of an infoChunk in place of hashes and times: a few bytes a change at most.
type restedChunk struct {
	n        int
	time     int64         // of the first change
	times    []byte        // of the others, a timeColumn
	first    EffectiveTime // of the first change; the others follow from their Times
	prev     Hash          // of the actor's change before the first one
	prevTime int64
	tail     Hash       // of the last change
	kept     []keptHash // ascending
}

// keptHash is the hash of a change that another actor's change depends on.
type keptHash struct {
	i    int
	hash Hash
}

// Rest makes c take as little memory as it can, for while nothing happens. What one actor wrote in a row keeps no hashes: where
// one is asked for, it is computed again from src, which from now on must hold all changes of c whenever a
// method of c is called. That takes about as long as reading and hashing restChunk changes. Changes
// that come later keep their hashes until Rest is called again.
func (c *Chains) Rest(src Source) {
	if c.unhashed {
		return
	}
	c.source = src
	c.end = chainEnd{} // it holds a hash
	out := make([]*infoChunk, 0, len(c.infos.chunks))
	for chunks := c.infos.chunks; len(chunks) > 0; {
		n, j := 0, 0
		for ; j < len(chunks) && n < restChunk && chunks[j].canRest() && chunks[j].actor == chunks[0].actor; j++ {
			n += chunks[j].len()
		}
		rested := (*infoChunk)(nil)
		if n >= restLeast {
			rested = c.rest(chunks[:j], n)
		}
		if rested == nil {
			rested, j = chunks[0], 1
		}
		out, chunks = append(out, rested), chunks[j:]
	}
	c.infos.chunks = slices.Clip(slices.Clone(out))
	c.checker = checker{}
}

// canRest reports whether k is by one actor and has its hashes.
func (k *infoChunk) canRest() bool { return !k.mixed && k.rested == nil && k.bare == nil }

// rest returns what remains of chunks, of n changes in all, at rest; nil if they cannot be, which is so if a clock
// is behind that of others who were seen meanwhile.
func (c *Chains) rest(chunks []*infoChunk, n int) *infoChunk {
	first, last := chunks[0], chunks[len(chunks)-1]
	r := &restedChunk{n: n, time: first.time(0), first: first.effective(0), tail: last.hashes[len(last.hashes)-1]}
	dot := c.graph.Dot(first.start)
	r.prev = GenesisHash(c.store, dot.Actor)
	if dot.Seq > 1 {
		at, _ := c.before(first.start)
		k, i := c.infos.at(at)
		var err error
		if r.prev, err = c.hash(k, i); err != nil {
			return nil // nothing could be computed again without it
		}
		r.prevTime = k.time(i)
	}
	out := &infoChunk{first: first.first, start: first.start, end: last.end, before: first.before, actor: first.actor, rested: r}
	times := timeColumn{last: r.time}
	effective := r.first
	var starts []uint32
	if slices.ContainsFunc(chunks, func(k *infoChunk) bool { return k.counts != nil }) {
		out.counts = make([]changeCount, 0, n)
	}
	units := true
	i := 0
	for _, k := range chunks {
		for j := range k.hashes {
			if i > 0 {
				times.add(k.time(j))
				effective = effectiveOf(k.time(j), effective, false)
			}
			if k.effective(j) != effective {
				return nil
			}
			starts = append(starts, uint32(k.span(j).Start-out.start))
			units = units && starts[i] == uint32(i)
			if out.counts != nil {
				out.counts = append(out.counts, k.count(j))
			}
			if k.isNeeded(j) {
				out.setNeeded(i)
				r.kept = append(r.kept, keptHash{i, k.hashes[j]})
			}
			i++
		}
	}
	if !units {
		out.starts = slices.Clip(starts)
	}
	r.times = slices.Clone(times.enc)
	return out
}

// need notes that another actor's change depends on change i.
func (c *Chains) need(i int) {
	k, i := c.infos.at(i)
	if k.setNeeded(i); k.rested == nil {
		return
	}
	at, ok := slices.BinarySearchFunc(k.rested.kept, i, func(h keptHash, i int) int { return h.i - i })
	if ok {
		return
	}
	if hash, err := c.hash(k, i); err == nil { // if not, it will be tried again
		k.rested.kept = slices.Insert(k.rested.kept, at, keptHash{i, hash})
	}
}

// hash returns the hash of change i of k. If that rests, it is computed again, which fails if the source does.
func (c *Chains) hash(k *infoChunk, i int) (Hash, error) {
	r := k.rested
	if r == nil {
		return k.hash(i), nil
	}
	if i == r.n-1 {
		return r.tail, nil
	}
	if at, ok := slices.BinarySearchFunc(r.kept, i, func(h keptHash, i int) int { return h.i - i }); ok {
		return r.kept[at].hash, nil
	}
	hash, time := r.prev, r.prevTime
	var deps []Hash
	var h hasher // others may read c at the same time
	next := 0
	var failed error
	err := c.source.Changes(causal.Span{Start: k.start, End: k.span(i).End}, func(a Accepted) bool {
		if next > i || a.Span != k.span(next) {
			failed = fmt.Errorf("crdt: the source has a change at local versions [%d, %d)", a.Span.Start, a.Span.End)
			return false
		}
		deps = deps[:0]
		for j := range a.Refs {
			if a.Refs[j].Seq > 0 {
				dep, ok := c.depHash(&a, j)
				if !ok {
					failed = fmt.Errorf("crdt: dep %s is not to be had", a.Refs[j])
					return false
				}
				deps = append(deps, dep)
			}
		}
		hash = h.hash(a.Change, &hash, time, deps)
		time = a.Time
		next++
		return true
	})
	if err == nil {
		err = failed
	}
	if err == nil && next <= i {
		err = fmt.Errorf("crdt: the source lacks local version %d", k.span(next).Start)
	}
	return hash, err
}

// depHash returns the hash of the change that a, which is held, depends on by its i-th ref.
func (c *Chains) depHash(a *Accepted, i int) (Hash, bool) {
	if b := a.branch(i); b != nil {
		return b.Hash, true
	}
	lv, ok := c.dep(a.Span.Start, a.Refs[i])
	if !ok {
		return Hash{}, false
	}
	k, j := c.infos.at(c.change(lv))
	hash, err := c.hash(k, j)
	return hash, err == nil
}
