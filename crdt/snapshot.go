package crdt

import (
	"fmt"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/sequence"
)

// TextSnapshot is a text as one version shows it: what a reader needs to see it at once, while its history, which alone
// is truth, is fetched or replayed. It is a cache: nothing vouches for it.
type TextSnapshot struct {
	Version Version
	Text    string // valid UTF-8
}

// snapshotVersion is the version of a snapshot's encoding, an array of 3:
//
//	version   1
//	heads     [actor, seq, ...]   sorted
//	text      string
const snapshotVersion = 1

// SnapshotText returns what s shows at v.
func (s *State) SnapshotText(v *TextView) TextSnapshot {
	return TextSnapshot{Version: s.Version(), Text: v.String()}
}

// AppendTo appends the encoding of t to buf.
func (t *TextSnapshot) AppendTo(buf []byte) []byte {
	buf = append(buf, mpFixArr|3, snapshotVersion)
	buf = appendArrayHead(buf, 2*len(t.Version))
	for i := range t.Version {
		buf = append(buf, mpBin8, causal.ActorSize)
		buf = t.Version[i].Actor.AppendTo(buf)
		buf = appendUint(buf, uint64(t.Version[i].Seq))
	}
	return appendStr(buf, t.Text)
}

// DecodeTextSnapshot reads a snapshot from exactly b. It accepts only what AppendTo writes, and takes no more memory than a
// few times b. Errors wrap ErrFormat.
func DecodeTextSnapshot(b []byte) (t TextSnapshot, err error) {
	refused := fmt.Errorf("%w: not a snapshot of a text", ErrFormat)
	n, b, ok := readArray(b)
	if !ok || n != 3 || len(b) == 0 || b[0] != snapshotVersion {
		return t, refused
	}
	n, b, ok = readArray(b[1:])
	if !ok || n%2 != 0 || n/2 > len(b)/(3+causal.ActorSize) {
		return t, refused
	}
	t.Version = makeSlice[Dot](n / 2)
	for i := range t.Version {
		var actor []byte
		if actor, b, ok = readBin(b); !ok {
			return TextSnapshot{}, refused
		}
		d := &t.Version[i]
		if d.Actor, err = causal.ActorFromBytes(actor); err != nil {
			return TextSnapshot{}, refused
		}
		if d.Seq, b, ok = readSeq(b); !ok || d.Seq < 1 || i > 0 && t.Version[i-1].Actor.Compare(d.Actor) >= 0 {
			return TextSnapshot{}, refused
		}
	}
	text, b, ok := readStr(b)
	if !ok || len(b) > 0 {
		return TextSnapshot{}, refused
	}
	t.Text = string(text)
	return t, nil
}

// Rope returns the text as one that can be edited and asked for positions.
func (t *TextSnapshot) Rope() *sequence.Rope {
	r := new(sequence.Rope)
	r.Insert(0, t.Text)
	return r
}
