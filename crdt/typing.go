package crdt

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/atollsync/atoll/crdt/causal"
)

// keystrokes is a typing: a row of changes by one actor that each do one thing to one and the same Text and have seen nothing
// of others in between: what a person does who types. A keystroke as a Change takes 200 bytes, and
// most of its time is spent on getting there; here it takes a few bytes of columns, in memory as on the wire. Any of the changes
// can be had from it, exactly as it was authored.
//
// Invariant: each of the changes is typed (see typedBy) with the same actor, slice and path, follows the one before it,
// and is in range. runs, times and text are in their one canonical form.
type keystrokes struct {
	actor causal.Actor
	seq   causal.Seq // of the first op
	slice string
	path  []byte // of every op, encoded
	runs  []typingRun
	time  int64           // Time of the first change
	times timeColumn      // of the others
	text  string          // what they insert, all in a row
	more  strings.Builder // of text, once something was appended
	n     int             // changes
	len   int             // dots
}

// typingKind says where each change of a typingRun edits, given where the one before it did.
type typingKind uint8

const (
	typeInsert    typingKind = iota // behind what the last one inserted
	typeDelete                      // at the same position: the delete key
	typeBackspace                   // before it: the backspace key
)

// typingRun is a row of like changes. A single delete is a typeDelete.
type typingRun struct {
	kind typingKind
	n    int // changes
	size int // dots of each
	pos  int // of the first
}

// step returns how far the position moves from one change of the run to the next.
func (r *typingRun) step() int {
	switch r.kind {
	case typeInsert:
		return r.size
	case typeBackspace:
		return -r.size
	}
	return 0
}

// last returns the position of the run's last change.
func (r *typingRun) last() int { return r.pos + (r.n-1)*r.step() }

// goesOn returns the kind of r with op at its end, and false if op is not like r's changes.
func (r *typingRun) goesOn(op *typedOp) (typingKind, bool) {
	if op.size != r.size || (op.kind == typeInsert) != (r.kind == typeInsert) {
		return 0, false
	}
	if op.pos == r.pos+r.n*r.step() {
		return r.kind, true
	}
	if r.n == 1 && r.kind == typeDelete && op.pos == r.pos-r.size {
		return typeBackspace, true
	}
	return 0, false
}

// typedOp is the op of a change that is typed: insert or delete size code points at pos.
type typedOp struct {
	kind typingKind // typeInsert or typeDelete
	size int
	pos  int
	text string // what it inserts
	raw  []byte // the same, where it is read from a change
}

// The first bytes of the ops that are typed: an array of 5 or 4, the code.
const (
	insertHead = uint16(mpFixArr|5)<<8 | uint16(CodeTextInsert)
	deleteHead = uint16(mpFixArr|4)<<8 | uint16(CodeTextDelete)
)

// typedBy returns the op of ch if ch is typed, that is if it
//   - is well formed and has no refs and one group,
//   - of one TextInsert or TextDelete that is not void, in canonical form,
//   - which takes no more than inlineOps bytes.
//
// path is the encoding of the op's path, part of ch. If alike is set it must be like, and ch goes on after a typed change on
// the same slice.
func typedBy(ch *Change, like []byte, alike bool) (op typedOp, path []byte, ok bool) {
	if len(ch.Refs) != 0 || len(ch.Groups) != 1 {
		return op, nil, false
	}
	g := &ch.Groups[0]
	if alike {
		// All else that could be wrong with the frame is as in the change before.
		if ch.Time < 0 || ch.Time > MaxTime || g.Len < 1 || ch.Seq+causal.Seq(g.Len)-1 > MaxSeq {
			return op, nil, false
		}
	} else if ch.Seq < 1 || ch.flaw() != "" {
		return op, nil, false
	}
	b := g.Ops
	if len(b) < 5 || len(b) > inlineOps {
		return op, nil, false
	}
	switch uint16(b[0])<<8 | uint16(b[1]) {
	case insertHead:
	case deleteHead:
		op.kind = typeDelete
	default:
		return op, nil, false
	}
	size, rest, ok := readUint(b[2:])
	if !ok || size != uint64(g.Len) {
		return op, nil, false
	}
	op.size = g.Len
	if alike {
		if !bytes.HasPrefix(rest, like) {
			return op, nil, false
		}
		path, rest = rest[:len(like):len(like)], rest[len(like):]
	} else if path, rest, ok = readTypingPath(rest); !ok {
		return op, nil, false
	}
	pos, rest, ok := readUint(rest)
	if !ok || pos > MaxPosition {
		return op, nil, false
	}
	op.pos = int(pos)
	if op.kind == typeInsert {
		var s []byte
		if s, rest, ok = readStr(rest); !ok || utf8.RuneCount(s) != op.size {
			return op, nil, false
		}
		op.raw = s
	}
	return op, path, len(rest) == 0
}

