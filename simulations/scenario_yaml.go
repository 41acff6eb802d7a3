package simulations

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/atollsync/atoll/crdt"
)

// Bounds of what a scenario file asks for.
const (
	maxFileDevices = maxDevices
	maxFileEvents  = 200_000
	maxFileOps     = 10_000_000
)

// ParseScenario reads a scenario file; name is its name without the extension. scenarios/README.md has the format. The error is a *ScenarioError
// that names all that is wrong, with lines and columns. The file may come from anywhere: what it takes to read it is bounded.
func ParseScenario(name string, data []byte) (*Scenario, error) {
	r := &scenarioReader{s: &Scenario{Name: name}}
	if root := r.tree(data); root != nil {
		r.scenario(root)
	}
	if len(r.problems) == 0 {
		return r.s, nil
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	if r.more > 0 {
		last := r.problems[len(r.problems)-1]
		r.problems = append(r.problems, Problem{last.Line, last.Column, fmt.Sprintf("and %d problems more", r.more)})
	}
	return nil, &ScenarioError{Name: name, Problems: r.problems}
}

// scenarioReader reads a scenario. What names devices is checked when all are known.
type scenarioReader struct {
	fileReader
	s     *Scenario
	named []*yamlNode // where devices are named
	times []timeNode  // where times of the run are
}

// timeNode is where a file names a time of the run.
type timeNode struct {
	n  *yamlNode
	at time.Duration
}

func (r *scenarioReader) scenario(root *yamlNode) {
	s := r.s
	var devicesAt *yamlNode
	r.object(root, "a scenario", fileFields{
		"name": r.text(&s.Name),
		"question": func(n *yamlNode) {
			r.text(&s.Question)(n)
			s.Question = strings.TrimSpace(s.Question)
		},
		"seed":       parsed(&r.fileReader, "a number", &s.Seed, parseSeed),
		"for":        r.span(&s.For, time.Second),
		"start":      parsed(&r.fileReader, "a time such as 2026-01-05 09:00", &s.Start, parseStart),
		"every":      r.span(&s.Every, 10*time.Millisecond),
		"signatures": oneOf(&r.fileReader, "signatures", &s.Signatures, []string{string(Ed25519), string(StandIn)}),
		"devices": func(n *yamlNode) {
			devicesAt = n
			r.list(n, "devices", r.device)
		},
		"network":   r.network,
		"timeline":  func(n *yamlNode) { r.list(n, "the events of the timeline", r.event) },
		"workloads": func(n *yamlNode) { r.list(n, "workloads", r.workload) },
		"expect":    func(n *yamlNode) { r.expect(n) },
	})
	if devicesAt == nil {
		r.bad(root, "there are no devices")
	} else if len(s.Devices) == 0 {
		r.bad(devicesAt, "there are no devices")
	}
	r.checkNames()
	for _, t := range r.times {
		if t.at > s.length() {
			r.bad(t.n, "%s is after the end: the run lasts %s (for)", FormatSpan(t.at), FormatSpan(s.length()))
		}
	}
}

// parseSeed reads a seed in decimal or, with 0x, hexadecimal.
func parseSeed(s string) (uint64, error) {
	var n uint64
	if _, err := fmt.Sscan(s, &n); err != nil || strings.HasPrefix(s, "-") {
		return 0, fmt.Errorf("%q is no seed: a whole number from 0", clip(s, maxShownInText))
	}
	return n, nil
}

// startForms are the ways to write when a run starts. Without a zone it is UTC.
var startForms = []string{time.RFC3339Nano, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"}

func parseStart(s string) (int64, error) {
	for _, form := range startForms {
		if t, err := time.Parse(form, s); err == nil && t.Year() >= 1971 && t.Year() < 2200 {
			return t.UnixMilli(), nil
		}
	}
	return 0, fmt.Errorf("%q is no time: say it like 2026-01-05 09:00", clip(s, maxShownInText))
}

// device reads a group of devices: a name alone, or its fields.
func (r *scenarioReader) device(n *yamlNode) {
	g := Group{}
	had := len(r.problems) + r.more
	if n.kind == yamlString {
		r.name(&g.Name)(n)
	} else {
		r.object(n, "a device", fileFields{
			"name":    r.name(&g.Name),
			"count":   r.int(&g.Count, 1, maxFileDevices),
			"online":  func(n *yamlNode) { r.schedule(n, &g.Online) },
			"clock":   func(n *yamlNode) { r.clock(n, &g.Clock) },
			"disk":    func(n *yamlNode) { r.disk(n, &g.Disk) },
			"joins":   r.windowOfRun(&g.Joins),
			"leaves":  r.windowOfRun(&g.Leaves),
			"slow":    r.span(&g.Slow, 0),
			"lies":    func(n *yamlNode) { r.lies(n, &g.Lies) },
			"link":    func(n *yamlNode) { r.link(n, &g.Link, nil) },
			"meeting": r.bool(&g.Meeting),
		})
	}
	if g.Name == "" && len(r.problems)+r.more == had {
		g.Name = "device"
	}
	total := g.count()
	isAgain := false
	for i := range r.s.Devices {
		total += r.s.Devices[i].count()
		isAgain = isAgain || r.s.Devices[i].Name == g.Name && g.Name != ""
	}
	if isAgain {
		r.bad(n, "two devices or groups are named %q", g.Name)
	}
	if total > maxFileDevices {
		r.bad(n, "more than %d devices", maxFileDevices)
		return
	}
	if len(r.s.Devices) > 1_000 {
		r.bad(n, "more than 1000 groups: alike devices are one, with a count")
		return
	}
	r.s.Devices = append(r.s.Devices, g)
}

// windowOfRun reads a span of the run.
func (r *scenarioReader) windowOfRun(into *Window) func(*yamlNode) {
	read := r.window(into)
	return func(n *yamlNode) {
		read(n)
		r.times = append(r.times, timeNode{n, into.To})
	}
}

// presetNames are the names of schedules.
func presetNames() []string {
	names := make([]string, len(Presets))
	for i, p := range Presets {
		names[i] = p.Name
	}
	return names
}

func (r *scenarioReader) schedule(n *yamlNode, s *Schedule) {
	preset := oneOf(&r.fileReader, "schedule", &s.Preset, presetNames())
	if n.kind != yamlObject {
		preset(n)
		return
	}
	r.object(n, "a schedule", fileFields{
		"preset": preset,
		"offline": func(n *yamlNode) {
			one := func(n *yamlNode) {
				var w Window
				r.windowOfRun(&w)(n)
				s.Offline = append(s.Offline, w)
			}
			if n.kind != yamlList {
				one(n)
				return
			}
			r.list(n, "spans", one)
		},
	})
}

func (r *scenarioReader) clock(n *yamlNode, c *Clock) {
	r.object(n, "a clock", fileFields{
		"skew":  r.span(&c.Skew, -maxSpan),
		"drift": r.int(&c.Drift, -500_000, 500_000),
	})
}

func (r *scenarioReader) disk(n *yamlNode, d *Disk) {
	r.object(n, "a disk", fileFields{
		"fsync":    r.span(&d.Fsync, 0),
		"capacity": r.size(&d.Capacity, ""),
	})
}

// linkPresetNames are the names of LinkPresets.
func linkPresetNames() []string {
	names := make([]string, len(LinkPresets))
	for i, p := range LinkPresets {
		names[i] = p.Name
	}
	return names
}

// lieNames are the kinds of lies.
var lieNames = []string{string(Forge), string(Fork), string(Withhold), string(Garbage), string(Flood), string(Replay)}

func (r *scenarioReader) lies(n *yamlNode, lies *[]Lie) {
	one := func(n *yamlNode) {
		l := Lie{}
		kind := oneOf(&r.fileReader, "lie", &l.Kind, lieNames)
		if n.kind == yamlObject {
			r.object(n, "a lie", fileFields{"kind": kind, "every": r.span(&l.Every, time.Millisecond)})
			if l.Kind == "" {
				r.bad(n, "a lie has a kind: one of %s", strings.Join(lieNames, ", "))
			}
		} else {
			kind(n)
		}
		*lies = append(*lies, l)
	}
	if n.kind != yamlList {
		one(n)
		return
	}
	r.list(n, "lies", one)
}

// network reads the network.
func (r *scenarioReader) network(n *yamlNode) {
	net := &r.s.Network
	r.object(n, "a network", fileFields{
		"topology":     oneOf(&r.fileReader, "topology", &net.Topology, []string{string(Full), string(Ring), string(Star), string(Random), string(Islands)}),
		"degree":       r.int(&net.Degree, 1, 1000),
		"ferry":        r.span(&net.Ferry, time.Second),
		"link":         func(n *yamlNode) { r.link(n, &net.Link, nil) },
		"links":        func(n *yamlNode) { r.list(n, "links", r.linkBetween) },
		"noticed":      r.span(&net.Noticed, time.Millisecond),
		"redial":       r.span(&net.Redial, time.Millisecond),
		"gossip-above": r.int(&net.GossipAbove, -1, 1_000_000),
	})
}

// link reads what a link does: the name of a preset, or fields, with some more.
func (r *scenarioReader) link(n *yamlNode, l *Link, more fileFields) {
	preset := oneOf(&r.fileReader, "kind of link", &l.Preset, linkPresetNames())
	if n.kind != yamlObject {
		preset(n)
		return
	}
	f := fileFields{
		"preset": preset,
		"latency": func(n *yamlNode) {
			var w Window
			r.window(&w)(n)
			l.Latency = w.From
			if w.To > w.From {
				l.Jitter = w.To - w.From
			}
		},
		"jitter":    r.span(&l.Jitter, 0),
		"loss":      r.percent(&l.Loss),
		"duplicate": r.percent(&l.Duplicate),
		"reorder":   r.percent(&l.Reorder),
		"bandwidth": r.size(&l.Bandwidth, "/s"),
	}
	for name, read := range more {
		f[name] = read
	}
	r.object(n, "a link", f)
}

func (r *scenarioReader) linkBetween(n *yamlNode) {
	l := LinkBetween{}
	var ends []string
	r.link(n, &l.Link, fileFields{"between": r.names(&ends, &r.named)})
	if len(ends) != 2 {
		r.bad(n, "a link is between two devices or groups: between: [a, b]")
		return
	}
	l.A, l.B = ends[0], ends[1]
	r.s.Network.Links = append(r.s.Network.Links, l)
}

// workload reads a workload.
func (r *scenarioReader) workload(n *yamlNode) {
	w := Workload{Line: n.line}
	r.object(n, "a workload", fileFields{
		"devices": r.names(&w.Devices, &r.named),
		"from":    r.timeOfRun(&w.From),
		"to":      r.timeOfRun(&w.To),
		"ops":     r.int(&w.Ops, 1, maxFileOps),
		"rate":    parsed(&r.fileReader, "a rate such as 30/h", &w.Rate, parseRate),
		"slices": func(n *yamlNode) {
			if n.kind != yamlObject {
				r.bad(n, "slices have names and kinds, like {notes: text}, not %s", n.describe())
				return
			}
			for i, key := range n.keys {
				kind := ""
				oneOf(&r.fileReader, "kind", &kind, kindNames())(n.items[i])
				if keys, err := crdt.ParsePointer(key.text); err != nil || len(keys) != 1 || keys[0] == "" {
					r.bad(key, "%q cannot be a slice: slashes and tildes are written ~1 and ~0", clip(key.text, maxShownInText))
				} else {
					w.Slices = append(w.Slices, SliceKind{keys[0], kind})
				}
			}
		},
		"weights": func(n *yamlNode) {
			w.Weights = make(map[string]int)
			if n.kind != yamlObject {
				r.bad(n, "weights have verbs and numbers, like {put: 3, delete: 1}, not %s", n.describe())
				return
			}
			for i, key := range n.keys {
				if !slices.Contains(verbNames(), key.text) {
					r.bad(key, "no verb %q%s: one of %s", clip(key.text, maxShownInText), didYouMean(key.text, verbNames()), strings.Join(verbNames(), ", "))
					continue
				}
				weight := 0
				r.int(&weight, 0, 1_000_000)(n.items[i])
				w.Weights[key.text] = weight
			}
		},
		"session": r.text(&w.Session),
		"text":    r.text(&w.Text),
		"log":     r.text(&w.Log),
		"store":   r.text(&w.Store),
	})
	ways := 0
	for _, given := range []bool{w.Session != "", w.Log != "", w.Rate > 0} {
		if given {
			ways++
		}
	}
	switch {
	case ways > 1 || w.Rate > 0 && w.Ops > 0:
		r.bad(n, "a workload has ops or a rate, a session, or a log: one of them")
	case ways == 0 && w.Ops == 0:
		r.bad(n, "a workload says how much is written: ops, rate, session or log")
	case ways == 0 || w.Rate > 0:
		if _, err := newRandomWorkload(&w, pace{}); err != nil && len(r.problems) == 0 {
			r.bad(n, "%v", err)
		}
	}
	if w.To != 0 && w.From >= w.To {
		r.bad(n, "the workload ends before it begins")
	}
	r.s.Workloads = append(r.s.Workloads, w)
}

// parseRate reads 30/h or 2/m or 1/s or 5/d: ops of each device, as ops an hour.
func parseRate(s string) (float64, error) {
	var f float64
	number, unit, _ := strings.Cut(s, "/")
	per := map[string]float64{"s": 3600, "m": 60, "h": 1, "d": 1. / 24}[strings.TrimSpace(unit)]
	if _, err := fmt.Sscanf(number, "%g", &f); err != nil || per == 0 || !(f > 0 && f*per <= 1e6) {
		return 0, fmt.Errorf("%q is no rate: say it like 30/h, 2/m or 5/d, for each device", clip(s, maxShownInText))
	}
	return f * per, nil
}

// kindNames are the names of kinds.
func kindNames() []string {
	var names []string
	for k := crdt.Register; k.Known(); k++ {
		names = append(names, k.String())
	}
	return names
}

// timeOfRun reads a time of the run.
func (r *scenarioReader) timeOfRun(into *time.Duration) func(*yamlNode) {
	read := r.span(into, 0)
	return func(n *yamlNode) {
		read(n)
		r.times = append(r.times, timeNode{n, *into})
	}
}

// expect reads what is expected.
func (r *scenarioReader) expect(n *yamlNode) {
	e := &r.s.Expect
	r.object(n, "an expectation", fileFields{
		"within": r.span(&e.Within, time.Millisecond),
		"forks":  r.intOrAny(&e.Forks),
		"lost":   r.intOrAny(&e.Lost),
		"shows":  r.shows,
		"faults": func(n *yamlNode) {
			r.list(n, "faults", func(n *yamlNode) {
				name := ""
				oneOf(&r.fileReader, "fault", &name, faultNames[:])(n)
				e.Faults = append(e.Faults, name)
			})
		},
	})
}

// shows reads values at paths.
func (r *scenarioReader) shows(n *yamlNode) {
	if n.kind != yamlObject {
		r.bad(n, "shows has paths and values, like {todos/1/title: milk}, not %s", n.describe())
		return
	}
	for i, key := range n.keys {
		keys, err := crdt.ParsePointer(key.text)
		if err != nil || len(keys) == 0 {
			r.bad(key, "%q is no path to a value: %v", clip(key.text, maxShownInText), err)
			continue
		}
		v, err := crdt.ParseJSON(n.items[i].appendJSON(nil))
		if err != nil {
			r.bad(n.items[i], "%v", err)
			continue
		}
		r.s.Expect.Shows = append(r.s.Expect.Shows, Shows{Path: crdt.FormatPointer(keys), JSON: v.String(), Line: key.line})
	}
}

// appendJSON appends what n says as JSON, a number as it is written.
func (n *yamlNode) appendJSON(b []byte) []byte {
	switch n.kind {
	case yamlNull:
		return append(b, "null"...)
	case yamlBool, yamlNumber:
		return append(b, n.text...)
	case yamlString:
		return crdt.AppendJSONString(b, n.text)
	}
	open, end := byte('['), byte(']')
	if n.kind == yamlObject {
		open, end = '{', '}'
	}
	b = append(b, open)
	for i, v := range n.items {
		if i > 0 {
			b = append(b, ',')
		}
		if n.kind == yamlObject {
			b = append(crdt.AppendJSONString(b, n.keys[i].text), ':')
		}
		b = v.appendJSON(b)
	}
	return append(b, end)
}

// checkNames reports what names devices that there are not.
func (r *scenarioReader) checkNames() {
	known := []string{"all"}
	for i := range r.s.Devices {
		g := &r.s.Devices[i]
		known = append(known, g.Name)
		if g.count() > 1 && g.count() <= 1000 {
			known = append(known, g.names()...)
		}
	}
	for _, e := range r.s.Timeline {
		if c, ok := e.Action.(Clone); ok {
			known = append(known, c.As)
		}
	}
	isKnown := make(map[string]bool, len(known))
	for _, name := range known {
		isKnown[name] = true
	}
	for _, n := range r.named {
		if isKnown[n.text] {
			continue
		}
		if _, err := r.s.numbers([]string{n.text}); err != nil {
			r.bad(n, "no device or group %q%s", clip(n.text, maxShownInText), didYouMean(n.text, known[:min(len(known), 2000)]))
		}
	}
}
