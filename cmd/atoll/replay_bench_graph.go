package main

import (
	"math/rand/v2"
	"runtime/debug"
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

// row returns the measurement of merging all changes, received in a number of pieces, into a fresh replica. The text must be want.
func (g *graphWriter) row(m measurement, pieces int, want string) measurement {
	batches := encodeBatches(g.chains, g.log, (len(g.log)+pieces-1)/pieces)
	m.each = len(g.log)
	m.run = func(w *stopwatch) error {
		decoded, err := decodeBatches(batches)
		if err != nil {
			return err
		}
		if m.afresh {
			debug.FreeOSMemory()
		}
		text, err := mergeDecoded(decoded, w, (*crdt.State).ApplyAll)
		if err != nil {
			return err
		}
		return checkText(text, want)
	}
	return m
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
	// The same branches, met in the other order, must give the same text.
	want, err := mergeBatches(encodeBatches(other.chains, other.log, len(other.log)), new(stopwatch))
	if err != nil {
		return nil, err
	}
	return []measurement{
		one.row(measurement{name: "branches", what: "two branches of " + grouped(b.branchEdits) + " random edits merged",
			goal: goal{ms: 100}, afresh: true}, 1, want),
		one.row(measurement{name: "branches-pieces", what: "the same, received in " + grouped(b.branchPieces) + " pieces",
			goal: goal{times: 1.1, of: "branches"}, afresh: true}, b.branchPieces, want),
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
		m := measurement{name: "crowd-" + strconv.Itoa(n), what: grouped(n) + " concurrent inserts at one place, by as many actors"}
		if len(rows) > 0 {
			m.goal = goal{ms: 20, times: 15, of: rows[0].name}
		}
		rows = append(rows, g.row(m, 1, want))
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
