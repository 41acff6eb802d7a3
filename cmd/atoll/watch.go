package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/atollsync/atoll/crdt"
)

// watched is an event as `atoll watch` prints it: what changed between two versions.
type watched struct {
	From    []string      `json:"from"`
	To      []string      `json:"to"`
	Changes []watchedNote `json:"changes"`
	Edits   []watchedEdit `json:"edits"`
}

type watchedNote struct {
	Dot   string `json:"dot"`
	Actor string `json:"actor"`
	Len   int    `json:"len"`
	Time  int64  `json:"time"`
}

type watchedEdit struct {
	Path    string          `json:"path"`
	Kind    string          `json:"kind"`
	Old     json.RawMessage `json:"old,omitempty"`     // absent: nothing stood there
	New     json.RawMessage `json:"new,omitempty"`     // absent: nothing stands there now
	Splices []watchedSplice `json:"splices,omitempty"` // of a list or text that stays
	Marks   []watchedMark   `json:"marks,omitempty"`   // of a text that stays, when all splices are done
	// Removed and Added are members of a set that stays.
	Removed []json.RawMessage `json:"removed,omitempty"`
	Added   []json.RawMessage `json:"added,omitempty"`
}

// watchedSplice is an edit of a list or text: at Pos, Deleted elements go and Inserted come.
type watchedSplice struct {
	Pos      int               `json:"pos"`
	Deleted  int               `json:"deleted"`
	Inserted int               `json:"inserted"`
	Text     string            `json:"text,omitempty"`
	Values   []json.RawMessage `json:"values,omitempty"`
}

// watchedMark says that the code points of a text from From up to, not including, To now bear a mark or, without a Value, none of the name.
type watchedMark struct {
	From  int             `json:"from"`
	To    int             `json:"to"`
	Name  string          `json:"name"`
	Value json.RawMessage `json:"value,omitempty"`
}

