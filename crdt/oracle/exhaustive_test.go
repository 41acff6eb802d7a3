package oracle_test

import (
	"flag"
	"fmt"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/oracle"
)

var (
	depthFlag = flag.Int("oracle.depth", defaultDepth, "compare every event graph of up to so many changes (5 takes an hour or so: add -timeout 0)")
	graphFlag = flag.String("oracle.graph", "", "compare this event graph alone, as a failure prints it")
)

// maxActors is how many actors the event graphs of the exhaustive comparison have.
const maxActors = 3

// clock says how the clocks of an event graph's authors run.
type clock string

const (
	forward  clock = "forward"  // each event is timed later than those it saw
	backward clock = "backward" // and earlier
)

// time returns what the author's clock shows at the n-th event.
func (c clock) time(n int) int64 {
	if c == backward {
		n = -n
	}
	return int64(1000 + n)
}

// TestExhaustive compares the engine with the oracle on every event graph of a few changes
// by three actors, for each kind, with clocks that run with causality and against it.
//
// Graphs are listed once each (see canonical and packed). In a graph whose events are intents, each is
// authored by a transaction on a replica of its author that holds what it saw; that replica is
// then given the rest. In all graphs further replicas get the changes in several causal orders, as one batch
// and one by one. Each must show what the oracle says.
func TestExhaustive(t *testing.T) {
	if *graphFlag != "" {
		t.Skip("one graph only: see TestGraph")
	}
	percent := debug.SetGCPercent(1600) // next to nothing of much garbage is live
	var total atomic.Int64
	t.Cleanup(func() {
		debug.SetGCPercent(percent)
		t.Logf("%d event graphs in all", total.Load())
	})
	for _, k := range kits {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			if len(k.candidates) > 6 {
				t.Fatalf("%d candidates, at most 6 end in time", len(k.candidates))
			}
			graphs := 0
			for _, c := range []clock{forward, backward} {
				x := &explorer{t: t, kit: k, clock: c, depth: *depthFlag}
				x.extend()
				graphs += x.compared
			}
			// Raw ops go with every graph. Intents that come to nothing (a delete where nothing stands) make no
			// change, and graphs of those are none.
			floor := 2 * packedGraphs(*depthFlag, len(k.candidates))
			if k.candidates[0].tx != nil {
				floor /= 20
			}
			t.Logf("%d event graphs of up to %d changes, at least %d expected", graphs, *depthFlag, floor)
			total.Add(int64(graphs))
			if graphs < floor {
				t.Errorf("compared %d event graphs, want at least %d", graphs, floor)
			}
		})
	}
}

// packedGraphs returns how many packed graphs of up to depth events have canonical lists, given how many
// candidates each event chooses from.
func packedGraphs(depth, candidates int) int {
	var count func(g graph, ways int) int
	count = func(g graph, ways int) int {
		n := 0
		if len(g) > 0 && g.packed() {
			n += ways
		}
		if len(g) < depth {
			g.next(maxActors, func(e event) { n += count(append(g[:len(g):len(g)], e), ways*candidates) })
		}
		return n
	}
	return count(nil, 1)
}

// The counts of event graphs are known: 1, 4, 32, 239 and 1706 of 1 to 5 changes by up to 3 actors, if
// the smallest actors come first in use.
func TestPackedGraphs(t *testing.T) {
	want := 0
	for depth, n := range []int{0, 1, 4, 32, 239, 1706} {
		want += n
		if got := packedGraphs(depth, 1); got != want {
			t.Errorf("%d graphs of up to %d changes, want %d", got, depth, want)
		}
	}
}

// explorer extends an event graph in every way.
type explorer struct {
	t        *testing.T
	kit      kit
	clock    clock
	depth    int
	graph    graph
	made     []*crdt.Change // by event
	compared int
}

// extend compares every graph that goes on x.graph.
func (x *explorer) extend() {
	x.graph.next(maxActors, func(e event) {
		for op := range x.kit.candidates {
			if x.t.Failed() {
				return
			}
			e.op = op
			change, author := x.make(e)
			if change == nil {
				continue
			}
			x.graph, x.made = append(x.graph, e), append(x.made, change)
			if x.graph.packed() {
				x.compare(author)
				x.compared++
			}
			if len(x.graph) < x.depth {
				x.extend()
			}
			x.graph, x.made = x.graph[:len(x.graph)-1], x.made[:len(x.made)-1]
		}
	})
}

