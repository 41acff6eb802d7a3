package replica_test

import (
	"container/heap"
	"crypto/ed25519"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/peer/replica"
)

func start(t *testing.T, name string, limits replica.Limits) *device {
	t.Helper()
	d := newDevice(name, limits)
	if err := d.start(); err != nil {
		t.Fatal(err)
	}
	return d
}

// quiet does a device's work and says nothing to anybody.
func quiet(t *testing.T, d *device) {
	t.Helper()
	if err := d.drive(func(causal.Device, bool, []byte) {}); err != nil {
		t.Fatal(err)
	}
}

func TestNewNamesEveryProblem(t *testing.T) {
	_, err := replica.New(replica.Config{Limits: replica.Limits{Window: -1, MaxRecords: 1 << 30}})
	if err == nil {
		t.Fatal("taken")
	}
	for _, field := range []string{"Device", "Sign", "Log", "Window"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%q does not name %s", err, field)
		}
	}
}

// TestCommitIsAllOrNothing: whatever ends a transaction but its success leaves no trace.
func TestCommitIsAllOrNothing(t *testing.T) {
	d := start(t, "a", replica.Limits{})
	if _, err := d.r.Commit(1, write("kept")); err != nil {
		t.Fatal(err)
	}
	quiet(t, d)
	before := frozen(d)
	fault := errors.New("no")
	if _, err := d.r.Commit(2, func(tx *crdt.Tx) error { tx.Counter("n").Add(1); return fault }); !errors.Is(err, fault) {
		t.Errorf("got %v", err)
	}
	if _, err := d.r.Commit(2, func(tx *crdt.Tx) error { tx.Text("notes").Insert(100, "x"); return nil }); err == nil {
		t.Error("an insert beyond the end was taken")
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic did not go on")
			}
		}()
		_, _ = d.r.Commit(2, func(tx *crdt.Tx) error { tx.Counter("n").Add(1); panic("no") })
	}()
	done := make(chan bool)
	go func() {
		defer close(done)
		_, _ = d.r.Commit(2, func(tx *crdt.Tx) error { tx.Counter("n").Add(1); runtime.Goexit(); return nil })
	}()
	<-done
	dot, err := d.r.Commit(2, func(tx *crdt.Tx) error { return nil })
	if err != nil || !dot.IsZero() {
		t.Errorf("no op: %v, %v", dot, err)
	}
	if after := frozen(d); after.digest != before.digest || after.state != before.state || after.ready != before.ready {
		t.Errorf("before %+v\nafter  %+v", before, after)
	}
	if dot, err := d.r.Commit(3, write("!")); err != nil || dot.Seq != 5 {
		t.Errorf("the next change is %v, %v", dot, err)
	}
}

// TestReadyOrder: what leaves, leaves with or after the block it speaks of, and a block is handed over once.
func TestReadyOrder(t *testing.T) {
	w, err := newNetwork(1, 2, false, replica.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.link(0, 1), w.advance(1_000)); err != nil {
		t.Fatal(err)
	}
	d := w.devices[0]
	if _, err := d.r.Commit(w.now, write("x")); err != nil {
		t.Fatal(err)
	}
	rd := d.r.Ready()
	if len(rd.Blocks) != 1 || len(rd.Events) != 1 || len(rd.Messages) != 1 {
		t.Fatalf("got %s", rd)
	}
	if d.r.HasReady() {
		t.Error("there is more before Advance")
	}
	if d.r.Delivery(causal.Dot{Actor: d.actor, Seq: 1}).Stored {
		t.Error("it counts as stored before Advance")
	}
	if err := d.write(rd); err != nil {
		t.Fatal(err)
	}
	d.r.Advance()
	if !d.r.Delivery(causal.Dot{Actor: d.actor, Seq: 1}).Stored {
		t.Error("it does not count as stored after Advance")
	}
	if d.r.HasReady() {
		t.Errorf("still something to do: %s", d.r.Ready())
	}
}

