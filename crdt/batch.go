package crdt

import (
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
	// Changes are in causal order.
	Changes []*Change
	// Sigs are at changes of this batch, the last one of each actor among them. Sorted by dot.
	Sigs []Signature
}

// ErrFormat is wrapped by errors about bytes that are no batch of format version 1.
var ErrFormat = errors.New("crdt: malformed batch")

// The encoding of a batch is an array of 5:
//
//	version   1
//	actors    [40 bytes, ...]                        sorted; each is used
//	context   [actor, seq, hash, time, ...]
//	segments  [actor, count, changes, ...]           in causal order; neighbours differ in actor
//	sigs      [actor, seq, signature, ...]
//
// An actor is an index into actors. A segment goes on where the one before it of the same actor
// ended, the first at the seq after that actor's last in context.

// AppendTo appends the encoding of b to buf. Context and Sigs must be sorted and
// Context complete, as they are in every batch that Chains makes or Check accepts.
func (b *Batch) AppendTo(buf []byte) []byte {
	actors := b.actors()
	index := func(a causal.Actor) int {
		i, ok := slices.BinarySearchFunc(actors, a, causal.Actor.Compare)
		if !ok {
			panic(fmt.Sprintf("crdt: batch without actor %s", a))
		}
		return i
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
	buf = b.appendSegments(buf, len(actors), index)
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
	actors := len(b.actors())
	n := 64 + 42*actors + (5+9+34+9)*len(b.Context) + (5+9+66)*len(b.Sigs)
	for _, ch := range b.Changes {
		n += 20 + 9 + 6 + 14*len(ch.Refs) // its segment, time, headers, refs
		for i := range ch.Groups {
			n += 2 + len(ch.Groups[i].Slice) + 9 + 5 + len(ch.Groups[i].Ops)
		}
	}
	return n <= MaxBatchBytes && actors <= MaxBatchActors
}

func (b *Batch) appendSegments(buf []byte, actors int, index func(causal.Actor) int) []byte {
	segments := 0
	for i, ch := range b.Changes {
		if i == 0 || b.Changes[i-1].Actor != ch.Actor {
			segments++
		}
	}
	times := make([]int64, actors) // of each actor's last change so far
	for i := range b.Context {
		times[index(b.Context[i].Actor)] = b.Context[i].Time
	}
	buf = appendArrayHead(buf, 3*segments)
	var run []byte
	for i := 0; i < len(b.Changes); {
		ai := index(b.Changes[i].Actor)
		run = run[:0]
		n := 0
		for ; i < len(b.Changes) && (n == 0 || b.Changes[i].Actor == b.Changes[i-1].Actor); i++ {
			run = b.Changes[i].appendWire(run, times[ai], index)
			times[ai] = b.Changes[i].Time
			n++
		}
		buf = appendUint(buf, uint64(ai))
		buf = appendUint(buf, uint64(n))
		buf = appendBin(buf, run)
	}
	return buf
}

// actors returns every actor that b names, sorted.
func (b *Batch) actors() []causal.Actor {
	var out []causal.Actor
	seen := make(map[causal.Actor]bool)
	add := func(a causal.Actor) {
		if !seen[a] {
			seen[a] = true
			out = append(out, a)
		}
	}
	for i := range b.Context {
		add(b.Context[i].Actor)
	}
	for i := range b.Sigs {
		add(b.Sigs[i].Dot.Actor)
	}
	for i, ch := range b.Changes {
		if i == 0 || b.Changes[i-1].Actor != ch.Actor {
			add(ch.Actor)
		}
		for j := range ch.Refs {
			add(ch.Refs[j].Actor)
		}
	}
	slices.SortFunc(out, causal.Actor.Compare)
	return out
}

// DecodeBatch reads a batch from exactly b. It accepts only what AppendTo writes, checks
// every length before it allocates, and checks the frame of every change, but neither
// hashes nor signatures: that is Chains.Check. The batch refers to b, which must not be written to any
// more. Errors wrap ErrFormat.
func DecodeBatch(b []byte) (*Batch, error) {
	if len(b) > MaxBatchBytes {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrFormat, len(b), MaxBatchBytes)
	}
	d := batchDecoder{}
	for _, part := range []struct {
		name string
		read func([]byte) ([]byte, bool)
	}{
		{"header", d.readHeader},
		{"actors", d.readActors},
		{"context", d.readContext},
		{"segments", d.readSegments},
		{"signatures", d.readSigs},
	} {
		rest, ok := part.read(b)
		if !ok {
			if d.reason == "" {
				d.reason = "truncated, not canonical or out of range"
			}
			return nil, fmt.Errorf("%w: %s: %s", ErrFormat, part.name, d.reason)
		}
		b = rest
	}
	if len(b) > 0 {
		return nil, fmt.Errorf("%w: %d bytes after the end", ErrFormat, len(b))
	}
	if slices.Contains(d.used, false) {
		return nil, fmt.Errorf("%w: actors: one is not used", ErrFormat)
	}
	return &d.batch, nil
}

