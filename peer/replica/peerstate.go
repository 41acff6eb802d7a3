package replica

import (
	"errors"
	"fmt"
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// What is remembered of a peer over a restart is
//
//	[1, [shared summary, ...], held]
//
// with each summary as a flat list of tips, the latest shared one first.

// peerStateVersion is the first number of a peer's state.
const peerStateVersion = 1

// saveAt returns when what is to be remembered of p is kept next if it has changed: the more seldom the larger it is.
func (r *Replica) saveAt(p *peer) int64 {
	s := r.stretch()
	return p.savedAt + min(s*s*s*r.limits.SettleInterval, 36*r.limits.MaxDigestInterval)
}

// savePeer asks for what is to be remembered of p to be kept.
func (r *Replica) savePeer(p *peer) {
	if !p.unsaved {
		return
	}
	p.unsaved = false
	p.savedAt = r.now
	buf := appendUint(appendArray(nil, 3), peerStateVersion)
	buf = appendArray(buf, len(p.shared))
	for _, s := range p.shared {
		buf = s.tips.appendTo(buf)
	}
	buf = appendTips(buf, p.held)
	r.out.peers = append(r.out.peers, PeerState{Device: p.device, State: buf})
}

// RestorePeer takes back what an earlier Ready asked to keep in Peers. Call it before anything but Restore. If it
// returns an error the peer is as good as new: the next meeting takes a longer Have.
func (r *Replica) RestorePeer(device causal.Device, state []byte) error {
	if _, ok := r.peers[device]; ok || device == r.cfg.Device {
		return errors.New("replica: restore peer: known already")
	}
	rd := reader{b: state}
	if n := rd.array(); rd.err == nil && n != 3 {
		rd.fail("wrong number of fields")
	}
	if v := rd.uint(1 << 20); rd.err == nil && v != peerStateVersion {
		rd.fail("unknown version")
	}
	p := &peer{device: device}
	for range rd.list(1, 1, maxShared) {
		tips := holdingsOf(rd.tips(false))
		p.shared = append(p.shared, shared{digest: tips.digest(r.cfg.Store), tips: tips})
	}
	p.held = rd.tips(false)
	if err := rd.end(); err != nil {
		return fmt.Errorf("replica: restore peer: %w", err)
	}
	// A log that was cut short since, or replaced, holds less than the peer was said to share.
	p.held = slices.DeleteFunc(p.held, r.contradicts)
	r.peers[device] = p
	i, _ := slices.BinarySearchFunc(r.order, device, func(p *peer, d causal.Device) int { return p.device.Compare(d) })
	r.order = slices.Insert(r.order, i, p)
	r.forgetPeers()
	return nil
}