func newWatchCommand(a *app) *cobra.Command {
	var since string
	var count int
	cmd := &cobra.Command{
		Use:   "watch STORE",
		Short: "Print changes as they happen, local and remote",
		Long: `Print what changes, as it happens, each change once and in causal order. A watcher is a
version, not a queue: a slow one gets fewer, larger events and misses none. To go on where
an earlier one stopped, give its last "to" as --since. --since start begins with the first
change.

Where no node runs nothing can arrive: watch prints what came after --since, and ends.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeStore,
		RunE: func(cmd *cobra.Command, args []string) error {
			if count < 0 {
				return usagef("--count %d: a number from 0", count)
			}
			return a.with(cmd.Context(), func(c *client) error {
				seen := 0
				path := storePath(args[0], "watch", "since", since)
				err := lines(cmd.Context(), c, http.MethodGet, path, nil, func(e watched) error {
					if err := e.write(a); err != nil {
						return err
					}
					if seen++; seen == count {
						return errEnough
					}
					return nil
				})
				if errors.Is(err, errEnough) || cmd.Context().Err() != nil {
					return nil // as asked
				}
				return err
			})
		},
	}
	cmd.Flags().StringVar(&since, "since", "", "a version (its dots, separated by commas), or start; by default now")
	cmd.Flags().IntVar(&count, "count", 0, "end after so many events (0: go on)")
	return cmd
}

var errEnough = errors.New("enough")

func (e watched) write(a *app) error {
	if a.json {
		return writeJSONLine(a.out, e)
	}
	s := newStyle(a.out)
	var by []string
	for i, n := range e.Changes {
		if i == 3 {
			by = append(by, fmt.Sprintf("%d more", len(e.Changes)-i))
			break
		}
		by = append(by, shortDot(n.Dot))
	}
	head := strings.Join(by, ", ")
	if n := len(e.Changes); n > 0 {
		head = clock(e.Changes[n-1].Time) + "  " + s.dim(head)
	}
	if _, err := fmt.Fprintln(a.out, head); err != nil {
		return err
	}
	for _, d := range e.Edits {
		if _, err := fmt.Fprintf(a.out, "    %s\n", d.describe()); err != nil {
			return err
		}
	}
	return nil
}

// describe says in a line what changed at a place.
func (d watchedEdit) describe() string {
	if len(d.Splices)+len(d.Marks) > 0 {
		var parts []string
		for _, sp := range d.Splices {
			part := fmt.Sprintf("at %d", sp.Pos)
			if sp.Deleted > 0 {
				part += fmt.Sprintf(" -%d", sp.Deleted)
			}
			if sp.Inserted > 0 {
				part += fmt.Sprintf(" +%d", sp.Inserted)
			}
			if sp.Text != "" {
				part += fmt.Sprintf(" %q", sp.Text)
			}
			for _, v := range sp.Values {
				part += " " + string(v)
			}
			parts = append(parts, part)
		}
		for _, m := range d.Marks {
			parts = append(parts, m.describe())
		}
		return d.Path + " " + strings.Join(parts, ", ")
	}
	switch {
	case len(d.Added)+len(d.Removed) > 0:
		text := d.Path
		for _, v := range d.Removed {
			text += " -" + string(v)
		}
		for _, v := range d.Added {
			text += " +" + string(v)
		}
		return text
	case d.Old == nil:
		return fmt.Sprintf("%s = %s", d.Path, d.New)
	case d.New == nil:
		return fmt.Sprintf("%s is gone (was %s)", d.Path, d.Old)
	}
	return fmt.Sprintf("%s = %s (was %s)", d.Path, d.New, d.Old)
}

func (m watchedMark) describe() string {
	place := fmt.Sprintf("%d to %d", m.From, m.To)
	switch string(m.Value) {
	case "":
		return place + " not " + m.Name
	case "true":
		return place + " " + m.Name
	}
	return fmt.Sprintf("%s %s=%s", place, m.Name, m.Value)
}

func (c *control) watch(r *http.Request, line func(any) error) error {
	s, err := c.store(r)
	if err != nil {
		return err
	}
	var now crdt.Version
	if err := s.View(func(st *crdt.State) error { now = st.Version(); return nil }); err != nil {
		return err
	}
	since, err := parseSince(r.URL.Query().Get("since"))
	if err != nil {
		return err
	}
	if since == nil {
		since = now
	}
	if !c.running && since.Equal(now) {
		return nil
	}
	for e, err := range s.Watch(r.Context(), since) {
		if err != nil {
			return err
		}
		if err := line(newWatched(e)); err != nil {
			return err
		}
		if !c.running && e.To.Equal(now) {
			return nil
		}
	}
	return nil
}

func newWatched(e crdt.Event) watched {
	out := watched{From: dots(e.From), To: dots(e.To), Changes: []watchedNote{}, Edits: []watchedEdit{}}
	for _, n := range e.Changes {
		out.Changes = append(out.Changes, watchedNote{n.Dot.Text(), n.Dot.Actor.Text(), n.Len, n.Time})
	}
	for _, d := range e.Edits {
		out.Edits = append(out.Edits, newWatchedEdit(d))
	}
	return out
}

func newWatchedEdit(d crdt.Edit) watchedEdit {
	out := watchedEdit{Path: crdt.FormatPointer(d.Path), Kind: d.Kind.String(), Removed: rawValues(d.Removed), Added: rawValues(d.Added)}
	for _, sp := range d.Splices {
		out.Splices = append(out.Splices, watchedSplice{sp.Pos, sp.Deleted, sp.Inserted, sp.Text, rawValues(sp.Values)})
	}
	for _, m := range d.Marks {
		mark := watchedMark{From: m.From, To: m.To, Name: m.Name}
		if m.Value != nil {
			mark.Value = m.Value.AppendJSON(nil)
		}
		out.Marks = append(out.Marks, mark)
	}
	if d.Old != nil {
		out.Old = d.Old.AppendJSON(nil)
	}
	if d.New != nil {
		out.New = d.New.AppendJSON(nil)
	}
	return out
}

// rawValues returns values as JSON.
func rawValues(values []crdt.Value) []json.RawMessage {
	var out []json.RawMessage
	for _, v := range values {
		out = append(out, v.AppendJSON(nil))
	}
	return out
}
