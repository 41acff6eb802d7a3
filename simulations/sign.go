package simulations

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/subtle"

	"github.com/atollsync/atoll/crdt/causal"
)

// signer makes the keys of a simulation's devices and checks what they sign.
type signer struct {
	standIn bool
	secret  [32]byte // of stand-in signatures
	buf     []byte
}

// key returns the device of a name, and how it signs.
func (s *signer) key(name string) (causal.Device, func(msg []byte) []byte) {
	seed := sha256.Sum256(append([]byte("device "+name+"\x00"), s.secret[:]...))
	if s.standIn {
		d := causal.Device(seed)
		return d, func(msg []byte) []byte { sig := s.mark(d, msg); return sig[:] }
	}
	key := ed25519.NewKeyFromSeed(seed[:])
	var d causal.Device
	copy(d[:], key.Public().(ed25519.PublicKey))
	return d, func(msg []byte) []byte { return ed25519.Sign(key, msg) }
}

// mark returns the stand-in for d's signature over msg.
func (s *signer) mark(d causal.Device, msg []byte) (sig [ed25519.SignatureSize]byte) {
	s.buf = append(append(append(s.buf[:0], s.secret[:]...), d[:]...), msg...)
	h := sha256.Sum256(s.buf)
	copy(sig[:], h[:])
	copy(sig[32:], d[:])
	return sig
}

// verify is the crdt.Verify of the simulation's replicas.
func (s *signer) verify(d causal.Device, msg, sig []byte) bool {
	if !s.standIn {
		return ed25519.Verify(d[:], msg, sig)
	}
	want := s.mark(d, msg)
	return subtle.ConstantTimeCompare(want[:], sig) == 1
}
