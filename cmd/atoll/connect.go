package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/atollsync/atoll/peer"
)

// connectPatience is how long connect waits for the other node by default.
const connectPatience = 20 * time.Second

// connecting asks to connect to a node.
type connecting struct {
	Addr    string  `json:"addr"`
	Seconds float64 `json:"seconds"`
}

func newConnectCommand(a *app) *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "connect ADDR",
		Short: "Connect to a node, and stay connected",
		Long: `Connect to the node at a multiaddr that ends in /p2p/ID, as atoll status prints it there,
and keep the connection while the node runs. It fails if the two share no store.`,
		Example: `  atoll connect /ip4/192.168.1.7/udp/50123/quic-v1/p2p/12D3KooW...`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if timeout <= 0 {
				return usagef("--timeout %v: a time above 0", timeout)
			}
			return a.with(cmd.Context(), func(c *client) error {
				in := connecting{args[0], timeout.Seconds()}
				if err := c.call(cmd.Context(), http.MethodPost, "/v1/peers", in, nil); err != nil {
					return err
				}
				return a.print(in, func(w io.Writer) { fmt.Fprintf(w, "connected to %s\n", in.Addr) })
			})
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", connectPatience, "how long to wait for the other node")
	return cmd
}

func (c *control) connect(r *http.Request) (any, error) {
	if err := c.needsNode("connect"); err != nil {
		return nil, err
	}
	var in connecting
	if err := read(r, &in); err != nil {
		return nil, err
	}
	patience := time.Duration(in.Seconds * float64(time.Second))
	ctx, cancel := context.WithTimeoutCause(r.Context(), patience, fmt.Errorf("nobody answered at %s within %v", in.Addr, patience))
	defer cancel()
	err := c.node.Connect(ctx, in.Addr)
	switch {
	case errors.Is(err, peer.ErrNoSharedStore):
		return nil, &failure{Status: http.StatusUnprocessableEntity, Message: err.Error(),
			Hint: "atoll ticket STORE on one device, atoll join TICKET on the other"}
	case err != nil:
		return nil, err
	}
	return in, nil
}
