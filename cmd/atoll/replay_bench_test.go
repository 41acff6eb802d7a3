package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

// Several kinds of edit by one agent, some in one transaction.
const smallSequential = `{"startContent":"abc","endContent":"aXé\n","txns":[
	{"time":"2024-05-01T10:00:00.000Z","patches":[[1,1,""],[1,0,"X"]]},{"time":"2024-05-01T10:00:01.000Z","patches":[[3,0,"\n"]]},
	{"patches":[]},{"time":"2024-05-01T10:00:02.000Z","patches":[[2,1,"é"]]}]}`

func TestBench(t *testing.T) {
	d := newDevice(t, "any")
	concurrent := writeSession(t, "concurrent.json", smallSession, true)
	sequential := writeSession(t, "sequential.json", smallSequential, false)
	reports := decodeLines[benchReport](d, "replay", "--bench", "--rounds", "2", concurrent, sequential)
	if len(reports) != 2 {
		t.Fatalf("%d reports of 2 sessions: %+v", len(reports), reports)
	}
	for i, want := range []struct {
		file, kind, row   string
		changes, edits    int
		without, without2 string
	}{
		{concurrent, "concurrent", "live", 4, 6, "local-hashed", "local-transaction"},
		{sequential, "sequential", "local-transaction", 4, 6, "live", "live-unencoded"},
	} {
		r := reports[i]
		if !r.OK || r.File != want.file || r.Kind != want.kind || r.Rounds != 2 || r.Clock != "wall" || r.Changes != want.changes || r.Edits != want.edits {
			t.Errorf("replay --bench of the %s session: %+v", want.kind, r)
		}
		var names []string
		for _, f := range r.Measurements {
			names = append(names, f.Name)
			if (f.MS == nil) == (f.Bytes == nil) {
				t.Errorf("%s: neither a time nor a size, or both: %+v", f.Name, f)
			}
			if f.MS != nil && f.Name != ropeName && f.Ratio == nil {
				t.Errorf("%s: no ratio to the bare rope", f.Name)
			}
			if (f.Goal != "") != (f.Met != nil) {
				t.Errorf("%s: the goal is %q, and met %v", f.Name, f.Goal, f.Met)
			}
		}
		for _, name := range []string{ropeName, "replica-batch", "bytes-changes", "change-bytes", "memory-state", want.row} {
			if !slices.Contains(names, name) {
				t.Errorf("the %s session is not measured by %s, only %v", want.kind, name, names)
			}
		}
		for _, name := range []string{want.without, want.without2} {
			if slices.Contains(names, name) {
				t.Errorf("the %s session is measured by %s", want.kind, name)
			}
		}
	}
	if out := d.ok("replay", "--bench", "--rounds", "1", "--cpu", sequential); !strings.Contains(out, "the bare rope") || !strings.Contains(out, "met") || !strings.Contains(out, "CPU time") {
		t.Errorf("replay --bench printed %q", out)
	}
}

// TestBenchWrong makes sure that a wrong text fails the command, and that the sessions after it are measured all the same.
func TestBenchWrong(t *testing.T) {
	d := newDevice(t, "any")
	wrong := writeSession(t, "wrong.json", strings.Replace(smallSession, "there, world!", "where, world!", 1), false)
	empty := writeSession(t, "empty.json", `{"endContent":"","txns":[]}`, false)
	right := writeSession(t, "right.json", smallSequential, false)
	out, errOut, status := d.run("replay", "--bench", "--rounds", "1", "--json", wrong, empty, "nowhere.json", right)
	if status != exitFailed || errOut != "" {
		t.Errorf("exit status %d, want %d\n%s%s", status, exitFailed, out, errOut)
	}
	dec := json.NewDecoder(strings.NewReader(out))
	for _, want := range []string{"first difference at code point 6", "nothing to measure", "nowhere.json", ""} {
		var r benchReport
		if err := dec.Decode(&r); err != nil {
			t.Fatal(err)
		}
		if r.OK != (want == "") || !strings.Contains(r.Error, want) {
			t.Errorf("%+v: want the error %q", r, want)
		}
	}
	if out := d.finishText("replay", "--bench", wrong); !strings.Contains(out, "FAILED") || !strings.Contains(out, "wrong text") {
		t.Errorf("replay --bench printed %q", out)
	}
}

