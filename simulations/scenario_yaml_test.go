package simulations

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/atollsync/atoll/crdt"
	"pgregory.net/rapid"
)

// sane is a scenario file with every field there is.
const sane = `# A comment.
question: >
  Does it
  hold?
seed: 7
for: 1d12h
start: 2026-03-01 09:30
every: 1m
signatures: stand-in
devices:
  - hub
  - name: phone
    count: 3
    online: {preset: commuter, offline: [1h..2h, 3h..4h]}
    clock: {skew: -2d, drift: 30}
    disk: {fsync: 5ms, capacity: 10MB}
    joins: 10m..1h
    leaves: 20h
    slow: 3ms
    lies: [fork, {kind: flood, every: 10s}]
    link: mobile
  - {name: ferry, online: office, meeting: true, link: {latency: 20ms..80ms, loss: 0.5%, bandwidth: 64kB/s}}
network:
  topology: islands
  degree: 4
  ferry: 30m
  link: {preset: wifi, jitter: 5ms, duplicate: 1%, reorder: 2%}
  links:
    - {between: [phone, hub], loss: 10%}
  noticed: 45s
  redial: 2s
  gossip-above: -1
timeline:
  - {at: 1h, partition: [[phone, hub], [ferry]]}
  - at: 2h
    every: 1h
    until: 5h
    cut: phone-1
    to: [hub, ferry]
    one-way: true
  - {at: 2h, flap: hub, to: phone, down: 2s, up: 3s, for: 5m}
  - {at: 3h, heal: }
  - {at: 3h, offline: phone, for: 1h}
  - {at: 3h, online: [phone-2]}
  - {at: 4h, crash: phone, torn: true, during: merge, down: 1m}
  - {at: 4h, backup: hub}
  - {at: 5h, restore: hub}
  - {at: 5h, clone: hub, as: twin}
  - {at: 6h, set-clock: all, by: -1w}
  - {at: 6h, fill-disk: twin, for: 1h}
  - {at: 7h, do: 'put todos/1/title "milk, 2"', on: phone-3}
  - {at: 7h, tell: replay, on: phone-1}
  - {at: 8h, link: edge}
workloads:
  - {devices: [phone, hub], from: 1h, to: 20h, ops: 100, slices: {notes: text, a~1b: set}, weights: {insert: 3, delete: 1, add: 2}}
  - {rate: 30/h}
  - {session: x.json.gz, text: doc, ops: 10}
  - {log: backup-dir, store: groceries}
expect:
  within: 5m
  forks: any
  lost: 2
  faults: [crash, fork]
  shows:
    todos/1: {title: "milk, 2", done: true, n: 1, f: 1.50}
    tags: [x, null]
`

func TestParseScenario(t *testing.T) {
	s, err := ParseScenario("sane", []byte(sane))
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "sane" || s.Question != "Does it hold?" || s.For != 36*time.Hour || s.Start != time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC).UnixMilli() {
		t.Errorf("%q %q %v %d", s.Name, s.Question, s.For, s.Start)
	}
	if len(s.deviceNames()) != 5 || len(s.Timeline) != 15 || len(s.Workloads) != 4 {
		t.Errorf("%d devices, %d events, %d workloads", len(s.deviceNames()), len(s.Timeline), len(s.Workloads))
	}
	p := s.Devices[1]
	want := Group{Name: "phone", Count: 3, Online: Schedule{"commuter", []Window{{time.Hour, 2 * time.Hour}, {3 * time.Hour, 4 * time.Hour}}},
		Clock: Clock{-48 * time.Hour, 30}, Disk: Disk{5 * time.Millisecond, 10_000_000}, Joins: Window{10 * time.Minute, time.Hour},
		Leaves: Window{20 * time.Hour, 20 * time.Hour}, Slow: 3 * time.Millisecond, Lies: []Lie{{Fork, 0}, {Flood, 10 * time.Second}}, Link: Link{Preset: "mobile"}}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("phone is %+v", p)
	}
	if l := s.Devices[2].Link; l != (Link{Latency: 20 * time.Millisecond, Jitter: 60 * time.Millisecond, Loss: 0.5, Bandwidth: 64000}) {
		t.Errorf("link %+v", l)
	}
	if c := s.Timeline[1]; c.Line != 35 || c.Every != time.Hour || !reflect.DeepEqual(c.Action, Cut{[]string{"phone-1"}, []string{"hub", "ferry"}, true}) {
		t.Errorf("event %+v", c)
	}
	if d := s.Timeline[12].Action.(Do); d.Op.Text != `put todos/1/title "milk, 2"` || d.Op.do == nil {
		t.Errorf("op %+v", d.Op.Text)
	}
	if x := s.Expect; x.Forks != -1 || x.Lost != 2 || x.Shows[0].JSON != `{"done":true,"f":1.5,"n":1,"title":"milk, 2"}` || x.Shows[1].JSON != `["x",null]` {
		t.Errorf("expect %+v", x)
	}
	if w := s.Workloads[0]; w.Slices[1].Name != "a/b" || w.Weights["insert"] != 3 {
		t.Errorf("workload %+v", w)
	}
}

