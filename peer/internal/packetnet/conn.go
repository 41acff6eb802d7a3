package packetnet

import (
	"container/heap"
	"net"
	"net/netip"
	"os"
	"time"
)

// maxQueued is how many packets a socket holds that have not been read.
const maxQueued = 1 << 13

// Conn is a socket in a Network. It is a net.PacketConn and safe for concurrent use.
type Conn struct {
	net   *Network
	local netip.AddrPort
	wake  chan struct{} // something has changed for the reader

	// Guarded by net.mu.
	queue    packets
	deadline time.Time
	closed   bool
}

var _ net.PacketConn = (*Conn)(nil)

type packet struct {
	data   []byte
	from   netip.AddrPort
	due    time.Time
	number uint64
}

// Listen opens a socket. Port 0 gives one that is free.
func (n *Network) Listen(at netip.AddrPort) (*Conn, error) {
	c := &Conn{net: n, local: at, wake: make(chan struct{}, 1)}
	if err := n.listen(c); err != nil {
		return nil, err
	}
	return c, nil
}

// push queues a packet. net.mu is held.
func (c *Conn) push(p packet) {
	heap.Push(&c.queue, p)
	if c.queue[0].number == p.number {
		c.rouse() // it is due before what the reader waits for
	}
}

func (c *Conn) rouse() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// ReadFrom waits for the next packet that is due. The part of it that b has no room for is lost.
func (c *Conn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		p, wait, err := c.pop()
		if err != nil {
			return 0, nil, &net.OpError{Op: "read", Net: "udp", Addr: c.LocalAddr(), Err: err}
		}
		if wait == 0 {
			return copy(b, p.data), net.UDPAddrFromAddrPort(p.from), nil
		}
		if wait < 0 {
			<-c.wake
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-c.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// pop takes the packet that is due, or says how long to wait for something to happen; less than 0 is for ever.
func (c *Conn) pop() (packet, time.Duration, error) {
	n := c.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if c.closed {
		c.rouse() // other readers too
		return packet{}, 0, net.ErrClosed
	}
	now := time.Now()
	wait := time.Duration(-1)
	if !c.deadline.IsZero() {
		if wait = c.deadline.Sub(now); wait <= 0 {
			return packet{}, 0, os.ErrDeadlineExceeded
		}
	}
	for len(c.queue) > 0 {
		left := c.queue[0].due.Sub(now)
		if left > 0 {
			if wait < 0 || left < wait {
				wait = left
			}
			break
		}
		p := heap.Pop(&c.queue).(packet)
		if n.pipe(p.from.Addr(), c.local.Addr()).cut != Whole {
			n.stats.Cut++
			continue
		}
		n.stats.Delivered++
		if len(c.queue) > 0 {
			c.rouse() // another reader may wait
		}
		return p, 0, nil
	}
	return packet{}, wait, nil
}

// WriteTo sends a packet. It never waits. An error says that the network is unreachable, or that the socket is closed.
func (c *Conn) WriteTo(b []byte, to net.Addr) (int, error) {
	udp, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, &net.OpError{Op: "write", Net: "udp", Addr: to, Err: &net.AddrError{Err: "no UDP address", Addr: to.String()}}
	}
	c.net.mu.Lock()
	closed := c.closed
	c.net.mu.Unlock()
	if closed {
		return 0, &net.OpError{Op: "write", Net: "udp", Addr: to, Err: net.ErrClosed}
	}
	at := udp.AddrPort()
	if err := c.net.send(c.local, netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), b); err != nil {
		return 0, &net.OpError{Op: "write", Net: "udp", Addr: to, Err: err}
	}
	return len(b), nil
}

// Close takes the socket out of the network. What waits for it is lost.
func (c *Conn) Close() error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	c.closed = true
	c.net.stats.Unheard += uint64(len(c.queue))
	c.queue = nil
	delete(c.net.conns, c.local)
	c.rouse()
	return nil
}

// LocalAddr returns a *net.UDPAddr.
func (c *Conn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(c.local) }

// SetDeadline is SetReadDeadline: writing never waits.
func (c *Conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetWriteDeadline does nothing: writing never waits.
func (c *Conn) SetWriteDeadline(time.Time) error { return nil }

// SetReadDeadline makes reads fail from then on, the one that waits too. Zero: never.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	c.deadline = t
	c.rouse()
	return nil
}

// SetReadBuffer does nothing; quic-go warns about sockets that lack it.
func (c *Conn) SetReadBuffer(int) error { return nil }

// SetWriteBuffer does nothing; quic-go warns about sockets that lack it.
func (c *Conn) SetWriteBuffer(int) error { return nil }

// packets is a heap by time due, then order sent.
type packets []packet

func (q packets) Len() int { return len(q) }
func (q packets) Less(i, j int) bool {
	if !q[i].due.Equal(q[j].due) {
		return q[i].due.Before(q[j].due)
	}
	return q[i].number < q[j].number
}
func (q packets) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *packets) Push(x any)   { *q = append(*q, x.(packet)) }
func (q *packets) Pop() any {
	old := *q
	p := old[len(old)-1]
	old[len(old)-1] = packet{}
	*q = old[:len(old)-1]
	return p
}
