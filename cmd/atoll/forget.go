package main

import (
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/atollsync/atoll/peer"
)

func newForgetCommand(a *app) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "forget STORE",
		Short: "Remove a store from this device",
		Long: `Remove a store, its ticket and its history from this device. Other devices keep theirs. If
this device has changes that no other is known to hold, forget refuses, unless --force is
given.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeStore,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(c *client) error {
				query := []string{}
				if force {
					query = []string{"force", "true"}
				}
				var out named
				if err := c.call(cmd.Context(), http.MethodDelete, storePath(args[0], "", query...), nil, &out); err != nil {
					return err
				}
				return a.print(out, func(w io.Writer) { fmt.Fprintf(w, "forgot %s\n", out.Store) })
			})
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "also forget changes that no other device is known to hold")
	return cmd
}

func (c *control) forget(r *http.Request) (any, error) {
	s, err := c.store(r)
	if err != nil {
		return nil, err
	}
	outbox, err := s.Outbox(peer.OutboxQuery{})
	if err != nil && r.URL.Query().Get("force") != "true" {
		return nil, err
	}
	if n := len(outbox); n > 0 && r.URL.Query().Get("force") != "true" {
		return nil, &failure{Status: http.StatusConflict,
			Message: fmt.Sprintf("no other device is known to hold %s of %s", plural(n, "change"), s.Name()),
			Hint:    "atoll export keeps the state, atoll backup everything; --force forgets them all the same"}
	}
	out := named{s.Name(), s.ID().String()}
	return out, c.node.Forget(r.Context(), s.Name())
}
