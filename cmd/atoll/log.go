package main

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// logged is a change as `atoll log` prints it.
type logged struct {
	Dot    string     `json:"dot"` // of its last op: names it in versions and deps
	Actor  string     `json:"actor"`
	Seq    uint64     `json:"seq"`
	Len    int        `json:"len"`
	Time   int64      `json:"time"`
	Deps   []string   `json:"deps"` // heads its author saw, beside its own previous change
	Hash   string     `json:"hash"`
	Signed bool       `json:"signed"` // a signature is kept at this very change; a later one vouches for the others
	Ops    []loggedOp `json:"ops"`
}

type loggedOp struct {
	Seq   uint64 `json:"seq"`
	Slice string `json:"slice"`
	Op    string `json:"op"`
	Void  bool   `json:"void,omitempty"`
}

func newLogCommand(a *app) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "log STORE",
		Short: "Print the changes of a store, in the order this device learned of them",
		Long: `Print the changes of a store: dot, time, the heads the author had seen, and the ops. The
order is the one in which this device learned of them, which is causal.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeStore,
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 0 {
				return usagef("--limit %d: a number from 0", limit)
			}
			path := storePath(args[0], "log", "limit", strconv.Itoa(limit))
			return a.with(cmd.Context(), func(c *client) error {
				return lines(cmd.Context(), c, http.MethodGet, path, nil, func(l logged) error {
					if a.json {
						return writeJSONLine(a.out, l)
					}
					return l.write(a)
				})
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 0, "print only the last so many changes (0: all)")
	return cmd
}

// write prints l for people.
func (l logged) write(a *app) error {
	s := newStyle(a.out)
	after := ""
	for i, d := range l.Deps {
		if i == 0 {
			after = "  after "
		} else {
			after += ", "
		}
		after += shortDot(d)
	}
	_, err := fmt.Fprintf(a.out, "%s  %s%s\n", s.bold(shortDot(l.Dot)), clock(l.Time), s.dim(after))
	for _, o := range l.Ops {
		_, e := fmt.Fprintf(a.out, "    %s\n", shorten(o.Op, 200))
		err = errors.Join(err, e)
	}
	return err
}

// shorten cuts text to a number of code points.
func shorten(text string, most int) string {
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}

// shortDot shortens the text of a dot for people.
func shortDot(text string) string {
	d, err := causal.ParseDot(text)
	if err != nil {
		return text
	}
	return d.String()
}

// shortActor shortens the text of an actor for people.
func shortActor(text string) string {
	a, err := causal.ParseActor(text)
	if err != nil {
		return text
	}
	return a.String()
}

// shortDevice shortens a device's public key in hex for people.
func shortDevice(text string) string { return text[:min(len(text), 8)] }

func (c *control) log(r *http.Request, line func(any) error) error {
	s, err := c.store(r)
	if err != nil {
		return err
	}
	limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err != nil || limit < 0 {
		return badRequest("limit %q: a number from 0", r.URL.Query().Get("limit"))
	}
	skip := 0
	if limit > 0 {
		n := 0
		for _, err := range s.Log(r.Context()) {
			if err != nil {
				return err
			}
			n++
		}
		skip = max(0, n-limit)
	}
	n := 0
	for e, err := range s.Log(r.Context()) {
		if err != nil {
			return err
		}
		if n++; n <= skip {
			continue
		}
		out := logged{Dot: e.Dot().Text(), Actor: e.Actor.Text(), Seq: uint64(e.Seq), Len: e.Len(), Time: e.Time,
			Deps: dots(e.Deps()), Hash: fmt.Sprintf("%x", e.Hash[:]), Signed: e.Signed, Ops: []loggedOp{}}
		e.Ops(func(seq crdt.Seq, slice string, op *crdt.Op) bool {
			out.Ops = append(out.Ops, loggedOp{uint64(seq), slice, op.String(), op.Void})
			return true
		})
		if err := line(out); err != nil {
			return err
		}
	}
	return nil
}
