package simulations

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/storage"
)

// play makes all ops of a generator on devices that share one state, and returns them.
func play(t *testing.T, g generator, w *writer, rng Rand, from, to time.Duration, devices int) []RecordedOp {
	t.Helper()
	d := &Device{r: w.r}
	var ops []RecordedOp
	last := from
	for range 100_000 {
		at, device, ok := g.next()
		if !ok {
			return ops
		}
		if at < last || at >= to || device < 0 || device >= devices {
			t.Fatalf("op %d is at %v, after %v, on device %d", len(ops), at, last, device)
		}
		last = at
		op, err := g.op(d, rng)
		if err == nil {
			err = w.do(op)
		}
		if err != nil && !errors.Is(err, errNotThere) {
			t.Fatalf("op %d, %s: %v", len(ops), op, err)
		}
		if again, err := ParseOp(op.Text); err != nil || again.Text != op.Text {
			t.Fatalf("op %q does not read as itself, but as %q: %v", op, again.Text, err)
		}
		if err == nil {
			ops = append(ops, RecordedOp{at, []string{"a", "b", "c"}[device], op})
		}
	}
	t.Fatal("it does not end")
	return nil
}

// A random workload makes what was asked for, of every kind and verb, and leaves something of every kind.
func TestRandomWorkload(t *testing.T) {
	s := &Scenario{For: time.Hour, Devices: []Group{{Name: "a"}, {Name: "b", Count: 2}}, Workloads: []Workload{{Ops: 2000}}}
	g, err := s.newGenerator(&s.Workloads[0], rand.New(rand.NewPCG(1, 1)))
	if err != nil {
		t.Fatal(err)
	}
	w := newWriter()
	ops := play(t, g, w, rand.New(rand.NewPCG(1, 2)), 0, time.Hour, 3)
	if len(ops) < 1800 || len(ops) > 2000 {
		t.Errorf("%d ops made of 2000", len(ops))
	}
	did := map[string]int{}
	bursts := 0
	for i, op := range ops {
		did[strings.Fields(op.Op.Text)[0]]++
		if i > 0 && op.At-ops[i-1].At < 400*time.Millisecond && op.Device == ops[i-1].Device {
			bursts++
		}
	}
	for verb := range defaultWeights {
		if did[verb] == 0 {
			t.Errorf("no %s among %v", verb, did)
		}
	}
	if bursts < 100 {
		t.Errorf("%d ops in bursts of typing", bursts)
	}
	stand := 0
	for _, slice := range defaultSlices {
		if w.state.Path(slice.Name).Kind().String() == slice.Kind {
			stand++
		}
	}
	if stand < len(defaultSlices)-2 {
		t.Errorf("only %d slices stand in the end: %s", stand, w.state.JSON())
	}
}

func TestWorkloadWeightsAndRate(t *testing.T) {
	s := &Scenario{For: 2 * time.Hour, Devices: []Group{{Name: "a"}, {Name: "b", Count: 2}},
		Workloads: []Workload{{Devices: []string{"b"}, From: time.Hour, Rate: 50, Weights: map[string]int{"add": 1}, Slices: []SliceKind{{"n", "counter"}, {"t", "text"}}}}}
	g, err := s.newGenerator(&s.Workloads[0], rand.New(rand.NewPCG(1, 1)))
	if err != nil {
		t.Fatal(err)
	}
	ops := play(t, g, newWriter(), rand.New(rand.NewPCG(1, 2)), time.Hour, 2*time.Hour, 3)
	if len(ops) != 100 {
		t.Errorf("%d ops, want 50 an hour of 2 devices", len(ops))
	}
	for _, op := range ops {
		if !strings.HasPrefix(op.Op.Text, "add n ") || op.Device == "a" {
			t.Fatalf("%s does %s", op.Device, op.Op)
		}
	}
	for _, bad := range []Workload{{Ops: 1, Weights: map[string]int{"add": 1}, Slices: []SliceKind{{"t", "text"}}}, {Ops: 1, Devices: []string{"c"}},
		{Ops: 1, From: 3 * time.Hour}, {Ops: 1, Slices: []SliceKind{{"t", "toxt"}}}, {Session: "nowhere"}, {Log: "nowhere"}} {
		if _, err := s.newGenerator(&bad, rand.New(rand.NewPCG(1, 1))); err == nil {
			t.Errorf("%+v: no error", bad)
		}
	}
}

