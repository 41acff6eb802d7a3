package crdt

import (
	"crypto/ed25519"
	"crypto/sha256"

	"github.com/atollsync/atoll/crdt/causal"
)

// Domain tags: what is hashed or signed for one purpose never serves another.
const (
	genesisTag = "atoll actor v1\x00"
	signingTag = "atoll change v1\x00"
)

// GenesisHash is what stands for the previous hash before an actor's first change. It binds an
// actor's whole chain to one store.
func GenesisHash(store StoreID, a causal.Actor) Hash {
	buf := make([]byte, 0, len(genesisTag)+len(store)+causal.ActorSize)
	buf = append(buf, genesisTag...)
	buf = append(buf, store[:]...)
	return sha256.Sum256(a.AppendTo(buf))
}

// SigningBytes returns the message that the device of a change with hash h signs. The signature
// vouches for that change, everything its actor wrote before, and all they saw.
func SigningBytes(h Hash) []byte {
	return append([]byte(signingTag), h[:]...)
}

// Signature is a device's ed25519 signature over SigningBytes of the hash of the change
// whose last op is Dot.
type Signature struct {
	Dot causal.Dot
	Sig [ed25519.SignatureSize]byte
}

// Verify reports whether sig is d's signature over msg.
type Verify func(d causal.Device, msg, sig []byte) bool

// VerifyEd25519 is the Verify of every real store. It uses the standard library and nothing
// else: other libraries, and batch verification, differ on signatures at the edge, and
// replicas that differ on one would never converge.
func VerifyEd25519(d causal.Device, msg, sig []byte) bool {
	return ed25519.Verify(ed25519.PublicKey(d[:]), msg, sig)
}
