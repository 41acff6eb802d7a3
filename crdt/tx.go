package crdt

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/atollsync/atoll/crdt/causal"
)

// ErrRange is wrapped by the error of a Tx about a position outside a list or text.
var ErrRange = errors.New("crdt: out of range")

// ErrKind is wrapped by the error of a Tx about a container of the wrong kind, or a kind that is none.
var ErrKind = errors.New("crdt: wrong kind")

// ErrTx is the error of a Tx that is used after its end.
var ErrTx = errors.New("crdt: the transaction is over")

// ErrOpaque is wrapped by the error of a Tx about a slice written by a newer version of the
// program. It can be written again after an upgrade.
var ErrOpaque = errors.New("crdt: slice holds operations this version does not know")

// errUnderWay is the error of a Tx that was begun during another.
var errUnderWay = errors.New("crdt: begin: a transaction is under way")

// Tx is a change being authored. What it does shows in its State at once, so it reads its own
// writes; Commit makes it a change, Rollback takes it back. Until then the State is not to be used
// otherwise, nor its chains added to.
//
// Methods that write return nothing: the first bad argument sticks, later calls do nothing, and Commit
// rolls back and returns the error.
//
// Edits of one text that go on where the one before stopped (typed characters, a key held down) become one op.
//
// A Tx is a handle: copies of it are the same transaction.
type Tx struct {
	s *State // whose draft is this transaction's until it is done
	n uint64 // of the draft's transactions, 0: it never began
}

// Begin starts a transaction of actor, whose clock shows time (unix ms). The actor's last change must be in
// s; if not, or if a transaction is under way already, the transaction starts with an error.
func (s *State) Begin(actor causal.Actor, time int64) Tx {
	tx := s.begin(&actor, time)
	if !tx.done() {
		s.pass.trace = &s.trace
	}
	return tx
}

// BeginQuietly is Begin for those who do not ask what happened: the Event that Commit returns is zero.
func (s *State) BeginQuietly(actor causal.Actor, time int64) Tx { return s.begin(&actor, time) }

func (s *State) begin(actor *causal.Actor, time int64) Tx {
	d, ps := &s.draft, &s.pass
	if s.writing {
		return Tx{s: s}
	}
	s.writing = true
	d.n++
	if d.err != nil {
		d.err = nil
	}
	ps.base = s.graph.Len()
	if d.alone = d.goesOn(s, actor); d.alone {
		ps.first = d.next
	} else {
		d.err = d.goElsewhere(s, actor)
	}
	if time < 0 || time > MaxTime {
		d.err = fmt.Errorf("crdt: begin: time %d is not between 0 and %d ms", time, int64(MaxTime))
	}
	d.time = time
	if !ps.history.Complete() {
		ps.history = causal.History{}
	}
	ps.journaled = true
	if ps.trace != nil {
		ps.trace = nil
	}
	return Tx{s, d.n}
}

// done reports whether the transaction has ended, or never began.
func (tx *Tx) done() bool { return !tx.s.writing || tx.n != tx.s.draft.n }

// Err returns the error that sticks, nil if there is none.
func (tx *Tx) Err() error {
	switch {
	case tx.n == 0:
		return errUnderWay
	case tx.n != tx.s.draft.n:
		return ErrTx
	}
	return tx.s.draft.err
}

// State returns the state the transaction works on, for reading.
func (tx *Tx) State() *State { return tx.s }

// Rollback takes everything back: the State is as it was. After Commit or Rollback it does nothing.
func (tx *Tx) Rollback() {
	if tx.done() {
		return
	}
	if tx.s.draft.journal.rollback() {
		tx.s.spot = spot{}
	}
	tx.finish()
}

// finish ends the transaction.
func (tx *Tx) finish() {
	s := tx.s
	s.writing = false
	s.draft.reset()
	if s.pass.trace != nil {
		s.trace = trace{}
	}
	s.Settle()
	if s.draft.err == nil {
		s.draft.err = ErrTx
	}
}