// A session played on devices that all see everything gives the recorded text.
func TestSessionWorkload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "session.json")
	doc := map[string]any{"kind": "sequential", "startContent": "Dear ", "numAgents": 1, "txns": []any{
		map[string]any{"agent": 0, "patches": []any{[]any{5, 0, "all"}}},
		map[string]any{"agent": 0, "patches": []any{[]any{8, 0, ", 😀"}, []any{0, 4, "Hi"}}},
		map[string]any{"agent": 0, "patches": []any{[]any{7, 1, ""}}},
	}}
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	s := &Scenario{For: time.Minute, Devices: []Group{{Name: "d", Count: 3}}, Workloads: []Workload{{Session: path, Text: "doc/body"}}}
	g, err := s.newGenerator(&s.Workloads[0], rand.New(rand.NewPCG(1, 1)))
	if err != nil {
		t.Fatal(err)
	}
	w := newWriter()
	ops := play(t, g, w, nil, 0, time.Minute, 3)
	if got := w.state.Map("doc").Text("body").String(); got != "Hi all,😀" || len(ops) != 4 {
		t.Errorf("%d ops gave %q", len(ops), got)
	}
	// A device that shows less, or more, edits near the same end.
	sw := g.(*sessionWorkload)
	sw.length, sw.current = 100, sw.txns[1]
	sw.current.Patches = append(sw.current.Patches[:0:0], sw.current.Patches...)
	sw.current.Patches = sw.current.Patches[:1]
	for _, tt := range []struct {
		pos  int
		want string
	}{{2, "insert doc/body 2 "}, {98, "insert doc/body 6 "}, {60, "insert doc/body 0 "}, {100, "insert doc/body 8 "}} {
		sw.current.Patches[0].Pos = tt.pos
		if op := sw.opFor(w.state); !strings.HasPrefix(op.Text, tt.want) {
			t.Errorf("position %d of 100 becomes %s", tt.pos, op)
		}
	}
}

// history is a store's log for tests: what a writer did.
type history struct {
	chains  *crdt.Chains
	state   *crdt.State
	changes []crdt.Accepted
}

func (h *history) do(t *testing.T, actor crdt.Actor, at int64, line string) {
	t.Helper()
	op, err := ParseOp(line)
	if err != nil {
		t.Fatal(err)
	}
	tx := h.state.Begin(actor, at)
	if err := op.do(&tx); err != nil {
		t.Fatal(err)
	}
	a, _, ok, err := tx.Commit()
	if err != nil || !ok {
		t.Fatalf("%s: %v, %v", line, ok, err)
	}
	h.changes = append(h.changes, a)
}

// A log replayed by devices that all see everything shows what its store showed, at times that keep their proportions.
func TestLogWorkload(t *testing.T) {
	chains := crdt.NewChains(crdt.StoreID{})
	h := &history{chains: chains, state: crdt.NewState(chains)}
	ana, bo := crdt.Actor{Nonce: [8]byte{1}}, crdt.Actor{Nonce: [8]byte{2}}
	lines := []string{
		"put todos/1/title milk", "insert notes 0 \"héllo 😀\" --kind text", "insert notes 5 \", you\"", "delete notes 0 2", "mark notes 0 2 bold", "unmark notes 1 2 bold",
		"add visits 3", "add visits -5", "add tags x y 1", "remove tags y", "clear tags", "add tags z", "add banned q --kind rwset",
		"insert steps 0 1 2 3", "insert steps 1 --new map", "put steps/1/title x ; add steps/1/votes 2", "move steps/1 0", "set steps 2 9", "delete steps 3",
		"put todos/2 {\"a\":[1]}", "delete todos/1", "touch m --kind dwmap", "put m/x 1", "put l [1,[2],{\"x\":3}] --kind list", "put r 1 ; insert t 0 abc --kind text", "put t abxc",
		"add r x --kind set",
	}
	for i, line := range lines {
		h.do(t, []crdt.Actor{ana, bo}[i/3%2], int64(1000+i*100), line)
	}
	var sigs []crdt.Signature
	for _, a := range []crdt.Actor{ana, bo} {
		tip, _ := chains.Tip(a)
		sigs = append(sigs, crdt.Signature{Dot: tip.Dot(), Sig: [64]byte{1}})
	}
	b := chains.BatchOf(h.changes)
	b.Sigs = sigs
	var buf bytes.Buffer
	aw, err := storage.NewArchiveWriter(&buf, storage.DefaultEffort)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(aw.Write(b), aw.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "log.atoll")
	if err := os.WriteFile(path, buf.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &Scenario{For: 2 * time.Hour, Devices: []Group{{Name: "d", Count: 2}}, Workloads: []Workload{{Log: path, From: time.Hour}}}
	g, err := s.newGenerator(&s.Workloads[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	w := newWriter()
	ops := play(t, g, w, nil, time.Hour, 2*time.Hour, 2)
	if got, want := w.state.JSON(), h.state.JSON(); got != want || len(ops) != len(lines) {
		t.Errorf("%d ops gave\n%s, want\n%s", len(ops), got, want)
	}
	if got, want := len(w.state.Text("notes").Marks()), len(h.state.Text("notes").Marks()); got != want {
		t.Errorf("%d marks, want %d", got, want)
	}
	if gap := ops[2].At - ops[1].At; gap < 2*time.Minute || gap > 3*time.Minute {
		t.Errorf("the second op is %v before the third", gap)
	}
	if err := os.WriteFile(path, buf.Bytes()[:buf.Len()/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.newGenerator(&s.Workloads[0], nil); err == nil {
		t.Error("half a log is read as if it were one")
	}
}
