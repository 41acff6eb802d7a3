package crdt

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/atollsync/atoll/crdt/causal"
	"pgregory.net/rapid"
)

// TestBatchDecoder reads batches of random histories, damaged ones among them, with one BatchDecoder, and compares each with what
// DecodeBatch reads, at once and, of what may be kept, in the end.
func TestBatchDecoder(t *testing.T) {
	same, damaged := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		h := newHolder()
		for range rapid.IntRange(2, 30).Draw(t, "changes") {
			author(t, h)
		}
		d := BatchDecoder{Passing: rapid.Bool().Draw(t, "passing")}
		type kept struct {
			changes []*Change
			clone   *Batch
			enc     []byte
		}
		var all []kept
		for i := 0; i < len(h.log); {
			n := rapid.SampledFrom([]int{1, 1, 1, 2, 7}).Draw(t, "n")
			enc := h.BatchOf(h.log[i:min(len(h.log), i+n)]).AppendTo(nil)
			i += n
			if rapid.IntRange(0, 5).Draw(t, "damage") == 0 {
				enc = bytes.Clone(enc)
				enc[rapid.IntRange(0, len(enc)-1).Draw(t, "at")]++
				i -= n
			}
			head := len(d.head)
			got, err := d.Decode(enc)
			want, wantErr := DecodeBatch(enc)
			if (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() {
				t.Fatalf("%v, want %v", err, wantErr)
			}
			if err != nil {
				damaged++
				continue
			}
			if head > 0 && len(d.head) == head {
				same++
			}
			if again := got.AppendTo(nil); !bytes.Equal(again, enc) || !reflect.DeepEqual(got.clone(), want.clone()) {
				t.Fatalf("%x is read as %x", enc, again)
			}
			k := kept{enc: enc}
			if !d.Passing {
				k.clone = got.Clone()
				for ch := range got.All {
					k.changes = append(k.changes, ch)
				}
			}
			all = append(all, k)
		}
		for _, k := range all {
			want, _ := DecodeBatch(k.enc)
			i := 0
			for ch := range want.All {
				if !d.Passing && !reflect.DeepEqual(ch, k.changes[i]) {
					t.Fatalf("a change that was kept became %+v, want %+v", k.changes[i], ch)
				}
				i++
			}
			if !d.Passing && !bytes.Equal(k.clone.AppendTo(nil), k.enc) {
				t.Fatalf("a clone became %x, want %x", k.clone.AppendTo(nil), k.enc)
			}
		}
	})
	if !t.Failed() && (same == 0 || damaged == 0) {
		t.Errorf("%d batches began as the one before, %d were damaged", same, damaged)
	}
}

// TestCheckNext compares the short way of a check with the long way on changes that arrive one by one.
func TestCheckNext(t *testing.T) {
	short, withDeps := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		h, o := newHolder(), newHolder()
		for range rapid.IntRange(2, 30).Draw(t, "changes") {
			author(t, h)
		}
		for i := range h.log {
			b := h.BatchOf(h.log[i : i+1])
			if at := rapid.IntRange(-9, len(b.Context)-1).Draw(t, "wrong"); at >= 0 {
				switch a := &b.Context[at]; rapid.IntRange(0, 2).Draw(t, "what") {
				case 0:
					a.Hash[5]++
				case 1:
					a.Time++
				case 2:
					a.Seq++
				}
				if _, err := o.Check(b, nil); err == nil {
					t.Fatalf("a batch with the context %v was accepted", b.Context)
				}
				b = h.BatchOf(h.log[i : i+1])
			}
			k := &o.checker
			k.begin(o.Chains, b)
			ok := k.checkNext(nil)
			got := k.out
			got.links, got.parents = append([]link(nil), got.links...), append([]causal.LV(nil), got.parents...)
			if ok {
				short++
				if len(got.parents) > 1 {
					withDeps++
				}
				k.begin(o.Chains, b)
				if err := k.checkFrame(); err != nil {
					t.Fatal(err)
				}
				if err := k.checkHeld(); err != nil || len(k.missing) > 0 {
					t.Fatal(err, k.missing)
				}
				want, err := k.place()
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(got.links, want.links) || !reflect.DeepEqual(got.parents, want.parents) || got.base != want.base || got.changes != want.changes {
					t.Fatalf("%+v, the long way %+v", got, *want)
				}
			}
			checked, err := o.Check(b, nil)
			if err != nil {
				t.Fatal(err)
			}
			o.Add(checked)
		}
		if o.fingerprint() != h.fingerprint() {
			t.Fatal("the chains differ")
		}
	})
	if !t.Failed() && (short == 0 || withDeps == 0) {
		t.Errorf("%d changes went the short way, %d of them with deps", short, withDeps)
	}
}