// Commit makes the transaction a change, which it adds to the chains, and returns it with what it did
// to the State, unless it was begun quietly. Without an op there is no change and ok is false. On
// error all is rolled back.
func (tx *Tx) Commit() (a Accepted, ev Event, ok bool, err error) {
	s := tx.s
	d := &s.draft
	if tx.over() || len(d.ops)+len(d.put) == 0 {
		err = tx.Err()
		tx.Rollback()
		return Accepted{}, Event{}, false, err
	}
	t := s.pass.trace
	var from Version
	if t != nil {
		from = s.versionTold()
	}
	if d.isTyping(s) {
		if a, err = d.commitTyping(s); err != nil {
			tx.Rollback()
			return Accepted{}, Event{}, false, fmt.Errorf("crdt: commit: %w", err)
		}
		if t != nil {
			ev = t.event(s, from, a, len(d.put))
		}
		tx.finish()
		return a, ev, true, nil
	}
	d.write(s.spot.path)
	if t != nil && d.played > 0 {
		tx.s.play() // it may turn out that t cannot tell what that does
	}
	inOrder := tx.group()
	var version Version
	if !d.alone {
		version = s.Version()
	}
	var refs []causal.Dot
	var branches *Branches
	if s.graph.Forked() {
		refs, branches = s.chains.refsAt(s.pass.actor, s.Heads(), d.ops)
	} else {
		refs = refsOf(s.pass.actor, version, d.ops)
	}
	change := d.room.change(s.pass.actor, s.pass.first, d.time, refs, branches, d.ops)
	if len(change.Groups) > 1 || !change.isShort() {
		if err := change.Validate(); err != nil {
			tx.Rollback()
			return Accepted{}, Event{}, false, fmt.Errorf("crdt: commit: %w", err)
		}
	}
	// Nothing below can fail.
	if !inOrder || t != nil && t.stale {
		tx.Rollback()
		a = s.chains.author(change, s.Heads())
		if t == nil {
			s.ApplyQuietly(a)
			s.Settle()
			return a, Event{}, true, nil
		}
		return a, s.Apply(a), true, nil
	}
	s.pass.journaled = false
	tx.s.play()
	if d.alone && len(change.Refs) == 0 {
		a = s.chains.authorNext(change)
	} else {
		a = s.chains.author(change, s.Heads())
	}
	if a.Span.Start != s.pass.base {
		panic(fmt.Sprintf("crdt: the graph grew from %d to %d during a transaction", s.pass.base, a.Span.Start))
	}
	s.applied.Take(s.graph, a.Span)
	d.wrote(&a)
	if t != nil {
		ev = t.event(s, from, a, len(d.ops))
	}
	tx.finish()
	return a, ev, true, nil
}

// over reports whether the transaction has ended or failed: if so nothing more is to be done.
func (tx *Tx) over() bool { return tx.n != tx.s.draft.n || tx.s.draft.err != nil }

// fail makes err stick unless there is one already.
func (tx *Tx) fail(err error) {
	if !tx.over() {
		tx.s.draft.err = err
	}
}

// value returns x as a Value.
func (tx *Tx) value(x any) (Value, bool) {
	if tx.over() {
		return Value{}, false
	}
	v, err := ValueOf(x)
	if err != nil {
		tx.fail(err)
		return Value{}, false
	}
	return v, true
}

// scalar returns x as a Value that may be a member of a set.
func (tx *Tx) scalar(x any) (Value, bool) {
	v, ok := tx.value(x)
	if ok && !v.IsScalar() {
		tx.fail(fmt.Errorf("crdt: a set holds scalars, not a %s", v.Type()))
		return Value{}, false
	}
	return v, ok
}

// enter returns the path to the entry that an op of some class at a is about, and false after an error:
// the one that stands; else a fresh one, whose birth is the latest delete. Before a write makes
// a fresh one stand, what stands there as another kind is deleted.
func (tx *Tx) enter(a *address, class Class) (Path, bool) {
	if tx.over() {
		return nil, false
	}
	if err := tx.checkAddress(a); err != nil {
		tx.fail(err)
		return nil, false
	}
	d := &tx.s.draft
	path, _, ok := tx.descend(a, class, d.steps[:0])
	if !ok {
		return nil, false
	}
	d.steps = path
	return d.share(path), true
}

// descend appends to path the steps to the entry at a. It returns the entry too, nil if nothing
// ever named it: one that does not stand may have deletes below it, which births there must name.
func (tx *Tx) descend(a *address, class Class, path Path) (Path, *entry, bool) {
	path, parent, ok := tx.approach(a, class, path)
	if !ok {
		return nil, nil, false
	}
	step := &path[len(path)-1]
	step.Kind = a.kind
	p := tx.s.placeIn(parent, a)
	if p == nil {
		return path, nil, true
	}
	if e := p.latest(tx.s, a.kind); e != nil {
		step.Birth = e.birth
		return path, e, true
	}
	if class == ClassWrite && p.stands() {
		place := append(Path(nil), path...)
		place[len(place)-1].Kind = 0
		tx.do(&Op{Code: CodeDelete, Len: 1, Path: place})
		p = tx.s.placeIn(parent, a) // an element has one of its own only from its first op on
	}
	step.Birth = p.birth(tx.s)
	return path, p.find(a.kind, step.Birth), true
}

