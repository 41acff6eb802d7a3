package crdt

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// Tip is the end of an actor's chain, or of a part of it: the dot of a change's last op,
// and the change's hash.
type Tip struct {
	Actor causal.Actor
	Seq   causal.Seq
	Hash  Hash
}

// Dot returns the dot of the tip.
func (t Tip) Dot() causal.Dot { return causal.Dot{Actor: t.Actor, Seq: t.Seq} }

// Compare orders tips by actor, seq and hash.
func (t Tip) Compare(o Tip) int {
	return cmp.Or(t.Actor.Compare(o.Actor), cmp.Compare(t.Seq, o.Seq), bytes.Compare(t.Hash[:], o.Hash[:]))
}

// String returns the short forms of t's dot and hash.
func (t Tip) String() string { return t.Dot().String() + "#" + t.Hash.String() }

// Anchor is a change outside a batch that changes inside it build on.
type Anchor struct {
	Tip
	Time int64 // of the change
}

// Batch is the unit of transfer and of validation: changes of one or more actors, and
// what it takes to check them. It verifies on its own: the hashes of what it builds on
// are in Context, as its sender knows them, and are compared with the receiver's chains.
// A Batch is immutable once made.
type Batch struct {
	// Context is every change outside the batch that one inside builds on: the previous change of
	// each actor's first one here (unless that is the actor's first ever), and dependencies. Sorted by dot.
	Context []Anchor
	// Sigs are at changes of this batch, the last one of each actor among them. Sorted by dot.
	Sigs []Signature

	parts  []batchPart // the changes, in causal order
	single []*Change   // those that are not in columns
	n      int         // changes
	valid  bool        // each change was found valid while decoding
	tail   typingTail
}

// batchPart is a stretch of a batch: a typing, or changes of one actor one by one.
//
// Invariant: neighbours that are not typings differ in actor, and changes are in a typing whenever at least leastTyping
// in a row can be, as many as can.
type batchPart struct {
	typing   *keystrokes // nil: single[from:to]
	from, to int
}

// typingTail is what the changes up to end of a batch's last part have in common: the last n are typed alike.
type typingTail struct {
	n, end int
	path   []byte
}

// NewBatch returns a batch of changes in causal order. Nothing is checked.
func NewBatch(context []Anchor, changes []*Change, sigs []Signature) *Batch {
	b := &Batch{Context: context, Sigs: sigs}
	for _, ch := range changes {
		b.Append(ch)
	}
	return b
}

// Append adds ch at the end of a batch that is being made, and is not used yet. It may keep ch.
func (b *Batch) Append(ch *Change) {
	b.n++
	b.valid = false
	last := len(b.parts) - 1
	if last >= 0 {
		if t := b.parts[last].typing; t != nil && t.goesOn(ch) {
			if op, _, ok := typedBy(ch, t.path, true); ok {
				t.add(ch.Time, &op)
				return
			}
		}
	}
	b.single = append(b.single, ch)
	n := len(b.single)
	if last < 0 || b.parts[last].typing != nil || b.single[n-2].Actor != ch.Actor {
		b.parts = append(b.parts, batchPart{from: n - 1, to: n})
		last++
		b.tail = typingTail{end: n - 1}
	}
	part := &b.parts[last]
	part.to = n
	if part.to-part.from < leastTyping || b.countTail() < leastTyping {
		return
	}
	from := n - b.tail.n
	var t *keystrokes
	for _, ch := range b.single[from:] {
		op, path, _ := typedBy(ch, b.tail.path, true)
		if t == nil {
			t = newKeystrokes(ch, &op, path)
		} else {
			t.add(ch.Time, &op)
		}
	}
	clear(b.single[from:])
	b.single = b.single[:from]
	if part.from == from {
		*part = batchPart{typing: t}
	} else {
		part.to = from
		b.parts = append(b.parts, batchPart{typing: t})
	}
}

// countTail brings the tail, of a part one by one, up to date, and returns how many changes it has.
func (b *Batch) countTail() int {
	for ; b.tail.end < len(b.single); b.tail.end++ {
		ch := b.single[b.tail.end]
		if b.tail.n > 0 {
			before := b.single[b.tail.end-1]
			if ch.Seq == before.Seq+causal.Seq(before.Len()) && len(ch.Groups) == 1 && ch.Groups[0].Slice == before.Groups[0].Slice {
				if _, _, ok := typedBy(ch, b.tail.path, true); ok {
					b.tail.n++
					continue
				}
			}
		}
		b.tail.n = 0
		if _, path, ok := typedBy(ch, nil, false); ok {
			b.tail.n, b.tail.path = 1, path
		}
	}
	return b.tail.n
}

