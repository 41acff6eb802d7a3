package packetnet

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/quic-go/quic-go"
	"go.uber.org/fx"
)

// Host returns the option that puts a libp2p host into the network: its QUIC sockets are in it, at the address given. The host must
// listen on QUIC there, and on nothing else.
func (n *Network) Host(at netip.Addr) libp2p.Option {
	return libp2p.QUICReuse(newConnManager,
		quicreuse.OverrideSourceIPSelector(func() (quicreuse.SourceIPSelector, error) { return source{at}, nil }),
		quicreuse.OverrideListenUDP(func(_ string, want *net.UDPAddr) (net.PacketConn, error) {
			ip, ok := netip.AddrFromSlice(want.IP)
			if ip = ip.Unmap(); ok && ip != at && !ip.IsUnspecified() {
				return nil, fmt.Errorf("packetnet: the host is at %v and cannot listen on %v", at, want)
			}
			return n.Listen(netip.AddrPortFrom(at, uint16(want.Port)))
		}))
}

// newConnManager makes what libp2p would make itself, and closes it with the host, which libp2p leaves to whoever made it.
func newConnManager(l fx.Lifecycle, reset quic.StatelessResetKey, token quic.TokenGeneratorKey, opts ...quicreuse.Option) (*quicreuse.ConnManager, error) {
	cm, err := quicreuse.NewConnManager(reset, token, opts...)
	if err != nil {
		return nil, err
	}
	l.Append(fx.StopHook(cm.Close))
	return cm, nil
}

// source is the address that every packet of a host comes from.
type source struct{ at netip.Addr }

func (s source) PreferredSourceIPForDestination(*net.UDPAddr) (net.IP, error) {
	return s.at.AsSlice(), nil
}