// TestCommitAtAnEarlierVersion: positions mean what that version shows, an own actor writes if it may, and whichever of the three
// ways a change is authored, all replicas and all ways show the same.
func TestCommitAtAnEarlierVersion(t *testing.T) {
	d := start(t, "a", replica.Limits{})
	must := func(dot causal.Dot, err error) causal.Dot {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return dot
	}
	insert := func(pos int, s string) func(*crdt.Tx) error {
		return func(tx *crdt.Tx) error { tx.Text("notes").Insert(pos, s); return nil }
	}
	first := must(d.r.Commit(1, insert(0, "abc")))
	last := must(d.r.Commit(2, insert(3, "def")))
	fresh := d.newActor()
	// The primary actor has gone on: a new one must write.
	second := must(d.r.CommitAt(3, causal.Version{first}, fresh, insert(3, "X")))
	if second.Actor != fresh {
		t.Errorf("%s wrote, not the new actor", second.Actor)
	}
	// Now that actor can go on, both at its own version and at the join of the two.
	third := must(d.r.CommitAt(4, causal.Version{second}, d.newActor(), insert(4, "Y")))
	if third.Actor != fresh {
		t.Errorf("%s wrote, not the pooled actor", third.Actor)
	}
	quiet(t, d)
	fourth := must(d.r.CommitAt(5, version(last, third), d.newActor(), insert(0, ">")))
	if fourth.Actor != d.actor {
		t.Errorf("%s wrote at the heads, not the primary actor", fourth.Actor)
	}
	if got := d.r.State().Text("notes").String(); got != ">abcXYdef" && got != ">abcdefXY" {
		t.Errorf("got %q", got)
	}
	// Ops as a client knows them, at versions of any age.
	op := crdt.Op{Code: crdt.CodeTextInsert, Len: 1, Path: crdt.Path{{Key: "notes", Kind: crdt.Text}}, Pos: 3, Text: "Z"}
	client := d.newActor()
	fifth := must(d.r.CommitOps(6, causal.Version{first}, client, []crdt.Op{op}))
	if fifth.Actor != client || !strings.Contains(d.r.State().Text("notes").String(), "Z") {
		t.Errorf("%s: %s", fifth, d.r.State().JSON())
	}
	for what, try := range map[string]func() (causal.Dot, error){
		"an actor that went on": func() (causal.Dot, error) { return d.r.CommitAs(7, causal.Version{first}, d.actor, insert(0, "?")) },
		"another device's actor": func() (causal.Dot, error) {
			return d.r.CommitAs(7, causal.Version{first}, newDevice("b", replica.Limits{}).actor, insert(0, "?"))
		},
		"ops of an actor that went on": func() (causal.Dot, error) { return d.r.CommitOps(7, causal.Version{first}, d.actor, []crdt.Op{op}) },
	} {
		if _, err := try(); !errors.Is(err, replica.ErrActor) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, v := range map[string]causal.Version{
		"an unknown version":       {{Actor: d.actor, Seq: 1000}},
		"the inside of a change":   {{Actor: d.actor, Seq: 2}},
		"a version without actors": {{Seq: 1}},
	} {
		if _, err := d.r.CommitAt(7, v, d.newActor(), insert(0, "?")); !errors.Is(err, replica.ErrVersion) {
			t.Errorf("at %s: %v", what, err)
		}
		if _, err := d.r.CommitAs(7, v, d.newActor(), insert(0, "?")); !errors.Is(err, replica.ErrVersion) {
			t.Errorf("as, at %s: %v", what, err)
		}
		if _, err := d.r.CommitOps(7, v, d.newActor(), []crdt.Op{op}); !errors.Is(err, replica.ErrVersion) {
			t.Errorf("ops at %s: %v", what, err)
		}
	}
	for what, bad := range map[string]crdt.Op{
		"a length that is not the text's": {Code: op.Code, Len: 2, Path: op.Path, Text: "Z"},
		"no path":                         {Code: op.Code, Len: 1, Text: "Z"},
		"a reserved slice":                {Code: op.Code, Len: 1, Path: crdt.Path{{Key: "live:x", Kind: crdt.Text}}, Text: "Z"},
		"an element nobody inserted": {Code: crdt.CodePut, Len: 1, Path: crdt.Path{{Key: "list", Kind: crdt.List},
			{Elem: causal.Dot{Actor: causal.Actor{Nonce: [8]byte{9}}, Seq: 1}, Kind: crdt.Register}}},
	} {
		before := d.r.Digest()
		if _, err := d.r.CommitOps(8, d.r.State().Version(), d.newActor(), []crdt.Op{bad}); !errors.Is(err, replica.ErrOps) {
			t.Errorf("%s: %v", what, err)
		}
		if d.r.Digest() != before {
			t.Errorf("%s: it was taken", what)
		}
	}
	// Another replica, which gets it all, agrees; and so does this one from its disk.
	quiet(t, d)
	b := start(t, "b", replica.Limits{})
	if err := b.r.StepGossip(d.id, gossiped(t, d), 9); err != nil {
		t.Fatal(err)
	}
	quiet(t, b)
	if a, b := d.r.State(), b.r.State(); a.JSON() != b.JSON() || a.Digest() != b.Digest() {
		t.Errorf("a shows %s, b %s", a.JSON(), b.JSON())
	}
	state := d.r.State().JSON()
	d.crash()
	if err := d.start(); err != nil {
		t.Fatal(err)
	}
	if got := d.r.State().JSON(); got != state {
		t.Errorf("from the disk: %s, not %s", got, state)
	}
}

func version(dots ...causal.Dot) causal.Version {
	if dots[0].Compare(dots[1]) > 0 {
		dots[0], dots[1] = dots[1], dots[0]
	}
	return dots
}

// TestSlowReaderBoundsMemory: however much there is to send, and however long a peer reads nothing while it asks and asks,
// what is handed to the driver for it stays within the window, and one batch.
func TestSlowReaderBoundsMemory(t *testing.T) {
	const window = 300_000
	a, b := start(t, "a", replica.Limits{Window: window}), start(t, "b", replica.Limits{})
	for range 100 {
		if _, err := a.r.Commit(1, write(strings.Repeat("x", 50_000))); err != nil {
			t.Fatal(err)
		}
	}
	queued, largest := 0, 0
	drive := func() {
		t.Helper()
		if err := a.drive(func(_ causal.Device, _ bool, message []byte) {
			queued += len(message)
			largest = max(largest, len(message))
		}); err != nil {
			t.Fatal(err)
		}
	}
	a.r.Connect(b.id, 1)
	drive()
	empty := &replica.Have{Digest: b.r.Digest()}
	now := int64(1)
	for range 100 {
		if err := a.r.Step(b.id, empty, now); err != nil {
			t.Fatal(err)
		}
		drive()
		if _, err := a.r.Commit(now, write(strings.Repeat("y", 1_000))); err != nil {
			t.Fatal(err)
		}
		drive()
	}
	if queued > window+2*crdt.TargetBatchBytes {
		t.Errorf("%d bytes were queued for a peer that read nothing, of batches of up to %d", queued, largest)
	}
	// Time passes. What is lost is sent again, but no faster than its loss could have been noticed, and ever slower.
	queued = 0
	for range 600 {
		now += 1_000
		a.r.Tick(now)
		if err := a.r.Step(b.id, empty, now); err != nil {
			t.Fatal(err)
		}
		drive()
	}
	if limit := 15 * (window + 2*crdt.TargetBatchBytes); queued > limit {
		t.Errorf("%d bytes in ten minutes to a peer that acknowledges nothing, over %d", queued, limit)
	}
}

// TestPeersAreForgotten: what is remembered of peers that are gone is bounded, and the longest gone go first.
func TestPeersAreForgotten(t *testing.T) {
	d := start(t, "a", replica.Limits{MaxPeers: 3})
	for i := range 10 {
		id := causal.Device{byte(i + 1)}
		d.r.Connect(id, int64(i))
		quiet(t, d)
		d.r.Disconnect(id)
	}
	if peers := d.r.Status(0).Peers; len(peers) != 3 || peers[0].Device != (causal.Device{8}) {
		t.Errorf("remembered: %v", peers)
	}
}

// record returns a device's delivery record.
func record(from *device, store crdt.StoreID, counter uint64, tips []crdt.Tip) *replica.Records {
	rec := replica.Record{Device: from.id, Counter: counter, Tips: tips}
	m := &replica.Records{Records: []replica.Record{rec}}
	// The signature covers what the encoding does, after a tag and the store.
	encoded := rec.AppendTo(nil)
	body := encoded[1+2+len(from.id) : len(encoded)-2-ed25519.SignatureSize]
	msg := append([]byte("atoll delivery v1\x00"), store[:]...)
	msg = append(append(msg, from.id[:]...), body...)
	copy(m.Records[0].Sig[:], ed25519.Sign(from.key, msg))
	return m
}

// TestRecordsAtAPace: many delivery records go to a peer some at a time, and all of them in the end.
func TestRecordsAtAPace(t *testing.T) {
	const strangers = 400
	d, other, peer := start(t, "a", replica.Limits{}), start(t, "b", replica.Limits{}), start(t, "c", replica.Limits{})
	if _, err := d.r.Commit(1, write("x")); err != nil {
		t.Fatal(err)
	}
	quiet(t, d)
	d.r.Connect(other.id, 1)
	tips := d.r.Chains().Tips()
	for i := range strangers {
		if err := d.r.Step(other.id, record(newDevice(fmt.Sprint("stranger ", i), replica.Limits{}), d.store, 1, tips), 1); err != nil {
			t.Fatal(err)
		}
	}
	d.r.Connect(peer.id, 1)
	if err := d.r.Step(peer.id, &replica.Have{Digest: peer.r.Digest()}, 1); err != nil {
		t.Fatal(err)
	}
	got, first := 0, int64(0)
	for now := int64(1); got < strangers; now += 100 {
		if now > 10_000 {
			t.Fatalf("%d of %d records came in 10 s", got, strangers)
		}
		d.r.Tick(now)
		for d.r.HasReady() {
			rd := d.r.Ready()
			for _, e := range rd.Messages {
				if m, ok := e.Message.(*replica.Records); ok && e.To == peer.id {
					if got == 0 {
						first = now
					}
					got += len(m.Records)
					// 256 tips a second, each record counting one more, and one message of as many at once.
					if most := 130 * (2 + (now-first)/1000); int64(got) > most {
						t.Fatalf("%d records in %d ms", got, now-first)
					}
				}
			}
			if err := d.write(rd); err != nil {
				t.Fatal(err)
			}
			d.r.Advance()
		}
	}
}

// TestDeliveryRecords: a record counts if its device signed it for this store and said nothing later; the table is bounded, and
// strangers do not crowd out devices that matter.
func TestDeliveryRecords(t *testing.T) {
	d := start(t, "a", replica.Limits{MaxRecords: 3})
	other := start(t, "b", replica.Limits{})
	dot, err := d.r.Commit(1, write("x"))
	if err != nil {
		t.Fatal(err)
	}
	quiet(t, d)
	d.r.Connect(other.id, 1)
	quiet(t, d)
	tips := d.r.Chains().Tips()
	stranger := func(i int) *device { return newDevice(string(rune('p'+i)), replica.Limits{}) }

	var refused *replica.RefusedError
	if err := d.r.Step(other.id, record(other, crdt.StoreID{1}, 5, tips), 2); !errors.As(err, &refused) || refused.Reason != replica.BadSignature {
		t.Errorf("a record for another store: %v", err)
	}
	if len(d.r.Delivery(dot).Holders) != 0 {
		t.Error("it counted")
	}
	forked := []crdt.Tip{{Actor: tips[0].Actor, Seq: tips[0].Seq, Hash: crdt.Hash{1}}}
	for i, c := range []struct {
		counter uint64
		tips    []crdt.Tip
		held    bool
	}{
		{7, tips, true},
		{6, nil, true},     // older: passed over
		{8, forked, false}, // holds something else under that name
		{9, tips, true},
	} {
		if err := d.r.Step(other.id, record(stranger(0), d.store, c.counter, c.tips), 3); err != nil {
			t.Fatal(err)
		}
		if got := d.r.Delivery(dot).HeldBy(stranger(0).id); got != c.held {
			t.Errorf("step %d: held is %v", i, got)
		}
	}
	for i := range 5 {
		if err := d.r.Step(other.id, record(stranger(1+i), d.store, 1, tips), 4); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(d.r.Delivery(dot).Holders); n > 3 {
		t.Errorf("%d devices in a table of 3", n)
	}
	// The peer itself gets a place in the full table.
	if err := d.r.Step(other.id, record(other, d.store, 1, tips), 5); err != nil {
		t.Fatal(err)
	}
	if !d.r.Delivery(dot).HeldBy(other.id) {
		t.Error("the record of a connected device did not count")
	}
	// A device that lost its memory outbids what it once said.
	d.r.Tick(1_000_000)
	quiet(t, d)
	own, err := replica.DecodeRecord(d.records[d.id])
	if err != nil {
		t.Fatal(err)
	}
	clear(d.records)
	d.crash()
	if err := d.start(); err != nil {
		t.Fatal(err)
	}
	d.r.Connect(other.id, 10)
	quiet(t, d)
	if err := d.r.Step(other.id, &replica.Records{Records: []replica.Record{own}}, 10); err != nil {
		t.Fatal(err)
	}
	d.r.Tick(5_000)
	quiet(t, d)
	again, err := replica.DecodeRecord(d.records[d.id])
	if err != nil || again.Counter <= own.Counter {
		t.Errorf("counter %d after %d, %v", again.Counter, own.Counter, err)
	}
}

// TestMemoryLog: a block goes where the log ends, or nowhere.
func TestMemoryLog(t *testing.T) {
	d := start(t, "a", replica.Limits{})
	for range 3 {
		if _, err := d.r.Commit(1, write("abc")); err != nil {
			t.Fatal(err)
		}
		quiet(t, d)
	}
	blocks := d.log.Blocks()
	var l replica.MemoryLog
	if err := l.Append(blocks[1]); err == nil {
		t.Error("a gap was taken")
	}
	if err := l.Append(blocks[0], blocks[2]); err == nil || l.Len() != 0 {
		t.Errorf("a gap inside was taken: %v, %d", err, l.Len())
	}
	if err := l.Append(blocks[0], replica.Block{First: 3, Batch: []byte{1}}); err == nil || l.Len() != 0 {
		t.Errorf("no batch was taken: %v, %d", err, l.Len())
	}
	if err := l.Append(blocks...); err != nil || l.Len() != 9 {
		t.Fatal(err, l.Len())
	}
	var got []causal.Span
	if err := l.Changes(causal.Span{Start: 4, End: 7}, func(a crdt.Accepted) bool { got = append(got, a.Span); return true }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0] != (causal.Span{Start: 3, End: 6}) || got[1] != (causal.Span{Start: 6, End: 9}) {
		t.Errorf("ops 4 to 7 are in %v", got)
	}
}

// TestClockSetBack: a clock that jumps stops nothing.
func TestClockSetBack(t *testing.T) {
	w, err := newNetwork(1, 2, false, replica.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.link(0, 1), w.advance(3_000)); err != nil {
		t.Fatal(err)
	}
	w.drop = 100
	if err := w.commit(0, write("x")); err != nil {
		t.Fatal(err)
	}
	w.drop = 0
	w.now -= 1_000_000_000
	w.queue = nil
	if err := w.advance(10_000); err != nil {
		t.Fatal(err)
	}
	if err := w.converged(); err != nil {
		t.Error(err)
	}
}

// TestClockStandsStill: what was lost is repaired also if every Tick tells the same time.
func TestClockStandsStill(t *testing.T) {
	w, err := newNetwork(1, 2, false, replica.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.link(0, 1), w.advance(3_000)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := w.devices[0].r.Commit(w.now, write("x")); err != nil {
			t.Fatal(err)
		}
		quiet(t, w.devices[0]) // the push is lost
		for range 150 {
			for i, d := range w.devices {
				d.r.Tick(w.now)
				if err := w.drive(i); err != nil {
					t.Fatal(err)
				}
			}
			for len(w.queue) > 0 {
				if err := w.arrive(heap.Pop(&w.queue).(travelling)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := w.converged(); err != nil {
			t.Fatal(err)
		}
	}
}
