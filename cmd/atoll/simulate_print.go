package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/atollsync/atoll/simulations"
)

// simulated is what came of a run, for programs. Times are seconds of virtual time.
type simulated struct {
	Scenario    string              `json:"scenario"`
	Seed        uint64              `json:"seed"`
	OK          bool                `json:"ok"`
	Interrupted bool                `json:"interrupted,omitempty"`
	Trace       string              `json:"trace"` // SHA-256 of all that happened
	Again       string              `json:"again"` // the command that makes the same run
	Ended       float64             `json:"ended"`
	Healed      float64             `json:"healed"`
	Converged   *float64            `json:"converged"` // null: not
	Changes     int                 `json:"changes"`
	Applied     int                 `json:"applied"`
	Messages    int                 `json:"messages"`
	Bytes       int                 `json:"bytes"`
	Failures    []simulatedFailure  `json:"failures"`
	Faults      []simulatedFault    `json:"faults"`
	Checks      map[string]int      `json:"checks"`
	Devices     []simulatedDevice   `json:"devices,omitempty"`
	Samples     []simulatedSample   `json:"samples,omitempty"`
	Conflicts   []simulatedConflict `json:"conflicts,omitempty"`
	State       string              `json:"state,omitempty"` // what all show in the end, JSON
}

type simulatedFailure struct {
	Check  string  `json:"check"`
	At     float64 `json:"at"`
	Device string  `json:"device,omitempty"`
	Detail string  `json:"detail"`
}

type simulatedFault struct {
	Name  string `json:"name"`
	Asked int    `json:"asked"`
	Seen  int    `json:"seen"`
}

type simulatedDevice struct {
	Name       string  `json:"name"`
	Liar       bool    `json:"liar,omitempty"`
	Left       bool    `json:"left,omitempty"`
	Sent       int     `json:"bytes_sent"`
	Received   int     `json:"bytes_received"`
	Authored   int     `json:"authored"`
	Applied    int     `json:"applied"`
	Crashes    int     `json:"crashes,omitempty"`
	MaxPending int     `json:"max_pending_bytes"`
	Lag        float64 `json:"lag"`
}

type simulatedSample struct {
	At      float64 `json:"at"`
	Apart   int     `json:"apart"`
	Behind  int     `json:"behind"`
	Online  int     `json:"online"`
	Down    int     `json:"down"`
	Changes int     `json:"changes"`
	Applied int     `json:"applied"`
	Bytes   int     `json:"bytes"`
}

type simulatedConflict struct {
	Path   string   `json:"path"`
	Winner string   `json:"winner"` // JSON
	By     string   `json:"by"`
	Others []string `json:"others"`
}

// outcomeOf returns what came of a run, in full or without what is long.
func outcomeOf(s *simulation, r *simulations.Result, full bool) simulated {
	o := simulated{Scenario: s.name, Seed: r.Seed, OK: r.OK() && !r.Interrupted, Interrupted: r.Interrupted, Trace: fmt.Sprintf("%x", r.Trace[:]), Again: s.flags.again(s.name, r.Seed),
		Ended: r.Ended.Seconds(), Healed: r.Healed.Seconds(), Changes: r.Changes, Applied: r.Applied, Messages: r.Messages, Bytes: r.Bytes,
		Failures: []simulatedFailure{}, Faults: []simulatedFault{}, Checks: map[string]int{}}
	if r.Converged > 0 {
		at := r.Converged.Seconds()
		o.Converged = &at
	}
	for _, f := range r.Failures {
		o.Failures = append(o.Failures, simulatedFailure{f.Check, f.At.Seconds(), f.Device, f.Detail})
	}
	for _, f := range r.Faults {
		o.Faults = append(o.Faults, simulatedFault{f.Name, f.Asked, f.Seen})
	}
	for _, c := range r.Checked {
		o.Checks[c.Name] = c.Runs
	}
	if !full {
		return o
	}
	for _, d := range r.Devices {
		o.Devices = append(o.Devices, simulatedDevice{d.Name, d.Liar, d.Left, d.Sent, d.Received, d.Authored, d.Applied, d.Crashes, d.MaxPending, d.Lag.Seconds()})
	}
	for _, x := range r.Samples {
		o.Samples = append(o.Samples, simulatedSample{x.At.Seconds(), x.Apart, x.Behind, x.Online, x.Down, x.Changes, x.Applied, x.Bytes})
	}
	for _, c := range r.Conflicts {
		sc := simulatedConflict{Path: c.Path, Winner: c.Winner.Value, By: c.Winner.Device}
		for _, other := range c.Others {
			sc.Others = append(sc.Others, other.Value)
		}
		o.Conflicts = append(o.Conflicts, sc)
	}
	o.State = r.State
	return o
}

