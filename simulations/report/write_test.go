package report_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/atollsync/atoll/simulations"
	"github.com/atollsync/atoll/simulations/report"
)

var out = flag.String("report.out", "", "write the report of the made-up run to this file, to look at it")

const hostile = `</title><script>alert("x")</script>&<b onload='y'>`

// madeUp returns a result with something of everything, and names that try to get out of their place.
func madeUp(devices, messages int) *simulations.Result {
	r := &simulations.Result{
		Scenario: &simulations.Scenario{Name: "split-brain " + hostile, Question: "Two halves write for a day, each as if it were alone. What is left?" + hostile},
		Seed:     42, Healed: 24 * time.Hour, Converged: 24*time.Hour + 1400*time.Millisecond, Ended: 24*time.Hour + 10*time.Minute,
		Changes: 1234, Applied: 6170, Messages: 20_000, Bytes: 12_345_678,
		State: `{"todos":{"milk":true}}`,
		Spans: []simulations.Span{
			{What: "partition", Devices: []int{0, 1}, From: 2 * time.Hour, To: 9 * time.Hour, Detail: "a, b | c " + hostile},
			{What: "cut", Devices: []int{0, 1}, From: 8 * time.Hour, To: 11 * time.Hour},
			{What: "offline", Devices: []int{1}, From: time.Hour, To: 5 * time.Hour},
			{What: "down", Devices: []int{0}, From: 12 * time.Hour, To: 12*time.Hour + 10*time.Second},
			{What: "disk full", Devices: []int{1}, From: 13 * time.Hour, To: 14 * time.Hour},
		},
		Conflicts: []simulations.Conflict{{Path: "/todos/milk" + hostile, Winner: simulations.ConflictSide{Device: "a", Value: "true" + hostile, At: time.Hour},
			Others: []simulations.ConflictSide{{Device: "b" + hostile, Value: "false", At: 2 * time.Hour}}}},
		Faults:  []simulations.FaultCount{{Name: "partition" + hostile, Asked: 1, Seen: 1}},
		Checked: []simulations.CheckCount{{Name: "equal versions mean equal state", Runs: 400}},
	}
	for i := range devices {
		r.Devices = append(r.Devices, simulations.DeviceResult{Name: fmt.Sprintf("laptop-%d", i), Sent: 100_000 * (i + 1), Received: 70_000 * (devices - i), Authored: i, Lag: time.Duration(i) * time.Hour})
	}
	r.Devices[0].Name = "a" + hostile
	for i := range 1000 {
		at := time.Duration(i) * r.Ended / 1000
		apart := 1
		if at > 2*time.Hour && at < 9*time.Hour {
			apart = 3
		}
		r.Samples = append(r.Samples, simulations.Sample{At: at, Apart: apart, Behind: apart * i, Online: devices - i%2, Changes: i, Applied: 5 * i, Bytes: 12_000 * i})
	}
	for i := range messages {
		at := time.Duration(i)*700*time.Millisecond + time.Duration(i/40)*time.Hour
		m := simulations.SentMessage{From: i % devices, To: (i + 1 + i%3) % devices, Sent: at, Arrived: at + 40*time.Millisecond, Kind: []string{"Have", "Changes", "Ack"}[i%3], Size: 100 + i, Text: "tips {a:1}" + hostile}
		if i%11 == 0 {
			m.Lost = "partition"
		}
		r.Sent = append(r.Sent, m)
		if i%7 == 0 {
			r.Ops = append(r.Ops, simulations.RecordedOp{At: at, Device: fmt.Sprintf("laptop-%d", i%devices), Op: simulations.Op{Text: "put todos/milk true" + hostile}})
		}
	}
	return r
}

func write(t *testing.T, r *simulations.Result) string {
	t.Helper()
	var buf bytes.Buffer
	if err := report.Write(&buf, r, "atoll simulate split-brain --seed 42"+hostile); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

// A report needs nothing from anywhere, and nothing that a scenario says gets out of its place.
func TestReportStandsAlone(t *testing.T) {
	page := write(t, madeUp(5, 300))
	if *out != "" {
		if err := os.WriteFile(*out, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range regexp.MustCompile(`(?i)(src|href|url\(|@import|https?:)[^>]{0,80}`).FindAllString(page, -1) {
		if !strings.Contains(m, "w3.org/") { // the names of XML's namespaces are not fetched
			t.Errorf("the report refers to something outside: %q", m)
		}
	}
	if n := strings.Count(page, "<script"); n != 1 {
		t.Errorf("%d scripts in the page, want its own alone", n)
	}
	if strings.Contains(page, "<b onload") {
		t.Error("a name got out of its place")
	}
	for _, want := range []string{"Passed", "laptop-4", "versions apart", "What happened when", "Who sent what", "split-brain", "--seed 42", "/todos/milk", "disk full"} {
		if !strings.Contains(strings.ToLower(page), strings.ToLower(want)) {
			t.Errorf("the report does not say %q", want)
		}
	}
}

// A failed run says so first, with what failed.
func TestReportOfAFailure(t *testing.T) {
	r := madeUp(3, 0)
	r.Failures = []simulations.Failure{{Check: "nothing acknowledged is lost", At: time.Hour, Device: "laptop-1", Detail: "a:7 is nowhere"}}
	page := write(t, r)
	for _, want := range []string{"Failed: 1 check.", "nothing acknowledged is lost", "a:7 is nowhere"} {
		if !strings.Contains(page, want) {
			t.Errorf("the report does not say %q", want)
		}
	}
	if strings.Contains(page, "Passed") {
		t.Error("the report of a failure says that it passed")
	}
}

// A run of very many devices makes a page of ordinary size.
func TestReportOfMany(t *testing.T) {
	r := madeUp(10_000, 0)
	for i := range 5_000 {
		r.Spans = append(r.Spans, simulations.Span{What: "offline", Devices: []int{i}, From: time.Duration(i) * time.Second, To: time.Hour * 3})
	}
	if page := write(t, r); len(page) > 2<<20 {
		t.Errorf("the page takes %d bytes", len(page))
	}
}

// The smallest results are reported as well.
func TestReportOfNothing(t *testing.T) {
	write(t, &simulations.Result{Scenario: &simulations.Scenario{}})
	write(t, &simulations.Result{Scenario: &simulations.Scenario{}, Interrupted: true, Ended: time.Second, Devices: []simulations.DeviceResult{{Name: "a"}},
		Sent: []simulations.SentMessage{{Kind: "Ack"}}, Samples: []simulations.Sample{{}, {At: time.Second}}})
}
