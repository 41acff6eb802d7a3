package oracle_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/oracle"
	"pgregory.net/rapid"
)

// world is some replicas that write and meet at random.
type world struct {
	t        *rapid.T
	replicas []*engine // replica n writes as actor n
	graph    graph
	made     []*crdt.Change // by event of graph
	knows    []uint         // by replica: the events it holds
	seen     map[string]int // what happened, for the test to assert that everything did
	writers  int
}

// maxEvents is the most that fit a history in a word.
const maxEvents = 60

// TestRandom compares the engine with the oracle on random event graphs, larger and richer than the
// exhaustive ones: changes of several ops on several slices, nested containers, hostile and damaged
// ops, replicas that meet in any order, changes authored at older versions, transactions taken back.
func TestRandom(t *testing.T) {
	seen := map[string]int{}
	graphs := 0
	rapid.Check(t, func(t *rapid.T) {
		w := &world{t: t, seen: seen}
		for range rapid.IntRange(2, 4).Draw(t, "replicas") {
			w.replicas, w.knows = append(w.replicas, newEngine()), append(w.knows, 0)
		}
		w.writers = len(w.replicas)
		w.replicas[0].bulk = true
		for number := range rapid.IntRange(4, 30).Draw(t, "steps") {
			w.step(number)
		}
		for n := range w.replicas {
			w.meet(n, 1<<len(w.graph)-1)
		}
		graphs++
	})
	t.Logf("%d random event graphs: %v", graphs, seen)
	if t.Failed() || graphs < 50 {
		return
	}
	expected := []string{"merge", "committed", "raw", "damaged", "at an older version", "taken back", "void", "unknown",
		"several standing", "several slices"}
	if graphs >= 1000 {
		expected = append(expected, "several maximal writes", "element hidden") // a short run may miss them
	}
	for _, what := range expected {
		if seen[what] == 0 {
			t.Errorf("%s: never happened in %d graphs", what, graphs)
		}
	}
}

// step does one thing. Draws favour small numbers, so that the replica's is counted from the
// step's: else one replica would do nearly everything, and nothing would be concurrent.
func (w *world) step(number int) {
	n := (number + rapid.IntRange(0, len(w.replicas)-1).Draw(w.t, "replica")) % len(w.replicas)
	if len(w.graph) == maxEvents {
		return
	}
	meet := func() {
		other := (n + rapid.IntRange(1, len(w.replicas)-1).Draw(w.t, "with")) % len(w.replicas)
		w.meet(n, w.knows[n]|w.knows[other])
	}
	switch rapid.SampledFrom([]string{"commit", "meet, commit", "raw", "meet, raw", "older", "rollback"}).Draw(w.t, "step") {
	case "commit":
		w.commit(n)
	case "meet, commit":
		meet()
		w.commit(n)
	case "raw":
		w.raw(n)
	case "meet, raw":
		meet()
		w.raw(n)
	case "older":
		w.older(n)
	case "rollback":
		w.rollback(n)
	}
}

// meet gives replica n the events it lacks, as one batch or several.
func (w *world) meet(n int, events uint) {
	var missing []*crdt.Change
	for j, c := range w.made {
		if (events&^w.knows[n])>>j&1 == 1 {
			missing = append(missing, c)
		}
	}
	r := w.replicas[n]
	for len(missing) > 0 {
		k := rapid.IntRange(1, len(missing)).Draw(w.t, "batch")
		w.must(r.deliver(missing[:k]...))
		missing = missing[k:]
	}
	w.knows[n] |= events
	w.compare(fmt.Sprintf("replica %d", n), r.state, w.knows[n])
}

// clockAt returns what a clock might show: clocks agree, jump and go backward.
func (w *world) clockAt() int64 {
	if rapid.IntRange(0, 9).Draw(w.t, "clock?") == 0 {
		return rapid.SampledFrom([]int64{0, 1, 500, crdt.MaxTime}).Draw(w.t, "clock")
	}
	return 1000 + rapid.Int64Range(-2, 2).Draw(w.t, "clock") + int64(len(w.graph))
}

// commit authors a change by a transaction on replica n.
func (w *world) commit(n int) {
	tx := w.replicas[n].state.Begin(actor(n), w.clockAt())
	(&writer{t: w.t, tx: &tx}).write()
	if change, ok := w.end(&tx, w.knows[n]); ok {
		w.seen["committed"]++
		w.add(n, actor(n), w.knows[n], change)
	}
}

// end commits tx. It fails only if what it wrote to is opaque.
func (w *world) end(tx *crdt.Tx, known uint) (*crdt.Change, bool) {
	a, _, ok, err := tx.Commit()
	if err != nil && !errors.Is(err, crdt.ErrOpaque) {
		w.t.Fatalf("commit: %v\n%s", err, w)
	}
	if !ok {
		return nil, false
	}
	if breach := breach(a.Change, w.pick(known)); breach != "" {
		w.t.Fatalf("%s\n%s", breach, w)
	}
	return a.Change, true
}

