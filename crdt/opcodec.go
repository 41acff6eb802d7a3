package crdt

import (
	"bytes"
	"unicode/utf8"

	"github.com/atollsync/atoll/crdt/causal"
)

// An op is a msgpack array [code, len, path, args...]; the ops of a group follow one
// another. The path leads from the slice, which the group names, to a container:
//
//	[kb0, key1, kb1, ..., key_n]         and a dot at the end if the container has a birth
//
// where kb is the kind of an entry, or [kind, actor, seq] if it has a birth, and a key
// is a string under a map and the dot [actor, seq] of an element under a list. The last kind
// is implied by the code. A delete names a place: the same, without a birth at the end.
// Actors are 0 for the change's own and i+1 for Refs[i].

// AppendOp appends the encoding of op to buf. ref gives the number by which op's
// change names an actor, or a branch of its log: 0 its own, i+1 for Refs[i]. op must be one that decodes as not void.
func AppendOp(buf []byte, op *Op, ref func(causal.Actor, *Tip) int) []byte {
	args := 3
	switch op.Code {
	case CodePut, CodeTouch, CodeAdd, CodeSetAdd, CodeSetRemove, CodeRWSetAdd, CodeRWSetRemove,
		CodeListDelete, CodeTextDelete:
		args = 4
	case CodeListInsert, CodeListNew, CodeListMove, CodeTextInsert:
		args = 5
	case CodeTextUnmark:
		args = 7
	case CodeTextMark:
		args = 8
	}
	buf = appendArrayHead(buf, args)
	buf = appendUint(buf, uint64(op.Code))
	buf = appendUint(buf, uint64(op.Len))
	buf = appendPath(buf, op, ref)
	switch op.Code {
	case CodePut, CodeSetAdd, CodeSetRemove, CodeRWSetAdd, CodeRWSetRemove:
		buf = op.Value.AppendTo(buf)
	case CodeTouch:
		buf = appendUint(buf, uint64(op.Kind))
	case CodeAdd:
		buf = appendInt(buf, op.Delta)
	case CodeListInsert:
		buf = appendUint(buf, uint64(op.Pos))
		buf = appendArrayHead(buf, len(op.Values))
		for _, v := range op.Values {
			buf = v.AppendTo(buf)
		}
	case CodeListNew:
		buf = appendUint(buf, uint64(op.Pos))
		buf = appendUint(buf, uint64(op.Kind))
	case CodeListDelete, CodeTextDelete:
		buf = appendUint(buf, uint64(op.Pos))
	case CodeListMove:
		buf = appendUint(buf, uint64(op.Pos))
		buf = appendDot(buf, op.Elem, op.Branch, ref)
	case CodeTextInsert:
		buf = appendUint(buf, uint64(op.Pos))
		buf = appendStr(buf, op.Text)
	case CodeTextMark, CodeTextUnmark:
		buf = appendUint(buf, uint64(op.Pos))
		buf = appendUint(buf, uint64(op.Count))
		buf = appendStr(buf, op.Name)
		if op.Code == CodeTextMark {
			buf = op.Value.AppendTo(buf)
		}
		buf = appendUint(buf, uint64(op.Growth))
	}
	return buf
}

func appendPath(buf []byte, op *Op, ref func(causal.Actor, *Tip) int) []byte {
	last := len(op.Path) - 1
	n := 2 * last
	birth := op.Code != CodeDelete && !op.Path[last].Birth.IsZero()
	if birth {
		n++
	}
	buf = appendArrayHead(buf, n)
	for i := range last {
		entry, place := &op.Path[i], &op.Path[i+1]
		if entry.Birth.IsZero() {
			buf = appendUint(buf, uint64(entry.Kind))
		} else {
			buf = append(buf, mpFixArr|3)
			buf = appendUint(buf, uint64(entry.Kind))
			buf = appendUint(buf, uint64(ref(entry.Birth.Actor, nil)))
			buf = appendUint(buf, uint64(entry.Birth.Seq))
		}
		if entry.Kind == List {
			buf = appendDot(buf, place.Elem, place.Branch, ref)
		} else {
			buf = appendStr(buf, place.Key)
		}
	}
	if birth {
		buf = appendDot(buf, op.Path[last].Birth, nil, ref)
	}
	return buf
}

func appendDot(buf []byte, d causal.Dot, branch *Tip, ref func(causal.Actor, *Tip) int) []byte {
	buf = append(buf, mpFixArr|2)
	buf = appendUint(buf, uint64(ref(d.Actor, branch)))
	return appendUint(buf, uint64(d.Seq))
}

