package main

import (
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"
)

// named is the answer to what makes or renames a store.
type named struct {
	Store string `json:"store"`
	ID    string `json:"id"`
}

func newCreateCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "create NAME",
		Short: "Make a store on this device",
		Long: `Make a store on this device. It is private: another device joins it with the ticket that
atoll ticket prints.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(c *client) error {
				var out named
				if err := c.call(cmd.Context(), http.MethodPost, "/v1/stores", named{Store: args[0]}, &out); err != nil {
					return err
				}
				return a.print(out, func(w io.Writer) {
					fmt.Fprintf(w, "created %s\n", out.Store)
				})
			})
		},
	}
}

func (c *control) create(r *http.Request) (any, error) {
	var in named
	if err := read(r, &in); err != nil {
		return nil, err
	}
	s, err := c.node.Create(r.Context(), in.Store)
	if err != nil {
		return nil, err
	}
	return named{s.Name(), s.ID().String()}, nil
}
