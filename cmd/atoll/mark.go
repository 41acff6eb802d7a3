package main

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/atollsync/atoll/crdt"
)

// growths are the values of --grow.
var growths = map[string]crdt.Growth{"none": crdt.GrowNone, "start": crdt.GrowStart, "end": crdt.GrowEnd, "both": crdt.GrowBoth}

func newMarkCommand(a *app) *cobra.Command {
	var grow string
	cmd := &cobra.Command{
		Use:   "mark STORE PATH FROM TO NAME [VALUE]",
		Short: "Mark a part of a text: bold, a link, a comment",
		Long: `Mark the code points from FROM up to, not including, TO of a text; end is its end. NAME is
bold, italic, code, strike, link (with its URL as VALUE), comment:ID, or any other; VALUE is
true if left out. A part bears one mark of a name: a second takes the place of the first.

What is typed right beside a mark belongs to it on the sides that --grow says: at the end for
most, at none for links, code and comments.`,
		Example: `  atoll mark groceries notes 0 4 bold
  atoll mark groceries notes 5 end link https://example.org
  atoll mark groceries notes 0 9 comment:7 '{"by":"ana","text":"sure?"}'`,
		Args:              cobra.RangeArgs(5, 6),
		ValidArgsFunction: a.completeStore,
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := markEdit("mark", args, grow)
			if err != nil {
				return err
			}
			e.Values = []json.RawMessage{json.RawMessage("true")}
			if len(args) > 5 {
				v, err := parseValue(args[5])
				if err != nil {
					return err
				}
				e.Values[0] = v
			} else if e.Name == crdt.MarkLink {
				return usagef("a link takes a VALUE: its URL")
			}
			return a.sendEdit(cmd, args[0], e)
		},
	}
	growFlag(cmd, &grow)
	return cmd
}

// growFlag adds --grow to a command.
func growFlag(cmd *cobra.Command, grow *string) {
	cmd.Flags().StringVar(grow, "grow", "", "where it takes in what is typed right beside it: none, start, end or both")
	cmd.RegisterFlagCompletionFunc("grow", cobra.FixedCompletions([]string{"none", "start", "end", "both"}, cobra.ShellCompDirectiveNoFileComp))
}

// markEdit reads the arguments that mark and unmark share.
func markEdit(do string, args []string, grow string) (edit, error) {
	e := edit{Do: do, Path: args[1], Name: args[4]}
	from, err := parsePlace(args[2])
	if err != nil {
		return e, err
	}
	to, err := parsePlace(args[3])
	if err != nil {
		return e, err
	}
	if e.Name == "" {
		return e, usagef("an empty NAME")
	}
	e.Index, e.To = &from, &to
	growth := growthOf(e.Name)
	if grow != "" {
		var ok bool
		if growth, ok = growths[grow]; !ok {
			return e, usagef("--grow %s: none, start, end or both", grow)
		}
	}
	e.Growth = uint8(growth)
	return e, nil
}

// growthOf returns how a mark grows unless --grow says otherwise.
func growthOf(name string) crdt.Growth {
	_, isComment := crdt.CommentID(name)
	if isComment || name == crdt.MarkLink || name == crdt.MarkCode {
		return crdt.GrowNone
	}
	return crdt.GrowEnd
}

// mark marks a part of the text at the place, or with unmark takes marks away.
func (w *writer) mark() error {
	switch kind := w.place.Kind(); {
	case kind == 0:
		return nothingAt(w.state, w.keys)
	case kind != crdt.Text:
		return w.refuse("", "%s is a %s: only texts bear marks", w.path(), kind)
	case w.edit.Index == nil || w.edit.To == nil || w.edit.Name == "":
		return badRequest("%s takes FROM, TO and NAME", w.edit.Do)
	}
	text := w.place.Text()
	n, from, to := text.Len(), *w.edit.Index, *w.edit.To
	if from == -1 {
		from = n
	}
	if to == -1 {
		to = n
	}
	if from < 0 || to > n || from > to {
		return w.refuse("", "%s has %s: none from %d up to %d", w.path(), plural(n, "code point"), from, to)
	}
	growth := crdt.Growth(w.edit.Growth)
	if w.edit.Do == "unmark" {
		text.Unmark(from, to, w.edit.Name, growth)
		return nil
	}
	if len(w.values) != 1 {
		return badRequest("mark takes one VALUE")
	}
	text.Mark(from, to, w.edit.Name, w.values[0], growth)
	return nil
}
