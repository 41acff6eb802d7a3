package model

import (
	"errors"
	"fmt"
	"slices"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/peer/replica"
)

// take gives a message to the device of end i.
func (w *following) take(i int, x sent) error {
	w.done["take"]++
	if err := w.deliver(i, x.real); err != nil {
		return err
	}
	if h, ok := x.real.(*replica.Have); ok && h.Base != (crdt.Hash{}) {
		full, err := w.spellOut(i)
		if err != nil {
			return err
		}
		if full {
			x.model = message{have, w.s.durable[w.m.device(i^1)]}
		}
	}
	waits := w.s.waiting[w.m.device(i)]
	w.m.take(&w.s, i, x.model)
	if k := x.model.kind; (k == digest || k == digestAsk) && x.model.set != w.s.holds(w.m.device(i)) && w.told[i] == 1+x.model.set {
		// The peer has just what this replica had a moment ago. The model does not remember that.
		w.done["a digest from a moment ago"]++
		w.m.hear(&w.s, i, x.model.set, false)
		w.took[i] = append(w.took[i], have)
	}
	if waits != w.s.waiting[w.m.device(i)] || x.model.kind == changes && w.s.ends[i].due == dueHave {
		if w.s.ends[i].due&dueHave != 0 {
			// The replica waits for the next tick before it asks for what is missing.
			w.done["waits"]++
			w.gap[i] = true
			w.s.ends[i].due = 0
			w.m.rest(&w.s)
		}
	}
	w.took[i] = append(w.took[i], x.model.kind)
	return nil
}

func (w *following) deliver(i int, x replica.Message) error {
	d, o := w.m.device(i), w.m.device(i^1)
	if err := w.devices[d].r.Step(w.devices[o].id, x, w.now); err != nil {
		return fmt.Errorf("%s to %s: %s: %w", deviceName(o), deviceName(d), x, err)
	}
	return nil
}

// spellOut sees whether the device of end i could make something of a Have that names a base. If not, it asks for a full
// one and gets it at once: the model has no abbreviations.
func (w *following) spellOut(i int) (bool, error) {
	d, o := w.m.device(i), w.m.device(i^1)
	out, err := w.drive(d)
	if err != nil {
		return false, err
	}
	k := slices.IndexFunc(out, func(x outgoing) bool { _, ok := x.real.(*replica.NeedFull); return ok })
	if k < 0 {
		w.early = append(w.early, out...)
		return false, nil
	}
	w.done["a summary asked for in full"]++
	if len(out) != 1 || out[0].end != i {
		return false, fmt.Errorf("%s asks for a full summary, and sends %v", deviceName(d), out)
	}
	w.now += 300
	if err := w.deliver(i^1, out[0].real); err != nil {
		return false, err
	}
	if out, err = w.drive(o); err != nil {
		return false, err
	}
	if len(out) != 1 || out[0].end != i^1 {
		return false, fmt.Errorf("%s is asked for a full summary, and sends %v", deviceName(o), out)
	}
	h, ok := out[0].real.(*replica.Have)
	if !ok || h.Base != (crdt.Hash{}) {
		return false, fmt.Errorf("%s is asked for a full summary, and sends %s", deviceName(o), out[0].real)
	}
	w.s.ends[i^1].tell = 0
	w.told[i^1] = 1 + w.s.durable[o]
	return true, w.deliver(i, h)
}

// outgoing is a message that a replica sent over an end.
type outgoing struct {
	end  int
	real replica.Message
}

func (x outgoing) String() string { return x.real.String() }

// drive lets a replica do its work, and returns what it sent. Delivery records, which the model does not have, arrive at once.
func (w *following) drive(d int) ([]outgoing, error) {
	var out []outgoing
	dev := w.devices[d]
	for rounds := 0; dev.r.HasReady(); rounds++ {
		if rounds == 100 {
			return nil, fmt.Errorf("%s always has more to do", deviceName(d))
		}
		rd := dev.r.Ready()
		if rd.Err != nil {
			return nil, rd.Err
		}
		if err := dev.log.Append(rd.Blocks...); err != nil {
			return nil, err
		}
		dev.r.Advance()
		for _, e := range rd.Messages {
			i := w.end(d, e.To)
			if _, ok := e.Message.(*replica.Records); ok {
				if w.s.ends[i].open && w.s.ends[i^1].open {
					if err := w.deliver(i^1, e.Message); err != nil {
						return nil, err
					}
					w.gap[i^1] = true // it may name what the peer lacks
				}
				continue
			}
			out = append(out, outgoing{i, e.Message})
		}
	}
	return out, nil
}

