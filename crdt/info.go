package crdt

import (
	"math"
	"slices"
	"sort"

	"github.com/atollsync/atoll/crdt/causal"
)

// infoTable holds what a Chains remembers of its changes, in LV order, in chunks of columns. A column that would say
// nothing is left out, so that a keystroke takes little more than its hash.
//
// Invariant: the changes of a chunk follow each other in LV order without gaps, as do the chunks.
type infoTable struct {
	chunks []*infoChunk
	len    int
}

// maxChunk is the most changes in a chunk: their hashes take just less than what is a large object to the allocator. openChunk is the most in
// one that grows while there are few.
const (
	maxChunk  = 1000
	openChunk = 500
)

type infoChunk struct {
	first      int       // index of its first change
	start, end causal.LV // of its ops
	hashes     []Hash
	starts     []uint32 // of each change, less start; nil while each is one op
	base       int64    // Times are given less this
	times      []uint32
	// late has the effective times; nil while each follows from the change's Time alone or, if counting, they count up from from.
	late     []EffectiveTime
	counting bool
	from     EffectiveTime
	// before and counts say what of its actor there is before the first change, and up to each one. While counts is nil all are of one
	// actor and count as typed ones.
	before changeCount
	counts []changeCount
	actor  causal.ActorIndex // of the first change
	mixed  bool              // and not of all
	needed []uint64          // bits of changes that another actor's change depends on; nil while there is none
	// bare holds the changes themselves if they were not hashed (see AddUnhashed): the columns above are nil then, and what they would
	// say is computed when asked for. after is the greatest effective time before them, alone that there is none.
	bare  *keystrokes
	after EffectiveTime
	alone bool
	// rested is what is left of hashes and times; see Rest.
	rested *restedChunk
}

// len returns the number of changes.
func (k *infoChunk) len() int {
	switch {
	case k.bare != nil:
		return k.bare.n
	case k.rested != nil:
		return k.rested.n
	}
	return len(k.hashes)
}

// hash returns the hash of change i, zero if it was not computed. k does not rest.
func (k *infoChunk) hash(i int) Hash {
	if k.bare != nil {
		return Hash{}
	}
	return k.hashes[i]
}

// changeCount counts an actor's changes, and about what they take in a batch in bytes. Only
// differences count, so it may wrap.
type changeCount struct{ changes, bytes uint32 }

// typedBytes is what a small change counts as, whatever it takes.
const typedBytes = 16

// fits reports whether a change that starts at lv, made at time, can be added to k as far as its columns reach.
func (k *infoChunk) fits(lv causal.LV, time int64) bool {
	return lv-k.start <= math.MaxUint32 && time >= k.base && time-k.base <= math.MaxUint32
}

// add adds a change that starts at lv.
func (k *infoChunk) add(hash *Hash, lv causal.LV, time int64) {
	if off := lv - k.start; k.starts != nil || off != causal.LV(len(k.hashes)) {
		k.addStart(uint32(off))
	}
	k.hashes = append(k.hashes, *hash)
	k.times = append(k.times, uint32(time-k.base))
}

// addStart adds where a change starts.
func (k *infoChunk) addStart(off uint32) {
	if k.starts == nil {
		k.starts = make([]uint32, len(k.hashes), cap(k.hashes)+1)
		for i := range k.starts {
			k.starts[i] = uint32(i)
		}
	}
	k.starts = append(k.starts, off)
}

// setEffective gives change i of k, its last, its effective time.
func (k *infoChunk) setEffective(i int, e EffectiveTime) {
	switch {
	case k.late != nil:
		k.late = append(k.late, e)
		return
	case k.counting:
		if e == k.from+EffectiveTime(i) {
			return
		}
	case e == EffectiveTime(k.time(i))<<16:
		return
	case i == 0 || i == 1 && e == k.effective(0)+1:
		// Who makes many changes in a millisecond, or has no clock, counts.
		k.counting, k.from = true, e-EffectiveTime(i)
		return
	}
	late := make([]EffectiveTime, i, cap(k.hashes))
	for j := range late {
		late[j] = k.effective(j)
	}
	k.late = append(late, e)
}

func (k *infoChunk) time(i int) int64 {
	switch {
	case k.bare != nil:
		return timeOf(k.bare.time, k.bare.times.reader(), i)
	case k.rested != nil:
		return timeOf(k.rested.time, timeReader{enc: k.rested.times}, i)
	}
	return k.base + int64(k.times[i])
}

func (k *infoChunk) effective(i int) EffectiveTime {
	switch {
	case k.bare != nil:
		return effectiveAt(k.bare.time, k.bare.times.reader(), effectiveOf(k.bare.time, k.after, k.alone), i)
	case k.rested != nil:
		return effectiveAt(k.rested.time, timeReader{enc: k.rested.times}, k.rested.first, i)
	}
	switch {
	case k.late != nil:
		return k.late[i]
	case k.counting:
		return k.from + EffectiveTime(i)
	}
	return EffectiveTime(k.time(i)) << 16
}

// span returns the local versions of the ops of change i of k.
func (k *infoChunk) span(i int) causal.Span {
	if k.bare != nil {
		from, to := k.bare.dots(i)
		return causal.Span{Start: k.start + causal.LV(from), End: k.start + causal.LV(to)}
	}
	s := causal.Span{Start: k.start + causal.LV(i), End: k.start + causal.LV(i) + 1}
	if k.starts != nil {
		s.Start = k.start + causal.LV(k.starts[i])
	}
	if i+1 == k.len() {
		s.End = k.end
	} else if k.starts != nil {
		s.End = k.start + causal.LV(k.starts[i+1])
	}
	return s
}

