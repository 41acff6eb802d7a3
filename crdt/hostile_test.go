package crdt

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt/causal"
)

// drawRawOp makes an op that need not make sense where it is applied: its path names elements, births and
// kinds that may or may not be there, and its positions are anywhere.
func drawRawOp(t *rapid.T, actors []causal.Actor) *Op {
	dot := func() causal.Dot {
		return causal.Dot{Actor: rapid.SampledFrom(actors).Draw(t, "actor"), Seq: causal.Seq(rapid.IntRange(1, 12).Draw(t, "seq"))}
	}
	codes := []Code{CodePut, CodeTouch, CodeDelete, CodeAdd, CodeSetAdd, CodeSetRemove, CodeSetClear, CodeRWSetAdd,
		CodeRWSetRemove, CodeRWSetClear, CodeListInsert, CodeListInsert, CodeListInsert, CodeListNew, CodeListNew, CodeListDelete, CodeListMove,
		CodeTextInsert, CodeTextInsert, CodeTextDelete, CodeTextMark, CodeTextUnmark}
	op := &Op{Code: rapid.SampledFrom(codes).Draw(t, "code"), Len: 1}
	steps := rapid.SampledFrom([]int{1, 1, 2, 2, 2, 3, 4}).Draw(t, "steps")
	op.Path = make(Path, steps)
	for i := range op.Path {
		last := i == steps-1
		switch {
		case i > 0 && op.Path[i-1].Kind == List:
			op.Path[i].Elem = dot()
		case i > 0:
			op.Path[i].Key = rapid.SampledFrom([]string{"k", "l"}).Draw(t, "key")
		default:
			op.Path[i].Key = rapid.SampledFrom([]string{"s", "t"}).Draw(t, "slice")
		}
		if !last {
			op.Path[i].Kind = rapid.SampledFrom([]Kind{Map, DeleteWinsMap, List, List}).Draw(t, "kind")
		}
		if (!last || op.Code != CodeDelete) && rapid.IntRange(0, 4).Draw(t, "born") == 0 {
			op.Path[i].Birth = dot()
		}
	}
	end := &op.Path[steps-1]
	end.Kind = op.Code.kind()
	pos := rapid.SampledFrom([]int{0, 0, 1, 2, 3, 7, MaxPosition})
	scalar := rapid.Custom(func(t *rapid.T) Value { return IntValue(rapid.Int64Range(0, 2).Draw(t, "n")) })
	switch op.Code {
	case CodePut, CodeSetAdd, CodeSetRemove, CodeRWSetAdd, CodeRWSetRemove:
		op.Value = scalar.Draw(t, "value")
	case CodeTouch:
		op.Kind = drawKind(t)
		end.Kind = op.Kind
	case CodeAdd:
		op.Delta = rapid.Int64().Draw(t, "delta")
	case CodeListInsert:
		op.Pos = pos.Draw(t, "pos")
		op.Values = rapid.SliceOfN(scalar, 1, 3).Draw(t, "values")
		op.Len = len(op.Values)
	case CodeListNew:
		op.Pos, op.Kind = pos.Draw(t, "pos"), drawKind(t)
		op.Len = rapid.SampledFrom([]int{1, 1, 2, 3}).Draw(t, "n")
	case CodeListDelete, CodeTextDelete:
		op.Pos = pos.Draw(t, "pos")
		op.Len = rapid.SampledFrom([]int{1, 1, 2, 1000}).Draw(t, "n")
	case CodeListMove:
		op.Pos, op.Elem = pos.Draw(t, "pos"), dot()
	case CodeTextInsert:
		op.Pos = pos.Draw(t, "pos")
		op.Text = rapid.SampledFrom([]string{"a", "bc", "dé😀"}).Draw(t, "text")
		op.Len = len([]rune(op.Text))
	case CodeTextMark, CodeTextUnmark:
		op.Pos = pos.Draw(t, "pos")
		op.Count = rapid.SampledFrom([]int{1, 1, 2, 5, MaxPosition}).Draw(t, "n")
		op.Name = rapid.SampledFrom([]string{"bold", "link"}).Draw(t, "name")
		op.Growth = Growth(rapid.IntRange(0, 3).Draw(t, "growth"))
		if op.Code == CodeTextMark {
			op.Value = scalar.Draw(t, "value")
		}
	}
	return op
}

