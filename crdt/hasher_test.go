package crdt

import (
	"crypto/sha256"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestHasher holds the hashes of a hasher equal to those of the library, whatever was hashed before: what fits a block, what just
// does not, and what is far longer than a hasher has room for.
func TestHasher(t *testing.T) {
	var long hasher // one that takes the library's way for all
	long.prepare()
	if long.state == nil {
		t.Fatal("the state of a digest is not as expected: a hasher is of no use here")
	}
	long.state = nil
	rapid.Check(t, func(t *rapid.T) {
		var short hasher
		var prev Hash
		for range rapid.IntRange(1, 20).Draw(t, "hashes") {
			n := rapid.OneOf(rapid.IntRange(0, 40), rapid.IntRange(0, 2000)).Draw(t, "bytes")
			tail := rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "tail")
			want := Hash(sha256.Sum256(append(prev[:], tail...)))
			for _, h := range []*hasher{&short, &long} {
				if h.sum(append(h.begin(&prev), tail...)); *h.last() != want {
					t.Fatalf("hash of %x and %x is %x, not %x", prev[:], tail, *h.last(), want)
				}
			}
			again := Hash(sha256.Sum256(append(want[:], tail...)))
			for _, h := range []*hasher{&short, &long} {
				if h.sum(append(h.again(), tail...)); *h.last() != again {
					t.Fatalf("hash of the last hash and %x is %x, not %x", tail, *h.last(), again)
				}
			}
			prev = again
		}
	})
}

// TestHasherHash compares hasher.hash with Change.Hash.
func TestHasherHash(t *testing.T) {
	var h hasher
	for _, n := range []int{1, 10, 30, inlineOps, inlineOps + 1, 1 << 16} {
		c := &Change{Actor: Actor{Nonce: [8]byte{1}}, Seq: 1, Time: 5, Groups: []Group{{Slice: "s", Len: 1, Ops: []byte(strings.Repeat("x", n))}}}
		for deps := range 3 {
			prev, others := Hash{byte(n)}, make([]Hash, deps)
			if got, want := h.hash(c, &prev, 3, others), c.Hash(prev, 3, others); got != want {
				t.Errorf("%d bytes, %d deps: %x, not %x", n, deps, got, want)
			}
		}
	}
}