// maxPrintedFailures is how many failures a person is shown.
const maxPrintedFailures = 10

// print prints what came of a run.
func (s *simulation) print(r *simulations.Result) error {
	return s.app.print(outcomeOf(s, r, true), func(w io.Writer) {
		style := newStyle(s.app.out)
		verdict := style.green("passed")
		switch {
		case !r.OK():
			verdict = style.red("FAILED")
		case r.Interrupted:
			verdict = style.yellow("interrupted at " + span(r.Ended) + ", nothing wrong so far")
		}
		fmt.Fprintf(w, "%s, seed %d: %s\n", style.bold(s.name), r.Seed, verdict)
		if s.scenario.Question != "" {
			fmt.Fprintln(w, style.dim(indentText(s.scenario.Question, "  ", 98)))
		}
		fmt.Fprintf(w, "  happened   %s, %s of virtual time in %.1f s: %s, %d applied by others, %s, %s\n", plural(len(r.Devices), "device"), span(r.Ended),
			time.Since(s.begun).Seconds(), plural(r.Changes, "change"), r.Applied, plural(r.Messages, "message"), byteSize(int64(r.Bytes)))
		printConvergence(w, r)
		if faults := faultsOf(r); faults != "" {
			fmt.Fprintf(w, "  faults     %s\n", strings.TrimLeft(indentText(faults, "             ", 110), " "))
		}
		var checks []string
		for _, c := range r.Checked {
			checks = append(checks, fmt.Sprintf("%s (%d),", c.Name, c.Runs))
		}
		if len(checks) > 0 {
			fmt.Fprintf(w, "  checked    %s\n", strings.TrimRight(strings.TrimLeft(indentText(strings.Join(checks, " "), "             ", 110), " "), ","))
		}
		if n := len(r.Conflicts); n > 0 {
			fmt.Fprintf(w, "  conflicts  concurrent writes met at %s\n", plural(n, "place"))
		}
		fmt.Fprintf(w, "  trace      %x\n", r.Trace[:8])
		s.printFailures(w, r)
		if s.flags.report != "" {
			fmt.Fprintf(w, "  report     %s\n", s.flags.report)
		}
	})
}

// printConvergence says when devices held the same.
func printConvergence(w io.Writer, r *simulations.Result) {
	switch {
	case r.Converged > 0:
		fmt.Fprintf(w, "  converged  %s after all was well again", span(r.Converged-r.Healed))
	case r.Healed > 0 && !r.Interrupted:
		fmt.Fprint(w, "  converged  no")
	default:
		return
	}
	var slowest *simulations.DeviceResult
	for i := range r.Devices {
		if d := &r.Devices[i]; d.Lag > 0 && (slowest == nil || d.Lag > slowest.Lag) {
			slowest = d
		}
	}
	if slowest != nil {
		fmt.Fprintf(w, "; until then a change took up to %s to be everywhere (one of %s)", span(slowest.Lag), slowest.Name)
	}
	fmt.Fprintln(w)
}

// span writes a length of time, rounded for people.
func span(d time.Duration) string {
	switch {
	case d >= time.Hour:
		d = d.Round(time.Minute)
	case d >= 10*time.Second:
		d = d.Round(time.Second)
	case d >= time.Second:
		d = d.Round(100 * time.Millisecond)
		return fmt.Sprintf("%.1fs", d.Seconds())
	default:
		d = d.Round(time.Millisecond)
	}
	return simulations.FormatSpan(d)
}

// faultsOf lists the faults that were seen, and those that were asked for and not.
func faultsOf(r *simulations.Result) string {
	var all []string
	for _, f := range r.Faults {
		switch {
		case f.Seen == 0:
			all = append(all, f.Name+" asked for and not seen,")
		default:
			all = append(all, fmt.Sprintf("%s %d,", f.Name, f.Seen))
		}
	}
	return strings.TrimSuffix(strings.Join(all, " "), ",")
}

// printFailures says what must not be, and how to see it again.
func (s *simulation) printFailures(w io.Writer, r *simulations.Result) {
	if r.OK() {
		return
	}
	style := newStyle(s.app.out)
	for i, f := range r.Failures {
		if i == maxPrintedFailures {
			fmt.Fprintf(w, "  and %d more\n", len(r.Failures)-i)
			break
		}
		where := ""
		if f.Device != "" {
			where = " on " + f.Device
		}
		fmt.Fprintf(w, "  %s  %s%s at %s: %s\n", style.red("wrong"), f.Check, where, simulations.FormatSpan(f.At), f.Detail)
	}
	fmt.Fprintf(w, "the same again: %s\n", style.bold(s.flags.again(s.name, r.Seed)))
}

