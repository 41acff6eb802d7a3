package packetnet

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// Link is one direction between two hosts. The zero value is perfect: no delay, no loss, no limit.
type Link struct {
	// Latency is how long every packet takes, Jitter how much longer it takes at most; what is added is drawn evenly. Packets may
	// overtake each other by it.
	Latency, Jitter time.Duration
	// Loss is the probability, 0 to 1, that a packet is lost.
	Loss float64
	// Bandwidth is in bytes a second, 0 without limit. A packet waits until those before it are through.
	Bandwidth int
	// Queue is how many bytes may wait for Bandwidth; what comes on top is dropped. 0: DefaultQueue.
	Queue int
}

// DefaultQueue is the Queue of a Link that says none.
const DefaultQueue = 256 << 10

// Cut says whether packets pass, and what a sender learns if they do not.
type Cut uint8

const (
	// Whole lets packets pass.
	Whole Cut = iota
	// Silent drops them, and tells nobody.
	Silent
	// Noticed refuses them: writing fails with ENETUNREACH, as it does where an interface went down.
	Noticed
)

// Stats counts packets: each that was written is in one of Delivered, Lost, Cut, Refused, Overflowed and Unheard, or on its way.
type Stats struct {
	Sent       uint64 // written by a host
	Delivered  uint64 // read by a host
	Lost       uint64 // by Link.Loss
	Cut        uint64 // by a silent cut, or on their way when the link was cut
	Refused    uint64 // by a noticed cut
	Overflowed uint64 // beyond Link.Queue, or more than a socket holds
	Unheard    uint64 // to where no socket is, or that was closed before they came

	// What was done to packets on their way.
	Delayed   uint64 // by Link.Latency
	Jittered  uint64 // by Link.Jitter
	Queued    uint64 // behind others, by Link.Bandwidth
	Overtaken uint64 // by a packet of the same link that was sent later
}

// Sub returns what was counted since before.
func (s Stats) Sub(before Stats) Stats {
	return Stats{
		Sent: s.Sent - before.Sent, Delivered: s.Delivered - before.Delivered, Lost: s.Lost - before.Lost, Cut: s.Cut - before.Cut,
		Refused: s.Refused - before.Refused, Overflowed: s.Overflowed - before.Overflowed, Unheard: s.Unheard - before.Unheard,
		Delayed: s.Delayed - before.Delayed, Jittered: s.Jittered - before.Jittered, Queued: s.Queued - before.Queued,
		Overtaken: s.Overtaken - before.Overtaken,
	}
}

// Network joins hosts. It is safe for concurrent use.
type Network struct {
	mu    sync.Mutex
	rng   *rand.Rand
	plain Link
	pipes map[pair]*pipe
	conns map[netip.AddrPort]*Conn
	next  uint64 // the number of the next packet
	port  uint16 // the last ephemeral one given out
	stats Stats
}

type pair struct{ from, to netip.Addr }

// pipe is what is known of one direction between two hosts.
type pipe struct {
	link Link
	cut  Cut
	free time.Time // when the line is free again
	last time.Time // when the packet due last is due
}

// New returns a network in which every pair of hosts is joined by link, both ways. seed is that of all loss and jitter.
func New(seed uint64, link Link) *Network {
	return &Network{
		rng: rand.New(rand.NewPCG(seed, 0x61746f6c6c)), plain: link, port: 49151,
		pipes: make(map[pair]*pipe), conns: make(map[netip.AddrPort]*Conn),
	}
}

// pipe returns the way from one host to another. n.mu is held.
func (n *Network) pipe(from, to netip.Addr) *pipe {
	p := n.pipes[pair{from, to}]
	if p == nil {
		p = &pipe{link: n.plain}
		n.pipes[pair{from, to}] = p
	}
	return p
}

// SetLink changes the way from one host to another. What is on its way already is not touched.
func (n *Network) SetLink(from, to netip.Addr, link Link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pipe(from, to).link = link
}

// SetAll changes every link there is and will be.
func (n *Network) SetAll(link Link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.plain = link
	for _, p := range n.pipes {
		p.link = link
	}
}

// CutOneWay cuts the way from one host to another, or makes it whole. Packets under way are lost with it.
func (n *Network) CutOneWay(from, to netip.Addr, how Cut) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pipe(from, to).cut = how
}

// Part cuts every way between a host in one and a host in the other of two groups, both ways, or makes it whole.
func (n *Network) Part(a, b []netip.Addr, how Cut) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, x := range a {
		for _, y := range b {
			n.pipe(x, y).cut, n.pipe(y, x).cut = how, how
		}
	}
}

// Heal makes every way whole.
func (n *Network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.pipes {
		p.cut = Whole
	}
}

// Stats returns what has become of the packets so far.
func (n *Network) Stats() Stats {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stats
}

// errUnreachable is what a sender is told of a noticed cut.
var errUnreachable = os.NewSyscallError("sendto", syscall.ENETUNREACH)

// send takes a packet from one socket to another. data is not kept.
func (n *Network) send(from, to netip.AddrPort, data []byte) error {
	now := time.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stats.Sent++
	p := n.pipe(from.Addr(), to.Addr())
	switch {
	case p.cut == Noticed:
		n.stats.Refused++
		return errUnreachable
	case p.cut == Silent:
		n.stats.Cut++
		return nil
	case p.link.Loss > 0 && n.rng.Float64() < p.link.Loss:
		n.stats.Lost++
		return nil
	}
	due := now
	if bw := p.link.Bandwidth; bw > 0 {
		queue := p.link.Queue
		if queue == 0 {
			queue = DefaultQueue
		}
		if wait := p.free.Sub(now); wait > 0 {
			if int(wait.Seconds()*float64(bw))+len(data) > queue {
				n.stats.Overflowed++
				return nil
			}
			n.stats.Queued++
			due = p.free
		}
		due = due.Add(time.Duration(float64(len(data)) / float64(bw) * float64(time.Second)))
		p.free = due
	}
	if p.link.Latency > 0 {
		n.stats.Delayed++
		due = due.Add(p.link.Latency)
	}
	if p.link.Jitter > 0 {
		if extra := time.Duration(n.rng.Int64N(int64(p.link.Jitter) + 1)); extra > 0 {
			n.stats.Jittered++
			due = due.Add(extra)
		}
	}
	if due.Before(p.last) {
		n.stats.Overtaken++
	} else {
		p.last = due
	}
	c := n.conns[to]
	switch {
	case c == nil:
		n.stats.Unheard++
	case len(c.queue) >= maxQueued:
		n.stats.Overflowed++
	default:
		n.next++
		c.push(packet{data: append([]byte(nil), data...), from: from, due: due, number: n.next})
	}
	return nil
}

// listen gives c a place in the network: its address, with a port if that is 0.
func (n *Network) listen(c *Conn) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if c.local.Port() == 0 {
		for range 1 << 14 {
			if n.port++; n.port < 49152 {
				n.port = 49152
			}
			at := netip.AddrPortFrom(c.local.Addr(), n.port)
			if n.conns[at] == nil {
				c.local = at
				break
			}
		}
	}
	if c.local.Port() == 0 || n.conns[c.local] != nil {
		return &net.OpError{Op: "listen", Net: "udp", Addr: c.LocalAddr(), Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
	}
	n.conns[c.local] = c
	return nil
}
