package crdt

import (
	"fmt"
	"testing"
)

// typing returns a device that has typed n characters, one a change, into a text below a map.
func typing(b *testing.B, n int) *device {
	d := newDevice(0)
	for i := range n {
		tx := d.state.Begin(d.actor, int64(i))
		tx.Map("doc").Text("body").Insert(i, "x")
		a, _, _, err := tx.Commit()
		if err != nil {
			b.Fatal(err)
		}
		d.log = append(d.log, a)
	}
	return d
}

func BenchmarkCommitTyped(b *testing.B) {
	b.ReportAllocs()
	typing(b, b.N)
}

func BenchmarkApplyTyped(b *testing.B) {
	d := typing(b, b.N)
	b.ReportAllocs()
	b.ResetTimer()
	s := NewState(d.Chains)
	for _, a := range d.log {
		s.Apply(a)
	}
}

func BenchmarkApplyQuietlyTyped(b *testing.B) {
	d := typing(b, b.N)
	b.ReportAllocs()
	b.ResetTimer()
	s := NewState(d.Chains)
	for _, a := range d.log {
		s.ApplyQuietly(a)
	}
}

// BenchmarkApplyPut applies puts of 8 fields in each of 1,000 objects, one a change.
func BenchmarkApplyPut(b *testing.B) {
	d := newDevice(0)
	for i := range b.N {
		tx := d.state.Begin(d.actor, int64(i))
		tx.Map("todos").Map(fmt.Sprint(i%1000)).Put(fmt.Sprint(i/1000%8), i)
		a, _, _, err := tx.Commit()
		if err != nil {
			b.Fatal(err)
		}
		d.log = append(d.log, a)
	}
	b.ReportAllocs()
	b.ResetTimer()
	s := NewState(d.Chains)
	for _, a := range d.log {
		s.Apply(a)
	}
}
