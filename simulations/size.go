package simulations

import (
	"math"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/peer/replica"
)

// size returns how many bytes a message takes on the wire. It is worked out, since to encode every message would cost more than
// most of them do; what is rare is encoded.
func (s *Sim) size(m replica.Message) int {
	switch m := m.(type) {
	case *replica.Changes:
		return 2 + binSize(len(m.Batch)) + uintSize(m.Remaining)
	case *replica.Ack:
		return 2 + tipsSize(m.Tips)
	case *replica.Digest:
		return 2 + 2*binSize(32) + 1
	case *replica.Records:
		n := 2 + arraySize(len(m.Records))
		for i := range m.Records {
			r := &m.Records[i]
			n += 1 + binSize(len(r.Device)) + uintSize(r.Counter) + tipsSize(r.Tips) + binSize(len(r.Sig))
		}
		return n
	}
	s.scratch = m.AppendTo(s.scratch[:0])
	return len(s.scratch)
}

func tipsSize(tips []crdt.Tip) int {
	n := arraySize(3 * len(tips))
	for i := range tips {
		n += binSize(causal.ActorSize) + uintSize(uint64(tips[i].Seq)) + 2
		if tips[i].Hash != (crdt.Hash{}) {
			n += len(tips[i].Hash)
		}
	}
	return n
}

func uintSize(v uint64) int {
	switch {
	case v < 0x80:
		return 1
	case v <= math.MaxUint8:
		return 2
	case v <= math.MaxUint16:
		return 3
	case v <= math.MaxUint32:
		return 5
	}
	return 9
}

func arraySize(n int) int {
	switch {
	case n < 16:
		return 1
	case n <= math.MaxUint16:
		return 3
	}
	return 5
}

// binSize returns how many bytes n bytes take.
func binSize(n int) int {
	switch {
	case n <= math.MaxUint8:
		return 2 + n
	case n <= math.MaxUint16:
		return 3 + n
	}
	return 5 + n
}
