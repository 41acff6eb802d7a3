package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// shown is what stands at a path.
type shown struct {
	Store   string          `json:"store"`
	Path    string          `json:"path"`
	Kind    string          `json:"kind"` // "" for the whole store
	Value   json.RawMessage `json:"value"`
	Version []string        `json:"version"` // of the store
}

func newGetCommand(a *app) *cobra.Command {
	var at string
	var compact bool
	cmd := &cobra.Command{
		Use:   "get STORE [PATH]",
		Short: "Print what stands at a path, or the whole store",
		Long: `Print what stands at a path, or the whole store. A text or a string is printed as it is, all
else as JSON. --at shows the state at an earlier version, as atoll log prints them.`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: a.completeStore,
		RunE: func(cmd *cobra.Command, args []string) error {
			path := ""
			if len(args) > 1 {
				path = args[1]
			}
			return a.with(cmd.Context(), func(c *client) error {
				var out shown
				if err := c.call(cmd.Context(), http.MethodGet, storePath(args[0], "value", "path", path, "at", at), nil, &out); err != nil {
					return err
				}
				return a.print(out, func(w io.Writer) {
					var s string
					if compact {
						fmt.Fprintf(w, "%s\n", out.Value)
					} else if json.Unmarshal(out.Value, &s) == nil && string(out.Value) != "null" {
						fmt.Fprintln(w, s)
					} else {
						fmt.Fprintln(w, indentJSON(out.Value))
					}
				})
			})
		},
	}
	cmd.Flags().BoolVar(&compact, "compact", false, "print JSON on one line, strings and texts too")
	cmd.Flags().StringVar(&at, "at", "", "a version: the dots of its heads, separated by commas")
	return cmd
}

func (c *control) value(r *http.Request) (any, error) {
	s, err := c.store(r)
	if err != nil {
		return nil, err
	}
	path := r.URL.Query().Get("path")
	keys, err := parsePath(path)
	if err != nil {
		return nil, err
	}
	out := shown{Store: s.Name(), Path: path}
	show := func(st *crdt.State) error {
		out.Version = dots(st.Version())
		if len(keys) == 0 {
			out.Value = json.RawMessage(st.JSON())
			return nil
		}
		p := st.Path(keys...)
		if !p.Exists() {
			return nothingAt(st, keys)
		}
		out.Kind, out.Value = p.Kind().String(), json.RawMessage(p.JSON())
		return nil
	}
	at, err := parseVersion(r.URL.Query().Get("at"))
	if err != nil {
		return nil, err
	}
	if at == nil {
		return out, s.View(show)
	}
	st, err := s.At(r.Context(), at)
	if err != nil {
		return nil, err
	}
	return out, show(st)
}

// parseVersion reads a version as the commands print it: dots separated by commas. "" is nil.
func parseVersion(text string) (crdt.Version, error) {
	if text == "" {
		return nil, nil
	}
	var v crdt.Version
	for _, part := range strings.Split(text, ",") {
		d, err := causal.ParseDot(strings.TrimSpace(part))
		if err != nil {
			return nil, badRequest("version %q: %v", part, err)
		}
		v = append(v, d)
	}
	return v, nil
}
