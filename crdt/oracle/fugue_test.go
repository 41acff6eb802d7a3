package oracle_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/oracle"
	"pgregory.net/rapid"
)

// scanned is an item of a text as the scanning algorithm keeps it, in one slice, in order.
type scanned struct {
	dot         causal.Dot
	event       int
	char        rune
	left, right *scanned // origins; nil: the start, the end
	deletedBy   []int
}

// integrate puts item into items where the YjsMod algorithm does: right of its left origin, past
// those concurrent items that come before it.
func integrate(items []*scanned, item *scanned) []*scanned {
	index := func(i *scanned, none int) int {
		if i == nil {
			return none
		}
		return slices.Index(items, i)
	}
	left, right := index(item.left, -1), index(item.right, len(items))
	at, scanning := left+1, false
	for i := left + 1; ; i++ {
		if !scanning {
			at = i
		}
		if i == len(items) || i == right {
			break
		}
		otherLeft, otherRight := index(items[i].left, -1), index(items[i].right, len(items))
		if otherLeft < left || otherLeft == left && otherRight == right && item.dot.Compare(items[i].dot) < 0 {
			break
		}
		if otherLeft == left {
			scanning = otherRight < right
		}
	}
	return slices.Insert(items, at, item)
}

// The tree that defines the order of sequences gives the texts that integration into a plain list
// gives, in whatever causal order the changes come.
func TestTreeIsIntegration(t *testing.T) {
	merges := 0
	rapid.Check(t, func(t *rapid.T) {
		actors := rapid.IntRange(2, 4).Draw(t, "actors")
		n := rapid.IntRange(2, 14).Draw(t, "events")
		var g graph
		var made []*crdt.Change
		var items []*scanned
		var path = crdt.Path{{Key: "t", Kind: crdt.Text}}
		for len(g) < n {
			e := event{actor: rapid.IntRange(0, actors-1).Draw(t, "actor")}
			// What the author saw: its own, and whatever else some of the others saw.
			if own := g.last(e.actor); own >= 0 {
				e.saw = g[own].saw | 1<<own
			}
			for j := range g {
				if rapid.IntRange(0, 2).Draw(t, fmt.Sprintf("sees %d", j)) == 0 {
					e.saw |= g[j].saw | 1<<j
				}
			}
			if heads := g.heads(e.saw); heads&(heads-1) != 0 {
				merges++
			}
			saw := func(j int) bool { return e.saw>>j&1 == 1 || j == len(g) }
			var ops []crdt.Op
			seq := causal.Seq(1)
			if own := g.last(e.actor); own >= 0 {
				seq = made[own].Dot().Seq + 1
			}
			next := seq
			for range rapid.IntRange(1, 2).Draw(t, "ops") {
				var all, visible []*scanned
				for _, i := range items {
					if saw(i.event) {
						all = append(all, i)
						if !slices.ContainsFunc(i.deletedBy, saw) {
							visible = append(visible, i)
						}
					}
				}
				if len(visible) > 0 && rapid.IntRange(0, 3).Draw(t, "delete?") == 0 {
					pos := rapid.IntRange(0, len(visible)-1).Draw(t, "pos")
					visible[pos].deletedBy = append(visible[pos].deletedBy, len(g))
					ops = append(ops, crdt.Op{Code: crdt.CodeTextDelete, Len: 1, Path: path, Pos: pos})
					next++
					continue
				}
				pos := rapid.IntRange(0, min(len(visible), 3)).Draw(t, "pos")
				text := rapid.StringOfN(rapid.RuneFrom([]rune("abc")), 1, 3, -1).Draw(t, "text")
				ops = append(ops, crdt.Op{Code: crdt.CodeTextInsert, Len: len(text), Path: path, Pos: pos, Text: text})
				var left *scanned
				after := 0
				if pos > 0 {
					left = visible[pos-1]
					after = slices.Index(all, left) + 1
				}
				var right *scanned
				if after < len(all) && all[after].left == left {
					right = all[after]
				}
				for _, char := range text {
					item := &scanned{dot: causal.Dot{Actor: actor(e.actor), Seq: next}, event: len(g), char: char, left: left, right: right}
					items = integrate(items, item)
					left, right = item, nil
					next++
				}
			}
			made = append(made, newChange(actor(e.actor), seq, 1, g.deps(e, made), ops...))
			g = append(g, e)
		}
		want := ""
		for _, i := range items {
			if len(i.deletedBy) == 0 {
				want += string(i.char)
			}
		}
		store, err := oracle.Of(made)
		if err != nil {
			t.Fatal(err)
		}
		if got := store.Root.Places[0].Shown().Text; got != want {
			t.Fatalf("the tree gives %q, integration %q\n%s", got, want, describe(made))
		}
	})
	if merges == 0 {
		t.Error("no event saw two heads")
	}
}