func (w *following) end(d int, to causal.Device) int {
	for i := range w.m.ends() {
		if w.m.device(i) == d && w.devices[w.m.device(i^1)].id == to {
			return i
		}
	}
	panic("model: a message to nobody")
}

// finish lets device d make durable what it took in and send what is due, or crash instead.
func (w *following) finish(d int, committed bool) error {
	switch w.rng.IntN(12) {
	case 0:
		if len(w.early) == 0 {
			w.done["crash before fsync"]++
			w.devices[d].r.Ready() // and then nothing
			return w.crash(d)
		}
	case 1:
		w.done["crash after fsync"]++
		if _, err := w.drive(d); err != nil {
			return err
		}
		w.s.durable[d] = w.s.holds(d)
		return w.crash(d)
	}
	out, err := w.drive(d)
	if err != nil {
		return err
	}
	w.s.durable[d] = w.s.holds(d)
	return w.send(d, append(w.early, out...), committed, false)
}

// tick lets time pass for device d.
func (w *following) tick(d int) error {
	w.done["tick"]++
	w.now += []int64{0, 1500, 12_000}[w.rng.IntN(3)]
	w.devices[d].r.Tick(w.now)
	out, err := w.drive(d)
	if err != nil {
		return err
	}
	return w.send(d, out, false, true)
}

// send has the model send what the replica of device d sent, if it may, and sees that this is all it must.
func (w *following) send(d int, out []outgoing, committed, ticked bool) error {
	m, s := w.m, &w.s
	for i := range m.ends() {
		e := &s.ends[i]
		if m.device(i) != d || !e.open || !s.ends[i^1].open {
			continue
		}
		asked := slices.Contains(w.took[i], haveAsk) || slices.Contains(w.took[i], digestAsk)
		heard := slices.Contains(w.took[i], have) || slices.Contains(w.took[i], haveAsk)
		for _, x := range out {
			if x.end != i {
				continue
			}
			msg, err := w.abstract(d, x.real)
			if err != nil {
				return err
			}
			may, want := false, s.durable[d]
			switch msg.kind {
			case have:
				// It may also be about delivery records.
				may = e.due&dueHave != 0 || asked || ticked && w.gap[i]
				e.due &^= dueHave
				e.tell = 0
			case haveAsk:
				may = e.due&dueHaveAsk != 0 || slices.Contains(w.took[i], digestAsk) || ticked && !e.heard
				e.due &^= dueHave | dueHaveAsk | dueDigest
				e.tell = 0
			case digest:
				may = e.due&dueDigest != 0
				e.due &^= dueDigest
			case digestAsk:
				may = ticked && e.heard
			case ack:
				may = e.tell != 0 && (e.due&dueAck != 0 || ticked && e.heard)
				want = m.tips(s, e.tell, s.durable[d])
				e.due &^= dueAck
				e.tell = 0
			case changes:
				want = m.todo(s, i)
				may = e.heard && want != 0
				if ticked && msg.set != 0 && msg.set.within(want) {
					want = msg.set // what came since the last tick waits
				}
				e.inFlight |= msg.set
			}
			if msg.kind != ack && msg.kind != changes {
				w.told[i] = 1 + msg.set
			}
			w.done[kindNames[msg.kind]]++
			if !may || msg.set != want {
				return fmt.Errorf("%s sends %s to %s, which the model may not: %v, want %s; it took in %v\n%s", deviceName(d), x.real, deviceName(m.device(i^1)), may,
					m.names(s, want), w.took[i], m.describeState(s))
			}
			w.queue[i] = append(w.queue[i], sent{x.real, msg})
		}
		switch {
		case e.due&(dueHave|dueHaveAsk) != 0:
			return fmt.Errorf("%s owes %s a Have", deviceName(d), deviceName(m.device(i^1)))
		case e.due&dueAck != 0 && e.tell != 0:
			return fmt.Errorf("%s owes %s an Ack", deviceName(d), deviceName(m.device(i^1)))
		case (committed || heard) && m.todo(s, i) != 0:
			return fmt.Errorf("%s owes %s Changes %s", deviceName(d), deviceName(m.device(i^1)), m.names(s, m.todo(s, i)))
		}
		if ticked {
			w.gap[i] = false
		}
	}
	w.rest(d)
	return nil
}

