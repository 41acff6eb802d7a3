package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/atollsync/atoll/simulations"
)

// simulateLines runs atoll simulate in a directory of its own, and returns its exit status and what it printed.
func simulateLines(t *testing.T, ctx context.Context, args ...string) (status int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	status = run(ctx, append([]string{"simulate"}, args...), strings.NewReader(""), &o, &e)
	return status, o.String(), e.String()
}

// small is a scenario that passes at once, and wrong one that cannot.
const (
	small = "question: Does it work?\nfor: 1m\ndevices: [a, b]\ntimeline:\n  - {at: 10s, do: 'put x 1', on: a}\nworkloads: [{ops: 20, slices: {n: counter}}]\nexpect: {shows: {x: 1}}\n"
	wrong = "for: 1m\ndevices: [{name: a, count: 3}]\ntimeline:\n  - {at: 10s, do: 'put x 1', on: a-1}\n  - {at: 20s, crash: a-2}\nworkloads: [{ops: 20}]\nexpect: {shows: {x: 2}}\n"
)

func TestSimulate(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, file := range map[string]string{"small.yaml": small, "wrong.yaml": wrong, "broken.yaml": "devcies: [a]\nfor: 3\n"} {
		if err := os.WriteFile(name, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()

	status, out, _ := simulateLines(t, ctx, "./small.yaml", "--seed", "7", "--report", "r.html", "--trace", "t.txt")
	if status != exitOK || !strings.Contains(out, "seed 7: passed") || !strings.Contains(out, "Does it work?") || !strings.Contains(out, "checked") {
		t.Errorf("status %d:\n%s", status, out)
	}
	page, err := os.ReadFile("r.html")
	if err != nil || !bytes.Contains(page, []byte("--seed 7")) {
		t.Errorf("the report does not say how to make the run again: %v", err)
	}
	trace, err := os.ReadFile("t.txt")
	if err != nil || bytes.Count(trace, []byte("\n")) < 20 {
		t.Errorf("a trace of %d bytes: %v", len(trace), err)
	}

	// The same seed gives the same run; another, and another length, do not.
	one := decodeRun(t, "./small.yaml", "--seed", "7", "--json")
	if again := decodeRun(t, "./small.yaml", "--seed", "7", "--json"); !one.OK || again.Trace != one.Trace || one.Checks["honest devices converge"] != 1 || len(one.Devices) != 2 {
		t.Errorf("first %+v\nthen %+v", one, again)
	}
	if other := decodeRun(t, "./small.yaml", "--seed", "8", "--json"); other.Trace == one.Trace {
		t.Error("another seed gives the same run")
	}
	if long := decodeRun(t, "./small.yaml", "--for", "2m", "--devices", "4", "--json"); long.Healed != 120 || len(long.Devices) != 4 || !strings.Contains(long.Again, "--devices 4 --for 2m") {
		t.Errorf("healed at %v, %d devices, %s", long.Healed, len(long.Devices), long.Again)
	}

	// Many seeds.
	status, out, _ = simulateLines(t, ctx, "small.yaml", "--seeds", "6", "--seed", "100")
	if status != exitOK || !strings.Contains(out, "seeds 100 to 105") || !strings.Contains(out, "6 seeds run") || !strings.Contains(out, "all passed") {
		t.Errorf("status %d:\n%s", status, out)
	}

	// What fails says how to see it again, and leaves something smaller that fails.
	status, out, _ = simulateLines(t, ctx, "wrong.yaml", "--seeds", "3", "--seed", "5")
	if status != exitFailed || !strings.Contains(out, "the first that fails is seed 5") || !strings.Contains(out, "x shows 1, expected 2") ||
		!strings.Contains(out, "atoll simulate wrong.yaml --seed 5") || !strings.Contains(out, "made smaller, 1 device and ") {
		t.Errorf("status %d:\n%s", status, out)
	}
	left, err := filepath.Glob("wrong-*failed.yaml")
	if err != nil || len(left) != 1 {
		t.Fatalf("left %v, %v", left, err)
	}
	if status, out, _ := simulateLines(t, ctx, left[0], "--shrink=false"); status != exitFailed || !strings.Contains(out, "what is expected is shown") {
		t.Errorf("the small one: status %d:\n%s", status, out)
	}

	// What makes no sense.
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"broken.yaml"}, []string{`broken:1:1: a scenario has no field "devcies" (did you mean "devices"?)`, `broken:2:6: "3" lacks a unit`}},
		{[]string{"weekend-ofline"}, []string{`did you mean "weekend-offline"`, "--list"}},
		{[]string{"./nowhere.yaml"}, []string{"nowhere.yaml"}},
		{[]string{"small.yaml", "--for", "3"}, []string{"--for 3"}},
		{[]string{"small.yaml", "--seeds", "0"}, []string{"at least 1"}},
		{[]string{"small.yaml", "--seeds", "2", "--trace", "x"}, []string{"--trace is of one run"}},
		{[]string{"small.yaml", "--devices", "1"}, []string{"at least 2"}},
		{[]string{"--list", "x"}, []string{"--list takes no SCENARIO"}},
	} {
		status, _, errOut := simulateLines(t, ctx, tt.args...)
		for _, want := range tt.want {
			if status != exitUsage || !strings.Contains(errOut, want) {
				t.Errorf("%v: status %d, want %q in\n%s", tt.args, status, want, errOut)
			}
		}
	}

	// Ctrl-C ends with what is known.
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if status, out, _ := simulateLines(t, ended, "small.yaml"); status != exitInterrupted || !strings.Contains(out, "interrupted at") {
		t.Errorf("status %d:\n%s", status, out)
	}
	if status, out, _ := simulateLines(t, ended, "small.yaml", "--seeds", "9"); status != exitInterrupted || !strings.Contains(out, "9 to go") {
		t.Errorf("status %d:\n%s", status, out)
	}
}

// decodeRun runs atoll simulate --json and decodes what it prints.
func decodeRun(t *testing.T, args ...string) simulated {
	t.Helper()
	status, out, errOut := simulateLines(t, t.Context(), args...)
	var o simulated
	if err := json.Unmarshal([]byte(out), &o); err != nil || status != exitOK {
		t.Fatalf("%v: status %d, %v\n%s%s", args, status, err, out, errOut)
	}
	return o
}

func TestSimulateList(t *testing.T) {
	status, out, _ := simulateLines(t, t.Context(), "--list")
	for _, name := range simulations.ShippedNames() {
		if !strings.Contains(out, name+"  ") {
			t.Errorf("%s is not listed", name)
		}
	}
	if status != exitOK || strings.Count(out, "?") < len(simulations.ShippedNames()) {
		t.Errorf("status %d, %d questions", status, strings.Count(out, "?"))
	}
}

func TestSimulateLine(t *testing.T) {
	l := &simulateLine{name: "x"}
	p := simulations.Progress{Now: 10 * time.Minute, For: 40 * time.Minute, Apart: 3, Devices: 5, Changes: 100, Applied: 300}
	if got, want := l.text(p, 2*time.Second), "x  10m of 40m  3 different versions on 5 devices  200 changes/s  ETA 6.0s"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	p.Apart, p.Healing = 1, true
	if got, want := l.text(p, 2*time.Second), "x  10m of 40m  all hold the same  200 changes/s  healed, converging"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
