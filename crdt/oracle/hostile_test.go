package oracle_test

import (
	"slices"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"pgregory.net/rapid"
)

// raw makes a change that no transaction would: ops that name anything, or damaged bytes.
func (w *world) raw(n int) {
	by := actor(n)
	known := w.knows[n]
	seq := w.replicas[n].chains.Graph().Last(by) + 1
	deps := w.graph.deps(event{actor: n, saw: known}, w.made)
	var ops []crdt.Op
	for range rapid.IntRange(1, 3).Draw(w.t, "ops") {
		ops = append(ops, w.rawOp())
	}
	change := newChange(by, seq, w.clockAt(), deps, ops...)
	if rapid.IntRange(0, 3).Draw(w.t, "damage?") == 0 {
		w.damage(change)
	}
	if change.Validate() != nil {
		return // refused by everybody
	}
	w.must(w.replicas[n].deliver(change))
	w.seen["raw"]++
	w.add(n, by, known, change)
}

// rawOp returns an op that may name what its author never saw.
func (w *world) rawOp() crdt.Op {
	t := w.t
	code := rapid.SampledFrom([]crdt.Code{
		crdt.CodePut, crdt.CodeTouch, crdt.CodeDelete, crdt.CodeDelete, crdt.CodeAdd,
		crdt.CodeSetAdd, crdt.CodeSetRemove, crdt.CodeSetClear,
		crdt.CodeRWSetAdd, crdt.CodeRWSetRemove, crdt.CodeRWSetClear,
		crdt.CodeListInsert, crdt.CodeListInsert, crdt.CodeListNew, crdt.CodeListDelete, crdt.CodeListMove,
		crdt.CodeTextInsert, crdt.CodeTextInsert, crdt.CodeTextDelete, crdt.CodeTextMark, crdt.CodeTextUnmark,
	}).Draw(t, "code")
	op := crdt.Op{Code: code, Len: 1, Pos: rapid.SampledFrom([]int{0, 1, 2, 3, 7, crdt.MaxPosition}).Draw(t, "pos")}
	last := map[crdt.Code]crdt.Kind{
		crdt.CodePut: crdt.Register, crdt.CodeAdd: crdt.Counter,
		crdt.CodeSetAdd: crdt.Set, crdt.CodeSetRemove: crdt.Set, crdt.CodeSetClear: crdt.Set,
		crdt.CodeRWSetAdd: crdt.RemoveWinsSet, crdt.CodeRWSetRemove: crdt.RemoveWinsSet, crdt.CodeRWSetClear: crdt.RemoveWinsSet,
		crdt.CodeListInsert: crdt.List, crdt.CodeListNew: crdt.List, crdt.CodeListDelete: crdt.List, crdt.CodeListMove: crdt.List,
		crdt.CodeTextInsert: crdt.Text, crdt.CodeTextDelete: crdt.Text, crdt.CodeTextMark: crdt.Text, crdt.CodeTextUnmark: crdt.Text,
	}[code]
	switch code {
	case crdt.CodePut:
		op.Value = anyValue(t)
	case crdt.CodeSetAdd, crdt.CodeSetRemove, crdt.CodeRWSetAdd, crdt.CodeRWSetRemove:
		op.Value = scalar(t)
	case crdt.CodeAdd:
		op.Delta = rapid.Int64().Draw(t, "delta")
	case crdt.CodeTouch, crdt.CodeListNew:
		op.Kind = anyKind(t)
		if code == crdt.CodeTouch {
			last = op.Kind
		} else {
			op.Len = rapid.IntRange(1, 3).Draw(t, "len")
		}
	case crdt.CodeListInsert:
		op.Len = rapid.IntRange(1, 3).Draw(t, "len")
		for range op.Len {
			op.Values = append(op.Values, anyValue(t))
		}
	case crdt.CodeTextInsert:
		op.Text = someText(t)
		op.Len = len([]rune(op.Text))
	case crdt.CodeListDelete, crdt.CodeTextDelete:
		op.Len = rapid.SampledFrom([]int{1, 2, 5, 1 << 20}).Draw(t, "len")
	case crdt.CodeTextMark, crdt.CodeTextUnmark:
		op.Count = rapid.SampledFrom([]int{1, 2, 5, crdt.MaxPosition}).Draw(t, "count")
		op.Name = rapid.SampledFrom(markNames).Draw(t, "name")
		op.Growth = crdt.Growth(rapid.IntRange(0, 3).Draw(t, "growth"))
		if code == crdt.CodeTextMark {
			op.Value = scalar(t)
		}
	}
	if code == crdt.CodeListMove {
		op.Elem = w.anyDot(crdt.CodeListInsert, crdt.CodeListNew)
	}
	op.Path = w.rawPath(last)
	if lists := w.listsInserted(); (code == crdt.CodeDelete || code == crdt.CodeListMove) && len(lists) > 0 && rapid.Bool().Draw(t, "element?") {
		op.Path = slices.Clip(rapid.SampledFrom(lists).Draw(t, "list"))
		if code == crdt.CodeListMove {
			return op
		}
		// What an element holds, which a transaction deletes only to change its kind.
		step := crdt.Step{Elem: w.anyDot(crdt.CodeListInsert, crdt.CodeListNew)}
		op.Path = append(op.Path, step)
	}
	return op
}

