package crdt

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/atollsync/atoll/crdt/causal"
)

// exchange makes a history of two actors who see each other's work now and then, and a
// batch of its later part.
func exchange(t testing.TB) (*holder, *Batch) {
	t.Helper()
	h := newHolder()
	a, b := actorOf(0), actorOf(1)
	h.commit(a, 1000)
	h.commit(a, 1500)
	h.commit(b, 1200)
	start := h.graph.Len()
	h.commit(b, 1900)
	h.commit(a, 1700)
	h.authorAt(h.graph.Heads(), b, 2000, typed("a", 0, "xyz"), typed("notes", 3, strings.Repeat("long", 50)))
	h.sign(h.log[len(h.log)-1])
	batch, rest, err := h.Cut(h, []causal.Span{{Start: start, End: h.graph.Len()}}, 0, 0)
	if err != nil || len(rest) > 0 {
		t.Fatalf("cut: rest %v, %v", rest, err)
	}
	return h, batch
}

func TestBatchRoundTrip(t *testing.T) {
	_, b := exchange(t)
	if len(b.Context) != 2 || b.Len() != 3 || len(b.Sigs) != 3 {
		t.Fatalf("%d anchors, %d changes, %d sigs", len(b.Context), b.Len(), len(b.Sigs))
	}
	enc := b.AppendTo(nil)
	got, err := DecodeBatch(enc)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := got.clone(), b.clone(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if again := got.AppendTo(nil); !bytes.Equal(again, enc) {
		t.Errorf("encodes to %x, want %x", again, enc)
	}
	actors := b.actors(nil)
	if want := encoded(t, batchTree(t, b, actors)); !bytes.Equal(enc, want) {
		t.Errorf("%x, msgpack's Encoder writes %x", enc, want)
	}
}

// batchTree is b as a tree of Go values, for msgpack's own Encoder.
func batchTree(t testing.TB, b *Batch, actors []causal.Actor) []any {
	index := indexIn(actors)
	table, context, segments, sigs := []any{}, []any{}, []any{}, []any{}
	times := map[causal.Actor]int64{}
	for _, a := range actors {
		table = append(table, a.AppendTo(nil))
	}
	for _, a := range b.Context {
		context = append(context, index(a.Actor, nil), uint64(a.Seq), a.Hash[:], a.Time)
		times[a.Actor] = a.Time
	}
	changes := slices.Collect(b.All)
	for i := 0; i < len(changes); {
		actor := changes[i].Actor
		var data []byte
		n := 0
		for ; i < len(changes) && changes[i].Actor == actor; i++ {
			for _, part := range changeTree(changes[i], times[actor], func(a causal.Actor) any { return index(a, nil) }, false) {
				data = append(data, encoded(t, part)...)
			}
			times[actor] = changes[i].Time
			n++
		}
		segments = append(segments, index(actor, nil), n, data)
	}
	for _, s := range b.Sigs {
		sigs = append(sigs, index(s.Dot.Actor, nil), uint64(s.Dot.Seq), s.Sig[:])
	}
	return []any{2, table, context, segments, sigs}
}

func TestDecodeBatchTruncated(t *testing.T) {
	_, b := exchange(t)
	enc := b.AppendTo(nil)
	for n := range enc {
		if _, err := DecodeBatch(enc[:n:n]); err == nil {
			t.Errorf("accepted %d of %d bytes", n, len(enc))
		} else {
			wantIs(t, err, ErrFormat)
		}
	}
	_, err := DecodeBatch(append(enc, 0))
	wantIs(t, err, ErrFormat)
}

// Every way to write a batch that AppendTo does not.
func TestDecodeBatchRefuses(t *testing.T) {
	head := func(n int) string { return hex.EncodeToString(appendArrayHead(nil, n)) }
	actor := func(first byte) string { return "c428" + hex.EncodeToString([]byte{first}) + strings.Repeat("00", 39) }
	change := "90" + "05" + "93a17301c401c0" // time 5, slice s, 1 dot, ops c0
	segment := func(actor, count, data string) string {
		return actor + count + hex.EncodeToString(appendBin(nil, unhex(t, data)))
	}
	sig := func(actor, seq string) string { return actor + seq + "c440" + strings.Repeat("11", 64) }
	anchor := func(actor, seq, time string) string {
		return actor + seq + "c420" + strings.Repeat("22", 32) + time
	}
	batch := func(version, actors, context, segments, sigs string) string {
		return "95" + version + actors + context + segments + sigs
	}
	one := "91" + actor(1)
	two := "92" + actor(1) + actor(2)
	good := batch("02", one, "90", "93"+segment("00", "01", change), "93"+sig("00", "01"))
	if _, err := DecodeBatch(unhex(t, good)); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	ref := func(refs string) string { return refs + change[2:] }
	with := func(data string) string {
		return batch("02", two, "90", "93"+segment("00", "01", data), "93"+sig("01", "01"))
	}
	if _, err := DecodeBatch(unhex(t, with(change))); err != nil {
		t.Fatalf("the good one of two: %v", err)
	}
	group := func(groups string) string { return with("9005" + groups) }
	for name, tt := range map[string]struct{ enc, text string }{
		"empty":                     {"", "header"},
		"not an array":              {"05", "header"},
		"array of 4":                {"9401909090", "header"},
		"version 1":                 {batch("01", one, "90", "90", "90"), "version 1"},
		"version not shortest":      {batch("cc01", one, "90", "90", "90"), "header"},
		"actor of 39 bytes":         {batch("02", "91c427"+strings.Repeat("00", 39), "90", "90", "90"), "actors"},
		"actors not sorted":         {batch("02", "92"+actor(2)+actor(1), "90", "90", "90"), "sorted"},
		"actor twice":               {batch("02", "92"+actor(2)+actor(2), "90", "90", "90"), "sorted"},
		"4 Gi actors":               {"9502ddffffffff" + actor(1), "actors"},
		"1000 actors, one there":    {"9502dc03e8" + actor(1), "actors"},
		"unused actor":              {batch("02", two, "90", "93"+segment("00", "01", change), "93"+sig("00", "01")), "not used"},
		"context of 3":              {batch("02", one, "93000102", "90", "90"), "context"},
		"4 Gi anchors":              {"9502" + one + "ddfffffffc" + anchor("00", "01", "05"), "context"},
		"anchor without actor":      {batch("02", one, "94"+anchor("01", "01", "05"), "90", "90"), "context"},
		"anchor at seq 0":           {batch("02", one, "94"+anchor("00", "00", "05"), "90", "90"), "context"},
		"anchor beyond the seqs":    {batch("02", one, "94"+anchor("00", "cf0020000000000001", "05"), "90", "90"), "context"},
		"anchor before 1970":        {batch("02", one, "94"+anchor("00", "01", "ff"), "90", "90"), "context"},
		"anchor after the last ms":  {batch("02", one, "94"+anchor("00", "01", "cf0000400000000000"), "90", "90"), "context"},
		"anchors not sorted":        {batch("02", one, "98"+anchor("00", "02", "05")+anchor("00", "01", "05"), "90", "90"), "sorted"},
		"anchor twice":              {batch("02", one, "98"+anchor("00", "02", "05")+anchor("00", "02", "05"), "90", "90"), "sorted"},
		"no segments":               {batch("02", one, "90", "90", "93"+sig("00", "01")), "segments"},
		"segments of 2":             {batch("02", one, "90", "920001", "90"), "segments"},
		"4 Gi segments":             {"9502" + one + "90" + "ddfffffffc" + segment("00", "01", change), "segments"},
		"segment of no actor":       {batch("02", one, "90", "93"+segment("01", "01", change), "90"), "segments"},
		"segment of 0 changes":      {batch("02", one, "90", "93"+segment("00", "00", ""), "90"), "segments"},
		"segment of 262145 changes": {batch("02", one, "90", "93"+segment("00", "ce00040001", change), "90"), "segments"},
		"fewer changes than said":   {batch("02", one, "90", "93"+segment("00", "02", change), "90"), "segments"},
		"more changes than said":    {batch("02", one, "90", "93"+segment("00", "01", change+change), "90"), "after the last change"},
		"segments of one actor": {batch("02", one, "90", head(6)+segment("00", "01", change)+segment("00", "01", change),
			"93"+sig("00", "01")), "in a row"},
		"sig of no actor":         {batch("02", one, "90", "93"+segment("00", "01", change), "93"+sig("01", "01")), "signatures"},
		"sig at 0":                {batch("02", one, "90", "93"+segment("00", "01", change), "93"+sig("00", "00")), "signatures"},
		"sig twice":               {batch("02", one, "90", "93"+segment("00", "01", change), "96"+sig("00", "01")+sig("00", "01")), "sorted"},
		"4 Gi sigs":               {batch("02", one, "90", "93"+segment("00", "01", change), "ddffffffff"+sig("00", "01")), "signatures"},
		"sig of 63 bytes":         {batch("02", one, "90", "93"+segment("00", "01", change), "930001c43f"+strings.Repeat("11", 64)), "signatures"},
		"own actor as ref":        {with(ref("920001")), "own actor"},
		"refs not sorted":         {batch("02", "93"+actor(1)+actor(2)+actor(3), "90", "93"+segment("00", "01", ref("9402010101")), "90"), "sorted"},
		"refs of 1":               {with(ref("9101")), "segments"},
		"ref of no actor":         {with(ref("920201")), "segments"},
		"ref beyond the seqs":     {with(ref("9201cf0020000000000001")), "segments"},
		"5000 refs":               {with(ref("dc2710" + strings.Repeat("0101", 5000))), "segments"},
		"4 Gi refs":               {with(ref("ddfffffffe")), "segments"},
		"time before 1970":        {with("90ff" + change[4:]), "time"},
		"time after the last ms":  {with("90cf0000400000000000" + change[4:]), "segments"},
		"time a float":            {with("90cb4014000000000000" + change[4:]), "segments"},
		"no groups":               {group("90"), "segments"},
		"groups of 2":             {group("92a17301"), "segments"},
		"slice name of 256 bytes": {group("93da0100" + strings.Repeat("61", 256) + "01c400"), "segments"},
		"slice name not UTF-8":    {group("93a1ff01c400"), "segments"},
		"slice name not shortest": {group("93d9017301c400"), "segments"},
		"slices not sorted":       {group("96a17401c400a17301c400"), "ascending"},
		"slice twice":             {group("96a17301c400a17301c400"), "ascending"},
		"0 dots":                  {group("93a17300c400"), "segments"},
		"too many dots":           {group("93a173cf0000000100000001c400"), "segments"},
		"ops a string":            {group("93a17301a0"), "segments"},
		"5000 groups":             {group("dc3a98" + strings.Repeat("a001c400", 5000)), "segments"},
	} {
		b, err := DecodeBatch(unhex(t, tt.enc))
		if err == nil {
			t.Errorf("%s: accepted as %+v", name, b)
			continue
		}
		wantIs(t, err, ErrFormat)
		if !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: error %q does not say %q", name, err, tt.text)
		}
	}
	_, err := DecodeBatch(make([]byte, MaxBatchBytes+1))
	wantIs(t, err, ErrFormat)
}

