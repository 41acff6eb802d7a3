package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/atollsync/atoll/crdt"
)

// demoPatience bounds the whole demo.
const demoPatience = 28 * time.Second

func newDemoCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Watch three devices part, keep working, meet again and converge",
		Long: `Watch three devices, real nodes with directories of their own on this machine, share a
store. The network between them is cut; all three keep working on the same slices, against
each other; the network heals, and they converge. It ends with "converged" only if all three
hold the same state and version and nothing was lost. It takes a few seconds, and leaves
nothing behind.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeoutCause(cmd.Context(), demoPatience,
				fmt.Errorf("the demo took longer than %v", demoPatience))
			defer cancel()
			n := &narrator{w: a.out, s: newStyle(a.out)}
			if a.json {
				n = &narrator{w: io.Discard}
			}
			d := &demo{tell: n, scenes: scenes()}
			err := d.run(ctx)
			if err != nil {
				d.report.Error = err.Error()
			}
			d.report.Converged = err == nil && d.passed()
			if a.json {
				if err := writeJSONLine(a.out, d.report); err != nil {
					return err
				}
			}
			switch {
			case err != nil:
				return fmt.Errorf("not converged: %w", err)
			case !d.report.Converged:
				fmt.Fprintln(n.w, n.s.red("not converged"))
				return errReported
			}
			fmt.Fprintln(n.w, n.s.green("converged"))
			return nil
		},
	}
}

// demo is three devices and what happens to them.
type demo struct {
	tell    *narrator
	scenes  []scene
	devices [deviceCount]*demoNode
	begun   time.Time
	report  demoReport
}

// demoNode is one device: a real node on loopback with a badger directory of its own.
type demoNode struct {
	*localNode
	acked []crdt.Dot // what it was told is durable
	moved []moved
}

// moved is a move that was made.
type moved struct {
	scene int
	move  move
	dot   crdt.Dot
}

func (d *demo) passed() bool {
	for _, c := range d.report.Checks {
		if !c.OK {
			return false
		}
	}
	return len(d.report.Checks) > 0
}

// run plays the demo from beginning to end.
func (d *demo) run(ctx context.Context) (err error) {
	d.begun = time.Now()
	tmp, err := os.MkdirTemp("", "atoll-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	defer func() { err = errors.Join(err, d.close()) }()
	for _, act := range []func(context.Context) error{
		func(ctx context.Context) error { return d.meet(ctx, tmp) },
		d.begin,
		d.part,
		d.heal,
		d.check,
	} {
		if err := act(ctx); err != nil {
			return err
		}
		d.tell.gap()
	}
	d.report.Seconds.Total = time.Since(d.begun).Seconds()
	return nil
}

// meet starts the devices and lets them share a store.
func (d *demo) meet(ctx context.Context, tmp string) error {
	d.tell.heading("Three devices share a store")
	for i, name := range deviceNames {
		n, err := startLocalNode(ctx, name, filepath.Join(tmp, name))
		if err != nil {
			return fmt.Errorf("start the %s: %w", name, err)
		}
		d.devices[i] = &demoNode{localNode: n}
	}
	first := d.devices[laptop]
	store, err := first.node.Create(ctx, "trip")
	if err != nil {
		return err
	}
	first.store = store
	for _, n := range d.devices[1:] {
		if n.store, err = n.node.Join(ctx, store.Ticket()); err != nil {
			return fmt.Errorf("the %s joins: %w", n.name, err)
		}
	}
	for _, n := range d.devices {
		d.report.Devices = append(d.report.Devices, demoDevice{Name: n.name, ID: n.node.Device().String(), Addr: n.node.Addrs()[0], Dir: n.db.Dir()})
	}
	d.tell.devices(d.report.Devices)
	d.tell.line("Each is a node of its own with a directory of its own. The laptop made the store")
	d.tell.line("\"trip\"; the phone and the tablet joined it with the laptop's ticket.")
	return nil
}

func (d *demo) close() error {
	var errs []error
	for _, n := range d.devices {
		if n != nil {
			errs = append(errs, n.close())
		}
	}
	return errors.Join(errs...)
}

// update makes one change on a device and remembers that it was acknowledged.
func (n *demoNode) update(ctx context.Context, do func(*crdt.Tx)) (crdt.Dot, error) {
	dot, err := n.store.Update(ctx, func(tx *crdt.Tx) error { do(tx); return nil })
	if err != nil {
		return dot, fmt.Errorf("the %s writes: %w", n.name, err)
	}
	if dot.IsZero() {
		return dot, fmt.Errorf("the %s wrote nothing", n.name)
	}
	n.acked = append(n.acked, dot)
	return dot, nil
}

// begin fills the store in and waits until all three have it.
func (d *demo) begin(ctx context.Context) error {
	begun := time.Now()
	for _, sc := range d.scenes {
		if _, err := d.devices[laptop].update(ctx, sc.begin); err != nil {
			return err
		}
	}
	if err := d.sync(ctx); err != nil {
		return err
	}
	d.report.Seconds.FirstSync = time.Since(begun).Seconds()
	views, whole, err := d.devices[laptop].see(d.scenes)
	if err != nil {
		return err
	}
	d.report.Begin = whole
	for i, sc := range d.scenes {
		d.report.Scenes = append(d.report.Scenes, demoScene{Slice: sc.slice, Kind: sc.kind.String(), Begin: views[i],
			Alone: map[string]json.RawMessage{}, Result: map[string]json.RawMessage{}})
	}
	d.tell.heading("The laptop fills it in, and all three see the same (%.2f s)", d.report.Seconds.FirstSync)
	d.tell.begin(d.report.Scenes)
	return nil
}

// part cuts the network, lets every device work alone, and looks at what each shows.
func (d *demo) part(ctx context.Context) error {
	for _, n := range d.devices {
		n.node.SetOffline(true)
	}
	for _, n := range d.devices {
		if err := poll(ctx, func() bool { return n.connected() == 0 }); err != nil {
			return fmt.Errorf("the %s is still connected: %w", n.name, err)
		}
	}
	d.tell.heading("The network is cut, and all three keep working")
	for i, sc := range d.scenes {
		for _, m := range sc.moves {
			n := d.devices[m.device]
			// A millisecond apart, so that the clocks settle what is latest.
			before := time.Now().UnixMilli()
			if err := poll(ctx, func() bool { return time.Now().UnixMilli() != before }); err != nil {
				return err
			}
			dot, err := n.update(ctx, m.do)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", sc.slice, m.says, err)
			}
			n.moved = append(n.moved, moved{i, m, dot})
			d.report.Scenes[i].Edits = append(d.report.Scenes[i].Edits, demoEdit{Device: n.name, Edit: m.says, Dot: dot.Text()})
		}
	}
	d.report.Alone = map[string]json.RawMessage{}
	for _, n := range d.devices {
		views, whole, err := n.see(d.scenes)
		if err != nil {
			return err
		}
		d.report.Alone[n.name] = whole
		for i := range d.scenes {
			d.report.Scenes[i].Alone[n.name] = views[i]
		}
	}
	if err := d.concurrent(ctx); err != nil {
		return err
	}
	for i, n := range d.devices {
		if i > 0 {
			d.tell.gap()
		}
		d.tell.alone(n.name, d.report.Scenes)
	}
	return nil
}

// concurrent checks that the cut was one: no device holds what another wrote since.
func (d *demo) concurrent(ctx context.Context) error {
	check := demoCheck{What: "while the network was cut no device learned of another's changes: they are concurrent", OK: true}
	var missing []string
	for _, n := range d.devices {
		held, err := n.held(ctx)
		if err != nil {
			return err
		}
		for _, o := range d.devices {
			for _, m := range o.moved {
				if _, ok := held[m.dot]; ok != (o == n) {
					check.OK = false
					missing = append(missing, fmt.Sprintf("the %s's %s (%s): on the %s %t", o.name, m.dot, m.move.says, n.name, ok))
				}
			}
		}
	}
	check.Detail = strings.Join(missing, "\n")
	d.report.Checks = append(d.report.Checks, check)
	return nil
}

// heal lets the network come back and waits until all three are equal.
func (d *demo) heal(ctx context.Context) error {
	begun := time.Now()
	for _, n := range d.devices {
		n.node.SetOffline(false)
	}
	if err := d.sync(ctx); err != nil {
		return err
	}
	d.report.Seconds.CatchUp = time.Since(begun).Seconds()
	d.tell.heading("The network heals; %.2f s later all three have met", d.report.Seconds.CatchUp)
	if err := d.judge(ctx); err != nil {
		return err
	}
	d.tell.outcomes(d.report.Scenes)
	return nil
}

// sync waits until all three hold the same version and every acknowledged change.
func (d *demo) sync(ctx context.Context) error {
	err := poll(ctx, func() bool {
		for _, n := range d.devices {
			if n.version().String() != d.devices[0].version().String() {
				return false
			}
		}
		return d.lost(ctx) == nil
	})
	if err == nil {
		return nil
	}
	var versions []string
	for _, n := range d.devices {
		versions = append(versions, fmt.Sprintf("%s %s, %s", n.name, n.version(), plural(n.connected(), "peer")))
	}
	if lost := d.lost(context.WithoutCancel(ctx)); lost != nil {
		err = errors.Join(err, lost)
	}
	return fmt.Errorf("the versions differ: %s: %w", strings.Join(versions, "; "), err)
}

// see returns what a device shows, by scene and as a whole.
func (n *demoNode) see(scenes []scene) (views []json.RawMessage, whole json.RawMessage, err error) {
	err = n.store.View(func(s *crdt.State) error {
		for _, sc := range scenes {
			views = append(views, json.RawMessage(s.Path(sc.slice).JSON()))
		}
		whole = json.RawMessage(s.JSON())
		return nil
	})
	return views, whole, err
}

// held returns the changes a device holds, by the dot of their last op.
func (n *demoNode) held(ctx context.Context) (map[crdt.Dot]peerChange, error) {
	out := map[crdt.Dot]peerChange{}
	for e, err := range n.store.Log(ctx) {
		if err != nil {
			return nil, fmt.Errorf("read the %s's log: %w", n.name, err)
		}
		out[e.Dot()] = peerChange{e.Dot(), e.Time, e.Effective}
	}
	return out, nil
}