// add notes a change by an author who saw the events known; replica n holds it.
func (w *world) add(n int, by causal.Actor, known uint, change *crdt.Change) {
	number := slices.IndexFunc(w.actors(), func(a causal.Actor) bool { return a == by })
	if heads := w.graph.heads(known); heads&(heads-1) != 0 {
		w.seen["merge"]++
	}
	if len(change.Groups) > 1 {
		w.seen["several slices"]++
	}
	w.graph = append(w.graph, event{actor: number, saw: known})
	w.made = append(w.made, change)
	w.knows[n] |= 1 << (len(w.graph) - 1)
	w.compare(fmt.Sprintf("replica %d, the author's", n), w.replicas[n].state, w.knows[n])
}

func (w *world) actors() []causal.Actor {
	var out []causal.Actor
	for n := range w.writers {
		out = append(out, actor(n))
	}
	return out
}

// older authors a change at a version that replica n holds, by a new actor.
func (w *world) older(n int) {
	if w.knows[n] == 0 || w.writers > 9 {
		return
	}
	r := w.replicas[n]
	known := w.knows[n]
	for j := range w.graph {
		if known>>j&1 == 1 && rapid.Bool().Draw(w.t, "at") {
			known &= w.graph[j].saw | 1<<j
		}
	}
	var version []causal.LV
	for j := range w.graph {
		if w.graph.heads(known)>>j&1 == 1 {
			lv, _ := r.chains.Graph().LV(w.made[j].Dot())
			version = append(version, lv)
		}
	}
	slices.Sort(version)
	s, err := crdt.At(r.chains, version, w.source(r))
	w.must(err)
	w.compare("at an older version", s, known)
	tx := s.Begin(actor(w.writers), w.clockAt())
	(&writer{t: w.t, tx: &tx}).write()
	change, ok := w.end(&tx, known)
	if !ok {
		return
	}
	w.seen["at an older version"]++
	w.compare("where it was authored", s, known, change)
	w.writers++
	lv, _ := r.chains.Graph().LV(causal.Dot{Actor: change.Actor, Seq: change.Seq})
	r.state.Apply(crdt.Accepted{Change: change, Span: causal.Span{Start: lv, End: lv + causal.LV(change.Len())}})
	w.add(n, change.Actor, known, change)
}

// source reads the changes that r holds.
func (w *world) source(r *engine) crdt.Source {
	held := source{}
	for _, c := range w.made {
		if lv, ok := r.chains.Graph().LV(causal.Dot{Actor: c.Actor, Seq: c.Seq}); ok {
			held = append(held, crdt.Accepted{Change: c, Span: causal.Span{Start: lv, End: lv + causal.LV(c.Len())}})
		}
	}
	slices.SortFunc(held, func(a, b crdt.Accepted) int { return int(a.Span.Start - b.Span.Start) })
	return held
}

type source []crdt.Accepted

func (s source) Changes(span causal.Span, yield func(crdt.Accepted) bool) error {
	for _, a := range s {
		if a.Span.Start < span.End && span.Start < a.Span.End && !yield(a) {
			break
		}
	}
	return nil
}

// rollback writes on replica n and takes it back.
func (w *world) rollback(n int) {
	s := w.replicas[n].state
	before := s.Digest()
	tx := s.Begin(actor(n), w.clockAt())
	(&writer{t: w.t, tx: &tx}).write()
	tx.Rollback()
	if s.Digest() != before {
		w.t.Fatalf("replica %d has another digest after a transaction that was taken back\n%s", n, w)
	}
	w.compare("after a transaction that was taken back", s, w.knows[n])
	w.seen["taken back"]++
}

func (w *world) pick(events uint) []*crdt.Change {
	var out []*crdt.Change
	for j, c := range w.made {
		if events>>j&1 == 1 {
			out = append(out, c)
		}
	}
	return out
}

// compare compares s, which holds the events known and perhaps more changes, with the oracle.
func (w *world) compare(what string, s *crdt.State, known uint, more ...*crdt.Change) {
	want, err := oracle.Of(append(w.pick(known), more...))
	w.must(err)
	w.seen["void"] += want.Void - want.Unknown
	w.seen["unknown"] += want.Unknown
	w.count(want.Root)
	if diff := compare(s, want); diff != "" {
		w.t.Fatalf("%s:\n%s\n%s%s", what, diff, w, describe(more))
	}
}

// count counts the rarer things that a value may show.
func (w *world) count(e *oracle.Entry) {
	for _, p := range e.Places {
		if len(p.Standing) > 1 {
			w.seen["several standing"]++
		}
		if len(p.Standing) == 0 {
			w.seen["element hidden"]++
		}
		for _, e := range p.Standing {
			if len(e.Writes) > 1 {
				w.seen["several maximal writes"]++
			}
			w.count(e)
		}
	}
}

func (w *world) must(err error) {
	if err != nil {
		w.t.Fatalf("%v\n%s", err, w)
	}
}

// String lists what has been made.
func (w *world) String() string { return describe(w.made) }