// A change that is as large as changes may be fits a batch and comes through.
func TestLargestChange(t *testing.T) {
	h := newHolder()
	ch := &Change{Actor: actorOf(0), Seq: 1, Groups: manyGroups(MaxGroups)}
	ch.Groups[0].Ops = make([]byte, MaxChangeBytes-ch.Size()-3)
	if ch.Size() != MaxChangeBytes {
		t.Fatalf("%d bytes", ch.Size())
	}
	a := h.Author(ch, nil)
	h.log = append(h.log, a)
	h.sign(a)
	o := newHolder()
	if n := o.pull(t, h, 0, 0); n != 1 || o.Digest() != h.Digest() {
		t.Errorf("%d batches, digests %v and %v", n, o.Digest(), h.Digest())
	}
}

// Refs and slices take more memory than bytes, so there is a bound to them in a batch.
func TestBatchItems(t *testing.T) {
	var changes []*Change
	refs := manyRefs(MaxRefs)
	for i := range MaxBatchItems / MaxRefs {
		ch := &Change{Actor: actorOf(0), Seq: causal.Seq(1 + i), Refs: refs, Groups: []Group{{Slice: "s", Len: 1}}}
		changes = append(changes, ch)
	}
	b := NewBatch(nil, changes, nil)
	_, err := DecodeBatch(b.AppendTo(nil))
	wantIs(t, err, ErrFormat)
	if !strings.Contains(err.Error(), "too many refs") {
		t.Error(err)
	}
	b = NewBatch([]Anchor{{Tip: Tip{Actor: actorOf(0), Seq: 1}}}, changes[1:], nil)
	if _, err := DecodeBatch(b.AppendTo(nil)); err != nil {
		t.Error(err)
	}
}

