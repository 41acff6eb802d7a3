package simulations

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/atollsync/atoll/crdt"
)

// YAML returns s as a file that ParseScenario reads. What is the default is left out. A workload that is a Go function
// cannot be written; a comment says so.
func (s *Scenario) YAML() []byte {
	w := &yamlWriter{}
	w.field("name", quoteYAML(s.Name), s.Name != "")
	w.field("question", quoteYAML(s.Question), s.Question != "")
	w.field("seed", strconv.FormatUint(s.Seed, 10), s.Seed != 0)
	w.span("for", s.For)
	w.field("start", quoteYAML(time.UnixMilli(s.Start).UTC().Format("2006-01-02T15:04:05.000Z07:00")), s.Start != 0)
	w.span("every", s.Every)
	w.field("signatures", string(s.Signatures), s.Signatures != "")
	w.WriteString("devices:\n")
	for i := range s.Devices {
		w.line(w.group(&s.Devices[i]))
	}
	w.network(&s.Network)
	if len(s.Timeline) > 0 {
		w.WriteString("timeline:\n")
	}
	for i := range s.Timeline {
		w.line(event(&s.Timeline[i]))
	}
	begun := false
	for i := range s.Workloads {
		if s.Workloads[i].Func != nil {
			w.WriteString("# A workload that is a Go function is left out.\n")
			continue
		}
		if !begun {
			w.WriteString("workloads:\n")
			begun = true
		}
		w.line(workload(&s.Workloads[i]))
	}
	w.expect(&s.Expect)
	return w.Bytes()
}

// yamlWriter writes fields at the top level, and below them objects on a line each.
type yamlWriter struct{ bytes.Buffer }

func (w *yamlWriter) field(name, value string, given bool) {
	if given {
		fmt.Fprintf(w, "%s: %s\n", name, value)
	}
}

func (w *yamlWriter) span(name string, d time.Duration) { w.field(name, FormatSpan(d), d != 0) }

func (w *yamlWriter) line(o flow) { fmt.Fprintf(w, "  - %s\n", o) }

// flow is an object in braces.
type flow []string

func (o flow) String() string { return "{" + strings.Join(o, ", ") + "}" }

func (o *flow) add(name, value string, given bool) {
	if given {
		*o = append(*o, name+": "+value)
	}
}

func (o *flow) span(name string, d time.Duration) { o.add(name, FormatSpan(d), d != 0) }

func (o *flow) object(name string, v flow) { o.add(name, v.String(), len(v) > 0) }

// list returns names as one, or in brackets.
func list(names []string) string {
	if len(names) == 1 {
		return quoteYAML(names[0])
	}
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = quoteYAML(n)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// plainYAML is what needs no quotes anywhere.
var plainYAML = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./-]*$`)

// quoteYAML returns s as a scalar that is read as the string s.
func quoteYAML(s string) string {
	if plainYAML.MatchString(s) {
		switch strings.ToLower(s) {
		case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
		default:
			return s
		}
	}
	var b strings.Builder
	for _, r := range string(crdt.AppendJSONString(nil, s)) {
		switch {
		case r > 0xffff && !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\U%08x`, r)
		case r > 0x7e && (!unicode.IsPrint(r) || r == 0xfeff):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func (w *yamlWriter) group(g *Group) flow {
	var o flow
	o.add("name", quoteYAML(g.Name), g.Name != "")
	o.add("count", strconv.Itoa(g.Count), g.Count != 0)
	switch {
	case len(g.Online.Offline) > 0:
		var s flow
		s.add("preset", quoteYAML(g.Online.Preset), g.Online.Preset != "")
		var spans []string
		for _, x := range g.Online.Offline {
			spans = append(spans, formatWindow(x))
		}
		s.add("offline", "["+strings.Join(spans, ", ")+"]", true)
		o.object("online", s)
	case g.Online.Preset != "":
		o.add("online", quoteYAML(g.Online.Preset), true)
	}
	var clock flow
	clock.span("skew", g.Clock.Skew)
	clock.add("drift", strconv.Itoa(g.Clock.Drift), g.Clock.Drift != 0)
	o.object("clock", clock)
	var disk flow
	disk.span("fsync", g.Disk.Fsync)
	disk.add("capacity", formatSize(g.Disk.Capacity), g.Disk.Capacity != 0)
	o.object("disk", disk)
	o.add("joins", formatWindow(g.Joins), g.Joins != Window{})
	o.add("leaves", formatWindow(g.Leaves), g.Leaves != Window{})
	o.span("slow", g.Slow)
	var lies []string
	for _, l := range g.Lies {
		var lie flow
		lie.add("kind", string(l.Kind), true)
		lie.span("every", l.Every)
		lies = append(lies, lie.String())
	}
	o.add("lies", "["+strings.Join(lies, ", ")+"]", len(lies) > 0)
	o.object("link", link_(&g.Link))
	o.add("meeting", "true", g.Meeting)
	return o
}

