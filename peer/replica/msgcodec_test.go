package replica_test

import (
	"bytes"
	"math"
	"reflect"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/peer/replica"
)

func genActor() *rapid.Generator[causal.Actor] {
	return rapid.Custom(func(t *rapid.T) causal.Actor {
		a, err := causal.ActorFromBytes(rapid.SliceOfN(rapid.Byte(), causal.ActorSize, causal.ActorSize).Draw(t, "actor"))
		if err != nil {
			t.Fatal(err)
		}
		return a
	})
}

func genTips(min int, differences bool) *rapid.Generator[[]crdt.Tip] {
	return rapid.Custom(func(t *rapid.T) []crdt.Tip {
		set := map[causal.Actor]bool{}
		for _, a := range rapid.SliceOfN(genActor(), min, 20).Draw(t, "actors") {
			set[a] = true
		}
		var actors []causal.Actor
		for a := range set {
			actors = append(actors, a)
		}
		sortActors(actors)
		var out []crdt.Tip
		for _, a := range actors {
			tip := crdt.Tip{Actor: a, Seq: causal.Seq(rapid.Uint64Range(1, crdt.MaxSeq).Draw(t, "seq")), Hash: genHash(t)}
			if differences && rapid.IntRange(0, 3).Draw(t, "gone") == 0 {
				tip.Seq, tip.Hash = 0, crdt.Hash{}
			}
			out = append(out, tip)
		}
		return out
	})
}

func sortActors(actors []causal.Actor) {
	for i := range actors {
		for j := i; j > 0 && actors[j].Compare(actors[j-1]) < 0; j-- {
			actors[j], actors[j-1] = actors[j-1], actors[j]
		}
	}
}

