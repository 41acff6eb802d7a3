package peer

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

func someTicket(t testing.TB) Ticket {
	t.Helper()
	id, err := peerOf([32]byte{0: 1, 31: 2})
	if err != nil {
		t.Fatal(err)
	}
	return Ticket{secret: secret{1, 2, 3}, name: "Einkäufe", peers: []peer.AddrInfo{
		{ID: id, Addrs: []ma.Multiaddr{ma.StringCast("/ip4/192.0.2.1/tcp/4001"), ma.StringCast("/ip6/2001:db8::1/udp/4001/quic-v1")}},
	}}
}

func TestTicketText(t *testing.T) {
	want := someTicket(t)
	text := want.Text()
	for _, spelled := range []string{text, strings.ToUpper(text), "  " + text[:40] + "\n " + text[40:] + "\n"} {
		got, err := ParseTicket(spelled)
		if err != nil {
			t.Fatalf("ParseTicket(%q): %v", spelled, err)
		}
		if got.secret != want.secret || got.Name() != want.Name() || !slices.Equal(got.Addrs(), want.Addrs()) || len(got.Addrs()) != 2 {
			t.Errorf("ParseTicket(%q) = %+v, want %+v", spelled, got, want)
		}
	}
	if empty, err := ParseTicket(Ticket{secret: secret{1}, name: "x"}.Text()); err != nil || len(empty.Addrs()) != 0 {
		t.Errorf("a ticket without addresses: %v, %v", empty, err)
	}
	id1, _ := want.StoreID()
	id2, _ := want.WithName("other").StoreID()
	if id1 != id2 || id1.String() == (Ticket{}).String() {
		t.Error("the name must not change which store a ticket opens")
	}
}

func TestDamagedTickets(t *testing.T) {
	text := someTicket(t).Text()
	for _, bad := range []string{"", "atoll1", "hello", text[:len(text)-1], text[1:], text + "a", strings.Repeat("a", 1<<20), "atoll1" + strings.Repeat("a", 60)} {
		if _, err := ParseTicket(bad); !errors.Is(err, ErrTicket) {
			t.Errorf("ParseTicket(%.20q...): %v, want ErrTicket", bad, err)
		}
	}
	for i := len(ticketPrefix); i < len(text); i++ {
		swapped := []byte(text)
		if swapped[i]++; swapped[i] == 'z'+1 {
			swapped[i] = 'a'
		}
		if _, err := ParseTicket(string(swapped)); !errors.Is(err, ErrTicket) {
			t.Errorf("one letter altered at %d: %v, want ErrTicket", i, err)
		}
	}
	if _, err := newDevice(t, "a").Join(ctxFor(t), Ticket{}); !errors.Is(err, ErrTicket) {
		t.Errorf("Join of the zero Ticket: %v, want ErrTicket", err)
	}
	for _, name := range []string{"", "a\nb", "\xff", strings.Repeat("x", MaxName+1)} {
		if _, err := ParseTicket(someTicket(t).WithName(name).Text()); !errors.Is(err, ErrTicket) {
			t.Errorf("name %q: %v, want ErrTicket", name, err)
		}
		if _, err := newDevice(t, "a").Create(ctxFor(t), name); err == nil {
			t.Errorf("Create(%q) succeeded", name)
		}
	}
}

// No way of printing a ticket gives its secret away.
func TestTicketIsRedacted(t *testing.T) {
	ticket := someTicket(t)
	type wrapper struct{ T Ticket }
	secrets := []string{ticket.Text()[len(ticketPrefix):][:20], "1 2 3", "1, 2, 3", "0x1, 0x2, 0x3", "010203"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		for _, out := range []string{fmt.Sprintf(verb, ticket), fmt.Sprintf(verb, &ticket), fmt.Sprintf(verb, wrapper{ticket}), fmt.Sprintf(verb, ticket.secret)} {
			for _, s := range secrets {
				if strings.Contains(out, s) {
					t.Errorf("%s prints %q", verb, out)
				}
			}
		}
	}
	if b, err := json.Marshal(wrapper{ticket}); err == nil {
		t.Errorf("json.Marshal gives %s", b)
	}
}

func FuzzParseTicket(f *testing.F) {
	f.Add(someTicket(f).Text())
	f.Add("atoll1aaaa")
	f.Fuzz(func(t *testing.T, text string) {
		ticket, err := ParseTicket(text)
		if err != nil {
			if !errors.Is(err, ErrTicket) {
				t.Fatalf("error %v does not wrap ErrTicket", err)
			}
			return
		}
		again, err := ParseTicket(ticket.Text())
		if err != nil || again.Text() != ticket.Text() {
			t.Fatalf("%q comes back as %q, %v", ticket.Text(), again.Text(), err)
		}
	})
}