func link_(l *Link) flow {
	var o flow
	o.add("preset", quoteYAML(l.Preset), l.Preset != "")
	o.span("latency", l.Latency)
	o.span("jitter", l.Jitter)
	o.add("loss", formatPercent(l.Loss), l.Loss != 0)
	o.add("duplicate", formatPercent(l.Duplicate), l.Duplicate != 0)
	o.add("reorder", formatPercent(l.Reorder), l.Reorder != 0)
	o.add("bandwidth", formatSize(l.Bandwidth)+"/s", l.Bandwidth != 0)
	return o
}

func (w *yamlWriter) network(n *Network) {
	var o flow
	o.add("topology", string(n.Topology), n.Topology != "")
	o.add("degree", strconv.Itoa(n.Degree), n.Degree != 0)
	o.span("ferry", n.Ferry)
	o.object("link", link_(&n.Link))
	var links []string
	for _, l := range n.Links {
		x := flow{"between: " + list([]string{l.A, l.B})}
		x = append(x, link_(&l.Link)...)
		links = append(links, x.String())
	}
	o.add("links", "["+strings.Join(links, ", ")+"]", len(links) > 0)
	o.span("noticed", n.Noticed)
	o.span("redial", n.Redial)
	o.add("gossip-above", strconv.Itoa(n.GossipAbove), n.GossipAbove != 0)
	if len(o) > 0 {
		w.WriteString("network:\n")
		for _, f := range o {
			w.WriteString("  " + f + "\n")
		}
	}
}

func event(e *Event) flow {
	o := flow{"at: " + FormatSpan(e.At)}
	o.span("every", e.Every)
	o.span("until", e.Until)
	switch a := e.Action.(type) {
	case Partition:
		sides := make([]string, len(a.Sides))
		for i, side := range a.Sides {
			sides[i] = list(side)
		}
		o.add("partition", "["+strings.Join(sides, ", ")+"]", true)
	case Cut:
		o.add("cut", list(a.From), true)
		o.add("to", list(a.To), true)
		o.add("one-way", "true", a.OneWay)
	case Flap:
		o.add("flap", list(a.From), true)
		o.add("to", list(a.To), true)
		o.span("down", a.Down)
		o.span("up", a.Up)
		o.span("for", a.For)
	case Heal:
		o.add("heal", "true", true)
	case Offline:
		o.add("offline", list(a.Devices), true)
		o.span("for", a.For)
	case Online:
		o.add("online", list(a.Devices), true)
	case Crash:
		o.add("crash", list(a.Devices), true)
		o.add("torn", "true", a.Torn)
		o.add("during", a.During, a.During != "")
		o.span("down", a.Down)
	case Backup:
		o.add("backup", quoteYAML(a.Device), true)
	case Restore:
		o.add("restore", quoteYAML(a.Device), true)
	case Clone:
		o.add("clone", quoteYAML(a.Device), true)
		o.add("as", quoteYAML(a.As), true)
	case SetClock:
		o.add("set-clock", list(a.Devices), true)
		o.add("by", FormatSpan(a.By), true)
	case FillDisk:
		o.add("fill-disk", list(a.Devices), true)
		o.span("for", a.For)
	case Do:
		o.add("do", quoteYAML(a.Op.Text), true)
		o.add("on", quoteYAML(a.Device), true)
	case Tell:
		o.add("tell", string(a.Lie), true)
		o.add("on", quoteYAML(a.Device), true)
	case SetLink:
		o.add("link", link_(&a.Link).String(), true)
	}
	return o
}

