package replica_test

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/peer/replica"
)

// TestInteraction replays the files of testdata/interaction, each a story of a few devices, and
// compares everything they say to each other with what is recorded. On a failure, run
//
//	go test ./peer/replica -run TestInteraction -rewrite
//
// and read the difference: it may be committed only by someone who can explain it. Each file opens with
// what must hold, and why; its last commands show that it does.
func TestInteraction(t *testing.T) {
	datadriven.Walk(t, "testdata/interaction", func(t *testing.T, path string) {
		env := newInteraction()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			out, err := env.run(t, d)
			if err != nil {
				out += "error: " + env.rename(err.Error())
			}
			if out == "" {
				return "ok"
			}
			return out
		})
	})
}

// interaction is the world of one file: devices, who is connected to whom, and what is on its way.
type interaction struct {
	devices map[string]*device
	links   map[link]bool // both directions
	queue   []parcel
	now     int64
	digests map[string]string
	drops   int
	trace   strings.Builder
}

// link says that from has to as a connected peer.
type link struct{ from, to string }

// parcel is a message on its way.
type parcel struct {
	from, to string
	gossip   bool
	message  []byte
}

func newInteraction() *interaction {
	return &interaction{devices: map[string]*device{}, links: map[link]bool{}, now: 1_000_000, digests: map[string]string{}}
}

// run carries out one command. The verbs are:
//
//	devices a b ...           new devices, each with an empty copy of the one store
//	        [window=BYTES] [pending=BATCHES] [announce=BYTES]: their limits
//	        [store=NAME]: of another store, as with a wrong or stale ticket
//	clone a as=b              a second device with a copy of a's key and disk: a restored backup
//	connect a b, disconnect a b    the stream between two opens, closes (what is on its way is lost)
//	gossip                    from now on the store has a topic; announcements reach every other device
//	commit a [hold] [time=MS] one change; the input has one op per line:
//	        put PATH JSON | delete PATH | add SLICE N | text SLICE POS "S" | cut SLICE POS N | insert SLICE POS JSON
//	        hold: do not act upon the Ready that follows
//	commits a n=N [size=BYTES]    N changes of one op, each appending size characters to the text "bulk"
//	chat a b n=N              N times: one of the two, in turn, appends a character to the text "chat", and all is delivered
//	tick [a b ...] [ms=100] [n=1]     time passes, and the devices (default: all) do what is due
//	show-queue                what is on its way
//	deliver [to=a] [from=b] [type=T] [n=1] [last] [dup] [drop] [reverse]
//	        hands over (or loses, or hands over and keeps) the first n (n=0: all) matching messages; last: the
//	        last ones; reverse: in reverse order
//	stabilize [ticks=N] [quiet]      deliver and tick until nothing is on its way, or for N ticks more
//	break type=T [to=a] at=N|sig    flips a bit of the first matching message, at byte N or in its last signature
//	crash a [when=before-fsync|after-fsync]
//	        a loses its memory. With when, it first gets as far as Ready, and the
//	        blocks of that Ready (and everything else in it) are lost, or are written and the rest is lost
//	start a [forget=peers|records]    a opens its disk again; forget: less what it knew of its peers or their deliveries
//	show a ...                version and state
//	same a b ...              says whether all have the same version, digests and state
//	status a                  forks, pending batches and peers
//	delivery a dot=b:N        how far the change with that dot has got
//	outbox a [slice=S] [device=b]    own changes that have not got far
//	events a                  how many changes a has shown to watchers, and their order
func (e *interaction) run(t *testing.T, d *datadriven.TestData) (string, error) {
	e.trace.Reset()
	var err error
	switch d.Cmd {
	case "devices":
		err = e.addDevices(d)
	case "clone":
		err = e.clone(d)
	case "connect", "disconnect":
		err = e.connect(d)
	case "gossip":
		for _, n := range e.names() {
			e.devices[n].announce = true
			e.devices[n].r.SetGossip(true)
			for l := range e.links {
				if l.from == n {
					e.devices[n].r.SetSubscribed(e.devices[l.to].id, true)
				}
			}
		}
	case "commit":
		err = e.commit(d)
	case "commits":
		err = e.commits(d)
	case "chat":
		err = e.chat(d)
	case "tick":
		err = e.tick(d)
	case "show-queue":
		for _, p := range e.queue {
			e.printf("%s\n", e.describe(p))
		}
	case "deliver":
		err = e.deliver(d)
	case "stabilize":
		err = e.stabilize(d)
	case "break":
		err = e.breakMessage(d)
	case "crash":
		err = e.crash(d)
	case "start":
		err = e.start(d)
	case "show":
		err = e.each(d, func(n *device) error {
			e.printf("%s %s %s\n", n.name, n.r.Chains().Graph().VersionVector(), n.r.State().JSON())
			return nil
		})
	case "same":
		err = e.same(d)
	case "status":
		err = e.each(d, func(n *device) error { e.status(n); return nil })
	case "delivery":
		err = e.delivery(d)
	case "outbox":
		err = e.outbox(d)
	case "events":
		err = e.each(d, e.showEvents)
	default:
		err = fmt.Errorf("unknown command %q", d.Cmd)
	}
	return e.rename(e.trace.String()), err
}

func (e *interaction) printf(format string, args ...any) { fmt.Fprintf(&e.trace, format, args...) }

