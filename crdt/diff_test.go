package crdt

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt/causal"
)

// seenVersion is a version that some device was at, and what it showed.
type seenVersion struct {
	version Version
	json    string
	text    string // of slice "h"
}

// wander lets devices do random things and meet now and then, and then all of them. It returns the versions they were at.
func wander(t *rapid.T, all []*device, steps int, do func(tx *Tx)) []seenVersion {
	seen := []seenVersion{{nil, "{}", ""}}
	for range rapid.IntRange(1, steps).Draw(t, "steps") {
		d := rapid.SampledFrom(all).Draw(t, "device")
		if len(all) > 1 && rapid.IntRange(0, 2).Draw(t, "meet") == 0 {
			d.take(t, rapid.SampledFrom(all).Filter(func(o *device) bool { return o != d }).Draw(t, "from"))
		}
		d.update(t, do)
		seen = append(seen, seenVersion{d.state.Version(), d.state.JSON(), d.state.Text("h").String()})
	}
	meet(t, all...)
	return append(seen, seenVersion{all[0].state.Version(), all[0].state.JSON(), all[0].state.Text("h").String()})
}

// TestEdits: what is said to have happened between any two versions turns the one into the other, for all kinds.
func TestEdits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := newDevices(3)
		seen := wander(t, all, 10, func(tx *Tx) { doSomething(t, tx, 4) })
		d := rapid.SampledFrom(all).Draw(t, "asked")
		for range 6 {
			a, b := rapid.SampledFrom(seen).Draw(t, "a"), rapid.SampledFrom(seen).Draw(t, "b")
			edits, err := d.state.Edits(d, a.version, b.version)
			if err != nil {
				t.Fatal(err)
			}
			before, err := ParseJSON([]byte(a.json))
			if err != nil {
				t.Fatal(err)
			}
			m := mirror{root: unfold(before)}
			if err := m.apply(Event{Edits: edits}); err != nil {
				t.Fatalf("%v: %v", edits, err)
			}
			if got := fold(m.root).String(); got != b.json {
				t.Fatalf("from %s\nby   %+v\nto   %s\nwant %s", a.json, edits, got, b.json)
			}
			if a.version.Equal(b.version) && len(edits) > 0 {
				t.Fatalf("between a version and itself: %+v", edits)
			}
		}
	})
}

// playSplices returns text after splices.
func playSplices(text string, splices []Splice) (string, error) {
	runes := []rune(text)
	last := 0
	for _, sp := range splices {
		if sp.Pos < last || sp.Pos+sp.Deleted > len(runes) || sp.Inserted != len([]rune(sp.Text)) {
			return "", fmt.Errorf("splice %+v after %d of %q", sp, last, string(runes))
		}
		runes = slices.Replace(runes, sp.Pos, sp.Pos+sp.Deleted, []rune(sp.Text)...)
		last = sp.Pos + sp.Inserted + 1
	}
	return string(runes), nil
}

// TestTextEdits does the same for one text, and reads it at each version.
func TestTextEdits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := newDevices(rapid.IntRange(1, 3).Draw(t, "devices"))
		seen := wander(t, all, 14, func(tx *Tx) {
			for range rapid.IntRange(1, 3).Draw(t, "edits") {
				edit(t, tx, tx.Text("h"), 0)
			}
		})
		d := rapid.SampledFrom(all).Draw(t, "asked")
		if !d.state.Text("h").Exists() {
			return
		}
		for range 10 {
			a, b := rapid.SampledFrom(seen).Draw(t, "a"), rapid.SampledFrom(seen).Draw(t, "b")
			splices, err := d.state.Text("h").Edits(d, a.version, b.version)
			if err != nil {
				t.Fatal(err)
			}
			got, err := playSplices(a.text, splices)
			if err != nil || got != b.text {
				t.Fatalf("from %q\nby   %+v\nto   %q %v\nwant %q", a.text, splices, got, err, b.text)
			}
		}
		for _, v := range seen {
			if got, err := d.state.Text("h").At(d, v.version); err != nil || got != v.text {
				t.Fatalf("at %v: %q %v, want %q", v.version, got, err, v.text)
			}
		}
	})
}

func TestEditsErrors(t *testing.T) {
	all := start(t, 2, func(tx *Tx) { tx.Text("t").Append("hello") })
	a, b := all[0], all[1]
	before := a.state.Version()
	a.update(t, func(tx *Tx) { tx.Text("t").Delete(1, 3) })
	after := a.state.Version()
	if _, err := b.state.Text("t").Edits(b, before, after); !errors.Is(err, ErrAhead) {
		t.Errorf("to a version that is not held: %v", err)
	}
	if _, err := b.state.Edits(b, after, before); !errors.Is(err, ErrAhead) {
		t.Errorf("from a version that is not held: %v", err)
	}
	if _, err := a.state.Text("none").Edits(a, before, after); !errors.Is(err, ErrNotThere) {
		t.Errorf("of a text that does not stand: %v", err)
	}
	broken := errors.New("broken")
	if _, err := a.state.Text("t").Edits(failingSource{broken}, after, before); !errors.Is(err, broken) {
		t.Errorf("from a log that cannot be read: %v", err)
	}
	if _, err := a.state.Text("t").At(failingSource{nil}, before); err == nil {
		t.Error("read from an empty log")
	}
	if _, err := a.state.Text("t").Edits(nil, before, after); err != nil {
		t.Errorf("to the present the log is not needed: %v", err)
	}
}