// Ops decodes c's ops and yields them in dot order until yield returns false, with the seq
// of each op's first dot. Together they cover every dot of c: what is malformed comes as a
// Void op. An *Op may be kept but not changed: neighbours share Paths.
func (c *Change) Ops(yield func(seq causal.Seq, slice string, op *Op) bool) {
	seq := c.Seq
	var d opDecoder
	for i := range c.Groups {
		g := &c.Groups[i]
		d.enter(c, g.Slice)
		for b, left := g.Ops, g.Len; left > 0; {
			op := new(Op)
			b = d.next(b, left, op)
			if !yield(seq, g.Slice, op) {
				return
			}
			seq += causal.Seq(op.Len)
			left -= op.Len
		}
	}
}

// opDecoder decodes the ops of one group after the other.
type opDecoder struct {
	change *Change
	slice  string
	// The last path read, its encoding and the kind it leads to: ops of one change, and many changes
	// in a row, tend to share it.
	path Path
	raw  []byte
	kind Kind
	dots bool // a dot is in it, which in another change may name another actor
}

// enter starts a group of c.
func (d *opDecoder) enter(c *Change, slice string) {
	if d.slice != slice || d.dots && d.change != c {
		d.slice, d.path, d.dots = slice, nil, false
	}
	d.change = c
}

// verdict is what reading an op came to.
type verdict uint8

const (
	opGood verdict = iota
	opVoid
	opUnknown
)

// next reads the first op of b, of whose group left dots are left, into op, which must be zero, and returns what
// follows it.
func (d *opDecoder) next(b []byte, left int, op *Op) []byte {
	op.Void, op.Len = true, left
	n, rest, ok := readArray(b)
	if !ok || n < 2 {
		return nil
	}
	code, rest, ok := readUint(rest)
	if !ok || code > 1<<32-1 {
		return nil
	}
	length, rest, ok := readUint(rest)
	if !ok || length < 1 || length > MaxChangeLen {
		return nil
	}
	rest, v := d.body(rest, n, Code(code), int(length), op)
	if v == opGood && int(length) <= left {
		op.Void = false
		return rest
	}
	*op = Op{Void: true, Len: left}
	rest, ok = skipValue(b)
	if !ok {
		return nil
	}
	op.Unknown, op.Code, op.Len = v == opUnknown, Code(code), min(int(length), left)
	return rest
}

// body reads into op what follows the header of an op of n items.
func (d *opDecoder) body(b []byte, n int, code Code, length int, op *Op) ([]byte, verdict) {
	var args int
	single, placed := true, false // takes one dot; has a position
	switch code {
	case CodePut, CodeTouch, CodeAdd, CodeSetAdd, CodeSetRemove, CodeRWSetAdd, CodeRWSetRemove:
		args = 4
	case CodeDelete, CodeSetClear, CodeRWSetClear:
		args = 3
	case CodeListDelete, CodeTextDelete:
		args, single, placed = 4, false, true
	case CodeListInsert, CodeListNew, CodeTextInsert:
		args, single, placed = 5, false, true
	case CodeListMove:
		args, placed = 5, true
	case CodeTextUnmark:
		args, placed = 7, true
	case CodeTextMark:
		args, placed = 8, true
	default:
		return nil, opUnknown
	}
	if n != args || single && length != 1 {
		return nil, opVoid
	}
	var v verdict
	if op.Path, b, v = d.readPath(b, code); v != opGood {
		return nil, v
	}
	op.Code, op.Len = code, length
	ok := true
	if placed {
		var pos uint64
		if pos, b, ok = readUint(b); !ok || pos > MaxPosition {
			return nil, opVoid
		}
		op.Pos = int(pos)
	}
	switch code {
	case CodePut, CodeSetAdd, CodeSetRemove, CodeRWSetAdd, CodeRWSetRemove:
		rest, scanned := scanValue(b, 0)
		if ok = scanned; ok {
			op.Value, b = newValue(b[:len(b)-len(rest)]), rest
			ok = code == CodePut || op.Value.IsScalar()
		}
	case CodeTouch, CodeListNew:
		var k uint64
		if k, b, ok = readUint(b); !ok || k == 0 || k > 0xff {
			return nil, opVoid
		}
		if op.Kind = Kind(k); !op.Kind.Known() {
			return nil, opUnknown
		}
		if code == CodeTouch {
			op.Path[len(op.Path)-1].Kind = op.Kind
		}
	case CodeAdd:
		op.Delta, b, ok = readInt(b)
	case CodeListInsert:
		op.Values, b, ok = readValues(b, length)
	case CodeListMove:
		op.Elem, op.Branch, b, ok = d.readDot(b)
	case CodeTextInsert:
		var s []byte
		if s, b, ok = readStr(b); ok {
			ok = utf8.RuneCount(s) == length
			op.Text = string(s)
		}
	case CodeTextMark, CodeTextUnmark:
		b, ok = readMark(b, op)
	}
	if !ok {
		return nil, opVoid
	}
	return b, opGood
}

