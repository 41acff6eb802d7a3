package crdt

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt/causal"
)

func genSize(top int) *rapid.Generator[int] {
	edges := []int{0, 1, 15, 16, 31, 32, 127, 128, 255, 256, 65535, 65536}
	return rapid.OneOf(rapid.IntRange(0, top), rapid.SampledFrom(edges))
}

// The bytes appended by hand are those of msgpack's own Encoder, and the read functions
// take exactly them back.
func TestAppendEqualsEncoder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var buf bytes.Buffer
		e := msgpack.NewEncoder(&buf)
		check := func(what string, got []byte, err error) {
			t.Helper()
			if err != nil || !bytes.Equal(got, buf.Bytes()) {
				t.Fatalf("%s: %.40x, msgpack's Encoder writes %.40x, %v", what, got, buf.Bytes(), err)
			}
			buf.Reset()
		}
		u := rapid.Uint64().Draw(t, "uint") >> rapid.IntRange(0, 63).Draw(t, "shift")
		check("uint", appendUint(nil, u), e.EncodeUint(u))
		if v, rest, ok := readUint(appendUint(nil, u)); !ok || v != u || len(rest) > 0 || uintSize(u) != len(appendUint(nil, u)) {
			t.Fatalf("uint %d reads back as %d", u, v)
		}
		n := rapid.Int64().Draw(t, "int") >> rapid.IntRange(0, 63).Draw(t, "shift")
		check("int", appendInt(nil, n), e.EncodeInt(n))
		if v, rest, ok := readInt(appendInt(nil, n)); !ok || v != n || len(rest) > 0 {
			t.Fatalf("int %d reads back as %d", n, v)
		}
		f := rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64).Draw(t, "float")
		if f != 0 {
			check("float", appendFloat(nil, f), e.EncodeFloat64(f))
		}
		size := genSize(70000).Draw(t, "size")
		s := strings.Repeat("s", size)
		check("str", appendStr(nil, s), e.EncodeString(s))
		if v, rest, ok := readStr(appendStr(nil, s)); !ok || string(v) != s || len(rest) > 0 || strSize(size) != len(appendStr(nil, s)) {
			t.Fatalf("string of %d bytes reads back as %d", size, len(v))
		}
		check("bin", appendBin(nil, []byte(s)), e.EncodeBytes([]byte(s)))
		if v, rest, ok := readBin(appendBin(nil, []byte(s))); !ok || string(v) != s || len(rest) > 0 || binSize(size) != len(appendBin(nil, []byte(s))) {
			t.Fatalf("bin of %d bytes reads back as %d", size, len(v))
		}
		check("array", appendArrayHead(nil, size), e.EncodeArrayLen(size))
		if v, rest, ok := readArray(append(appendArrayHead(nil, size), s...)); !ok || v != size || len(rest) != size || arrayHeadSize(size) != len(appendArrayHead(nil, size)) {
			t.Fatalf("array of %d reads back as %d", size, v)
		}
		check("map", appendMapHead(nil, size), e.EncodeMapLen(size))
		if v, rest, ok := readMap(append(appendMapHead(nil, size), s+s...)); !ok || v != size || len(rest) != 2*size {
			t.Fatalf("map of %d reads back as %d", size, v)
		}
	})
}

// changeTree is a change's hashed or wire form as a tree of Go values.
func changeTree(c *Change, prevTime int64, ref func(causal.Actor) any, hashed bool) []any {
	refs := []any{}
	for _, r := range c.Refs {
		refs = append(refs, ref(r.Actor), uint64(r.Seq))
	}
	groups := []any{}
	for _, g := range c.Groups {
		ops := any(append([]byte{}, g.Ops...))
		if hashed && len(g.Ops) > 64 {
			sum := sha256.Sum256(g.Ops)
			ops = []any{sum[:]}
		}
		groups = append(groups, g.Slice, g.Len, ops)
	}
	return []any{refs, c.Time - prevTime, groups}
}

