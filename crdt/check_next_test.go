package crdt

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt/causal"
)

// TestCheckNextTampered: what the short way takes of batches of one change that somebody has tampered with, and signed again, the long way takes too, as
// the same.
func TestCheckNextTampered(t *testing.T) {
	short := 0
	rapid.Check(t, func(t *rapid.T) {
		// Three devices write, and get some of what the others wrote.
		devices := []*holder{newHolder(), newHolder(), newHolder()}
		for i := range rapid.IntRange(3, 12).Draw(t, "steps") {
			at, from := rapid.IntRange(0, 2).Draw(t, "device"), rapid.IntRange(0, 2).Draw(t, "from")
			if d, o := devices[at], devices[from]; at == from || len(o.log) == 0 {
				d.commit(actorOf(at), int64(1000+i))
			} else if err := d.receive(o.BatchOf(o.log)); err != nil {
				t.Fatal(err)
			}
		}
		author := devices[0]
		author.commit(actorOf(0), 5000)
		last := len(author.log) - 1
		c := NewChains(fixtureStore)
		if last > 0 {
			k, err := c.Check(author.BatchOf(author.log[:last]), nil)
			if err != nil {
				t.Fatal(err)
			}
			c.Add(k)
		}
		b := author.BatchOf(author.log[last:]).clone()
		ch := b.Changes[0]
		for range rapid.IntRange(0, 2).Draw(t, "wrongs") {
			dot := causal.Dot{Actor: actorOf(rapid.IntRange(0, 3).Draw(t, "actor")), Seq: causal.Seq(rapid.IntRange(0, 4).Draw(t, "seq"))}
			switch rapid.IntRange(0, 6).Draw(t, "wrong") {
			case 0: // one more anchor, maybe of the author, maybe held
				hash, _ := c.HashAt(dot)
				b.Context = append(b.Context, Anchor{Tip: Tip{Actor: dot.Actor, Seq: dot.Seq, Hash: hash}, Time: 1000})
			case 1:
				if n := len(b.Context); n > 0 {
					b.Context = slices.Delete(b.Context, n-1, n)
				}
			case 2:
				if n := len(b.Context); n > 0 {
					b.Context[n-1].Hash[3]++
				}
			case 3:
				if n := len(b.Context); n > 0 {
					b.Context[0].Time++
				}
			case 4: // one more dependency, or mere name
				ch.Refs = append(ch.Refs, dot)
			case 5:
				if n := len(ch.Refs); n > 0 {
					ch.Refs = slices.Delete(ch.Refs, n-1, n)
				}
			case 6:
				ch.Seq = dot.Seq
			}
		}
		slices.SortFunc(b.Context, func(x, y Anchor) int { return x.Dot().Compare(y.Dot()) })
		slices.SortFunc(ch.Refs, causal.Dot.Compare)
		batch := NewBatch(b.Context, b.Changes, nil)

		var said [2]string
		for i := range said {
			k := &c.checker
			k.begin(c, batch)
			if i == 0 {
				if !k.checkNext(nil) {
					return // and the long way is asked
				}
				short++
			} else {
				var err error
				if err = k.checkFrame(); err == nil {
					err = k.checkHeld()
				}
				if err == nil && len(k.missing) > 0 {
					err = k.missingError()
				}
				if err == nil {
					_, err = k.place()
				}
				if err != nil {
					t.Fatalf("the short way takes %v on %v with context %v; the long way says %v", ch.Dot(), ch.Refs, b.Context, err)
				}
			}
			l := &k.out.links[0]
			said[i] = fmt.Sprint(l.hash, l.span, l.effective, l.from.after, k.out.parents, k.out.changes, k.out.base)
		}
		if said[0] != said[1] {
			t.Errorf("the short way: %s\nthe long way:  %s", said[0], said[1])
		}
	})
	if !t.Failed() && short == 0 {
		t.Error("nothing went the short way")
	}
}
