package crdt

import (
	"unicode/utf8"
)

// spot is the text that the last op went to, below maps of which none is a DeleteWinsMap: the next one mostly
// goes there too, and then need not be led there from the root. The zero value is nowhere.
//
// Invariant: every entry of the spot is in place, and if shown is set, none stands that would take its place for an author
// at the State's version. So the spot is left when an op of another kind goes to its slice.
type spot struct {
	path    Path
	entries []*entry // along path
	text    *textContent
	shown   bool // an author who addresses the text by keys and kinds means this one
	// keys lead to what is shown where the spot is, and that is the text of the spot, which has no marks; nil: not known.
	keys []string
	// enc is path as ops have it, nil if there is a dot in it, which each change writes in its own way.
	enc []byte
	// frame is of what is typed there, made when it is first asked for.
	frame typingFrame
}

// isTyping reports whether op is one of those that are applied at a spot.
func (op *Op) isTyping() bool { return op.Code == CodeTextInsert || op.Code == CodeTextDelete }

// is reports whether path leads to the spot.
func (sp *spot) is(path Path) bool {
	if sp.text == nil || len(path) != len(sp.path) {
		return false
	}
	if &path[0] == &sp.path[0] {
		return true
	}
	for i := range path {
		if path[i] != sp.path[i] {
			return false
		}
	}
	return true
}

// at reports whether an author means the spot by a.
func (sp *spot) at(a *address) bool {
	if !sp.shown {
		return false
	}
	for i := len(sp.path) - 1; i >= 0; i-- {
		if a == nil || a.key != sp.path[i].Key || a.kind != sp.path[i].Kind {
			return false
		}
		a = a.parent
	}
	return a == nil
}

// typing returns the frame of what is typed at the spot, which has an enc.
func (sp *spot) typing() *typingFrame {
	if sp.frame.one == nil {
		sp.frame = newFrame(sp.path[0].Key, sp.enc)
	}
	return &sp.frame
}

// isPlain reports whether the text at the spot is shown, and bears no marks, so that an op there does nothing that is shown but
// splice it. That it is shown stays so: all that ops at the spot hide is older than they are.
func (sp *spot) isPlain(s *State) bool {
	if sp.text == nil || sp.text.marks != nil {
		return false
	}
	if sp.keys != nil {
		return true
	}
	keys := make([]string, 0, len(sp.path))
	var c content = s.root
	for i, step := range sp.path {
		if p := c.(*mapContent).places[step.Key]; p.shown(s) != sp.entries[i] {
			return false
		}
		c = sp.entries[i].content
		keys = append(keys, step.Key)
	}
	sp.keys = keys
	return true
}

// leave forgets the spot if op may put something else in its place.
func (sp *spot) leave(op *Op) {
	if sp.text != nil && len(op.Path) > 0 && op.Path[0].Key == sp.path[0].Key {
		*sp = spot{}
	}
}

// move moves the spot to the text that path leads to, and reports whether it can be there.
func (sp *spot) move(s *State, path Path) bool {
	enc := sp.enc[:0]
	*sp = spot{path: path, entries: sp.entries[:0]}
	plain := true
	var c content = s.root
	for _, step := range path {
		m, ok := c.(*mapContent)
		if !ok || m.deletesWin {
			return false
		}
		e := m.places[step.Key].find(step.Kind, step.Birth)
		sp.entries = append(sp.entries, e)
		plain = plain && step.Birth.IsZero()
		c = e.content
	}
	if plain {
		sp.enc = appendPath(enc, &Op{Code: CodeTextInsert, Path: path}, nil)
	}
	sp.text, _ = c.(*textContent)
	return sp.text != nil
}

// take applies the first of the ops of a slice, encoded, which have left dots, if that is one at the spot: it is read and played at
// once, which takes half the time of decoding an op and looking for its place. It returns the ops after it and how many dots it had, or
// false if it did nothing.
func (sp *spot) take(ps *pass, slice string, ops []byte, left int) (rest []byte, n int, ok bool) {
	if sp.enc == nil || slice != sp.path[0].Key {
		return nil, 0, false
	}
	var op typedOp
	if rest, ok = sp.read(ops, left, &op); ok {
		sp.play(ps, &op)
	}
	return rest, op.size, ok
}

