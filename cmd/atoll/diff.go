package main

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/atollsync/atoll/crdt"
)

// changed is what turns what one version shows at a path into what another does.
type changed struct {
	Store string        `json:"store"`
	Path  string        `json:"path"`
	From  []string      `json:"from"`
	To    []string      `json:"to"`
	Edits []watchedEdit `json:"edits"` // to be applied one after the other
}

func newDiffCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "diff STORE PATH FROM-VERSION [TO-VERSION]",
		Short: "Show what changed at a path between two versions",
		Long: `Show what turns what stood at a path at one version into what stood there at another, by
default now: positions and what goes and comes there, to be applied one after the other. The
versions may be any, the later one first too. A version is the dots of its heads, separated
by commas, as atoll log and get --json print them, or start. An empty PATH is the whole store.`,
		Example: `  atoll diff groceries notes start
  atoll diff groceries "" $(atoll get groceries --json | jq -r '.version|join(",")')`,
		Args:              cobra.RangeArgs(3, 4),
		ValidArgsFunction: a.completeStore,
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[2] == "" {
				return usagef("an empty FROM-VERSION: say start for the beginning")
			}
			to := ""
			if len(args) > 3 {
				to = args[3]
			}
			return a.with(cmd.Context(), func(c *client) error {
				var out changed
				path := storePath(args[0], "diff", "path", args[1], "from", args[2], "to", to)
				if err := c.call(cmd.Context(), http.MethodGet, path, nil, &out); err != nil {
					return err
				}
				return a.print(out, func(w io.Writer) {
					if len(out.Edits) == 0 {
						fmt.Fprintln(w, "no difference")
					}
					for _, e := range out.Edits {
						fmt.Fprintln(w, e.describe())
					}
				})
			})
		},
	}
}

func (c *control) diff(r *http.Request) (any, error) {
	query := r.URL.Query()
	from, err := parseSince(query.Get("from"))
	if err != nil {
		return nil, err
	}
	to, err := parseSince(query.Get("to"))
	if err != nil {
		return nil, err
	}
	out := changed{Path: query.Get("path"), Edits: []watchedEdit{}}
	return &out, c.show(r, func(s shownState) error {
		if to == nil {
			to = s.state.Version()
		}
		edits, err := editsBetween(s, from, to)
		if err != nil {
			return err
		}
		out.Store, out.From, out.To = s.store.Name(), dots(from), dots(to)
		for _, e := range edits {
			out.Edits = append(out.Edits, newWatchedEdit(e))
		}
		return nil
	})
}

// editsBetween returns the edits between two versions at the path and below it.
func editsBetween(s shownState, from, to crdt.Version) ([]crdt.Edit, error) {
	edits, err := s.state.Edits(s.store.Source(), from, to)
	if err != nil {
		return nil, err
	}
	var out []crdt.Edit
	for _, e := range edits {
		n := min(len(e.Path), len(s.keys))
		switch {
		case !slices.Equal(e.Path[:n], s.keys[:n]):
		case n == len(s.keys) || e.Old == nil && e.New == nil:
			out = append(out, e) // there or below, or of the list that the path leads through
		default:
			// Something whole above the path came, went or was replaced: here is what that means for the path.
			e.Old, e.New = below(e.Old, s.keys[n:]), below(e.New, s.keys[n:])
			e.Path, e.Kind = s.keys, s.state.Path(s.keys...).Kind()
			if e.Old != e.New && (e.Old == nil || e.New == nil || *e.Old != *e.New) {
				out = append(out, e)
			}
		}
	}
	return out, nil
}

// below returns what keys lead to inside a value, nil if that is nothing.
func below(v *crdt.Value, keys []string) *crdt.Value {
	if v == nil {
		return nil
	}
	at := v.Any()
	for _, key := range keys {
		switch in := at.(type) {
		case map[string]any:
			var ok bool
			if at, ok = in[key]; !ok {
				return nil
			}
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(in) {
				return nil
			}
			at = in[i]
		default:
			return nil
		}
	}
	out, err := crdt.ValueOf(at)
	if err != nil {
		panic(fmt.Sprintf("part of a value is none: %v", err))
	}
	return &out
}
