package crdt

import (
	"bytes"
	"fmt"

	"github.com/atollsync/atoll/crdt/causal"
)

// DecodeBatch reads a batch from exactly b. It accepts only what AppendTo writes, checks
// every length before it allocates, and checks the frame of every change, but neither
// hashes nor signatures: that is Chains.Check. The batch refers to b, which must not be written to any
// more. Errors wrap ErrFormat.
func DecodeBatch(b []byte) (*Batch, error) { return new(BatchDecoder).decode(b, nil) }

// BatchDecoder decodes batches one after another, for one who takes in each before the next: a keystroke that arrives
// alone should cost little more than its hash, so what only reading a batch takes is used again. The zero value is ready for
// use. It is not safe for concurrent use.
type BatchDecoder struct {
	// Passing says that changes, too, are good only until the next Decode: nobody keeps any, as when a log is replayed.
	// It must not change once d was used.
	Passing bool

	batch Batch
	// columns are where the columns of what is typed, and all times, are, nil if they are in place.
	columns *columnsReader
	reason  string // why the last part was not read, if more is known than that
	table   []tableActor
	refs    []causal.Dot      // room for Refs
	groups  []Group           // room for Groups
	changes []changeWithGroup // room for changes that come alone
	piece   int               // how many there were of those when they were made
	items   int               // what counts for MaxBatchItems so far
	left    int               // changes still to be read
	slices  []string          // slice names seen lately
	// head is how the last batch begins, its table of actors included: the next one mostly begins the same. Empty if that
	// is too long to be kept.
	head []byte

	// What most batches take of each.
	tableRoom  [2]tableActor
	sliceRoom  [1]string
	anchorRoom [2]Anchor
	partRoom   [1]batchPart
	singleRoom [1]*Change
	firstRoom  [1]changeWithGroup
	headRoom   [2 + 1 + 2*(2+causal.ActorSize)]byte
}

// tableActor is an entry of the table of actors.
type tableActor struct {
	causal.Actor
	used bool
	seq  causal.Seq // of its next change
	time int64      // Time of its last change so far
}

// decodeAgain is the size up to which batches are worth reading with what others left; d would only keep what a larger one takes.
const decodeAgain = 4 << 10

// Decode is the function DecodeBatch, but the batch is good only until the next Decode; see Batch.Clone. Its changes may be kept.
func (d *BatchDecoder) Decode(b []byte) (*Batch, error) {
	if len(b) > decodeAgain {
		return DecodeBatch(b)
	}
	return d.decode(b, nil)
}

func (d *BatchDecoder) decode(b []byte, columns *columnsReader) (*Batch, error) {
	size, limit := len(b), MaxBatchBytes
	if columns != nil {
		size, limit = columns.left.Len(), MaxColumnsBytes
	}
	if size > limit {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrFormat, size, limit)
	}
	from := d.begin(b, columns)
	rest, part := b[len(d.head):], ""
	for i := from; i < len(batchParts); i++ {
		var ok bool
		part = batchParts[i]
		switch i {
		case 0:
			rest, ok = d.readHeader(rest)
		case 1:
			if rest, ok = d.readActors(rest); ok {
				d.remember(b[:len(b)-len(rest)])
			}
		case 2:
			rest, ok = d.readContext(rest)
		case 3:
			rest, ok = d.readSegments(rest)
		case 4:
			rest, ok = d.readSigs(rest)
		}
		if !ok {
			if d.reason == "" {
				d.reason = "truncated, not canonical or out of range"
			}
			return nil, fmt.Errorf("%w: %s: %s", ErrFormat, part, d.reason)
		}
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%w: %d bytes after the end", ErrFormat, len(rest))
	}
	for i := range d.table {
		if !d.table[i].used {
			return nil, fmt.Errorf("%w: actors: one is not used", ErrFormat)
		}
	}
	d.batch.valid = true
	return &d.batch, nil
}

// begin makes d ready for batch b, and returns the first of batchParts that is to be read.
func (d *BatchDecoder) begin(b []byte, columns *columnsReader) int {
	if d.piece == 0 {
		d.changes, d.piece = d.firstRoom[:], 1
		d.slices, d.head = d.sliceRoom[:0], d.headRoom[:0]
	}
	d.batch = Batch{}
	d.columns, d.reason = columns, ""
	d.groups = nil
	d.items, d.left = 0, 0
	if n := len(d.head); n > 0 && len(b) > n && string(b[:n]) == string(d.head) {
		for i := range d.table {
			t := &d.table[i]
			t.used, t.seq, t.time = false, 1, 0
		}
		return 2
	}
	d.table, d.head = d.tableRoom[:0], d.head[:0]
	return 0
}