// rest ends what device d was doing.
func (w *following) rest(d int) {
	for i := range w.m.ends() {
		if w.m.device(i) == d {
			w.s.ends[i].due = 0
		}
	}
	w.forget(d)
	if int(w.s.busy) == d+1 {
		w.m.idle(&w.s)
	}
}

// abstract returns what a message of device d is to the model.
func (w *following) abstract(d int, x replica.Message) (message, error) {
	own := w.devices[d].r.Digest()
	kinds := func(ask bool, plain, asking kind) kind {
		if ask {
			return asking
		}
		return plain
	}
	all := w.held(d)
	switch x := x.(type) {
	case *replica.Have:
		if x.Digest != own {
			return message{}, fmt.Errorf("%s sends %s, and has digest %s", deviceName(d), x, own)
		}
		return message{kinds(x.Ask, have, haveAsk), all}, nil
	case *replica.Digest:
		if x.Digest != own {
			return message{}, fmt.Errorf("%s sends %s, and has digest %s", deviceName(d), x, own)
		}
		return message{kinds(x.Ask, digest, digestAsk), all}, nil
	case *replica.Ack:
		return message{ack, w.upTo(x.Tips)}, nil
	case *replica.Changes:
		b, err := crdt.DecodeBatch(x.Batch)
		if err != nil {
			return message{}, err
		}
		var set Set
		for ch := range b.All {
			set |= w.change(ch.Dot())
		}
		return message{changes, set}, nil
	}
	return message{}, fmt.Errorf("%s sends %s", deviceName(d), x)
}

// change returns the change with a dot.
func (w *following) change(dot causal.Dot) Set {
	made := w.s.made()
	for c := range w.m.bounds.changes() {
		if made.has(c) && w.dots[c] == dot {
			return 1 << c
		}
	}
	return 0
}

// upTo returns the changes that tips stand for.
func (w *following) upTo(tips []crdt.Tip) Set {
	var set Set
	for _, t := range tips {
		for seq := causal.Seq(1); seq <= t.Seq; seq++ {
			set |= w.change(causal.Dot{Actor: t.Actor, Seq: seq})
		}
	}
	return set
}

// held returns what the replica of device d holds.
func (w *following) held(d int) Set { return w.upTo(w.devices[d].r.Chains().Tips()) }

// compare sees that replicas and model hold the same.
func (w *following) compare() error {
	for d, dev := range w.devices {
		var durable Set
		n := 0
		err := dev.log.Changes(causal.Span{End: dev.log.Len()}, func(a crdt.Accepted) bool {
			durable |= w.change(a.Change.Dot())
			n++
			return true
		})
		if err != nil {
			return err
		}
		status := dev.r.Status(w.now)
		waiting := 0
		for _, set := range w.s.waiting[d] {
			if set != 0 {
				waiting++
			}
		}
		if held := w.held(d); durable != w.s.durable[d] || held != w.s.holds(d) || n != durable.len() || status.PendingBatches != waiting || len(status.Forks) > 0 {
			return fmt.Errorf("%s has %s durable (%d changes), holds %s, keeps %d batches waiting for %v, sees forks %v; in the model\n%s", deviceName(d), w.m.names(&w.s, durable), n,
				w.m.names(&w.s, held), status.PendingBatches, status.PendingFor, status.Forks, w.m.describeState(&w.s))
		}
	}
	if p := w.m.broken(&w.s, nil); p != "" {
		return errors.New(string(p))
	}
	return nil
}
