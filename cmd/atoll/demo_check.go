package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// lost returns an error that names every acknowledged change some device lacks.
func (d *demo) lost(ctx context.Context) error {
	var errs []error
	for _, n := range d.devices {
		held, err := n.held(ctx)
		if err != nil {
			return err
		}
		for _, o := range d.devices {
			for _, dot := range o.acked {
				if _, ok := held[dot]; !ok {
					errs = append(errs, fmt.Errorf("the %s lacks the %s's %s", n.name, o.name, dot))
				}
			}
		}
	}
	return errors.Join(errs...)
}

// judge compares what every device shows with what each kind promises.
func (d *demo) judge(ctx context.Context) error {
	held, err := d.devices[laptop].held(ctx)
	if err != nil {
		return err
	}
	var who cast
	for i, n := range d.devices {
		who.actors[i] = n.moved[0].dot.Actor
	}
	for i, sc := range d.scenes {
		out := &d.report.Scenes[i]
		for j := range out.Edits {
			dot, err := causal.ParseDot(out.Edits[j].Dot)
			if err != nil {
				return err
			}
			out.Edits[j].Time = held[dot].time
		}
		for device, n := range d.devices {
			for _, m := range n.moved {
				if m.scene == i {
					who.last[device] = held[m.dot]
				}
			}
		}
		want, why := sc.end(who)
		doc, err := canonicalJSON(want)
		if err != nil {
			return err
		}
		out.Want, out.Why, out.OK = json.RawMessage(doc), why, true
		for _, n := range d.devices {
			views, _, err := n.see([]scene{sc})
			if err != nil {
				return err
			}
			out.Result[n.name] = views[0]
			out.OK = out.OK && string(views[0]) == doc
		}
	}
	return nil
}

// check says whether the three agree, whether they are right, and whether anything was lost.
func (d *demo) check(ctx context.Context) error {
	for i, n := range d.devices {
		d.report.Devices[i].Actor = n.moved[0].dot.Actor.Text()
	}
	acked := 0
	var versions, digests, docs [deviceCount]string
	for i, n := range d.devices {
		acked += len(n.acked)
		err := n.store.View(func(s *crdt.State) error {
			digest := s.Digest()
			versions[i], digests[i], docs[i] = strings.Join(dots(s.Version()), " "), hex.EncodeToString(digest[:]), s.JSON()
			return nil
		})
		if err != nil {
			return err
		}
	}
	checks := append([]demoCheck{},
		equal("the three versions are equal", versions),
		equal("the three state digests are equal", digests),
		equal("the three documents are equal", docs),
	)
	d.report.State = json.RawMessage(docs[laptop])
	kept := demoCheck{What: fmt.Sprintf("nothing is lost: all %d acknowledged changes are on all three", acked), OK: true}
	if err := d.lost(ctx); err != nil {
		kept.OK, kept.Detail = false, err.Error()
	}
	outcome := demoCheck{What: fmt.Sprintf("each of the %d slices came out as its kind promises", len(d.scenes)), OK: true}
	var wrong []string
	for _, sc := range d.report.Scenes {
		if !sc.OK {
			outcome.OK = false
			wrong = append(wrong, fmt.Sprintf("%s should be %s", sc.Slice, sc.Want))
		}
	}
	outcome.Detail = strings.Join(wrong, "\n")
	checks = append(checks, kept, outcome, d.conflictsKept())
	d.report.Checks = append(d.report.Checks, checks...)
	d.tell.heading("Checks")
	d.tell.checks(d.report.Checks)
	return nil
}

// equal checks that all devices have the same.
func equal(what string, values [deviceCount]string) demoCheck {
	c := demoCheck{What: what, OK: true}
	var lines []string
	for i, v := range values {
		c.OK = c.OK && v == values[0]
		lines = append(lines, column(deviceNames[i], 7)+" "+v)
	}
	if !c.OK {
		c.Detail = strings.Join(lines, "\n")
	}
	return c
}

// conflictsKept checks that the register still offers the writes that are not shown.
func (d *demo) conflictsKept() demoCheck {
	c := demoCheck{What: "the title's three writes are all still there, the latest first", OK: true}
	for _, n := range d.devices {
		err := n.store.View(func(s *crdt.State) error {
			all := s.Path("title").Conflicts()
			if len(all) != deviceCount || !all[0].Shown {
				return fmt.Errorf("the %s offers %d values", n.name, len(all))
			}
			seen := map[crdt.Actor]bool{}
			for _, v := range all {
				seen[v.Actor] = true
			}
			for _, o := range d.devices {
				if !seen[o.moved[0].dot.Actor] {
					return fmt.Errorf("the %s lacks the %s's", n.name, o.name)
				}
			}
			return nil
		})
		if err != nil {
			c.OK, c.Detail = false, err.Error()
		}
	}
	return c
}
