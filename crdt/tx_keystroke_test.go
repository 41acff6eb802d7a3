package crdt_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt"
)

// TestCommitEncoded commits the same encoded and as changes that are encoded afterwards, with changes of another actor in between, which
// arrive.
func TestCommitEncoded(t *testing.T) {
	keystrokes, others, signed := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		at, by, other := newLive(), newLive(), newLive()
		for range rapid.IntRange(1, 40).Draw(t, "commits") {
			if rapid.IntRange(0, 5).Draw(t, "other") == 0 {
				tx := other.state.BeginQuietly(agent(1), rapid.Int64Range(1, 50).Draw(t, "time"))
				drawWrites(t)(&tx)
				if batch, _, ok, err := tx.CommitEncoded(nil, nil); ok && err == nil {
					for _, l := range []*live{at, by} {
						if err := l.takeEncoded(batch, nil); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			write := drawWrites(t)
			time := rapid.Int64Range(1, 50).Draw(t, "time")
			begin := (*crdt.State).BeginQuietly
			if rapid.IntRange(0, 19).Draw(t, "loud") == 0 {
				begin = (*crdt.State).Begin
			}
			var sign crdt.Sign
			if rapid.Bool().Draw(t, "signed") {
				sign = func(msg []byte) []byte {
					sig := standIn(agent(0).Device, msg)
					return sig[:]
				}
			}
			start := []byte("before")
			tx := begin(at.state, agent(0), time)
			write(&tx)
			got, span, ok, err := tx.CommitEncoded(start, sign)
			twin := begin(by.state, agent(0), time)
			write(&twin)
			a, _, okToo, errToo := twin.Commit()
			if ok != okToo || fmt.Sprint(err) != fmt.Sprint(errToo) || span != a.Span {
				t.Fatalf("CommitEncoded: %v, %t, %v; Commit: %v, %t, %v", span, ok, err, a.Span, okToo, errToo)
			}
			if tx.Err() == nil {
				t.Fatal("the transaction goes on")
			}
			want := start
			if ok {
				if sign != nil {
					by.chains.AddSignature(crdt.Signature{Dot: a.Dot(), Sig: [64]byte(sign(crdt.SigningBytes(a.Hash)))})
					signed++
				}
				want = by.chains.BatchOf([]crdt.Accepted{a}).AppendTo(start)
				if rapid.IntRange(0, 3).Draw(t, "meet") == 0 {
					_ = other.takeEncoded(want[len(start):], nil) // it may lack what came before
				}
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("got  %x\nwant %x", got, want)
			}
			if ok && len(a.Refs) == 0 && a.Seq > 1 {
				keystrokes++
			} else {
				others++
			}
		}
		if what := at.differs(by); what != "" {
			t.Fatalf("%s differ", what)
		}
	})
	if !t.Failed() && (keystrokes == 0 || others == 0 || signed == 0) {
		t.Errorf("%d keystrokes, %d other changes, %d of all signed", keystrokes, others, signed)
	}
}

// TestCommitEncodedName types into a slice whose name is so long that the change takes a longer head than most.
func TestCommitEncodedName(t *testing.T) {
	slice := strings.Repeat("s", crdt.MaxSliceName)
	at, by, reader := newLive(), newLive(), newLive()
	for i := range 3 {
		tx := at.state.BeginQuietly(agent(0), int64(i))
		tx.Text(slice).Append("a")
		got, _, _, err := tx.CommitEncoded(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		tx = by.state.BeginQuietly(agent(0), int64(i))
		tx.Text(slice).Append("a")
		a, _, _, err := tx.Commit()
		if err != nil {
			t.Fatal(err)
		}
		if want := by.chains.AppendBatch(nil, []crdt.Accepted{a}); !bytes.Equal(got, want) {
			t.Fatalf("change %d: got  %x\nwant %x", i, got, want)
		}
		if err := reader.takeEncoded(got, nil); err != nil {
			t.Fatal(err)
		}
	}
}
