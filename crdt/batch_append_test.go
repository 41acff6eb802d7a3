package crdt

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// TestAppendBatch encodes changes of several actors, who do what they like and name each other's elements, at once and by way of
// a Batch.
func TestAppendBatch(t *testing.T) {
	seen := make(map[string]int)
	rapid.Check(t, func(t *rapid.T) {
		check := func(d *device, part []Accepted) {
			b := d.BatchOf(part)
			start := []byte("before")
			if got, want := d.AppendBatch(start, part), b.AppendTo(start); !bytes.Equal(got, want) {
				t.Fatalf("%d changes: got  %x\nwant %x", len(part), got, want)
			}
			if len(part) > 1 {
				seen["several changes"]++
				return
			}
			a := &part[0]
			if a.Seq == 1 {
				seen["the first of an actor"]++
			}
			if len(b.Sigs) > 0 {
				seen["signed"]++
			} else {
				seen["not signed"]++
			}
			if len(a.Deps()) < len(a.Refs) {
				seen["a name that is no dependency"]++
			}
			seen[fmt.Sprintf("%d dependencies", len(a.Deps()))]++
			if len(a.Refs) > 0 && a.Refs[0].Actor.Compare(a.Actor) < 0 {
				seen["an author who is not the first"]++
			}
		}
		all := newDevices(3)
		for range rapid.IntRange(1, 40).Draw(t, "changes") {
			d := all[rapid.IntRange(0, 2).Draw(t, "device")]
			if rapid.IntRange(0, 2).Draw(t, "meet") == 0 {
				for _, other := range all {
					d.take(t, other)
				}
			}
			d.clock = (d.clock + rapid.SampledFrom([]int64{0, 1, 1 << 41}).Draw(t, "time")) % MaxTime
			tx := d.state.BeginQuietly(d.actor, d.clock)
			doSomething(t, &tx, 2)
			a, ev, ok, err := tx.Commit()
			if err != nil {
				t.Fatal(err)
			}
			if ok {
				check(d, []Accepted{a})
				d.committed(a, ev)
			}
		}
		for _, d := range all {
			for i := range d.log {
				check(d, d.log[i:min(i+rapid.IntRange(1, 2).Draw(t, "n"), len(d.log))])
			}
		}
	})
	for _, what := range []string{"several changes", "the first of an actor", "signed", "not signed", "a name that is no dependency", "0 dependencies", "2 dependencies", "an author who is not the first"} {
		if seen[what] == 0 && !t.Failed() {
			t.Errorf("never %s: %v", what, seen)
		}
	}
}