func genChange(actors []causal.Actor, seq causal.Seq) *rapid.Generator[*Change] {
	return rapid.Custom(func(t *rapid.T) *Change {
		c := &Change{Actor: actors[0], Seq: seq, Time: rapid.Int64Range(0, MaxTime).Draw(t, "time")}
		sorted := append([]causal.Actor{}, actors[1:]...)
		for i := range sorted {
			for j := range i {
				if sorted[i].Compare(sorted[j]) < 0 {
					sorted[i], sorted[j] = sorted[j], sorted[i]
				}
			}
		}
		for _, a := range sorted {
			if rapid.Bool().Draw(t, "ref") {
				c.Refs = append(c.Refs, causal.Dot{Actor: a, Seq: causal.Seq(rapid.Uint64Range(0, MaxSeq).Draw(t, "seq"))})
			}
		}
		names := rapid.SliceOfNDistinct(genKey, 1, 4, rapid.ID).Draw(t, "slices")
		for i := range names {
			for j := range i {
				if names[i] < names[j] {
					names[i], names[j] = names[j], names[i]
				}
			}
		}
		for _, name := range names {
			c.Groups = append(c.Groups, Group{
				Slice: name,
				Len:   rapid.IntRange(1, 70000).Draw(t, "len"),
				Ops:   rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "ops"),
			})
		}
		return c
	})
}

func TestHashedBytesEqualEncoder(t *testing.T) {
	actors := []causal.Actor{actorOf(0), actorOf(1), actorOf(2), actorOf(3)}
	rapid.Check(t, func(t *rapid.T) {
		c := genChange(actors, 5).Draw(t, "change")
		prev := rapid.Int64Range(0, MaxTime).Draw(t, "time before")
		var want []byte
		for _, part := range changeTree(c, prev, func(a causal.Actor) any { return a.AppendTo(nil) }, true) {
			want = append(want, encoded(t, part)...)
		}
		if got := c.HashedBytes(nil, prev); !bytes.Equal(got, want) {
			t.Fatalf("%x, msgpack's Encoder writes %x", got, want)
		}
		var full []byte
		for _, part := range changeTree(c, 0, func(a causal.Actor) any { return a.AppendTo(nil) }, false) {
			full = append(full, encoded(t, part)...)
		}
		if c.Size() != len(full) {
			t.Fatalf("Size %d, want %d", c.Size(), len(full))
		}
		deps := []Hash{{1}, {2}}
		sum := sha256.Sum256(append(append(append([]byte{9: 9, 31: 0}, want...), deps[0][:]...), deps[1][:]...))
		if got := c.Hash(Hash{9: 9}, prev, deps); got != sum {
			t.Fatalf("hash %x, want %x", got[:], sum)
		}
	})
}

// A typed character fits one block of SHA-256 with the previous hash: 32 + 23 + 9 = 64 bytes.
func TestTypedCharacterIsOneBlock(t *testing.T) {
	c := &Change{Actor: actorOf(0), Seq: 900, Time: 1_700_000_000_250, Groups: []Group{typed("notes", 65535, "x")}}
	b := c.HashedBytes(nil, 1_700_000_000_000)
	if len(b) > 23 {
		t.Errorf("%d bytes: %x", len(b), b)
	}
	if want := "90" + "ccfa" + "93" + "a56e6f746573" + "01" + "c409" + "95390190cdffffa178"; hex.EncodeToString(b) != want {
		t.Errorf("%x, want %s", b, want)
	}
}

// Golden hashes: the format.
func TestHashGolden(t *testing.T) {
	a := actorOf(0)
	genesis := GenesisHash(fixtureStore, a)
	if want := sha256.Sum256([]byte("atoll actor v1\x00" + string(fixtureStore[:]) + string(a.AppendTo(nil)))); genesis != Hash(want) {
		t.Errorf("genesis %x, want %x", genesis[:], want)
	}
	c := &Change{Actor: a, Seq: 1, Time: 1000, Groups: []Group{typed("notes", 0, "x")}}
	h := c.Hash(genesis, 0, nil)
	if want := sha256.Sum256(append(genesis[:], unhex(t, "90"+"cd03e8"+"93"+"a56e6f746573"+"01"+"c407"+"9539019000a178")...)); h != Hash(want) {
		t.Errorf("hash %x, want %x", h[:], want)
	}
	if got, want := SigningBytes(h), "atoll change v1\x00"+string(h[:]); string(got) != want {
		t.Errorf("signing bytes %q, want %q", got, want)
	}
	const frozen = "78a9841bc6797a552ae6bafbd12f72f6ed3292fb1ce4624beda5a42971997a8b"
	if got := hex.EncodeToString(h[:]); got != frozen {
		t.Errorf("hash %s, want %s", got, frozen)
	}
}

