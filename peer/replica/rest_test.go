package replica_test

import (
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/peer/replica"
)

// TestRest: a replica that takes in nothing for a while gives memory back, and goes on as before.
func TestRest(t *testing.T) {
	d := start(t, "a", replica.Limits{})
	const seed, now = 11, 1_000_000
	r := rand.New(rand.NewPCG(seed, 12))
	for range 10 {
		if _, err := d.r.Commit(now, func(tx *crdt.Tx) error {
			for range 400 {
				text := tx.Text("notes")
				text.Insert(r.IntN(text.Len()+1), strings.Repeat("wörld", 1+r.IntN(150)))
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		quiet(t, d)
	}
	heap := func() int {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	want := d.r.State().Text("notes").String()
	ticks := func(from, to int64) int {
		for at := from; at < to; at += 1000 {
			d.r.Tick(now + at)
			quiet(t, d)
		}
		return heap()
	}
	active := ticks(0, 29_000)
	rested := ticks(29_000, 40_000)
	runtime.KeepAlive(d)
	if saved := active - rested; saved < len(want)/8 {
		t.Errorf("rest gave back %d bytes of %d for a text of %d (seed %d)", saved, active, len(want), seed)
	}
	if _, err := d.r.Commit(now+50_000, func(tx *crdt.Tx) error { tx.Text("notes").Insert(0, "!"); return nil }); err != nil {
		t.Fatal(err)
	}
	if got := d.r.State().Text("notes").String(); got != "!"+want {
		t.Errorf("a text of %d, want %d", len(got), len(want)+1)
	}
}
