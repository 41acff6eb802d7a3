package main

import (
	"encoding/json"

	"github.com/spf13/cobra"
)

func newPutCommand(a *app) *cobra.Command {
	var kind string
	cmd := &cobra.Command{
		Use:   "put STORE PATH VALUE",
		Short: "Put a value at a path",
		Long: `Put a value at a path. VALUE is JSON; a bare word is a string. The value goes into a
register, whole: concurrent puts are settled by the latest, and atoll conflicts shows the
others.

On a text, put makes the smallest edit that turns it into VALUE. --kind makes something else
of VALUE: a counter of an integer, a set, rwset or list of an array, a map or dwmap of an
object, a text of a string.`,
		Example: `  atoll put groceries items/milk/qty 2
  atoll put groceries title "Week 12"
  atoll put groceries notes "call mum" --kind text
  atoll put groceries crew '["ana","bo"]' --kind set`,
		Args:              cobra.ExactArgs(3),
		ValidArgsFunction: a.completeStore,
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := parseValue(args[2])
			if err != nil {
				return err
			}
			return a.sendEdit(cmd, args[0], edit{Do: "put", Path: args[1], Kind: kind, Values: []json.RawMessage{v}})
		},
	}
	kindFlag(cmd, &kind, "what to make of VALUE (default register)")
	return cmd
}