// readMark reads what follows the position of a mark or unmark.
func readMark(b []byte, op *Op) (rest []byte, ok bool) {
	count, b, ok := readUint(b)
	if !ok || count < 1 || count > MaxPosition {
		return nil, false
	}
	name, b, ok := readStr(b)
	if !ok || len(name) < 1 || len(name) > MaxKeyBytes {
		return nil, false
	}
	op.Count, op.Name = int(count), string(name)
	if op.Code == CodeTextMark {
		if rest, ok = scanValue(b, 0); !ok {
			return nil, false
		}
		op.Value, b = newValue(b[:len(b)-len(rest)]), rest
	}
	growth, b, ok := readUint(b)
	op.Growth = Growth(growth)
	return b, ok && growth <= uint64(GrowBoth)
}

// readValues reads an array of n values.
func readValues(b []byte, n int) ([]Value, []byte, bool) {
	count, b, ok := readArray(b)
	if !ok || count != n {
		return nil, nil, false
	}
	rest := b
	for range n {
		if rest, ok = scanValue(rest, 0); !ok {
			return nil, nil, false
		}
	}
	all := string(b[:len(b)-len(rest)]) // in one piece of memory, since they stay together
	values := make([]Value, n)
	for i := range values {
		rest, _ := scanValue(b, 0)
		size := len(b) - len(rest)
		if size > 1 || b[0] != mpNil {
			values[i] = Value{all[:size]}
		}
		all, b = all[size:], rest
	}
	return values, b, true
}

// readPath returns the path at the start of b, and what follows it.
func (d *opDecoder) readPath(b []byte, code Code) (Path, []byte, verdict) {
	kind := code.kind()
	if d.path != nil && kind != 0 && kind == d.kind && bytes.HasPrefix(b, d.raw) {
		return d.path, b[len(d.raw):], opGood
	}
	count, rest, ok := readArray(b)
	if !ok || count/2+1 > MaxDepth || code == CodeDelete && count%2 != 0 {
		return nil, nil, opVoid
	}
	last := count / 2
	path := make(Path, last+1)
	path[0].Key = d.slice
	dots := false
	for i := range last {
		entry, place := &path[i], &path[i+1]
		var v verdict
		if rest, v = d.readEntry(rest, entry); v != opGood {
			return nil, nil, v
		}
		dots = dots || !entry.Birth.IsZero()
		if entry.Kind == List {
			place.Elem, place.Branch, rest, ok = d.readDot(rest)
			dots = true
		} else {
			var key []byte
			key, rest, ok = readStr(rest)
			ok = ok && len(key) <= MaxKeyBytes
			if ok {
				place.Key = string(key)
			}
		}
		if !ok {
			return nil, nil, opVoid
		}
	}
	path[last].Kind = kind
	if count%2 != 0 {
		dots = true
		if path[last].Birth, _, rest, ok = d.readDot(rest); !ok {
			return nil, nil, opVoid
		}
	}
	if kind != 0 {
		// The bytes belong to the change, which is not to be kept for the path's sake.
		d.path, d.kind, d.dots, d.raw = path, kind, dots, append(d.raw[:0], b[:len(b)-len(rest)]...)
	}
	return path, rest, opGood
}

// readEntry reads the kind, and the birth if there is one, of an entry with places below it.
func (d *opDecoder) readEntry(b []byte, entry *Step) ([]byte, verdict) {
	var k uint64
	var ok bool
	born := len(b) > 0 && b[0] == mpFixArr|3
	if born {
		b = b[1:]
	}
	if k, b, ok = readUint(b); !ok || k == 0 || k > 0xff {
		return nil, opVoid
	}
	entry.Kind = Kind(k)
	if born {
		if entry.Birth, _, b, ok = d.readDotItems(b); !ok {
			return nil, opVoid
		}
	}
	switch {
	case !entry.Kind.Known():
		return nil, opUnknown
	case !entry.Kind.isParent():
		return nil, opVoid
	}
	return b, opGood
}

func (d *opDecoder) readDot(b []byte) (causal.Dot, *Tip, []byte, bool) {
	if len(b) == 0 || b[0] != mpFixArr|2 {
		return causal.Dot{}, nil, nil, false
	}
	return d.readDotItems(b[1:])
}

func (d *opDecoder) readDotItems(b []byte) (dot causal.Dot, branch *Tip, rest []byte, ok bool) {
	actor, b, ok := readUint(b)
	if !ok || actor > uint64(len(d.change.Refs)) {
		return dot, nil, nil, false
	}
	seq, b, ok := readUint(b)
	if !ok || seq < 1 || seq > MaxSeq {
		return dot, nil, nil, false
	}
	dot.Actor, dot.Seq = d.change.Actor, causal.Seq(seq)
	if actor > 0 {
		dot.Actor = d.change.Refs[actor-1].Actor
		if d.change.Branches != nil {
			branch = d.change.BranchOf(int(actor) - 1)
		}
	}
	return dot, branch, b, true
}
