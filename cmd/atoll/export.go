package main

import (
	"fmt"
	"net/http"

	"github.com/spf13/cobra"
)

func newExportCommand(a *app) *cobra.Command {
	var compact bool
	cmd := &cobra.Command{
		Use:   "export STORE",
		Short: "Write a store's state as a JSON document",
		Long: `Write a store's state as a JSON document, slices at the top level, keys sorted. atoll import
reads it. It holds values only: backup keeps the history too.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeStore,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(c *client) error {
				var out shown
				if err := c.call(cmd.Context(), http.MethodGet, storePath(args[0], "value"), nil, &out); err != nil {
					return err
				}
				doc := string(out.Value)
				if !compact && !a.json {
					doc = indentJSON(out.Value)
				}
				_, err := fmt.Fprintln(a.out, doc)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&compact, "compact", false, "on one line (as --json does)")
	return cmd
}
