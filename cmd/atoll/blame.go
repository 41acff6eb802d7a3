package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/atollsync/atoll/crdt"
)

// blamed says who wrote a text, or inserted the elements of a list.
type blamed struct {
	Store   string      `json:"store"`
	Path    string      `json:"path"`
	Kind    string      `json:"kind"`
	Version []string    `json:"version"`
	Runs    []blamedRun `json:"runs"` // in order and without gaps
}

// blamedRun is what one actor wrote in one go.
type blamedRun struct {
	Pos    int               `json:"pos"` // in code points or elements
	Len    int               `json:"len"`
	Dot    string            `json:"dot"` // of the first of them
	Actor  string            `json:"actor"`
	Time   int64             `json:"time"`  // of the first change
	Until  int64             `json:"until"` // of the last
	Text   string            `json:"text,omitempty"`
	Values []json.RawMessage `json:"values,omitempty"`
}

func newBlameCommand(a *app) *cobra.Command {
	var at string
	var pause time.Duration
	cmd := &cobra.Command{
		Use:   "blame STORE PATH",
		Short: "Show who wrote each part of a text or list, and when",
		Long: `Show who wrote each part of a text, or inserted each element of a list, and when. What one
device wrote in one go is one part: nothing by others in between, and no longer pause.`,
		Example: `  atoll blame groceries notes
  atoll blame groceries notes --pause 1h --json`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: a.completeStore,
		RunE: func(cmd *cobra.Command, args []string) error {
			if pause < 0 {
				return usagef("--pause %v: from 0", pause)
			}
			return a.with(cmd.Context(), func(c *client) error {
				var out blamed
				path := storePath(args[0], "blame", "path", args[1], "at", at, "pause", strconv.FormatInt(pause.Milliseconds(), 10))
				if err := c.call(cmd.Context(), http.MethodGet, path, nil, &out); err != nil {
					return err
				}
				return a.print(out, out.write)
			})
		},
	}
	cmd.Flags().DurationVar(&pause, "pause", time.Minute, "a longer pause begins a new part")
	cmd.Flags().StringVar(&at, "at", "", "a version: the dots of its heads, separated by commas")
	return cmd
}

func (b blamed) write(w io.Writer) {
	var rows [][]string
	for _, r := range b.Runs {
		text := strconv.Quote(shorten(r.Text, 60))
		if b.Kind == crdt.List.String() {
			list, _ := json.Marshal(r.Values)
			text = shorten(string(list), 60)
		}
		rows = append(rows, []string{strconv.Itoa(r.Pos), shortActor(r.Actor), clock(r.Time), text})
	}
	table(w, nil, rows)
}

func (c *control) blame(r *http.Request) (any, error) {
	query := r.URL.Query()
	pause, err := strconv.ParseInt(query.Get("pause"), 10, 64)
	if err != nil || pause < 0 {
		return nil, badRequest("pause %q: milliseconds from 0", query.Get("pause"))
	}
	out := blamed{Path: query.Get("path"), Runs: []blamedRun{}}
	return &out, c.show(r, func(s shownState) error {
		p := s.state.Path(s.keys...)
		out.Store, out.Kind, out.Version = s.store.Name(), p.Kind().String(), dots(s.state.Version())
		switch p.Kind() {
		case crdt.Text:
			text := p.Text()
			for _, run := range text.Blame(pause) {
				out.Runs = append(out.Runs, newBlamedRun(run))
				out.Runs[len(out.Runs)-1].Text = text.Slice(run.Pos, run.Pos+run.Len)
			}
		case crdt.List:
			list := p.List()
			for _, run := range list.Blame(pause) {
				b := newBlamedRun(run)
				for i := range run.Len {
					v, _ := list.Get(run.Pos + i)
					b.Values = append(b.Values, v.AppendJSON(nil))
				}
				out.Runs = append(out.Runs, b)
			}
		case 0:
			return nothingAt(s.state, s.keys)
		default:
			return &failure{Status: http.StatusConflict, Message: fmt.Sprintf("%s is a %s: blame is for texts and lists", out.Path, p.Kind()),
				Hint: "atoll conflicts and atoll log say who wrote what else there is"}
		}
		return nil
	})
}

func newBlamedRun(run crdt.BlameRun) blamedRun {
	return blamedRun{Pos: run.Pos, Len: run.Len, Dot: run.Dot.Text(), Actor: run.Dot.Actor.Text(), Time: run.Time, Until: run.Until}
}