// What is wrong is said where it is, all of it, with what was probably meant.
func TestParseScenarioProblems(t *testing.T) {
	tests := []struct{ file, want string }{
		{"", "1:1: the file is empty"},
		{"- a", "1:1: a scenario is made of fields"},
		{"question: x", "1:1: there are no devices"},
		{"devices: []", "there are no devices"},
		{"devcies: [a]", `1:1: a scenario has no field "devcies" (did you mean "devices"?)`},
		{"devices: [a, a]", `1:14: two devices or groups are named "a"`},
		{"devices: [{name: a, cuont: 3}]", `1:21: a device has no field "cuont" (did you mean "count"?)`},
		{"devices: [{name: a, count: 200000}]", "1:28: 200000 is not between"},
		{"devices: [{name: a, count: 90000}, {name: b, count: 90000}]", "more than 100000 devices"},
		{"devices: [all]", `"all" cannot be a name`},
		{"devices: [{name: a, online: wekend}]", `(did you mean "weekend"?)`},
		{"devices: [a]\nfor: 3", `2:6: "3" lacks a unit: say 3s, 3m, 3h or 3d`},
		{"devices: [a]\nfor: 3 fortnights", `2:6: "3 fortnights" is no length of time`},
		{"devices: [a]\nfor: 99999d", "too long"},
		{"devices: [a]\nstart: tomorrow", "is no time"},
		{"devices: [a]\nseed: -1", "is no seed"},
		{"devices: [{name: a, link: {loss: 5}}]", `"5" is no share: say it like 5%`},
		{"devices: [{name: a, link: {latency: 80ms..20ms}}]", "ends before it begins"},
		{"devices: [{name: a, link: {bandwidth: 5MB}}]", "say it like 500kB/s"},
		{"devices: [a]\ntimeline: [{at: 1m, crsh: a}]", `2:21: no action "crsh" (did you mean "crash"?)`},
		{"devices: [a]\ntimeline: [{at: 1m, crash: a, heal: true}]", "2:31: one action an event"},
		{"devices: [a]\ntimeline: [{at: 1m, crash: a, by: 1h}]", `crash has no field "by"`},
		{"devices: [alice, bob]\ntimeline: [{at: 1m, crash: alcie}]", `2:28: no device or group "alcie" (did you mean "alice"?)`},
		{"devices: [a]\ntimeline: [{at: 20m, crash: a}]", "2:17: 20m is after the end: the run lasts 10m (for)"},
		{"devices: [a]\ntimeline: [{at: 1m, cut: a}]", "2:12: cut lacks to"},
		{"devices: [a]\ntimeline: [{at: 1m, do: putt x 1, on: a}]", `did you mean "put"`},
		{"devices: [a]\ntimeline: [{at: 1m, every: 1ms, heal: true}]", "more than 200000 times"},
		{"devices: [a]\nworkloads: [{}]", "says how much is written"},
		{"devices: [a]\nworkloads: [{ops: 5, rate: 3/h}]", "one of them"},
		{"devices: [a]\nworkloads: [{rate: 3}]", `"3" is no rate`},
		{"devices: [a]\nworkloads: [{ops: 5, weights: {instert: 1}}]", `(did you mean "insert"?)`},
		{"devices: [a]\nworkloads: [{ops: 5, weights: {add: 1}, slices: {t: text}}]", "no slice of the workload has any op"},
		{"devices: [a]\nexpect: {shows: {a: 99999999999999999999}}", "does not fit"},
		{"devices: [a]\nexpect: {faults: [crsh]}", `(did you mean "crash"?)`},
		{"devices: [a]\nfor: 1m\nfor: 2m", "3:1: for again: it is on line 2 already"},
		{"devices: &x [a]", "anchors and aliases"},
		{"devices: [!!str a]", "tags"},
		{"devices: [a]\n---\ndevices: [b]", "a second document"},
		{"devices: [a", "no YAML"},
		{"a: \xff", "no text"},
		{strings.Repeat("[", 100_000), "nested too deep"},
		{strings.Repeat("- ", 100_000), "nested too deep"},
		{strings.Repeat("? ", 100_000), "nested too deep"},
		{strings.Repeat("{a: ", 100_000), "nested too deep"},
		{strings.Repeat("a: ", 100_000), "nested too deep"},
		{"devices: [" + strings.Repeat("a,", 700_000) + "]", "too many parts"},
		{strings.Repeat(" ", maxFileBytes+1), "at most"},
	}
	for _, tt := range tests {
		_, err := ParseScenario("f", []byte(tt.file))
		var se *ScenarioError
		if !errors.As(err, &se) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s\n  error %v\n  want  %s", clip(tt.file, 100), err, tt.want)
		}
	}
	_, err := ParseScenario("f", []byte("devices: [a]\nfor: x\nsed: 1\ntimeline: [{at: 1, crash: b}]\nexpect: {within: -1s}"))
	if got := strings.Count(err.Error(), "\n"); got != 4 {
		t.Errorf("%d problems, want 5:\n%v", got+1, err)
	}
	_, err = ParseScenario("f", []byte("devices: ["+strings.Repeat("'?',", 100)+"]"))
	if got := strings.Count(err.Error(), "\n"); got != maxProblems || !strings.Contains(err.Error(), "50 problems more") {
		t.Errorf("%d problems listed:\n%v", got, err)
	}
}