// approach appends to path the steps to the place at a, the last one without an entry. It returns the
// entry that has the place, nil if that is the root or an entry that nothing ever named.
func (tx *Tx) approach(a *address, class Class, path Path) (Path, *entry, bool) {
	if a.parent == nil {
		return append(path, Step{Key: a.key}), nil, true
	}
	path, parent, ok := tx.descend(a.parent, class, path)
	if !ok {
		return nil, nil, false
	}
	if !a.inList() {
		return append(path, Step{Key: a.key}), parent, true
	}
	if l, ok := parent.list(); !ok || !l.holds(a.elem) {
		tx.fail(fmt.Errorf("crdt: write to %s: the element is not in the list", a.String()))
		return nil, nil, false
	}
	elem, branch := tx.s.elem(a.elem)
	return append(path, Step{Elem: elem, Branch: branch}), parent, true
}

// checkAddress reports what no op may name.
func (tx *Tx) checkAddress(a *address) error {
	if d := a.depth(); d > MaxDepth {
		return fmt.Errorf("crdt: a path of %d steps, the limit is %d", d, MaxDepth)
	}
	for ; a.parent != nil; a = a.parent {
		if len(a.key) > MaxKeyBytes {
			return fmt.Errorf("crdt: a key of %d bytes, the limit is %d", len(a.key), MaxKeyBytes)
		}
		if !utf8.ValidString(a.key) {
			return fmt.Errorf("crdt: key %q is not UTF-8", a.key)
		}
	}
	switch name := a.key; {
	case name == "":
		return errors.New("crdt: a slice needs a name")
	case len(name) > MaxSliceName:
		return fmt.Errorf("crdt: a slice name of %d bytes, the limit is %d", len(name), MaxSliceName)
	case !utf8.ValidString(name):
		return fmt.Errorf("crdt: slice name %q is not UTF-8", name)
	case strings.HasPrefix(name, "local:") || strings.HasPrefix(name, "live:"):
		return fmt.Errorf("crdt: slice %s: the prefix is reserved", name)
	case tx.s.opaque[name]:
		return fmt.Errorf("%w: write to %s", ErrOpaque, name)
	}
	return nil
}

// delete deletes what stands at a place.
func (tx *Tx) delete(a *address) {
	if tx.over() {
		return
	}
	if err := tx.checkAddress(a); err != nil {
		tx.fail(err)
		return
	}
	wins := a.parent != nil && a.parent.kind == DeleteWinsMap
	if p := tx.s.place(a); !wins && (p == nil || !p.stands()) {
		return
	}
	if path, _, ok := tx.approach(a, ClassNeither, make(Path, 0, a.depth())); ok {
		tx.do(&Op{Code: CodeDelete, Len: 1, Path: path})
	}
}

// touch makes the container at a stand.
func (tx *Tx) touch(a *address) {
	if path, ok := tx.enter(a, ClassWrite); ok {
		tx.do(&Op{Code: CodeTouch, Len: 1, Path: path, Kind: a.kind})
	}
}

// root returns the view of a slice.
func (tx *Tx) root(slice string, kind Kind) view { return tx.s.view(slice, kind) }

// Map returns the Map that is slice. It need not exist.
func (tx *Tx) Map(slice string) *TxMap { return &TxMap{MapView{tx.root(slice, Map)}, tx} }

// DeleteWinsMap returns the DeleteWinsMap that is slice.
func (tx *Tx) DeleteWinsMap(slice string) *TxMap {
	return &TxMap{MapView{tx.root(slice, DeleteWinsMap)}, tx}
}

// List returns the List that is slice.
func (tx *Tx) List(slice string) *TxList { return &TxList{ListView{tx.root(slice, List)}, tx} }

// Text returns the Text that is slice.
func (tx *Tx) Text(slice string) *TxText { return &TxText{TextView{tx.root(slice, Text)}, tx} }

// Counter returns the Counter that is slice.
func (tx *Tx) Counter(slice string) *TxCounter {
	return &TxCounter{CounterView{tx.root(slice, Counter)}, tx}
}

// Set returns the Set that is slice.
func (tx *Tx) Set(slice string) *TxSet { return &TxSet{SetView{tx.root(slice, Set)}, tx} }

// RemoveWinsSet returns the RemoveWinsSet that is slice.
func (tx *Tx) RemoveWinsSet(slice string) *TxSet {
	return &TxSet{SetView{tx.root(slice, RemoveWinsSet)}, tx}
}

// Register returns the Register that is slice.
func (tx *Tx) Register(slice string) *TxRegister {
	return &TxRegister{RegisterView{tx.root(slice, Register)}, tx}
}

// Delete deletes what stands as slice, whatever its kind.
func (tx *Tx) Delete(slice string) { tx.delete(tx.root(slice, 0).at) }