// takeOne applies g, if it is just one op at the spot, and reports whether it did. Who asks what happens must know that the spot is plain.
func (sp *spot) takeOne(ps *pass, g *Group) bool {
	if sp.enc == nil || g.Slice != sp.path[0].Key {
		return false
	}
	var op typedOp
	ok := sp.readOne(g.Ops, g.Len, &op)
	if ok {
		sp.play(ps, &op)
	}
	return ok
}

// readOne is read for ops, of n dots, that are but one op.
func (sp *spot) readOne(ops []byte, n int, op *typedOp) bool {
	rest, ok := sp.read(ops, n, op)
	return ok && op.size == n && len(rest) == 0
}

// read reads the first of ops, encoded, which have left dots, if that is one at the spot, which has an enc, to op, which is empty, and
// returns what follows it.
func (sp *spot) read(ops []byte, left int, op *typedOp) ([]byte, bool) {
	if len(ops) < 2 {
		return nil, false
	}
	n, rest, ok := readUint(ops[2:])
	if !ok || n < 1 || n > uint64(left) || len(rest) < len(sp.enc) || string(rest[:len(sp.enc)]) != string(sp.enc) {
		return nil, false
	}
	pos, rest, ok := readUint(rest[len(sp.enc):])
	if !ok || pos > MaxPosition {
		return nil, false
	}
	op.size, op.pos = int(n), int(pos)
	switch uint16(ops[0])<<8 | uint16(ops[1]) {
	case insertHead:
		if op.raw, rest, ok = readStr(rest); !ok || !(len(op.raw) == 1 && op.size == 1) && utf8.RuneCount(op.raw) != op.size {
			return nil, false
		}
	case deleteHead:
		op.kind = typeDelete
	default:
		return nil, false
	}
	return rest, true
}

// play applies an op that was read.
func (sp *spot) play(ps *pass, op *typedOp) {
	if op.kind == typeInsert {
		sp.insert(ps, op.pos, op.size, string(op.raw))
	} else {
		sp.delete(ps, op.pos, op.size)
	}
}

// appendOp appends the encoding of an op at the spot, which has an enc, that was put off.
func (sp *spot) appendOp(buf []byte, op *putOp, typed string) []byte {
	head := insertHead
	if op.code == CodeTextDelete {
		head = deleteHead
	}
	buf = append(buf, byte(head>>8), byte(head))
	buf = appendUint(buf, uint64(op.n))
	buf = append(buf, sp.enc...)
	buf = appendUint(buf, uint64(op.pos))
	if op.code == CodeTextInsert {
		buf = appendStr(buf, typed[op.from:op.to])
	}
	return buf
}

// sizeOf returns the size of what appendOp appends.
func (sp *spot) sizeOf(op *putOp) int {
	n := 2 + uintSize(uint64(op.n)) + len(sp.enc) + uintSize(uint64(op.pos))
	if op.code == CodeTextInsert {
		n += strSize(op.to - op.from)
	}
	return n
}

// insert applies a TextInsert of n code points at the spot, for good. If anybody asks what happens the spot is plain.
func (sp *spot) insert(ps *pass, pos, n int, text string) {
	sp.keepAlive(ps)
	c := sp.text
	at := c.ops.Insert(ps.s.graph, ps.history, ps.lv, pos, n)
	c.rope.Insert(at, text)
	ps.trace.splice(at, 0, n, text)
	c.disturb(ps.s)
}

// delete applies a TextDelete of n code points at the spot in the same way.
func (sp *spot) delete(ps *pass, pos, n int) {
	c := sp.text
	ps.s.edits = c.ops.Delete(ps.s.graph, ps.history, ps.lv, pos, n, ps.s.edits[:0])
	for _, e := range ps.s.edits {
		c.rope.Delete(e.Pos, e.Deleted)
		ps.trace.splice(e.Pos, e.Deleted, 0, "")
	}
	c.disturb(ps.s)
}

// keepAlive makes everything on the way to the spot stand by the write that is being applied.
func (sp *spot) keepAlive(ps *pass) {
	if ps.history.Complete() && !ps.undoable() { // the op saw all others
		for _, e := range sp.entries {
			if len(e.alive) == 1 {
				e.alive[0] = ps.lv
			} else {
				e.alive = append(e.alive[:0], ps.lv)
			}
		}
		return
	}
	for _, e := range sp.entries {
		ps.supersede(&e.alive, ps.lv)
	}
}
