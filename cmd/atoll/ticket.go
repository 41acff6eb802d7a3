package main

import (
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"
)

// ticketText is a store's ticket, whole: whoever reads it can join.
type ticketText struct {
	Store  string   `json:"store"`
	Ticket string   `json:"ticket"`
	Addrs  []string `json:"addrs"`
}

func newTicketCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "ticket STORE",
		Short: "Print the ticket that lets another device join a store",
		Long: `Print the ticket that lets another device join a store. It carries the store's secret, so
show it only to devices that may read and write everything in the store. While a node runs
here it also carries the node's addresses.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeStore,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(c *client) error {
				var out ticketText
				if err := c.call(cmd.Context(), http.MethodGet, storePath(args[0], "ticket"), nil, &out); err != nil {
					return err
				}
				return a.print(out, func(w io.Writer) { fmt.Fprintln(w, out.Ticket) })
			})
		},
	}
}

func (c *control) ticket(r *http.Request) (any, error) {
	s, err := c.store(r)
	if err != nil {
		return nil, err
	}
	t := s.Ticket()
	return ticketText{s.Name(), t.Text(), append([]string{}, t.Addrs()...)}, nil
}
