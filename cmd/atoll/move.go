package main

import "github.com/spf13/cobra"

func newMoveCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "move STORE PATH INDEX",
		Short: "Move an element of a list",
		Long: `Move the list element at PATH so that it stands at INDEX, counted from 0 without the element
itself; end is behind the last. What it holds goes with it, and so do edits made to it
elsewhere meanwhile. If several devices move one element at once, the latest move decides.`,
		Example: `  atoll move groceries steps/3 0
  atoll move groceries steps/0 end`,
		Args:              cobra.ExactArgs(3),
		ValidArgsFunction: a.completeStore,
		RunE: func(cmd *cobra.Command, args []string) error {
			to, err := parsePlace(args[2])
			if err != nil {
				return err
			}
			return a.sendEdit(cmd, args[0], edit{Do: "move", Path: args[1], Index: &to})
		},
	}
}
