package main

import (
	"encoding/json"

	"github.com/spf13/cobra"
)

func newAddCommand(a *app) *cobra.Command {
	var kind string
	cmd := &cobra.Command{
		Use:   "add STORE PATH [VALUE...]",
		Short: "Add to a counter or a set",
		Long: `Add an integer (default 1) to a counter, or elements to a set. Where nothing stands yet, an
integer alone makes a counter and anything else a set, unless --kind says which.`,
		Example: `  atoll add groceries visits
  atoll add groceries balance -5
  atoll add groceries tags urgent home
  atoll add groceries banned mallory --kind rwset`,
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: a.completeStore,
		RunE: func(cmd *cobra.Command, args []string) error {
			values, err := parseValues(args[2:])
			if err != nil {
				return err
			}
			if len(values) == 0 {
				values = []json.RawMessage{json.RawMessage("1")}
			}
			return a.sendEdit(cmd, args[0], edit{Do: "add", Path: args[1], Kind: kind, Values: values})
		},
	}
	kindFlag(cmd, &kind, "counter, set or rwset, where nothing stands yet")
	return cmd
}