func FuzzDecodeBatch(f *testing.F) {
	h, b := exchange(f)
	f.Add(b.AppendTo(nil))
	f.Add(h.BatchOf(h.log).AppendTo(nil))
	f.Add(h.BatchOf(h.log[2:3]).AppendTo(nil))
	f.Fuzz(func(t *testing.T, enc []byte) {
		b, err := DecodeBatch(enc)
		if err != nil {
			return
		}
		if got := b.AppendTo(nil); !bytes.Equal(got, enc) {
			t.Fatalf("%x decodes and encodes to %x", enc, got)
		}
		for ch := range b.All {
			if err := ch.Validate(); err != nil {
				t.Fatal(err)
			}
			n := 0
			ch.Ops(func(_ causal.Seq, _ string, op *Op) bool {
				n += op.Len
				return true
			})
			if n != ch.Len() {
				t.Fatalf("ops cover %d of %d dots", n, ch.Len())
			}
		}
		c := NewChains(fixtureStore)
		k, err := c.Check(b, nil)
		if err != nil {
			if c.Len() != 0 || c.graph.Len() != 0 {
				t.Fatal("a failed check left something behind")
			}
			return
		}
		added := c.Add(k)
		if added.Len() != b.Len() || c.Len() != added.Len() {
			t.Fatalf("%d of %d changes accepted", added.Len(), b.Len())
		}
		if _, err := c.Check(c.BatchOf(slices.Collect(added.All)), nil); err != nil {
			t.Fatalf("own batch: %v", err)
		}
	})
}
