package main

import "github.com/spf13/cobra"

func newRemoveCommand(a *app) *cobra.Command {
	var kind string
	var all bool
	cmd := &cobra.Command{
		Use:   "remove STORE PATH VALUE...",
		Short: "Remove elements from a set",
		Long: `Remove elements from a set. From an add-wins set (set) only what this device has seen added
is removed; from a remove-wins set (rwset) also what others add at the same time.`,
		Example: `  atoll remove groceries tags urgent
  atoll remove groceries tags --all`,
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: a.completeStore,
		RunE: func(cmd *cobra.Command, args []string) error {
			values, err := parseValues(args[2:])
			if err != nil {
				return err
			}
			if all == (len(values) > 0) {
				return usagef("remove takes elements, or --all")
			}
			return a.sendEdit(cmd, args[0], edit{Do: "remove", Path: args[1], Kind: kind, Values: values, All: all})
		},
	}
	kindFlag(cmd, &kind, "set or rwset, where nothing stands yet")
	cmd.Flags().BoolVar(&all, "all", false, "remove every element")
	return cmd
}
