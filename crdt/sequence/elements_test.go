package sequence_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/sequence"
)

// listModel is a list as a slice.
type listModel struct {
	elems sequence.Elements
	want  []causal.LV
	next  causal.LV
	gone  []causal.Span // deleted, and free to come back, as when a transaction is undone
}

func (m *listModel) insert(pos, n int) {
	m.put(pos, causal.Span{Start: m.next, End: m.next + causal.LV(n)})
	m.next += causal.LV(n)
}

func (m *listModel) put(pos int, s causal.Span) {
	m.elems.Insert(pos, s.Start, s.Len())
	var lvs []causal.LV
	for lv := s.Start; lv < s.End; lv++ {
		lvs = append(lvs, lv)
	}
	m.want = slices.Insert(m.want, pos, lvs...)
}

func (m *listModel) remove(t rapid.TB, pos, n int) {
	got := m.elems.Delete(pos, n, nil)
	var lvs []causal.LV
	for _, s := range got {
		for lv := s.Start; lv < s.End; lv++ {
			lvs = append(lvs, lv)
		}
	}
	if !slices.Equal(lvs, m.want[pos:pos+n]) {
		t.Fatalf("delete %d at %d: got %v, want %v", n, pos, got, m.want[pos:pos+n])
	}
	m.want = slices.Delete(m.want, pos, pos+n)
	m.gone = append(m.gone, got...)
}

// move takes one element out and puts it back at a position counted without it.
func (m *listModel) move(t rapid.TB, from, to int) {
	m.remove(t, from, 1)
	last := len(m.gone) - 1
	s := m.gone[last]
	m.gone = m.gone[:last]
	m.put(to, s)
}

// relocate does the same at once.
func (m *listModel) relocate(from, to int) {
	m.elems.Move(from, to)
	lv := m.want[from]
	m.want = slices.Insert(slices.Delete(m.want, from, from+1), to, lv)
}

func (m *listModel) check(t rapid.TB) {
	var got []causal.LV
	for s := range m.elems.Spans {
		for lv := s.Start; lv < s.End; lv++ {
			got = append(got, lv)
		}
	}
	if !slices.Equal(got, m.want) || m.elems.Len() != len(m.want) {
		t.Fatalf("%d elements, got %v, want %v", m.elems.Len(), got, m.want)
	}
	for pos, lv := range m.want {
		if got := m.elems.At(pos); got != lv {
			t.Fatalf("element %d is %d, want %d", pos, got, lv)
		}
		if got := m.elems.Reach(pos); got != lv {
			t.Fatalf("element %d is reached at %d, want %d", pos, got, lv)
		}
		if got, ok := m.elems.Index(lv); !ok || got != pos {
			t.Fatalf("%d is at %d, %v, want %d", lv, got, ok, pos)
		}
	}
	for _, s := range m.gone {
		if got, ok := m.elems.Index(s.Start); ok {
			t.Fatalf("%d was deleted and is at %d", s.Start, got)
		}
	}
	if got, ok := m.elems.Index(m.next); ok {
		t.Fatalf("%d was never inserted and is at %d", m.next, got)
	}
}

func TestElements(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m listModel
		t.Repeat(map[string]func(*rapid.T){
			"insert": func(t *rapid.T) {
				m.insert(rapid.IntRange(0, len(m.want)).Draw(t, "pos"), rapid.IntRange(1, 5).Draw(t, "n"))
			},
			"append": func(*rapid.T) { m.insert(len(m.want), 1) },
			"skip":   func(*rapid.T) { m.next += 3 },
			"delete": func(t *rapid.T) {
				pos := rapid.IntRange(0, len(m.want)).Draw(t, "pos")
				m.remove(t, pos, rapid.IntRange(0, len(m.want)-pos).Draw(t, "n"))
			},
			"move": func(t *rapid.T) {
				if len(m.want) > 0 {
					m.move(t, rapid.IntRange(0, len(m.want)-1).Draw(t, "from"), rapid.IntRange(0, len(m.want)-1).Draw(t, "to"))
				}
			},
			"relocate": func(t *rapid.T) {
				if len(m.want) > 0 {
					m.relocate(rapid.IntRange(0, len(m.want)-1).Draw(t, "from"), rapid.IntRange(0, len(m.want)-1).Draw(t, "to"))
				}
			},
			"undo": func(t *rapid.T) {
				if len(m.gone) > 0 {
					i := rapid.IntRange(0, len(m.gone)-1).Draw(t, "gone")
					m.put(rapid.IntRange(0, len(m.want)).Draw(t, "pos"), m.gone[i])
					m.gone = slices.Delete(m.gone, i, i+1)
				}
			},
			"": func(t *rapid.T) { m.check(t) },
		})
	})
}

// TestElementsLarge does the same at a size where the tree has several levels, growing and shrinking.
func TestElementsLarge(t *testing.T) {
	const seed = 3
	r := rand.New(rand.NewPCG(seed, 4))
	var m listModel
	for phase, grow := range []int{9, 3, 8, 1} {
		for step := range 6000 {
			pos := r.IntN(len(m.want) + 1)
			if r.IntN(10) < grow {
				m.insert(pos, 1+r.IntN(3))
			} else {
				m.remove(t, pos, min(1+r.IntN(4), len(m.want)-pos))
			}
			if step%2000 == 1999 {
				m.check(t)
			}
		}
		m.gone = m.gone[:min(len(m.gone), 1000)]
		t.Logf("phase %d, seed %d: %d elements", phase, seed, len(m.want))
	}
	m.remove(t, 0, len(m.want))
	m.check(t)
	m.insert(0, 4)
	m.check(t)
}

// TestElementsMove moves the elements of one long run about, and back to where they were: then they are one run again.
func TestElementsMove(t *testing.T) {
	const n, seed = 5000, 9
	r := rand.New(rand.NewPCG(seed, 10))
	var m listModel
	m.insert(0, n)
	for step := range 4000 {
		m.move(t, r.IntN(n), r.IntN(n))
		m.relocate(r.IntN(n), r.IntN(n))
		if step%1000 == 999 {
			m.check(t)
		}
	}
	for i := range causal.LV(n) {
		if at, _ := m.elems.Index(i); at != int(i) && i%2 == 0 {
			m.relocate(at, int(i))
		} else if at != int(i) {
			m.move(t, at, int(i))
		}
	}
	m.check(t)
	var spans []causal.Span
	for s := range m.elems.Spans {
		spans = append(spans, s)
	}
	if len(spans) != 1 {
		t.Errorf("seed %d: %d spans: %v", seed, len(spans), spans[:2])
	}
}