// readTypingPath reads the path of an op of a change without refs on a Text.
func readTypingPath(b []byte) (path, rest []byte, ok bool) {
	d := opDecoder{change: &Change{}}
	_, rest, v := d.readPath(b, CodeTextInsert)
	if v != opGood {
		return nil, nil, false
	}
	n := len(b) - len(rest)
	return b[:n:n], rest, true
}

// newKeystrokes returns the typing that ch, whose op is op, makes.
func newKeystrokes(ch *Change, op *typedOp, path []byte) *keystrokes {
	t := &keystrokes{actor: ch.Actor, seq: ch.Seq, slice: ch.Groups[0].Slice, path: path}
	t.add(ch.Time, op)
	return t
}

// end returns the seq that follows t.
func (t *keystrokes) end() causal.Seq { return t.seq + causal.Seq(t.len) }

// goesOn reports whether ch, if it is typed, belongs to t as its next change.
func (t *keystrokes) goesOn(ch *Change) bool {
	return ch.Actor == t.actor && ch.Seq == t.end() && len(ch.Groups) == 1 && ch.Groups[0].Slice == t.slice
}

// add adds a change that goes on where t stops.
func (t *keystrokes) add(time int64, op *typedOp) {
	if t.n > 0 {
		t.times.add(time)
	} else {
		t.time, t.times.last = time, time
	}
	t.n++
	t.len += op.size
	if op.kind == typeInsert {
		if t.more.Len() < len(t.text) {
			t.more.WriteString(t.text)
		}
		switch {
		case len(op.text) == 1:
			t.more.WriteByte(op.text[0])
		case len(op.raw) > 0:
			t.more.Write(op.raw)
		default:
			t.more.WriteString(op.text)
		}
		t.text = t.more.String()
	}
	if n := len(t.runs); n > 0 {
		r := &t.runs[n-1]
		if kind, ok := r.goesOn(op); ok {
			r.kind = kind
			r.n++
			return
		}
	}
	t.runs = append(t.runs, typingRun{kind: op.kind, n: 1, size: op.size, pos: op.pos})
}

// typingCursor reads the changes of a typing in order. It starts before the first.
type typingCursor struct {
	typedOp
	time int64 // of the change it is at

	runs  []typingRun
	left  int // of the run, behind the change it is at
	step  int
	text  string
	times timeReader
	begun bool
}

func (t *keystrokes) cursor() typingCursor {
	return typingCursor{time: t.time, runs: t.runs, text: t.text, times: t.times.reader()}
}

// typingMark is where a typing ended once, which has grown since.
type typingMark struct {
	n     int // changes
	runs  int
	last  int // changes of the last run
	text  int // bytes
	times timeColumn
}

// mark returns where t ends.
func (t *keystrokes) mark() typingMark {
	m := typingMark{n: t.n, runs: len(t.runs), text: len(t.text), times: t.times}
	if m.runs > 0 {
		m.last = t.runs[m.runs-1].n
	}
	return m
}

// cursorFrom returns a cursor at the last change before m, which is t's.
func (t *keystrokes) cursorFrom(m *typingMark) typingCursor {
	if m.n == 0 {
		return t.cursor()
	}
	r := &t.runs[m.runs-1]
	c := typingCursor{time: m.times.last, runs: t.runs[m.runs:], left: r.n - m.last, text: t.text[m.text:], times: t.times.readerFrom(&m.times), begun: true}
	c.begin(r)
	c.pos += (m.last - 1) * c.step
	return c
}

// begin moves to the first change of r.
func (c *typingCursor) begin(r *typingRun) {
	c.step, c.size, c.pos = r.step(), r.size, r.pos
	c.kind, c.typedOp.text = r.kind, ""
	if r.kind == typeBackspace {
		c.kind = typeDelete
	}
}