func workload(x *Workload) flow {
	var o flow
	o.add("devices", list(x.Devices), len(x.Devices) > 0)
	o.span("from", x.From)
	o.span("to", x.To)
	o.add("ops", strconv.Itoa(x.Ops), x.Ops != 0)
	o.add("rate", strconv.FormatFloat(x.Rate, 'g', -1, 64)+"/h", x.Rate != 0)
	var named flow
	for _, s := range x.Slices {
		named.add(quoteYAML(crdt.FormatPointer([]string{s.Name})), s.Kind, true)
	}
	o.object("slices", named)
	var verbs []string
	for v := range x.Weights {
		verbs = append(verbs, v)
	}
	slices.Sort(verbs)
	var weights flow
	for _, v := range verbs {
		weights.add(v, strconv.Itoa(x.Weights[v]), true)
	}
	o.object("weights", weights)
	o.add("session", quoteYAML(x.Session), x.Session != "")
	o.add("text", quoteYAML(x.Text), x.Text != "")
	o.add("log", quoteYAML(x.Log), x.Log != "")
	o.add("store", quoteYAML(x.Store), x.Store != "")
	return o
}

func (w *yamlWriter) expect(e *Expect) {
	orAny := func(n int) string {
		if n < 0 {
			return "any"
		}
		return strconv.Itoa(n)
	}
	var o flow
	o.span("within", e.Within)
	o.add("forks", orAny(e.Forks), e.Forks != 0)
	o.add("lost", orAny(e.Lost), e.Lost != 0)
	var faults []string
	for _, f := range e.Faults {
		faults = append(faults, quoteYAML(f))
	}
	o.add("faults", "["+strings.Join(faults, ", ")+"]", len(faults) > 0)
	if len(o)+len(e.Shows) > 0 {
		w.WriteString("expect:\n")
	}
	for _, f := range o {
		w.WriteString("  " + f + "\n")
	}
	if len(e.Shows) > 0 {
		w.WriteString("  shows:\n")
	}
	for _, s := range e.Shows {
		w.WriteString("    " + quoteYAML(s.Path) + ": " + jsonAsYAML(s.JSON) + "\n")
	}
}

// jsonAsYAML returns a value in JSON as YAML in one line.
func jsonAsYAML(doc string) string {
	v, err := crdt.ParseJSON([]byte(doc))
	if err != nil {
		return quoteYAML(doc)
	}
	return yamlValue(v)
}

func yamlValue(v crdt.Value) string {
	switch x := v.Any().(type) {
	case string:
		return string(quoteYAMLAlways(x))
	case []any:
		items := make([]string, len(x))
		for i, item := range x {
			items[i] = yamlValue(valueOf(item))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case map[string]any:
		var o flow
		keys := make([]string, 0, len(x))
		for k := range x {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			o.add(quoteYAMLAlways(k), yamlValue(valueOf(x[k])), true)
		}
		return o.String()
	}
	return v.String()
}

// quoteYAMLAlways is quoteYAML with quotes around what needs none, too.
func quoteYAMLAlways(s string) string {
	if q := quoteYAML(s); strings.HasPrefix(q, `"`) {
		return q
	}
	return `"` + s + `"`
}
