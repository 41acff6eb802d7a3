package sequence_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/sequence"
	"github.com/atollsync/atoll/crdt/sessions"
)

// tracesDir returns the directory of recorded editing sessions.
func tracesDir(t testing.TB) string {
	dir := os.Getenv("ATOLL_TRACES")
	if dir == "" {
		t.Skip("set ATOLL_TRACES to the directory of recorded editing sessions")
	}
	return dir
}

// trace is a recorded session.
type trace struct{ *sessions.Session }

func loadTrace(t testing.TB, path string) trace {
	s, err := sessions.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return trace{s}
}

// agentActor returns the n-th smallest actor.
func agentActor(n int) causal.Actor {
	var a causal.Actor
	binary.BigEndian.PutUint64(a.Nonce[:], uint64(n+1))
	return a
}

// textOp is an insertion of text, a move of elem, or else a deletion of n.
type textOp struct {
	pos, n int
	text   []rune
	elem   causal.Dot
}

func (o textOp) isMove() bool { return !o.elem.IsZero() }

func (o textOp) len() int {
	switch {
	case o.text != nil:
		return len(o.text)
	case o.isMove():
		return 1
	}
	return o.n
}

// change is a change of a document: what its author, having seen parents, did.
type change struct {
	actor   causal.Actor
	seq     causal.Seq
	parents []int // other changes
	ops     []textOp
	time    int // what its author's clock showed
}

func (c *change) len() int {
	n := 0
	for _, o := range c.ops {
		n += o.len()
	}
	return n
}

// changes returns the transactions of a trace that do anything as changes, and for each the
// changes that stand for its parents.
func (tr *trace) changes() []change {
	var out []change
	heads := make([][]int, len(tr.Txns)) // the changes a transaction stands for
	seqs := make(map[int]causal.Seq)
	for i, tx := range tr.Txns {
		c := change{actor: agentActor(tx.Agent), seq: seqs[tx.Agent] + 1}
		for _, p := range tx.Parents {
			c.parents = append(c.parents, heads[p]...)
		}
		for _, p := range tx.Patches {
			if p.Deleted > 0 {
				c.ops = append(c.ops, textOp{pos: p.Pos, n: p.Deleted})
			}
			if p.Inserted != "" {
				c.ops = append(c.ops, textOp{pos: p.Pos, text: []rune(p.Inserted)})
			}
		}
		if c.len() == 0 {
			heads[i] = c.parents
			continue
		}
		seqs[tx.Agent] += causal.Seq(c.len())
		heads[i] = []int{len(out)}
		out = append(out, c)
	}
	return out
}

// document is a text with all there is to it: graph, sequence, and its content in
// three forms that must agree.
type document struct {
	g       causal.Graph
	applied causal.Progress
	seq     sequence.Sequence
	rope    sequence.Rope
	elems   sequence.Elements
	runes   map[causal.LV]rune
	last    []causal.LV     // of each change applied, by its number
	parents []causal.LV     // of the last change
	edits   []sequence.Edit // of the last op
	times   []stamp         // effective times of changes, by local version
}

// stamp is the effective time of the ops before end and not before that of the stamp before it.
type stamp struct {
	end  causal.LV
	time int
}

// time returns the effective time of an op.
func (d *document) time(lv causal.LV) int {
	i, _ := slices.BinarySearchFunc(d.times, lv+1, func(s stamp, lv causal.LV) int { return int(s.end - lv) })
	return d.times[i].time
}

// later is the order of moves.
func (d *document) later(a, b causal.LV) bool {
	if ta, tb := d.time(a), d.time(b); ta != tb {
		return ta > tb
	}
	return d.g.Dot(a).Compare(d.g.Dot(b)) > 0
}

func newDocument() *document { return &document{runes: make(map[causal.LV]rune)} }

// add takes change i into the graph and returns its first op and the history of its author's version.
func (d *document) add(changes []change, i int) (causal.LV, causal.History, error) {
	c := &changes[i]
	d.parents = d.parents[:0]
	for _, p := range c.parents {
		d.parents = append(d.parents, d.last[p])
	}
	span, err := d.g.Add(c.actor, c.seq, c.len(), d.parents)
	if err != nil {
		return 0, causal.History{}, err
	}
	for len(d.last) <= i {
		d.last = append(d.last, 0)
	}
	d.last[i] = span.End - 1
	time := c.time
	d.parents = d.g.AppendParents(d.parents[:0], span.Start)
	for _, p := range d.parents {
		time = max(time, d.time(p)+1)
	}
	d.times = append(d.times, stamp{span.End, time})
	return span.Start, d.applied.Take(&d.g, span), nil
}

