package simulations

import (
	"testing"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/peer/replica"
)

// The size that a message is taken to have is that of its encoding.
func TestSize(t *testing.T) {
	s := &Sim{}
	seqs := []uint64{0, 1, 127, 128, 255, 256, 65_535, 65_536, 1<<32 - 1, 1 << 32, 1 << 40}
	var tips []crdt.Tip
	for n := range 30 {
		tip := crdt.Tip{Seq: crdt.Seq(seqs[n%len(seqs)])}
		if n%3 > 0 {
			tip.Hash[0] = 1
		}
		tips = append(tips, tip)
		record := replica.Record{Counter: seqs[n%len(seqs)], Tips: tips}
		for _, m := range []replica.Message{
			&replica.Have{Tips: tips}, &replica.NeedFull{}, &replica.Ack{Tips: tips}, &replica.Digest{Ask: true}, &replica.Heads{Tips: tips},
			&replica.Changes{Batch: make([]byte, seqs[n%8]), Remaining: seqs[n%len(seqs)]},
			&replica.Records{Records: []replica.Record{record, record}},
			&replica.Records{Records: make([]replica.Record, n)},
		} {
			if got, want := s.size(m), len(m.AppendTo(nil)); got != want {
				t.Errorf("%T with %d tips takes %d bytes, not %d", m, len(tips), want, got)
			}
		}
	}
}