// Clone returns a batch that is as b is, and stays so whatever becomes of b.
func (b *Batch) Clone() *Batch {
	out := *b
	out.Context, out.Sigs = slices.Clone(b.Context), slices.Clone(b.Sigs)
	out.parts, out.single = slices.Clone(b.parts), slices.Clone(b.single)
	return &out
}

// Len returns the number of changes.
func (b *Batch) Len() int { return b.n }

// All yields the changes in causal order, until yield returns false. They may be kept; those that
// are in columns are made anew each time.
func (b *Batch) All(yield func(*Change) bool) {
	for i := range b.parts {
		p := &b.parts[i]
		if p.typing != nil {
			if !p.typing.changes(yield) {
				return
			}
			continue
		}
		for _, ch := range b.single[p.from:p.to] {
			if !yield(ch) {
				return
			}
		}
	}
}

// BatchRun is a stretch of an actor's ops in a batch: those from Seq up to, not including, End, which
// are whole changes.
type BatchRun struct {
	Actor    causal.Actor
	Seq, End causal.Seq
}

// Runs yields what the batch covers, in causal order, until yield returns false, without looking at each change
// that is in columns. Runs of one actor that follow one another come as one.
func (b *Batch) Runs(yield func(BatchRun) bool) {
	var run BatchRun
	more := func(a causal.Actor, seq, end causal.Seq) bool {
		if run.Actor == a && run.End == seq && run.End > 0 {
			run.End = end
			return true
		}
		last := run
		run = BatchRun{a, seq, end}
		return last.End == 0 || yield(last)
	}
	for i := range b.parts {
		p := &b.parts[i]
		if t := p.typing; t != nil {
			if !more(t.actor, t.seq, t.end()) {
				return
			}
			continue
		}
		for _, ch := range b.single[p.from:p.to] {
			if !more(ch.Actor, ch.Seq, ch.Seq+causal.Seq(ch.Len())) {
				return
			}
		}
	}
	if run.End > 0 {
		yield(run)
	}
}

// Ops returns the number of ops of all changes: the dots they cover.
func (b *Batch) Ops() int {
	n := 0
	for r := range b.Runs {
		n += int(r.End - r.Seq)
	}
	return n
}

// Items returns what the batch counts for the bound MaxBatchItems.
func (b *Batch) Items() int {
	n := 0
	for _, ch := range b.single {
		n += ch.items()
	}
	return n
}

// items returns what c counts for MaxBatchItems unless it is in columns.
func (c *Change) items() int { return changeItems + len(c.Refs) + len(c.Groups) }

// actorOf returns the actor of a part.
func (b *Batch) actorOf(p *batchPart) causal.Actor {
	if p.typing != nil {
		return p.typing.actor
	}
	return b.single[p.from].Actor
}

// seqOf returns the first seq of a part.
func (b *Batch) seqOf(p *batchPart) causal.Seq {
	if p.typing != nil {
		return p.typing.seq
	}
	return b.single[p.from].Seq
}

// ErrFormat is wrapped by errors about bytes that are no batch of format version 2.
var ErrFormat = errors.New("crdt: malformed batch")

// The encoding of a batch is an array of 5:
//
//	version   2
//	actors    [40 bytes, ...]                        sorted; each is used
//	context   [actor, seq, hash, time, ...]
//	segments  [actor, count, changes, ...]           in causal order
//	sigs      [actor, seq, signature, ...]
//
// An actor is an index into actors. A segment goes on where the one before it of the same actor
// ended, the first at the seq after that actor's last in context. Its changes are either a bin of
// one after the other, or the array that a typing is. Which it is follows from the changes; neighbours of the first sort
// differ in actor.

// AppendTo appends the encoding of b to buf. Context and Sigs must be sorted and
// Context complete, as they are in every batch that Chains makes or Check accepts.
func (b *Batch) AppendTo(buf []byte) []byte { return b.appendTo(buf, nil) }

