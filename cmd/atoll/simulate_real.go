package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// realOptions say what `atoll simulate --real` does. Zero fields mean the default.
type realOptions struct {
	Devices  int           // 3 to 9; default 4
	Seed     uint64        // what is written where; default: the time. Processes and networks do not repeat themselves
	Together time.Duration // how long all write together before the cut, and after it; default 3 s
	Cut      time.Duration // how long half of the devices are cut off; default 15 s
	Bound    time.Duration // how long devices may take to converge; default 60 s
	Program  string        // the atoll that is run; default: this one
}

func (o realOptions) withDefaults() (realOptions, error) {
	if o.Devices == 0 {
		o.Devices = 4
	}
	if o.Devices < 3 || o.Devices > 9 {
		return o, usagef("%d devices: a simulation of real processes takes 3 to 9", o.Devices)
	}
	if o.Seed == 0 {
		o.Seed = uint64(time.Now().UnixNano())
	}
	for _, d := range []struct {
		value *time.Duration
		def   time.Duration
	}{{&o.Together, 3 * time.Second}, {&o.Cut, 15 * time.Second}, {&o.Bound, time.Minute}} {
		if *d.value == 0 {
			*d.value = d.def
		}
		if *d.value < 0 || *d.value > time.Hour {
			return o, usagef("%v is no time for a simulation of real processes: up to 1h", *d.value)
		}
	}
	// The one that dies in the middle of the cut is back for the rest of it.
	if o.Cut < 4*time.Second {
		return o, usagef("a cut of %v is too short to kill a device in: from 4s", o.Cut)
	}
	if o.Program == "" {
		path, err := os.Executable()
		if err != nil {
			return o, err
		}
		o.Program = path
	}
	return o, nil
}

// missingError says what a machine lacks for a simulation of real processes.
type missingError []string

func (e missingError) Error() string {
	return "cannot simulate with real processes here: " + strings.Join(e, "; ")
}

// simulateReal runs real nodes in network namespaces, cuts half of them off without a sign, kills one while it writes, heals
// the network, and checks that all converge and nothing acknowledged is lost. It returns a missingError where the
// machine cannot do that, and errReported if a check failed.
func (a *app) simulateReal(ctx context.Context, opts realOptions) error {
	opts, err := opts.withDefaults()
	if err != nil {
		return err
	}
	if missing := missingForReal(); len(missing) > 0 {
		return missingError(missing)
	}
	tmp, err := os.MkdirTemp("", "atoll-real-")
	if err != nil {
		return err
	}
	r := &realRun{opts: opts, tell: a.out, style: newStyle(a.out), rng: rand.New(rand.NewPCG(opts.Seed, 1)), dir: tmp, begun: time.Now()}
	if a.json {
		r.tell = nil
	}
	r.progress = a.newProgress("simulate", 0)
	r.report.Seed, r.report.Faults = opts.Seed, []realFault{}
	// All waiting is bounded, whatever a process does.
	asked := ctx
	limit := 2*time.Minute + 3*opts.Together + opts.Cut + 3*opts.Bound
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it took longer than %v", limit))
	defer cancel()
	err = r.run(ctx)
	if asked.Err() != nil {
		err = nil // whatever came of it
	}
	err = errors.Join(err, r.close())
	r.progress.clear()
	passed := err == nil && asked.Err() == nil && r.passed()
	r.report.Passed = passed
	r.report.Seconds = time.Since(r.begun).Seconds()
	switch {
	case passed || asked.Err() != nil:
		err = errors.Join(err, os.RemoveAll(tmp))
	default:
		r.report.Kept = tmp
	}
	switch {
	case err != nil:
		r.report.Error = err.Error()
	case asked.Err() != nil:
		r.report.Error = "interrupted"
	}
	if a.json {
		err = errors.Join(err, writeJSONLine(a.out, r.report))
	}
	if err == nil && asked.Err() != nil {
		r.say("interrupted")
		return errInterrupted
	}
	return r.conclude(err, passed)
}

// realReport is what came of it, as --json prints it.
type realReport struct {
	Passed   bool           `json:"passed"`
	Error    string         `json:"error,omitempty"`
	Seed     uint64         `json:"seed"`
	Devices  []string       `json:"devices"`
	Delay    string         `json:"delay"` // what the links add to latency and loss
	Acked    int            `json:"acknowledged"`
	Refused  int            `json:"refused"` // ops that did not fit what stood there
	Kinds    map[string]int `json:"kinds"`   // acknowledged changes by what they do
	Faults   []realFault    `json:"faults"`
	Lag      float64        `json:"converged_after_seconds"` // from healing
	Changes  int            `json:"changes"`
	Checks   []realCheck    `json:"checks"`
	Seconds  float64        `json:"seconds"`
	Kept     string         `json:"kept,omitempty"` // the devices' directories, if something went wrong
	Leftover []string       `json:"removed_leftovers,omitempty"`
}

// realFault is something that was done to the devices, and how it was seen to have happened.
type realFault struct {
	What string `json:"what"`
	Seen string `json:"seen"` // "" if it was not
}

// realCheck is something that must hold in the end.
type realCheck struct {
	What    string `json:"what"`
	OK      bool   `json:"ok"`
	Problem string `json:"problem,omitempty"`
}

func (r *realRun) passed() bool {
	for _, c := range r.report.Checks {
		if !c.OK {
			return false
		}
	}
	return len(r.report.Checks) > 0
}

// check notes what came of one check.
func (r *realRun) check(what string, problems []string) {
	c := realCheck{What: what, OK: len(problems) == 0, Problem: strings.Join(problems, "; ")}
	r.report.Checks = append(r.report.Checks, c)
	if c.OK {
		r.say("%s  %s", r.style.green("ok    "), what)
	} else {
		r.say("%s  %s: %s", r.style.red("FAILED"), what, shorten(c.Problem, 1000))
	}
}

// fault notes a fault and how it was seen.
func (r *realRun) fault(what, seen string) {
	r.report.Faults = append(r.report.Faults, realFault{what, seen})
}

func (r *realRun) say(format string, args ...any) {
	r.progress.clear()
	if r.tell != nil {
		fmt.Fprintf(r.tell, format+"\n", args...)
	}
}

// conclude prints the last line.
func (r *realRun) conclude(err error, passed bool) error {
	kept := ""
	if r.report.Kept != "" {
		kept = ": the devices' directories are in " + r.report.Kept
	}
	switch {
	case err != nil:
		return fmt.Errorf("simulate: %w%s", err, kept)
	case !passed:
		r.say("%s%s", r.style.red("failed"), kept)
		return errReported
	}
	r.say("%s", r.style.green("passed"))
	return nil
}

// deviceDir returns where a device keeps its data.
func (r *realRun) deviceDir(name string) string { return filepath.Join(r.dir, name) }
