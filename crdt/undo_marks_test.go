package crdt

import (
	"testing"

	"pgregory.net/rapid"
)

// TestUndoMarks goes back through marks and forth again, and tells them as edits between versions.
func TestUndoMarks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := newDevice(0)
		d.update(t, func(tx *Tx) { tx.Text("t").Append("some text to be marked") })
		show := func() string { return richText(d.state.Text("t").Spans()) }
		var stack UndoStack
		shown, versions := []string{show()}, []Version{d.state.Version()}
		for range rapid.IntRange(1, 5).Draw(t, "changes") {
			a := d.update(t, func(tx *Tx) {
				x := tx.Text("t")
				for range rapid.IntRange(1, 2).Draw(t, "marks") {
					from := rapid.IntRange(0, 21).Draw(t, "from")
					to := rapid.IntRange(from+1, 22).Draw(t, "to")
					name := rapid.SampledFrom([]string{"bold", "color"}).Draw(t, "name")
					if rapid.IntRange(0, 2).Draw(t, "unmark") == 0 {
						x.Unmark(from, to, name, GrowEnd)
					} else {
						x.Mark(from, to, name, rapid.IntRange(0, 2).Draw(t, "value"), GrowEnd)
					}
				}
			})
			stack.Did(a.Dot())
			shown, versions = append(shown, show()), append(versions, d.state.Version())
		}
		press := func(can func() bool, key func(tx *Tx, src Source) func(Dot, error)) {
			for before := show(); can() && show() == before; {
				d.undoing(t, func(tx *Tx) func(Dot, error) { return key(tx, d) })
			}
		}
		at := len(shown) - 1
		for range rapid.IntRange(1, 12).Draw(t, "keys") {
			if rapid.Bool().Draw(t, "undo") {
				press(stack.CanUndo, stack.Undo)
				for at--; at > 0 && shown[at] == shown[at+1]; at-- {
				}
				at = max(at, 0)
			} else {
				press(stack.CanRedo, stack.Redo)
				for at++; at < len(shown)-1 && shown[at] == shown[at-1]; at++ {
				}
				at = min(at, len(shown)-1)
			}
			if got := show(); got != shown[at] {
				t.Fatalf("got  %s\nwant %s", got, shown[at])
			}
		}
		edits, err := d.state.Edits(d, versions[0], versions[len(versions)-1])
		if err != nil {
			t.Fatal(err)
		}
		r := rich{text: []rune("some text to be marked"), marks: make([]map[string]Value, 22)}
		for i := range r.marks {
			r.marks[i] = map[string]Value{}
		}
		if err := r.apply(Event{Edits: edits}); err != nil {
			t.Fatal(err)
		}
		if got, want := r.String(), shown[len(shown)-1]; got != want {
			t.Fatalf("%+v\ngot  %s\nwant %s", edits, got, want)
		}
	})
}