// make returns the change of e, which goes on x.graph, and, of an intent, the replica it was made on. An
// intent that came to nothing has no change.
func (x *explorer) make(e event) (*crdt.Change, *engine) {
	n := len(x.graph)
	do := x.kit.candidates[e.op]
	if do.raw != nil {
		seq := causal.Seq(1)
		if own := x.graph.last(e.actor); own >= 0 {
			seq = x.made[own].Dot().Seq + 1
		}
		return newChange(actor(e.actor), seq, x.clock.time(n), x.graph.deps(e, x.made), do.raw(n)...), nil
	}
	author := newEngine()
	saw := x.pick(func(j int) bool { return e.saw>>j&1 == 1 })
	x.must(author.deliver(saw...))
	change, err := author.author(actor(e.actor), x.clock.time(n), func(tx *crdt.Tx) { do.tx(tx, n) })
	x.must(err)
	if change != nil {
		if breach := breach(change, saw); breach != "" {
			x.t.Fatalf("%s\n%s", breach, x)
		}
	}
	return change, author
}

// pick returns the changes of some of the events, in the order of the list.
func (x *explorer) pick(of func(j int) bool) []*crdt.Change {
	var out []*crdt.Change
	for j, c := range x.made {
		if of(j) {
			out = append(out, c)
		}
	}
	return out
}

// compare compares the engine with the oracle on x.graph, whose last event was made on author.
func (x *explorer) compare(author *engine) {
	want, err := oracle.Of(x.made)
	x.must(err)
	if author != nil {
		last := len(x.graph) - 1
		x.must(author.deliver(x.pick(func(j int) bool { return j != last && x.graph[last].saw>>j&1 == 0 })...))
		x.same("on the replica of the last author", author, want)
	}
	for i, order := range x.graph.orders() {
		r := newEngine()
		if i == 0 {
			r.bulk = true
			x.must(r.deliver(x.made...))
		} else {
			for _, j := range order {
				x.must(r.deliver(x.made[j]))
			}
		}
		x.same(fmt.Sprintf("delivered in the order %v", order), r, want)
	}
}

func (x *explorer) same(how string, r *engine, want *oracle.Store) {
	if diff := compare(r.state, want); diff != "" {
		x.t.Fatalf("%s:\n%s\n%s", how, diff, x)
	}
}

func (x *explorer) must(err error) {
	if err != nil {
		x.t.Fatalf("%v\n%s", err, x)
	}
}

// String lists the changes of x.graph for a person, with the command that compares it again.
func (x *explorer) String() string {
	var b strings.Builder
	for i, e := range x.graph {
		fmt.Fprintf(&b, "%d: %c %s, having seen", i, 'A'+e.actor, x.kit.candidates[e.op].name)
		for j := range x.graph {
			if e.saw>>j&1 == 1 {
				fmt.Fprintf(&b, " %d", j)
			}
		}
		b.WriteString("\n" + describe(x.made[i:i+1]))
	}
	fmt.Fprintf(&b, "replay: go test ./crdt/oracle -run TestGraph -oracle.graph='%s/%s/%s'\n", x.kit.name, x.clock, x.graph)
	return b.String()
}

// TestGraph compares the one event graph that -oracle.graph names: KIT/CLOCK/EVENTS.
func TestGraph(t *testing.T) {
	name := *graphFlag
	if name == "" {
		name = "text/backward/A:0:1,B:1:0,C:1:3,B:111:1"
	}
	x, g, err := parseExplorer(t, name)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range g {
		change, author := x.make(e)
		if change == nil {
			t.Fatalf("event %d comes to nothing", len(x.graph))
		}
		x.graph, x.made = append(x.graph, e), append(x.made, change)
		x.compare(author)
	}
	if *graphFlag != "" {
		t.Logf("no difference\n%s", x)
	}
}

func parseExplorer(t *testing.T, name string) (*explorer, graph, error) {
	parts := strings.SplitN(name, "/", 3)
	if len(parts) != 3 || parts[1] != string(forward) && parts[1] != string(backward) {
		return nil, nil, fmt.Errorf("a graph is named KIT/CLOCK/EVENTS, not %q", name)
	}
	for _, k := range kits {
		if k.name != parts[0] {
			continue
		}
		g, err := parseGraph(parts[2])
		for _, e := range g {
			if e.op < 0 || e.op >= len(k.candidates) {
				return nil, nil, fmt.Errorf("%s has %d candidates, not %d", k.name, len(k.candidates), e.op+1)
			}
		}
		return &explorer{t: t, kit: k, clock: clock(parts[1])}, g, err
	}
	return nil, nil, fmt.Errorf("no kit is called %q", parts[0])
}
