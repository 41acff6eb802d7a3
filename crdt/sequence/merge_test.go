package sequence_test

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/sequence"
)

// graphShape says what kind of event graph drawChanges makes.
type graphShape struct {
	actors, changes, ops, runes int
	moves                       bool
}

// drawChanges draws an event graph by several actors and applies it to ref. Positions are mostly
// within what the author saw, and mostly near each other.
func drawChanges(t *rapid.T, shape graphShape, ref *reference) []change {
	var changes []change
	last := make([]int, shape.actors) // each actor's last change, plus one
	seqs := make([]causal.Seq, shape.actors)
	letters := []rune("abcdefghijklmnopqrstuvwxyzäé€😀")
	n := rapid.IntRange(1, shape.changes).Draw(t, "changes")
	near := 0
	for i := range n {
		a := rapid.IntRange(0, shape.actors-1).Draw(t, "actor")
		c := change{actor: agentActor(a), seq: seqs[a] + 1}
		switch rapid.IntRange(0, 7).Draw(t, "sees") {
		case 0, 1: // everything
			c.parents = ascending(i)
		case 2: // one other change
			if i > 0 {
				c.parents = append(c.parents, rapid.IntRange(0, i-1).Draw(t, "parent"))
			}
		case 3: // two
			if i > 0 {
				c.parents = append(c.parents, rapid.IntRange(0, i-1).Draw(t, "parent"), rapid.IntRange(0, i-1).Draw(t, "parent"))
			}
		}
		if last[a] > 0 {
			c.parents = append(c.parents, last[a]-1)
		}
		known, visible := ref.version(ref.history(c.parents))
		length := len(visible)
		if shape.moves {
			c.time = rapid.IntRange(0, 2*i).Draw(t, "time")
		}
		for range rapid.IntRange(1, shape.ops).Draw(t, "ops") {
			var o textOp
			switch rapid.IntRange(0, 5).Draw(t, "where") {
			case 0:
				o.pos = rapid.IntRange(0, length+3).Draw(t, "pos")
			case 1:
				o.pos = length
			default:
				o.pos = max(0, near+rapid.IntRange(-1, 1).Draw(t, "step"))
			}
			what := rapid.IntRange(0, 4).Draw(t, "what")
			if shape.moves && len(known) > 0 && rapid.IntRange(0, 2).Draw(t, "move") == 0 {
				what = -1
			}
			switch what {
			case -1:
				// Mostly one that the author saw, and often the same.
				from := rapid.SampledFrom(known)
				if len(visible) > 0 && rapid.IntRange(0, 7).Draw(t, "gone") > 0 {
					from = rapid.SampledFrom(visible[:min(len(visible), 1+rapid.IntRange(0, 40).Draw(t, "among"))])
				}
				o.elem = from.Draw(t, "elem").of.dot
				near = o.pos
			case 0:
				o.n = rapid.IntRange(1, shape.runes).Draw(t, "n")
				length -= max(0, min(o.n, length-o.pos))
				near = o.pos
			case 1: // the backspace key
				o.pos, o.n = max(0, min(near, length)-1), 1
				length = max(0, length-1)
				near = o.pos
			default:
				o.text = rapid.SliceOfN(rapid.SampledFrom(letters), 1, shape.runes).Draw(t, "text")
				length += len(o.text)
				near = min(o.pos, length) + len(o.text)
			}
			c.ops = append(c.ops, o)
		}
		seqs[a] += causal.Seq(c.len())
		last[a] = i + 1
		ref.apply(i, &c)
		changes = append(changes, c)
	}
	return changes
}

// disturb does to d what must make no difference: it frees memory, or writes a
// change on top of everything and takes it back.
func disturb(d *document, r *rand.Rand) {
	switch r.IntN(6) {
	case 0:
		d.seq.Rest()
	case 1:
		h := d.g.History(d.g.Heads())
		start, length := d.g.Len(), d.seq.Len()
		lv := start
		if length > 0 && r.IntN(2) == 0 {
			d.seq.Move(&d.g, h, lv, d.elems.At(r.IntN(length)), r.IntN(length), d.elems.Index, d.later, nil)
			lv++
		}
		for range 1 + r.IntN(5) {
			if r.IntN(2) == 0 {
				d.seq.Insert(&d.g, h, lv, r.IntN(d.seq.Len()+1), 2)
			} else {
				d.seq.Delete(&d.g, h, lv, r.IntN(d.seq.Len()+1), 2, nil)
			}
			lv += 2
		}
		d.seq.Truncate(start)
		if d.seq.Len() != length {
			panic("length after Truncate")
		}
	}
}

