package oracle_test

import (
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// event is one change of a small event graph: who made it, what its author saw (bit j: event j; closed
// under causality, its author's own events among them), and which of the candidate ops it does.
type event struct {
	actor int
	saw   uint
	op    int
}

// graph is a small event graph, in a causal order.
type graph []event

// String writes g as parseGraph reads it: ACTOR:SEEN:OP for each event.
func (g graph) String() string {
	var parts []string
	for _, e := range g {
		parts = append(parts, fmt.Sprintf("%c:%b:%d", 'A'+e.actor, e.saw, e.op))
	}
	return strings.Join(parts, ",")
}

func parseGraph(s string) (graph, error) {
	var g graph
	for i, part := range strings.Split(s, ",") {
		actor, rest, _ := strings.Cut(part, ":")
		seen, op, _ := strings.Cut(rest, ":")
		saw, err := strconv.ParseUint(seen, 2, i)
		if err != nil && i > 0 || len(actor) != 1 {
			return nil, fmt.Errorf("event %d of a graph is ACTOR:SEEN:OP, not %q", i, part)
		}
		o, err := strconv.Atoi(op)
		if err != nil {
			return nil, err
		}
		g = append(g, event{int(actor[0] - 'A'), uint(saw), o})
	}
	return g, nil
}

// heads returns the events of a history that no other of them saw.
func (g graph) heads(history uint) uint {
	heads := history
	for j := range g {
		if history>>j&1 == 1 {
			heads &^= g[j].saw
		}
	}
	return heads
}

// last returns the last event of actor, -1 if it has none.
func (g graph) last(actor int) int {
	for j := len(g) - 1; j >= 0; j-- {
		if g[j].actor == actor {
			return j
		}
	}
	return -1
}

// closed reports whether history holds whatever its members saw.
func (g graph) closed(history uint) bool {
	for j := range g {
		if history>>j&1 == 1 && g[j].saw&^history != 0 {
			return false
		}
	}
	return true
}

// canonical reports whether g lists its events in the order that takes, of the
// events whose causes are listed, the one of the smallest actor. Of all lists of one event graph, one is
// canonical, and what it begins with is canonical too.
func (g graph) canonical() bool {
	var listed uint
	for i := range g {
		for j := i + 1; j < len(g); j++ {
			if g[j].saw&^listed == 0 && g[j].actor < g[i].actor {
				return false
			}
		}
		listed |= 1 << i
	}
	return true
}

// packed reports whether the actors of g are the smallest ones. What a graph means depends on
// the order of its actors alone, so the packed ones stand for all.
func (g graph) packed() bool {
	var used uint
	for _, e := range g {
		used |= 1 << e.actor
	}
	return used&(used+1) == 0
}

// next calls yield with each event, op left out, that may go on g.
func (g graph) next(actors int, yield func(event)) {
	for saw := range uint(1) << len(g) {
		if !g.closed(saw) {
			continue
		}
		for a := range actors {
			if own := g.last(a); own >= 0 && saw>>own&1 == 0 {
				continue
			}
			e := event{actor: a, saw: saw}
			if append(g[:len(g):len(g)], e).canonical() {
				yield(e)
			}
		}
	}
}

// orders returns up to three orders of g's events in which causes come before effects: as
// listed, the one that takes the last event it can, and one in between.
func (g graph) orders() [][]int {
	pick := func(choose func(ready []int) int) []int {
		var order []int
		var done uint
		for len(order) < len(g) {
			var ready []int
			for j := range g {
				if done>>j&1 == 0 && g[j].saw&^done == 0 {
					ready = append(ready, j)
				}
			}
			j := choose(ready)
			order = append(order, j)
			done |= 1 << j
		}
		return order
	}
	var out [][]int
	for _, choose := range []func([]int) int{
		func(ready []int) int { return ready[0] },
		func(ready []int) int { return ready[len(ready)-1] },
		func(ready []int) int { return ready[len(ready)/2] },
	} {
		order := pick(choose)
		if !slices.ContainsFunc(out, func(o []int) bool { return slices.Equal(o, order) }) {
			out = append(out, order)
		}
	}
	return out
}

// deps returns the dots that an event which saw history depends on, given the changes of g.
func (g graph) deps(e event, made []*crdt.Change) []causal.Dot {
	var out []causal.Dot
	for heads := g.heads(e.saw); heads != 0; heads &= heads - 1 {
		if d := made[bits.TrailingZeros(heads)].Dot(); d.Actor != actor(e.actor) {
			out = append(out, d)
		}
	}
	return out
}
