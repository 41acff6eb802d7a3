package replica_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/peer/replica"
)

// meeting returns two connected devices that each hold something the other lacks, before anything was said, and a
// message of each type that travels between them.
func meeting(t testing.TB) (*network, map[replica.MessageType]replica.Message) {
	t.Helper()
	w, err := newNetwork(1, 3, false, replica.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		for range 3 {
			if err := w.commit(i, write("hello")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(w.link(0, 1), w.advance(5_000)); err != nil {
		t.Fatal(err)
	}
	w.unlink(0, 1)
	// Somebody is there when 1 writes, so that it says so in its Have.
	if err := errors.Join(w.link(1, 2), w.advance(1_000)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.commit(0, write("a")), w.commit(1, write("b")), w.commit(1, write("b")), w.advance(1_000)); err != nil {
		t.Fatal(err)
	}
	w.unlink(1, 2)
	w.devices[0].r.Connect(w.devices[1].id, w.now)
	w.devices[1].r.Connect(w.devices[0].id, w.now)
	messages := map[replica.MessageType]replica.Message{}
	take := func(from int) {
		d := w.devices[from]
		if err := d.drive(func(to causal.Device, gossip bool, message []byte) {
			m, err := replica.DecodeMessage(message)
			if err != nil {
				t.Fatal(err)
			}
			messages[m.Type()] = m
		}); err != nil {
			t.Fatal(err)
		}
	}
	take(0)
	take(1) // the last of each type is from 1, for 0
	have := messages[replica.HaveType]
	d := w.devices[0]
	m := have.(*replica.Have)
	if err := d.r.Step(w.devices[1].id, m, w.now); err != nil {
		t.Fatal(err)
	}
	if err := d.drive(func(causal.Device, bool, []byte) {}); err != nil {
		t.Fatal(err)
	}
	// What 1 says when it hears that 0 has nothing.
	empty, err := newNetwork(2, 1, false, replica.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	full := &replica.Have{Digest: empty.devices[0].r.Digest()}
	if err := w.devices[1].r.Step(d.id, full, w.now); err != nil {
		t.Fatal(err)
	}
	take(1)
	tips := w.devices[1].r.Chains().Tips()
	messages[replica.AckType] = &replica.Ack{Tips: tips}
	messages[replica.DigestType] = &replica.Digest{Digest: w.devices[1].r.Digest(), Ask: true}
	messages[replica.NeedFullType] = &replica.NeedFull{}
	messages[replica.StatesType] = &replica.States{Digest: w.devices[1].r.Digest(), Slices: w.devices[1].r.State().SliceDigests(), Whole: true}
	messages[replica.HeadsType] = &replica.Heads{Tips: tips}
	for typ := replica.HaveType; typ <= replica.StatesType; typ++ {
		if messages[typ] == nil {
			t.Fatalf("no message of type %d", typ)
		}
	}
	return w, messages
}

// still is what may not change when a message is refused.
type still struct {
	digest crdt.Hash
	state  string
	status replica.Status
	ready  bool
}

func frozen(d *device) still {
	return still{d.r.Digest(), d.r.State().JSON(), d.r.Status(0), d.r.HasReady()}
}

// TestDecodeRefuses feeds DecodeMessage what no honest device sends.
func TestDecodeRefuses(t *testing.T) {
	_, messages := meeting(t)
	refuse := func(t *testing.T, what string, b []byte) {
		t.Helper()
		m, err := replica.DecodeMessage(b)
		if err == nil {
			t.Errorf("%s: taken as %s", what, m)
		} else if !errors.Is(err, replica.ErrMessage) {
			t.Errorf("%s: %v does not wrap ErrMessage", what, err)
		}
	}
	for typ, m := range messages {
		b := m.AppendTo(nil)
		for n := range b {
			refuse(t, fmt.Sprintf("type %d cut at byte %d", typ, n), b[:n])
		}
		refuse(t, fmt.Sprintf("type %d with a byte too many", typ), append(slices.Clone(b), 0))
	}
	hash := append([]byte{0xc4, 32, 1}, make([]byte, 31)...)
	actor := append([]byte{0xc4, 40}, make([]byte, 40)...)
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	tip := join(actor, []byte{1}, hash)
	count := func(code byte, n uint32) []byte { return binary.BigEndian.AppendUint32([]byte{code}, n) }
	for what, b := range map[string][]byte{
		"nothing":                           nil,
		"an unknown type":                   {0x91, 8},
		"type 0":                            {0x91, 0},
		"a type over a byte":                {0x91, 0xcd, 1, 0},
		"too few fields":                    {0x91, 1},
		"too many fields":                   {0x92, 2, 0},
		"a map":                             {0x81, 1, 1},
		"a long head for a short array":     {0xdc, 0, 1, 2},
		"a long form of the type":           {0x91, 0xcc, 2},
		"a negative type":                   {0x91, 0xff},
		"bytes in a long form":              {0x93, 3, 0xc5, 0, 0, 0},
		"a number in a long form":           {0x93, 3, 0xc4, 0, 0xcd, 0, 1},
		"a string for bytes":                {0x93, 3, 0xa0, 0},
		"a boolean of another kind":         join([]byte{0x94, 5}, hash, hash, []byte{1}),
		"a hash of 31 bytes":                join([]byte{0x94, 5, 0xc4, 31}, make([]byte, 31), hash, []byte{0xc2}),
		"a base of zeros":                   join([]byte{0x96, 1}, hash, []byte{0xc4, 32}, make([]byte, 32), []byte{0x90, 0x90, 0xc2}),
		"a tip cut in two":                  join([]byte{0x92, 4, 0x92}, actor, []byte{1}),
		"a tip of seq 0 in an Ack":          join([]byte{0x92, 4, 0x93}, actor, []byte{0, 0xc4, 0}),
		"a tip without a hash":              join([]byte{0x92, 4, 0x93}, actor, []byte{1, 0xc4, 0}),
		"a tip over the largest seq":        join([]byte{0x92, 4, 0x93}, actor, []byte{0xcf, 0, 0x20, 0, 0, 0, 0, 0, 1}, hash),
		"an actor twice":                    join([]byte{0x92, 4, 0x96}, tip, tip),
		"no records":                        {0x92, 6, 0x90},
		"four thousand million tips":        join([]byte{0x92, 4}, count(0xdd, 4_000_000_000), tip),
		"more tips than a store has":        join([]byte{0x92, 4}, count(0xdd, 3*(replica.MaxTips+1)), bytes.Repeat(tip, replica.MaxTips+1)),
		"four thousand million records":     join([]byte{0x92, 6}, count(0xdd, 4_000_000_000), tip),
		"a batch of four thousand megabyte": join([]byte{0x93, 3}, count(0xc6, 4_000_000_000), tip),
		"a batch over the limit":            join([]byte{0x93, 3}, count(0xc6, crdt.MaxBatchBytes+1), make([]byte, crdt.MaxBatchBytes+1), []byte{0}),
		"16 MiB of arrays in arrays":        bytes.Repeat([]byte{0x91}, 16<<20),
		"arrays in arrays for tips":         join([]byte{0x92, 4}, bytes.Repeat([]byte{0x91}, 1<<20)),
		"more than a message":               make([]byte, replica.MaxMessageBytes+1),
	} {
		t.Run(what, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			refuse(t, what, b)
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20+uint64(len(b)) {
				t.Errorf("%d bytes were allocated for it", got)
			}
		})
	}
}

// TestStepRefuses hands a replica messages that decode and lie. Each is refused with the reason, changes nothing at all,
// and leaves the peer served.
func TestStepRefuses(t *testing.T) {
	w, messages := meeting(t)
	d, from := w.devices[0], w.devices[1].id
	changes := messages[replica.ChangesType].(*replica.Changes)
	records := messages[replica.RecordsType].(*replica.Records)
	have := messages[replica.HaveType].(*replica.Have)
	broken := func(at int) []byte {
		b := slices.Clone(changes.Batch)
		b[(at+len(b))%len(b)] ^= 1
		return b
	}
	forged := *records
	forged.Records = slices.Clone(records.Records)
	forged.Records[0].Counter++
	theirs := crdt.Hash{7}
	if len(have.Tips) == 0 {
		t.Fatal("the Have names no tip")
	}
	lying := *have
	lying.Tips = slices.Clone(have.Tips)
	lying.Tips[0].Hash = theirs
	// A change by someone else's name.
	b, err := crdt.DecodeBatch(changes.Batch)
	if err != nil {
		t.Fatal(err)
	}
	renamed := &crdt.Batch{Context: b.Context, Sigs: b.Sigs}
	for ch := range b.All {
		c := *ch
		c.Time++
		renamed.Append(&c)
	}
	unsigned := crdt.NewBatch(b.Context, slices.Collect(b.All), nil)
	for _, c := range []struct {
		what   string
		m      replica.Message
		gossip bool
		reason replica.Reason
	}{
		{"a batch with a broken signature", &replica.Changes{Batch: broken(-1)}, false, replica.BadSignature},
		{"a batch with a broken version", &replica.Changes{Batch: broken(1)}, false, replica.Malformed},
		{"a batch that is none", &replica.Changes{Batch: []byte{0x91, 0x91, 0x91}}, false, replica.Malformed},
		{"an empty batch", &replica.Changes{}, false, replica.Malformed},
		{"nested arrays for a batch", &replica.Changes{Batch: bytes.Repeat([]byte{0x91}, 8<<20)}, false, replica.Malformed},
		{"a batch whose changes were altered", &replica.Changes{Batch: renamed.AppendTo(nil)}, false, replica.BadSignature},
		{"a batch without signatures", &replica.Changes{Batch: unsigned.AppendTo(nil)}, false, replica.BadSignature},
		{"the same by gossip", &replica.Changes{Batch: broken(-1)}, true, replica.BadSignature},
		{"a summary that does not have its digest", &lying, false, replica.WrongSummary},
		{"a full summary that does not have its digest", &replica.Have{Digest: have.Digest, Tips: have.Tips}, false, replica.WrongSummary},
		{"a forged delivery record", &forged, false, replica.BadSignature},
		{"gossip on a stream", messages[replica.HeadsType], false, replica.Malformed},
		{"a summary by gossip", have, true, replica.Malformed},
		{"an Ack by gossip", messages[replica.AckType], true, replica.Malformed},
	} {
		t.Run(c.what, func(t *testing.T) {
			before := frozen(d)
			var err error
			if c.gossip {
				err = d.r.StepGossip(from, c.m, w.now)
			} else {
				err = d.r.Step(from, c.m, w.now)
			}
			var refused *replica.RefusedError
			if !errors.As(err, &refused) {
				t.Fatalf("got error %v", err)
			}
			if refused.Reason != c.reason || refused.Peer != from || refused.Error() == "" {
				t.Errorf("refused with %v", refused)
			}
			if after := frozen(d); !reflect.DeepEqual(before, after) {
				t.Errorf("it changed the replica:\nbefore %+v\nafter  %+v", before, after)
			}
		})
	}
	if err := d.r.Step(w.devices[2].id, have, w.now); !errors.Is(err, replica.ErrNotConnected) {
		t.Errorf("a message of a device that is not connected: %v", err)
	}
	// The same peer is served as if nothing had been.
	if err := d.r.Step(from, changes, w.now); err != nil {
		t.Fatal(err)
	}
	if a, b := d.r.Chains().Graph().VersionVector(), w.devices[1].r.Chains().Graph().VersionVector(); !a.Covers(b) {
		t.Errorf("got %v of %v", a, b)
	}
}

// TestEveryFlippedBit flips each bit of a batch in turn. Whatever the batch then is, nothing of it is taken that the
// author did not sign. (A flipped bit in a signature at a change that is held already is not looked at.)
func TestEveryFlippedBit(t *testing.T) {
	w, messages := meeting(t)
	batch := messages[replica.ChangesType].(*replica.Changes).Batch
	taken := 0
	for bit := range 8 * len(batch) {
		d, author := w.devices[0], w.devices[1]
		before := d.r.Digest()
		b := slices.Clone(batch)
		b[bit/8] ^= 1 << (bit % 8)
		err := d.r.Step(author.id, &replica.Changes{Batch: b}, w.now)
		if n := len(d.r.Status(0).Forks); n > 0 {
			t.Fatalf("bit %d flipped: forks %v", bit, d.r.Status(0).Forks)
		}
		if d.r.Digest() == before {
			continue
		}
		if taken++; err != nil {
			t.Fatalf("bit %d flipped: taken and refused: %v", bit, err)
		}
		for _, tip := range d.r.Chains().Tips() {
			if h, ok := author.r.Chains().HashAt(tip.Dot()); tip.Actor == author.actor && (!ok || h != tip.Hash) {
				t.Fatalf("bit %d flipped: %s was taken, which its author never wrote", bit, tip)
			}
		}
		w, _ = meeting(t)
	}
	if one := 8 * (ed25519.SignatureSize + 10); taken > one {
		t.Errorf("%d of %d were taken: more than are in a signature that is not needed", taken, 8*len(batch))
	}
}
