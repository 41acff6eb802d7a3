package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/atollsync/atoll/peer"
)

// storeListing is a store in `atoll stores`.
type storeListing struct {
	Name    string   `json:"name"`
	ID      string   `json:"id"`
	Slices  []string `json:"slices"`
	Changes int      `json:"changes"`
	Ops     int      `json:"ops"`
	Peers   int      `json:"peers"`  // connected that hold it too
	Outbox  uint64   `json:"outbox"` // own ops that no other device is known to hold
	Error   string   `json:"error,omitempty"`
}

func newStoresCommand(a *app) *cobra.Command {
	var names bool
	cmd := &cobra.Command{
		Use:   "stores",
		Short: "List the stores of this device",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(c *client) error {
				out, err := listStores(cmd, c)
				if err != nil {
					return err
				}
				return a.print(out, func(w io.Writer) {
					if names {
						for _, s := range out {
							fmt.Fprintln(w, s.Name)
						}
						return
					}
					if len(out) == 0 {
						fmt.Fprintln(w, "no stores: atoll create NAME makes one, atoll join TICKET joins another device's")
						return
					}
					rows := [][]string{}
					for _, s := range out {
						rows = append(rows, []string{s.Name, strconv.Itoa(len(s.Slices)), strconv.Itoa(s.Changes), strconv.Itoa(s.Ops),
							strconv.Itoa(s.Peers), strconv.FormatUint(s.Outbox, 10), s.Error})
					}
					table(w, []string{"STORE", "SLICES", "CHANGES", "OPS", "PEERS", "OUTBOX", ""}, rows)
				})
			})
		},
	}
	cmd.Flags().BoolVar(&names, "names", false, "print the names alone, one a line")
	return cmd
}

func listStores(cmd *cobra.Command, c *client) ([]storeListing, error) {
	out := []storeListing{}
	return out, c.call(cmd.Context(), http.MethodGet, "/v1/stores", nil, &out)
}

// completeStore completes the STORE argument of a command.
func (a *app) completeStore(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var names []cobra.Completion
	dir, err := a.dataDir()
	if err == nil {
		_, err = os.Stat(dir) // listing its stores would make it
	}
	if err != nil || a.with(cmd.Context(), func(c *client) error {
		stores, err := listStores(cmd, c)
		for _, s := range stores {
			names = append(names, s.Name)
		}
		return err
	}) != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (c *control) stores(*http.Request) (any, error) {
	out := []storeListing{}
	for _, s := range c.node.Stores() {
		out = append(out, newStoreListing(s))
	}
	return out, nil
}

func newStoreListing(s peer.StoreStatus) storeListing {
	l := storeListing{Name: s.Name, ID: s.ID.String(), Slices: []string{}, Changes: s.Changes, Ops: s.Ops, Peers: s.Connected, Outbox: s.Outbox}
	for _, slice := range s.Slices {
		l.Slices = append(l.Slices, slice.Name)
	}
	if s.Err != nil {
		l.Error = s.Err.Error()
	}
	return l
}
