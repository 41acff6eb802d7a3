package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/atollsync/atoll/simulations"
)

// simulateFlags are the flags of atoll simulate.
type simulateFlags struct {
	devices      int
	seed         uint64
	seeds        int
	length       string // --for
	report       string
	trace        string
	list, shrink bool

	seeded bool // --seed was given

	real realOptions // with --real
}

func newSimulateCommand(a *app) *cobra.Command {
	var f simulateFlags
	var real bool
	cmd := &cobra.Command{
		Use:   "simulate [SCENARIO]",
		Short: "Let devices part, crash and meet again, and check what comes of it",
		Long: `Run a network of devices on virtual time: weeks in seconds, the same for the same seed. The
replicas are those that ship; network, disks and clocks are simulated, and fail as the
SCENARIO says. It is the name of one that comes with atoll (--list), or a YAML file of your
own (simulations/scenarios/README.md has the format). Without one it is everything-at-once.

Always checked: equal versions mean equal state, the state is what the definition says,
nothing acknowledged is lost, watchers see each change once, in causal order, memory is
bounded, all converge when all is well again, and each fault asked for was seen to happen.

A run that fails is made smaller, for up to two minutes, and written to a file in the
current directory, with the command that runs it. Ctrl-C ends with what is known.

With --real there is nothing simulated about it: real nodes run as processes in network
namespaces of their own on this machine (Linux, root and iproute2). They share a store and
write everything they can, half of them are cut off without a sign, one is killed while it
writes, the network heals; atoll verify looks at every disk. It takes half a minute and
leaves nothing behind but, if it fails, the devices' directories.

Exit status: 0 all passed, 1 a check failed, 2 the command line or the scenario makes no
sense, 3 this machine cannot run it for real, 130 interrupted.`,
		Example: `  atoll simulate --list
  atoll simulate weekend-offline --report weekend.html
  atoll simulate everything-at-once --seeds 200
  atoll simulate ./my-app.yaml --seed 7 --for 3w --trace trace.txt
  sudo atoll simulate --real --devices 5`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.FixedCompletions(simulations.ShippedNames(), cobra.ShellCompDirectiveDefault),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.seeded = cmd.Flags().Changed("seed")
			if real {
				if len(args) > 0 {
					return usagef("--real takes no SCENARIO")
				}
				for _, simulated := range []string{"seeds", "for", "report", "trace", "list", "shrink"} {
					if cmd.Flags().Changed(simulated) {
						return usagef("--%s does not go with --real", simulated)
					}
				}
				f.real.Devices, f.real.Seed = f.devices, f.seed
				return a.simulateReal(cmd.Context(), f.real)
			}
			if f.list {
				if len(args) > 0 {
					return usagef("--list takes no SCENARIO")
				}
				return a.listScenarios()
			}
			name := simulations.Everything
			if len(args) > 0 {
				name = args[0]
			}
			if cmd.Flags().Changed("seeds") && f.seeds < 1 {
				return usagef("--seeds %d: at least 1", f.seeds)
			}
			if f.seeds > 1 && f.trace != "" {
				return usagef("--trace is of one run: leave out --seeds")
			}
			s, err := f.load(name)
			if err != nil {
				return err
			}
			if !f.seeded {
				f.seed = max(1, s.Seed)
				if f.seeds > 1 {
					f.seed = uint64(time.Now().Unix()) * 1000
				}
			}
			return a.simulate(cmd.Context(), name, s, f)
		},
	}
	cmd.Flags().IntVar(&f.devices, "devices", 0, "how many devices there are in all: the largest group grows or shrinks")
	cmd.Flags().Uint64Var(&f.seed, "seed", 0, "what everything random is drawn from (default: the scenario's, or 1; with --seeds: the time)")
	cmd.Flags().IntVar(&f.seeds, "seeds", 0, "run this many seeds, --seed and those after it, on all cores")
	cmd.Flags().StringVar(&f.length, "for", "", "how long it goes on, in virtual time: 20m, 3d, 2w")
	cmd.Flags().StringVar(&f.report, "report", "", "write a report to this file: one HTML page (with --seeds: of the first run that fails, or else of the first)")
	cmd.Flags().StringVar(&f.trace, "trace", "", "write all that happens to this file, a line each")
	cmd.Flags().BoolVar(&f.list, "list", false, "list the scenarios that come with atoll, with the questions they answer")
	cmd.Flags().BoolVar(&f.shrink, "shrink", true, "make a run that fails smaller")
	cmd.Flags().BoolVar(&real, "real", false, "run real nodes as processes in network namespaces: --devices 3 to 9 of them (default 4)")
	cmd.Flags().DurationVar(&f.real.Cut, "cut", 0, "with --real: how long the cut lasts (default 15s)")
	cmd.Flags().DurationVar(&f.real.Bound, "within", 0, "with --real: how long the devices may take to converge (default 1m)")
	return cmd
}

// maxScenarioFile is a little more than what a scenario file may have: who parses it says that it is too large.
const maxScenarioFile = 5 << 20

// load reads the scenario of a name, or of a file, and changes it as flags say.
func (f *simulateFlags) load(name string) (*simulations.Scenario, error) {
	s, err := openScenario(name)
	if err != nil {
		return nil, err
	}
	if f.length != "" {
		d, err := simulations.ParseSpan(f.length)
		if err != nil || d < time.Second {
			return nil, usagef("--for %s: a length of virtual time from 1s, like 20m, 3d or 2w", f.length)
		}
		s.For = d
	}
	if f.devices != 0 {
		if err := resize(s, f.devices); err != nil {
			return nil, err
		}
	}
	if _, err := simulations.New(s); err != nil { // before anything is written
		return nil, invalidScenario(name, err)
	}
	return s, nil
}