// finishText runs a command line that must fail and returns its standard output.
func (d *device) finishText(args ...string) string {
	d.t.Helper()
	out, _, status := d.run(args...)
	if status != exitFailed {
		d.t.Errorf("%s: atoll %s: exit status %d, want %d", d.name, strings.Join(args, " "), status, exitFailed)
	}
	return out
}

// Every measured path notices a wrong text by itself, not only the first.
func TestBenchChecksEveryPath(t *testing.T) {
	for _, doc := range []string{smallSession, smallSequential} {
		s, err := decodeSession(strings.NewReader(doc))
		if err != nil {
			t.Fatal(err)
		}
		h, err := authorHistory(context.Background(), s)
		if err != nil {
			t.Fatal(err)
		}
		h.End += "?"
		for _, m := range h.rows() {
			if m.run == nil || m.name == "hashes" { // those make no text
				continue
			}
			if err := m.run(new(stopwatch)); !errors.Is(err, errWrongText) {
				t.Errorf("%s takes a wrong text for right: %v", m.name, err)
			}
		}
	}
}

// What is made up for measurements is measured on a small scale, and checked.
func TestBenchSynthetic(t *testing.T) {
	small := benchScale{
		branchBase: 100, branchEdits: 50, branchPieces: 7, crowds: [2]int{3, 30},
		listLength: 20, listEdits: 10, largeText: 10_000, largePiece: 1_000, largeEdits: 20,
	}
	a := &app{err: new(bytes.Buffer)}
	r, err := a.benchSynthetic(context.Background(), small, benchFlags{rounds: 2})
	if err != nil || !r.OK {
		t.Fatalf("%+v, %v", r, err)
	}
	want := []string{"typed-bytes", "branches", "branches-pieces", "crowd-3", "crowd-30", "list-insert", "list-delete", "list-move", "large-open", "large-edit"}
	var got []string
	for _, f := range r.Measurements {
		got = append(got, f.Name)
		if f.MS == nil && f.Bytes == nil {
			t.Errorf("%s: nothing measured", f.Name)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("measured %v, want %v", got, want)
	}
}

func TestBenchUsage(t *testing.T) {
	d := newDevice(t, "any")
	d.fails(exitUsage, []string{"replay"}, "at least 1 arg")
	d.fails(exitUsage, []string{"replay", "--bench", "--rounds", "0"}, "--rounds 0")
	d.fails(exitUsage, []string{"replay", "--rounds", "2", "file"}, "goes with --bench")
	d.fails(exitUsage, []string{"replay", "--synthetic", "file"}, "goes with --bench")
	d.fails(exitUsage, []string{"replay", "--bench", "--text", "file"}, "--text does not go")
}

func TestGoal(t *testing.T) {
	ten, twenty := 10.0, 20.0
	rows := []measurement{
		{name: ropeName, goal: goal{ns: 30}},
		{name: "met", goal: goal{ropes: 2, ms: 20, times: 2, of: ropeName}},
		{name: "slow", goal: goal{ropes: 1.9, ms: 30}},
		{name: "none"},
		{name: "size", goal: goal{bytes: 19}},
	}
	figures := []figure{{Name: ropeName, MS: &ten, NS: &twenty}, {Name: "met", MS: &twenty}, {Name: "slow", MS: &twenty}, {Name: "none", MS: &twenty},
		{Name: "size", Bytes: &twenty}}
	compareFigures(rows, figures)
	for i, want := range []string{"true", "true", "false", "null", "false"} {
		if got, _ := json.Marshal(figures[i].Met); string(got) != want {
			t.Errorf("%s: met %s, want %s", figures[i].Name, got, want)
		}
	}
	if got := rows[1].goal.String(); got != "2 ropes, 20 ms, 2 times rope" {
		t.Errorf("a goal says %q", got)
	}
	for v, want := range map[float64]string{0: "0", 0.1234: "0.123", 1.25: "1.25", 12.34: "12.3", 123.4: "123", 259778: "259778", 100: "100", 99.99: "100"} {
		if got := shortNumber(v); got != want {
			t.Errorf("%v is shown as %s, want %s", v, got, want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 12345678: "12,345,678"} {
		if got := grouped(n); got != want {
			t.Errorf("%d is shown as %s, want %s", n, got, want)
		}
	}
}
