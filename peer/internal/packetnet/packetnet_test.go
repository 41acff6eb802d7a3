package packetnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

var (
	hostA = netip.MustParseAddr("10.0.0.1")
	hostB = netip.MustParseAddr("10.0.0.2")
)

// ends opens a socket on each of two hosts.
func ends(t *testing.T, n *Network) (a, b *Conn) {
	t.Helper()
	var err error
	if a, err = n.Listen(netip.AddrPortFrom(hostA, 1)); err != nil {
		t.Fatal(err)
	}
	if b, err = n.Listen(netip.AddrPortFrom(hostB, 1)); err != nil {
		t.Fatal(err)
	}
	return a, b
}

func write(t *testing.T, from, to *Conn, text string) {
	t.Helper()
	if _, err := from.WriteTo([]byte(text), to.LocalAddr()); err != nil {
		t.Fatalf("write %q: %v", text, err)
	}
}

// read returns what comes within an hour and how long it took.
func read(t *testing.T, c *Conn) (string, time.Duration) {
	t.Helper()
	start := time.Now()
	if err := c.SetReadDeadline(start.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	var buf [2048]byte
	k, _, err := c.ReadFrom(buf[:])
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return "", time.Since(start)
		}
		t.Fatal(err)
	}
	return string(buf[:k]), time.Since(start)
}

func TestLatencyAndBandwidth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1, Link{Latency: 30 * time.Millisecond, Bandwidth: 100, Queue: 100})
		a, b := ends(t, n)
		text := string(make([]byte, 50))
		for range 4 { // one on the line and one behind it are as many bytes as may wait
			write(t, a, b, text)
		}
		for i, want := range []time.Duration{530 * time.Millisecond, 500 * time.Millisecond} {
			if _, took := read(t, b); took != want {
				t.Errorf("packet %d took %v, want %v", i, took, want)
			}
		}
		if _, took := read(t, b); took != time.Hour {
			t.Errorf("a third packet after %v", took)
		}
		want := Stats{Sent: 4, Delivered: 2, Overflowed: 2, Delayed: 2, Queued: 1}
		if got := n.Stats(); got != want {
			t.Errorf("counted %+v, want %+v", got, want)
		}
	})
}

func TestCuts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1, Link{Latency: time.Second})
		a, b := ends(t, n)
		write(t, a, b, "under way")
		n.CutOneWay(hostA, hostB, Silent)
		write(t, a, b, "lost")
		write(t, b, a, "the other way")
		if got, _ := read(t, a); got != "the other way" {
			t.Errorf("a got %q", got)
		}
		if got, _ := read(t, b); got != "" {
			t.Errorf("b got %q across a cut", got)
		}
		n.Part([]netip.Addr{hostA}, []netip.Addr{hostB}, Noticed)
		for _, c := range []*Conn{a, b} {
			if _, err := c.WriteTo([]byte("no"), a.LocalAddr()); c == b && !errors.Is(err, syscall.ENETUNREACH) {
				t.Errorf("writing across a noticed cut: %v, want ENETUNREACH", err)
			}
		}
		n.Heal()
		write(t, a, b, "healed")
		if got, _ := read(t, b); got != "healed" {
			t.Errorf("b got %q after healing", got)
		}
		if got := n.Stats(); got.Cut != 2 || got.Refused != 1 {
			t.Errorf("counted %+v, want 2 cut and 1 refused", got)
		}
	})
}

// Loss and jitter come from the seed alone, do what they say, and are counted.
func TestSeed(t *testing.T) {
	arrivals := func(seed uint64) []string {
		var out []string
		synctest.Test(t, func(t *testing.T) {
			n := New(seed, Link{Loss: 0.2, Latency: time.Millisecond, Jitter: time.Second})
			a, b := ends(t, n)
			for i := range 1000 {
				write(t, a, b, fmt.Sprint(i))
			}
			for {
				got, took := read(t, b)
				if got == "" {
					break
				}
				out = append(out, fmt.Sprint(got, took))
			}
			s := n.Stats()
			if s.Lost < 150 || s.Lost > 250 || s.Delivered != 1000-s.Lost || int(s.Delivered) != len(out) {
				t.Errorf("of 1000 with a loss of 0.2, %d were lost and %d came", s.Lost, s.Delivered)
			}
			if s.Jittered == 0 || s.Overtaken == 0 {
				t.Errorf("counted %+v: no jitter", s)
			}
		})
		return out
	}
	first := arrivals(7)
	if !slices.Equal(first, arrivals(7)) {
		t.Error("the same seed gave something else")
	}
	if slices.Equal(first, arrivals(8)) {
		t.Error("another seed gave the same")
	}
}

func TestSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1, Link{})
		a, b := ends(t, n)
		if _, err := n.Listen(netip.AddrPortFrom(hostA, 1)); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("an address twice: %v, want EADDRINUSE", err)
		}
		c, err := n.Listen(netip.AddrPortFrom(hostA, 0))
		if err != nil || c.LocalAddr().(*net.UDPAddr).Port == 0 {
			t.Fatalf("any port: %v, %v", c, err)
		}
		ended := make(chan error)
		reading := func() {
			_, _, err := b.ReadFrom(make([]byte, 10))
			ended <- err
		}
		go reading()
		synctest.Wait()
		if err := b.SetReadDeadline(time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a read that waits when its deadline is set: %v", err)
		}
		if err := b.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		go reading()
		synctest.Wait()
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("a read that waits when the socket is closed: %v", err)
		}
		write(t, a, b, "nobody there")
		if got := n.Stats(); got.Unheard != 1 {
			t.Errorf("counted %+v, want 1 unheard", got)
		}
	})
}