func genHash(t *rapid.T) (h crdt.Hash) {
	copy(h[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash"))
	h[0] |= 1 // none is zero
	return h
}

func genDevices(t *rapid.T) []causal.Device {
	var out []causal.Device
	for i := range rapid.IntRange(0, 20).Draw(t, "devices") {
		var d causal.Device
		d[0] = byte(i)
		copy(d[1:], rapid.SliceOfN(rapid.Byte(), 31, 31).Draw(t, "device"))
		out = append(out, d)
	}
	return out
}

func drawMessage(t *rapid.T, kind replica.MessageType) replica.Message {
	switch kind {
	case replica.HaveType:
		m := &replica.Have{Digest: genHash(t), Ask: rapid.Bool().Draw(t, "ask")}
		if rapid.Bool().Draw(t, "base") {
			m.Base = genHash(t)
		}
		m.Tips = genTips(0, m.Base != crdt.Hash{}).Draw(t, "tips")
		for _, d := range genDevices(t) {
			m.Counters = append(m.Counters, replica.Counter{Device: d, Counter: rapid.Uint64Range(0, 1<<53).Draw(t, "counter")})
		}
		return m
	case replica.NeedFullType:
		return &replica.NeedFull{}
	case replica.ChangesType:
		return &replica.Changes{Batch: rapid.SliceOfN(rapid.Byte(), 0, 70_000).Draw(t, "batch"), Remaining: rapid.Uint64().Draw(t, "remaining")}
	case replica.AckType:
		return &replica.Ack{Tips: genTips(0, false).Draw(t, "tips")}
	case replica.DigestType:
		return &replica.Digest{Digest: genHash(t), Records: genHash(t), Ask: rapid.Bool().Draw(t, "ask")}
	case replica.RecordsType:
		m := &replica.Records{}
		for _, d := range append(genDevices(t), causal.Device(bytes.Repeat([]byte{0xff}, 32))) {
			rec := replica.Record{Device: d, Counter: rapid.Uint64Range(0, 1<<53).Draw(t, "counter"), Tips: genTips(0, false).Draw(t, "tips")}
			rec.Sig[63] = rapid.Byte().Draw(t, "sig")
			m.Records = append(m.Records, rec)
		}
		return m
	case replica.StatesType:
		m := &replica.States{Digest: genHash(t), Whole: rapid.Bool().Draw(t, "whole")}
		for i, name := range []string{"", "a", "notes", "todos"} {
			if rapid.Bool().Draw(t, "has") {
				s := crdt.SliceDigest{Name: name}
				if i > 0 {
					s.Digest = genHash(t)
				}
				m.Slices = append(m.Slices, s)
			}
		}
		return m
	default:
		return &replica.Heads{Tips: genTips(0, false).Draw(t, "tips")}
	}
}

func TestMessageRoundTrip(t *testing.T) {
	for kind := replica.HaveType; kind <= replica.StatesType; kind++ {
		rapid.Check(t, func(t *rapid.T) {
			m := drawMessage(t, kind)
			b := m.AppendTo(nil)
			got, err := replica.DecodeMessage(b)
			if err != nil {
				t.Fatalf("%s: %v", m, err)
			}
			if again := got.AppendTo(nil); !bytes.Equal(again, b) {
				t.Fatalf("%s is encoded in two ways", m)
			}
			if c, ok := got.(*replica.Changes); ok && len(c.Batch) == 0 {
				c.Batch = m.(*replica.Changes).Batch // nil or empty
			}
			if !reflect.DeepEqual(got, m) {
				t.Fatalf("got %v\nwant %v", got, m)
			}
			if m.String() == "" || got.Type() != kind || m.Type() != kind {
				t.Fatal("no string, or another type")
			}
		})
	}
}

// TestAppendEqualsEncoder holds the bytes appended by hand to those of msgpack's Encoder with compact integers.
func TestAppendEqualsEncoder(t *testing.T) {
	encode := func(values ...any) []byte {
		var buf bytes.Buffer
		enc := msgpack.NewEncoder(&buf)
		for _, v := range values {
			var err error
			switch v := v.(type) {
			case array:
				err = enc.EncodeArrayLen(int(v))
			case uint64:
				err = enc.EncodeUint(v)
			case bool:
				err = enc.EncodeBool(v)
			case []byte:
				err = enc.EncodeBytes(v)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		return buf.Bytes()
	}
	for _, n := range []uint64{0, 1, 127, 128, 255, 256, 65535, 65536, math.MaxUint32, math.MaxUint32 + 1, math.MaxUint64} {
		got := (&replica.Changes{Batch: []byte{}, Remaining: n}).AppendTo(nil)
		if want := encode(array(3), uint64(3), []byte{}, n); !bytes.Equal(got, want) {
			t.Errorf("%d: got % x, want % x", n, got, want)
		}
	}
	for _, size := range []int{0, 1, 31, 32, 255, 256, 65535, 65536} {
		batch := make([]byte, size)
		got := (&replica.Changes{Batch: batch}).AppendTo(nil)
		if want := encode(array(3), uint64(3), batch, uint64(0)); !bytes.Equal(got, want) {
			t.Errorf("%d bytes: not what the Encoder writes", size)
		}
	}
	for _, n := range []int{0, 1, 5, 6, 21_845, 21_846} {
		var tips []crdt.Tip
		values := []any{array(2), uint64(4), array(3 * n)}
		for i := range n {
			a := causal.Actor{}
			a.Nonce[0], a.Nonce[1] = byte(i>>8), byte(i)
			tip := crdt.Tip{Actor: a, Seq: causal.Seq(i + 1), Hash: crdt.Hash{1}}
			tips = append(tips, tip)
			values = append(values, a.AppendTo(nil), uint64(tip.Seq), tip.Hash[:])
		}
		if got, want := (&replica.Ack{Tips: tips}).AppendTo(nil), encode(values...); !bytes.Equal(got, want) {
			t.Errorf("%d tips: not what the Encoder writes", n)
		}
	}
	got := (&replica.Digest{Digest: crdt.Hash{1}, Records: crdt.Hash{2}, Ask: true}).AppendTo(nil)
	one, two := crdt.Hash{1}, crdt.Hash{2}
	if want := encode(array(4), uint64(5), one[:], two[:], true); !bytes.Equal(got, want) {
		t.Errorf("digest: got % x, want % x", got, want)
	}
}

type array int
