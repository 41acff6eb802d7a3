package replica_test

import (
	"crypto/ed25519"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
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

// faultyLog is a log on a disk that may fail.
type faultyLog struct {
	*replica.MemoryLog
	err error
}

func (l *faultyLog) Changes(span causal.Span, yield func(crdt.Accepted) bool) error {
	if l.err != nil {
		return l.err
	}
	return l.MemoryLog.Changes(span, yield)
}

// TestRestOnAFailingDisk: whoever writes at a version whose hash is at rest while the log cannot be read gets an error,
// nothing has happened, and once the log can be read the write goes through.
func TestRestOnAFailingDisk(t *testing.T) {
	d := newDevice("a", replica.Limits{})
	log := &faultyLog{MemoryLog: d.log}
	r, err := replica.New(replica.Config{Store: d.store, Device: d.id, Actor: d.actor, Log: log,
		Sign: func(msg []byte) []byte { return ed25519.Sign(d.key, msg) }})
	if err != nil {
		t.Fatal(err)
	}
	d.r = r
	var early crdt.Version
	for i := range 200 {
		if _, err := r.Commit(1, func(tx *crdt.Tx) error { tx.Text("notes").Append("x"); return nil }); err != nil {
			t.Fatal(err)
		}
		if i == 99 {
			early = r.State().Version()
		}
	}
	quiet(t, d)
	for at := int64(0); at < 40_000; at += 1000 {
		r.Tick(1 + at)
		quiet(t, d)
	}
	log.err = errors.New("the disk is gone")
	before, actor := r.Digest(), d.newActor()
	ops := []crdt.Op{{Code: crdt.CodeTextInsert, Path: crdt.Path{{Key: "notes", Kind: crdt.Text}}, Len: 1, Text: "y"}}
	if _, err := r.CommitOps(50_000, early, actor, ops); err == nil {
		t.Error("a change was made without the hash of what it builds on")
	}
	if r.Digest() != before || r.HasReady() {
		t.Error("something has happened")
	}
	log.err = nil
	if _, err := r.CommitOps(50_000, early, actor, ops); err != nil {
		t.Fatal(err)
	}
	quiet(t, d)
	if got := r.State().Text("notes").Len(); got != 201 {
		t.Errorf("a text of %d", got)
	}
}
