package simulations

import (
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/peer/replica"
)

// Gossip is modelled as a lazy-push mesh (Leitao, Pereira, Rodrigues, "Epidemic Broadcast Trees", 2007; what gossipsub does with IHAVE and IWANT): who has a
// message offers its name to some neighbours, and each asks the first who offers it for the body. So every body travels once to each device.

// meshDegree is how many neighbours a device chooses to offer messages to, as gossipsub's D. It offers them to those who chose it as well.
const meshDegree = 6

// offerBytes is about what the name of a message takes on the wire.
const offerBytes = 48

// rumour is a message that is gossiped.
type rumour struct {
	from    causal.Device
	message replica.Message
	size    int
	seen    []uint64 // bits of the devices that have it or asked for it
}

// saw reports whether d has g or asked for it.
func (g *rumour) saw(d *Device) bool {
	return d.number/64 < len(g.seen) && g.seen[d.number/64]&(1<<(d.number%64)) != 0
}

// see notes that d has g or asked for it. It may be a clone that was not there when g was published.
func (g *rumour) see(d *Device) {
	for d.number/64 >= len(g.seen) {
		g.seen = append(g.seen, 0)
	}
	g.seen[d.number/64] |= 1 << (d.number % 64)
}

// publish gossips a message of d.
func (s *Sim) publish(d *Device, m replica.Message) {
	g := &rumour{from: d.id, message: m, size: s.size(m), seen: make([]uint64, len(s.devices)/64+1)}
	g.see(d)
	s.spread(d, nil, g)
}

// spread offers a message to d's neighbours in the mesh, but for the one it came from.
func (s *Sim) spread(d *Device, from *Device, g *rumour) {
	for _, l := range d.links {
		if to := l.peer(d); l.up && to != from && (l.mesh[0] || l.mesh[1]) && d.gossiping && to.gossiping {
			if g.saw(to) && len(s.devices) > maxSmall && l.what.Bandwidth == 0 {
				s.offerInVain(d, to)
				continue
			}
			s.dispatch(parcel{link: l, from: d, to: to, size: offerBytes, index: -1, gossip: g, stage: offer})
		}
	}
}

// offerInVain counts an offer of what the other has or asked for. Nothing comes of it when it arrives, so in a large network it is not carried.
func (s *Sim) offerInVain(from, to *Device) {
	from.sent += offerBytes
	to.received += offerBytes
	s.bytes += offerBytes
	s.messages++
}

// gossip deals with an offer, or with somebody who wants what was offered.
func (s *Sim) gossip(p *parcel) {
	d := p.to
	switch p.stage {
	case offer:
		if !p.gossip.saw(d) {
			p.gossip.see(d)
			s.dispatch(parcel{link: p.link, from: d, to: p.from, size: offerBytes, index: -1, gossip: p.gossip, stage: want})
		}
	case want:
		s.dispatch(parcel{link: p.link, from: d, to: p.from, size: p.gossip.size, index: -1, gossip: p.gossip, stage: body})
	}
}

// subscribe makes d gossip if it knows of many others that share the store, as a node does, and no longer if they have become few.
func (d *Device) subscribe() {
	s := d.sim
	on := s.above < 0
	d.actors = len(d.r.Chains().Graph().Actors())
	if !on {
		least := s.above
		if d.gossiping {
			least /= 2
		}
		on = d.connected > least || d.actors > least && len(d.r.Devices()) > least
	}
	if on == d.gossiping {
		return
	}
	d.gossiping = on
	d.r.SetGossip(on)
	for _, l := range d.links {
		if !l.up {
			continue
		}
		if !on {
			l.mesh = [2]bool{}
		}
		l.peer(d).remesh()
		l.peer(d).input(input{subscribed: d})
		d.r.SetSubscribed(l.peer(d).id, on && l.peer(d).gossiping)
	}
	d.remesh()
}

// remesh makes d choose neighbours until it has enough, if it gossips.
func (d *Device) remesh() {
	if !d.gossiping {
		return
	}
	n := 0
	for _, l := range d.links {
		if l.up && l.mesh[l.dir(d)] {
			n++
		}
	}
	if n >= meshDegree || len(d.links) == 0 {
		return
	}
	start := d.rng.IntN(len(d.links))
	for i := 0; i < len(d.links) && n < meshDegree; i++ {
		l := d.links[(start+i)%len(d.links)]
		if l.up && !l.mesh[l.dir(d)] && l.peer(d).gossiping {
			l.mesh[l.dir(d)] = true
			n++
		}
	}
}

// unmesh takes a link that went down out of the mesh.
func (d *Device) unmesh(l *link) {
	if l.mesh[l.dir(d)] {
		l.mesh[l.dir(d)] = false
		d.remesh()
	}
}