// remember keeps the head of a batch.
func (d *BatchDecoder) remember(head []byte) {
	if len(head) <= cap(d.head) {
		d.head = append(d.head, head...)
	}
}

// alone returns room for a change that is all of a batch, with its group. That of the first is part of d; then it is made in
// pieces that grow, since to ask for each one's would cost more than reading it.
func (d *BatchDecoder) alone() *changeWithGroup {
	if d.Passing {
		d.firstRoom[0] = changeWithGroup{}
		return &d.firstRoom[0]
	}
	if len(d.changes) == 0 {
		d.piece = min(2*d.piece, roomChanges)
		d.changes = make([]changeWithGroup, d.piece)
	}
	room := &d.changes[0]
	d.changes = d.changes[1:]
	return room
}

var batchParts = [...]string{"header", "actors", "context", "segments", "signatures"}

func (d *BatchDecoder) readHeader(b []byte) ([]byte, bool) {
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

func (d *BatchDecoder) readActors(b []byte) ([]byte, bool) {
	n, b, ok := readArray(b)
	if !ok || n > MaxBatchActors || n > len(b)/(2+causal.ActorSize) {
		return nil, false
	}
	for i := range n {
		var data []byte
		if data, b, ok = readBin(b); !ok {
			return nil, false
		}
		a, err := causal.ActorFromBytes(data)
		if err != nil {
			return nil, false
		}
		if i > 0 && d.table[i-1].Compare(a) >= 0 {
			d.reason = "not sorted"
			return nil, false
		}
		d.table = append(d.table, tableActor{Actor: a, seq: 1})
	}
	return b, true
}

// readActor reads an index into the table of actors.
func (d *BatchDecoder) readActor(b []byte) (int, []byte, bool) {
	i, b, ok := readUint(b)
	if !ok || i >= uint64(len(d.table)) {
		return 0, nil, false
	}
	d.table[i].used = true
	return int(i), b, true
}

func readSeq(b []byte) (causal.Seq, []byte, bool) {
	seq, b, ok := readUint(b)
	return causal.Seq(seq), b, ok && seq <= MaxSeq
}

func (d *BatchDecoder) readContext(b []byte) ([]byte, bool) {
	n, b, ok := readArray(b)
	const least = 1 + 1 + 2 + 32 + 1
	if !ok || n%4 != 0 || n/4 > len(b)/least {
		return nil, false
	}
	d.batch.Context = room(d.anchorRoom[:], n/4)
	last := -1
	for i := range d.batch.Context {
		a := &d.batch.Context[i]
		var ai int
		if ai, b, ok = d.readActor(b); !ok {
			return nil, false
		}
		a.Actor = d.table[ai].Actor
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
		d.table[ai].seq, d.table[ai].time = a.Seq+1, a.Time
	}
	return b, true
}

// changeItems is what a change counts for MaxBatchItems beside its refs and slices.
const changeItems = 7

// leastChange is the size of the smallest change: no refs, a time, one slice without name and ops.
const leastChange = 1 + 1 + 1 + 1 + 1 + 2

func (d *BatchDecoder) readSegments(b []byte) ([]byte, bool) {
	n, b, ok := readArray(b)
	if !ok || n == 0 || n%3 != 0 || n/3 > MaxBatchSegments || n/3 > len(b)/(1+1+2+leastChange) {
		return nil, false
	}
	for range n / 3 {
		var ai int
		if ai, b, ok = d.readActor(b); !ok {
			return nil, false
		}
		var count uint64
		if count, b, ok = readUint(b); !ok || count < 1 || count > MaxBatchChanges || len(b) == 0 {
			return nil, false
		}
		if d.batch.n+int(count) > MaxBatchChanges {
			d.reason = "too many changes"
			return nil, false
		}
		if b[0]&0xf0 == mpFixArr {
			b, ok = d.readTyping(b, ai, int(count))
		} else {
			b, ok = d.readSingle(b, ai, int(count))
		}
		if !ok {
			return nil, false
		}
	}
	return b, true
}

// readTyping reads a segment of count changes in columns.
func (d *BatchDecoder) readTyping(b []byte, ai, count int) ([]byte, bool) {
	by := &d.table[ai]
	t, b, ok := readKeystrokes(b, d.columns, by.Actor, by.seq, by.time, count)
	if !ok {
		d.reason = fmt.Sprintf("columns from %s:%d on are truncated, not canonical or out of range", by.Actor, by.seq)
		return nil, false
	}
	if d.batch.joins(t) {
		d.reason = "columns that go on with the changes before them"
		return nil, false
	}
	d.batch.parts = append(d.batch.parts, batchPart{typing: t})
	d.batch.n += count
	by.seq, by.time = t.end(), t.times.last
	return b, true
}

// joins reports whether the last changes of b belong in one typing with t, which follows them.
func (b *Batch) joins(t *keystrokes) bool {
	if len(b.parts) == 0 {
		return false
	}
	if p := b.parts[len(b.parts)-1].typing; p != nil {
		return p.actor == t.actor && p.slice == t.slice && bytes.Equal(p.path, t.path)
	}
	last := b.single[len(b.single)-1]
	return last.Actor == t.actor && b.countTail() > 0 && last.Groups[0].Slice == t.slice && bytes.Equal(b.tail.path, t.path)
}

// readSingle reads a segment of count changes one by one.
func (d *BatchDecoder) readSingle(b []byte, ai, count int) ([]byte, bool) {
	batch := &d.batch
	if n := len(batch.parts); n > 0 && batch.parts[n-1].typing == nil && batch.actorOf(&batch.parts[n-1]) == d.table[ai].Actor {
		d.reason = "two of one actor in a row"
		return nil, false
	}
	data, b, ok := readBin(b)
	if !ok || count > len(data)/leastChange || !d.count(changeItems*count) {
		return nil, false
	}
	var slab []Change
	if batch.n > 0 || count > 1 {
		slab = make([]Change, count)
		if batch.single == nil {
			batch.single = make([]*Change, 0, count)
		}
	} else {
		batch.single = d.singleRoom[:0]
	}
	for i := range count {
		var ch *Change
		if slab != nil {
			ch = &slab[i]
		} else {
			room := d.alone()
			ch, d.groups = &room.change, room.group[:]
		}
		d.left = count - i
		if data, ok = d.readChange(data, ai, ch); !ok {
			if d.reason == "" {
				d.reason = fmt.Sprintf("change %s:%d is truncated, not canonical or out of range", ch.Actor, ch.Seq)
			}
			return nil, false
		}
		if batch.parts == nil {
			batch.parts = d.partRoom[:0]
		}
		if batch.Append(ch); len(batch.single) == 0 || batch.single[len(batch.single)-1] != ch {
			d.reason = "changes one by one that belong in columns"
			return nil, false
		}
	}
	if len(data) > 0 {
		d.reason = "bytes after the last change"
		return nil, false
	}
	return b, true
}

// readChange reads ch, the next change of the actor with index ai.
func (d *BatchDecoder) readChange(b []byte, ai int, ch *Change) ([]byte, bool) {
	by := &d.table[ai]
	ch.Actor, ch.Seq = by.Actor, by.seq
	n, b, ok := readArray(b)
	if !ok || n%2 != 0 || n/2 > MaxRefs || n > len(b) || !d.count(n/2) {
		return nil, false
	}
	if n > 0 {
		ch.Refs = take(&d.refs, n/2, max(d.left, min(d.piece, roomRefs)))
		for i := range ch.Refs {
			var ri int
			if ri, b, ok = d.readActor(b); !ok {
				return nil, false
			}
			ch.Refs[i].Actor = d.table[ri].Actor
			if len(b) > 0 && b[0]&0xf0 == mpFixArr {
				var branch BranchRef
				if ch.Refs[i].Seq, branch, b, ok = readBranch(b); !ok {
					return nil, false
				}
				if ch.Branches == nil {
					ch.Branches = new(Branches)
				}
				branch.Ref = i
				*ch.Branches = append(*ch.Branches, branch)
				continue
			}
			if ch.Refs[i].Seq, b, ok = readSeq(b); !ok {
				return nil, false
			}
		}
	}
	delta, b, ok := readInt(b)
	if !ok || delta < -MaxTime || delta > MaxTime {
		return nil, false
	}
	if d.columns != nil {
		if delta, ok = d.columns.time(delta); !ok {
			return nil, false
		}
	}
	ch.Time = by.time + delta
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
	by.seq += causal.Seq(length)
	by.time = ch.Time
	return b, true
}

// count adds n to the refs and groups of the batch, which take more memory than
// bytes and so have a limit of their own.
func (d *BatchDecoder) count(n int) bool {
	d.items += n
	if d.items > MaxBatchItems {
		d.reason = "too many refs and slices"
		return false
	}
	return true
}

// intern returns name as a string, without allocating if it was seen lately.
func (d *BatchDecoder) intern(name []byte) string {
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

func (d *BatchDecoder) readSigs(b []byte) ([]byte, bool) {
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
		s.Dot.Actor = d.table[ai].Actor
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

// room returns n items, small, as it is, if they fit there, else zero ones.
func room[T any](small []T, n int) []T {
	if n > 0 && n <= len(small) {
		return small[:n:n]
	}
	return makeSlice[T](n)
}

// makeSlice returns n zero items, nil if there are none.
func makeSlice[T any](n int) []T {
	if n == 0 {
		return nil
	}
	return make([]T, n)
}
