package main

import (
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/atollsync/atoll/peer"
)

// joining asks to join a store.
type joining struct {
	Ticket string `json:"ticket"`
	Name   string `json:"name,omitempty"`
}

func newJoinCommand(a *app) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "join TICKET",
		Short: "Join a store of another device",
		Long: `Join a store with the ticket that atoll ticket prints on a device that has it. This needs no
connection: the store is here at once, empty and writable, and fills when a device that
holds it is met.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(c *client) error {
				var out named
				if err := c.call(cmd.Context(), http.MethodPost, "/v1/join", joining{args[0], name}, &out); err != nil {
					return err
				}
				return a.print(out, func(w io.Writer) {
					fmt.Fprintf(w, "joined %s\n", out.Store)
					if !c.running {
						fmt.Fprintln(w, "it fills once a node runs here: atoll start")
					}
				})
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "name of the store on this device (default: the ticket's)")
	return cmd
}

func (c *control) join(r *http.Request) (any, error) {
	var in joining
	if err := read(r, &in); err != nil {
		return nil, err
	}
	t, err := peer.ParseTicket(in.Ticket)
	if err != nil {
		return nil, err
	}
	if in.Name != "" {
		t = t.WithName(in.Name)
	}
	s, err := c.node.Join(r.Context(), t)
	if err != nil {
		return nil, err
	}
	return named{s.Name(), s.ID().String()}, nil
}
