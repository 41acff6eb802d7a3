package crdt

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// resolve returns where c is in the text or list at slice.
func (d *device) resolve(t fataler, c Cursor) int {
	_, pos, err := d.state.Resolve(c)
	if err != nil {
		t.Fatalf("%v: %v", c, err)
	}
	return pos
}

func TestCursor(t *testing.T) {
	all := start(t, 2, func(tx *Tx) {
		tx.List("docs").InsertMap(0).Text("body").Append("hello world")
		tx.Text("other")
	})
	a, b := all[0], all[1]
	body := func(d *device) *TextView { return d.state.List("docs").Map(0).Text("body") }
	cursor := func(pos int, bias Bias) Cursor {
		t.Helper()
		c, err := body(a).Cursor(pos, bias)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	left, right := cursor(5, BiasLeft), cursor(5, BiasRight)
	first, last := cursor(0, BiasLeft), cursor(11, BiasRight)
	inside := cursor(8, BiasLeft)

	b.update(t, func(tx *Tx) {
		tx.List("docs").Insert(0, "before")
		x := tx.List("docs").Map(1).Text("body")
		x.Insert(5, ", dear")
		x.Insert(0, ">")
		x.Append("!")
	})
	a.update(t, func(tx *Tx) { tx.List("docs").Map(0).Text("body").Delete(6, 5) })
	meet(t, all...)
	wantJSON(t, `{"docs":["before",{"body":">hello, dear !"}]}`, all...)
	for _, test := range []struct {
		name string
		c    Cursor
		want int
	}{{"left", left, 6}, {"right", right, 12}, {"first", first, 0}, {"last", last, 14}, {"inside", inside, 13}} {
		for _, d := range all {
			keys, pos, err := d.state.Resolve(test.c)
			if err != nil || FormatPointer(keys) != "docs/1/body" || pos != test.want {
				t.Errorf("%s: %q %d %v, want %d", test.name, keys, pos, err, test.want)
			}
			if pos, err := d.state.List("docs").Map(1).Text("body").Resolve(test.c); err != nil || pos != test.want {
				t.Errorf("%s: %d %v, want %d", test.name, pos, err, test.want)
			}
		}
	}

	if _, err := body(a).Cursor(1, BiasLeft); !errors.Is(err, ErrRange) {
		t.Errorf("a cursor in a text that does not stand: %v", err)
	}
	if _, err := body(a).Cursor(0, BiasLeft); !errors.Is(err, ErrNotThere) {
		t.Errorf("a cursor in a text that does not stand: %v", err)
	}
	if _, err := a.state.Text("other").Resolve(left); !errors.Is(err, ErrNotThere) {
		t.Errorf("resolved in another text: %v", err)
	}
	if _, _, err := a.state.Resolve(Cursor{}); !errors.Is(err, ErrNotThere) {
		t.Errorf("the zero cursor: %v", err)
	}
	b.update(t, func(tx *Tx) { tx.List("docs").Insert(0, "more") })
	ahead, err := b.state.List("docs").Cursor(1, BiasRight)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.state.Resolve(ahead); !errors.Is(err, ErrAhead) {
		t.Errorf("resolved before the changes came: %v", err)
	}
	meet(t, all...)
	if got := a.resolve(t, ahead); got != 1 {
		t.Errorf("in the list: %d", got)
	}
	a.update(t, func(tx *Tx) {
		if _, err := tx.Text("other").Cursor(0, BiasLeft); !errors.Is(err, ErrTx) {
			t.Errorf("a cursor during a transaction: %v", err)
		}
		tx.List("docs").Delete(2, 1)
	})
	if _, _, err := a.state.Resolve(left); !errors.Is(err, ErrNotThere) {
		t.Errorf("resolved in a deleted text: %v", err)
	}
}

// TestCursorStays: wherever others insert and delete, a cursor stays next to the code point it belongs to, on every
// device the same.
func TestCursorStays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := newDevices(3)
		next := 'a'
		type held struct {
			Cursor
			beside rune // 0: an end
		}
		var cursors []held
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			d := rapid.SampledFrom(all).Draw(t, "device")
			if rapid.IntRange(0, 3).Draw(t, "meet") == 0 {
				d.take(t, rapid.SampledFrom(all).Filter(func(o *device) bool { return o != d }).Draw(t, "from"))
			}
			d.update(t, func(tx *Tx) {
				for range rapid.IntRange(1, 3).Draw(t, "edits") {
					x := tx.Text("t")
					if n := x.Len(); n > 0 && rapid.IntRange(0, 2).Draw(t, "delete") == 0 {
						at := rapid.IntRange(0, n-1).Draw(t, "at")
						x.Delete(at, rapid.IntRange(1, min(3, n-at)).Draw(t, "n"))
						continue
					}
					n := rune(rapid.IntRange(1, 3).Draw(t, "n"))
					x.Insert(rapid.IntRange(0, x.Len()).Draw(t, "at"), string([]rune{next, next + 1, next + 2}[:n]))
					next += n
				}
			})
			text := []rune(d.state.Text("t").String())
			pos := rapid.IntRange(0, len(text)).Draw(t, "cursor")
			for _, bias := range []Bias{BiasLeft, BiasRight} {
				c, err := d.state.Text("t").Cursor(pos, bias)
				if err != nil {
					t.Fatalf("%v", err)
				}
				h := held{Cursor: c}
				if i := pos - 1 + int(bias); i >= 0 && i < len(text) {
					h.beside = text[i]
				}
				cursors = append(cursors, h)
			}
		}
		meet(t, all...)
		text := all[0].state.Text("t").String()
		for _, h := range cursors {
			got := all[0].resolve(t, h.Cursor)
			decoded, err := DecodeCursor(h.Cursor.AppendTo(nil))
			if err != nil {
				t.Fatalf("%v", err)
			}
			for _, d := range all[1:] {
				if other := d.resolve(t, decoded); other != got {
					t.Fatalf("%v: %d on one device, %d on another", h.Cursor, got, other)
				}
			}
			i := strings.IndexRune(text, h.beside)
			want := len([]rune(text[:max(i, 0)]))
			switch {
			case h.beside == 0 && h.Bias() == BiasRight:
				want = len([]rune(text))
			case h.beside == 0:
				want = 0
			case i < 0:
				continue
			case h.Bias() == BiasLeft:
				want++
			}
			if got != want {
				t.Fatalf("%v, beside %q: %d in %q, want %d", h.Cursor, h.beside, got, text, want)
			}
		}
	})
}