// TestBlame: every code point and element is told to be by who inserted it, and when.
func TestBlame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := newDevices(3)
		// Every code point is inserted once, so that it names what inserted it.
		who := map[rune]Dot{}
		when := map[Dot]int64{} // by the dot of the change
		next := rune(0x4e00)
		near := 0
		lists := rapid.Bool().Draw(t, "lists") // without them the dots of changes follow each other in the text
		wander(t, all, 12, func(tx *Tx) {
			for range rapid.IntRange(1, 3).Draw(t, "edits") {
				x, l := tx.Text("t"), tx.List("l")
				at := min(near, x.Len()) // typing on
				if rapid.IntRange(0, 3).Draw(t, "jump") == 0 {
					at = rapid.IntRange(0, x.Len()).Draw(t, "at")
				}
				if rapid.IntRange(0, 3).Draw(t, "delete") == 0 && at < x.Len() {
					x.Delete(at, 1)
					if lists {
						l.Delete(at, 1)
					}
					continue
				}
				for i := range rapid.IntRange(1, 3).Draw(t, "n") {
					if lists {
						l.Insert(at+i, string(next))
					}
					x.Insert(at+i, string(next))
					next++
					near = at + i + 1
				}
			}
		})
		d := all[0]
		for _, a := range d.log {
			when[a.Dot()] = a.Time
			a.Ops(func(seq Seq, _ string, op *Op) bool {
				for i, r := range []rune(op.Text) {
					who[r] = Dot{Actor: a.Actor, Seq: seq + Seq(i)}
				}
				return true
			})
		}
		pause := rapid.Int64Range(-1, 3).Draw(t, "pause")
		text := []rune(d.state.Text("t").String())
		pos := 0
		timeOf := func(dot Dot) (int64, causal.Span) {
			lv, _ := d.graph.LV(dot)
			info := d.ChangeAt(lv)
			return info.Time, info.Span
		}
		runs := d.state.Text("t").Blame(pause)
		for k, run := range runs {
			if run.Pos != pos {
				t.Fatalf("run %+v at %d", run, pos)
			}
			for i := range run.Len {
				dot := run.Dot
				dot.Seq += Seq(i)
				if got := who[text[pos]]; got != dot {
					t.Fatalf("%c of %q is by %v, not %v", text[pos], string(text), got, dot)
				}
				pos++
			}
			last := run.Dot
			last.Seq += Seq(run.Len - 1)
			first, firstSpan := timeOf(run.Dot)
			until, lastSpan := timeOf(last)
			if run.Time != first || run.Until != until || pause < 0 && firstSpan != lastSpan {
				t.Fatalf("%+v, made from %d to %d", run, first, until)
			}
			if k > 0 {
				before := runs[k-1].Dot
				before.Seq += Seq(runs[k-1].Len - 1)
				_, span := timeOf(before)
				if before.Actor == run.Dot.Actor && before.Seq+1 == run.Dot.Seq &&
					(span == firstSpan || pause >= 0 && first-runs[k-1].Until <= pause) {
					t.Fatalf("%+v and %+v are one", runs[k-1], run)
				}
			}
		}
		if pos != len(text) {
			t.Fatalf("runs of %d code points, the text has %d", pos, len(text))
		}
		pos = 0
		for _, run := range d.state.List("l").Blame(pause) {
			for i := range run.Len {
				lv, _ := d.state.List("l").elementAt(pos)
				if dot := d.graph.Dot(lv); run.Pos+i != pos || dot.Seq != run.Dot.Seq+Seq(i) || dot.Actor != run.Dot.Actor {
					t.Fatalf("element %d is %v, by %+v", pos, dot, run)
				}
				pos++
			}
		}
		if pos != d.state.List("l").Len() {
			t.Fatalf("runs of %d elements, the list has %d", pos, d.state.List("l").Len())
		}
		// A transaction's own code points are the actor's too.
		d.update(t, func(tx *Tx) {
			tx.Text("t").Append("!")
			runs := tx.Text("t").Blame(-1)
			last := runs[len(runs)-1]
			if last.Len != 1 || last.Dot.Actor != d.actor || last.Time != d.clock {
				t.Fatalf("during the transaction: %+v", last)
			}
		})
	})
}
