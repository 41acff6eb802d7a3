package replica

import (
	"errors"
	"fmt"
	"strings"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// Limits of what one message may hold, checked before anything is allocated for it.
const (
	// MaxMessageBytes bounds one encoded message: a batch of the largest size, and its frame.
	MaxMessageBytes = crdt.MaxBatchBytes + 1024
	// MaxTips is how many tips one message names, and so how many actors a store can have
	// before its summary no longer fits.
	MaxTips = 1 << 17
	// MaxMessageRecords is how many delivery records, or counters of them, one message holds.
	MaxMessageRecords = 1 << 12
	// maxCounter bounds what a device counts, so that it can always be increased.
	maxCounter = 1 << 53
)

// ErrMessage is wrapped by every error of DecodeMessage: the bytes are no message of this
// version. Only a faulty or hostile peer sends such bytes.
var ErrMessage = errors.New("replica: malformed message")

// MessageType says what a message is. The numbers are part of the protocol.
type MessageType uint8

const (
	HaveType     MessageType = 1
	NeedFullType MessageType = 2
	ChangesType  MessageType = 3
	AckType      MessageType = 4
	DigestType   MessageType = 5
	RecordsType  MessageType = 6
	HeadsType    MessageType = 7
	StatesType   MessageType = 8
)

// Message is what replicas say to each other. A message is immutable once made: it may be sent to
// several peers, and its slices may be shared with the replica.
type Message interface {
	Type() MessageType
	// AppendTo appends the encoding of the message (canonical msgpack) to buf.
	AppendTo(buf []byte) []byte
	// String renders the message on one line, for logs and golden traces.
	String() string
}

// Have says what its sender holds durably. It opens an exchange, and restarts one.
type Have struct {
	// Digest is that of the sender's whole summary: the receiver checks what it
	// worked out against it.
	Digest crdt.Hash
	// Base is the digest of a summary both are thought to share, of which Tips gives the
	// differences; a tip of Seq 0 says that the sender lacks the actor. Zero: Tips is the whole summary.
	Base crdt.Hash
	// Tips are sorted by actor, then seq and hash: of a forked actor there is one for each branch.
	Tips []crdt.Tip
	// Counters name the delivery records the sender holds, sorted by device.
	Counters []Counter
	// Ask wants the receiver's Have in return if the sender lacks something.
	Ask bool
}

// Counter names a delivery record: that of Device numbered Counter.
type Counter struct {
	Device  causal.Device
	Counter uint64
}

// NeedFull answers a Have whose Base the sender does not know.
type NeedFull struct{}

// Changes carries a batch of changes, and how much of what the receiver lacks is still to come.
type Changes struct {
	Batch     []byte // crdt.Batch, encoded
	Remaining uint64 // ops after this batch
}

// Ack says which tips of its sender changed since it last said so. They are durable.
type Ack struct {
	Tips []crdt.Tip // sorted by actor
}

// Digest compares two replicas at the price of a few bytes.
type Digest struct {
	Digest  crdt.Hash // of the sender's summary
	Records crdt.Hash // of the counters of the delivery records it holds
	// Ask wants an answer: a Digest without Ask if they are equal, else a Have.
	Ask bool
}

// Records carries delivery records, of the sender and of others.
type Records struct {
	Records []Record // at least one; sorted by device
}

// Heads announces by gossip that its sender has new changes too large to gossip.
type Heads struct {
	Tips []crdt.Tip // sorted by actor
}

// Type returns HaveType.
func (*Have) Type() MessageType { return HaveType }

// Type returns NeedFullType.
func (*NeedFull) Type() MessageType { return NeedFullType }

// Type returns ChangesType.
func (*Changes) Type() MessageType { return ChangesType }

// Type returns AckType.
func (*Ack) Type() MessageType { return AckType }

// Type returns DigestType.
func (*Digest) Type() MessageType { return DigestType }

// Type returns RecordsType.
func (*Records) Type() MessageType { return RecordsType }

// Type returns HeadsType.
func (*Heads) Type() MessageType { return HeadsType }

// String renders m on one line.
func (m *Have) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Have digest=%s", m.Digest)
	if m.Base != (crdt.Hash{}) {
		fmt.Fprintf(&b, " base=%s", m.Base)
	}
	fmt.Fprintf(&b, " tips=%s", formatTips(m.Tips))
	if len(m.Counters) > 0 {
		fmt.Fprintf(&b, " records=%d", len(m.Counters))
	}
	if m.Ask {
		b.WriteString(" ask")
	}
	return b.String()
}

// String returns the name of the message: there is nothing else in it.
func (m *NeedFull) String() string { return "NeedFull" }

// String renders m on one line.
func (m *Changes) String() string {
	what := "malformed"
	if b, err := crdt.DecodeBatch(m.Batch); err == nil {
		what = describeBatch(b)
	}
	return fmt.Sprintf("Changes %s remaining=%d", what, m.Remaining)
}

// String renders m on one line.
func (m *Ack) String() string { return "Ack " + formatTips(m.Tips) }

// String renders m on one line.
func (m *Digest) String() string {
	s := "Digest " + m.Digest.String()
	if m.Ask {
		s += " ask"
	}
	return s
}

// String renders m on one line.
func (m *Records) String() string {
	var b strings.Builder
	b.WriteString("Records")
	for i := range m.Records {
		b.WriteByte(' ')
		b.WriteString(m.Records[i].String())
	}
	return b.String()
}

// String renders m on one line.
func (m *Heads) String() string { return "Heads " + formatTips(m.Tips) }

// maxShown bounds how many items of a list a String renders.
const maxShown = 8

func formatTips(tips []crdt.Tip) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, t := range tips {
		if i > 0 {
			b.WriteByte(' ')
		}
		if i == maxShown {
			fmt.Fprintf(&b, "and %d more", len(tips)-i)
			break
		}
		fmt.Fprintf(&b, "%s:%d", t.Actor, t.Seq)
	}
	b.WriteByte('}')
	return b.String()
}

// describeBatch renders the runs of a batch, in its order: "{a:1-5 b:1-2}".
func describeBatch(b *crdt.Batch) string {
	var out strings.Builder
	out.WriteByte('{')
	runs := 0
	for run := range b.Runs {
		if runs > 0 {
			out.WriteByte(' ')
		}
		if runs == maxShown {
			fmt.Fprintf(&out, "and more, %d changes", b.Len())
			break
		}
		fmt.Fprintf(&out, "%s:%d", run.Actor, run.Seq)
		if last := run.End - 1; last != run.Seq {
			fmt.Fprintf(&out, "-%d", last)
		}
		runs++
	}
	out.WriteByte('}')
	return out.String()
}