// drawScenario draws a scenario that a file could hold.
func drawScenario(t *rapid.T) *Scenario {
	word := rapid.StringMatching(`[a-z][a-z0-9]{0,5}`)
	span := rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.Int64Range(1, 1000).Draw(t, "n")) * rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, 17 * time.Minute, 123456789}).Draw(t, "unit")
	})
	maybe := func(name string) bool { return rapid.Bool().Draw(t, name) }
	window := func() Window {
		from := span.Draw(t, "from")
		return Window{from, from + span.Draw(t, "length")}
	}
	link := func() Link {
		if maybe("no link") {
			return Link{}
		}
		return Link{Latency: span.Draw(t, "latency"), Jitter: span.Draw(t, "jitter"), Loss: float64(rapid.IntRange(0, 1000).Draw(t, "loss")) / 10,
			Duplicate: float64(rapid.IntRange(0, 3).Draw(t, "dup")), Bandwidth: rapid.IntRange(0, 3_000_000).Draw(t, "bw"),
			Preset: rapid.SampledFrom(append(linkPresetNames(), "")).Draw(t, "preset")}
	}
	s := &Scenario{Name: word.Draw(t, "name"), Question: strings.TrimSpace(rapid.String().Draw(t, "question")), Seed: rapid.Uint64().Draw(t, "seed"),
		For: 1000 * time.Hour, Start: rapid.Int64Range(1e11, 2e12).Draw(t, "start"), Every: 10 * span.Draw(t, "every")}
	if strings.ContainsRune(s.Question, 0) {
		s.Question = "zero"
	}
	for i := range rapid.IntRange(1, 4).Draw(t, "groups") {
		g := Group{Name: fmt.Sprint(word.Draw(t, "group"), i), Count: rapid.IntRange(0, 3).Draw(t, "count"), Link: link(), Meeting: maybe("meeting")}
		if maybe("full") {
			g.Online = Schedule{Preset: rapid.SampledFrom(presetNames()).Draw(t, "online"), Offline: []Window{window()}}
			g.Clock = Clock{Skew: -span.Draw(t, "skew"), Drift: rapid.IntRange(-9, 9).Draw(t, "drift")}
			g.Disk = Disk{Fsync: span.Draw(t, "fsync"), Capacity: rapid.IntRange(0, 1<<30).Draw(t, "capacity")}
			g.Joins, g.Leaves, g.Slow = window(), window(), span.Draw(t, "slow")
			g.Lies = []Lie{{Kind: Fork}, {Kind: Replay, Every: span.Draw(t, "lie")}}
		}
		s.Devices = append(s.Devices, g)
	}
	names := s.deviceNames()
	some := func() []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, min(3, len(names)), rapid.ID[string]).Draw(t, "names")
	}
	one := func() string { return rapid.SampledFrom(names).Draw(t, "name") }
	s.Network = Network{Topology: rapid.SampledFrom([]Topology{"", Star, Islands}).Draw(t, "topology"), Link: link(), Noticed: span.Draw(t, "noticed"), GossipAbove: rapid.IntRange(-1, 3).Draw(t, "gossip")}
	if maybe("links") {
		s.Network.Links = []LinkBetween{{A: one(), B: one(), Link: Link{Loss: 3}}, {A: one(), B: "all", Link: link()}}
	}
	for i := range rapid.IntRange(0, 12).Draw(t, "events") {
		e := Event{At: span.Draw(t, "at")}
		if maybe("again") {
			e.Every, e.Until = time.Hour+span.Draw(t, "every"), e.At+span.Draw(t, "until")
		}
		switch rapid.IntRange(0, 14).Draw(t, "action") {
		case 0:
			e.Action = Partition{[][]string{some(), some()}}
		case 1:
			e.Action = Cut{some(), some(), maybe("one way")}
		case 2:
			e.Action = Flap{some(), some(), span.Draw(t, "down"), span.Draw(t, "up"), span.Draw(t, "for")}
		case 3:
			e.Action = Heal{}
		case 4:
			e.Action = Offline{some(), span.Draw(t, "for")}
		case 5:
			e.Action = Online{some()}
		case 6:
			e.Action = Crash{some(), maybe("torn"), rapid.SampledFrom([]string{"", "write", "merge"}).Draw(t, "during"), span.Draw(t, "down")}
		case 7:
			e.Action = Backup{one()}
		case 8:
			e.Action = Restore{one()}
		case 9:
			e.Action = Clone{one(), fmt.Sprint("clone", i)}
		case 10:
			e.Action = SetClock{some(), -span.Draw(t, "by")}
		case 11:
			e.Action = FillDisk{some(), span.Draw(t, "for")}
		case 12:
			v := rapid.String().Draw(t, "value")
			e.Action = Do{one(), opOf(&command{verb: "put", keys: []string{rapid.String().Draw(t, "key")}, values: []crdt.Value{text(strings.ToValidUTF8(v, "?"))}})}
		case 13:
			e.Action = Tell{one(), Garbage}
		default:
			e.Action = SetLink{link()}
		}
		s.Timeline = append(s.Timeline, e)
	}
	if maybe("workload") {
		s.Workloads = []Workload{{Devices: some(), From: time.Second, To: time.Hour, Ops: rapid.IntRange(1, 99).Draw(t, "ops")},
			{Rate: float64(rapid.IntRange(1, 1000).Draw(t, "rate")) / 7, Slices: []SliceKind{{rapid.StringMatching(`.{1,5}`).Draw(t, "slice"), "text"}}, Weights: map[string]int{"insert": 2, "mark": 1}},
			{Session: rapid.StringMatching(`\S+`).Draw(t, "session"), Text: "doc"}}
	}
	s.Expect = Expect{Within: span.Draw(t, "within"), Forks: rapid.IntRange(-1, 2).Draw(t, "forks"), Lost: rapid.IntRange(-1, 2).Draw(t, "lost")}
	if maybe("shows") {
		v := map[string]any{rapid.String().Draw(t, "k"): []any{1, 1.5, 2.0, nil, true, rapid.String().Draw(t, "v")}, "s": "null"}
		s.Expect.Shows = []Shows{{Path: "a~1b/ c", JSON: valueOf(v).String()}, {Path: "n", JSON: "-3"}}
		s.Expect.Faults = []string{faultNames[0], faultNames[4]}
	}
	return s
}

