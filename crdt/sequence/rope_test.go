package sequence_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/sequence"
)

// drawText draws up to n runes of one to four bytes.
func drawText(t *rapid.T, n int) []rune {
	alphabet := []rune("ab\x00éß€漢😀𝒳\U0010FFFF")
	if rapid.Bool().Draw(t, "ascii") {
		alphabet = []rune("abc\n")
	}
	out := make([]rune, rapid.IntRange(1, n).Draw(t, "length"))
	r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "text"), 0))
	for i := range out {
		out[i] = alphabet[r.IntN(len(alphabet))]
	}
	return out
}

// checkRope compares r with the text it should hold, and all conversions at a few positions.
func checkRope(t rapid.TB, r *sequence.Rope, want []rune, positions ...int) {
	if err := r.Check(); err != nil {
		t.Fatal(err)
	}
	if got := r.String(); got != string(want) {
		t.Fatalf("got %d bytes, want %d: %s", len(got), len(string(want)), diffAt(got, string(want)))
	}
	if r.Len() != len(want) || r.LenBytes() != len(string(want)) || r.LenUTF16() != len(utf16.Encode(want)) {
		t.Fatalf("lengths %d, %d, %d", r.Len(), r.LenBytes(), r.LenUTF16())
	}
	for _, pos := range append(positions, 0, len(want)) {
		bytes, units := len(string(want[:pos])), len(utf16.Encode(want[:pos]))
		if r.ByteOfRune(pos) != bytes || r.UTF16OfRune(pos) != units {
			t.Fatalf("rune %d is at byte %d, unit %d; want %d, %d", pos, r.ByteOfRune(pos), r.UTF16OfRune(pos), bytes, units)
		}
		inBytes, inUnits := 1, 1 // offsets that lie in this rune
		if pos < len(want) {
			inBytes, inUnits = utf8.RuneLen(want[pos]), utf16.RuneLen(want[pos])
		}
		for i := range inBytes {
			if got := r.RuneOfByte(bytes + i); got != pos {
				t.Fatalf("byte %d is in rune %d, want %d", bytes+i, got, pos)
			}
		}
		for i := range inUnits {
			if got := r.RuneOfUTF16(units + i); got != pos {
				t.Fatalf("unit %d is in rune %d, want %d", units+i, got, pos)
			}
		}
	}
}

// TestRope compares a Rope, and snapshots of it that are edited too, with slices of runes.
func TestRope(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type pair struct {
			rope *sequence.Rope
			want []rune
		}
		ropes := []pair{{rope: new(sequence.Rope)}}
		near := 0
		position := func(t *rapid.T, max int) int {
			if rapid.IntRange(0, 2).Draw(t, "near") > 0 {
				return min(near, max)
			}
			return rapid.IntRange(0, max).Draw(t, "pos")
		}
		pick := func(t *rapid.T) *pair { return &ropes[rapid.IntRange(0, len(ropes)-1).Draw(t, "rope")] }
		insert := func(t *rapid.T, n int) {
			p := pick(t)
			pos, text := position(t, len(p.want)), drawText(t, n)
			p.rope.Insert(pos, string(text))
			p.want = append(append(append([]rune(nil), p.want[:pos]...), text...), p.want[pos:]...)
			near = pos + len(text)
		}
		remove := func(t *rapid.T, most int) {
			p := pick(t)
			pos := position(t, len(p.want))
			n := rapid.IntRange(0, min(most, len(p.want)-pos)).Draw(t, "n")
			p.rope.Delete(pos, n)
			p.want = append(append([]rune(nil), p.want[:pos]...), p.want[pos+n:]...)
			near = pos
		}
		t.Repeat(map[string]func(*rapid.T){
			"insert a little": func(t *rapid.T) { insert(t, 5) },
			"insert":          func(t *rapid.T) { insert(t, 700) },
			"insert much":     func(t *rapid.T) { insert(t, 20000) },
			"delete a little": func(t *rapid.T) { remove(t, 5) },
			"delete":          func(t *rapid.T) { remove(t, 700) },
			"delete much":     func(t *rapid.T) { remove(t, 1<<30) },
			"snapshot": func(t *rapid.T) {
				p := pick(t)
				s := pair{p.rope.Snapshot(), p.want}
				if len(ropes) < 4 {
					ropes = append(ropes, s)
				} else {
					*pick(t) = s
				}
			},
			"compact": func(t *rapid.T) { pick(t).rope.Compact() },
			"slice": func(t *rapid.T) {
				p := pick(t)
				from := rapid.IntRange(0, len(p.want)).Draw(t, "from")
				to := rapid.IntRange(from, len(p.want)).Draw(t, "to")
				if got := p.rope.Slice(from, to); got != string(p.want[from:to]) {
					t.Fatalf("slice [%d, %d): %s", from, to, diffAt(got, string(p.want[from:to])))
				}
			},
			"": func(t *rapid.T) {
				for _, p := range ropes {
					checkRope(t, p.rope, p.want, rapid.IntRange(0, len(p.want)).Draw(t, "check"))
				}
			},
		})
	})
}

