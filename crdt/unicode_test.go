package crdt

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

// FuzzUnicode edits a text by code points and by UTF-16 offsets, in and out of range and inside surrogate pairs, with
// characters of every plane, combining ones and halves of surrogate pairs, in transactions that are committed or
// taken back, while another device does the same. The text must be what a slice of runes would be, lengths and
// offsets those of package utf16, and what is no text refused.
func FuzzUnicode(f *testing.F) {
	for seed := range uint64(48) {
		r := rand.New(rand.NewPCG(seed, 0))
		data := make([]byte, 40+r.IntN(400))
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		all := newDevices(2)
		models := [2]*textModel{{t: t, in: &data}, {t: t, in: &data}}
		for turns := 0; len(data) > 0 && turns < 60; turns++ {
			i := turns % 2
			switch models[i].byte() % 5 {
			case 0: // the two meet, and go on from what both have
				meet(t, all...)
				for i, m := range models {
					m.text = []rune(all[i].state.Text("t").String())
					m.check(all[i].state.Text("t"))
				}
			default:
				models[i].transact(all[i])
			}
		}
		meet(t, all...)
		for _, d := range all {
			if text := d.state.Text("t").String(); !utf8.ValidString(text) {
				t.Fatalf("%q is not UTF-8", text)
			}
			if got, want := d.clone().describe(), d.state.describe(); got != want {
				t.Fatalf("replayed from the log\n%s, built up\n%s", got, want)
			}
		}
	})
}

// textModel is a text as a slice of runes, edited as the bytes of in say.
type textModel struct {
	t    *testing.T
	in   *[]byte
	text []rune
}

// byte returns the next byte of the input, 0 at its end.
func (m *textModel) byte() int {
	if len(*m.in) == 0 {
		return 0
	}
	b := (*m.in)[0]
	*m.in = (*m.in)[1:]
	return int(b)
}

// upTo returns a number from 0 to n, which may be more than a byte holds.
func (m *textModel) upTo(n int) int { return (m.byte()<<8 | m.byte()) % (n + 1) }

// someText returns a text, and which half of a surrogate pair is in it as if it were a character, 0 if none is.
func (m *textModel) someText() (s string, half rune) {
	var b strings.Builder
	for range 1 + m.byte()%4 {
		r := rune(m.byte()%17<<16 | m.byte()<<8 | m.byte()) // of any plane
		switch m.byte() % 6 {
		case 0:
			r = rune(' ' + r%95)
		case 1: // what goes together with its neighbours: accents, joiners, variation selectors, skin colours
			joined := []rune{0x300, 0x301, 0x345, 0x36f, 0x20d0, 0x200d, 0x200c, 0xfe0e, 0xfe0f, 0x1f3fb, 0x1f3ff, 0xe0020, 0x1f1e6, 0x1100, 0x1161, 0x202e}
			r = joined[int(r)%len(joined)]
		case 2:
			r = []rune{0, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xfeff, 0xfffd, 0xffff, 0x10000, 0x10ffff, 0xd800, 0xdbff, 0xdc00, 0xdfff}[r%16]
		}
		if utf16.IsSurrogate(r) {
			if half == 0 {
				half = r
			}
			b.Write([]byte{0xed, 0x80 | byte(r>>6&0x3f), 0x80 | byte(r&0x3f)})
			continue
		}
		b.WriteRune(r)
	}
	s = b.String()
	if half == 0 && m.byte()%16 == 0 {
		s = strings.Repeat(s, 100) // longer than a leaf of the rope
	}
	return s, half
}

// transact makes a transaction of a few edits on d and checks the text after each, and that the first
// edit that is refused takes all of them back.
func (m *textModel) transact(d *device) {
	before := slices.Clone(m.text)
	was := d.state.describe()
	d.clock++
	tx := d.state.Begin(d.actor, d.clock)
	var refused *refusal
	for range 1 + m.byte()%4 {
		if refused = m.edit(&tx); refused != nil {
			break
		}
		m.check(&tx.Text("t").TextView)
	}
	takenBack := refused != nil
	if refused == nil && m.byte()%8 == 0 {
		tx.Rollback()
		takenBack = true
	} else {
		a, ev, ok, err := tx.Commit()
		switch {
		case refused == nil && err != nil:
			m.t.Fatalf("refused: %v", err)
		case refused != nil && (err == nil || refused.is != nil && !errors.Is(err, refused.is) || !strings.Contains(err.Error(), refused.says)):
			m.t.Fatalf("refused with %v, want one that says %q", err, refused.says)
		case ok:
			d.committed(a, ev)
		}
	}
	if takenBack {
		m.text = before
		if got := d.state.describe(); got != was {
			m.t.Fatalf("left\n%s, before it was\n%s", got, was)
		}
	}
	m.check(d.state.Text("t"))
}

// refusal is what the error of an edit must be and say.
type refusal struct {
	is   error
	says string
}