// A scenario written out and read again is the same.
func TestScenarioRoundTrip(t *testing.T) { rapid.Check(t, roundTrip) }

func FuzzScenarioRoundTrip(f *testing.F) { f.Fuzz(rapid.MakeFuzz(roundTrip)) }

func roundTrip(t *rapid.T) {
	s := drawScenario(t)
	file := s.YAML()
	got, err := ParseScenario("other", file)
	if err != nil {
		t.Fatalf("%v\n%s", err, file)
	}
	plain(s)
	plain(got)
	if !reflect.DeepEqual(s, got) {
		t.Fatalf("%+v\nbecame\n%+v\n%s", s, got, file)
	}
	if again := got.YAML(); string(again) != string(file) {
		t.Fatalf("written again:\n%s\nis not\n%s", again, file)
	}
}

// plain takes lines and functions out of a scenario.
func plain(s *Scenario) {
	for i := range s.Timeline {
		s.Timeline[i].Line = 0
		if do, ok := s.Timeline[i].Action.(Do); ok {
			do.Op.do = nil
			s.Timeline[i].Action = do
		}
	}
	for i := range s.Workloads {
		s.Workloads[i].Line = 0
	}
	for i := range s.Expect.Shows {
		s.Expect.Shows[i].Line = 0
	}
}

// Whatever a file holds, reading it ends in a scenario that can be written and read again, or in problems with places.
func FuzzParseScenario(f *testing.F) {
	f.Add([]byte(sane))
	f.Add([]byte("devices: [a]"))
	f.Add([]byte("devices:\n- name: a\n  count: 2\ntimeline:\n- at: 1s\n  do: |\n    put x 1\n  on: a-1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseScenario("f", data)
		if err != nil {
			var se *ScenarioError
			if !errors.As(err, &se) || len(se.Problems) == 0 || se.Problems[0].Line < 1 {
				t.Fatalf("%v", err)
			}
			return
		}
		if again, err := ParseScenario("f", s.YAML()); err != nil || string(again.YAML()) != string(s.YAML()) {
			t.Fatalf("%v\n%s", err, s.YAML())
		}
	})
}
