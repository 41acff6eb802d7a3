package crdt

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// markedDevice returns a device with a text of 100,000 characters and as many marks, of five names.
func markedDevice(b *testing.B, marks int) *device {
	r := rand.New(rand.NewPCG(1, 2))
	d := newDevice(0)
	d.update(b, func(tx *Tx) {
		x := tx.Text("t")
		x.Append(strings.Repeat("lorem ipsum dolor sit amet ", 100_000/27))
		for i := range marks {
			from := r.IntN(x.Len() - 40)
			name := [...]string{MarkBold, MarkItalic, MarkCode, MarkLink, MarkStrike}[i%5]
			x.Mark(from, from+1+r.IntN(40), name, i%3 == 0, GrowEnd)
		}
	})
	return d
}

// BenchmarkTypingMarked types characters, each a change, into a text of 100 kB with marks: alone, and reading all
// marks after each.
func BenchmarkTypingMarked(b *testing.B) {
	for _, marks := range []int{0, 10, 1000} {
		for _, read := range []bool{false, true} {
			b.Run(fmt.Sprintf("%d/read=%v", marks, read), func(b *testing.B) {
				d := markedDevice(b, marks)
				v := d.state.Text("t")
				pos := 50_000
				b.ReportAllocs()
				for b.Loop() {
					d.clock++
					tx := d.state.Begin(d.actor, d.clock)
					tx.Text("t").Insert(pos, "x")
					pos++
					if _, _, _, err := tx.Commit(); err != nil {
						b.Fatal(err)
					}
					if read {
						v.Marks()
					}
				}
			})
		}
	}
}

// BenchmarkMark marks a stretch of a text of 100 kB with 1,000 marks, each time as a change, and BenchmarkSpans reads them.
func BenchmarkMark(b *testing.B) {
	d := markedDevice(b, 1000)
	r := rand.New(rand.NewPCG(1, 2))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		d.clock++
		tx := d.state.Begin(d.actor, d.clock)
		from := r.IntN(90_000)
		tx.Text("t").Mark(from, from+20, MarkBold, true, GrowEnd)
		if _, _, _, err := tx.Commit(); err != nil {
			b.Fatal(err)
		}
		if i%1000 == 999 {
			b.StopTimer()
			d = markedDevice(b, 1000)
			b.StartTimer()
		}
	}
}

func BenchmarkSpans(b *testing.B) {
	d := markedDevice(b, 1000)
	v := d.state.Text("t")
	b.ReportAllocs()
	for b.Loop() {
		v.Spans()
	}
}
