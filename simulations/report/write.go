package report

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/atollsync/atoll/simulations"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

//go:embed page.js
var pageJS string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"span":   formatSpan,
	"bytes":  formatBytes,
	"number": formatNumber,
}).Parse(pageHTML))

// Bounds of what a page shows, so that a run of ten thousand devices still makes a page that opens.
const (
	maxRows      = 60 // devices in tables, bars and the timeline
	maxConflicts = 100
	maxFailures  = 50
	maxState     = 64 << 10
)

// Write writes the report of r to w. replay is the command that makes the same run again, shown to the reader.
func Write(w io.Writer, r *simulations.Result, replay string) error {
	v := view{Result: r, Replay: replay, CSS: template.CSS(pageCSS), JS: template.JS(pageJS)}
	v.Title, v.Question = r.Scenario.Name, r.Scenario.Question
	if v.Title == "" {
		v.Title = "A simulation"
	}
	v.fill()
	for _, c := range charts(r) {
		svg, err := c.draw()
		if err != nil {
			return fmt.Errorf("report: draw %q: %w", c.title, err)
		}
		v.Charts = append(v.Charts, figure{Title: c.title, Note: c.note, SVG: svg})
	}
	v.Timeline = timeline(r)
	v.Diagram = diagram(r)
	var buf bytes.Buffer
	if err := page.Execute(&buf, &v); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	_, err := w.Write(buf.Bytes())
	return err
}

// view is what the page is made of.
type view struct {
	*simulations.Result
	Title, Question, Replay string
	CSS                     template.CSS
	JS                      template.JS
	Charts                  []figure
	Timeline, Diagram       *drawing

	Shown     []simulations.DeviceResult // the devices in the table
	MoreShown int
	Failed    []simulations.Failure
	MoreFail  int
	Conflicts []simulations.Conflict
	MoreConf  int
	Pretty    string // the final state
	Lag       time.Duration
	// TraceDigest is Trace in hexadecimal.
	TraceDigest string
	Honest      int
	Liars       int
}

// figure is a chart with what it shows.
type figure struct {
	Title, Note string
	SVG         template.HTML
}

// drawing is a drawing of our own.
type drawing struct {
	SVG   template.HTML
	Note  string
	Kinds []string // of messages in it
	Long  bool     // too long to print
}

func (v *view) fill() {
	r := v.Result
	v.TraceDigest = fmt.Sprintf("%x", r.Trace[:])
	for _, d := range r.Devices {
		if d.Liar {
			v.Liars++
		} else {
			v.Honest++
		}
	}
	if r.Converged > 0 {
		v.Lag = r.Converged - r.Healed
	}
	v.Shown, v.MoreShown = busiest(r.Devices)
	v.Failed, v.MoreFail = first(r.Failures, maxFailures)
	v.Conflicts, v.MoreConf = first(r.Conflicts, maxConflicts)
	if r.State != "" && len(r.State) <= maxState {
		var buf bytes.Buffer
		if json.Indent(&buf, []byte(r.State), "", "  ") == nil {
			v.Pretty = buf.String()
		} else {
			v.Pretty = r.State
		}
	}
}

// first returns at most n of s, and how many more there are.
func first[T any](s []T, n int) ([]T, int) { return s[:min(n, len(s))], max(0, len(s)-n) }

// busiest returns the devices with the most traffic, in their own order, and how many more there are.
func busiest(devices []simulations.DeviceResult) ([]simulations.DeviceResult, int) {
	if len(devices) <= maxRows {
		return devices, 0
	}
	order := make([]int, len(devices))
	for i := range order {
		order[i] = i
	}
	traffic := func(i int) int { return devices[i].Sent + devices[i].Received }
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(traffic(b), traffic(a)) })
	order = order[:maxRows]
	slices.Sort(order)
	out := make([]simulations.DeviceResult, 0, maxRows)
	for _, i := range order {
		out = append(out, devices[i])
	}
	return out, len(devices) - maxRows
}

// formatSpan writes a duration as people say it: the two largest units that matter.
func formatSpan(d time.Duration) string {
	if d < 0 {
		return "-" + formatSpan(-d)
	}
	switch {
	case d == 0:
		return "0"
	case d < time.Millisecond:
		return d.String()
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Seconds()), ".0") + " s"
	}
	units := []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}}
	var out []string
	for i, u := range units {
		n := d / u.size
		if n == 0 {
			continue
		}
		out = append(out, fmt.Sprintf("%d %s", n, u.name))
		if rest := d - n*u.size; i+1 < len(units) {
			if m := rest / units[i+1].size; m > 0 {
				out = append(out, fmt.Sprintf("%d %s", m, units[i+1].name))
			}
		}
		break
	}
	return strings.Join(out, " ")
}

// formatBytes writes a number of bytes with a decimal unit.
func formatBytes(n int) string {
	x := float64(n)
	for _, unit := range []string{"B", "kB", "MB", "GB"} {
		if x < 1000 || unit == "GB" {
			if unit == "B" || x >= 100 {
				return fmt.Sprintf("%.0f %s", x, unit)
			}
			return fmt.Sprintf("%.1f %s", x, unit)
		}
		x /= 1000
	}
	panic("unreachable")
}

// formatNumber writes a number with its thousands apart.
func formatNumber(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}