// applyTwice applies change i, takes it back and applies it again, with the same edits.
func applyTwice(t rapid.TB, d *document, changes []change, i int) {
	start, h, err := d.add(changes, i)
	if err != nil {
		t.Fatal(err)
	}
	length := d.seq.Len()
	rope, elems := d.rope.String(), slices.Collect(d.elems.Spans)
	var first [][]sequence.Edit
	lv := start
	for _, o := range changes[i].ops {
		for j, r := range o.text {
			d.runes[lv+causal.LV(j)] = r
		}
		first = append(first, slices.Clone(d.feed(h, lv, o)))
		d.play(first[len(first)-1])
		lv += causal.LV(o.len())
	}
	d.seq.Truncate(start)
	d.rope, d.elems = sequence.Rope{}, sequence.Elements{}
	d.rope.Insert(0, rope)
	for _, s := range elems {
		d.elems.Insert(d.elems.Len(), s.Start, s.Len())
	}
	if d.seq.Len() != length || d.seq.IsInsert(start) {
		t.Fatalf("length %d after Truncate, %d before", d.seq.Len(), length)
	}
	lv = start
	for k, o := range changes[i].ops {
		edits := d.feed(h, lv, o)
		if !slices.Equal(edits, first[k]) {
			t.Fatalf("after Truncate %v, before it %v", edits, first[k])
		}
		d.play(edits)
		lv += causal.LV(o.len())
	}
}

// compareWithReference applies the changes in a causal order made from seed and compares the text
// after each.
func compareWithReference(t *rapid.T, changes []change, ref *reference, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0))
	rank := make([]int, len(changes))
	long := r.IntN(2) == 0 // long stretches of one actor, or else any order
	actors := r.Perm(len(changes))
	for i := range rank {
		rank[i] = r.Int()
		if long {
			rank[i] = actors[int(changes[i].actor.Nonce[7])%len(actors)]
		}
	}
	order := causalOrder(changes, func(a, b int) bool { return rank[a] < rank[b] })
	d := newDocument()
	applied := make(map[int]bool)
	for _, i := range order {
		if seed%2 == 1 {
			disturb(d, r)
		}
		if seed%4 == 3 && r.IntN(3) == 0 {
			applyTwice(t, d, changes, i)
		} else {
			d.apply(t, changes, i)
		}
		applied[i] = true
		got, err := d.check()
		if err != nil {
			t.Fatal(err)
		}
		if want := ref.text(applied); got != want {
			t.Fatalf("order %v (seed %d), after change %d:\ngot  %q\nwant %q\nchanges %+v", order, seed, i, got, want, changes)
		}
	}
}

// TestMerge compares the walker with the reference, on small graphs in several causal orders.
func TestMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ref := newReference()
		changes := drawChanges(t, graphShape{actors: 4, changes: 12, ops: 3, runes: 4}, ref)
		for seed := range uint64(12) {
			compareWithReference(t, changes, ref, seed+rapid.Uint64().Draw(t, "order")&^15)
		}
	})
}

// TestMergeMany does the same on graphs large enough for a tracker to outlive serial ops.
func TestMergeMany(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ref := newReference()
		changes := drawChanges(t, graphShape{actors: 3, changes: 120, ops: 4, runes: 3}, ref)
		compareWithReference(t, changes, ref, rapid.Uint64().Draw(t, "order"))
	})
}

// TestMoves does what TestMerge does, with moves.
func TestMoves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ref := newReference()
		changes := drawChanges(t, graphShape{actors: 4, changes: 12, ops: 3, runes: 3, moves: true}, ref)
		for seed := range uint64(12) {
			compareWithReference(t, changes, ref, seed+rapid.Uint64().Draw(t, "order")&^15)
		}
	})
}

