package sequence

import (
	"fmt"
	"unicode/utf8"
)

// ropeLeafCap is the capacity of a leaf in bytes and ropeNodeCap that of a node in
// children, chosen by measurement.
const (
	ropeLeafCap = 2048
	ropeNodeCap = 16
)

// Rope is a text that is cheap to edit anywhere. Positions and lengths count Unicode code
// points (runes); UTF-8 and UTF-16 offsets can be converted. The zero value is the
// empty text. Reading is safe for concurrent use, while nothing edits the same Rope. A Rope must not
// be copied; see Snapshot.
//
// A Rope is a B+ tree of UTF-8 chunks, each with its size in bytes, runes and
// UTF-16 units. Snapshots share what has not been edited since.
//
// Invariant: what a Rope made since it was last in a snapshot, or one itself, carries its gen, and nothing else that it
// can reach does: that it may change in place.
type Rope struct {
	root   ropeLink // empty: the empty text
	height int      // levels of nodes above the leaves
	size   ropeSize
	gen    uint64
	last   ropeCursor // where the last edit was
}

// ropeLink is a child: a leaf at level 0, a node above.
type ropeLink struct {
	leaf *ropeLeaf
	node *ropeNode
}

type ropeNode struct {
	gen   uint64
	n     int
	kids  [ropeNodeCap]ropeLink
	sizes [ropeNodeCap]ropeSize
}

// Len returns the length in runes.
func (r *Rope) Len() int { return r.size.runes }

// LenBytes returns the length in bytes of UTF-8.
func (r *Rope) LenBytes() int { return r.size.bytes }

// LenUTF16 returns the length in UTF-16 code units.
func (r *Rope) LenUTF16() int { return r.size.units }

// Snapshot returns the text as it is now, in constant time. Either Rope may go on being
// edited without the other seeing it, and from another goroutine.
func (r *Rope) Snapshot() *Rope {
	r.gen++
	r.last.leaf = nil
	return &Rope{root: r.root, height: r.height, size: r.size, gen: r.gen}
}

// Insert puts s before the rune at pos, 0 <= pos <= Len(). Each byte of s that is not valid
// UTF-8 counts, and is kept, as one U+FFFD.
func (r *Rope) Insert(pos int, s string) {
	if pos < 0 || pos > r.size.runes {
		panic(fmt.Sprintf("sequence: insert at %d of a text of %d", pos, r.size.runes))
	}
	if !(len(s) == 1 && s[0] < utf8.RuneSelf) && !utf8.ValidString(s) {
		s = string([]rune(s))
	}
	if r.size.bytes == 0 && len(s) > ropeLeafCap {
		r.load(s)
		return
	}
	for len(s) > 0 {
		l := r.reach(pos)
		k := pos - r.last.at
		b := l.offset(k)
		room := ropeLeafCap - l.size.bytes
		if len(s) > room {
			switch {
			case b == l.size.bytes:
				// Fill the leaf, and go on with a new one after it.
				for room > 0 && !utf8.RuneStart(s[room]) {
					room--
				}
			case len(s) > ropeLeafCap/2:
				r.splitLeaf(b, k)
				continue
			default:
				half := l.size.runes / 2
				r.splitLeaf(l.offset(half), half)
				if k > half {
					l.resize(l.size.bytes) // where nothing is being inserted
				}
				continue
			}
			if room == 0 {
				r.splitLeaf(b, k)
				continue
			}
		}
		d := l.insert(b, k, s[:min(room, len(s))])
		r.grow(d)
		s = s[d.bytes:]
		pos += d.runes
	}
}

// Delete removes n runes at pos, 0 <= pos <= pos+n <= Len().
func (r *Rope) Delete(pos, n int) {
	if pos < 0 || n < 0 || pos+n > r.size.runes {
		panic(fmt.Sprintf("sequence: delete %d at %d of a text of %d", n, pos, r.size.runes))
	}
	for n > 0 {
		l := r.reach(pos)
		if r.last.at+l.size.runes == pos {
			l = r.reachNext(pos)
		}
		from := pos - r.last.at
		k := min(n, l.size.runes-from)
		r.grow(l.delete(l.offset(from), l.offset(from+k), from).neg())
		n -= k
		if l.size.bytes < ropeLeafCap/2 && r.height > 0 {
			r.thin()
		}
	}
}
