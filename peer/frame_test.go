package peer

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/atollsync/atoll/peer/replica"
)

func TestReadFrame(t *testing.T) {
	body := bytes.Repeat([]byte("x"), 200<<10)
	raw := append(binary.AppendUvarint(nil, uint64(len(body))), body...)
	got, err := readFrame(bufio.NewReader(bytes.NewReader(raw)), len(body))
	if err != nil || !bytes.Equal(got, body) {
		t.Errorf("readFrame = %d bytes, %v; want %d", len(got), err, len(body))
	}
	if _, err := readFrame(bufio.NewReader(bytes.NewReader(raw)), len(body)-1); !errors.Is(err, errFrame) {
		t.Errorf("one byte over the limit: %v, want errFrame", err)
	}
	if _, err := readFrame(bufio.NewReader(bytes.NewReader(raw[:1000])), len(body)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("truncated: %v, want io.ErrUnexpectedEOF", err)
	}
	// A length that is only announced is not allocated for.
	announced := append(binary.AppendUvarint(nil, maxFrame), 1, 2, 3)
	allocated := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			_, _ = readFrame(bufio.NewReader(bytes.NewReader(announced)), maxFrame)
		}
	}).AllocedBytesPerOp()
	if allocated > 1<<20 {
		t.Errorf("%d bytes allocated for three that came", allocated)
	}
}

func TestFrameFields(t *testing.T) {
	w := newFrame(frameOffer, 5)
	w.uint(1 << 40)
	w.bool(true)
	w.bytes([]byte("tags"))
	w.string("text")
	w.bytes(nil)
	kind, f := openFrame(w.done())
	if kind != frameOffer || f.uint() != 1<<40 || !f.bool() || string(f.bytes(4)) != "tags" || f.string(9) != "text" || len(f.bytes(0)) != 0 || f.end() != nil {
		t.Errorf("a frame does not come back: %v", f.end())
	}
	if f.uint(); !errors.Is(f.end(), errFrame) {
		t.Errorf("reading past the end: %v, want errFrame", f.end())
	}
	_, f = openFrame(w.done())
	if f.bytes(9); !errors.Is(f.end(), errFrame) {
		t.Error("a number was read as bytes")
	}
	_, f = openFrame(w.done())
	f.uint()
	f.bool()
	if f.bytes(3); !errors.Is(f.end(), errFrame) {
		t.Error("bytes over the limit were read")
	}
}

func TestPackerIsBounded(t *testing.T) {
	c, err := newCompressor(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	big, err := newCompressor(1 << 30)
	if err != nil {
		t.Fatal(err)
	}
	defer big.close()
	plain := bytes.Repeat([]byte("abc"), 100_000)
	packed, ok := c.pack(plain)
	if !ok || len(packed) > len(plain)/100 {
		t.Fatalf("packed %d bytes into %d", len(plain), len(packed))
	}
	if got, err := c.unpack(packed); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("unpack: %d bytes, %v", len(got), err)
	}
	if _, ok := c.pack(plain[:zstdAbove]); ok {
		t.Error("a small payload was packed")
	}
	bomb, _ := big.pack(make([]byte, 256<<20))
	if _, err := c.unpack(bomb); !errors.Is(err, errFrame) {
		t.Errorf("a bomb of %d bytes: %v, want errFrame", len(bomb), err)
	}
}