// TestMovesMany does what TestMergeMany does, with moves.
func TestMovesMany(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ref := newReference()
		changes := drawChanges(t, graphShape{actors: 3, changes: 60, ops: 3, runes: 3, moves: true}, ref)
		compareWithReference(t, changes, ref, rapid.Uint64().Draw(t, "order"))
	})
}

// TestReferenceOnTraces holds the reference to the recorded results too, so that the two cannot be wrong together.
func TestReferenceOnTraces(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(tracesDir(t), "order", "*.json"))
	if err != nil || len(paths) < 201 {
		t.Fatalf("%d order graphs, %v", len(paths), err)
	}
	for _, path := range paths {
		tr := loadTrace(t, path)
		ref := newReference()
		changes := tr.changes()
		all := make(map[int]bool)
		for i := range changes {
			ref.apply(i, &changes[i])
			all[i] = true
		}
		if got := ref.text(all); got != tr.EndContent {
			t.Errorf("%s: got %q, want %q", filepath.Base(path), got, tr.EndContent)
		}
	}
}

// TestRunsDoNotInterleave has two authors type runs at one place, forwards and backwards, each a
// letter at a time, and expects the runs whole.
func TestRunsDoNotInterleave(t *testing.T) {
	const n = 20
	types := map[string]func(i int) int{
		"forwards":  func(i int) int { return 1 + i },
		"backwards": func(int) int { return 1 },
	}
	for nameA, posA := range types {
		for nameB, posB := range types {
			t.Run(nameA+" and "+nameB, func(t *testing.T) {
				changes := []change{{actor: agentActor(9), seq: 1, ops: []textOp{{pos: 0, text: []rune("()")}}}}
				for who, pos := range []func(int) int{posA, posB} {
					for i := range n {
						p := 0
						if i > 0 {
							p = len(changes) - 1
						}
						changes = append(changes, change{actor: agentActor(who), seq: causal.Seq(i + 1), parents: []int{p},
							ops: []textOp{{pos: pos(i), text: []rune{rune("ab"[who])}}}})
					}
				}
				a, b := "aaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbb"
				for seed := range uint64(20) {
					r := rand.New(rand.NewPCG(seed, 1))
					rank := r.Perm(len(changes))
					d := newDocument()
					for _, i := range causalOrder(changes, func(a, b int) bool { return rank[a] < rank[b] }) {
						d.apply(t, changes, i)
					}
					got, err := d.check()
					if err != nil {
						t.Fatal(err)
					}
					if got != "("+a+b+")" {
						t.Errorf("seed %d: %s", seed, got)
					}
				}
			})
		}
	}
}

