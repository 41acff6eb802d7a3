package main

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// graphWriter authors changes on one text at versions that it names, without a state: positions mean what
// their author saw.
type graphWriter struct {
	chains *crdt.Chains
	log    []crdt.Accepted
}

func newGraphWriter() *graphWriter { return &graphWriter{chains: crdt.NewChains(crdt.StoreID{})} }

// write makes p a change of the actor, whose author saw version.
func (g *graphWriter) write(actor crdt.Actor, version []causal.LV, p patch) (causal.LV, error) {
	ops, err := patchOps(transaction{Patches: []patch{p}})
	if err != nil {
		return 0, err
	}
	graph := g.chains.Graph()
	c := crdt.NewChange(actor, graph.Last(actor)+1, 0, graph.Version(version), pointers(ops))
	if err := c.Validate(); err != nil {
		return 0, err
	}
	a := g.chains.Author(c, version)
	g.log = append(g.log, a)
	return a.Span.End - 1, nil
}

// merged returns the text that all changes make, and how long it took from nothing, in the given number of pieces.
func (g *graphWriter) merged(w *stopwatch, pieces int) string {
	w.start()
	state := crdt.NewState(g.chains)
	size := (len(g.log) + pieces - 1) / pieces
	for at := 0; at < len(g.log); at += size {
		for _, a := range g.log[at:min(at+size, len(g.log))] {
			state.ApplyQuietly(a)
		}
	}
	text := state.Text(sessionSlice).String()
	w.stop()
	return text
}

// branchRows are the measurements of merging two branches of random edits.
func (b benchScale) branchRows() ([]measurement, error) {
	one, err := b.writeBranches(0, 1)
	if err != nil {
		return nil, err
	}
	other, err := b.writeBranches(1, 0)
	if err != nil {
		return nil, err
	}
	want := other.merged(new(stopwatch), 1) // the same branches, met in the other order
	row := func(name, what string, pieces int, g goal) measurement {
		return measurement{name: name, what: what, goal: g, each: len(one.log), run: func(w *stopwatch) error {
			return checkText(one.merged(w, pieces), want)
		}}
	}
	return []measurement{
		row("branches", "two branches of "+grouped(b.branchEdits)+" random edits merged", 1, goal{ms: 100}),
		row("branches-pieces", "the same, received in "+grouped(b.branchPieces)+" pieces", b.branchPieces, goal{times: 1.1, of: "branches"}),
	}, nil
}

// writeBranches writes a text and two branches of random edits to it, in the given order.
func (b benchScale) writeBranches(order ...int) (*graphWriter, error) {
	g := newGraphWriter()
	base, err := g.write(crdt.Actor{Nonce: agentNonce(9)}, nil, patch{Inserted: strings.Repeat("abcdefghij", b.branchBase/10)})
	if err != nil {
		return nil, err
	}
	for _, branch := range order {
		random := rand.New(rand.NewPCG(benchSeed, uint64(branch)))
		at, length := base, b.branchBase
		for range b.branchEdits {
			p := patch{Pos: random.IntN(length), Deleted: 1}
			if random.IntN(4) > 0 {
				p = patch{Pos: random.IntN(length + 1), Inserted: string(rune('A' + branch))}
			}
			length += utf8.RuneCountInString(p.Inserted) - p.Deleted
			if at, err = g.write(crdt.Actor{Nonce: agentNonce(branch)}, []causal.LV{at}, p); err != nil {
				return nil, err
			}
		}
	}
	return g, nil
}

// crowdRows are the measurements of many actors who insert at one place, none having seen the others.
func (b benchScale) crowdRows() ([]measurement, error) {
	var rows []measurement
	for _, n := range b.crowds {
		g, want, err := writeCrowd(n)
		if err != nil {
			return nil, err
		}
		m := measurement{
			name: "crowd-" + strconv.Itoa(n), what: grouped(n) + " concurrent inserts at one place, by as many actors", each: n,
			run: func(w *stopwatch) error { return checkText(g.merged(w, 1), want) },
		}
		if len(rows) > 0 {
			m.goal = goal{ms: 20, times: 15, of: rows[0].name}
		}
		rows = append(rows, m)
	}
	return rows, nil
}

// writeCrowd lets n actors insert a character each between two others. They arrive in any order, and
// stand in that of their actors.
func writeCrowd(n int) (*graphWriter, string, error) {
	g := newGraphWriter()
	base, err := g.write(crdt.Actor{Nonce: agentNonce(n)}, nil, patch{Inserted: "()"})
	if err != nil {
		return nil, "", err
	}
	const first = 0x4E00 // the start of a long row of assigned code points
	var want strings.Builder
	want.WriteByte('(')
	for i := range n {
		want.WriteRune(rune(first + i))
	}
	want.WriteByte(')')
	for _, i := range benchRandom().Perm(n) {
		if _, err := g.write(crdt.Actor{Nonce: agentNonce(i)}, []causal.LV{base}, patch{Pos: 1, Inserted: string(rune(first + i))}); err != nil {
			return nil, "", err
		}
	}
	return g, want.String(), nil
}
