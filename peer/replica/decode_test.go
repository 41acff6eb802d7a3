package replica_test

import (
	"bytes"
	"testing"

	"github.com/atollsync/atoll/crdt"
)

// TestSharedBatches lets all replicas share what Config.Decode decoded: they say what they say when each decodes for itself, show the
// same, and write to none of it.
func TestSharedBatches(t *testing.T) {
	used := 0
	for seed := range uint64(40) {
		var said [2][]string
		shared := map[string]*crdt.Batch{}
		for i, share := range []bool{false, true} {
			configure := func(d *device) {
				if share {
					d.decode = func(b []byte) (*crdt.Batch, error) {
						if got := shared[string(b)]; got != nil {
							used++
							return got, nil
						}
						got, err := crdt.DecodeBatch(bytes.Clone(b))
						if err == nil {
							shared[string(b)] = got
						}
						return got, err
					}
				}
			}
			w, err := schedule(seed, seed%2 == 0, 40, true, configure, func(line string) { said[i] = append(said[i], line) })
			if err != nil {
				t.Fatal(err)
			}
			if err := w.settled(); err != nil {
				t.Fatal(err)
			}
		}
		for i := range said[0] {
			if i >= len(said[1]) || said[0][i] != said[1][i] {
				t.Fatalf("seed %d: message %d is another when decoded batches are shared", seed, i)
			}
		}
		for encoded, b := range shared {
			if got := string(b.AppendTo(nil)); got != encoded {
				t.Fatalf("seed %d: a shared batch was written to", seed)
			}
		}
	}
	if used < 100 {
		t.Errorf("only %d batches were shared", used)
	}
}
