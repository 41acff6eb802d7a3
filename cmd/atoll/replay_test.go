package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Two agents, a merge, and two patches in one transaction: what agent 1 writes at the same
// place as agent 0 comes after it, since agent numbers order as actors do.
const smallSession = `{"kind":"concurrent","numAgents":2,"endContent":"héllo there, world!","txns":[
	{"parents":[],"agent":0,"patches":[[0,0,"hello"]],"time":"2024-05-01T10:00:00.000Z"},
	{"parents":[0],"agent":0,"patches":[[1,1,"é"],[5,0," there"]]},
	{"parents":[0],"agent":1,"patches":[[5,0,", world"]]},
	{"parents":[1,2],"agent":1,"patches":[[18,0,"!"]]}]}`

func writeSession(t *testing.T, name, doc string, zipped bool) string {
	t.Helper()
	b := []byte(doc)
	if zipped {
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		b = z.Bytes()
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReplay(t *testing.T) {
	d := newDevice(t, "any")
	sequential := `{"startContent":"abc","endContent":"aXc\n","txns":[{"time":"","patches":[[1,1,""],[1,0,"X"]]},{"patches":[[3,0,"\n"]]},{"patches":[]}]}`
	for _, zipped := range []bool{false, true} {
		for doc, want := range map[string]string{smallSession: "héllo there, world!", sequential: "aXc\n"} {
			file := writeSession(t, "session.json", doc, zipped)
			if got := d.ok("replay", "--text", file); got != want {
				t.Errorf("replay --text of %s printed %q, want %q", doc, got, want)
			}
			r := decode[replayed](d, "replay", file)
			sum := fmt.Sprintf("%x", sha256.Sum256([]byte(want)))
			if !r.OK || r.SHA256 != sum || r.Text != nil || r.Length != len([]rune(want)) {
				t.Errorf("replay of %s: %+v, want the SHA-256 %s", doc, r, sum)
			}
			if out := d.ok("replay", file); !strings.Contains(out, sum) || !strings.Contains(out, "ok") {
				t.Errorf("replay printed %q, without %s", out, sum)
			}
		}
	}
	if r := decode[replayed](d, "replay", writeSession(t, "s.json", smallSession, false)); r.Ops != 6 || r.Changes != 4 || r.Agents != 2 {
		t.Errorf("replay counted %+v", r)
	}
}

// TestReplayWrong makes sure that a wrong result is noticed, among right ones too, and that
// the first difference is shown.
func TestReplayWrong(t *testing.T) {
	d := newDevice(t, "any")
	right := writeSession(t, "right.json", smallSession, false)
	wrong := writeSession(t, "wrong.json", strings.Replace(smallSession, "there, world!", "thare, world!", 1), true)
	out, errOut, status := d.run("replay", right, wrong)
	if status != exitFailed {
		t.Errorf("exit status %d, want %d\n%s%s", status, exitFailed, out, errOut)
	}
	for _, part := range []string{"right.json", "WRONG", "code point 8 (line 1, column 9)", `"héllo th" then "ere, world!"`, `"héllo th" then "are, world!"`} {
		if !strings.Contains(out, part) {
			t.Errorf("replay printed %q, without %s", out, part)
		}
	}
	out, _, status = d.run("replay", "--json", wrong)
	var r replayed
	if err := json.Unmarshal([]byte(out), &r); err != nil || status != exitFailed || r.OK || r.Difference == "" {
		t.Errorf("replay --json: exit status %d, %v, %+v", status, err, r)
	}
}

func TestReplayRefuses(t *testing.T) {
	d := newDevice(t, "any")
	for doc, word := range map[string]string{
		``:                               "EOF",
		`{"txns":[]}`:                    "endContent",
		`{"kind":"odd"}`:                 "endContent",
		`{"kind":"odd","endContent":""}`: "odd",
		`{"kind":"concurrent","numAgents":0,"endContent":""}`:                                                            "agents",
		`{"kind":"concurrent","numAgents":99999999,"endContent":""}`:                                                     "agents",
		`{"kind":"concurrent","numAgents":1,"endContent":"","txns":[{"agent":1}]}`:                                       "agent 1",
		`{"kind":"concurrent","numAgents":1,"endContent":"","txns":[{"agent":0,"parents":[0]}]}`:                         "parent 0",
		`{"kind":"concurrent","numAgents":1,"endContent":"","txns":[{"agent":0,"parents":[-1]}]}`:                        "parent -1",
		`{"endContent":"","txns":[{"patches":[[0,-1,""]]}]}`:                                                             "patch",
		`{"endContent":"","txns":[{"patches":[[0,0]]}]}`:                                                                 "patch",
		`{"endContent":"","txns":[{"patches":[[5,0,"x"]]}]}`:                                                             "transaction 0",
		`{"kind":"concurrent","numAgents":1,"endContent":"ab","txns":[{"patches":[[0,0,"a"]]},{"patches":[[0,0,"b"]]}]}`: "own previous",
	} {
		out, _, status := d.run("replay", writeSession(t, "bad.json", doc, false))
		if status != exitFailed || !strings.Contains(out, word) || !strings.Contains(out, "FAILED") {
			t.Errorf("replay of %s: exit status %d and %q, without %q", doc, status, out, word)
		}
	}
	out, _, status := d.run("replay", filepath.Join(t.TempDir(), "nowhere.json"))
	if status != exitFailed || !strings.Contains(out, "nowhere.json") {
		t.Errorf("replay of a missing file: exit status %d and %q", status, out)
	}
}

// TestReplayTraces replays every recorded session there is.
func TestReplayTraces(t *testing.T) {
	for _, pattern := range []string{"*.json*", "order/*.json"} {
		files := traces(t, pattern)
		d := newDevice(t, "any")
		good := 0
		for _, r := range decodeLines[replayed](d, append([]string{"replay"}, files...)...) {
			if !r.OK {
				t.Errorf("%s: %s%s", r.File, r.Error, r.Difference)
				continue
			}
			good++
		}
		if good != len(files) {
			t.Errorf("%d of %d sessions in %s gave the recorded text", good, len(files), pattern)
		}
	}
}

// TestReplayTracesOverNetwork carries a concurrent and a sequential session to a second node.
func TestReplayTracesOverNetwork(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute; not with -short")
	}
	for _, name := range []string{"friendsforever", "rustcode"} {
		t.Run(name, func(t *testing.T) {
			file := traces(t, name+".json*")[0]
			r := decode[replayed](newDevice(t, "any"), "replay", "--over-network", file)
			if !r.OK || r.Network == nil || r.Network.Sent == 0 || r.Network.Received == 0 {
				t.Fatalf("%+v: %s%s", r, r.Error, r.Difference)
			}
			t.Logf("authored in %.1f s, caught up in %.2f s with %d bytes there and %d back", r.Seconds, r.Network.Seconds, r.Network.Sent, r.Network.Received)
		})
	}
}

// TestReplayOverNetwork does so with a small session, always.
func TestReplayOverNetwork(t *testing.T) {
	d := newDevice(t, "any")
	file := writeSession(t, "session.json", smallSession, false)
	r := decode[replayed](d, "replay", "--over-network", file)
	if !r.OK || r.Changes != 4 || r.Network == nil || r.Network.Sent == 0 || r.Network.Received == 0 {
		t.Errorf("replay --over-network: %+v", r)
	}
	wrong := writeSession(t, "wrong.json", strings.Replace(smallSession, "there,", "where,", 1), false)
	if out, _, status := d.run("replay", "--over-network", wrong); status != exitFailed || !strings.Contains(out, "WRONG") {
		t.Errorf("a wrong session over the network: exit status %d and %q", status, out)
	}
}

// FuzzSession feeds the session decoder, and what it accepts to the engine, arbitrary bytes.
func FuzzSession(f *testing.F) {
	f.Add([]byte(smallSession))
	f.Add([]byte(`{"startContent":"a","endContent":"b","txns":[{"patches":[[0,1,"b"]]}]}`))
	f.Add([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decodeSession(bytes.NewReader(b))
		if err != nil {
			return
		}
		var r replayed
		p := &progress{}
		replayInMemory(context.Background(), s, &r, p)
	})
}