// batchDecoder reads the parts of a batch in order.
type batchDecoder struct {
	batch  Batch
	reason string // why the last part was not read, if more is known than that
	actors []causal.Actor
	used   []bool
	seqs   []causal.Seq // by actor: of its next change
	times  []int64      // by actor: Time of its last change so far
	refs   []causal.Dot // room for Refs
	groups []Group      // room for Groups
	items  int          // refs and groups so far
	left   int          // changes still to be read
	slices []string     // slice names seen lately
}

func (d *batchDecoder) readHeader(b []byte) ([]byte, bool) {
	n, b, ok := readArray(b)
	if !ok || n != 5 {
		return nil, false
	}
	version, b, ok := readUint(b)
	if ok && version != FormatVersion {
		d.reason = fmt.Sprintf("format version %d, this program reads %d", version, FormatVersion)
	}
	return b, ok && version == FormatVersion
}

func (d *batchDecoder) readActors(b []byte) ([]byte, bool) {
	n, b, ok := readArray(b)
	if !ok || n > MaxBatchActors || n > len(b)/(2+causal.ActorSize) {
		return nil, false
	}
	d.actors = make([]causal.Actor, n)
	for i := range d.actors {
		var data []byte
		if data, b, ok = readBin(b); !ok {
			return nil, false
		}
		a, err := causal.ActorFromBytes(data)
		if err != nil {
			return nil, false
		}
		if i > 0 && d.actors[i-1].Compare(a) >= 0 {
			d.reason = "not sorted"
			return nil, false
		}
		d.actors[i] = a
	}
	d.used = make([]bool, n)
	d.seqs = make([]causal.Seq, n)
	for i := range d.seqs {
		d.seqs[i] = 1
	}
	d.times = make([]int64, n)
	return b, true
}

// readActor reads an index into the table of actors.
func (d *batchDecoder) readActor(b []byte) (int, []byte, bool) {
	i, b, ok := readUint(b)
	if !ok || i >= uint64(len(d.actors)) {
		return 0, nil, false
	}
	d.used[i] = true
	return int(i), b, true
}

func readSeq(b []byte) (causal.Seq, []byte, bool) {
	seq, b, ok := readUint(b)
	return causal.Seq(seq), b, ok && seq <= MaxSeq
}

func (d *batchDecoder) readContext(b []byte) ([]byte, bool) {
	n, b, ok := readArray(b)
	const least = 1 + 1 + 2 + 32 + 1
	if !ok || n%4 != 0 || n/4 > len(b)/least {
		return nil, false
	}
	d.batch.Context = makeSlice[Anchor](n / 4)
	last := -1
	for i := range d.batch.Context {
		a := &d.batch.Context[i]
		var ai int
		if ai, b, ok = d.readActor(b); !ok {
			return nil, false
		}
		a.Actor = d.actors[ai]
		if a.Seq, b, ok = readSeq(b); !ok || a.Seq < 1 {
			return nil, false
		}
		var hash []byte
		if hash, b, ok = readBin(b); !ok || len(hash) != len(a.Hash) {
			return nil, false
		}
		copy(a.Hash[:], hash)
		if a.Time, b, ok = readInt(b); !ok || a.Time < 0 || a.Time > MaxTime {
			return nil, false
		}
		if ai < last || ai == last && d.batch.Context[i-1].Seq >= a.Seq {
			d.reason = "not sorted"
			return nil, false
		}
		last = ai
		d.seqs[ai], d.times[ai] = a.Seq+1, a.Time
	}
	return b, true
}

// leastChange is the size of the smallest change: no refs, a time, one slice without name and ops.
const leastChange = 1 + 1 + 1 + 1 + 1 + 2

// segment is a part of a batch: count changes of one actor in data.
type segment struct {
	actor, count int
	data         []byte
}

func (d *batchDecoder) readSegments(b []byte) ([]byte, bool) {
	n, b, ok := readArray(b)
	if !ok || n == 0 || n%3 != 0 || n/3 > MaxBatchSegments || n/3 > len(b)/(1+1+2+leastChange) {
		return nil, false
	}
	segments := make([]segment, n/3)
	total := 0
	for i := range segments {
		s := &segments[i]
		if s.actor, b, ok = d.readActor(b); !ok {
			return nil, false
		}
		if i > 0 && segments[i-1].actor == s.actor {
			d.reason = "two of one actor in a row"
			return nil, false
		}
		count, rest, ok := readUint(b)
		if !ok || count < 1 || count > MaxBatchChanges {
			return nil, false
		}
		s.count = int(count)
		if s.data, b, ok = readBin(rest); !ok || s.count > len(s.data)/leastChange {
			return nil, false
		}
		if total += s.count; total > MaxBatchChanges {
			d.reason = "too many changes"
			return nil, false
		}
	}
	slab := make([]Change, total)
	d.batch.Changes = make([]*Change, total)
	at := 0
	d.left = total
	for _, s := range segments {
		data := s.data
		for range s.count {
			ch := &slab[at]
			if data, ok = d.readChange(data, s.actor, ch); !ok {
				if d.reason == "" {
					d.reason = fmt.Sprintf("change %s:%d is truncated, not canonical or out of range", ch.Actor, ch.Seq)
				}
				return nil, false
			}
			d.batch.Changes[at] = ch
			at++
			d.left--
		}
		if len(data) > 0 {
			d.reason = "bytes after the last change"
			return nil, false
		}
	}
	return b, true
}

