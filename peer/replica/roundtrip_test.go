package replica_test

import (
	"fmt"
	"testing"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/peer/replica"
)

// TestOneRoundTrip counts what two devices say to catch up after they were apart, and how long it takes on a
// network that has latency and no other limit. However much is missing, it is one Have each way, and
// nothing else that asks for anything; the changes arrive one round trip after the two met.
func TestOneRoundTrip(t *testing.T) {
	for _, missing := range []int{10, 1_000, 100_000} {
		for _, known := range []bool{true, false} {
			t.Run(fmt.Sprintf("missing=%d/known=%v", missing, known), func(t *testing.T) {
				if testing.Short() && missing > 1_000 {
					t.Skip("-short")
				}
				w, err := newNetwork(1, 2, false, replica.Limits{})
				if err != nil {
					t.Fatal(err)
				}
				must := func(err error) {
					t.Helper()
					if err != nil {
						t.Fatal(err)
					}
				}
				if known {
					must(w.link(0, 1))
					must(w.commit(0, write("x")))
					must(w.advance(5_000))
					w.unlink(0, 1)
				}
				must(w.advance(100))
				// Both wrote while apart, so both catch up at once.
				for i, n := range []int{missing, missing / 10} {
					for range n {
						if _, err := w.devices[i].r.Commit(w.now, write("twenty characters...")); err != nil {
							t.Fatal(err)
						}
					}
					must(w.drive(i))
				}
				clear(w.messages)
				w.bytes = 0
				met := w.now
				must(w.link(0, 1))
				for w.converged() != nil && w.now < met+1000 {
					must(w.advance(1))
				}
				must(w.converged())
				if took := w.now - met; took > 2*latency {
					t.Errorf("caught up after %d ms, with a latency of %d ms one way", took, latency)
				}
				for typ, n := range w.messages {
					switch {
					case typ == "Changes" || typ == "Ack":
					case typ == "Have" && n == 2:
					case typ == "Records" && n <= 2:
					default:
						t.Errorf("%d messages of type %s: %v", n, typ, w.messages)
					}
				}
				a, b := w.devices[0].r.State(), w.devices[1].r.State()
				if a.Digest() != b.Digest() {
					t.Error("their states differ")
				}
				payload := (missing + missing/10) * 20
				t.Logf("%d changes, %d bytes typed: messages %v, %d bytes, %.2f per byte typed", missing+missing/10, payload, w.messages, w.bytes, float64(w.bytes)/float64(payload))
			})
		}
	}
}

func write(s string) func(*crdt.Tx) error {
	return func(tx *crdt.Tx) error {
		tx.Text("notes").Append(s)
		return nil
	}
}