func invalidScenario(name string, err error) error {
	var lines []string
	for line := range strings.Lines(err.Error()) {
		lines = append(lines, "\n    "+strings.TrimRight(line, "\n"))
	}
	return &failure{Status: http.StatusBadRequest, Message: fmt.Sprintf("scenario %s is not valid:%s", name, strings.Join(lines, "")),
		Hint: "simulations/scenarios/README.md describes the format"}
}

func openScenario(name string) (*simulations.Scenario, error) {
	isPath := strings.ContainsAny(name, `/\`) || strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml")
	if !isPath {
		s, err := simulations.Shipped(name)
		if err == nil {
			return s, nil
		}
		if _, statErr := os.Stat(name); statErr != nil {
			return nil, &failure{Status: http.StatusBadRequest, Message: err.Error(), Hint: "atoll simulate --list shows those that there are; a file is named like ./my-app.yaml"}
		}
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, &failure{Status: http.StatusBadRequest, Message: err.Error(), Hint: "atoll simulate --list shows the scenarios that come with atoll"}
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxScenarioFile))
	if err != nil {
		return nil, err
	}
	base := filepath.Base(name)
	s, err := simulations.ParseScenario(strings.TrimSuffix(base, filepath.Ext(base)), data)
	if err != nil {
		return nil, invalidScenario(name, err)
	}
	for i := range s.Workloads { // files beside the scenario's
		w := &s.Workloads[i]
		for _, path := range []*string{&w.Session, &w.Log} {
			if *path != "" && !filepath.IsAbs(*path) {
				*path = filepath.Join(filepath.Dir(name), *path)
			}
		}
	}
	return s, nil
}

// resize makes the largest group so large that there are n devices in all.
func resize(s *simulations.Scenario, n int) error {
	largest, all := 0, 0
	for i := range s.Devices {
		count := max(1, s.Devices[i].Count)
		all += count
		if count > max(1, s.Devices[largest].Count) {
			largest = i
		}
	}
	g := &s.Devices[largest]
	count := n - (all - max(1, g.Count))
	if count < 1 {
		return usagef("--devices %d: beside %s there are %d of others, so it takes at least %d", n, g.Name, all-max(1, g.Count), all-max(1, g.Count)+1)
	}
	g.Count = count
	return nil
}

// listScenarios lists the scenarios that come with atoll.
func (a *app) listScenarios() error {
	type listed struct {
		Name     string `json:"name"`
		Question string `json:"question"`
		Devices  int    `json:"devices"`
		For      string `json:"for"`
	}
	var all []listed
	for _, name := range simulations.ShippedNames() {
		s, err := simulations.Shipped(name)
		if err != nil {
			return err
		}
		l := listed{Name: name, Question: s.Question, For: simulations.FormatSpan(s.For)}
		for _, g := range s.Devices {
			l.Devices += max(1, g.Count)
		}
		all = append(all, l)
	}
	return a.print(all, func(w io.Writer) {
		style := newStyle(a.out)
		for _, l := range all {
			fmt.Fprintf(w, "%s  %s, %s\n%s\n", style.bold(l.Name), plural(l.Devices, "device"), l.For, indentText(l.Question, "    ", 96))
		}
		fmt.Fprintf(w, "\natoll simulate NAME runs one; without a NAME it is %s.\n", simulations.Everything)
	})
}

// indentText breaks text into lines of at most width bytes, each indented.
func indentText(text, indent string, width int) string {
	var b strings.Builder
	line := indent
	for _, word := range strings.Fields(text) {
		if line != indent && len(line)+1+len(word) > width {
			b.WriteString(line + "\n")
			line = indent
		}
		if line != indent {
			line += " "
		}
		line += word
	}
	return b.String() + line
}

// again returns the command that makes a run again.
func (f *simulateFlags) again(name string, seed uint64) string {
	words := []string{"atoll simulate", shellWord(name), fmt.Sprintf("--seed %d", seed)}
	if f.devices != 0 {
		words = append(words, fmt.Sprintf("--devices %d", f.devices))
	}
	if f.length != "" {
		words = append(words, "--for "+shellWord(f.length))
	}
	return strings.Join(words, " ")
}

// shellWord returns s as a shell reads it as one word.
func shellWord(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=@%+,", r))
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// simulate runs what was asked for, prints it, and if it failed makes it smaller.
func (a *app) simulate(ctx context.Context, name string, s *simulations.Scenario, f simulateFlags) error {
	defer simulations.CollectSeldom()()
	run := &simulation{app: a, name: name, scenario: s, flags: f, begun: time.Now()}
	var failed, first *simulations.Result
	var err error
	if f.seeds > 1 {
		first, failed, err = run.many(ctx)
	} else {
		first, err = run.once(ctx)
		if first != nil && !first.OK() {
			failed = first
		}
	}
	if err != nil {
		return err
	}
	shown := first
	if failed != nil {
		shown = failed
	}
	if f.report != "" && shown != nil {
		if err := run.writeReport(shown); err != nil {
			return err
		}
	}
	if failed != nil && f.shrink && ctx.Err() == nil {
		if err := run.makeSmaller(ctx, failed); err != nil {
			return err
		}
	}
	switch {
	case failed != nil:
		return errReported
	case ctx.Err() != nil:
		return errInterrupted
	}
	return nil
}

// errInterrupted ends a command that was interrupted and has said what it knows.
var errInterrupted = errors.New("atoll: interrupted")
