package crdt

import (
	"errors"
	"fmt"
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// ErrUndo is wrapped by the error of a Tx in which Undo is not all there is: undo in a transaction of its own.
var ErrUndo = errors.New("crdt: undo must be the only thing in its transaction")

// ErrUndone is wrapped by the error of a Tx about a change that is undone already: undo the change that undid it, which
// redoes it.
var ErrUndone = errors.New("crdt: the change is undone already")

// Undo takes back what the change that dot is in did, as far as it still shows, by ops as any other: they can be undone
// in turn, which is redoing the change. Whose change it was does not matter. What others did since stays:
//
//   - Text: what it inserted is deleted; what it deleted, and nobody else did, is inserted again where it stood.
//     Where its marks and unmarks decide, what would be seen without them is marked again. Text that is inserted again bears
//     the marks that go over the place.
//   - List: the same. Elements come back as new ones, with a copy of what they showed. Those it moved go back.
//   - Register: if it shows what the change put, it shows again what it did before.
//   - Counter: what was added is subtracted.
//   - Set: members it made, and nobody else did, are removed; those it removed are added.
//   - What it deleted under a key stands again, whole, unless something else stands there: it was only hidden.
//     What it made stand there is deleted, unless others have left something in it.
//
// Devices that undo the same change at once converge. What they both bring back under keys is there once, and so are
// values and members; text and elements of lists that each of them inserted again are there twice, and what each subtracted
// from a counter counts twice.
//
// Undo must be the only thing in the transaction. src is where it reads changes that the state has applied: the one that
// it undoes, always; text that comes back; and the history before the change where it must be known what was shown then,
// which is the costly part: for all kinds but Text and Counter, or if otherwise nothing is left. lineage may be nil; see
// there what that means. If the transaction is rolled back, or fails, lineage forgets nothing by itself: see UndoStack,
// which does all this.
//
// Errors stick: ErrAhead for a change that the state does not include, ErrUndone if lineage knows that it is undone,
// ErrUndo, and those of src.
//
// Undoing by an inverse op that is merged like others: Ressel and Gunzenhäuser, "Reducing the Problems of Group Undo"
// (GROUP 1999), whose rules undo is held to here: it is the exact inverse if nothing else happened, and
// what others did stays. That what was hidden is shown again: the entries of package crdt are never emptied.
func (tx *Tx) Undo(src Source, dot Dot, lineage *Lineage) {
	if tx.over() {
		return
	}
	if d := &tx.s.draft; len(d.ops)+len(d.put) > 0 {
		tx.fail(ErrUndo)
		return
	}
	s := tx.s
	lv, ok := s.graph.LV(dot)
	if !ok || !s.graph.Contains(s.Heads(), lv) {
		tx.fail(fmt.Errorf("%w: undo %s", ErrAhead, dot))
		return
	}
	if lineage == nil {
		lineage = new(Lineage)
	}
	u := undoer{tx: tx, src: src, lineage: lineage, span: s.chains.ChangeAt(lv).Span}
	if by, is := lineage.isUndone(u.span.Start); is && by >= 0 {
		tx.fail(fmt.Errorf("%w: %s", ErrUndone, dot))
		return
	}
	done := new(undoneEntry)
	found := false
	err := src.Changes(u.span, func(a Accepted) bool {
		found = a.Span == u.span
		a.Ops(func(_ causal.Seq, _ string, op *Op) bool {
			if !op.Void {
				done.note(op, 0)
			}
			return true
		})
		return false
	})
	switch {
	case err != nil:
		tx.fail(fmt.Errorf("crdt: undo %s: %w", dot, err))
	case !found:
		tx.fail(fmt.Errorf("crdt: undo %s: the change is missing from the log", dot))
	default:
		u.a, u.b = u.versions()
		root := &entry{kind: Map, content: s.root}
		u.inside(&undoSpot{done: done, cur: root, was: root})
		by := causal.LV(-1)
		if len(tx.s.draft.ops) > 0 {
			by = tx.s.pass.base
		}
		lineage.note(u.span.Start, by)
	}
}

// undoer undoes the change with the ops in span.
type undoer struct {
	tx      *Tx
	src     Source
	lineage *Lineage
	span    causal.Span
	prior   *State // see before
	// What lists would lack had nothing ever been undone, but what is undone now not been done, and without the change too.
	a, b []causal.Span
}

// versions returns the undoer's a and b.
func (u *undoer) versions() (a, b []causal.Span) {
	span := func(lv causal.LV) []causal.Span { return []causal.Span{u.tx.s.chains.ChangeAt(lv).Span} }
	for _, d := range u.lineage.undone {
		if d.by >= 0 && d.by < u.tx.s.pass.base {
			a = causal.Union(a, span(d.by))
		}
		if _, undone := u.lineage.isUndone(d.change); undone {
			a = causal.Union(a, span(d.change))
		}
	}
	root, ok := u.lineage.root(u.span.Start)
	if !ok {
		return a, causal.Union(a, []causal.Span{u.span})
	}
	if _, undone := u.lineage.isUndone(root); undone {
		return a, causal.Subtract(a, span(root))
	}
	return a, causal.Union(a, span(root))
}

// before returns the state that the author of the change saw, nil if it cannot be read, and then the transaction has failed.
func (u *undoer) before() *State {
	if u.prior == nil && !u.tx.over() {
		s := u.tx.s
		prior, err := At(s.chains, s.graph.Parents(u.span.Start), u.src)
		if err != nil {
			u.tx.fail(fmt.Errorf("crdt: undo: %w", err))
			return nil
		}
		u.prior = prior
	}
	return u.prior
}

// shownBefore returns what its author saw at the place of at, nil if nothing.
func (u *undoer) shownBefore(at *undoSpot) *entry {
	if u.before() == nil {
		return nil
	}
	if p := u.priorPlace(at); p != nil {
		return p.shown(u.prior)
	}
	return nil
}

// standingBefore returns the entry of at as its author saw it, nil if it did not stand.
func (u *undoer) standingBefore(at *undoSpot) *entry {
	if u.before() == nil {
		return nil
	}
	if p := u.priorPlace(at); p != nil {
		if e := p.find(at.done.name.kind, at.done.name.birth); e != nil && len(e.alive) > 0 {
			return e
		}
	}
	return nil
}

func (u *undoer) priorPlace(at *undoSpot) *place {
	if at.up.up == nil {
		return u.prior.root.places[at.step.Key]
	}
	p := u.priorPlace(at.up)
	if p == nil {
		return nil
	}
	e := p.find(at.up.done.name.kind, at.up.done.name.birth)
	if e == nil {
		return nil
	}
	return u.prior.placeBelow(e.content, at.step)
}

// did reports whether lv, a write, is of the change or stands for one.
func (u *undoer) did(lv causal.LV) bool {
	in, _ := u.lineage.writes.within(lv, 1, u.span)
	return in
}

// do applies an op of length 1 at the place or entry that path leads to.
func (u *undoer) do(path Path, op Op) causal.LV {
	op.Path, op.Len = path, 1
	return u.tx.do(&op)
}

// inside undoes what the change did in an entry that is shown.
func (u *undoer) inside(at *undoSpot) {
	switch c := at.cur.content.(type) {
	case *registerContent:
		u.register(at, c)
	case *counterContent:
		if at.done.delta != 0 {
			u.do(at.path, Op{Code: CodeAdd, Delta: -at.done.delta})
		}
	case memberContent:
		u.set(at, c)
	case *textContent:
		if at.done.edited {
			u.text(at, c)
		}
		if at.done.marked && !u.tx.over() {
			u.marks(at, c)
		}
	case *listContent:
		if at.done.edited {
			u.list(at, c)
		}
	}
	for _, p := range at.done.below {
		if !u.tx.over() {
			u.place(at, p)
		}
	}
}

// find returns the place below at that the change names: where that is now, nil if nothing ever was there, and the spot there,
// without an entry. ok is false if it is gone.
func (u *undoer) find(up *undoSpot, step Step) (p *place, at *undoSpot, ok bool) {
	at = &undoSpot{up: up, step: step, copied: up.copied}
	if step.Elem.IsZero() {
		c, isMap := up.cur.content.(*mapContent)
		if !isMap || up.up == nil && u.tx.s.opaque[step.Key] {
			return nil, nil, false
		}
		p = c.places[step.Key]
	} else {
		c, isList := up.cur.content.(*listContent)
		if !isList {
			return nil, nil, false
		}
		lv, known := u.tx.s.elemIn(c, step.Elem)
		if !known || u.span.Contains(lv) {
			return nil, nil, false // what the change inserted is deleted, whatever it holds
		}
		elem, shown := u.represented(c, lv)
		if !shown || elem >= u.tx.s.pass.base {
			return nil, nil, false // deleted, or just brought back as it was before the change
		}
		p = c.peek(elem)
		step.Elem, step.Branch = u.tx.s.elem(elem)
		at.copied = at.copied || elem != lv
	}
	at.path = append(up.path[:len(up.path):len(up.path)], step)
	return p, at, true
}

// enter makes at, which find returned, the spot of the entry e that stands at its place.
func (u *undoer) enter(at *undoSpot, done *undoneEntry, e *entry) *undoSpot {
	in := *at
	in.path = append(Path(nil), at.path...)
	step := &in.path[len(in.path)-1]
	step.Kind, step.Birth = e.kind, e.birth
	in.done, in.cur = done, e
	if !at.copied {
		in.was = e
	} else if at.up.was != nil {
		if p := u.tx.s.placeBelow(at.up.was.content, at.step); p != nil {
			in.was = p.find(done.name.kind, done.name.birth)
		}
	}
	return &in
}

// is reports whether e, at a place that may be copied, is the entry of that name. What was copied has
// births of its own.
func (at *undoSpot) is(e *entry, name entryName) bool {
	return e.kind == name.kind && (at.copied || e.birth == name.birth)
}

// place undoes what the change did at a place.
func (u *undoer) place(up *undoSpot, did *undonePlace) {
	p, at, ok := u.find(up, did.step)
	if !ok {
		return
	}
	var shown *entry
	if p != nil {
		shown = p.shown(u.tx.s)
	}
	switch {
	case did.last.kind == 0 && did.deleted:
		if shown == nil {
			u.revive(at, did, p)
		}
	case shown == nil:
	case did.last.kind == 0: // it made nothing stand
		for _, e := range did.entries {
			if at.is(shown, e.name) {
				u.inside(u.enter(at, e, shown))
				return
			}
		}
	case at.is(shown, did.last):
		u.standing(at, did, p, u.enter(at, did.entry(did.last, false), shown))
	}
}

// standing undoes what the change did at a place where the entry to which it wrote last is shown, in.
func (u *undoer) standing(at *undoSpot, did *undonePlace, p *place, in *undoSpot) {
	others := false
	for _, e := range p.entries {
		others = others || e != in.cur && len(e.alive) > 0
	}
	empty := u.empties(in) // nothing of anybody else's is there
	// Or nobody else keeps it standing, which the change then may have made stand again.
	alone := !empty && (did.deleted || in.done.touched) && u.alone(in)
	if did.deleted || others || empty || alone {
		was := u.shownBefore(in)
		if u.tx.over() {
			return
		}
		if was == nil || was.name() != did.last {
			switch {
			case empty || alone:
				u.do(at.path, Op{Code: CodeDelete})
				if was != nil {
					u.revive(at, did, p)
				}
				return
			case others && was != nil && !at.copied:
				if e := p.find(was.kind, was.birth); e != nil && len(e.alive) > 0 {
					u.inside(in)
					old := u.enter(at, did.entry(was.name(), false), e)
					u.touch(old.path, was)
					u.inside(old)
					return
				}
			}
		}
	}
	u.inside(in)
}

// alone reports whether nobody wrote to an entry since the change, or beside it, but what was undone.
func (u *undoer) alone(at *undoSpot) bool {
	if u.didAll(at.cur.alive) {
		return true
	}
	// Of writes that one saw who wrote later, an entry keeps no trace.
	alone := true
	since, _ := u.tx.s.graph.Diff(u.tx.s.Heads(), []causal.LV{u.span.End - 1})
	for _, span := range since {
		err := u.src.Changes(span, func(a Accepted) bool {
			if _, undone := u.lineage.isUndone(a.Span.Start); undone || u.lineage.undoes(a.Span.Start) {
				return true
			}
			a.Ops(func(_ causal.Seq, _ string, op *Op) bool {
				if !op.Void && op.Code.Class() == ClassWrite && len(op.Path) >= len(at.path) {
					alone = !slices.Equal(op.Path[:len(at.path)], at.path)
				}
				return alone
			})
			return alone
		})
		if err != nil {
			u.tx.fail(fmt.Errorf("crdt: undo: %w", err))
			return false
		}
		if !alone {
			return false
		}
	}
	return true
}

// revive makes what stood at a place before the change stand again: all that did, and what was shown is shown.
func (u *undoer) revive(at *undoSpot, did *undonePlace, p *place) {
	was := u.shownBefore(at)
	if was == nil {
		return
	}
	if at.copied {
		in := u.enter(at, did.entry(was.name(), false), was)
		in.path[len(in.path)-1].Birth = causal.Dot{}
		if p != nil {
			in.path[len(in.path)-1].Birth = p.birth(u.tx.s)
		}
		(&copier{tx: u.tx, from: u.prior, lineage: u.lineage}).fill(in.path, was)
		return
	}
	for _, e := range slices.Backward(u.priorPlace(at).standing(u.prior)) {
		u.reviveEntry(at, did, e)
	}
}

// reviveEntry makes was, an entry that the author of the change saw, stand again.
func (u *undoer) reviveEntry(at *undoSpot, did *undonePlace, was *entry) {
	in := u.enter(at, did.entry(was.name(), false), was)
	if r, ok := was.content.(*registerContent); ok {
		if put, ok := r.shown(u.prior); ok {
			u.lineage.writes.add(u.do(in.path, Op{Code: CodePut, Value: put.value}), put.lv, 1)
			return
		}
	}
	u.touch(in.path, was)
	if e := u.tx.s.placeBelow(at.up.cur.content, at.path[len(at.path)-1]).find(was.kind, was.birth); e != nil {
		u.inside(u.enter(at, in.done, e))
	}
}

// touch makes was, an entry that the author of the change saw, stand, or be shown.
func (u *undoer) touch(path Path, was *entry) {
	lv := u.do(path, Op{Code: CodeTouch, Kind: was.kind})
	u.lineage.writes.add(lv, u.prior.latest(was.alive), 1)
}

// register puts what a Register showed before the change, if it shows what that put.
func (u *undoer) register(at *undoSpot, c *registerContent) {
	now, ok := c.shown(u.tx.s)
	if !ok || !u.did(now.lv) {
		return
	}
	was := u.standingBefore(at)
	if was == nil {
		return
	}
	// Even if that is the same: an earlier change is undone only if it shows again that that put it.
	old, ok := was.content.(*registerContent).shown(u.prior)
	if lv := u.do(at.path, Op{Code: CodePut, Value: old.value}); ok {
		u.lineage.writes.add(lv, old.lv, 1)
	}
}

// set restores the members that the change made others of.
func (u *undoer) set(at *undoSpot, c memberContent) {
	if len(at.done.sets) == 0 || u.before() == nil {
		return
	}
	var old memberContent = &setContent{}
	if was := u.standingBefore(at); was != nil {
		old = was.content.(memberContent)
	}
	after := make(map[Value]bool)
	var values []Value // those of after, in the order of the ops
	set := func(v Value, member bool) {
		if _, ok := after[v]; !ok {
			values = append(values, v)
		}
		after[v] = member
	}
	for _, op := range at.done.sets {
		switch op.Code {
		case CodeSetAdd, CodeRWSetAdd:
			set(op.Value, true)
		case CodeSetRemove, CodeRWSetRemove:
			set(op.Value, false)
		default:
			for _, v := range old.elements() {
				set(v, false)
			}
			for _, v := range values {
				after[v] = false
			}
		}
	}
	for _, v := range values {
		before, after := old.has(v), after[v]
		did := u.didAll(c.addsOf(v)) // so that nobody else made it a member, or it is none
		switch {
		case c.has(v) != after || !did:
		case before: // added again even if it still is one, to be the one that was there before
			lv := u.do(at.path, Op{Code: setCode(at.cur.kind, CodeSetAdd), Value: v})
			u.lineage.writes.add(lv, u.others(old.addsOf(v)), 1)
		case after:
			u.do(at.path, Op{Code: setCode(at.cur.kind, CodeSetRemove), Value: v})
		}
	}
}

// others returns the first of lvs, of which there is one, that is not by the author of the change, or else the first.
func (u *undoer) others(lvs []causal.LV) causal.LV {
	g := u.tx.s.graph
	for _, lv := range lvs {
		if g.Dot(lv).Actor != g.Dot(u.span.Start).Actor {
			return lv
		}
	}
	return lvs[0]
}

func (u *undoer) didAll(lvs []causal.LV) bool {
	for _, lv := range lvs {
		if !u.did(lv) {
			return false
		}
	}
	return true
}

// empties reports whether nothing would be left in an entry that is shown if what the change did there were undone. A
// Register is empty if it shows what the change put.
func (u *undoer) empties(at *undoSpot) bool {
	switch c := at.cur.content.(type) {
	case *registerContent:
		if now, ok := c.shown(u.tx.s); ok {
			return u.did(now.lv)
		}
		return true
	case *counterContent:
		return c.sum == at.done.delta
	case memberContent:
		for _, v := range c.elements() {
			if !u.didAll(c.addsOf(v)) {
				return false
			}
		}
		was := u.standingBefore(at)
		return was == nil || was.isEmpty()
	case *textContent:
		return u.textUndo(at, c).left == 0
	case *listContent:
		return u.listUndo(at, c).left == 0
	case *mapContent:
		for _, key := range c.keys() {
			did := at.done.index[Step{Key: key}]
			if did == nil {
				return false
			}
			p, below, ok := u.find(at, did.step)
			if !ok || did.last.kind == 0 || len(p.standing(u.tx.s)) != 1 {
				return false
			}
			e := p.shown(u.tx.s)
			if !below.is(e, did.last) {
				return false
			}
			in := u.enter(below, did.entry(did.last, false), e)
			if !u.empties(in) || u.shownBefore(in) != nil || u.tx.over() {
				return false
			}
		}
		return true
	}
	return false
}
