package crdt

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// A cursor is encoded as one canonical msgpack array:
//
//	[format, actors, heads, position, bias, path]
//
// actors are the ones it names, sorted; a dot is the index of its actor and its seq. heads are the dots of the version,
// flat. path has an array for each step: a key, or else the dot of an element, then the kind and, unless it is
// zero, the dot of the birth.

// cursorFormat is the version of the encoding.
const cursorFormat = 1

// ErrCursor is wrapped by the errors of DecodeCursor and UnmarshalText: what was given is no cursor of this version of
// the program.
var ErrCursor = errors.New("crdt: not a cursor")

// AppendTo appends the encoding of c, which must not be zero, to buf.
func (c Cursor) AppendTo(buf []byte) []byte {
	actors := c.actors()
	dot := func(d causal.Dot) {
		i, _ := slices.BinarySearchFunc(actors, d.Actor, causal.Actor.Compare)
		buf = appendUint(appendUint(buf, uint64(i)), uint64(d.Seq))
	}
	buf = appendUint(appendArrayHead(buf, 6), cursorFormat)
	buf = appendArrayHead(buf, len(actors))
	for _, a := range actors {
		buf = appendBin(buf, a.AppendTo(nil))
	}
	buf = appendArrayHead(buf, 2*len(c.version))
	for _, d := range c.version {
		dot(d)
	}
	buf = appendUint(appendUint(buf, uint64(c.pos)), uint64(c.bias))
	buf = appendArrayHead(buf, len(c.path))
	for _, step := range c.path {
		n := 2
		if !step.Elem.IsZero() {
			n++
		}
		if !step.Birth.IsZero() {
			n += 2
		}
		buf = appendArrayHead(buf, n)
		if step.Elem.IsZero() {
			buf = appendStr(buf, step.Key)
		} else {
			dot(step.Elem)
		}
		if buf = appendUint(buf, uint64(step.Kind)); !step.Birth.IsZero() {
			dot(step.Birth)
		}
	}
	return buf
}

// actors returns the actors that c names, sorted.
func (c Cursor) actors() []causal.Actor {
	var out []causal.Actor
	for _, d := range c.version {
		out = append(out, d.Actor)
	}
	for _, step := range c.path {
		for _, d := range [2]causal.Dot{step.Elem, step.Birth} {
			if !d.IsZero() {
				out = append(out, d.Actor)
			}
		}
	}
	slices.SortFunc(out, causal.Actor.Compare)
	return slices.Compact(out)
}

// DecodeCursor reads what AppendTo writes, and nothing else. Errors wrap ErrCursor.
func DecodeCursor(b []byte) (Cursor, error) {
	d := cursorDecoder{b: b}
	c := d.cursor()
	switch {
	case d.flaw != "":
		return Cursor{}, fmt.Errorf("%w: %s", ErrCursor, d.flaw)
	case !bytes.Equal(c.AppendTo(nil), b):
		return Cursor{}, fmt.Errorf("%w: not canonical", ErrCursor)
	}
	return c, nil
}

// MarshalText gives the encoding in base64, in the alphabet for URLs and without padding.
func (c Cursor) MarshalText() ([]byte, error) {
	if c.IsZero() {
		return nil, nil
	}
	return base64.RawURLEncoding.AppendEncode(nil, c.AppendTo(nil)), nil
}

// UnmarshalText reads what MarshalText gives.
func (c *Cursor) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*c = Cursor{}
		return nil
	}
	b, err := base64.RawURLEncoding.Strict().AppendDecode(nil, text)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCursor, err)
	}
	*c, err = DecodeCursor(b)
	return err
}

// cursorDecoder reads a cursor from b. The first flaw sticks, and what is read after it is zero.
type cursorDecoder struct {
	b      []byte
	actors []causal.Actor
	flaw   string
}

func (d *cursorDecoder) fail(flaw string) {
	if d.flaw == "" {
		d.flaw, d.b = flaw, nil
	}
}

func (d *cursorDecoder) uint(most uint64) uint64 {
	v, rest, ok := readUint(d.b)
	if !ok || v > most {
		d.fail("number out of range")
		return 0
	}
	d.b = rest
	return v
}

func (d *cursorDecoder) array(most int) int {
	n, rest, ok := readArray(d.b)
	if !ok || n > most {
		d.fail("array of the wrong length")
		return 0
	}
	d.b = rest
	return n
}

func (d *cursorDecoder) dot() causal.Dot {
	i, seq := d.uint(1<<16), d.uint(MaxSeq)
	if i >= uint64(len(d.actors)) || seq == 0 {
		d.fail("no such dot")
		return causal.Dot{}
	}
	return causal.Dot{Actor: d.actors[i], Seq: causal.Seq(seq)}
}

func (d *cursorDecoder) cursor() (c Cursor) {
	if d.array(6) != 6 || d.uint(cursorFormat) != cursorFormat {
		d.fail("of another format")
	}
	for range d.array(MaxRefs + 2*MaxDepth) {
		b, rest, ok := readBin(d.b)
		a, err := causal.ActorFromBytes(b)
		if !ok || err != nil || a.IsZero() {
			d.fail("no actor")
			return c
		}
		d.b, d.actors = rest, append(d.actors, a)
	}
	n := d.array(2 * MaxRefs)
	for range n / 2 {
		c.version = append(c.version, d.dot())
	}
	if n%2 != 0 || !slices.IsSortedFunc(c.version, causal.Dot.Compare) {
		d.fail("no version")
	}
	c.pos, c.bias = int(d.uint(MaxPosition)), Bias(d.uint(uint64(BiasRight)))
	parent := Map
	for range d.array(MaxDepth) {
		if !parent.isParent() {
			d.fail("no path")
			return c
		}
		step := d.step(parent == List)
		c.path, parent = append(c.path, step), step.Kind
	}
	if parent != Text && parent != List {
		d.fail("neither in a text nor in a list")
	}
	return c
}

// step reads a step into a list or into a map.
func (d *cursorDecoder) step(list bool) (step Step) {
	n := d.array(5)
	if list {
		step.Elem = d.dot()
		n -= 2
	} else {
		key, rest, ok := readStr(d.b)
		if !ok || len(key) > MaxKeyBytes {
			d.fail("no key")
			return step
		}
		step.Key, d.b = string(key), rest
		n--
	}
	if step.Kind = Kind(d.uint(0xff)); !step.Kind.Known() {
		d.fail("unknown kind")
	}
	switch n {
	case 1:
	case 3:
		step.Birth = d.dot()
	default:
		d.fail("no step")
	}
	return step
}
