package crdt

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

func TestTextSnapshot(t *testing.T) {
	h := newHolder()
	a, b := actorOf(0), actorOf(1)
	h.authorAt(nil, a, 1, typed("notes", 0, "naïve 😀"))
	h.authorAt(nil, b, 1, typed("notes", 0, "x"))
	s := NewState(h.Chains)
	for _, a := range h.log {
		s.ApplyQuietly(a)
	}
	for _, want := range []TextSnapshot{s.SnapshotText(s.Text("notes")), {}, {Text: strings.Repeat("long ", 70_000)}} {
		enc := want.AppendTo(nil)
		got, err := DecodeTextSnapshot(enc)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v, %v, want %+v", got, err, want)
		}
		if text := got.Rope().String(); text != want.Text {
			t.Errorf("the rope holds %.40q, want %.40q", text, want.Text)
		}
		for n := range min(len(enc), 300) {
			if _, err := DecodeTextSnapshot(enc[:n]); err == nil {
				t.Errorf("accepted %d of %d bytes", n, len(enc))
			} else {
				wantIs(t, err, ErrFormat)
			}
		}
		if _, err := DecodeTextSnapshot(append(enc, 0)); err == nil {
			t.Error("accepted a byte too many")
		}
	}
	twice := TextSnapshot{Version: Version{{Actor: a, Seq: 1}, {Actor: a, Seq: 2}}}
	if _, err := DecodeTextSnapshot(twice.AppendTo(nil)); err == nil {
		t.Error("accepted two heads of one actor")
	}
	never := TextSnapshot{Version: Version{{Actor: a}}}
	if _, err := DecodeTextSnapshot(never.AppendTo(nil)); err == nil {
		t.Error("accepted a head without an op")
	}
}

func FuzzTextSnapshot(f *testing.F) {
	s := TextSnapshot{Version: Version{{Actor: actorOf(0), Seq: 7}}, Text: "text"}
	f.Add(s.AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeTextSnapshot(b)
		if err == nil && !bytes.Equal(s.AppendTo(nil), b) {
			t.Fatalf("%x encodes to %x", b, s.AppendTo(nil))
		}
	})
}

// BenchmarkTextSnapshot opens a text of 100,000 characters.
func BenchmarkTextSnapshot(b *testing.B) {
	s := TextSnapshot{Version: Version{{Actor: actorOf(0), Seq: 7}}, Text: strings.Repeat("hello, old friend. ", 100_000/19)}
	enc := s.AppendTo(nil)
	b.ReportAllocs()
	for b.Loop() {
		s, err := DecodeTextSnapshot(enc)
		if err != nil || s.Rope().Len() != len(s.Text) {
			b.Fatal("wrong text", err)
		}
	}
}
