package crdt

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/sequence"
)

// A typing travels as an array of 7:
//
//	slice      string
//	path       as in each of its ops
//	time       Time of the first change minus that of the actor's previous one
//	runs       bin: for each, (changes-1)<<3 | sized<<2 | kind, then if sized the dots of a change, less 2
//	positions  bin: for each run, where it starts minus where the one before it stopped, zigzag
//	times      bin: a timeColumn
//	text       string: what all changes insert
//
// Numbers in the columns are varints in their shortest form.
const (
	typingItems = 7
	// leastTyping is the number of changes from which they are put in columns.
	leastTyping = 4
	runSized    = 1 << 2
	runKinds    = 3
)

// appendTo appends the encoding of t. before is the Time of the actor's previous change.
func (t *keystrokes) appendTo(buf []byte, before int64) []byte {
	buf = t.appendHead(buf, t.time-before)
	room := make([]byte, 0, 2*len(t.runs)+16)
	buf = appendBin(buf, t.appendRuns(room))
	buf = appendBin(buf, t.appendPositions(room))
	buf = appendBin(buf, t.times.enc)
	return appendStr(buf, t.text)
}

// appendHead appends what is before the columns.
func (t *keystrokes) appendHead(buf []byte, delta int64) []byte {
	buf = append(buf, mpFixArr|typingItems)
	buf = appendStr(buf, t.slice)
	buf = append(buf, t.path...)
	return appendInt(buf, delta)
}

func (t *keystrokes) appendRuns(column []byte) []byte {
	for i := range t.runs {
		r := &t.runs[i]
		head := uint64(r.n-1)<<3 | uint64(r.kind)
		if r.size == 1 {
			column = binary.AppendUvarint(column, head)
			continue
		}
		column = binary.AppendUvarint(column, head|runSized)
		column = binary.AppendUvarint(column, uint64(r.size-2))
	}
	return column
}

func (t *keystrokes) appendPositions(column []byte) []byte {
	at := 0
	for i := range t.runs {
		r := &t.runs[i]
		column = binary.AppendUvarint(column, zigzag(int64(r.pos-at)))
		at = r.stop()
	}
	return column
}

// stop returns the position where the next run mostly starts.
func (r *typingRun) stop() int {
	if r.kind == typeInsert {
		return r.pos + r.n*r.size
	}
	return r.last()
}

// sizeBound returns no less than the size of t's encoding.
func (t *keystrokes) sizeBound() int {
	return 64 + len(t.slice) + len(t.path) + 32*len(t.runs) + len(t.times.enc) + len(t.text)
}

// readKeystrokes reads those of an actor: n changes, the first of which is seq. before is the Time of the
// actor's previous change. What is read refers to b, and to columns, from which it takes its part if they are not nil. It
// accepts only what appendTo, or appendColumns, writes.
func readKeystrokes(b []byte, columns *columnsReader, actor causal.Actor, seq causal.Seq, before int64, n int) (t *keystrokes, rest []byte, ok bool) {
	count, b, ok := readArray(b)
	if !ok || count != typingItems || n < leastTyping {
		return nil, nil, false
	}
	t = &keystrokes{actor: actor, seq: seq, n: n}
	name, b, ok := readStr(b)
	if !ok || len(name) > MaxSliceName {
		return nil, nil, false
	}
	t.slice = string(name)
	if t.path, b, ok = readTypingPath(b); !ok {
		return nil, nil, false
	}
	delta, b, ok := readInt(b)
	if !ok || delta < -MaxTime || delta > MaxTime {
		return nil, nil, false
	}
	if columns != nil {
		if delta, ok = columns.time(delta); !ok {
			return nil, nil, false
		}
	}
	if t.time = before + delta; t.time < 0 || t.time > MaxTime {
		return nil, nil, false
	}
	var parts Columns
	if columns != nil {
		b, ok = parts.take(b, &columns.left)
	} else {
		b, ok = parts.read(b)
	}
	if !ok || !t.readRuns(parts.Runs, parts.Positions) {
		return nil, nil, false
	}
	if columns != nil {
		t.times, ok = columns.times(t.time, n-1)
	} else {
		t.times, ok = readTimes(parts.Times, t.time, n-1)
	}
	if !ok {
		return nil, nil, false
	}
	t.text = string(parts.Text)
	return t, b, t.fitText()
}

// read reads the columns of one typing.
func (c *Columns) read(b []byte) (rest []byte, ok bool) {
	if c.Runs, b, ok = readBin(b); !ok {
		return nil, false
	}
	if c.Positions, b, ok = readBin(b); !ok {
		return nil, false
	}
	if c.Times, b, ok = readBin(b); !ok {
		return nil, false
	}
	c.Text, b, ok = readStr(b)
	return b, ok
}

// readRuns reads the two columns that make up t.runs, and checks all of it that does not depend on the text.
func (t *keystrokes) readRuns(runs, positions []byte) bool {
	count := 0
	for _, c := range positions {
		if c < 0x80 {
			count++ // the end of a number
		}
	}
	if count == 0 || count > len(runs) || count > t.n {
		return false
	}
	t.runs = make([]typingRun, count)
	at, left := 0, t.n
	for i := range t.runs {
		r := &t.runs[i]
		head, rest, ok := readUvarint(runs)
		if !ok || head>>3 >= uint64(left) || head&runKinds > uint64(typeBackspace) {
			return false
		}
		r.kind, r.n, r.size = typingKind(head&runKinds), int(head>>3)+1, 1
		left -= r.n
		if head&runSized != 0 {
			var size uint64
			if size, rest, ok = readUvarint(rest); !ok || size > MaxChangeLen-2 {
				return false
			}
			r.size = int(size) + 2
		}
		runs = rest
		pos, rest, ok := readUvarint(positions)
		if !ok || pos > 2*MaxPosition+1 {
			return false
		}
		positions = rest
		r.pos = at + int(unzigzag(pos))
		at = r.stop()
		if r.pos < 0 || r.pos > MaxPosition || r.last() < 0 || r.last() > MaxPosition || r.n == 1 && r.kind == typeBackspace {
			return false
		}
		if i > 0 {
			first := typedOp{kind: r.kind, size: r.size, pos: r.pos}
			if _, joins := t.runs[i-1].goesOn(&first); joins {
				return false
			}
		}
		if t.len += r.n * r.size; t.seq+causal.Seq(t.len)-1 > MaxSeq {
			return false
		}
	}
	return left == 0 && len(runs) == 0 && len(positions) == 0
}

// fitText checks that the text is what the runs insert, and that no op is larger than typed ones may be.
func (t *keystrokes) fitText() bool {
	inserted, large := 0, false
	for i := range t.runs {
		r := &t.runs[i]
		most := 2 + uintSize(uint64(r.size)) + len(t.path) + uintSize(uint64(max(r.pos, r.last())))
		if most > inlineOps {
			return false
		}
		if r.kind == typeInsert {
			inserted += r.n * r.size
			large = large || most+strSize(utf8.UTFMax*r.size) > inlineOps
		}
	}
	if sequence.CountRunes(t.text) != inserted {
		return false
	}
	if large {
		for c := t.cursor(); c.next(); {
			if c.kind == typeInsert && 2+uintSize(uint64(c.size))+len(t.path)+uintSize(uint64(c.pos))+strSize(len(c.typedOp.text)) > inlineOps {
				return false
			}
		}
	}
	return true
}
