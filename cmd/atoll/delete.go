package main

import "github.com/spf13/cobra"

func newDeleteCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "delete STORE PATH [INDEX [COUNT]]",
		Short: "Delete what stands at a path, or a range of a list or text",
		Long: `Delete what stands at a path: a slice, a map's key or a list's element. With an INDEX,
delete COUNT (default 1) elements or code points of the list or text at the path.

In a map an edit by another device wins over a delete that has not seen it, and brings the
whole entry back; in a dwmap the delete wins.`,
		Example: `  atoll delete groceries items/milk
  atoll delete groceries notes 0 5`,
		Args:              cobra.RangeArgs(2, 4),
		ValidArgsFunction: a.completeStore,
		RunE: func(cmd *cobra.Command, args []string) error {
			e := edit{Do: "delete", Path: args[1]}
			if len(args) > 2 {
				at, err := parseIndex(args[2])
				if err != nil {
					return err
				}
				e.Index, e.Count = &at, 1
			}
			if len(args) > 3 {
				n, err := parseIndex(args[3])
				if err != nil {
					return err
				}
				e.Count = n
			}
			return a.sendEdit(cmd, args[0], e)
		},
	}
}