// edit makes one edit in tx and in the model, or returns how it must be refused.
func (m *textModel) edit(tx *Tx) *refusal {
	h := tx.Text("t")
	n, units := len(m.text), len(utf16.Encode(m.text))
	switch m.byte() % 7 {
	case 0, 1:
		pos := m.upTo(n + n/50)
		s, half := m.someText()
		h.Insert(pos, s)
		return m.inserted(pos, pos <= n, s, half)
	case 2, 3:
		offset := m.upTo(units + units/50)
		s, half := m.someText()
		h.InsertUTF16(offset, s)
		pos, refused := m.ofUTF16(offset)
		if refused != nil {
			return refused
		}
		return m.inserted(pos, true, s, half)
	case 4:
		pos, k := m.upTo(n), m.upTo(n/2)
		h.Delete(pos, k)
		if k > n-pos {
			return &refusal{ErrRange, "delete"}
		}
		m.text = slices.Delete(m.text, pos, pos+k)
	case 5:
		offset, k := m.upTo(units), m.upTo(units/2)
		h.DeleteUTF16(offset, k)
		from, refused := m.ofUTF16(offset)
		if refused != nil {
			return refused
		}
		to, refused := m.ofUTF16(offset + k)
		if refused != nil {
			return refused
		}
		m.text = slices.Delete(m.text, from, to)
	case 6:
		s, half := m.someText()
		h.Set(s)
		if half != 0 {
			return &refusal{nil, fmt.Sprintf("surrogate pair, %U", half)}
		}
		m.text = []rune(s)
	}
	return nil
}

// inserted inserts s in the model, as an edit did that must be refused if s has half of a pair or
// its place is not in the text.
func (m *textModel) inserted(pos int, inside bool, s string, half rune) *refusal {
	switch {
	case half != 0:
		return &refusal{nil, fmt.Sprintf("not UTF-8: half of a surrogate pair, %U", half)}
	case !inside:
		return &refusal{ErrRange, "insert"}
	}
	m.text = slices.Insert(m.text, pos, []rune(s)...)
	return nil
}

// ofUTF16 returns the position of the model's code point at an offset, or how that must be refused.
func (m *textModel) ofUTF16(offset int) (int, *refusal) {
	for pos := 0; ; pos++ {
		switch {
		case offset == 0:
			return pos, nil
		case offset < 0:
			return 0, &refusal{ErrRange, "inside a surrogate pair"}
		case pos == len(m.text):
			return 0, &refusal{ErrRange, "UTF-16 offset"}
		}
		offset -= utf16.RuneLen(m.text[pos])
	}
}

// check compares what v shows with the model, and offsets with each other: all of a short text, some of a long one.
func (m *textModel) check(v *TextView) {
	m.t.Helper()
	text := v.String()
	if want := string(m.text); text != want {
		m.t.Fatalf("the text is %.200q, want %.200q", text, want)
	}
	if !utf8.ValidString(text) {
		m.t.Fatalf("%q is not UTF-8", text)
	}
	units := utf16.Encode(m.text)
	if v.Len() != len(m.text) || v.LenUTF16() != len(units) {
		m.t.Fatalf("%d code points in %d units, want %d in %d", v.Len(), v.LenUTF16(), len(m.text), len(units))
	}
	offset := 0
	for pos, r := range m.text {
		if pos%(1+len(m.text)/200) != 0 {
			offset += utf16.RuneLen(r)
			continue
		}
		if got := v.UTF16OfRune(pos); got != offset {
			m.t.Fatalf("position %d is at UTF-16 offset %d, want %d", pos, got, offset)
		}
		for range utf16.RuneLen(r) {
			if got := v.RuneOfUTF16(offset); got != pos {
				m.t.Fatalf("UTF-16 offset %d is in position %d, want %d", offset, got, pos)
			}
			offset++
		}
	}
	if v.UTF16OfRune(len(m.text)) != offset || v.RuneOfUTF16(offset) != len(m.text) {
		m.t.Fatalf("the end is at UTF-16 offset %d and position %d, want %d and %d",
			v.UTF16OfRune(len(m.text)), v.RuneOfUTF16(offset), offset, len(m.text))
	}
}

// Half of a surrogate pair is called by its name wherever text comes from programs whose strings are UTF-16.
func TestSurrogateHalves(t *testing.T) {
	for doc, says := range map[string]string{
		`{"t":"a\ud83db"}`:              `\ud83d, at byte 7`,
		`{"t":"\ud83d"}`:                `\ud83d, at byte 6`,
		`{"t":"\uDE00\uD83D"}`:          `\uDE00, at byte 6`,
		`{"t":"\ud83d\n\ude00"}`:        `\ud83d, at byte 6`,
		`{"t":"\ud83d\ud83d\ude00"}`:    `\ud83d, at byte 6`,
		`{"\udc00":1}`:                  `\udc00, at byte 2`,
		`{"t":"\ud83d\ude00"}`:          "",
		`{"t":"\\ud83d \\\\ud83d \u1"}`: "invalid",
		`{"t":"\\ud83d \\\\ud83d"}`:     "",
		`{"t":"\uffff\ud7ff\ue000"}`:    "",
		`["\\"]`:                        "",
	} {
		v, err := ParseJSON([]byte(doc))
		if says == "" {
			if err != nil || strings.Contains(v.String(), "\ufffd") {
				t.Errorf("%s: %s, %v", doc, v, err)
			}
			continue
		}
		if !errors.Is(err, ErrValue) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: error %v, want one that says %q", doc, err, says)
		}
	}
	for s, says := range map[string]string{
		"ab\xed\xa0\xbdc":  "half of a surrogate pair, U+D83D, at byte 2",
		"\xed\xbf\xbf":     "U+DFFF, at byte 0",
		"\xed\xa0":         "byte 0xed at 0",
		"é\xff":            "byte 0xff at 2",
		"\xed\x9f\xbf\x80": "byte 0x80 at 3",
	} {
		if got := notUTF8(s); !strings.Contains(got, says) {
			t.Errorf("%q: %s, want %q", s, got, says)
		}
	}
}