// rawPath leads to an entry of kind last, or to a place if last is 0: most often below where others went.
func (w *world) rawPath(last crdt.Kind) crdt.Path {
	t := w.t
	path := w.goneBefore()
	path = path[:rapid.IntRange(0, len(path)).Draw(t, "common")]
	if n := len(path); n > 0 && !slices.Contains(parents, path[n-1].Kind) {
		path = path[:n-1]
	}
	for range rapid.IntRange(1, 2).Draw(t, "more") {
		var step crdt.Step
		switch {
		case len(path) == 0:
			step.Key = rapid.SampledFrom(sliceNames).Draw(t, "slice")
		case path[len(path)-1].Kind == crdt.List:
			step.Elem = w.anyDot(crdt.CodeListInsert, crdt.CodeListNew)
		default:
			step.Key = rapid.SampledFrom(keyNames).Draw(t, "key")
		}
		step.Kind = rapid.SampledFrom(parents).Draw(t, "kind")
		if rapid.IntRange(0, 3).Draw(t, "born?") == 0 {
			step.Birth = w.anyDot(crdt.CodeDelete)
		}
		path = append(path, step)
	}
	end := &path[len(path)-1]
	if end.Kind = last; last == 0 {
		end.Birth = causal.Dot{}
	}
	return path
}

// goneBefore returns the path of some op that is no delete, empty if there is none.
func (w *world) goneBefore() crdt.Path {
	paths := w.paths(func(op *crdt.Op) bool { return op.Code != crdt.CodeDelete })
	if len(paths) == 0 {
		return nil
	}
	return slices.Clone(rapid.SampledFrom(paths).Draw(w.t, "path"))
}

// listsInserted returns the paths of the lists that something was inserted into.
func (w *world) listsInserted() []crdt.Path {
	return w.paths(func(op *crdt.Op) bool { return op.Code == crdt.CodeListInsert || op.Code == crdt.CodeListNew })
}

func (w *world) paths(of func(op *crdt.Op) bool) []crdt.Path {
	var out []crdt.Path
	for _, c := range w.made {
		c.Ops(func(_ causal.Seq, _ string, op *crdt.Op) bool {
			if !op.Void && of(op) {
				out = append(out, op.Path)
			}
			return true
		})
	}
	return out
}

// anyDot returns a dot, most often of an op with one of codes, sometimes of no op at all.
func (w *world) anyDot(codes ...crdt.Code) causal.Dot {
	var dots []causal.Dot
	for _, c := range w.made {
		c.Ops(func(seq causal.Seq, _ string, op *crdt.Op) bool {
			if slices.Contains(codes, op.Code) {
				for i := range op.Len {
					dots = append(dots, causal.Dot{Actor: c.Actor, Seq: seq + causal.Seq(i)})
				}
			}
			return true
		})
	}
	if len(dots) == 0 || rapid.IntRange(0, 5).Draw(w.t, "dot?") == 0 {
		return dot(rapid.IntRange(0, w.writers).Draw(w.t, "actor"), causal.Seq(rapid.IntRange(1, 12).Draw(w.t, "seq")))
	}
	return rapid.SampledFrom(dots).Draw(w.t, "dot")
}