func TestTagsAndSeals(t *testing.T) {
	k1, err := newKeys([SecretSize]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	k2, _ := newKeys([SecretSize]byte{2})
	again, _ := newKeys([SecretSize]byte{1})
	if k1.id != again.id || k1.topic != again.topic || k1.id == k2.id || k1.topic == k2.topic {
		t.Error("keys must follow from the secret, and from nothing else")
	}
	n1, n2 := [nonceSize]byte{1}, [nonceSize]byte{2}
	tags := map[tag]string{}
	for name, got := range map[string]tag{
		"plain":        k1.tagFor(roleOffer, "a", "b", n1),
		"other role":   k1.tagFor(roleAccept, "a", "b", n1),
		"reflected":    k1.tagFor(roleOffer, "b", "a", n1),
		"other nonce":  k1.tagFor(roleOffer, "a", "b", n2),
		"other store":  k2.tagFor(roleOffer, "a", "b", n1),
		"moved border": k1.tagFor(roleOffer, "ab", "", n1),
	} {
		if other, ok := tags[got]; ok {
			t.Errorf("the tags of %q and %q are the same", name, other)
		}
		tags[got] = name
	}
	place := framePlace("a", "b", n1, 2)
	sealed := seal(k1.frames, []byte("milk"), place)
	if got, err := unseal(k1.frames, sealed, place); err != nil || string(got) != "milk" {
		t.Errorf("unseal = %q, %v", got, err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"other store":    func() ([]byte, error) { return unseal(k2.frames, sealed, place) },
		"other key":      func() ([]byte, error) { return unseal(k1.gossip, sealed, place) },
		"other receiver": func() ([]byte, error) { return unseal(k1.frames, sealed, framePlace("a", "c", n1, 2)) },
		"other session":  func() ([]byte, error) { return unseal(k1.frames, sealed, framePlace("a", "b", n2, 2)) },
		"other number":   func() ([]byte, error) { return unseal(k1.frames, sealed, framePlace("a", "b", n1, 4)) },
		"truncated":      func() ([]byte, error) { return unseal(k1.frames, sealed[:len(sealed)-1], place) },
		"short":          func() ([]byte, error) { return unseal(k1.frames, sealed[:5], place) },
	} {
		if got, err := open(); !errors.Is(err, errSeal) {
			t.Errorf("%s: opened to %q, %v", name, got, err)
		}
	}
}

func FuzzOpenFrame(f *testing.F) {
	w := newFrame(frameStore, 3)
	w.uint(2)
	w.uint(0)
	w.bytes([]byte("payload"))
	f.Add(w.done())
	f.Add(bytes.Repeat([]byte{0x91}, 100))
	f.Fuzz(func(t *testing.T, raw []byte) {
		// Whatever order it is read in, a frame gives bounded parts of itself, or an error.
		for mode := range 3 {
			_, r := openFrame(raw)
			for i := 0; r.err == nil && r.left > 0; i++ {
				switch (i + mode) % 3 {
				case 0:
					r.uint()
				case 1:
					if b := r.bytes(8); len(b) > 8 {
						t.Fatalf("%d bytes where 8 were allowed", len(b))
					}
				case 2:
					r.bool()
				}
			}
		}
	})
}

func FuzzDecodePeers(f *testing.F) {
	id, err := peerOf([32]byte{1})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encodePeers([]peer.AddrInfo{{ID: id, Addrs: []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/1")}}})[1:])
	f.Fuzz(func(t *testing.T, raw []byte) {
		peers, err := decodePeers(raw)
		if err != nil {
			return
		}
		if len(peers) > maxTold {
			t.Fatalf("%d peers, at most %d allowed", len(peers), maxTold)
		}
		again, err := decodePeers(encodePeers(peers)[1:])
		if err != nil || len(again) != len(peers) {
			t.Fatalf("%v comes back as %v, %v", peers, again, err)
		}
	})
}

// Whatever a stream carries, frames come out of it within their limit, and what is packed in them
// unpacks within its own.
func FuzzReadFrame(f *testing.F) {
	const limit = 1 << 16
	c, err := newCompressor(limit)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(c.close)
	packed, _ := c.pack(bytes.Repeat([]byte("abc"), 10_000))
	f.Add(append(binary.AppendUvarint(nil, uint64(len(packed))), packed...))
	f.Add(binary.AppendUvarint(nil, limit+1))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := bytes.NewReader(raw)
		for {
			frame, err := readFrame(r, limit)
			if err != nil {
				return
			}
			if len(frame) == 0 || len(frame) > limit {
				t.Fatalf("a frame of %d bytes", len(frame))
			}
			if plain, err := c.unpack(frame); err == nil && len(plain) > limit {
				t.Fatalf("%d bytes unpacked, at most %d allowed", len(plain), limit)
			}
		}
	})
}

// Whatever a member seals, gossip is an error or a bounded number of messages.
func FuzzDecodeGossip(f *testing.F) {
	c, err := newCompressor(maxGossipPlain)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(c.close)
	w := newArray(2)
	for range 2 {
		w.bytes((&replica.Digest{}).AppendTo(nil))
	}
	f.Add(append([]byte{0}, w.done()...))
	packed, _ := c.pack(bytes.Repeat([]byte{0x91}, 10_000))
	f.Add(append([]byte{flagZstd}, packed...))
	f.Fuzz(func(t *testing.T, raw []byte) {
		messages, err := decodeGossip(raw, c)
		if err == nil && len(messages) > maxGossipParts {
			t.Fatalf("%d messages, at most %d allowed", len(messages), maxGossipParts)
		}
	})
}
