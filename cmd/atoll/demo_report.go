package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// demoReport is what the demo did and found, as --json prints it.
type demoReport struct {
	Devices []demoDevice `json:"devices"`
	// Begin is the state all three shared before the network was cut.
	Begin json.RawMessage `json:"begin"`
	// Alone is what each device showed while it was cut off, by name.
	Alone  map[string]json.RawMessage `json:"alone"`
	Scenes []demoScene                `json:"scenes"`
	Checks []demoCheck                `json:"checks"`
	// State is what all three show in the end, if they agree.
	State     json.RawMessage `json:"state,omitempty"`
	Seconds   demoSeconds     `json:"seconds"`
	Converged bool            `json:"converged"`
	Error     string          `json:"error,omitempty"`
}

type demoDevice struct {
	Name  string `json:"name"`
	ID    string `json:"id"`
	Actor string `json:"actor"`
	Addr  string `json:"addr"`
	Dir   string `json:"dir"`
}

// demoScene is one slice: what was done concurrently, what came of it and why.
type demoScene struct {
	Slice  string                     `json:"slice"`
	Kind   string                     `json:"kind"`
	Begin  json.RawMessage            `json:"begin"`
	Edits  []demoEdit                 `json:"edits"`
	Alone  map[string]json.RawMessage `json:"alone"`
	Want   json.RawMessage            `json:"want"`
	Result map[string]json.RawMessage `json:"result"` // by device
	Why    string                     `json:"why"`
	OK     bool                       `json:"ok"`
}

type demoEdit struct {
	Device string `json:"device"`
	Edit   string `json:"edit"`
	Dot    string `json:"dot"`
	Time   int64  `json:"time"`
}

// demoCheck is one thing that must hold.
type demoCheck struct {
	What   string `json:"what"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"` // if not OK: what differs
}

type demoSeconds struct {
	FirstSync float64 `json:"first_sync"`
	CatchUp   float64 `json:"catch_up"` // from healing until all three were equal
	Total     float64 `json:"total"`
}

// narrator tells the demo step by step as it goes. Where nothing is to be told it writes nothing.
type narrator struct {
	w    io.Writer
	s    style
	step int
}

func (n *narrator) heading(format string, args ...any) {
	n.step++
	fmt.Fprintf(n.w, "%s\n", n.s.bold(fmt.Sprintf("%d  %s", n.step, fmt.Sprintf(format, args...))))
}

func (n *narrator) line(format string, args ...any) {
	fmt.Fprintf(n.w, "   %s\n", fmt.Sprintf(format, args...))
}

func (n *narrator) gap() { fmt.Fprintln(n.w) }

// column pads text to width; names line up under each other.
func column(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
}

// devices tells who takes part.
func (n *narrator) devices(devices []demoDevice) {
	for _, d := range devices {
		n.line("%s %s  %s", n.s.cyan(column(d.Name, 7)), d.ID, n.s.dim(d.Addr))
	}
}

// begin tells what all three share.
func (n *narrator) begin(scenes []demoScene) {
	for _, sc := range scenes {
		n.line("%s %s %s", n.s.bold(column(sc.Slice, 9)), n.s.dim(column(sc.Kind, 9)), sc.Begin)
	}
}

// alone tells what a device does and then shows, cut off from the others.
func (n *narrator) alone(device string, scenes []demoScene) {
	n.line("%s", n.s.cyan("The "+device))
	for _, sc := range scenes {
		var edits []string
		for _, e := range sc.Edits {
			if e.Device == device {
				edits = append(edits, e.Edit)
			}
		}
		n.line("  %s %s", n.s.bold(column(sc.Slice, 9)), strings.Join(edits, "; "))
		n.line("  %s %s", column("", 9), n.s.dim("sees "+string(sc.Alone[device])))
	}
}

// outcomes tells for each slice what was concurrent, what came of it and why.
func (n *narrator) outcomes(scenes []demoScene) {
	for _, sc := range scenes {
		n.line("%s %s", n.s.bold(sc.Slice), n.s.dim("("+sc.Kind+")"))
		for i, e := range sc.Edits {
			label := ""
			if i == 0 {
				label = "concurrent"
			}
			n.line("  %s  %s %s", n.s.dim(column(label, 10)), n.s.cyan(column(e.Device, 7)), e.Edit)
		}
		if sc.OK {
			n.line("  %s  %s", n.s.dim(column("result", 10)), n.s.green(string(sc.Want)))
		} else {
			for _, name := range deviceNames {
				n.line("  %s  %s %s", n.s.dim(column("result", 10)), n.s.cyan(column(name, 7)), n.s.red(string(sc.Result[name])))
			}
			n.line("  %s  %s", n.s.dim(column("expected", 10)), sc.Want)
		}
		for i, part := range wrap(sc.Why, 84) {
			label := ""
			if i == 0 {
				label = "why"
			}
			n.line("  %s  %s", n.s.dim(column(label, 10)), part)
		}
	}
}

// checks tells what was checked.
func (n *narrator) checks(checks []demoCheck) {
	for _, c := range checks {
		if c.OK {
			n.line("%s  %s", n.s.green("ok"), c.What)
			continue
		}
		n.line("%s  %s", n.s.red("NO"), c.What)
		for _, l := range strings.Split(c.Detail, "\n") {
			n.line("    %s", l)
		}
	}
}

// wrap breaks text into lines of at most width code points, at spaces.
func wrap(text string, width int) []string {
	var out []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			out = append(out, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(out, line)
}
