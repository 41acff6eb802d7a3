package peer

import (
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
)

// mdnsService is the name under which nodes find each other on a local network. It says nothing of their stores.
const mdnsService = "_atoll._udp"

// mdnsSettle is how long addresses must stay the same before they are announced anew.
const mdnsSettle = 2 * time.Second

// found hands what mDNS found to the dialer.
type found struct{ net *network }

func (f found) HandlePeerFound(info peer.AddrInfo) {
	if f.net.ctx.Err() == nil {
		f.net.dialer.add(info, sourceLocal)
	}
}

// discover announces this node on the local network and looks for others, until the network ends. The service
// announces the addresses it started with, so it is started again when they change.
func (w *network) discover() {
	sub, err := w.host.EventBus().Subscribe(new(event.EvtLocalAddressesUpdated))
	if err != nil {
		w.log.Warn("local discovery is off", logError, err)
		return
	}
	defer sub.Close()
	for {
		service := mdns.NewMdnsService(w.host, mdnsService, found{w})
		if err := service.Start(); err != nil { // no interface that multicasts, perhaps: one may come
			w.log.Debug("local discovery is off", logError, err)
		}
		timer := time.NewTimer(0)
		<-timer.C
		changed := false
		for !changed {
			select {
			case <-w.ctx.Done():
				_ = service.Close() // it has nothing to lose
				return
			case <-sub.Out():
				timer.Reset(mdnsSettle)
			case <-timer.C:
				changed = true
			}
		}
		_ = service.Close()
	}
}
