package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/spf13/cobra"

	"github.com/atollsync/atoll/crdt"
)

// conflict is a place where concurrent writes left more than one value. The first is the one shown.
type conflict struct {
	Path   string          `json:"path"`
	Values []conflictValue `json:"values"`
}

type conflictValue struct {
	Shown bool            `json:"shown"`
	Kind  string          `json:"kind"`
	Value json.RawMessage `json:"value"`
	Dot   string          `json:"dot"`
	Actor string          `json:"actor"`
	Time  int64           `json:"time"`
}

func newConflictsCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "conflicts STORE [PATH]",
		Short: "Show what concurrent writes left beside the value shown",
		Long: `Show, at a path and below it, every place where concurrent writes left more than one value:
the one shown (the latest) and the others. Putting a value settles it.`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: a.completeStore,
		RunE: func(cmd *cobra.Command, args []string) error {
			path := ""
			if len(args) > 1 {
				path = args[1]
			}
			return a.with(cmd.Context(), func(c *client) error {
				out := []conflict{}
				if err := c.call(cmd.Context(), http.MethodGet, storePath(args[0], "conflicts", "path", path), nil, &out); err != nil {
					return err
				}
				return a.print(out, func(w io.Writer) {
					if len(out) == 0 {
						fmt.Fprintln(w, "no conflicts")
					}
					for _, c := range out {
						fmt.Fprintln(w, c.Path)
						var rows [][]string
						for _, v := range c.Values {
							mark := " "
							if v.Shown {
								mark = "*"
							}
							rows = append(rows, []string{"  " + mark, string(v.Value), v.Kind, clock(v.Time), shortActor(v.Actor)})
						}
						table(w, nil, rows)
					}
				})
			})
		},
	}
}

func (c *control) conflicts(r *http.Request) (any, error) {
	s, err := c.store(r)
	if err != nil {
		return nil, err
	}
	keys, err := parsePath(r.URL.Query().Get("path"))
	if err != nil {
		return nil, err
	}
	out := []conflict{}
	return &out, s.View(func(st *crdt.State) error {
		if len(keys) > 0 && !st.Path(keys...).Exists() {
			return nothingAt(st, keys)
		}
		st.AllConflicts(func(path []string, all []crdt.Conflict) bool {
			if len(path) < len(keys) || !slices.Equal(path[:len(keys)], keys) {
				return true
			}
			c := conflict{Path: crdt.FormatPointer(path)}
			for _, v := range all {
				c.Values = append(c.Values, conflictValue{v.Shown, v.Kind.String(), v.Value.AppendJSON(nil), v.Dot.Text(), v.Actor.Text(), v.Time})
			}
			out = append(out, c)
			return true
		})
		return nil
	})
}
