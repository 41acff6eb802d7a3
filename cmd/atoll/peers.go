package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/atollsync/atoll/peer"
)

// peerListing is a connected node in `atoll peers`.
type peerListing struct {
	ID     string   `json:"id"`
	Device string   `json:"device"` // public key, in hex
	Addr   string   `json:"addr"`
	Stores []string `json:"stores"` // that both hold
	RTT    float64  `json:"rtt_ms"` // 0: not known yet
	Since  int64    `json:"since"`  // unix milliseconds
}

func newPeersCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "peers",
		Short: "List the nodes this one is connected to",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(c *client) error {
				out := []peerListing{}
				if err := c.call(cmd.Context(), http.MethodGet, "/v1/peers", nil, &out); err != nil {
					return err
				}
				return a.print(out, func(w io.Writer) {
					switch {
					case len(out) > 0:
						table(w, []string{"DEVICE", "STORES", "ADDRESS", "RTT", "SINCE"}, peerRows(out))
					case c.running:
						fmt.Fprintln(w, "no peers; atoll status shows those cut off, if any")
					default:
						fmt.Fprintln(w, "no node runs here, so there are no peers: atoll start")
					}
				})
			})
		},
	}
}

func peerRows(peers []peerListing) [][]string {
	var rows [][]string
	for _, p := range peers {
		stores, rtt := strings.Join(p.Stores, ", "), "-"
		if stores == "" {
			stores = "-"
		}
		if p.RTT > 0 {
			rtt = fmt.Sprintf("%.1f ms", p.RTT)
		}
		rows = append(rows, []string{shortDevice(p.Device), stores, p.Addr + "/p2p/" + p.ID, rtt, clock(p.Since)})
	}
	return rows
}

func (c *control) peers(*http.Request) (any, error) { return peerListings(c.node.Peers()), nil }

func peerListings(peers []peer.PeerInfo) []peerListing {
	out := []peerListing{}
	for _, p := range peers {
		l := peerListing{ID: p.PeerID, Device: fmt.Sprintf("%x", p.Device[:]), Addr: p.Addr, Stores: []string{},
			RTT: float64(p.RTT) / float64(time.Millisecond), Since: p.Since.UnixMilli()}
		l.Stores = append(l.Stores, p.Stores...)
		out = append(out, l)
	}
	return out
}
