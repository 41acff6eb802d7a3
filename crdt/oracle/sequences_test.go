package oracle_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/oracle"
	"pgregory.net/rapid"
)

// TestRandomSequences compares the engine with the oracle on texts and lists that several write to at
// few positions, with histories that fork and merge all the time. Elements are moved too, by those who have seen them
// and, now and then, by some who have not. In some of the histories it is people who type: a row of small changes each, now by
// one and now by another.
func TestRandomSequences(t *testing.T) {
	merges, graphs, largest, columns := 0, 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		var g graph
		var made []*crdt.Change
		actors := rapid.IntRange(2, 5).Draw(t, "actors")
		// Mostly a few letters each; else runs that are long enough to be split, trimmed and let go.
		most := rapid.SampledFrom([]int{3, 3, 40}).Draw(t, "most")
		typing := rapid.IntRange(0, 2).Draw(t, "typing") == 0
		ops := 0
		for range rapid.IntRange(3, maxEvents).Draw(t, "events") {
			e := event{actor: (len(g) + rapid.IntRange(0, actors-1).Draw(t, "actor")) % actors}
			goesOn := typing && len(g) > 0 && rapid.IntRange(0, 7).Draw(t, "other") > 0
			if goesOn {
				e.actor = g[len(g)-1].actor
			}
			seq := causal.Seq(1)
			if own := g.last(e.actor); own >= 0 {
				e.saw = g[own].saw | 1<<own
				seq = made[own].Dot().Seq + 1
			}
			meets := 0
			if !goesOn {
				meets = rapid.IntRange(0, 3).Draw(t, "meets")
			}
			for n := range meets {
				if back := rapid.IntRange(0, 5).Draw(t, "back") + n; back < len(g) {
					j := len(g) - 1 - back
					e.saw |= g[j].saw | 1<<j
				}
			}
			if heads := g.heads(e.saw); heads&(heads-1) != 0 {
				merges++
			}
			d := sequenceOps{t: t, most: most, next: dot(e.actor, seq)}
			for j, c := range made {
				if e.saw>>j&1 == 1 {
					d.saw(c)
				}
			}
			time := 1000 + rapid.Int64Range(-3, 3).Draw(t, "time")
			if typing {
				d.keystroke()
			} else {
				d.draw()
			}
			made = append(made, newChange(actor(e.actor), seq, time, g.deps(e, made), d.drawn...))
			g = append(g, e)
			ops += len(d.drawn)
		}
		largest = max(largest, ops)
		want, err := oracle.Of(made)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			r := newEngine()
			r.bulk = i > 0
			at := -1 // the event that was taken last
			for done := uint(0); done != 1<<len(g)-1; {
				var batch []*crdt.Change
				for range rapid.IntRange(1, 8).Draw(t, "batch") {
					var ready []int
					for j := range g {
						if done>>j&1 == 0 && g[j].saw&^done == 0 {
							ready = append(ready, j)
						}
					}
					if len(ready) == 0 {
						break
					}
					j := rapid.SampledFrom(ready).Draw(t, "next")
					if next := at + 1; typing && slices.Contains(ready, next) {
						j = next
					}
					at = j
					batch = append(batch, made[j])
					done |= 1 << j
				}
				if err := r.deliver(batch...); err != nil {
					t.Fatalf("%v\n%s", err, describe(made))
				}
			}
			if diff := compare(r.state, want); diff != "" {
				t.Fatalf("%s\n%s", diff, describe(made))
			}
			if r.bulk {
				columns += r.typed
			}
		}
		graphs++
	})
	t.Logf("%d random event graphs of up to %d ops, %d events that merge, %d batches in columns", graphs, largest, merges, columns)
	if !t.Failed() && (merges < graphs || graphs >= 100 && (largest < 100 || columns < graphs/10)) {
		t.Error("histories hardly ever merge, or are short, or nobody types")
	}
}

// sequenceOps draws the ops of a change on the Text "t", the List "l" or both.
type sequenceOps struct {
	t     *rapid.T
	most  int          // elements of an op
	next  causal.Dot   // of the next op
	elems []causal.Dot // of the list, as far as the author saw
	drawn []crdt.Op
}

// saw notes that the author saw c.
func (d *sequenceOps) saw(c *crdt.Change) {
	c.Ops(func(seq causal.Seq, _ string, op *crdt.Op) bool {
		if op.Code == crdt.CodeListInsert {
			d.inserted(causal.Dot{Actor: c.Actor, Seq: seq}, op.Len)
		}
		return true
	})
}

func (d *sequenceOps) inserted(first causal.Dot, n int) {
	for range n {
		d.elems = append(d.elems, first)
		first.Seq++
	}
}

// keystroke draws what a key does to the text.
func (d *sequenceOps) keystroke() {
	pos := rapid.IntRange(0, d.most).Draw(d.t, "pos")
	if rapid.IntRange(0, 3).Draw(d.t, "key") == 0 {
		d.drawn = append(d.drawn, erased("t:text", pos, 1))
		return
	}
	d.drawn = append(d.drawn, typed("t:text", pos, "abcdefghijklmnopqrstuvwxyz"[pos%26:][:1]))
}

// draw draws one to four ops, those on the list before those on the text, as a change has them.
func (d *sequenceOps) draw() {
	t := d.t
	var texts []crdt.Op
	for range rapid.IntRange(1, 4).Draw(t, "ops") {
		pos := rapid.IntRange(0, 2*d.most).Draw(t, "pos")
		n := rapid.IntRange(1, d.most).Draw(t, "n")
		switch rapid.IntRange(0, 10).Draw(t, "op") {
		case 0, 1:
			texts = append(texts, typed("t:text", pos, strings.Repeat("abcdefghijklmnopqrstuvwxyz", 2)[pos%26:][:min(n, 26)]))
		case 2:
			texts = append(texts, erased("t:text", pos, n))
		case 9, 10:
			texts = append(texts, someMark(t, "t:text", pos, n))
		case 3, 4:
			values := make([]any, n)
			for i := range values {
				values[i] = pos + i
			}
			d.inserted(d.next, n)
			d.onList(insert("l:list", pos, values...))
		case 5:
			d.onList(cut("l:list", pos, n))
		default:
			elem := dot(rapid.IntRange(0, 4).Draw(t, "of"), causal.Seq(rapid.IntRange(1, 9).Draw(t, "seq")))
			if len(d.elems) > 0 && rapid.IntRange(0, 9).Draw(t, "foreign") < 9 {
				elem = rapid.SampledFrom(d.elems[max(0, len(d.elems)-2*d.most):]).Draw(t, "elem")
			}
			d.onList(crdt.Op{Code: crdt.CodeListMove, Len: 1, Path: at("l:list"), Elem: elem, Pos: pos})
		}
	}
	d.drawn = append(d.drawn, texts...)
}

// someMark draws a mark or unmark of n code points.
func someMark(t *rapid.T, path string, pos, n int) crdt.Op {
	name, growth := rapid.SampledFrom(markNames).Draw(t, "name"), crdt.Growth(rapid.IntRange(0, 3).Draw(t, "growth"))
	if rapid.IntRange(0, 3).Draw(t, "unmark") == 0 {
		return unmarked(path, pos, n, name, growth)
	}
	return marked(path, pos, n, name, pos, growth)
}

func (d *sequenceOps) onList(op crdt.Op) {
	d.drawn = append(d.drawn, op)
	d.next.Seq += causal.Seq(op.Len)
}
