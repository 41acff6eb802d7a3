package main

import (
	"strconv"

	"github.com/spf13/cobra"
)

func newInsertCommand(a *app) *cobra.Command {
	var kind string
	cmd := &cobra.Command{
		Use:   "insert STORE PATH INDEX VALUE...",
		Short: "Insert into a list or a text",
		Long: `Insert elements into a list, or characters into a text. INDEX counts elements, or Unicode
code points, from 0; end is behind the last.`,
		Example: `  atoll insert groceries notes 0 "Dear all, " --kind text
  atoll insert groceries steps end bake cool --kind list`,
		Args:              cobra.MinimumNArgs(4),
		ValidArgsFunction: a.completeStore,
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := parsePlace(args[2])
			if err != nil {
				return err
			}
			values, err := parseValues(args[3:])
			if err != nil {
				return err
			}
			return a.sendEdit(cmd, args[0], edit{Do: "insert", Path: args[1], Kind: kind, Values: values, Index: &at})
		},
	}
	kindFlag(cmd, &kind, "list or text, where nothing stands yet")
	return cmd
}

// parsePlace reads an INDEX that may be end, which is -1.
func parsePlace(arg string) (int, error) {
	if arg == "end" {
		return -1, nil
	}
	return parseIndex(arg)
}

// parseIndex reads an INDEX or a COUNT.
func parseIndex(arg string) (int, error) {
	n, err := strconv.Atoi(arg)
	if err != nil || n < 0 {
		return 0, usagef("%q is no index: a number from 0", arg)
	}
	return n, nil
}
