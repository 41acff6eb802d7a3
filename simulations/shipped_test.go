package simulations_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/atollsync/atoll/simulations"
)

// Every shipped scenario passes, twice with the same trace.
func TestShipped(t *testing.T) {
	for _, name := range simulations.ShippedNames() {
		t.Run(name, func(t *testing.T) {
			s, err := simulations.Shipped(name)
			if err != nil {
				t.Fatal(err)
			}
			if len(s.Question) < 40 {
				t.Error("it says not what it answers")
			}
			devices := 0
			for _, g := range s.Devices {
				devices += max(1, g.Count)
			}
			if devices > 100 && os.Getenv("ATOLL_FIGURES") == "" {
				t.Skip("large: it is run with ATOLL_FIGURES=1")
			}
			begun := time.Now()
			r, err := simulations.Simulate(s, simulations.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range r.Failures {
				t.Errorf("%s on %s at %v: %s", f.Check, f.Device, f.At, f.Detail)
			}
			t.Logf("%d changes, %d applied, converged after %v; %v", r.Changes, r.Applied, r.Converged-r.Healed, time.Since(begun))
			if devices > 100 {
				return
			}
			again, err := simulations.Simulate(s, simulations.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if again.Trace != r.Trace {
				t.Errorf("the trace is %v, and then %v", r.Trace, again.Trace)
			}
		})
	}
}

// The example of the page about the format is a scenario, and it passes.
func TestFormatExample(t *testing.T) {
	_, after, _ := strings.Cut(read(t, "scenarios/README.md"), "```yaml\n")
	file, _, ok := strings.Cut(after, "```")
	if !ok {
		t.Fatal("the page has no example")
	}
	s, err := simulations.ParseScenario("example", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	r, err := simulations.Simulate(s, simulations.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Failures {
		t.Errorf("%s on %s at %v: %s", f.Check, f.Device, f.At, f.Detail)
	}
}
