package peer

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	lnet "github.com/libp2p/go-libp2p/core/network"

	"github.com/atollsync/atoll/peer/replica"
)

// raw is a peer that speaks the protocol by hand, and may break it.
type raw struct {
	t      *testing.T
	host   host.Host
	stream lnet.Stream
	r      *bufio.Reader
	nonce  [nonceSize]byte
	theirs [nonceSize]byte
	reason string // that the node gave for ending the session
}

func newRaw(t *testing.T) *raw {
	t.Helper()
	priv, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	h, err := libp2p.New(libp2p.Identity(priv), libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableMetrics(), libp2p.DisableRelay())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return &raw{t: t, host: h}
}

// dial opens a stream to d.
func (r *raw) dial(d *device) error {
	info, err := parsePeerAddr(d.Addrs()[0])
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.host.Connect(ctxFor(r.t), info); err != nil {
		return err
	}
	r.stream, err = r.host.NewStream(ctxFor(r.t), info.ID, syncProtocol)
	if err != nil {
		return err
	}
	r.r = bufio.NewReader(r.stream)
	return r.stream.SetDeadline(time.Now().Add(patience))
}

// write sends one frame. Errors show at the next read.
func (r *raw) write(frame []byte) {
	_, _ = r.stream.Write(append(binary.AppendUvarint(nil, uint64(len(frame))), frame...))
}

// read returns the next frame that is neither ping nor pong.
func (r *raw) read() (uint64, *frameReader, error) {
	for {
		b, err := readFrame(r.r, maxFrame)
		if err != nil {
			return 0, nil, err
		}
		kind, f := openFrame(b)
		if kind != framePing && kind != framePong {
			return kind, f, nil
		}
	}
}

// hello exchanges Hellos.
func (r *raw) hello(d *device) {
	r.t.Helper()
	if err := r.dial(d); err != nil {
		r.t.Fatal(err)
	}
	w := newFrame(frameHello, 4)
	w.uint(protocolVersion)
	w.bytes(r.nonce[:])
	w.string("raw")
	w.uint(0)
	r.write(w.done())
	kind, f, err := r.read()
	if err != nil || kind != frameHello {
		r.t.Fatalf("frame %d, %v; want Hello", kind, err)
	}
	f.uint()
	copy(r.theirs[:], f.fixed(nonceSize))
}

// offer offers one store, and returns the number of stores the node accepted.
func (r *raw) offer(d *device, k *keys) int {
	r.t.Helper()
	tags := make([]byte, minPadding*tagSize)
	_, _ = rand.Read(tags)
	if k != nil {
		mine := k.tagFor(roleOffer, r.host.ID(), d.id, r.nonce)
		copy(tags[tagSize:], mine[:])
	}
	w := newFrame(frameOffer, 3)
	w.uint(0)
	w.bytes(nil)
	w.bytes(tags)
	r.write(w.done())
	for {
		kind, f, err := r.read()
		if err != nil {
			r.t.Fatalf("no answer to an offer: %v", err)
		}
		if kind == frameAccept {
			return (f.left - 1) / 2
		}
	}
}

// store sends a payload for the store with the number that offer gave it.
func (r *raw) store(flags uint64, payload []byte) {
	w := newFrame(frameStore, 3)
	w.uint(2)
	w.uint(flags)
	w.bytes(payload)
	r.write(w.done())
}

// cut waits until the node has ended the stream.
func (r *raw) cut() {
	r.t.Helper()
	for {
		kind, f, err := r.read()
		if errors.Is(err, errFrame) || errors.Is(err, os.ErrDeadlineExceeded) {
			r.t.Fatalf("not cut: %v", err)
		}
		if err != nil {
			return
		}
		if kind == frameBye {
			r.reason = f.string(maxReason)
		}
	}
}

