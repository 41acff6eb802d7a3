package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"path/filepath"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// replayed is the outcome of replaying one session.
type replayed struct {
	File    string  `json:"file"`
	OK      bool    `json:"ok"` // the text is the recorded one
	Agents  int     `json:"agents"`
	Changes int     `json:"changes"`
	Ops     int     `json:"ops"`
	Seconds float64 `json:"seconds"` // to author them all
	SHA256  string  `json:"sha256"`  // of the text
	Length  int     `json:"length"`  // of the text, in code points
	// Difference says where the text first differs from the recorded one.
	Difference string   `json:"difference,omitempty"`
	Text       *string  `json:"text,omitempty"`
	Network    *catchUp `json:"network,omitempty"`
	Error      string   `json:"error,omitempty"`
}

// catchUp is how the second node came by a session.
type catchUp struct {
	Seconds  float64 `json:"seconds"` // from coming back until the text was there
	Sent     uint64  `json:"bytes_sent"`
	Received uint64  `json:"bytes_received"` // by the node that wrote the session, during the catch-up
}

func newReplayCommand(a *app) *cobra.Command {
	var text, network bool
	var bench benchFlags
	cmd := &cobra.Command{
		Use:   "replay FILE...",
		Short: "Replay recorded editing sessions and check the text",
		Long: `Replay recorded editing sessions, sequential or concurrent, plain or gzipped JSON, and
compare the text with the recorded one. In concurrent sessions agent n writes as the nth
smallest actor.

--over-network authors the session on one real node while a second is offline, lets the
second come back, and checks the text there.

--bench measures the engine on the sessions: writing them anew, a fresh replica that gets
their changes, sizes, memory. Without FILE, or with --synthetic, it measures what needs no
session: branches of random edits, a crowd that inserts at one place, a long list, a text of
100 MB. Times stand beside those of the bare rope, which makes the same edits in the same run,
and beside the goal. Exit status 1 means that a text came out wrong; a goal that is missed is
no failure.`,
		Example: `  atoll replay friendsforever.json.gz
  atoll replay --bench --json automerge-paper.json.gz | jq .measurements
  atoll replay --bench                    # what needs no session`,
		Args: func(cmd *cobra.Command, args []string) error {
			if bench.on {
				return nil
			}
			return cobra.MinimumNArgs(1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := bench.check(cmd); err != nil {
				return err
			}
			if bench.on {
				return a.runBench(cmd.Context(), args, bench)
			}
			failed := false
			for _, file := range args {
				r := a.replayFile(cmd.Context(), file, network)
				if err := cmd.Context().Err(); err != nil {
					return err
				}
				failed = failed || !r.OK
				if !text {
					r.Text = nil
				}
				if err := a.printReplayed(r, text); err != nil {
					return err
				}
			}
			if failed {
				return errReported
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&text, "text", false, "print the text itself on standard output, and the rest on standard error")
	cmd.Flags().BoolVar(&network, "over-network", false, "author on one real node, and check the text on another that was offline")
	bench.define(cmd)
	return cmd
}

// replayFile replays one session. What goes wrong is part of the outcome.
func (a *app) replayFile(ctx context.Context, file string, network bool) replayed {
	r := replayed{File: file}
	s, err := readSession(file)
	if err != nil {
		r.Error = err.Error()
		return r
	}
	r.Agents, r.Ops = s.Agents, s.ops()
	p := a.newProgress(filepath.Base(file), int64(len(s.Txns)))
	defer p.clear()
	var got string
	if network {
		got, err = a.replayOverNetwork(ctx, s, &r, p)
	} else {
		got, err = replayInMemory(ctx, s, &r, p)
	}
	if err != nil {
		r.Error = err.Error()
		return r
	}
	r.SHA256 = fmt.Sprintf("%x", sha256.Sum256([]byte(got)))
	r.Length = utf8.RuneCountInString(got)
	r.Text = &got
	r.Difference = difference(got, s.End)
	r.OK = got == s.End
	return r
}

// replayInMemory replays s through the pure core alone and returns the text.
func replayInMemory(ctx context.Context, s *session, r *replayed, p *progress) (string, error) {
	begun := time.Now()
	e := newEngine(s)
	for i, t := range s.Txns {
		if i%1024 == 0 && ctx.Err() != nil {
			return "", ctx.Err()
		}
		if _, _, err := e.add(t); err != nil {
			return "", fmt.Errorf("transaction %d: %w", i, err)
		}
		p.set(int64(i + 1))
	}
	got := e.text()
	r.Seconds = time.Since(begun).Seconds()
	r.Changes = e.chains.Len()
	return got, nil
}

// printReplayed writes the outcome to standard output, or with --text the text, and the outcome to standard error.
func (a *app) printReplayed(r replayed, text bool) error {
	if a.json {
		return writeJSONLine(a.out, r)
	}
	w := a.out
	if r.Text != nil {
		if _, err := io.WriteString(a.out, *r.Text); err != nil {
			return err
		}
	}
	if text {
		w = a.err
	}
	return r.write(w)
}

func (r replayed) write(w io.Writer) error {
	s := newStyle(w)
	verdict := s.green("ok")
	if !r.OK {
		verdict = s.red("WRONG")
	}
	if r.Error != "" {
		_, err := fmt.Fprintf(w, "%s  %s: %s\n", s.red("FAILED"), r.File, r.Error)
		return err
	}
	_, err := fmt.Fprintf(w, "%s  %s  %s in %s by %s, %.3f s, %s, sha256 %s\n", verdict, r.File,
		plural(r.Ops, "op"), plural(r.Changes, "change"), plural(r.Agents, "agent"), r.Seconds, plural(r.Length, "code point"), r.SHA256)
	if n := r.Network; n != nil && err == nil {
		_, err = fmt.Fprintf(w, "    caught up in %.3f s: %s to the second node, %s back\n", n.Seconds, byteSize(int64(n.Sent)), byteSize(int64(n.Received)))
	}
	if r.Difference != "" && err == nil {
		_, err = fmt.Fprintln(w, r.Difference)
	}
	return err
}
