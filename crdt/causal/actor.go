package causal

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// DeviceSize and ActorSize are the encoded sizes of a Device and an Actor, in bytes.
const (
	DeviceSize = 32
	NonceSize  = 8
	ActorSize  = DeviceSize + NonceSize
)

// Device is a device's ed25519 public key. Its libp2p peer ID follows from it.
// The zero value names no device.
type Device [DeviceSize]byte

// Compare orders devices by their bytes.
func (d Device) Compare(o Device) int { return bytes.Compare(d[:], o[:]) }

// String returns the first four bytes in hex: enough for a person to tell
// devices apart in a log, not enough to name one for good.
func (d Device) String() string { return hex.EncodeToString(d[:4]) }

// Actor names one single-writer log: a device, and 64 random bits that keep
// two logs of one device (two stores, a restored backup, a pooled author)
// apart. It is never a counter, since two clones of a data directory would pick
// the same next one. The zero value names no actor. Actors are comparable.
type Actor struct {
	Device Device
	Nonce  [NonceSize]byte
}

// Compare orders actors by device, then nonce. Ties between concurrent
// operations are broken in this order.
func (a Actor) Compare(b Actor) int { return a.compare(&b) }

func (a *Actor) compare(b *Actor) int {
	// Mostly the first bytes tell.
	if x, y := binary.BigEndian.Uint64(a.Device[:]), binary.BigEndian.Uint64(b.Device[:]); x != y {
		return cmp.Compare(x, y)
	}
	if a.Device != b.Device {
		return a.Device.Compare(b.Device)
	}
	return cmp.Compare(binary.BigEndian.Uint64(a.Nonce[:]), binary.BigEndian.Uint64(b.Nonce[:]))
}

// IsZero reports whether a names no actor.
func (a Actor) IsZero() bool { return a == Actor{} }

// AppendTo appends the ActorSize bytes of a to buf.
func (a Actor) AppendTo(buf []byte) []byte {
	return append(append(buf, a.Device[:]...), a.Nonce[:]...)
}

// ActorFromBytes reads an actor from exactly ActorSize bytes.
func ActorFromBytes(b []byte) (Actor, error) {
	var a Actor
	if len(b) != ActorSize {
		return a, fmt.Errorf("causal: an actor takes %d bytes, not %d", ActorSize, len(b))
	}
	copy(a.Device[:], b)
	copy(a.Nonce[:], b[DeviceSize:])
	return a, nil
}

// String returns a short form, such as "3fa91c02.81d0": four bytes of the
// device and two of the nonce, in hex.
func (a Actor) String() string {
	return a.Device.String() + "." + hex.EncodeToString(a.Nonce[:2])
}

// Text returns the whole actor in hex, which ParseActor reads back.
func (a Actor) Text() string { return hex.EncodeToString(a.AppendTo(nil)) }

// ParseActor reads what Text returns.
func ParseActor(s string) (Actor, error) {
	b, err := hex.DecodeString(s)
	if err != nil {
		return Actor{}, fmt.Errorf("causal: actor %q: %w", s, err)
	}
	return ActorFromBytes(b)
}

// Seq is the number of an op in its actor's log. It counts op lengths
// (inserting 5 code points takes 5), from 1, without gaps. 0 is before the first.
type Seq uint64

// Dot names one op: the Seq-th of Actor, unique forever.
type Dot struct {
	Actor Actor
	Seq   Seq
}

// IsZero reports whether d names no op.
func (d Dot) IsZero() bool { return d == Dot{} }

// Compare orders dots by actor, then seq.
func (d Dot) Compare(o Dot) int {
	if c := d.Actor.Compare(o.Actor); c != 0 {
		return c
	}
	return cmp.Compare(d.Seq, o.Seq)
}

// String returns a short form, such as "3fa91c02.81d0:17".
func (d Dot) String() string { return fmt.Sprintf("%s:%d", d.Actor, d.Seq) }

// Text returns the whole dot, which ParseDot reads back.
func (d Dot) Text() string { return fmt.Sprintf("%s:%d", d.Actor.Text(), d.Seq) }

// ErrDot is returned by ParseDot for a text that Text never gives.
var ErrDot = errors.New("causal: a dot is written ACTOR:SEQ, the actor in hex and the seq from 1")

// ParseDot reads what Dot.Text returns.
func ParseDot(s string) (Dot, error) {
	head, tail, ok := strings.Cut(s, ":")
	var n uint64
	if !ok || len(tail) == 0 || len(tail) > 19 {
		return Dot{}, ErrDot
	}
	for _, r := range []byte(tail) {
		if r < '0' || r > '9' {
			return Dot{}, ErrDot
		}
		n = n*10 + uint64(r-'0')
	}
	if n == 0 {
		return Dot{}, ErrDot
	}
	a, err := ParseActor(head)
	if err != nil {
		return Dot{}, err
	}
	return Dot{Actor: a, Seq: Seq(n)}, nil
}

// MarshalText gives what Text returns, so that JSON shows an actor as a person would write it.
func (a Actor) MarshalText() ([]byte, error) { return []byte(a.Text()), nil }

// UnmarshalText reads what MarshalText gives.
func (a *Actor) UnmarshalText(text []byte) (err error) {
	*a, err = ParseActor(string(text))
	return err
}

// MarshalText gives what Text returns.
func (d Dot) MarshalText() ([]byte, error) { return []byte(d.Text()), nil }

// UnmarshalText reads what MarshalText gives.
func (d *Dot) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDot(string(text))
	return err
}
