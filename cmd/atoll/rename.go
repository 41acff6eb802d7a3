package main

import (
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"
)

func newRenameCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:               "rename STORE NAME",
		Short:             "Give a store another name on this device",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: a.completeStore,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(c *client) error {
				var out named
				if err := c.call(cmd.Context(), http.MethodPost, storePath(args[0], "name"), named{Store: args[1]}, &out); err != nil {
					return err
				}
				return a.print(out, func(w io.Writer) { fmt.Fprintf(w, "%s is now %s\n", args[0], out.Store) })
			})
		},
	}
}

func (c *control) rename(r *http.Request) (any, error) {
	s, err := c.store(r)
	if err != nil {
		return nil, err
	}
	var in named
	if err := read(r, &in); err != nil {
		return nil, err
	}
	if err := c.node.Rename(r.Context(), s.Name(), in.Store); err != nil {
		return nil, err
	}
	return named{in.Store, s.ID().String()}, nil
}
