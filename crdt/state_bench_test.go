package crdt

import (
	"fmt"
	"testing"
)

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