// damage changes c's bytes so that some of its ops are void or unknown.
func (w *world) damage(c *crdt.Change) {
	g := &c.Groups[rapid.IntRange(0, len(c.Groups)-1).Draw(w.t, "group")]
	switch rapid.SampledFrom([]string{"length", "cut", "byte", "code"}).Draw(w.t, "damage") {
	case "length":
		g.Len = rapid.IntRange(1, g.Len+3).Draw(w.t, "len")
	case "cut":
		g.Ops = g.Ops[:rapid.IntRange(0, len(g.Ops)-1).Draw(w.t, "cut")]
	case "byte":
		g.Ops[rapid.IntRange(0, len(g.Ops)-1).Draw(w.t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(w.t, "flip"))
	case "code": // well-formed, of a code that is not known
		if g.Slice != sliceNames[len(sliceNames)-1] {
			return // leave some slices that are never opaque
		}
		g.Ops = append(g.Ops, 0x94, 0x7d, 0x01, 0x90, 0xc0)
		g.Len++
	}
	w.seen["damaged"]++
}

var (
	sliceNames = []string{"s", "t", "u"}
	keyNames   = []string{"x", "y"}
	markNames  = []string{"bold", "link"}
	parents    = []crdt.Kind{crdt.Map, crdt.DeleteWinsMap, crdt.List}
)

func anyKind(t *rapid.T) crdt.Kind {
	return crdt.Kind(rapid.IntRange(int(crdt.Register), int(crdt.Text)).Draw(t, "kind"))
}

func scalar(t *rapid.T) crdt.Value {
	return value(rapid.SampledFrom([]any{nil, true, 1, 1.0, -1, "a", "", []byte("a"), 1e300, int64(1) << 40}).Draw(t, "scalar"))
}

func anyValue(t *rapid.T) crdt.Value {
	if rapid.IntRange(0, 5).Draw(t, "nested?") == 0 {
		return value(map[string]any{"b": []any{1, "x"}, "a": nil})
	}
	return scalar(t)
}

func someText(t *rapid.T) string {
	return rapid.StringOfN(rapid.RuneFrom([]rune("abé😀")), 1, 4, -1).Draw(t, "text")
}

// writer writes at random through a transaction.
type writer struct {
	t  *rapid.T
	tx *crdt.Tx
}

// write writes a few things, not in the order of the slices.
func (w *writer) write() {
	for range rapid.IntRange(1, 4).Draw(w.t, "writes") {
		w.root(rapid.SampledFrom(sliceNames).Draw(w.t, "slice"))
	}
}

// child is what the roots, Maps and Lists of a transaction give for a key or index.
type child struct {
	register, counter, set, rwset, text, list, dict, dwmap, delete func()
}

func (w *writer) into(c child) {
	acts := []func(){c.register, c.counter, c.set, c.rwset, c.text, c.text, c.list, c.list, c.dict, c.dict, c.dwmap, c.delete}
	acts[rapid.IntRange(0, len(acts)-1).Draw(w.t, "kind")]()
}

func (w *writer) root(slice string) {
	tx := w.tx
	w.into(child{
		register: func() { w.register(tx.Register(slice)) },
		counter:  func() { w.counter(tx.Counter(slice)) },
		set:      func() { w.set(tx.Set(slice)) },
		rwset:    func() { w.set(tx.RemoveWinsSet(slice)) },
		text:     func() { w.text(tx.Text(slice)) },
		list:     func() { w.list(tx.List(slice), 0) },
		dict:     func() { w.dict(tx.Map(slice), 0) },
		dwmap:    func() { w.dict(tx.DeleteWinsMap(slice), 0) },
		delete:   func() { tx.Delete(slice) },
	})
}

func (w *writer) dict(m *crdt.TxMap, depth int) {
	key := rapid.SampledFrom(keyNames).Draw(w.t, "key")
	if depth > 2 || rapid.IntRange(0, 5).Draw(w.t, "touch?") == 0 {
		m.Touch()
		return
	}
	w.into(child{
		register: func() { m.Put(key, anyValue(w.t)) },
		counter:  func() { w.counter(m.Counter(key)) },
		set:      func() { w.set(m.Set(key)) },
		rwset:    func() { w.set(m.RemoveWinsSet(key)) },
		text:     func() { w.text(m.Text(key)) },
		list:     func() { w.list(m.List(key), depth+1) },
		dict:     func() { w.dict(m.Map(key), depth+1) },
		dwmap:    func() { w.dict(m.DeleteWinsMap(key), depth+1) },
		delete:   func() { m.Delete(key) },
	})
}

func (w *writer) list(l *crdt.TxList, depth int) {
	n := l.Len()
	if n == 0 || rapid.IntRange(0, 2).Draw(w.t, "insert?") == 0 {
		i := rapid.IntRange(0, n).Draw(w.t, "at")
		if rapid.Bool().Draw(w.t, "container?") {
			l.InsertNew(i, anyKind(w.t))
		} else {
			l.Insert(i, scalar(w.t), anyValue(w.t))
		}
		return
	}
	i := rapid.IntRange(0, n-1).Draw(w.t, "at")
	if rapid.IntRange(0, 3).Draw(w.t, "move?") == 0 {
		l.Move(i, rapid.IntRange(0, n-1).Draw(w.t, "to"))
		return
	}
	if depth > 2 {
		l.Touch()
		return
	}
	w.into(child{
		register: func() { l.Set(i, anyValue(w.t)) },
		counter:  func() { w.counter(l.Counter(i)) },
		set:      func() { w.set(l.SetAt(i)) },
		rwset:    func() { w.set(l.RemoveWinsSet(i)) },
		text:     func() { w.text(l.Text(i)) },
		list:     func() { w.list(l.List(i), depth+1) },
		dict:     func() { w.dict(l.Map(i), depth+1) },
		dwmap:    func() { w.dict(l.DeleteWinsMap(i), depth+1) },
		delete:   func() { l.Delete(i, rapid.IntRange(1, n-i).Draw(w.t, "n")) },
	})
}

func (w *writer) register(r *crdt.TxRegister) {
	if rapid.IntRange(0, 3).Draw(w.t, "touch?") == 0 {
		r.Touch()
		return
	}
	r.Put(anyValue(w.t))
}

func (w *writer) counter(c *crdt.TxCounter) {
	if rapid.IntRange(0, 3).Draw(w.t, "touch?") == 0 {
		c.Touch()
		return
	}
	c.Add(rapid.Int64Range(-9, 9).Draw(w.t, "n"))
}

func (w *writer) set(s *crdt.TxSet) {
	switch rapid.IntRange(0, 4).Draw(w.t, "set") {
	case 0:
		s.Clear()
	case 1:
		s.Remove(scalar(w.t))
	case 2:
		s.Touch()
	default:
		s.Add(scalar(w.t), scalar(w.t))
	}
}

func (w *writer) text(x *crdt.TxText) {
	n := x.Len()
	switch rapid.IntRange(0, 7).Draw(w.t, "text") {
	case 0:
		x.Touch()
	case 6, 7:
		from := rapid.IntRange(0, n).Draw(w.t, "from")
		op := someMark(w.t, "t:text", from, rapid.IntRange(0, n-from).Draw(w.t, "n"))
		if op.Code == crdt.CodeTextMark {
			x.Mark(from, from+op.Count, op.Name, op.Value, op.Growth)
		} else {
			x.Unmark(from, from+op.Count, op.Name, op.Growth)
		}
	case 1, 2:
		if n > 0 {
			pos := rapid.IntRange(0, n-1).Draw(w.t, "pos")
			x.Delete(pos, rapid.IntRange(1, n-pos).Draw(w.t, "n"))
			return
		}
		fallthrough
	default:
		x.Insert(rapid.IntRange(0, n).Draw(w.t, "pos"), someText(w.t))
	}
}