func (b *Batch) appendTo(buf []byte, columns *Columns) []byte {
	var room [4]causal.Actor
	actors := b.actors(room[:0])
	index := func(a causal.Actor) int {
		if len(actors) <= fewActors {
			for i := range actors {
				if actors[i] == a {
					return i
				}
			}
		}
		i, ok := slices.BinarySearchFunc(actors, a, causal.Actor.Compare)
		if !ok {
			panic(fmt.Sprintf("crdt: batch without actor %s", a))
		}
		return i
	}
	if b.n == 1 && len(b.single) == 1 {
		// About what it takes: such batches are small and many.
		buf = slices.Grow(buf, 16+(2+causal.ActorSize)*len(actors)+48*len(b.Context)+72*len(b.Sigs)+b.single[0].wireSize())
	}
	buf = append(buf, mpFixArr|5)
	buf = appendUint(buf, FormatVersion)
	buf = appendArrayHead(buf, len(actors))
	for _, a := range actors {
		buf = append(buf, mpBin8, causal.ActorSize)
		buf = a.AppendTo(buf)
	}
	buf = appendArrayHead(buf, 4*len(b.Context))
	for i := range b.Context {
		a := &b.Context[i]
		buf = appendUint(buf, uint64(index(a.Actor)))
		buf = appendUint(buf, uint64(a.Seq))
		buf = appendBin(buf, a.Hash[:])
		buf = appendInt(buf, a.Time)
	}
	buf = b.appendSegments(buf, len(actors), index, columns)
	buf = appendArrayHead(buf, 3*len(b.Sigs))
	for i := range b.Sigs {
		s := &b.Sigs[i]
		buf = appendUint(buf, uint64(index(s.Dot.Actor)))
		buf = appendUint(buf, uint64(s.Dot.Seq))
		buf = appendBin(buf, s.Sig[:])
	}
	return buf
}

// fits reports whether b is surely within the limits of a batch.
func (b *Batch) fits() bool {
	actors := len(b.actors(nil))
	n := 64 + 42*actors + (5+9+34+9)*len(b.Context) + (5+9+66)*len(b.Sigs)
	for i := range b.parts {
		n += 20 // the head of its segment
		if t := b.parts[i].typing; t != nil {
			n += t.sizeBound()
		}
	}
	items := 0
	for _, ch := range b.single {
		n += 9 + 6 + 14*len(ch.Refs) + ch.branchesSize() // time, headers, refs
		for i := range ch.Groups {
			n += 2 + len(ch.Groups[i].Slice) + 9 + 5 + len(ch.Groups[i].Ops)
		}
		items += ch.items()
	}
	return n <= MaxBatchBytes && actors <= MaxBatchActors && items <= MaxBatchItems
}

func (b *Batch) appendSegments(buf []byte, actors int, index func(causal.Actor) int, columns *Columns) []byte {
	var room [4]int64
	times := room[:] // of each actor's last change so far
	if actors > len(room) {
		times = make([]int64, actors)
	}
	for i := range b.Context {
		times[index(b.Context[i].Actor)] = b.Context[i].Time
	}
	buf = appendArrayHead(buf, 3*len(b.parts))
	for i := range b.parts {
		p := &b.parts[i]
		ai := index(b.actorOf(p))
		buf = appendUint(buf, uint64(ai))
		if t := p.typing; t != nil {
			buf = appendUint(buf, uint64(t.n))
			if columns != nil {
				buf = t.appendColumns(buf, times[ai], columns)
			} else {
				buf = t.appendTo(buf, times[ai])
			}
			times[ai] = t.times.last
			continue
		}
		buf = appendUint(buf, uint64(p.to-p.from))
		buf = append(buf, mpBin8, 0)
		from := len(buf)
		for _, ch := range b.single[p.from:p.to] {
			before := times[ai]
			if times[ai] = ch.Time; columns != nil {
				columns.runs.add(ch.Time-before, 1)
				before = ch.Time
			}
			buf = ch.appendWire(buf, before, index)
		}
		buf = endBin(buf, from)
	}
	return buf
}

// actors appends every actor that b names to out, which is empty, sorted.
func (b *Batch) actors(out []causal.Actor) []causal.Actor {
	var seen map[causal.Actor]bool // those in out, if they are more than fewActors
	add := func(a causal.Actor) {
		switch {
		case seen != nil && seen[a] || seen == nil && slices.Contains(out, a):
			return
		case seen == nil && len(out) == fewActors:
			seen = make(map[causal.Actor]bool)
			for _, a := range out {
				seen[a] = true
			}
		}
		out = append(out, a)
		if seen != nil {
			seen[a] = true
		}
	}
	for i := range b.Context {
		add(b.Context[i].Actor)
	}
	for i := range b.Sigs {
		add(b.Sigs[i].Dot.Actor)
	}
	for i := range b.parts {
		add(b.actorOf(&b.parts[i]))
	}
	for _, ch := range b.single {
		for j := range ch.Refs {
			add(ch.Refs[j].Actor)
		}
	}
	if len(out) > 1 {
		slices.SortFunc(out, causal.Actor.Compare)
	}
	return out
}