// seedTotals are sums over runs.
type seedTotals struct {
	changes, applied int
	checks           int
	slowest          time.Duration // to converge
}

func (t *seedTotals) add(r *simulations.Result) {
	t.changes += r.Changes
	t.applied += r.Applied
	for _, c := range r.Checked {
		t.checks += c.Runs
	}
	if r.Converged > 0 {
		t.slowest = max(t.slowest, r.Converged-r.Healed)
	}
}

// printMany prints what came of many seeds.
func (s *simulation) printMany(done int, failed *simulations.Result, t *seedTotals) error {
	if s.app.json {
		return nil // each had its line
	}
	w := s.app.out
	style := newStyle(w)
	elapsed := time.Since(s.begun)
	fmt.Fprintf(w, "%s run in %.1f s (%.0f a minute): %s, %d applied by others, %s; the slowest converged %s after all was well again\n", plural(done, "seed"),
		elapsed.Seconds(), float64(done)/elapsed.Minutes(), plural(t.changes, "change"), t.applied, plural(t.checks, "check"), span(t.slowest))
	switch {
	case failed != nil:
		fmt.Fprintf(w, "%s: the first that fails is seed %d\n", style.red("FAILED"), failed.Seed)
		s.printFailures(w, failed)
	case done < s.flags.seeds:
		fmt.Fprintln(w, style.yellow(fmt.Sprintf("interrupted with %d to go, nothing wrong so far", s.flags.seeds-done)))
	default:
		fmt.Fprintln(w, style.green("all passed"))
	}
	return nil
}

// printSmall says where a small scenario is that fails.
func (s *simulation) printSmall(file string, small *simulations.Scenario, r *simulations.Result) error {
	devices, ops := 0, 0
	for _, g := range small.Devices {
		devices += max(1, g.Count)
	}
	for _, e := range small.Timeline {
		if _, ok := e.Action.(simulations.Do); ok {
			ops++
		}
	}
	if len(small.Workloads) > 0 {
		ops = max(ops, len(r.Ops))
	}
	type smaller struct {
		File    string `json:"file"`
		Again   string `json:"again"`
		Devices int    `json:"devices"`
		Ops     int    `json:"ops"`
	}
	again := "atoll simulate " + shellWord("./"+file)
	return s.app.print(smaller{file, again, devices, ops}, func(w io.Writer) {
		fmt.Fprintf(w, "made smaller, %s and %s: %s\n  %s\n", plural(devices, "device"), plural(ops, "op"), file, newStyle(s.app.out).bold(again))
		if len(r.Failures) > 0 {
			fmt.Fprintf(w, "  %s: %s\n", r.Failures[0].Check, r.Failures[0].Detail)
		}
	})
}

// simulateLine is the line on a terminal that shows how far a run is.
type simulateLine struct {
	w            io.Writer // nil: shows nothing
	name         string
	begun, shown time.Time
}

func (a *app) newSimulateLine(name string) *simulateLine {
	l := &simulateLine{name: name, begun: time.Now()}
	if isTerminal(a.err) && !a.json {
		l.w = a.err
	}
	return l
}

// show shows how far a run is: virtual time, devices apart, changes a second, and how long it may take yet.
func (l *simulateLine) show(p simulations.Progress) {
	if l.w == nil || time.Since(l.shown) < 100*time.Millisecond {
		return
	}
	l.shown = time.Now()
	fmt.Fprintf(l.w, "\r\x1b[K%s", l.text(p, time.Since(l.begun)))
}

// text is what the line says after a time of work.
func (l *simulateLine) text(p simulations.Progress, elapsed time.Duration) string {
	apart := "all hold the same"
	if p.Apart > 1 {
		apart = fmt.Sprintf("%d different versions on %s", p.Apart, plural(p.Devices, "device"))
	}
	rate := float64(p.Applied+p.Changes) / max(elapsed.Seconds(), 1e-3)
	left := "healed, converging"
	if !p.Healing {
		left = "ETA " + span(time.Duration(float64(elapsed)*(float64(p.For)/max(float64(p.Now), 1)-1)).Round(time.Second))
		if p.Now == 0 {
			left = "begins"
		}
	}
	return fmt.Sprintf("%s  %s of %s  %s  %.0f changes/s  %s", l.name, span(p.Now), span(p.For), apart, rate, left)
}

// clear takes the line away.
func (l *simulateLine) clear() {
	if l.w != nil && !l.shown.IsZero() {
		fmt.Fprint(l.w, "\r\x1b[K")
	}
}