// TestRopeLarge grows a text beyond what small tests reach and takes it apart again.
func TestRopeLarge(t *testing.T) {
	const seed = 1
	r := rand.New(rand.NewPCG(seed, 2))
	var rope sequence.Rope
	var want []rune
	alphabet := []rune("abcdefé漢😀")
	for phase, grow := range []int{9, 4, 9, 0} {
		for step := 0; step < 4000 && (grow > 0 || len(want) > 0); step++ {
			pos := r.IntN(len(want) + 1)
			if step%3 > 0 { // near the ends, where leaves are few
				pos = min(pos, r.IntN(50))
			}
			if r.IntN(10) < grow {
				text := make([]rune, 1+r.IntN(8))
				for i := range text {
					text[i] = alphabet[r.IntN(len(alphabet))]
				}
				rope.Insert(pos, string(text))
				want = append(want[:pos], append(text, want[pos:]...)...)
			} else {
				n := min(r.IntN(12), len(want)-pos)
				rope.Delete(pos, n)
				want = append(want[:pos], want[pos+n:]...)
			}
			if step%1000 == 0 {
				checkRope(t, &rope, want, len(want)/2)
			}
		}
		checkRope(t, &rope, want, len(want)/3)
		if t.Failed() {
			t.Fatalf("in phase %d, seed %d", phase, seed)
		}
	}
	rope.Delete(0, rope.Len())
	checkRope(t, &rope, nil)
}

// TestRopeDeep edits a text of several levels in large pieces, with small edits between them.
func TestRopeDeep(t *testing.T) {
	const seed = 5
	r := rand.New(rand.NewPCG(seed, 6))
	var rope sequence.Rope
	var want []byte
	piece := make([]byte, 10000)
	for i := range piece {
		piece[i] = byte('a' + i%23)
	}
	for step := range 3000 {
		switch at := r.IntN(len(want) + 1); {
		case step%3 == 0:
			s := piece[:r.IntN(len(piece))]
			rope.Insert(at, string(s))
			want = slices.Insert(want, at, s...)
		case step%50 == 1:
			n := min(r.IntN(100000), len(want)-at)
			rope.Delete(at, n)
			want = slices.Delete(want, at, at+n)
		default: // near the last one
			at = min(at, len(want)-1)
			rope.Delete(at, 1)
			rope.Insert(at, "xyz")
			want = slices.Replace(want, at, at+1, 'x', 'y', 'z')
		}
		if step%100 == 99 {
			if err := rope.Check(); err != nil || rope.String() != string(want) {
				t.Fatalf("step %d, seed %d: %v: %s", step, seed, err, diffAt(rope.String(), string(want)))
			}
		}
		if step%700 == 699 {
			rope.Compact()
		}
	}
	t.Logf("%d bytes", len(want))
}