// find returns the change of k that holds lv.
func (k *infoChunk) find(lv causal.LV) int {
	off := lv - k.start
	if k.bare != nil {
		return k.bare.changeOf(int(off))
	}
	if k.starts == nil {
		return min(int(off), k.len()-1)
	}
	lo, hi := 0, int(min(off+1, causal.LV(len(k.starts))))
	for hi-lo > 1 {
		if mid := int(uint(lo+hi) >> 1); causal.LV(k.starts[mid]) > off {
			hi = mid
		} else {
			lo = mid
		}
	}
	return lo
}

// count returns what of its actor there is up to change i of k, itself included.
func (k *infoChunk) count(i int) changeCount {
	if k.counts != nil {
		return k.counts[i]
	}
	n := uint32(i + 1)
	return changeCount{k.before.changes + n, k.before.bytes + n*typedBytes}
}

// setCount gives change i of k, its last, of the given actor and size, its count. before is that of the actor's previous change.
func (k *infoChunk) setCount(i int, actor causal.ActorIndex, before changeCount, size int) {
	if i == 0 {
		k.actor, k.before = actor, before
	}
	k.mixed = k.mixed || k.actor != actor
	small := size <= 2*typedBytes
	if k.counts == nil {
		if small && k.actor == actor {
			return
		}
		counts := make([]changeCount, i, cap(k.hashes))
		for j := range counts {
			counts[j] = k.count(j)
		}
		k.counts = counts
	}
	if small {
		size = typedBytes
	}
	k.counts = append(k.counts, changeCount{before.changes + 1, before.bytes + uint32(size)})
}

func (k *infoChunk) isNeeded(i int) bool {
	return i/64 < len(k.needed) && k.needed[i/64]>>(i%64)&1 == 1
}

func (k *infoChunk) setNeeded(i int) {
	if n := i/64 + 1; len(k.needed) < n {
		k.needed = append(k.needed, make([]uint64, n-len(k.needed))...)
	}
	k.needed[i/64] |= 1 << (i % 64)
}

// at returns where change i is: the chunk, and its index there.
func (t *infoTable) at(i int) (*infoChunk, int) {
	last := len(t.chunks) - 1
	if k := t.chunks[last]; i >= k.first {
		return k, i - k.first
	}
	j := sort.Search(last, func(j int) bool { return t.chunks[j].first > i }) - 1
	return t.chunks[j], i - t.chunks[j].first
}

// find returns the index of the change that holds lv, which must be one of the table's.
func (t *infoTable) find(lv causal.LV) int {
	k, i := t.locate(lv)
	return k.first + i
}

// locate returns where the change is that holds lv, which must be one of the table's: the chunk, and its index there.
func (t *infoTable) locate(lv causal.LV) (*infoChunk, int) {
	last := len(t.chunks) - 1
	k := t.chunks[last]
	if lv < k.start {
		k = t.chunks[sort.Search(last, func(j int) bool { return t.chunks[j].start > lv })-1]
	}
	return k, k.find(lv)
}

// add adds a change of an actor with the given ops, and returns its chunk and its index there.
func (t *infoTable) add(hash *Hash, span causal.Span, time int64, effective EffectiveTime, actor causal.ActorIndex) (*infoChunk, int) {
	var k *infoChunk
	if n := len(t.chunks); n > 0 {
		k = t.chunks[n-1]
	}
	if k == nil || k.bare != nil || k.rested != nil || len(k.hashes) >= t.open() || !k.fits(span.Start, time) ||
		len(k.hashes) >= restLeast && !k.mixed && k.actor != actor {
		k = &infoChunk{first: t.len, start: span.Start, base: time - math.MaxInt32}
		if t.len >= openChunk {
			n := t.open()
			k.hashes, k.times = make([]Hash, 0, n), make([]uint32, 0, n) // no more copying while it grows
		}
		t.chunks = append(t.chunks, k)
	}
	i := len(k.hashes)
	k.add(hash, span.Start, time)
	k.end = span.End
	k.setEffective(i, effective)
	t.len++
	return k, i
}

// open returns the most changes in a chunk that grows now.
func (t *infoTable) open() int {
	if t.len >= 16*maxChunk {
		return maxChunk
	}
	return openChunk
}

// addTyped is add for one op that goes on in the last chunk, by the actor who all of it is by, in a change like most there: none of the
// columns that would say more is needed. It returns where the hash is now, or nil if the change is not like that, and then does nothing.
func (t *infoTable) addTyped(hash *Hash, lv causal.LV, time int64, effective EffectiveTime, actor causal.ActorIndex) *Hash {
	if len(t.chunks) == 0 {
		return nil
	}
	k := t.chunks[len(t.chunks)-1]
	n := len(k.hashes)
	if n == 0 || n == cap(k.hashes) || n == cap(k.times) || n >= t.open() || k.starts != nil || k.counts != nil || k.late != nil || k.mixed ||
		k.actor != actor || lv != k.start+causal.LV(n) || uint64(time-k.base) > math.MaxUint32 {
		return nil
	}
	if follows := EffectiveTime(time) << 16; k.counting && effective != k.from+EffectiveTime(n) || !k.counting && effective != follows {
		return nil
	}
	k.hashes, k.times = k.hashes[:n+1], k.times[:n+1]
	k.hashes[n], k.times[n] = *hash, uint32(time-k.base)
	k.end = lv + 1
	t.len++
	return &k.hashes[n]
}

// adopt adds a chunk that was made elsewhere.
func (t *infoTable) adopt(k *infoChunk) {
	k.first = t.len
	k.hashes, k.times = slices.Clip(k.hashes), slices.Clip(k.times)
	t.chunks = append(t.chunks, k)
	t.len += k.len()
}
