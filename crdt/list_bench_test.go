package crdt

import (
	"math/rand/v2"
	"testing"
)

// benchmarkedList is the number of elements of the list that BenchmarkList edits.
const benchmarkedList = 100_000

// scatteredList returns a device with a List "l" whose elements were inserted one by one, anywhere, so that hardly
// any two neighbours came together.
func scatteredList(b *testing.B, r *rand.Rand) *device {
	d := newDevice(0)
	d.update(b, func(tx *Tx) {
		l := tx.List("l")
		for i := range benchmarkedList {
			l.Insert(r.IntN(i+1), i)
		}
	})
	return d
}

// BenchmarkList edits a list of 100,000 elements anywhere: as ops of transactions of a thousand, as changes of
// their own, encoded and hashed, and as changes of somebody else.
func BenchmarkList(b *testing.B) {
	edits := []struct {
		name string
		do   func(l *TxList, r *rand.Rand)
	}{
		{"insert", func(l *TxList, r *rand.Rand) { l.Insert(r.IntN(l.Len()+1), 7) }},
		{"move", func(l *TxList, r *rand.Rand) { l.Move(r.IntN(l.Len()), r.IntN(l.Len())) }},
		{"delete", func(l *TxList, r *rand.Rand) { l.Delete(r.IntN(l.Len()), 1) }},
		{"set", func(l *TxList, r *rand.Rand) { l.Set(r.IntN(l.Len()), 7) }},
	}
	paths := []struct {
		name string
		size int // ops of a change
	}{{"op", 1000}, {"change", 1}}
	// anew is the number of edits after which the list is built anew, so that it stays about as long.
	const anew = 20_000
	for _, edit := range edits {
		for _, path := range paths {
			b.Run(edit.name+"/"+path.name, func(b *testing.B) {
				b.ReportAllocs()
				r := rand.New(rand.NewPCG(1, 2))
				var d *device
				for done := 0; done < b.N; {
					if done%anew == 0 {
						b.StopTimer()
						d = scatteredList(b, r)
						b.StartTimer()
					}
					tx := d.state.Begin(d.actor, int64(2000+done))
					l := tx.List("l")
					for range min(path.size, b.N-done) {
						edit.do(l, r)
						done++
					}
					if _, _, _, err := tx.Commit(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		b.Run(edit.name+"/apply", func(b *testing.B) {
			b.ReportAllocs()
			r := rand.New(rand.NewPCG(1, 2))
			for done := 0; done < b.N; {
				b.StopTimer()
				d := scatteredList(b, r)
				s := d.clone()
				from := len(d.log)
				for range min(anew, b.N-done) {
					d.update(b, func(tx *Tx) { edit.do(tx.List("l"), r) })
					done++
				}
				b.StartTimer()
				for _, a := range d.log[from:] {
					s.Apply(a)
				}
			}
		})
	}
}