// apply takes change i into the document.
func (d *document) apply(t rapid.TB, changes []change, i int) {
	before := slices.Clone(d.applied.Heads())
	lv, h, err := d.add(changes, i)
	if err != nil {
		t.Fatal(err)
	}
	if want := d.g.HistoryAmong(before, d.g.Parents(lv)); !slices.Equal(h.Missing(), want.Missing()) {
		t.Fatalf("change %d lacks %v, want %v", i, h.Missing(), want.Missing())
	}
	for _, o := range changes[i].ops {
		for k, r := range o.text {
			d.runes[lv+causal.LV(k)] = r
		}
		d.play(d.feed(h, lv, o))
		lv += causal.LV(o.len())
	}
}

// feed gives an op to the sequence and returns the edits, which hold until the next call.
func (d *document) feed(h causal.History, lv causal.LV, o textOp) []sequence.Edit {
	d.edits = d.edits[:0]
	switch {
	case o.text != nil:
		at := d.seq.Insert(&d.g, h, lv, o.pos, len(o.text))
		d.edits = append(d.edits, sequence.Edit{Pos: at, Inserted: len(o.text), LV: lv})
	case o.isMove():
		elem, _ := d.g.LV(o.elem)
		d.edits = d.seq.Move(&d.g, h, lv, elem, o.pos, d.elems.Index, d.later, d.edits)
	default:
		d.edits = d.seq.Delete(&d.g, h, lv, o.pos, o.n, d.edits)
	}
	return d.edits
}

// play makes edits on the contents.
func (d *document) play(edits []sequence.Edit) {
	for _, e := range edits {
		if e.Deleted > 0 {
			d.rope.Delete(e.Pos, e.Deleted)
			d.elems.Delete(e.Pos, e.Deleted, nil)
		}
		if e.Inserted > 0 {
			text := make([]rune, e.Inserted)
			for i := range text {
				text[i] = d.runes[e.LV+causal.LV(i)]
			}
			d.rope.Insert(e.Pos, string(text))
			d.elems.Insert(e.Pos, e.LV, e.Inserted)
		}
	}
}

// check returns the text, and an error if the forms of the content do not agree.
func (d *document) check() (string, error) {
	var text []rune
	for s := range d.elems.Spans {
		for lv := s.Start; lv < s.End; lv++ {
			if !d.seq.IsInsert(lv) {
				return "", fmt.Errorf("%d is an element, but no insert", lv)
			}
			text = append(text, d.runes[lv])
		}
	}
	if d.rope.String() != string(text) {
		return "", fmt.Errorf("rope %q, elements %q", d.rope.String(), string(text))
	}
	if n := d.seq.Len(); n != len(text) || n != d.elems.Len() || n != d.rope.Len() {
		return "", fmt.Errorf("sequence of %d, %d elements, rope of %d, text of %d", n, d.elems.Len(), d.rope.Len(), len(text))
	}
	return string(text), d.seq.CheckTracker()
}

// diffAt says where two texts part.
func diffAt(got, want string) string {
	i := 0
	for i < len(got) && i < len(want) && got[i] == want[i] {
		i++
	}
	return fmt.Sprintf("at byte %d: got %.40q, want %.40q", i, got[i:], want[i:])
}

func TestOrderTraces(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(tracesDir(t), "order", "*.json"))
	if err != nil || len(paths) < 201 {
		t.Fatalf("%d order graphs, %v", len(paths), err)
	}
	for _, path := range paths {
		tr := loadTrace(t, path)
		changes := tr.changes()
		for seed := range uint64(4) {
			order := ascending(len(changes))
			if seed > 0 {
				rank := rand.New(rand.NewPCG(seed, 0)).Perm(len(changes))
				order = causalOrder(changes, func(a, b int) bool { return rank[a] < rank[b] })
			}
			d := newDocument()
			for _, i := range order {
				d.apply(t, changes, i)
			}
			got, err := d.check()
			if err != nil || got != tr.EndContent {
				t.Errorf("%s: got %q, %v, want %q, order %v (seed %d)", filepath.Base(path), got, err, tr.EndContent, order, seed)
			}
		}
	}
}