// readChange reads ch, the next change of the actor with index ai.
func (d *batchDecoder) readChange(b []byte, ai int, ch *Change) ([]byte, bool) {
	ch.Actor, ch.Seq = d.actors[ai], d.seqs[ai]
	n, b, ok := readArray(b)
	if !ok || n%2 != 0 || n/2 > MaxRefs || n > len(b) || !d.count(n/2) {
		return nil, false
	}
	if n > 0 {
		ch.Refs = take(&d.refs, n/2, d.left)
		for i := range ch.Refs {
			var ri int
			if ri, b, ok = d.readActor(b); !ok {
				return nil, false
			}
			ch.Refs[i].Actor = d.actors[ri]
			if ch.Refs[i].Seq, b, ok = readSeq(b); !ok {
				return nil, false
			}
		}
	}
	delta, b, ok := readInt(b)
	if !ok || delta < -MaxTime || delta > MaxTime {
		return nil, false
	}
	ch.Time = d.times[ai] + delta
	n, b, ok = readArray(b)
	if !ok || n%3 != 0 || n/3 > MaxGroups || !d.count(n/3) {
		return nil, false
	}
	ch.Groups = take(&d.groups, n/3, d.left)
	length := 0
	for i := range ch.Groups {
		g := &ch.Groups[i]
		var name []byte
		if name, b, ok = readStr(b); !ok || len(name) > MaxSliceName {
			return nil, false
		}
		g.Slice = d.intern(name)
		n, rest, ok := readUint(b)
		if !ok || n < 1 || n > MaxChangeLen {
			return nil, false
		}
		g.Len = int(n)
		length += g.Len
		if g.Ops, b, ok = readBin(rest); !ok {
			return nil, false
		}
	}
	if err := ch.Validate(); err != nil {
		d.reason = err.Error()
		return nil, false
	}
	d.seqs[ai] += causal.Seq(length)
	d.times[ai] = ch.Time
	return b, true
}

// count adds n to the refs and groups of the batch, which take more memory than
// bytes and so have a limit of their own.
func (d *batchDecoder) count(n int) bool {
	d.items += n
	if d.items > MaxBatchItems {
		d.reason = "too many refs and slices"
		return false
	}
	return true
}

// intern returns name as a string, without allocating if it was seen lately.
func (d *batchDecoder) intern(name []byte) string {
	for i := len(d.slices) - 1; i >= 0; i-- {
		if d.slices[i] == string(name) {
			return d.slices[i]
		}
	}
	s := string(name)
	if len(d.slices) == 16 {
		d.slices = d.slices[:copy(d.slices, d.slices[1:])]
	}
	d.slices = append(d.slices, s)
	return s
}

func (d *batchDecoder) readSigs(b []byte) ([]byte, bool) {
	n, b, ok := readArray(b)
	const least = 1 + 1 + 2 + 64
	if !ok || n%3 != 0 || n/3 > len(b)/least {
		return nil, false
	}
	d.batch.Sigs = makeSlice[Signature](n / 3)
	last := -1
	for i := range d.batch.Sigs {
		s := &d.batch.Sigs[i]
		var ai int
		if ai, b, ok = d.readActor(b); !ok {
			return nil, false
		}
		s.Dot.Actor = d.actors[ai]
		if s.Dot.Seq, b, ok = readSeq(b); !ok || s.Dot.Seq < 1 {
			return nil, false
		}
		var sig []byte
		if sig, b, ok = readBin(b); !ok || len(sig) != len(s.Sig) {
			return nil, false
		}
		copy(s.Sig[:], sig)
		if ai < last || ai == last && d.batch.Sigs[i-1].Dot.Seq >= s.Dot.Seq {
			d.reason = "not sorted"
			return nil, false
		}
		last = ai
	}
	return b, true
}

// take cuts n items off room, which it refills in pieces for the left changes that may still want some.
func take[T any](room *[]T, n, left int) []T {
	if len(*room) < n {
		*room = make([]T, max(n, min(left, 256)))
	}
	out := (*room)[:n:n]
	*room = (*room)[n:]
	return out
}

// makeSlice returns n zero items, nil if there are none.
func makeSlice[T any](n int) []T {
	if n == 0 {
		return nil
	}
	return make([]T, n)
}
