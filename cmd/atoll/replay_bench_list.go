package main

import (
	"slices"
	"strconv"
	"strings"

	"github.com/atollsync/atoll/crdt"
)

// listEdit is a way to edit a list at index at, and what it does to a plain slice. to is another index.
type listEdit struct {
	name, what string
	edit       func(l *crdt.TxList, at, to int)
	plain      func(s []int, at, to int) []int
}

var listKinds = []listEdit{
	{
		name: "list-insert", what: "insert anywhere in a list",
		edit:  func(l *crdt.TxList, at, _ int) { l.Insert(at, -1) },
		plain: func(s []int, at, _ int) []int { return slices.Insert(s, at, -1) },
	},
	{
		name: "list-delete", what: "delete anywhere in a list",
		edit:  func(l *crdt.TxList, at, _ int) { l.Delete(at, 1) },
		plain: func(s []int, at, _ int) []int { return slices.Delete(s, at, at+1) },
	},
	{
		name: "list-move", what: "move from anywhere to anywhere in a list",
		edit: func(l *crdt.TxList, at, to int) { l.Move(at, to) },
		plain: func(s []int, at, to int) []int {
			v := s[at]
			return slices.Insert(slices.Delete(s, at, at+1), to, v)
		},
	},
}

// listRows are the measurements of a long list.
func (b benchScale) listRows() ([]measurement, error) {
	chains := crdt.NewChains(crdt.StoreID{})
	tx := crdt.NewState(chains).Begin(crdt.Actor{Nonce: agentNonce(0)}, 0)
	values := make([]any, b.listLength)
	for i := range values {
		values[i] = i
	}
	tx.List(sessionSlice).Append(values...)
	a, _, _, err := tx.Commit()
	if err != nil {
		return nil, err
	}
	base := chains.AppendBatch(nil, []crdt.Accepted{a})
	var rows []measurement
	for _, e := range listKinds {
		places, want := e.rehearse(b)
		rows = append(rows, measurement{name: e.name, what: e.what + " of " + grouped(b.listLength), each: len(places), goal: goal{ns: 2000},
			run: func(w *stopwatch) error { return e.carryOut(base, places, want, w) }})
	}
	return rows, nil
}

// rehearse draws the places of the edits and does them to a plain slice, which it returns as JSON.
func (e *listEdit) rehearse(b benchScale) (places [][2]int, want string) {
	random := benchRandom()
	plain := make([]int, b.listLength)
	for i := range plain {
		plain[i] = i
	}
	for range b.listEdits {
		at, to := random.IntN(len(plain)), random.IntN(len(plain))
		places = append(places, [2]int{at, to})
		plain = e.plain(plain, at, to)
	}
	parts := make([]string, len(plain))
	for i, v := range plain {
		parts[i] = strconv.Itoa(v)
	}
	return places, "[" + strings.Join(parts, ",") + "]"
}

// carryOut does the edits, each a change, to the list that base makes.
func (e *listEdit) carryOut(base []byte, places [][2]int, want string, w *stopwatch) error {
	r := newBenchReplica()
	if err := r.receive(base); err != nil {
		return err
	}
	w.start()
	for _, p := range places {
		tx := r.state.BeginQuietly(crdt.Actor{Nonce: agentNonce(0)}, 0)
		e.edit(tx.List(sessionSlice), p[0], p[1])
		if _, _, _, err := tx.Commit(); err != nil {
			return err
		}
	}
	w.stop()
	return checkText(r.state.List(sessionSlice).JSON(), want)
}