// TestRandomOps is TestRandom for authors who do not use transactions and write what they like.
func TestRandomOps(t *testing.T) {
	applied, void := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		all := newDevices(3)
		actors := []causal.Actor{all[0].actor, all[1].actor, all[2].actor}
		mirrors := []*mirror{newMirror(), newMirror(), newMirror()}
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			i := rapid.IntRange(0, 2).Draw(t, "device")
			d := all[i]
			var events []Event
			switch step := rapid.IntRange(0, 40).Draw(t, "step"); {
			case step < 14:
				events = d.take(t, all[(i+rapid.IntRange(1, 2).Draw(t, "from"))%3])
			case step == 40:
				d.groups(Group{Slice: "t", Len: 3, Ops: []byte{0x93, 31<<2 | 1, 2, 0x90}}) // of unknown kind, then nothing
				events = []Event{d.last}
			default:
				d.clock = rapid.Int64Range(0, 3).Draw(t, "time")
				var ops []*Op
				for range rapid.IntRange(1, 4).Draw(t, "ops") {
					ops = append(ops, drawRawOp(t, actors))
				}
				d.raw(ops...)
				events = []Event{d.last}
				applied += len(ops)
			}
			for _, ev := range events {
				if err := mirrors[i].apply(ev); err != nil {
					t.Fatalf("device %d: %v", i, err)
				}
			}
			if got, want := fold(mirrors[i].root), d.state.Value(); got != want {
				t.Fatalf("after the events\n%+v a mirror shows\n%s, the state\n%s", events, got, want)
			}
			d.state.AllConflicts(func(path []string, conflicts []Conflict) bool {
				if at := d.state.Path(path...); at.Value() != conflicts[0].Value || at.Kind() != conflicts[0].Kind {
					t.Fatalf("at %q %s is shown, the first conflict is %+v", path, at.Value(), conflicts[0])
				}
				return true
			})
		}
		meet(t, all...)
		for _, d := range all {
			if got, want := d.clone().describe(), d.state.describe(); got != want {
				t.Fatalf("replayed from the log\n%s, built up\n%s", got, want)
			}
			if got, want := d.state.Stats(), all[0].state.Stats(); got != want {
				t.Fatalf("%+v ops without effect here, %+v there", got, want)
			}
		}
		checkAt(t, all[0])
		void += all[0].state.Stats().Void
	})
	if void == 0 || void > applied*3/4 {
		t.Errorf("%d of %d ops were void: the test does not test much", void, applied)
	}
}

// FuzzApply feeds changes with arbitrary ops to devices that then meet. Nothing may panic and all must
// agree. Each change is: a byte that picks the device and whether another meets it first, one
// for its dots, one for the bytes of its ops, those.
func FuzzApply(f *testing.F) {
	all := newDevices(2)
	seed := func(change byte, ops ...*Op) []byte {
		var out []byte
		for _, g := range NewChange(all[0].actor, 1, 0, nil, ops).Groups {
			out = append(out, change, byte(g.Len), byte(len(g.Ops)))
			out = append(out, g.Ops...)
		}
		return out
	}
	list, text := Path{{Key: "s", Kind: List}}, Path{{Key: "s", Kind: Text}}
	elem := Path{{Key: "s", Kind: List}, {Elem: causal.Dot{Actor: all[0].actor, Seq: 1}, Kind: Map}, {Key: "k", Kind: Register}}
	insert := &Op{Code: CodeListInsert, Len: 2, Path: list, Values: []Value{IntValue(1), IntValue(2)}}
	put := &Op{Code: CodePut, Len: 1, Path: elem, Value: IntValue(3)}
	f.Add(append(seed(0, insert, put), seed(3, &Op{Code: CodeListDelete, Len: 1, Path: list})...))
	f.Add(append(seed(0, &Op{Code: CodeTextInsert, Len: 3, Path: text, Text: "abc"}), seed(1, &Op{Code: CodeTextDelete, Len: 2, Path: text, Pos: 1})...))
	f.Add(append(seed(1, &Op{Code: CodeTouch, Len: 1, Path: Path{{Key: "s", Kind: Map}}, Kind: Map}), seed(2, &Op{Code: CodeDelete, Len: 1, Path: Path{{Key: "s"}}})...))
	f.Add([]byte{0, 9, 4, 0x93, 0x7d, 0x02, 0x90})
	f.Add([]byte{0, 3, 5, 0x91, 0x91, 0x91, 0x91, 0x91})
	f.Fuzz(func(t *testing.T, data []byte) {
		all := newDevices(2)
		mirrors := []*mirror{newMirror(), newMirror()}
		play := func(i int, events ...Event) {
			for _, ev := range events {
				if err := mirrors[i].apply(ev); err != nil {
					t.Fatalf("device %d: %v", i, err)
				}
			}
		}
		for n := 0; len(data) > 2 && n < 40; n++ {
			i, size := int(data[0]&1), int(data[2])
			d, dots := all[i], int(data[1])
			if data[0]&2 != 0 {
				play(i, d.take(t, all[1-i])...)
			}
			data = data[3:]
			size = min(size, len(data))
			d.groups(Group{Slice: "s", Len: max(dots, 1), Ops: data[:size:size]})
			play(i, d.last)
			data = data[size:]
		}
		for i, d := range all {
			play(i, d.take(t, all[1-i])...)
		}
		for i, d := range all {
			if got, want := fold(mirrors[i].root), d.state.Value(); got != want {
				t.Fatalf("a mirror shows\n%s, the state\n%s", got, want)
			}
			if got, want := d.clone().describe(), d.state.describe(); got != want {
				t.Fatalf("replayed from the log\n%s, built up\n%s", got, want)
			}
		}
		meet(t, all...)
	})
}
