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

// BenchmarkList edits a list of 100,000 elements anywhere: by transactions of a thousand ops, by changes of one op, which
// are encoded and hashed, and by applying such changes of somebody else. None tell what happened.
func BenchmarkList(b *testing.B) {
	// anew is the number of edits after which the list is built anew, so that it stays about as long.
	const anew = 20_000
	for _, edit := range []struct {
		name string
		do   func(l *TxList, r *rand.Rand)
	}{
		{"insert", func(l *TxList, r *rand.Rand) { l.Insert(r.IntN(l.Len()+1), 7) }},
		{"move", func(l *TxList, r *rand.Rand) { l.Move(r.IntN(l.Len()), r.IntN(l.Len())) }},
		{"delete", func(l *TxList, r *rand.Rand) { l.Delete(r.IntN(l.Len()), 1) }},
		{"set", func(l *TxList, r *rand.Rand) { l.Set(r.IntN(l.Len()), 7) }},
	} {
		// commit makes a change of n edits on d.
		commit := func(b *testing.B, d *device, r *rand.Rand, n int) Accepted {
			tx := d.state.BeginQuietly(d.actor, 2000)
			l := tx.List("l")
			for range n {
				edit.do(l, r)
			}
			a, _, _, err := tx.Commit()
			if err != nil {
				b.Fatal(err)
			}
			return a
		}
		author := func(size int) func(b *testing.B) {
			return func(b *testing.B) {
				b.ReportAllocs()
				r := rand.New(rand.NewPCG(1, 2))
				var d *device
				for done := 0; done < b.N; done += size {
					if done%anew == 0 {
						b.StopTimer()
						d = scatteredList(b, r)
						b.StartTimer()
					}
					commit(b, d, r, min(size, b.N-done))
				}
			}
		}
		b.Run(edit.name+"/op", author(1000))
		b.Run(edit.name+"/change", author(1))
		b.Run(edit.name+"/apply", func(b *testing.B) {
			b.ReportAllocs()
			r := rand.New(rand.NewPCG(1, 2))
			for done := 0; done < b.N; done += anew {
				b.StopTimer()
				d := scatteredList(b, r)
				s := d.clone()
				var log []Accepted
				for range min(anew, b.N-done) {
					log = append(log, commit(b, d, r, 1))
				}
				b.StartTimer()
				for _, a := range log {
					s.ApplyQuietly(a)
				}
			}
		})
	}
}
