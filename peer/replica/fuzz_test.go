package replica_test

import (
	"bytes"
	"errors"
	"maps"
	"reflect"
	"testing"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/peer/replica"
)

// FuzzDecodeMessage: whatever is taken for a message is encoded in no other way, and prints.
func FuzzDecodeMessage(f *testing.F) {
	_, messages := meeting(f)
	for _, m := range messages {
		f.Add(m.AppendTo(nil))
	}
	f.Add(bytes.Repeat([]byte{0x91}, 1000))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := replica.DecodeMessage(b)
		if err != nil {
			if !errors.Is(err, replica.ErrMessage) {
				t.Fatalf("%v does not wrap ErrMessage", err)
			}
			return
		}
		if got := m.AppendTo(nil); !bytes.Equal(got, b) {
			t.Fatalf("%s\nread from % x\nwritten as % x", m, b, got)
		}
		_ = m.String()
	})
}

// FuzzDecodeRecord: the same for what is kept of delivery records.
func FuzzDecodeRecord(f *testing.F) {
	_, messages := meeting(f)
	for _, rec := range messages[replica.RecordsType].(*replica.Records).Records {
		f.Add(rec.AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		rec, err := replica.DecodeRecord(b)
		if err != nil {
			return
		}
		if got := rec.AppendTo(nil); !bytes.Equal(got, b) {
			t.Fatalf("read from % x\nwritten as % x", b, got)
		}
		_ = rec.String()
	})
}

// FuzzRestorePeer: a damaged memory of a peer is refused or harmless.
func FuzzRestorePeer(f *testing.F) {
	w, _ := meeting(f)
	for _, state := range w.devices[0].peers {
		f.Add(state)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d := newDevice("fuzz", replica.Limits{})
		if err := d.start(); err != nil {
			t.Fatal(err)
		}
		other := causal.Device{1}
		if err := d.r.RestorePeer(other, b); err != nil {
			if len(d.r.Status(0).Peers) > 0 {
				t.Fatal("refused and kept")
			}
			return
		}
		d.r.Connect(other, 1)
		_ = d.r.Ready()
	})
}

// FuzzStep hands a replica in the middle of an exchange any two messages, by stream or by gossip. An error changes nothing;
// without one, what it holds is what its disk then gives back.
func FuzzStep(f *testing.F) {
	w, messages := meeting(f)
	from, peers, records := w.devices[1].id, w.devices[0].peers, w.devices[0].records
	for _, m := range messages {
		f.Add(m.AppendTo(nil), messages[replica.ChangesType].AppendTo(nil), false)
		f.Add(messages[replica.HaveType].AppendTo(nil), m.AppendTo(nil), true)
	}
	f.Fuzz(func(t *testing.T, first, second []byte, gossip bool) {
		d := w.devices[0].clone("a")
		d.peers, d.records = maps.Clone(peers), maps.Clone(records)
		if err := d.start(); err != nil {
			t.Fatal(err)
		}
		d.r.Connect(from, w.now)
		if err := d.drive(func(causal.Device, bool, []byte) {}); err != nil {
			t.Fatal(err)
		}
		for _, b := range [][]byte{first, second} {
			before := frozen(d)
			if err := d.step(from, gossip, b, w.now); err != nil {
				if after := frozen(d); !reflect.DeepEqual(before, after) {
					t.Fatalf("%v\nbefore %+v\nafter  %+v", err, before, after)
				}
			}
		}
		if err := d.drive(func(causal.Device, bool, []byte) {}); err != nil {
			t.Fatal(err)
		}
		d.r.Tick(w.now + 100)
		digest, state := d.r.Digest(), d.r.State().JSON()
		d.crash()
		if err := d.start(); err != nil {
			t.Fatal(err)
		}
		if d.r.Digest() != digest || d.r.State().JSON() != state {
			t.Fatalf("the disk gives %s, not %s", d.r.State().JSON(), state)
		}
	})
}