// TestPositionsOutside: an insert beyond the end of the author's version goes to that end, and what a
// delete covers outside it is void, also when the merged sequence is longer or shorter.
func TestPositionsOutside(t *testing.T) {
	base := change{actor: agentActor(0), seq: 1, ops: []textOp{{text: []rune("abc")}}}
	longer := change{actor: agentActor(1), seq: 1, parents: []int{0}, ops: []textOp{{pos: 3, text: []rune("XYZ")}}}
	shorter := change{actor: agentActor(1), seq: 1, parents: []int{0}, ops: []textOp{{pos: 1, n: 2}}}
	outside := func(ops ...textOp) change {
		return change{actor: agentActor(2), seq: 1, parents: []int{0}, ops: ops}
	}
	insert := func(pos int, s string) textOp { return textOp{pos: pos, text: []rune(s)} }
	tests := []struct {
		name    string
		changes []change
		want    string
	}{
		{"insert beyond the end", []change{base, outside(insert(99, "!"))}, "abc!"},
		{"insert beyond the end of a shorter version", []change{base, longer, outside(insert(5, "!"))}, "abcXYZ!"},
		{"insert beyond the end of a longer version", []change{base, shorter, outside(insert(4, "!"))}, "a!"},
		{"delete across the end", []change{base, outside(textOp{pos: 1, n: 99})}, "a"},
		{"delete across the end of a shorter version", []change{base, longer, outside(textOp{pos: 2, n: 99})}, "abXYZ"},
		{"delete across the start", []change{base, outside(textOp{pos: -2, n: 3})}, "bc"},
		{"delete before the start of a longer version", []change{base, longer, outside(textOp{pos: -2, n: 2})}, "abcXYZ"},
		{"delete beyond the end", []change{base, outside(textOp{pos: 3, n: 1})}, "abc"},
		{"delete beyond the end of a shorter version", []change{base, longer, outside(textOp{pos: 3, n: 1})}, "abcXYZ"},
		{"void delete, then an insert", []change{base, longer, outside(textOp{pos: 7, n: 1}, insert(0, "!"))}, "!abcXYZ"},
		{"the greatest numbers", []change{base, longer, outside(textOp{pos: 2, n: 1 << 40}, insert(1<<53-1, "!"))}, "ab!XYZ"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDocument()
			for i := range test.changes {
				d.apply(t, test.changes, i)
			}
			got, err := d.check()
			if err != nil || got != test.want {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
}

// TestPartOfRun: ops that the log keeps as one run, replayed as one, are taken apart again by an
// author who saw only some of them.
func TestPartOfRun(t *testing.T) {
	const n = 4
	keys := map[string]func(i int) textOp{
		"typing":     func(i int) textOp { return textOp{pos: 3 + i, text: []rune{rune('a' + i)}} },
		"delete key": func(int) textOp { return textOp{pos: 3, n: 1} },
		"backspace":  func(i int) textOp { return textOp{pos: 6 - i, n: 1} },
	}
	for name, key := range keys {
		t.Run(name, func(t *testing.T) {
			for seen := range n + 1 {
				for pos := range 10 {
					changes := []change{{actor: agentActor(1), seq: 1, ops: []textOp{{text: []rune("0123456789")}}}}
					for i := range n {
						changes = append(changes, change{actor: agentActor(1), seq: causal.Seq(11 + i), parents: []int{i}, ops: []textOp{key(i)}})
					}
					changes = append(changes,
						change{actor: agentActor(2), seq: 1, parents: []int{0}, ops: []textOp{{pos: 5, text: []rune("!")}}},
						change{actor: agentActor(3), seq: 1, parents: []int{seen}, ops: []textOp{{pos: pos, text: []rune("?")}, {pos: pos + 1, n: 1}}})
					ref, d := newReference(), newDocument()
					all := make(map[int]bool)
					for i := range changes {
						ref.apply(i, &changes[i])
						d.apply(t, changes, i)
						all[i] = true
					}
					got, err := d.check()
					if want := ref.text(all); err != nil || got != want {
						t.Errorf("saw %d, at %d: got %q, %v, want %q", seen, pos, got, err, want)
					}
				}
			}
		})
	}
}

// TestEditsOfMerge shows the edits themselves: only what is not gone yet is deleted, and
// deletions of neighbours are one.
func TestEditsOfMerge(t *testing.T) {
	var g causal.Graph
	var s sequence.Sequence
	base, _ := g.Add(agentActor(0), 1, 6, nil)
	h := g.History(g.Heads())
	s.Insert(&g, causal.History{}, base.Start, 0, 6) // 0..5
	a, _ := g.Add(agentActor(0), 7, 2, g.Heads())
	s.Delete(&g, h, a.Start, 2, 2, nil) // 2, 3
	bParents := []causal.LV{base.End - 1}
	bh := g.History(bParents)
	b, _ := g.Add(agentActor(1), 1, 5, bParents)
	got := s.Delete(&g, bh, b.Start, 1, 4, []sequence.Edit{{Pos: 1, Deleted: 9}}) // 1, 2, 3, 4: of these 1 and 4 are left
	if want := []sequence.Edit{{Pos: 1, Deleted: 9}, {Pos: 1, Deleted: 2}}; !slices.Equal(got, want) {
		t.Errorf("delete after another: %+v", got)
	}
	if at := s.Insert(&g, bh, b.Start+4, 1, 1); at != 1 {
		t.Errorf("insert at %d", at)
	}
	if s.Len() != 3 || !s.IsInsert(b.Start+4) || s.IsInsert(b.Start) || s.IsInsert(a.Start) || !s.IsInsert(base.Start+3) || s.IsInsert(g.Len()) {
		t.Errorf("length %d", s.Len())
	}
}
