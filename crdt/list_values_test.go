package crdt

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestPackedValues does to packed values what lists do to them, and to a plain slice.
func TestPackedValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := packValues(nil)
		var want []Value
		type stretch struct {
			from int
			old  []Value
		}
		var undos []stretch
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				var values []Value
				for range rapid.IntRange(1, 40).Draw(t, "n") {
					v := Value{}
					if n := rapid.IntRange(0, 12).Draw(t, "size"); n > 0 {
						v, _ = StringValue(string(make([]byte, n)))
					}
					values = append(values, v)
				}
				p.append(values)
				want = append(want, values...)
			},
			"forget": func(t *rapid.T) {
				from := rapid.IntRange(0, len(want)).Draw(t, "from")
				to := rapid.IntRange(from, len(want)).Draw(t, "to")
				if slices.ContainsFunc(want[from:to], func(v Value) bool { return v == Value{"gone"} }) {
					return // no element goes twice
				}
				undos = append(undos, stretch{from, slices.Clone(want[from:to])})
				p.forget(from, to)
				for i := from; i < to; i++ {
					want[i] = Value{"gone"}
				}
			},
			"free": func(t *rapid.T) {
				undos = nil
				p.free()
				if len(p.enc) > 2*p.size && len(p.enc) >= smallPacked {
					t.Fatalf("%d bytes for %d", len(p.enc), p.size)
				}
			},
			"undo": func(t *rapid.T) {
				if len(undos) > 0 {
					last := undos[len(undos)-1]
					undos = undos[:len(undos)-1]
					p.recall(last.from, last.from+len(last.old))
					copy(want[last.from:], last.old)
				}
			},
			"truncate": func(t *rapid.T) {
				undos = nil
				n := rapid.IntRange(len(want)/2, len(want)).Draw(t, "n")
				p.truncate(n)
				want = want[:n]
			},
			"": func(t *rapid.T) {
				size := 0
				for i, v := range want {
					if v == (Value{"gone"}) {
						v = Value{}
					}
					size += len(v.enc)
					if got := p.at(i); got != v {
						t.Fatalf("value %d is %v, want %v", i, got, v)
					}
					if got := p.appendTo(nil, i); string(got) != string(v.AppendTo(nil)) {
						t.Fatalf("value %d is %x, want %x", i, got, v.AppendTo(nil))
					}
				}
				if len(p.ends) != len(want) || p.size != size {
					t.Fatalf("%d values of %d bytes, want %d of %d", len(p.ends), p.size, len(want), size)
				}
			},
		})
	})
}
