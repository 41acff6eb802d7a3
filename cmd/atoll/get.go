package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/peer"
)

// shown is what stands at a path.
type shown struct {
	Store    string          `json:"store"`
	Path     string          `json:"path"`
	Kind     string          `json:"kind"` // "" for the whole store
	Value    json.RawMessage `json:"value"`
	Spans    []shownSpan     `json:"spans,omitempty"`    // with --spans
	Markdown *string         `json:"markdown,omitempty"` // with --markdown
	Version  []string        `json:"version"`            // of the store
}

// shownSpan is a stretch of a text all of which bears the same marks.
type shownSpan struct {
	Text  string      `json:"text"`
	Marks []shownMark `json:"marks,omitempty"`
}

type shownMark struct {
	Name  string          `json:"name"`
	Value json.RawMessage `json:"value"`
}

// describe returns marks as people read them: bold, link="https://example.org".
func (s shownSpan) describe() string {
	parts := make([]string, len(s.Marks))
	for i, m := range s.Marks {
		if parts[i] = m.Name; string(m.Value) != "true" {
			parts[i] += "=" + string(m.Value)
		}
	}
	return strings.Join(parts, ", ")
}

func newGetCommand(a *app) *cobra.Command {
	var at string
	var compact, spans, markdown bool
	cmd := &cobra.Command{
		Use:   "get STORE [PATH]",
		Short: "Print what stands at a path, or the whole store",
		Long: `Print what stands at a path, or the whole store. A text or a string is printed as it is, all
else as JSON. --at shows the state at an earlier version, as atoll log prints them.

--spans prints a text in parts with the marks that each bears, --markdown as Markdown: bold,
italic, code, strike and links.`,
		Example: `  atoll get groceries items/milk/qty
  atoll get groceries notes --spans
  atoll get groceries notes --markdown`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: a.completeStore,
		RunE: func(cmd *cobra.Command, args []string) error {
			path := ""
			if len(args) > 1 {
				path = args[1]
			}
			return a.with(cmd.Context(), func(c *client) error {
				var out shown
				query := []string{"path", path, "at", at}
				if spans {
					query = append(query, "marks", marksAsSpans)
				} else if markdown {
					query = append(query, "marks", marksAsMarkdown)
				}
				if err := c.call(cmd.Context(), http.MethodGet, storePath(args[0], "value", query...), nil, &out); err != nil {
					return err
				}
				return a.print(out, func(w io.Writer) {
					if spans {
						writeSpans(w, out.Spans)
						return
					}
					if markdown {
						fmt.Fprintln(w, *out.Markdown)
						return
					}
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
	cmd.Flags().BoolVar(&spans, "spans", false, "print a text in parts, with the marks that each bears")
	cmd.Flags().BoolVar(&markdown, "markdown", false, "print a text as Markdown")
	cmd.MarkFlagsMutuallyExclusive("compact", "spans", "markdown")
	cmd.Flags().StringVar(&at, "at", "", "a version: the dots of its heads, separated by commas")
	return cmd
}

// How marks are asked for.
const (
	marksAsSpans    = "spans"
	marksAsMarkdown = "markdown"
)

func writeSpans(w io.Writer, spans []shownSpan) {
	rows := make([][]string, len(spans))
	for i, s := range spans {
		rows[i] = []string{strconv.Quote(s.Text)}
		if len(s.Marks) > 0 {
			rows[i] = append(rows[i], s.describe())
		}
	}
	table(w, nil, rows)
}

func (c *control) value(r *http.Request) (any, error) {
	query := r.URL.Query()
	out := shown{Path: query.Get("path")}
	marks := query.Get("marks")
	return &out, c.show(r, func(s shownState) error {
		out.Store, out.Version = s.store.Name(), dots(s.state.Version())
		if len(s.keys) == 0 && marks == "" {
			out.Value = json.RawMessage(s.state.JSON())
			return nil
		}
		p := s.state.Path(s.keys...)
		if !p.Exists() {
			return nothingAt(s.state, s.keys)
		}
		out.Kind, out.Value = p.Kind().String(), json.RawMessage(p.JSON())
		switch marks {
		case "":
			return nil
		case marksAsSpans:
			for _, span := range p.Spans() {
				out.Spans = append(out.Spans, newShownSpan(span))
			}
		case marksAsMarkdown:
			text := p.Markdown()
			out.Markdown = &text
		default:
			return badRequest("marks %q: %s or %s", marks, marksAsSpans, marksAsMarkdown)
		}
		if p.Kind() != crdt.Text {
			return &failure{Status: http.StatusConflict, Message: fmt.Sprintf("%q is a %s: only texts bear marks", out.Path, p.Kind())}
		}
		return nil
	})
}

func newShownSpan(span crdt.TextSpan) shownSpan {
	out := shownSpan{Text: span.Text}
	for _, m := range span.Marks {
		out.Marks = append(out.Marks, shownMark{m.Name, m.Value.AppendJSON(nil)})
	}
	return out
}

// shownState is what a request asks about: a place, and the state in which it is to be looked at.
type shownState struct {
	store *peer.Store
	state *crdt.State
	keys  []string
}

// show calls fn with what the request's path and at (a version, or nothing for now) name. The state must not be used
// after fn returns.
func (c *control) show(r *http.Request, fn func(shownState) error) error {
	s, err := c.store(r)
	if err != nil {
		return err
	}
	keys, err := parsePath(r.URL.Query().Get("path"))
	if err != nil {
		return err
	}
	at, err := parseVersion(r.URL.Query().Get("at"))
	if err != nil {
		return err
	}
	if at == nil {
		return s.View(func(st *crdt.State) error { return fn(shownState{s, st, keys}) })
	}
	st, err := s.At(r.Context(), at)
	if err != nil {
		return err
	}
	return fn(shownState{s, st, keys})
}

// parseSince is parseVersion with start for the version before all changes.
func parseSince(text string) (crdt.Version, error) {
	if text == "start" {
		return crdt.Version{}, nil
	}
	return parseVersion(text)
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
