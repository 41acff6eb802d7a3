package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"
)

// defaultRounds is how often each measurement of a benchmark is taken.
const defaultRounds = 5

// benchFlags are the flags of replay that are about benchmarks.
type benchFlags struct {
	on        bool
	synthetic bool
	cpu       bool
	rounds    int
}

func (f *benchFlags) define(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.on, "bench", false, "measure the engine on the sessions")
	cmd.Flags().BoolVar(&f.synthetic, "synthetic", false, "with --bench: also what needs no session (the default without FILE)")
	cmd.Flags().BoolVar(&f.cpu, "cpu", false, "with --bench: go by the CPU time of the process, garbage collection included")
	cmd.Flags().IntVar(&f.rounds, "rounds", defaultRounds, "with --bench: how often each measurement is taken; the best counts")
}

// clock names what times are of.
func (f *benchFlags) clock() string {
	if f.cpu {
		return "cpu"
	}
	return "wall"
}

// check says what is wrong with the flags.
func (f *benchFlags) check(cmd *cobra.Command) error {
	if f.rounds < 1 {
		return usagef("--rounds %d: at least 1", f.rounds)
	}
	if _, ok := cpuTime(); f.cpu && !ok {
		return usagef("--cpu: this system does not tell")
	}
	for _, name := range []string{"synthetic", "cpu", "rounds"} {
		if cmd.Flags().Changed(name) && !f.on {
			return usagef("--%s goes with --bench", name)
		}
	}
	for _, name := range []string{"text", "over-network"} {
		if cmd.Flags().Changed(name) && f.on {
			return usagef("--%s does not go with --bench", name)
		}
	}
	return nil
}

// benchReport is the outcome of the measurements on one session, or of those that need none.
type benchReport struct {
	File  string `json:"file,omitempty"` // "": what needs no session
	Kind  string `json:"kind"`           // sequential, concurrent or synthetic
	OK    bool   `json:"ok"`             // every text came out right
	Error string `json:"error,omitempty"`
	// Edits are the insertions and deletions that the bare rope made, one by one.
	Edits        int      `json:"edits,omitempty"`
	Changes      int      `json:"changes,omitempty"`
	Agents       int      `json:"agents,omitempty"`
	Rounds       int      `json:"rounds"`
	Clock        string   `json:"clock"` // wall or cpu
	Measurements []figure `json:"measurements"`
}

// runBench measures the sessions in files, and what needs none, and prints a report for each.
func (a *app) runBench(ctx context.Context, files []string, f benchFlags) error {
	failed := false
	report := func(r benchReport) error {
		failed = failed || !r.OK
		return a.print(r, r.write)
	}
	for _, file := range files {
		r, err := a.benchSession(ctx, file, f)
		if err != nil {
			return err
		}
		if err := report(r); err != nil {
			return err
		}
	}
	if f.synthetic || len(files) == 0 {
		r, err := a.benchSynthetic(ctx, fullScale, f)
		if err != nil {
			return err
		}
		if err := report(r); err != nil {
			return err
		}
	}
	if failed {
		return errReported
	}
	return nil
}

// benchSession measures one session. What goes wrong with it is part of the report; an error is about ctx.
func (a *app) benchSession(ctx context.Context, file string, f benchFlags) (benchReport, error) {
	r := benchReport{File: file, Rounds: f.rounds, Clock: f.clock()}
	s, err := readSession(file)
	if err != nil {
		r.Error = err.Error()
		return r, nil
	}
	r.Kind, r.Agents = "sequential", s.Agents
	if s.Concurrent {
		r.Kind = "concurrent"
	}
	h, err := authorHistory(ctx, s)
	if err == nil {
		r.Edits, r.Changes = h.edits(), len(h.log)
		r.Measurements, err = a.measure(ctx, filepath.Base(file), goalsOf(file, h.rows()), f)
	}
	return r.finish(ctx, err)
}

// benchSynthetic measures what needs no session.
func (a *app) benchSynthetic(ctx context.Context, scale benchScale, f benchFlags) (benchReport, error) {
	r := benchReport{Kind: "synthetic", Rounds: f.rounds, Clock: f.clock()}
	for _, rows := range scale.rows() {
		measurements, err := rows()
		if err != nil {
			return r.finish(ctx, err)
		}
		figures, err := a.measure(ctx, "synthetic", measurements, f)
		if err != nil {
			return r.finish(ctx, err)
		}
		r.Measurements = append(r.Measurements, figures...)
	}
	return r.finish(ctx, nil)
}

// finish makes err part of the report, unless it is an interruption.
func (r benchReport) finish(ctx context.Context, err error) (benchReport, error) {
	if ctx.Err() != nil {
		return r, ctx.Err()
	}
	if err != nil {
		r.Error = err.Error()
	}
	r.OK = err == nil
	return r, nil
}

func (r benchReport) write(w io.Writer) {
	s := newStyle(w)
	name := r.File
	if name == "" {
		name = "Without a session"
	}
	fmt.Fprint(w, s.bold(name))
	if r.Changes > 0 {
		fmt.Fprintf(w, ": %s in %s by %s", plural(r.Edits, "edit"), plural(r.Changes, "change"), plural(r.Agents, "agent"))
	}
	clock := ""
	if r.Clock == "cpu" {
		clock = ", CPU time"
	}
	fmt.Fprintf(w, ", best of %d%s\n", r.Rounds, clock)
	if r.Error != "" {
		fmt.Fprintf(w, "%s  %s\n", s.red("FAILED"), r.Error)
		return
	}
	var rows [][]string
	for _, f := range r.Measurements {
		rows = append(rows, f.row(s))
	}
	table(w, []string{"", "ms", "ropes", "ns each", "bytes", "goal", "met"}, rows)
}

// errWrongText begins the errors of measurements whose work gave a wrong result.
var errWrongText = errors.New("wrong text")

// checkText compares what a measurement ended with and what it should have.
func checkText(got, want string) error {
	if got != want {
		return fmt.Errorf("%w: %s", errWrongText, difference(got, want))
	}
	return nil
}
