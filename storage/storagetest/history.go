package storagetest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/storage"
)

// History makes signed changes of one store, as a replica would, and keeps them: what a log ought to hold. It
// is made from a seed and always comes out the same.
type History struct {
	Chains  *crdt.Chains
	Blocks  []storage.Block // as they are to be appended
	Changes []crdt.Accepted
	keys    []ed25519.PrivateKey
	actors  []causal.Actor
	rng     *rand.Rand
}

// Store returns the ID of the n-th store, and Key the n-th device's key.
func Store(n int) crdt.StoreID { return sha256.Sum256(fmt.Appendf(nil, "store %d", n)) }

// Key returns the n-th device's key.
func Key(n int) ed25519.PrivateKey {
	seed := sha256.Sum256(fmt.Appendf(nil, "device %d", n))
	return ed25519.NewKeyFromSeed(seed[:])
}

// DeviceOf returns the device whose key is key.
func DeviceOf(key ed25519.PrivateKey) causal.Device {
	return causal.Device(key.Public().(ed25519.PublicKey))
}

// NewHistory returns the empty history of a store, written to by the given number of devices.
func NewHistory(store crdt.StoreID, devices int, seed uint64) *History {
	h := &History{Chains: crdt.NewChains(store), rng: rand.New(rand.NewPCG(seed, 0))}
	for i := range devices {
		h.keys = append(h.keys, Key(i))
		h.actors = append(h.actors, causal.Actor{Device: DeviceOf(Key(i)), Nonce: [8]byte{byte(i)}})
	}
	return h
}

// Add makes a block of n changes, each typing size characters, by a device drawn anew for each change
// that has seen all before it, or, one time in four, only what it wrote itself.
func (h *History) Add(n, size int) storage.Block {
	first := h.Chains.Graph().Len()
	var made []crdt.Accepted
	for range n {
		made = append(made, h.author(size))
	}
	// As a replica: one signature for each actor's last change, and one at each change another depends on.
	for i, a := range made {
		last := !slices.ContainsFunc(made[i+1:], func(b crdt.Accepted) bool { return b.Actor == a.Actor })
		needed := slices.ContainsFunc(made[i+1:], func(b crdt.Accepted) bool { return slices.Contains(b.Deps(), a.Dot()) })
		if !last && !needed {
			continue
		}
		key := h.keys[slices.Index(h.actors, a.Actor)]
		sig := ed25519.Sign(key, crdt.SigningBytes(a.Hash))
		h.Chains.AddSignature(crdt.Signature{Dot: a.Dot(), Sig: [64]byte(sig)})
	}
	h.Changes = append(h.Changes, made...)
	b := storage.Block{First: first, Batch: h.Chains.AppendBatch(nil, made)}
	h.Blocks = append(h.Blocks, b)
	return b
}

func (h *History) author(size int) crdt.Accepted {
	g := h.Chains.Graph()
	actor := h.actors[h.rng.IntN(len(h.actors))]
	parents := slices.Clone(g.Heads())
	if last := g.Last(actor); last > 0 && h.rng.IntN(4) == 0 {
		lv, _ := g.LV(causal.Dot{Actor: actor, Seq: last})
		parents = []causal.LV{lv}
	}
	text := make([]byte, size)
	for i := range text {
		text[i] = "etaoin shrdlu"[h.rng.IntN(13)]
	}
	op := &crdt.Op{Code: crdt.CodeTextInsert, Len: size, Path: crdt.Path{{Key: "notes", Kind: crdt.Text}}, Text: string(text)}
	ops := crdt.AppendOp(nil, op, func(causal.Actor, *crdt.Tip) int { return 0 })
	ch := &crdt.Change{Actor: actor, Seq: g.Last(actor) + 1, Time: int64(1_000_000 + len(h.Changes)),
		Groups: []crdt.Group{{Slice: "notes", Len: size, Ops: ops}}}
	for _, d := range g.Version(parents) {
		if d.Actor != actor {
			ch.Refs = append(ch.Refs, d)
		}
	}
	return h.Chains.Author(ch, parents)
}

// Fingerprint sums up a sequence of changes: equal fingerprints mean the same changes at the same
// local versions.
func Fingerprint(changes []crdt.Accepted) string {
	sum := sha256.New()
	for _, a := range changes {
		fmt.Fprintf(sum, "%s %d %d %d\n", a.Dot().Text(), a.Seq, a.Span.Start, a.Span.End)
		sum.Write(a.HashedBytes(nil, 0))
	}
	return fmt.Sprintf("%d changes %x", len(changes), sum.Sum(nil)[:8])
}

// Read returns all changes of l, through Load (which must agree with Changes).
func Read(l *storage.Log) ([]crdt.Accepted, error) {
	var loaded []crdt.Accepted
	at := causal.LV(0)
	next := uint64(0)
	err := l.Load(func(number uint64, batch []byte) error {
		if number < next {
			return fmt.Errorf("block %d after block %d", number, next-1)
		}
		next = number + 1
		b, err := crdt.DecodeBatch(batch)
		if err != nil {
			return fmt.Errorf("block %d: %w", number, err)
		}
		for ch := range b.All {
			span := causal.Span{Start: at, End: at + causal.LV(ch.Len())}
			loaded = append(loaded, crdt.Accepted{Change: ch, Span: span})
			at = span.End
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if l.Len() != at {
		return nil, fmt.Errorf("log of %d ops after loading %d ops", l.Len(), at)
	}
	changes, err := Span(l, causal.Span{Start: 0, End: at + 10})
	if err != nil {
		return nil, err
	}
	if a, b := Fingerprint(loaded), Fingerprint(changes); a != b {
		return nil, fmt.Errorf("loading gives %s, Changes gives %s", a, b)
	}
	return loaded, nil
}

// Span returns what l.Changes yields for s.
func Span(l *storage.Log, s causal.Span) ([]crdt.Accepted, error) {
	var out []crdt.Accepted
	err := l.Changes(s, func(a crdt.Accepted) bool {
		out = append(out, a)
		return true
	})
	return out, err
}