// next moves to the next change, and returns false after the last.
func (c *typingCursor) next() bool {
	if c.left > 0 {
		c.left--
		c.pos += c.step
	} else {
		if len(c.runs) == 0 {
			return false
		}
		r := &c.runs[0]
		c.runs = c.runs[1:]
		c.left = r.n - 1
		c.begin(r)
	}
	if c.kind == typeInsert {
		n := bytesOfRunes(c.text, c.size)
		c.typedOp.text, c.text = c.text[:n], c.text[n:]
	}
	if c.begun {
		c.time += c.times.next()
	}
	c.begun = true
	return true
}

// bytesOfRunes returns the length in bytes of the first n code points of s, which is valid UTF-8 and has that many.
func bytesOfRunes(s string, n int) int {
	at := 0
	for ; n > 0; n-- {
		at++
		for at < len(s) && !utf8.RuneStart(s[at]) {
			at++
		}
	}
	return at
}

// appendTo appends the encoding of op, on the text that path leads to.
func (op *typedOp) appendTo(buf, path []byte) []byte {
	head := insertHead
	if op.kind != typeInsert {
		head = deleteHead
	}
	buf = append(buf, byte(head>>8), byte(head))
	buf = appendUint(buf, uint64(op.size))
	if len(path) == 1 {
		buf = append(buf, path[0]) // of a slice
	} else {
		buf = append(buf, path...)
	}
	return op.appendEnd(buf)
}

// appendEnd appends the end of op's encoding: where it edits, and what it inserts.
func (op *typedOp) appendEnd(buf []byte) []byte {
	buf = appendUint(buf, uint64(op.pos))
	switch {
	case op.kind != typeInsert:
	case len(op.text) == 1:
		buf = append(buf, mpFixStr|1, op.text[0])
	default:
		buf = appendStr(buf, op.text)
	}
	return buf
}

// changes yields t's changes as they were authored, until yield returns false. They may be kept.
func (t *keystrokes) changes(yield func(*Change) bool) bool {
	const chunk = 128 // made at a time, so that keeping one keeps few
	var (
		changes []Change
		groups  []Group
		ops     []byte
	)
	c := t.cursor()
	seq := t.seq
	for i := 0; c.next(); i++ {
		if len(changes) == 0 {
			changes = make([]Change, min(chunk, t.n-i))
			groups = make([]Group, len(changes))
		}
		if cap(ops)-len(ops) < inlineOps {
			ops = make([]byte, 0, max(inlineOps, min(chunk, t.n-i)*(12+len(t.path))))
		}
		at := len(ops)
		ops = c.typedOp.appendTo(ops, t.path)
		groups[0] = Group{Slice: t.slice, Len: c.size, Ops: ops[at:len(ops):len(ops)]}
		changes[0] = Change{Actor: t.actor, Seq: seq, Time: c.time, Groups: groups[:1:1]}
		if !yield(&changes[0]) {
			return false
		}
		seq += causal.Seq(c.size)
		changes, groups = changes[1:], groups[1:]
	}
	return true
}

// dots returns where the dots of change i start and end, counted from the first of t.
func (t *keystrokes) dots(i int) (from, to int) {
	for j := range t.runs {
		r := &t.runs[j]
		if i < r.n {
			return from + i*r.size, from + (i+1)*r.size
		}
		i -= r.n
		from += r.n * r.size
	}
	panic("crdt: no such change")
}

// changeOf returns the number of the change that has a dot, counted from the first of t.
func (t *keystrokes) changeOf(dot int) (i int) {
	for j := range t.runs {
		r := &t.runs[j]
		if n := r.n * r.size; dot >= n {
			dot -= n
			i += r.n
			continue
		}
		return i + dot/r.size
	}
	panic("crdt: no such dot")
}

// from returns what is left of t without its first n changes, of which it has more.
func (t *keystrokes) from(n int) *keystrokes {
	out := &keystrokes{actor: t.actor, seq: t.seq, slice: t.slice, path: t.path}
	c := t.cursor()
	for i := 0; c.next(); i++ {
		if i < n {
			out.seq += causal.Seq(c.size)
			continue
		}
		out.add(c.time, &c.typedOp)
	}
	return out
}
