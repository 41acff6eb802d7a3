package peer

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/atollsync/atoll/crdt"
)

// SecretSize is the size of a store's secret, in bytes.
const SecretSize = 32

// sealOverhead is what sealing adds to a message, in bytes.
const sealOverhead = chacha20poly1305.NonceSizeX + chacha20poly1305.Overhead

// errSeal says that bytes were not sealed with this store's key for this place.
var errSeal = errors.New("peer: the seal does not open: not sealed with this store's key")

// keys are what a store's secret is for. They are derived one way, so that none of them,
// and nothing made with them, gives away the secret or another key.
type keys struct {
	id     crdt.StoreID
	topic  string   // the store's gossipsub topic
	tag    [32]byte // proves in Hello that its holder knows the secret
	frames cipher.AEAD
	gossip cipher.AEAD
}

// newKeys derives a store's keys from its secret (HKDF-SHA256, RFC 5869).
func newKeys(secret [SecretSize]byte) (*keys, error) {
	var err error
	derive := func(purpose string) []byte {
		key, e := hkdf.Key(sha256.New, secret[:], nil, "atoll store v1 "+purpose, 32)
		if e != nil && err == nil {
			err = fmt.Errorf("derive the %s key: %w", purpose, e)
		}
		return key
	}
	aead := func(purpose string) cipher.AEAD {
		key := derive(purpose)
		if err != nil {
			return nil
		}
		c, e := chacha20poly1305.NewX(key)
		if e != nil {
			err = e
		}
		return c
	}
	k := &keys{
		id:     crdt.StoreID(derive("id")),
		topic:  "atoll/" + hex.EncodeToString(derive("topic")),
		tag:    [32]byte(derive("tag")),
		frames: aead("frames"),
		gossip: aead("gossip"),
	}
	return k, err
}

// tagSize is the size of a tag in bytes: long enough that it cannot be guessed.
const tagSize = 16

// tag is what shows one peer, and only that peer, that the sender holds a store's secret.
type tag [tagSize]byte

// Roles in the exchange of tags. They are part of the protocol.
const (
	roleOffer  byte = 1 // "I hold this store; do you?"
	roleAccept byte = 2 // "So do I."
)

// tagFor returns the tag with which sender proves to receiver that it holds the store. nonce is the
// one sender drew for this session, so that tags of two sessions have nothing in common.
func (k *keys) tagFor(role byte, sender, receiver peer.ID, nonce [nonceSize]byte) tag {
	mac := hmac.New(sha256.New, k.tag[:])
	mac.Write([]byte{role, byte(len(sender))})
	mac.Write([]byte(sender))
	mac.Write([]byte{byte(len(receiver))})
	mac.Write([]byte(receiver))
	mac.Write(nonce[:])
	return tag(mac.Sum(nil)[:tagSize])
}

// seal encrypts plain under a random nonce and binds it to place.
func seal(c cipher.AEAD, plain, place []byte) []byte {
	out := make([]byte, chacha20poly1305.NonceSizeX, sealOverhead+len(plain))
	rand.Read(out) // never fails: crypto/rand ends the process first
	return c.Seal(out, out, plain, place)
}

// unseal returns what seal was given.
func unseal(c cipher.AEAD, sealed, place []byte) ([]byte, error) {
	if len(sealed) < sealOverhead {
		return nil, errSeal
	}
	nonce, body := sealed[:chacha20poly1305.NonceSizeX], sealed[chacha20poly1305.NonceSizeX:]
	plain, err := c.Open(nil, nonce, body, place)
	if err != nil {
		return nil, errSeal
	}
	return plain, nil
}

// framePlace binds a sealed frame to who sends it to whom, in which session, for which store.
func framePlace(sender, receiver peer.ID, nonce [nonceSize]byte, number uint64) []byte {
	buf := append([]byte("atoll frame v1\x00"), byte(len(sender)))
	buf = append(append(buf, sender...), byte(len(receiver)))
	buf = append(append(buf, receiver...), nonce[:]...)
	return appendUvarint(buf, number)
}