func TestStrangersLearnNothing(t *testing.T) {
	a := newDevice(t, "a", func(c *Config) { c.NoGossip = false; c.GossipAbove = -1 }).run()
	s := a.create("list")
	put(t, s, "secret", "milk")
	eventually(t, "a has a topic", func() bool { return s.Status().Gossip })

	r := newRaw(t)
	r.hello(a)
	if n := r.offer(a, nil); n != 0 {
		t.Errorf("a stranger was told of %d stores", n)
	}
	wrong, err := newKeys([SecretSize]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	if n := r.offer(a, wrong); n != 0 {
		t.Errorf("a wrong secret was told of %d stores", n)
	}
	// Somebody else's tag, or one for somebody else, proves nothing.
	stolen := s.keys.tagFor(roleOffer, a.id, a.id, r.nonce)
	w := newFrame(frameOffer, 3)
	w.uint(2 * minPadding)
	w.bytes(nil)
	w.bytes(stolen[:])
	r.write(w.done())
	if kind, f, err := r.read(); err != nil || kind != frameAccept || f.left != 1 {
		t.Errorf("frame %d with %d fields, %v; want an empty Accept", kind, f.left, err)
	}
	// Gossipsub tells its topics to whoever has a stream, so a stranger must get none.
	heard := make(chan []byte, 1)
	for _, p := range pubsub.GossipSubDefaultProtocols {
		r.host.SetStreamHandler(p, func(s lnet.Stream) {
			b, _ := io.ReadAll(io.LimitReader(s, 1))
			heard <- b
		})
	}
	stream, err := r.host.NewStream(ctxFor(t), a.id, pubsub.GossipSubDefaultProtocols...)
	if err == nil {
		_ = stream.SetDeadline(time.Now().Add(patience))
		_, _ = stream.Write([]byte{0})
		if n, err := stream.Read(make([]byte, 1)); n > 0 || err == nil {
			t.Error("a stranger's gossip stream was served")
		}
	}
	select {
	case <-heard:
		t.Error("gossipsub opened a stream to a stranger")
	default:
	}
	if a.Peers()[0].Stores != nil || s.Status().Connected != 0 {
		t.Errorf("a stranger counts as a member: %+v", a.Peers())
	}
}

func TestWrongSecret(t *testing.T) {
	a, b := newDevice(t, "a").run(), newDevice(t, "b").run()
	sa := a.create("list")
	put(t, sa, "k", 1)
	ticket := sa.Ticket()
	ticket.secret[0] ^= 1 // a ticket to a store that a does not have
	sb := b.join(ticket)
	put(t, sb, "mine", 2)
	eventually(t, "b is told what is wrong", func() bool {
		return strings.Contains(sb.Status().Problem, a.Device().String())
	})
	if err := b.Connect(ctxFor(t), a.Addrs()[0]); !errors.Is(err, ErrNoSharedStore) {
		t.Errorf("Connect: %v, want ErrNoSharedStore", err)
	}
	if got, want := show(t, sa), `{"m":{"k":1}}`; got != want {
		t.Errorf("a shows %s, want %s", got, want)
	}
	if got, want := show(t, sb), `{"m":{"mine":2}}`; got != want {
		t.Errorf("b shows %s, want %s", got, want)
	}
	// With the right ticket the same two meet in the session that is open.
	good := b.join(sa.Ticket().WithName("right"))
	converged(t, sa, good)
}

// A member that sends rubbish is cut, banned if it goes on, and nothing changes.
func TestHostileMember(t *testing.T) {
	a := newDevice(t, "a").run()
	b := newDevice(t, "b").run()
	s := a.create("list")
	put(t, s, "k", 1)
	sb := b.join(s.Ticket())
	want := converged(t, s, sb)
	packer, err := newCompressor(1 << 30)
	if err != nil {
		t.Fatal(err)
	}
	defer packer.close()

	nested := bytes.Repeat([]byte{0x91}, 16<<20)
	packed, _ := packer.pack(append([]byte{payloadMessage}, nested...))
	bomb, _ := packer.pack(make([]byte, 512<<20))
	have := (&replica.Have{}).AppendTo([]byte{payloadMessage})
	hostile := map[string]func(r *raw){
		"frame too long":         func(r *raw) { _, _ = r.stream.Write(binary.AppendUvarint(nil, maxFrame+1)) },
		"frame absurdly long":    func(r *raw) { _, _ = r.stream.Write(bytes.Repeat([]byte{0xff}, 16)) },
		"frame of nothing":       func(r *raw) { _, _ = r.stream.Write([]byte{0}) },
		"nested frame":           func(r *raw) { r.write(nested) },
		"nested message":         func(r *raw) { r.store(0, append([]byte{payloadMessage}, nested...)) },
		"nested message, packed": func(r *raw) { r.store(flagZstd, packed) },
		"zstd bomb":              func(r *raw) { r.store(flagZstd, bomb) },
		"not zstd":               func(r *raw) { r.store(flagZstd, []byte("plain")) },
		"wrong seal":             func(r *raw) { r.store(flagSealed, make([]byte, 100)) },
		"empty payload":          func(r *raw) { r.store(0, nil) },
		"truncated message":      func(r *raw) { r.store(0, have[:len(have)-1]) },
		"message and more":       func(r *raw) { r.store(0, append(bytes.Clone(have), 1)) },
		"changes of nonsense": func(r *raw) {
			r.store(0, (&replica.Changes{Batch: []byte("nonsense")}).AppendTo([]byte{payloadMessage}))
		},
		"members of nonsense": func(r *raw) { r.store(0, []byte{payloadPeers, 0x91, 0xc0}) },
		"second Hello": func(r *raw) {
			w := newFrame(frameHello, 3)
			w.uint(protocolVersion)
			w.bytes(r.nonce[:])
			w.string("raw")
			r.write(w.done())
		},
		"answer to no offer": func(r *raw) {
			w := newFrame(frameAccept, 1)
			w.bool(true)
			r.write(w.done())
		},
		"a fake answer": func(r *raw) {
			w := newFrame(frameAccept, 3)
			w.bool(true)
			w.uint(1)
			w.bytes(make([]byte, tagSize))
			r.write(w.done())
		},
	}
	for name, attack := range hostile {
		t.Run(name, func(t *testing.T) {
			r := newRaw(t)
			r.hello(a)
			if n := r.offer(a, s.keys); n != 1 {
				t.Fatalf("a member was accepted for %d stores, want 1", n)
			}
			attack(r)
			r.cut()
		})
	}
	t.Run("stream cut in mid-frame", func(t *testing.T) {
		r := newRaw(t)
		r.hello(a)
		r.offer(a, s.keys)
		_, _ = r.stream.Write(append(binary.AppendUvarint(nil, 1000), 1, 2, 3))
		_ = r.stream.CloseWrite()
		r.cut()
	})
	t.Run("again and again", func(t *testing.T) {
		r := newRaw(t)
		for i := 0; ; i++ {
			if err := r.dial(a); err != nil {
				break // banned
			}
			if i > 20 {
				t.Fatal("an offender was served 20 times")
			}
			r.write([]byte{0xc0})
			for {
				if _, _, err := r.read(); err != nil {
					break
				}
			}
		}
	})
	banned := 0
	for _, o := range a.Status().Offenders {
		if o.Until.After(time.Now()) && o.Bans > 0 && o.Reason != "" {
			banned++
		}
	}
	if banned == 0 {
		t.Errorf("the offender is not among %+v", a.Status().Offenders)
	}
	if got := show(t, s); got != want {
		t.Errorf("shows %s, want %s", got, want)
	}
	put(t, sb, "still", "usable")
	converged(t, s, sb)
}

// A stranger may not send what only a member could mean, nor have much memory set aside.
func TestHostileStranger(t *testing.T) {
	a := newDevice(t, "a").run()
	s := a.create("list")
	put(t, s, "k", 1)
	want := show(t, s)
	nested := bytes.Repeat([]byte{0x91}, maxStrangerFrame)
	for name, attack := range map[string]func(r *raw){
		"frame that only a member may send": func(r *raw) { _, _ = r.stream.Write(binary.AppendUvarint(nil, maxStrangerFrame+1)) },
		"nested frame":                      func(r *raw) { r.write(nested) },
		"odd tags": func(r *raw) {
			w := newFrame(frameOffer, 3)
			w.uint(0)
			w.bytes(nil)
			w.bytes(make([]byte, tagSize+1))
			r.write(w.done())
		},
		"too many offers": func(r *raw) {
			for range 600 {
				w := newFrame(frameOffer, 3)
				w.uint(0)
				w.bytes(nil)
				w.bytes(make([]byte, tagSize))
				r.write(w.done())
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRaw(t)
			r.hello(a)
			attack(r)
			r.cut()
		})
	}
	t.Run("frame before Hello", func(t *testing.T) {
		r := newRaw(t)
		if err := r.dial(a); err != nil {
			t.Fatal(err)
		}
		w := newFrame(framePing, 1)
		w.uint(1)
		r.write(w.done())
		r.cut()
	})
	t.Run("other version", func(t *testing.T) {
		r := newRaw(t)
		if err := r.dial(a); err != nil {
			t.Fatal(err)
		}
		w := newFrame(frameHello, 1)
		w.uint(protocolVersion + 1)
		r.write(w.done())
		r.cut()
		if !strings.Contains(r.reason, "version") {
			t.Errorf("the peer was told %q, want something about versions", r.reason)
		}
	})
	t.Run("store frame in the clear", func(t *testing.T) {
		r := newRaw(t)
		r.hello(a)
		r.store(0, (&replica.Have{}).AppendTo([]byte{payloadMessage})) // for a store it has not offered: ignored
		if n := r.offer(a, nil); n != 0 {
			t.Errorf("accepted %d", n)
		}
	})
	if got := show(t, s); got != want {
		t.Errorf("shows %s, want %s", got, want)
	}
	b := newDevice(t, "b").run()
	converged(t, s, b.join(s.Ticket()))
}

// Many strangers at once do not keep members out.
func TestManyStrangers(t *testing.T) {
	a := newDevice(t, "a").run()
	s := a.create("list")
	var raws []*raw
	for range 12 {
		r := newRaw(t)
		r.hello(a)
		r.offer(a, nil)
		raws = append(raws, r)
	}
	eventually(t, "all are there", func() bool { return len(a.Peers()) == len(raws) })
	b := newDevice(t, "b").run()
	converged(t, s, b.join(s.Ticket()))
}

// The outbound queue of a peer that reads nothing is bounded.
func TestOutQueueIsBounded(t *testing.T) {
	var q outQueue
	q.init()
	frame := make([]byte, 1<<20)
	for range 2 * maxOutBytes / len(frame) {
		q.control(frame)
	}
	if q.size() > maxOutBytes+len(frame) {
		t.Errorf("%d bytes queued, at most %d allowed", q.size(), maxOutBytes)
	}
	if _, ok, full, _ := q.next(); ok || !full {
		t.Error("a queue that overflowed goes on as if nothing was lost")
	}
}

func TestSilentPeerIsCut(t *testing.T) {
	a := newDevice(t, "a", func(c *Config) { c.Heartbeat = 100 * time.Millisecond }).run()
	r := newRaw(t)
	r.hello(a) // and then nothing: no answer to any ping
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	gone := make(chan struct{})
	go func() { r.cut(); close(gone) }()
	select {
	case <-gone:
	case <-ctx.Done():
		t.Error("a peer that says nothing was kept")
	}
}