func (e *interaction) names() []string { return slices.Sorted(maps.Keys(e.devices)) }

// plain returns the arguments of d that are no key=value.
func plain(d *datadriven.TestData) []string {
	var out []string
	for _, a := range d.CmdArgs {
		if len(a.Vals) == 0 {
			out = append(out, a.Key)
		}
	}
	return out
}

func arg(d *datadriven.TestData, key, def string) string {
	for _, a := range d.CmdArgs {
		if a.Key == key && len(a.Vals) == 1 {
			return a.Vals[0]
		}
	}
	return def
}

func number(d *datadriven.TestData, key string, def int) (int, error) {
	return strconv.Atoi(arg(d, key, strconv.Itoa(def)))
}

func has(d *datadriven.TestData, key string) bool { return slices.Contains(plain(d), key) }

func (e *interaction) device(name string) (*device, error) {
	if n := e.devices[name]; n != nil && n.r != nil {
		return n, nil
	}
	return nil, fmt.Errorf("%s is not running", name)
}

// each calls do for the devices that d names, or for all.
func (e *interaction) each(d *datadriven.TestData, do func(*device) error) error {
	names := plain(d)
	if len(names) == 0 {
		names = e.names()
	}
	for _, name := range names {
		n, err := e.device(name)
		if err != nil {
			return err
		}
		if err := do(n); err != nil {
			return err
		}
	}
	return nil
}

func (e *interaction) addDevices(d *datadriven.TestData) error {
	var err error
	limits := replica.Limits{}
	if limits.Window, err = number(d, "window", 0); err != nil {
		return err
	}
	if limits.PendingBatches, err = number(d, "pending", 0); err != nil {
		return err
	}
	if limits.AnnounceBytes, err = number(d, "announce", 0); err != nil {
		return err
	}
	for _, name := range plain(d) {
		n := newDevice(name, limits)
		if other := arg(d, "store", ""); other != "" {
			copy(n.store[:], other)
		}
		if err := n.start(); err != nil {
			return err
		}
		e.devices[name] = n
	}
	return nil
}

func (e *interaction) clone(d *datadriven.TestData) error {
	n, err := e.device(plain(d)[0])
	if err != nil {
		return err
	}
	c := n.clone(arg(d, "as", ""))
	e.devices[c.name] = c
	return c.start()
}

func (e *interaction) connect(d *datadriven.TestData) error {
	names := plain(d)
	if len(names) != 2 {
		return errors.New("connect takes two devices")
	}
	for i, from := range names {
		to := names[1-i]
		n, err := e.device(from)
		if err != nil {
			return err
		}
		if d.Cmd == "disconnect" {
			e.unlink(from, to)
			n.r.Disconnect(e.devices[to].id)
		} else {
			e.links[link{from, to}] = true
			n.r.Connect(e.devices[to].id, e.now)
			n.r.SetSubscribed(e.devices[to].id, e.devices[to].announce)
		}
	}
	for _, name := range names {
		if err := e.drive(e.devices[name]); err != nil {
			return err
		}
	}
	return nil
}

// unlink closes one direction of a stream, and loses what is on its way there.
func (e *interaction) unlink(from, to string) {
	delete(e.links, link{from, to})
	e.queue = slices.DeleteFunc(e.queue, func(p parcel) bool { return !p.gossip && p.from == from && p.to == to })
}

// drive lets a device do its work, and prints what it sends.
func (e *interaction) drive(n *device) error {
	return n.drive(func(to causal.Device, gossip bool, message []byte) {
		for _, name := range e.names() {
			if gossip && name != n.name || e.links[link{n.name, name}] && e.devices[name].id == to {
				p := parcel{from: n.name, to: name, gossip: gossip, message: message}
				e.queue = append(e.queue, p)
				e.printf("%s\n", e.describe(p))
			}
		}
	})
}

func (e *interaction) describe(p parcel) string {
	m, err := replica.DecodeMessage(p.message)
	if err != nil {
		return fmt.Sprintf("%s->%s: %v", p.from, p.to, err)
	}
	how := ""
	if p.gossip {
		how = "gossip "
	}
	return fmt.Sprintf("%s->%s: %s%s", p.from, p.to, how, m)
}

var digestPattern = regexp.MustCompile(`(digest=|base=|Digest |States )([0-9a-f]{8})`)

// rename replaces names of keys by those of devices, and digests by D1, D2... in order of appearance.
func (e *interaction) rename(s string) string {
	var pairs []string
	for _, name := range e.names() {
		n := e.devices[name]
		for i := range n.actors {
			a := causal.Actor{Device: n.id}
			a.Nonce[0], a.Nonce[1] = i, i
			as := name
			if i > 0 {
				as = fmt.Sprintf("%s/%d", name, i)
			}
			pairs = append(pairs, a.String(), as)
		}
	}
	for _, name := range e.names() {
		pairs = append(pairs, e.devices[name].id.String(), name)
	}
	s = strings.NewReplacer(pairs...).Replace(s)
	return digestPattern.ReplaceAllStringFunc(s, func(m string) string {
		at := len(m) - 8
		if _, ok := e.digests[m[at:]]; !ok {
			e.digests[m[at:]] = fmt.Sprintf("D%d", len(e.digests)+1)
		}
		return m[:at] + e.digests[m[at:]]
	})
}
