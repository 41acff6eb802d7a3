package main

import "github.com/spf13/cobra"

func newUnmarkCommand(a *app) *cobra.Command {
	var grow string
	cmd := &cobra.Command{
		Use:   "unmark STORE PATH FROM TO NAME",
		Short: "Take marks off a part of a text",
		Long: `Take the marks of a name off the code points from FROM up to, not including, TO of a text; end
is its end. --grow says where what is typed right beside is to be without as well: as a rule
what it was for the mark.`,
		Example:           `  atoll unmark groceries notes 0 end bold`,
		Args:              cobra.ExactArgs(5),
		ValidArgsFunction: a.completeStore,
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := markEdit("unmark", args, grow)
			if err != nil {
				return err
			}
			return a.sendEdit(cmd, args[0], e)
		},
	}
	growFlag(cmd, &grow)
	return cmd
}