// TestRopeMemory: a text takes little more than its bytes at rest, whatever was done to it.
func TestRopeMemory(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for name, alphabet := range map[string]string{"ascii": "the quick brown fox ", "wide": "aé漢😀"} {
		letters := []rune(alphabet)
		var rope sequence.Rope
		for range 30000 {
			if at := r.IntN(rope.Len() + 1); r.IntN(10) < 8 {
				var text []rune
				for range 1 + r.IntN(20) {
					text = append(text, letters[r.IntN(len(letters))])
				}
				rope.Insert(at, string(text))
			} else {
				rope.Delete(at, min(rope.Len()-at, r.IntN(20)))
			}
		}
		live := rope.Memory()
		if live > 2*rope.LenBytes() {
			t.Errorf("%s: %d bytes for a text of %d while it is edited", name, live, rope.LenBytes())
		}
		text := rope.String()
		rope.Compact()
		if got := rope.Memory(); got*100 > rope.LenBytes()*112 || rope.String() != text {
			t.Errorf("%s: %d bytes for a text of %d at rest", name, got, rope.LenBytes())
		}
		t.Logf("%s: a text of %d takes %d, %d at rest", name, len(text), live, rope.Memory())
	}
	var one sequence.Rope // leaf, with room to spare
	one.Insert(0, strings.Repeat("x", 1900))
	one.Delete(100, 1500)
	one.Compact()
	if got := one.Memory(); got > 600 {
		t.Errorf("%d bytes for a text of %d at rest", got, one.Len())
	}
	var small sequence.Rope
	small.Insert(0, "buy milk")
	if got := small.Memory(); got > 112 {
		t.Errorf("%d bytes for a text of %d", got, small.Len())
	}
}

// TestSnapshotWhileEditing reads snapshots in other goroutines while the text is edited.
func TestSnapshotWhileEditing(t *testing.T) {
	var rope sequence.Rope
	rope.Insert(0, strings.Repeat("0123456789", 3000))
	var readers sync.WaitGroup
	for i := range 50 {
		s, want := rope.Snapshot(), rope.String()
		readers.Go(func() {
			for range 3 {
				if got := s.String(); got != want {
					t.Errorf("snapshot %d: %s", i, diffAt(got, want))
				}
			}
			s.Delete(10, 20000) // a snapshot may be edited, too
			if s.Len() != len(want)-20000 {
				t.Errorf("snapshot %d has %d runes", i, s.Len())
			}
		})
		for k := range 100 {
			rope.Insert((i*7919+k*104729)%rope.Len(), "x")
		}
	}
	readers.Wait()
	if rope.Len() != 30000+50*100 {
		t.Errorf("rope has %d runes", rope.Len())
	}
}

// TestRopeInvalidUTF8: what is not UTF-8 counts and reads as U+FFFD, byte by byte.
func TestRopeInvalidUTF8(t *testing.T) {
	var rope sequence.Rope
	rope.Insert(0, "a\xff\xe6\xbcz")
	checkRope(t, &rope, []rune("a\uFFFD\uFFFD\uFFFDz"), 1, 2, 3, 4)
}

// TestOutsideContent: positions outside the content, and ops out of order, are bugs of the caller, and said so.
func TestOutsideContent(t *testing.T) {
	var rope sequence.Rope
	rope.Insert(0, "abc")
	var elems sequence.Elements
	elems.Insert(0, 7, 3)
	var seq sequence.Sequence
	seq.Insert(nil, causal.History{}, 7, 0, 3)
	for name, f := range map[string]func(){
		"rope insert":       func() { rope.Insert(4, "x") },
		"rope insert below": func() { rope.Insert(-1, "x") },
		"rope delete":       func() { rope.Delete(2, 2) },
		"rope slice":        func() { rope.Slice(2, 4) },
		"rope byte":         func() { rope.RuneOfByte(4) },
		"elements insert":   func() { elems.Insert(4, 1, 1) },
		"elements delete":   func() { elems.Delete(3, 1, nil) },
		"elements at":       func() { elems.At(3) },
		"op out of order":   func() { seq.Delete(nil, causal.History{}, 9, 0, 1, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
	if rope.String() != "abc" || elems.Len() != 3 || seq.Len() != 3 {
		t.Errorf("changed: %q, %d, %d", rope.String(), elems.Len(), seq.Len())
	}
}
