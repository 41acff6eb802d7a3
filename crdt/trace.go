package crdt

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/atollsync/atoll/crdt/causal"
)

// trace notes, while a change is applied, what was shown before at the places it touches. Afterwards
// edits compares that with what is shown then. The methods of a nil *trace and *touch do nothing.
type trace struct {
	root  touch
	begun bool // an op has been applied
	// stale: what was shown before could not be told, because an earlier op of the same
	// transaction had changed it already. The change must be applied anew.
	stale bool
	// typed is what was done at the State's spot while that was plain: nothing else was touched. room is nil if that is nothing.
	typed []Splice
	room  *typedRoom
}

// typedRoom is what the event of a keystroke holds, in one piece of memory.
type typedRoom struct {
	changes [1]ChangeNote
	edits   [1]Edit
	splices [1]Splice
}

// splice notes what was done at the State's spot.
func (t *trace) splice(pos, deleted, inserted int, text string) {
	if t == nil {
		return
	}
	if t.room == nil {
		t.room = new(typedRoom)
		t.typed = t.room.splices[:0]
	}
	t.typed = append(t.typed, Splice{Pos: pos, Deleted: deleted, Inserted: inserted, Text: text})
}

// event returns the event of a, a change of a number of ops that brought s from a version to that at which it is, and lets go of
// what was noted.
func (t *trace) event(s *State, from Version, a Accepted, ops int) Event {
	ev := Event{From: from, To: s.versionTold()}
	note := ChangeNote{Dot: a.Dot(), Len: a.Span.Len(), Ops: ops, Actor: a.Actor, Time: a.Time, Effective: a.Effective}
	if room := t.room; room != nil {
		room.changes[0] = note
		room.edits[0] = Edit{Path: s.spot.keys, Kind: Text, Splices: t.typed}
		ev.Changes, ev.Edits = room.changes[:], room.edits[:]
	} else {
		ev.Changes, ev.Edits = []ChangeNote{note}, t.edits(s)
	}
	*t = trace{}
	return ev
}

// touch is what is noted of one place, and of the container that was shown there.
type touch struct {
	place *place
	shown *entry // before
	old   *Value // what it showed, if that was noted: it may be hidden or replaced
	key   string
	elem  causal.LV

	members map[Value]bool // of a set: those of which membership may have changed, and whether they were
	splices []tracedSplice // of a text or list
	marks   int            // ops that mark or unmark a text
	below   []*touch       // in the order of the first op
	index   map[*place]*touch
}

type tracedSplice struct {
	Splice
	lv causal.LV // of the first element inserted
}

// indexAbove is the number of children from which on a touch keeps an index of them.
const indexAbove = 8

// top returns what is noted of the root, for an op that is about to be applied.
func (t *trace) top() *touch {
	if t == nil {
		return nil
	}
	t.begun = true
	return &t.root
}

// find returns what is noted of p, nil if nothing is.
func (t *touch) find(p *place) *touch {
	if t.index != nil {
		return t.index[p]
	}
	for _, b := range t.below {
		if b.place == p {
			return b
		}
	}
	return nil
}

// touch returns what is noted of p, the place that step leads to. The first time it notes what is shown
// there, so it must be called before the op changes that.
func (t *touch) touch(ps *pass, step Step, p *place) *touch {
	if t == nil {
		return nil
	}
	if b := t.find(p); b != nil {
		return b
	}
	b := &touch{place: p, shown: p.shown(ps.s), key: step.Key}
	if !step.Elem.IsZero() {
		b.elem, _ = ps.find(step.Elem, step.Branch)
	}
	if b.shown != nil && (b.shown.kind == Register || b.shown.kind == Counter) {
		b.note(ps.s)
	}
	t.below = append(t.below, b)
	if t.index != nil {
		t.index[p] = b
	} else if len(t.below) > indexAbove {
		t.index = make(map[*place]*touch)
		for _, b := range t.below {
			t.index[b.place] = b
		}
	}
	return b
}

// note notes what is shown, whole.
func (t *touch) note(s *State) {
	v := s.valueOf(t.shown)
	t.old = &v
}

// content returns t if e is what was shown there before, and nil, which notes nothing, if not: its
// content could not be seen.
func (t *touch) content(e *entry) *touch {
	if t == nil || t.shown != e {
		return nil
	}
	return t
}

// member notes whether v is a member of c, which is shown at t.
func (t *touch) member(v Value, c memberContent) {
	if t == nil {
		return
	}
	if _, ok := t.members[v]; ok {
		return
	}
	if t.members == nil {
		t.members = make(map[Value]bool)
	}
	t.members[v] = c.has(v)
}

// splice notes a splice of the text or list shown at t.
func (t *touch) splice(sp Splice, lv causal.LV) {
	if t != nil {
		t.splices = append(t.splices, tracedSplice{sp, lv})
	}
}

