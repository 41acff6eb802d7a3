package main

import (
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/peer"
)

// undo asks for a change to be taken back.
type undo struct {
	Dot string `json:"dot,omitempty"` // "": this device's last change
}

// undone is the answer: the change that was taken back, and the one that did it, "" if nothing of it showed any more.
type undone struct {
	Store  string `json:"store"`
	Undone string `json:"undone"`
	Time   int64  `json:"time"` // of the change taken back
	Dot    string `json:"dot"`
}

func newUndoCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "undo STORE [DOT]",
		Short: "Take back a change",
		Long: `Take back what a change did, as far as it still shows, by a new change; what others did since
stays. Without a DOT it is this device's last change, so doing it twice is redoing. A DOT, as
atoll log prints them, names any change, also another device's.`,
		Example: `  atoll undo groceries
  atoll undo groceries "$(atoll log groceries --json --limit 1 | jq -r .dot)"`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: a.completeStore,
		RunE: func(cmd *cobra.Command, args []string) error {
			var in undo
			if len(args) > 1 {
				if in.Dot = args[1]; in.Dot == "" {
					return usagef("an empty DOT: leave it out for this device's last change")
				}
			}
			return a.with(cmd.Context(), func(c *client) error {
				var out undone
				if err := c.call(cmd.Context(), http.MethodPost, storePath(args[0], "undo"), in, &out); err != nil {
					return err
				}
				return a.print(out, func(w io.Writer) {
					if out.Dot == "" {
						fmt.Fprintf(w, "nothing shows any more of %s, of %s\n", shortDot(out.Undone), clock(out.Time))
						return
					}
					fmt.Fprintf(w, "took back %s, of %s\n", shortDot(out.Undone), clock(out.Time))
				})
			})
		},
	}
}

func (c *control) undo(r *http.Request) (any, error) {
	s, err := c.store(r)
	if err != nil {
		return nil, err
	}
	var in undo
	if err := read(r, &in); err != nil {
		return nil, err
	}
	var dot crdt.Dot
	if in.Dot != "" {
		if dot, err = causal.ParseDot(in.Dot); err != nil {
			return nil, badRequest("dot %q: %v", in.Dot, err)
		}
	}
	change, err := c.findChange(r, s, dot)
	if err != nil {
		return nil, err
	}
	by, err := s.Update(r.Context(), func(tx *crdt.Tx) error {
		tx.Undo(s.Source(), change.Dot(), nil)
		return tx.Err()
	})
	if err != nil {
		return nil, err
	}
	out := undone{Store: s.Name(), Undone: change.Dot().Text(), Time: change.Time}
	if !by.IsZero() {
		out.Dot = by.Text()
	}
	return out, nil
}

// findChange returns the change that holds dot, or if that is zero this device's last one.
func (c *control) findChange(r *http.Request, s *peer.Store, dot crdt.Dot) (crdt.Accepted, error) {
	var found crdt.Accepted
	for e, err := range s.Log(r.Context()) {
		if err != nil {
			return found, err
		}
		switch {
		case dot.IsZero():
			if e.Actor.Device == c.node.Device() && (found.Change == nil || e.Effective > found.Effective) {
				found = e.Accepted
			}
		case e.Actor == dot.Actor && e.Seq <= dot.Seq && dot.Seq <= e.Dot().Seq:
			return e.Accepted, nil
		}
	}
	switch {
	case found.Change != nil:
		return found, nil
	case dot.IsZero():
		return found, &failure{Status: http.StatusNotFound, Message: fmt.Sprintf("this device has written nothing in %q", s.Name()),
			Hint: "a DOT, as atoll log prints them, names another device's change"}
	}
	return found, &failure{Status: http.StatusNotFound, Message: fmt.Sprintf("no change %s in %q", dot.Text(), s.Name()),
		Hint: "atoll log --json prints the dots of all changes"}
}