func TestConcurrentTrace(t *testing.T) {
	tr := loadTrace(t, filepath.Join(tracesDir(t), "friendsforever.json.gz"))
	changes := tr.changes()
	orders := map[string][]int{
		"as recorded":       ascending(len(changes)),
		"first actor first": causalOrder(changes, func(a, b int) bool { return changes[a].actor.Compare(changes[b].actor) < 0 }),
		"last actor first":  causalOrder(changes, func(a, b int) bool { return changes[a].actor.Compare(changes[b].actor) > 0 }),
	}
	for name, order := range orders {
		t.Run(name, func(t *testing.T) {
			d := newDocument()
			for _, i := range order {
				d.apply(t, changes, i)
			}
			got, err := d.check()
			if err != nil {
				t.Fatal(err)
			}
			if got != tr.EndContent {
				t.Error(diffAt(got, tr.EndContent))
			}
		})
	}
}

func TestSequentialTraces(t *testing.T) {
	for _, name := range []string{"automerge-paper", "rustcode", "sveltecomponent"} {
		t.Run(name, func(t *testing.T) {
			tr := loadTrace(t, filepath.Join(tracesDir(t), name+".json.gz"))
			d := newDocument()
			changes := tr.changes()
			if tr.StartContent != "" {
				t.Fatal("the session starts with content")
			}
			for i := range changes {
				if i > 0 {
					changes[i].parents = []int{i - 1}
				}
				d.apply(t, changes, i)
			}
			got, err := d.check()
			if err != nil {
				t.Fatal(err)
			}
			if got != tr.EndContent {
				t.Error(diffAt(got, tr.EndContent))
			}
		})
	}
}

// TestColdTrace branches off a long history, packed or not, near its end and far back.
func TestColdTrace(t *testing.T) {
	tr := loadTrace(t, filepath.Join(tracesDir(t), "automerge-paper.json.gz"))
	changes := tr.changes()[:60000]
	for i := range changes[1:] {
		changes[i+1].parents = []int{i}
	}
	var texts [2]string
	for k := range texts {
		d := newDocument()
		for i := range changes {
			d.apply(t, changes, i)
		}
		all := changes
		for actor, parent := range []int{59990, 58000, 30000, 59995, 10} {
			if k == 1 {
				d.seq.Rest()
			}
			all = append(all, change{actor: agentActor(actor + 1), seq: 1, parents: []int{parent},
				ops: []textOp{{pos: 3, n: 5}, {pos: 4, text: []rune("branch")}}})
			d.apply(t, all, len(all)-1)
		}
		text, err := d.check()
		if err != nil {
			t.Fatal(err)
		}
		texts[k] = text
	}
	if texts[0] != texts[1] {
		t.Error(diffAt(texts[1], texts[0]))
	}
}

func ascending(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// causalOrder returns an order of all changes in which each comes after its parents
// and its actor's previous one, and otherwise the least by before comes first.
func causalOrder(changes []change, before func(a, b int) bool) []int {
	waits := make([]int, len(changes))
	next := make([][]int, len(changes))
	byActor := make(map[causal.Actor]int)
	for i := range changes {
		deps := changes[i].parents
		if p, ok := byActor[changes[i].actor]; ok {
			deps = append(deps[:len(deps):len(deps)], p)
		}
		byActor[changes[i].actor] = i
		waits[i] = len(deps)
		for _, p := range deps {
			next[p] = append(next[p], i)
		}
	}
	var ready, out []int
	for i, n := range waits {
		if n == 0 {
			ready = append(ready, i)
		}
	}
	for len(ready) > 0 {
		best := 0
		for k := range ready {
			if before(ready[k], ready[best]) {
				best = k
			}
		}
		i := ready[best]
		ready = append(ready[:best], ready[best+1:]...)
		out = append(out, i)
		for _, k := range next[i] {
			if waits[k]--; waits[k] == 0 {
				ready = append(ready, k)
			}
		}
	}
	return out
}