func TestValidate(t *testing.T) {
	low, high := actorOf(1), actorOf(2)
	if low.Compare(high) > 0 {
		low, high = high, low
	}
	good := func() *Change {
		return &Change{Actor: actorOf(0), Seq: 1, Refs: []causal.Dot{{Actor: low, Seq: 1}, {Actor: high}},
			Groups: []Group{{Slice: "a", Len: 1}, {Slice: "b", Len: 2}}}
	}
	if err := good().Validate(); err != nil {
		t.Fatal(err)
	}
	for name, break_ := range map[string]func(*Change){
		"seq 0":               func(c *Change) { c.Seq = 0 },
		"seq beyond the last": func(c *Change) { c.Seq = MaxSeq - 1 },
		"time before 1970":    func(c *Change) { c.Time = -1 },
		"time too large":      func(c *Change) { c.Time = MaxTime + 1 },
		"own actor":           func(c *Change) { c.Refs[0].Actor = c.Actor },
		"refs unsorted":       func(c *Change) { c.Refs[0].Actor, c.Refs[1].Actor = high, low },
		"ref twice":           func(c *Change) { c.Refs[1].Actor = low },
		"ref out of range":    func(c *Change) { c.Refs[1].Seq = MaxSeq + 1 },
		"no ops":              func(c *Change) { c.Groups = nil },
		"slices unsorted":     func(c *Change) { c.Groups[0].Slice = "c" },
		"slice twice":         func(c *Change) { c.Groups[0].Slice = "b" },
		"long slice name":     func(c *Change) { c.Groups[1].Slice = strings.Repeat("b", MaxSliceName+1) },
		"slice not UTF-8":     func(c *Change) { c.Groups[1].Slice = "b\xff" },
		"length 0":            func(c *Change) { c.Groups[0].Len = 0 },
		"length too large":    func(c *Change) { c.Groups[0].Len = MaxChangeLen + 1 },
		"sum too large":       func(c *Change) { c.Groups[0].Len = MaxChangeLen },
		"too many bytes":      func(c *Change) { c.Groups[0].Ops = make([]byte, MaxChangeBytes) },
		"too many refs":       func(c *Change) { c.Refs = manyRefs(MaxRefs + 1) },
		"too many slices":     func(c *Change) { c.Groups = manyGroups(MaxGroups + 1) },
	} {
		c := good()
		break_(c)
		if err := c.Validate(); err == nil {
			t.Errorf("%s: no error", name)
		} else {
			wantIs(t, err, ErrInvalid)
		}
	}
	c := good()
	c.Refs, c.Groups, c.Seq = manyRefs(MaxRefs), manyGroups(MaxGroups), MaxSeq-MaxGroups+1
	if err := c.Validate(); err != nil {
		t.Errorf("at the limits: %v", err)
	}
}

func manyRefs(n int) (refs []causal.Dot) {
	for i := range n {
		refs = append(refs, causal.Dot{Actor: causal.Actor{Nonce: [8]byte{byte(i >> 8), byte(i)}}, Seq: 1})
	}
	return refs
}

func manyGroups(n int) (groups []Group) {
	for i := range n {
		groups = append(groups, Group{Slice: string([]rune{rune(0x100 + i)}), Len: 1})
	}
	return groups
}

func BenchmarkHash(b *testing.B) {
	c := &Change{Actor: actorOf(0), Seq: 900, Time: 1_700_000_000_250, Groups: []Group{typed("notes", 65535, "x")}}
	var prev Hash
	b.ReportAllocs()
	for b.Loop() {
		prev = c.Hash(prev, 1_700_000_000_000, nil)
	}
}
