package replica_test

import (
	"strconv"
	"strings"

	"github.com/cockroachdb/datadriven"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/peer/replica"
)

// The verbs that show something; interaction.run says what each shows.

func (e *interaction) same(d *datadriven.TestData) error {
	var first *device
	return e.each(d, func(n *device) error {
		switch {
		case first == nil:
			first = n
		case n.r.Digest() != first.r.Digest():
			e.printf("%s and %s differ in version\n", first.name, n.name)
		case n.r.State().JSON() != first.r.State().JSON() || n.r.State().Digest() != first.r.State().Digest():
			e.printf("%s and %s differ in STATE\n", first.name, n.name)
		default:
			e.printf("%s = %s\n", first.name, n.name)
		}
		return nil
	})
}

func (e *interaction) status(n *device) {
	s := n.r.Status(e.now)
	e.printf("%s changes=%d ops=%d outbox=%d", n.name, s.Changes, s.Ops, s.Outbox)
	if s.PendingBatches > 0 {
		e.printf(" pending=%d for %v", s.PendingBatches, s.PendingFor)
	}
	if s.Void > 0 {
		e.printf(" void=%d", s.Void)
	}
	e.printf("\n")
	for _, f := range s.Forks {
		e.printf("  fork %s evidence=%v\n", f, len(f.Evidence) > 0)
	}
	for _, k := range s.Skewed {
		e.printf("  skewed %s by %d ms\n", k.Actor, k.Ahead)
	}
	for _, d := range s.Diverged {
		e.printf("  slice %s is otherwise at %s\n", d.Slice, d.Peer)
	}
	for _, p := range s.Peers {
		if !p.Connected {
			continue
		}
		e.printf("  peer %s in-sync=%v lacks=%d owes=%d in-flight=%d", p.Device, p.InSync, p.Lacks, p.Owes, p.InFlight)
		if p.Remaining > 0 {
			e.printf(" remaining=%d", p.Remaining)
		}
		if len(p.Forked) > 0 {
			e.printf(" forked=%v", p.Forked)
		}
		e.printf("\n")
	}
}

func (e *interaction) delivery(d *datadriven.TestData) error {
	n, err := e.device(plain(d)[0])
	if err != nil {
		return err
	}
	by, seq, _ := strings.Cut(arg(d, "dot", ""), ":")
	num, err := strconv.Atoi(seq)
	if err != nil {
		return err
	}
	l := n.r.Delivery(causal.Dot{Actor: e.devices[by].actor, Seq: causal.Seq(num)})
	e.printf("stored=%v holders=%v missing=%v all=%v\n", l.Stored, l.Holders, l.Missing, l.HeldByAll())
	return nil
}

func (e *interaction) outbox(d *datadriven.TestData) error {
	n, err := e.device(plain(d)[0])
	if err != nil {
		return err
	}
	q := replica.OutboxQuery{Slice: arg(d, "slice", "")}
	if to := arg(d, "device", ""); to != "" {
		q.Device = e.devices[to].id
	}
	e.printf("%d ops\n", n.r.OutboxLen(q.Device))
	return n.r.Outbox(q, func(a crdt.Accepted) bool {
		e.printf("%s\n", a.Dot())
		return true
	})
}

func (e *interaction) showEvents(n *device) error {
	var dots []string
	for _, ev := range n.events {
		for _, c := range ev.Changes {
			dots = append(dots, c.Dot.String())
		}
	}
	e.printf("%s saw %s\n", n.name, strings.Join(dots, " "))
	return nil
}
