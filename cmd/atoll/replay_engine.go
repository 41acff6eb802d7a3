package main

import (
	"encoding/binary"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// sessionSlice is the text slice a session is replayed into.
const sessionSlice = "text"

// engine replays a session through the pure core: one device, an actor per
// agent, one state. A transaction whose parents are all there is goes through a
// crdt.Tx. Any other is authored at its parents' version: text ops name
// positions their author saw, so that takes no state of that version.
type engine struct {
	chains *crdt.Chains
	state  *crdt.State
	// version of the text each transaction left, ascending local versions.
	versions [][]causal.LV
	last     []causal.LV // per agent, -1 before its first change
	times    []int64     // per agent
}

// newEngine returns an engine for the session's agents.
func newEngine(s *session) *engine {
	e := &engine{chains: crdt.NewChains(crdt.StoreID{}), last: make([]causal.LV, s.Agents), times: make([]int64, s.Agents)}
	e.state = crdt.NewState(e.chains)
	for i := range e.last {
		e.last[i] = -1
	}
	return e
}

// agentNonce is the nonce of the actor that writes for agent n: agent n is
// the nth smallest actor of its device.
func agentNonce(n int) (nonce [causal.NonceSize]byte) {
	binary.BigEndian.PutUint64(nonce[:], uint64(n)+1)
	return nonce
}

func (e *engine) actor(agent int) crdt.Actor { return crdt.Actor{Nonce: agentNonce(agent)} }

// text returns the text so far.
func (e *engine) text() string { return e.state.Text(sessionSlice).String() }

// add replays the next transaction and returns the change it makes, if it makes one.
func (e *engine) add(t transaction) (a crdt.Accepted, ok bool, err error) {
	version, err := e.parents(t)
	if err != nil {
		return a, false, err
	}
	when := t.Time
	if when == 0 {
		when = e.times[t.Agent]
	}
	when = min(when, crdt.MaxTime)
	if slices.Equal(version, e.chains.Graph().Heads()) {
		a, ok, err = e.commit(t, when)
	} else {
		a, ok, err = e.author(t, version, when)
	}
	if err != nil {
		return a, false, err
	}
	if ok {
		end := a.Span.End - 1
		e.last[t.Agent], e.times[t.Agent] = end, when
		version = []causal.LV{end}
	}
	e.versions = append(e.versions, version)
	return a, ok, nil
}

// parents returns the version t's author saw.
func (e *engine) parents(t transaction) ([]causal.LV, error) {
	if t.Parents == nil { // sequential
		if len(e.versions) == 0 {
			return nil, nil
		}
		return e.versions[len(e.versions)-1], nil
	}
	var version []causal.LV
	for _, p := range t.Parents {
		version = append(version, e.versions[p]...)
	}
	g := e.chains.Graph()
	version = g.Maximal(version)
	if own := e.last[t.Agent]; own >= 0 && !g.Contains(version, own) {
		return nil, fmt.Errorf("agent %d had not seen its own previous transaction", t.Agent)
	}
	return version, nil
}

// commit writes t at the state's own version.
func (e *engine) commit(t transaction, when int64) (crdt.Accepted, bool, error) {
	tx := e.state.Begin(e.actor(t.Agent), when)
	writePatches(&tx, t.Patches)
	a, _, ok, err := tx.Commit()
	return a, ok, err
}

// writePatches writes patches into the session's text.
func writePatches(tx *crdt.Tx, patches []patch) {
	text := tx.Text(sessionSlice)
	for i := range patches {
		patches[i].write(text)
	}
}

// write makes p's edits to a text.
func (p *patch) write(text *crdt.TxText) {
	if p.Deleted > 0 {
		text.Delete(p.Pos, p.Deleted)
	}
	if p.Inserted != "" {
		text.Insert(p.Pos, p.Inserted)
	}
}

// patchOps returns the ops of t's patches. Their positions mean the version that t's author saw.
func patchOps(t transaction) ([]crdt.Op, error) {
	path := crdt.Path{{Key: sessionSlice, Kind: crdt.Text}}
	var ops []crdt.Op
	dots := 0
	for _, p := range t.Patches {
		if p.Deleted > 0 {
			ops = append(ops, crdt.Op{Code: crdt.CodeTextDelete, Path: path, Len: p.Deleted, Pos: p.Pos})
		}
		if p.Inserted != "" {
			ops = append(ops, crdt.Op{Code: crdt.CodeTextInsert, Path: path, Len: utf8.RuneCountInString(p.Inserted), Pos: p.Pos, Text: p.Inserted})
		}
		if dots += p.Deleted + len(p.Inserted); dots > crdt.MaxChangeLen {
			return nil, fmt.Errorf("it deletes and inserts more than %d code points", crdt.MaxChangeLen)
		}
	}
	return ops, nil
}

// author writes t at an older version, or one that merges some of the heads only.
func (e *engine) author(t transaction, version []causal.LV, when int64) (crdt.Accepted, bool, error) {
	ops, err := patchOps(t)
	if err != nil || len(ops) == 0 {
		return crdt.Accepted{}, false, err
	}
	g := e.chains.Graph()
	actor := e.actor(t.Agent)
	c := crdt.NewChange(actor, g.Last(actor)+1, when, g.Version(version), pointers(ops))
	if err := c.Validate(); err != nil {
		return crdt.Accepted{}, false, err
	}
	a := e.chains.Author(c, version)
	e.state.Apply(a)
	return a, true, nil
}

func pointers(ops []crdt.Op) []*crdt.Op {
	out := make([]*crdt.Op, len(ops))
	for i := range ops {
		out[i] = &ops[i]
	}
	return out
}
