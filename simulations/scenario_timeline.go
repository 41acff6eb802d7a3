package simulations

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// actionFields are the names of actions in files, with the fields that each takes beside its own. Those with a "!" must be there.
var actionFields = map[string][]string{
	"partition": nil, "cut": {"to!", "one-way"}, "flap": {"to!", "down!", "up!", "for"}, "heal": nil, "offline": {"for"}, "online": nil,
	"crash": {"torn", "during", "down"}, "backup": nil, "restore": nil, "clone": {"as!"}, "set-clock": {"by!"}, "fill-disk": {"for"},
	"do": {"on!"}, "tell": {"on!"}, "link": nil,
}

// eventReader is what the fields of an event are read into.
type eventReader struct {
	*scenarioReader
	Event
	action   string
	who, to  []string
	sides    [][]string
	flag     bool // one-way, torn
	during   string
	as       string
	lie      LieKind
	op       Op
	link_    Link
	for_, by time.Duration
	down, up time.Duration
}

// event reads an event: when it happens, an action, and what that takes.
func (r *scenarioReader) event(n *yamlNode) {
	if len(r.s.Timeline) == maxFileEvents {
		r.bad(n, "more than %d events", maxFileEvents)
		return
	}
	if n.kind != yamlObject {
		r.bad(n, "an event has a time and an action, like {at: 1h, crash: phone}, not %s", n.describe())
		return
	}
	e := &eventReader{scenarioReader: r, Event: Event{Line: n.line}}
	if !e.find(n) {
		return
	}
	had := len(r.problems) + r.more
	f := fileFields{"at": r.timeOfRun(&e.At), "every": r.span(&e.Every, time.Millisecond), "until": r.timeOfRun(&e.Until), e.action: e.own}
	all := e.fields()
	for _, name := range actionFields[e.action] {
		name, must := strings.CutSuffix(name, "!")
		f[name] = all[name]
		if must && !slices.ContainsFunc(n.keys, func(k *yamlNode) bool { return k.text == name }) {
			r.bad(n, "%s lacks %s", e.action, name)
		}
	}
	r.object(n, e.action, f)
	switch {
	case e.Until != 0 && e.Every == 0:
		r.bad(n, "until goes with every")
	case e.Every > 0 && (maxSpan/e.Every > maxFileEvents && (r.s.length()-e.At)/e.Every > maxFileEvents):
		r.bad(n, "it happens more than %d times", maxFileEvents)
	}
	if len(r.problems)+r.more == had {
		e.Action = e.make()
		r.s.Timeline = append(r.s.Timeline, e.Event)
	}
}

// find looks for the action of an event.
func (e *eventReader) find(n *yamlNode) bool {
	for _, key := range n.keys {
		if _, is := actionFields[key.text]; !is {
			continue
		}
		if e.action != "" {
			e.bad(key, "one action an event: this one is %s already", e.action)
			return false
		}
		e.action = key.text
	}
	if e.action != "" {
		return true
	}
	names := slices.Sorted(maps.Keys(actionFields))
	for _, key := range n.keys {
		if _, is := e.fields()[key.text]; !is && key.text != "at" && key.text != "every" && key.text != "until" {
			e.bad(key, "no action %q%s: one of %s", clip(key.text, maxShownInText), didYouMean(key.text, names), strings.Join(names, ", "))
			return false
		}
	}
	e.bad(n, "an event has an action: one of %s", strings.Join(names, ", "))
	return false
}

// fields are the fields beside an action's own.
func (e *eventReader) fields() fileFields {
	r := e.scenarioReader
	return fileFields{
		"to":      r.names(&e.to, &r.named),
		"one-way": r.bool(&e.flag),
		"torn":    r.bool(&e.flag),
		"during":  oneOf(&r.fileReader, "moment", &e.during, []string{"write", "merge", "rewrite"}),
		"down":    r.span(&e.down, time.Millisecond),
		"up":      r.span(&e.up, time.Millisecond),
		"for":     r.span(&e.for_, time.Millisecond),
		"by":      r.span(&e.by, -maxSpan),
		"as":      r.name(&e.as),
		"on":      r.oneName(&e.who),
	}
}

// oneName reads the name of one device.
func (r *scenarioReader) oneName(into *[]string) func(*yamlNode) {
	read := r.names(into, &r.named)
	return func(n *yamlNode) {
		if n.kind == yamlList {
			r.bad(n, "one device is expected, not a list")
			return
		}
		read(n)
	}
}

// own reads the field that names the action.
func (e *eventReader) own(n *yamlNode) {
	r := e.scenarioReader
	switch e.action {
	case "partition":
		r.list(n, "the sides of a partition", func(n *yamlNode) {
			var side []string
			r.names(&side, &r.named)(n)
			e.sides = append(e.sides, side)
		})
		if n.kind == yamlList && len(e.sides) == 0 {
			r.bad(n, "a partition has sides, like [[a, b], [c]]")
		}
	case "heal":
		if n.kind != yamlNull && n.text != "true" {
			r.bad(n, "heal takes nothing, or true, not %s", n.describe())
		}
	case "backup", "restore", "clone":
		r.oneName(&e.who)(n)
	case "do":
		parsed(&r.fileReader, "an op such as put title \"x\"", &e.op, ParseOp)(n)
	case "tell":
		oneOf(&r.fileReader, "lie", &e.lie, lieNames)(n)
	case "link":
		r.link(n, &e.link_, nil)
	default:
		r.names(&e.who, &r.named)(n)
	}
}

// make returns the action that was read.
func (e *eventReader) make() Action {
	one := ""
	if len(e.who) > 0 {
		one = e.who[0]
	}
	switch e.action {
	case "partition":
		return Partition{Sides: e.sides}
	case "cut":
		return Cut{From: e.who, To: e.to, OneWay: e.flag}
	case "flap":
		return Flap{From: e.who, To: e.to, Down: e.down, Up: e.up, For: e.for_}
	case "offline":
		return Offline{Devices: e.who, For: e.for_}
	case "online":
		return Online{Devices: e.who}
	case "crash":
		return Crash{Devices: e.who, Torn: e.flag, During: e.during, Down: e.down}
	case "backup":
		return Backup{Device: one}
	case "restore":
		return Restore{Device: one}
	case "clone":
		return Clone{Device: one, As: e.as}
	case "set-clock":
		return SetClock{Devices: e.who, By: e.by}
	case "fill-disk":
		return FillDisk{Devices: e.who, For: e.for_}
	case "do":
		return Do{Device: one, Op: e.op}
	case "tell":
		return Tell{Device: one, Lie: e.lie}
	case "link":
		return SetLink{Link: e.link_}
	}
	return Heal{}
}
