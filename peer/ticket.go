package peer

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/atollsync/atoll/crdt"
)

const (
	ticketPrefix   = "atoll1"
	ticketChecksum = 4
	maxTicketText  = 8 << 10
	maxTicketPeers = 8
	maxTicketAddrs = 16 // per peer
	// MaxName is the longest name of a store, in bytes.
	MaxName = 255
)

// ErrTicket is wrapped by ParseTicket for a text that is not a whole ticket. The user should copy it again.
var ErrTicket = errors.New("peer: this is not a ticket: a ticket is one word that starts with " + ticketPrefix)

// Ticket lets another device join a store: whoever holds it can read and write the store, for
// good. It carries the store's secret, so it prints redacted; Text gives it whole. The zero
// Ticket opens nothing.
type Ticket struct {
	secret secret
	name   string
	peers  []peer.AddrInfo
}

// secret is a store's secret. It never prints.
type secret [SecretSize]byte

func (secret) String() string   { return "(redacted)" }
func (secret) GoString() string { return "(redacted)" }

var ticketEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Name returns the name under which the ticket's maker knows the store. The joining device
// uses it too, unless WithName gave another.
func (t Ticket) Name() string { return t.name }

// WithName returns t with the name that the joining device is to know the store by.
func (t Ticket) WithName(name string) Ticket {
	t.name = name
	return t
}

// Addrs returns addresses at which a member of the store was when the ticket was made.
func (t Ticket) Addrs() []string { return formatPeers(t.peers) }

// StoreID returns the ID of the store the ticket opens.
func (t Ticket) StoreID() (crdt.StoreID, error) {
	k, err := newKeys(t.secret)
	if err != nil {
		return crdt.StoreID{}, err
	}
	return k.id, nil
}

// String returns a form without the secret, for logs and screens.
func (t Ticket) String() string { return fmt.Sprintf("ticket(%q, redacted)", t.name) }

// GoString is String: %#v must not print the secret either.
func (t Ticket) GoString() string { return t.String() }

// LogValue keeps the secret out of logs.
func (t Ticket) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText fails, so that no encoder writes a ticket by accident, with or without its secret. Use Text.
func (t Ticket) MarshalText() ([]byte, error) {
	return nil, errors.New("peer: a ticket is a secret; use its Text method to write it out on purpose")
}

// Text returns the whole ticket, secret included, as ParseTicket reads it back.
func (t Ticket) Text() string {
	body := append([]byte(nil), t.secret[:]...)
	body = appendBytes(body, []byte(t.name))
	peers := t.peers[:min(len(t.peers), maxTicketPeers)]
	body = appendUvarint(body, uint64(len(peers)))
	for _, p := range peers {
		addrs := p.Addrs[:min(len(p.Addrs), maxTicketAddrs)]
		body = appendBytes(body, []byte(p.ID))
		body = appendUvarint(body, uint64(len(addrs)))
		for _, a := range addrs {
			body = appendBytes(body, a.Bytes())
		}
	}
	sum := sha256.Sum256(body)
	return ticketPrefix + ticketEncoding.EncodeToString(append(body, sum[:ticketChecksum]...))
}

// ParseTicket reads what Text returns. White space around and within it is ignored, since
// mail and chat programs break long words. Errors wrap ErrTicket.
func ParseTicket(text string) (Ticket, error) {
	if len(text) > maxTicketText {
		return Ticket{}, fmt.Errorf("%w; this is %d bytes long", ErrTicket, len(text))
	}
	text = strings.ToLower(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, text))
	rest, ok := strings.CutPrefix(text, ticketPrefix)
	if !ok {
		return Ticket{}, ErrTicket
	}
	raw, err := ticketEncoding.DecodeString(rest)
	if err != nil || len(raw) < SecretSize+ticketChecksum || ticketEncoding.EncodeToString(raw) != rest { // one spelling only
		return Ticket{}, fmt.Errorf("%w; a part is missing or altered", ErrTicket)
	}
	body, sum := raw[:len(raw)-ticketChecksum], raw[len(raw)-ticketChecksum:]
	if want := sha256.Sum256(body); !bytes.Equal(sum, want[:ticketChecksum]) {
		return Ticket{}, fmt.Errorf("%w; a part is missing or altered", ErrTicket)
	}
	t := Ticket{secret: secret(body[:SecretSize])}
	r := byteReader{b: body[SecretSize:]}
	t.name = string(r.bytes(MaxName))
	for n := r.count(maxTicketPeers); n > 0; n-- {
		id := peer.ID(r.bytes(128))
		info := peer.AddrInfo{ID: id}
		for m := r.count(maxTicketAddrs); m > 0; m-- {
			a, err := ma.NewMultiaddrBytes(r.bytes(1024))
			if err != nil {
				r.bad = true
				break
			}
			info.Addrs = append(info.Addrs, a)
		}
		if id.Validate() != nil || r.bad {
			r.bad = true
			break
		}
		t.peers = append(t.peers, info)
	}
	if r.bad || len(r.b) > 0 {
		return Ticket{}, fmt.Errorf("%w; this version of Atoll cannot read it", ErrTicket)
	}
	if err := checkName(t.name); err != nil {
		return Ticket{}, fmt.Errorf("%w; %w", ErrTicket, err)
	}
	return t, nil
}

// checkName refuses names that a person could not see or type back.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("peer: a store needs a name")
	case len(name) > MaxName:
		return fmt.Errorf("peer: a store's name takes at most %d bytes, not %d", MaxName, len(name))
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("peer: the name %q has characters that do not print", name)
	}
	return nil
}

func appendUvarint(buf []byte, n uint64) []byte { return binary.AppendUvarint(buf, n) }

func appendBytes(buf, b []byte) []byte { return append(appendUvarint(buf, uint64(len(b))), b...) }

// byteReader reads length-prefixed parts. After the first that does not fit, bad is set and
// everything comes out empty.
type byteReader struct {
	b   []byte
	bad bool
}

func (r *byteReader) uvarint() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 || r.bad {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[size:]
	return n
}

// count reads a number that must not be above limit.
func (r *byteReader) count(limit int) int {
	n := r.uvarint()
	if n > uint64(limit) {
		r.bad, r.b = true, nil
		return 0
	}
	return int(n)
}

// bytes reads a length of at most limit and that many bytes, which the reader's input keeps.
func (r *byteReader) bytes(limit int) []byte {
	n := r.count(limit)
	if n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}