// fixtureCursor is in a text below a map that was written again, below a list.
func fixtureCursor(t testing.TB) (*device, Cursor) {
	d := newDevice(0)
	d.update(t, func(tx *Tx) { tx.Map("m").List("l").InsertText(0).Append("x") })
	d.update(t, func(tx *Tx) { tx.Map("m").Delete("l") })
	d.update(t, func(tx *Tx) { tx.Map("m").List("l").InsertText(0).Append("abc") })
	c, err := d.state.Map("m").List("l").Text(0).Cursor(2, BiasRight)
	if err != nil {
		t.Fatal(err)
	}
	return d, c
}

func TestCursorCodec(t *testing.T) {
	d, c := fixtureCursor(t)
	text, err := c.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	var back Cursor
	if err := back.UnmarshalText(text); err != nil {
		t.Fatal(err)
	}
	if got := d.resolve(t, back); got != 2 || back.String() != c.String() || back.Kind() != Text {
		t.Errorf("%v came back as %v, at %d", c, back, got)
	}
	if text, err := (Cursor{}).MarshalText(); len(text) > 0 || err != nil || back.UnmarshalText(nil) != nil || !back.IsZero() {
		t.Errorf("the zero cursor: %q, %v, back as %v", text, err, back)
	}

	whole := c.AppendTo(nil)
	for n := range whole {
		if _, err := DecodeCursor(whole[:n]); !errors.Is(err, ErrCursor) {
			t.Errorf("the first %d bytes: %v", n, err)
		}
	}
	bad := map[string]func(c *Cursor){
		"position":     func(c *Cursor) { c.pos = MaxPosition + 1 },
		"bias":         func(c *Cursor) { c.bias = 2 },
		"kind":         func(c *Cursor) { c.path[2].Kind = Map },
		"unknown kind": func(c *Cursor) { c.path[2].Kind = 99 },
		"below a text": func(c *Cursor) { c.path[0].Kind = Text },
		"no path":      func(c *Cursor) { c.path = nil },
		"long key":     func(c *Cursor) { c.path[0].Key = strings.Repeat("k", MaxKeyBytes+1) },
		"key in list":  func(c *Cursor) { c.path[2].Elem = Dot{} },
		"seq 0":        func(c *Cursor) { c.version[0].Seq = 0 },
		"deep": func(c *Cursor) {
			for range MaxDepth {
				c.path = append(Path{{Key: "k", Kind: Map}}, c.path...)
			}
		},
	}
	for name, spoil := range bad {
		spoilt := c
		spoilt.path, spoilt.version = append(Path(nil), c.path...), append(Version(nil), c.version...)
		spoil(&spoilt)
		if _, err := DecodeCursor(spoilt.AppendTo(nil)); !errors.Is(err, ErrCursor) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := DecodeCursor(append(bytes.Clone(whole), 0)); !errors.Is(err, ErrCursor) {
		t.Errorf("with a byte behind it: %v", err)
	}
	if err := back.UnmarshalText([]byte("%")); !errors.Is(err, ErrCursor) {
		t.Errorf("no base64: %v", err)
	}
}

// FuzzDecodeCursor: what is accepted is what would have been written, and resolving it does no harm.
func FuzzDecodeCursor(f *testing.F) {
	d, c := fixtureCursor(f)
	f.Add(c.AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeCursor(b)
		if err != nil {
			return
		}
		if again := c.AppendTo(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x was written as %x", b, again)
		}
		if _, pos, err := d.state.Resolve(c); err == nil && (pos < 0 || pos > 3) {
			t.Fatalf("%v at %d", c, pos)
		}
	})
}