// expect notes what is shown wherever op, which is not yet applied, may make something else be
// shown: the place it deletes, or a place where it writes to another entry than the one shown.
func (t *trace) expect(ps *pass, op *Op) {
	if t == nil || op.Void && !op.Unknown {
		return
	}
	var c content = ps.s.root
	at := &t.root
	for i, step := range op.Path {
		var p *place
		if l, ok := c.(*listContent); ok && ps.seesElement(l, step.Elem, step.Branch) {
			p = l.place(ps, step)
		} else if p = ps.peek(c, step); p == nil {
			return // nothing is shown there that could be hidden
		}
		known := at.find(p) != nil
		at = at.touch(ps, step, p)
		if at.shown == nil {
			return
		}
		last := i == len(op.Path)-1
		if last && (op.Code == CodeDelete || op.Unknown) || at.shown.kind != step.Kind || at.shown.birth != step.Birth {
			if at.old == nil && known && t.begun {
				t.stale = true
			} else if at.old == nil {
				at.note(ps.s)
			}
			return
		}
		c = at.shown.content
	}
}

// edits returns what changed.
func (t *trace) edits(s *State) []Edit {
	var out []Edit
	var path []string
	t.root.sort(nil)
	for _, b := range t.root.below {
		out = b.edits(s, append(path, b.key), out)
	}
	return out
}

// sort puts the places below in an order that does not depend on that of the ops: by key, or by
// where the element is now in l. Elements that are no more are dropped.
func (t *touch) sort(l *listContent) {
	if l == nil {
		slices.SortFunc(t.below, func(a, b *touch) int { return strings.Compare(a.key, b.key) })
		return
	}
	at := make(map[*touch]int, len(t.below))
	t.below = slices.DeleteFunc(t.below, func(b *touch) bool {
		i, ok := l.elements.Index(b.elem)
		at[b] = i
		return !ok
	})
	slices.SortFunc(t.below, func(a, b *touch) int { return cmp.Compare(at[a], at[b]) })
	for _, b := range t.below {
		b.key = strconv.Itoa(at[b])
	}
}

// edits appends the edits at and below the place of t, which path leads to.
func (t *touch) edits(s *State, path []string, out []Edit) []Edit {
	after := t.place.shown(s)
	if after != nil && s.opaque[path[0]] {
		after = nil
	}
	if after != t.shown {
		e := Edit{Path: slices.Clone(path), Old: t.old}
		if t.shown != nil {
			e.Kind = t.shown.kind
			if t.old == nil {
				panic("crdt: what is shown at " + FormatPointer(path) + " changed unforeseen")
			}
		}
		if after != nil {
			e.Kind = after.kind
			v := s.valueOf(after)
			e.New = &v
		}
		return append(out, e)
	}
	if after == nil {
		return out
	}
	e := Edit{Kind: after.kind}
	switch c := after.content.(type) {
	case *registerContent, *counterContent:
		if v := s.valueOf(after); v != *t.old {
			e.Old, e.New = t.old, &v
		}
	case memberContent:
		for v, was := range t.members {
			switch is := c.has(v); {
			case was && !is:
				e.Removed = append(e.Removed, v)
			case is && !was:
				e.Added = append(e.Added, v)
			}
		}
		slices.SortFunc(e.Removed, Value.Compare)
		slices.SortFunc(e.Added, Value.Compare)
	case *textContent:
		for _, sp := range t.splices {
			e.Splices = append(e.Splices, sp.Splice)
		}
		e.Marks = c.markEdits(s, t.splices, t.marks)
	case *listContent:
		e.Splices = t.listSplices(s, c)
		t.sort(c)
	case *mapContent:
		t.sort(nil)
	}
	if !e.isNothing() {
		e.Path = slices.Clone(path)
		out = append(out, e)
	}
	for _, b := range t.below {
		if !t.inserted(b.elem) {
			out = b.edits(s, append(path, b.key), out)
		}
	}
	return out
}

// listSplices returns the splices with what the inserted elements show.
func (t *touch) listSplices(s *State, c *listContent) []Splice {
	var out []Splice
	for _, sp := range t.splices {
		for lv := sp.lv; lv < sp.lv+causal.LV(sp.Inserted); lv++ {
			var v Value
			if _, ok := c.elements.Index(lv); ok {
				v = newValue(c.appendElement(s, lv, nil))
			}
			sp.Values = append(sp.Values, v)
		}
		out = append(out, sp.Splice)
	}
	return out
}

// inserted reports whether the element lv came with one of the splices, which then give its value.
func (t *touch) inserted(lv causal.LV) bool {
	return slices.ContainsFunc(t.splices, func(sp tracedSplice) bool {
		return sp.lv <= lv && lv < sp.lv+causal.LV(sp.Inserted)
	})
}
