package simulations_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/atollsync/atoll/simulations"
)

// What simulations found in the engine stays fixed: each scenario in testdata/golden is what was found, brought down to what matters, or what is hard to come by. It says
// what went wrong and where that was fixed, and expects what must come of it. Faults that it asks for and that did not happen fail it.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/golden/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden scenarios: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(string(data), "# ") {
				t.Error("it does not begin with what went wrong")
			}
			s, err := simulations.ParseScenario(name, data)
			if err != nil {
				t.Fatal(err)
			}
			if len(s.Expect.Shows) == 0 || len(s.Expect.Faults) == 0 {
				t.Error("it expects nothing to be shown, or no fault to be seen")
			}
			first := simulate(t, s)
			for _, f := range first.Failures {
				t.Errorf("%s on %s at %v: %s", f.Check, f.Device, f.At, f.Detail)
			}
			t.Logf("%d changes, %d applied, converged after %v", first.Changes, first.Applied, first.Converged-first.Healed)
			if again := simulate(t, s); again.Trace != first.Trace {
				t.Errorf("the trace is %v, and then %v", first.Trace, again.Trace)
			}
		})
	}
}

func simulate(t *testing.T, s *simulations.Scenario) *simulations.Result {
	t.Helper()
	r, err := simulations.Simulate(s, simulations.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
