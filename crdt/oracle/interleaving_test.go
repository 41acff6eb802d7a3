package oracle_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/oracle"
	"pgregory.net/rapid"
)

// A run is what is typed at one place by one actor, or by two who see all of each other's at once, while they see nothing
// new of others: each character goes to an end of the run so far, or into it. In FugueMax its first character is the ancestor of all others of the run (each
// hangs from one that was there, see sequence), and nothing but descendants stands between descendants. So
// a run is whole in every merged text:
//
//   - the characters of a run stand in the order in which its author saw them, and
//   - what stands between two of them was typed by somebody who had seen the run's first character.
//
// In particular runs typed at one place by some who have seen nothing of each other's do not
// interleave: each is in one piece.
type run struct {
	want  []rune              // as its authors saw it when it was done
	first causal.Dot          // its first character
	saw   map[causal.Dot]bool // the first characters of runs that its authors had seen
}

// typist is a replica on which runs are typed, by one actor or two. Some are between the two in the order of actors, so that
// neither its being greater nor less keeps a run in one piece.
type typist struct {
	*engine
	actors [2]causal.Actor
	saw    map[causal.Dot]bool
}

// TestNonInterleaving lets actors type runs at one place, forwards, backwards and all over, first without seeing
// each other's and then in the middle of those they have seen, and checks that every run is whole.
func TestNonInterleaving(t *testing.T) {
	apart, inside := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		const base = "<>"
		first := newChange(actor(25), 1, 1, nil, typed("t:text", 0, base))
		made := []*crdt.Change{first}
		typists := make([]*typist, rapid.IntRange(2, 4).Draw(t, "actors"))
		for i := range typists {
			typists[i] = &typist{newEngine(), [2]causal.Actor{actor(i), actor(7 - i)}, map[causal.Dot]bool{}}
			if err := typists[i].deliver(first); err != nil {
				t.Fatal(err)
			}
		}
		var runs []*run
		next := '一' // no two characters are the same
		for round := range rapid.IntRange(1, 3).Draw(t, "rounds") {
			var fresh []*crdt.Change
			for _, ty := range typists {
				if rapid.IntRange(0, 3).Draw(t, "rests") == 3 {
					continue
				}
				// At the place between the brackets; later anywhere between them, and so within what others typed.
				at := 1
				if round > 0 {
					at = rapid.IntRange(1, ty.state.Text("t").Len()-1).Draw(t, "at")
				}
				r, changes := ty.run(t, at, &next)
				runs, fresh = append(runs, r), append(fresh, changes...)
			}
			made = append(made, fresh...)
			// Some get to see some of that: what all of it builds on they have, or get.
			for _, ty := range typists {
				for _, by := range typists {
					if by != ty && rapid.Bool().Draw(t, "sees") {
						ty.see(t, by, made)
					}
				}
			}
		}
		if len(runs) == 0 {
			return
		}
		end := newEngine()
		if err := end.deliver(made...); err != nil {
			t.Fatal(err)
		}
		text := []rune(end.state.Text("t").String())
		of := map[rune]*run{}
		for _, r := range runs {
			for _, c := range r.want {
				of[c] = r
			}
		}
		for _, r := range runs {
			in := func(c rune) bool { return of[c] == r }
			from := slices.IndexFunc(text, in)
			to := len(text)
			for to > from && !in(text[to-1]) {
				to--
			}
			var got []rune
			for _, c := range text[from:to] {
				if in(c) {
					got = append(got, c)
				} else if o := of[c]; o == nil || !o.saw[r.first] {
					t.Fatalf("%c of %s stands in %s, which its author had not seen: %s\n%s", c, o, r, string(text), describe(made))
				}
			}
			if !slices.Equal(got, r.want) {
				t.Fatalf("%s reads %s in %s\n%s", r, string(got), string(text), describe(made))
			}
			if to-from > len(got) {
				inside++
			} else {
				apart++
			}
		}
		want, err := oracle.Of(made)
		if err != nil {
			t.Fatal(err)
		}
		if got := want.Root.Places[0].Shown().Text; got != string(text) {
			t.Fatalf("the engine shows %q, the oracle %q\n%s", string(text), got, describe(made))
		}
	})
	t.Logf("%d runs in one piece, %d with others inside", apart, inside)
	if !t.Failed() && (apart == 0 || inside == 0) {
		t.Error("runs were never typed beside or never inside each other")
	}
}

func (r *run) String() string {
	if r == nil {
		return "the base"
	}
	return fmt.Sprintf("the run %s of %s", string(r.want), brief(r.first))
}

// run types a run at position at, a change for each character, and returns it with the changes.
func (ty *typist) run(t *rapid.T, at int, next *rune) (*run, []*crdt.Change) {
	r := &run{saw: map[causal.Dot]bool{}}
	for d := range ty.saw {
		r.saw[d] = true
	}
	var changes []*crdt.Change
	how := rapid.SampledFrom([]string{"forwards", "backwards", "all over"}).Draw(t, "how")
	both := rapid.Bool().Draw(t, "both")
	for range rapid.IntRange(1, 8).Draw(t, "length") {
		off := len(r.want) // forwards
		switch how {
		case "backwards":
			off = 0
		case "all over":
			off = rapid.IntRange(0, len(r.want)).Draw(t, "offset")
		}
		by := ty.actors[0]
		if both {
			by = rapid.SampledFrom(ty.actors[:]).Draw(t, "by")
		}
		c, err := ty.author(by, 1, func(tx *crdt.Tx) { tx.Text("t").Insert(at+off, string(*next)) })
		if err != nil {
			t.Fatal(err)
		}
		r.want = slices.Insert(r.want, off, *next)
		changes = append(changes, c)
		*next++
	}
	r.first = changes[0].Dot()
	ty.saw[r.first] = true
	return r, changes
}

// see lets ty see all that by has.
func (ty *typist) see(t *rapid.T, by *typist, made []*crdt.Change) {
	var missing []*crdt.Change
	for _, c := range made {
		_, has := ty.chains.Graph().LV(c.Dot())
		if _, there := by.chains.Graph().LV(c.Dot()); there && !has {
			missing = append(missing, c)
		}
	}
	if err := ty.deliver(missing...); err != nil {
		t.Fatalf("%v\n%s", err, strings.TrimSpace(describe(missing)))
	}
	for d := range by.saw {
		ty.saw[d] = true
	}
}
