package replica_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/datadriven"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/peer/replica"
)

// The verbs that make something happen; interaction.run says what each does.

func (e *interaction) commit(d *datadriven.TestData) error {
	n, err := e.device(plain(d)[0])
	if err != nil {
		return err
	}
	at, err := number(d, "time", int(e.now))
	if err != nil {
		return err
	}
	dot, err := n.r.Commit(int64(at), func(tx *crdt.Tx) error { return script(tx, d.Input) })
	if err != nil {
		return err
	}
	e.printf("%s commits %s\n", n.name, dot)
	if has(d, "hold") {
		return nil
	}
	return e.drive(n)
}

// script does the ops of a commit's input.
func script(tx *crdt.Tx, input string) error {
	for line := range strings.Lines(input) {
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		where, rest, _ := strings.Cut(rest, " ")
		path, err := crdt.ParsePointer(where)
		if err != nil {
			return err
		}
		switch verb {
		case "put":
			v, err := crdt.ParseJSON([]byte(rest))
			if err != nil {
				return err
			}
			tx.Path(path...).Put(v)
		case "delete":
			tx.Path(path...).Delete()
		case "add":
			n, err := strconv.ParseInt(rest, 10, 64)
			if err != nil {
				return err
			}
			tx.Counter(where).Add(n)
		case "text", "insert", "cut":
			at, what, _ := strings.Cut(rest, " ")
			pos, err := strconv.Atoi(at)
			if err != nil {
				return err
			}
			v, err := crdt.ParseJSON([]byte(what))
			if err != nil {
				return err
			}
			switch verb {
			case "text":
				s, _ := v.Str()
				tx.Text(where).Insert(pos, s)
			case "insert":
				tx.List(where).Insert(pos, v)
			case "cut":
				count, _ := v.Int()
				tx.Text(where).Delete(pos, int(count))
			}
		default:
			return fmt.Errorf("unknown op %q", verb)
		}
	}
	return nil
}

func (e *interaction) commits(d *datadriven.TestData) error {
	n, err := e.device(plain(d)[0])
	if err != nil {
		return err
	}
	count, err := number(d, "n", 1)
	if err != nil {
		return err
	}
	size, err := number(d, "size", 1)
	if err != nil {
		return err
	}
	for range count {
		if _, err := n.r.Commit(e.now, func(tx *crdt.Tx) error {
			tx.Text("bulk").Append(strings.Repeat(n.name, size))
			return nil
		}); err != nil {
			return err
		}
	}
	return e.drive(n)
}

func (e *interaction) chat(d *datadriven.TestData) error {
	n, err := number(d, "n", 1)
	if err != nil {
		return err
	}
	names := plain(d)
	for i := range n {
		a, err := e.device(names[i%2])
		if err != nil {
			return err
		}
		if _, err := a.r.Commit(e.now, func(tx *crdt.Tx) error {
			tx.Text("chat").Append(a.name)
			return nil
		}); err != nil {
			return err
		}
		if err := e.drive(a); err != nil {
			return err
		}
		for len(e.queue) > 0 {
			p := e.queue[0]
			e.queue = e.queue[1:]
			if err := e.hand(p); err != nil {
				return err
			}
		}
	}
	e.trace.Reset()
	return nil
}

func (e *interaction) tick(d *datadriven.TestData) error {
	ms, err := number(d, "ms", 100)
	if err != nil {
		return err
	}
	n, err := number(d, "n", 1)
	if err != nil {
		return err
	}
	for range n {
		e.now += int64(ms)
		names := plain(d)
		if len(names) == 0 {
			names = e.names()
		}
		for _, name := range names {
			if n := e.devices[name]; n.r != nil {
				n.r.Tick(e.now)
				if err := e.drive(n); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// match returns the indexes of the queued messages that d selects.
func (e *interaction) match(d *datadriven.TestData) ([]int, error) {
	n, err := number(d, "n", 1)
	if err != nil {
		return nil, err
	}
	var out []int
	for i, p := range e.queue {
		m, err := replica.DecodeMessage(p.message)
		typ := "malformed"
		if err == nil {
			typ = strings.TrimPrefix(fmt.Sprintf("%T", m), "*replica.")
		}
		if arg(d, "to", p.to) == p.to && arg(d, "from", p.from) == p.from && arg(d, "type", typ) == typ {
			out = append(out, i)
		}
	}
	if n > 0 && len(out) > n {
		if has(d, "last") {
			out = out[len(out)-n:]
		} else {
			out = out[:n]
		}
	}
	if len(out) == 0 {
		return nil, errors.New("no such message is on its way")
	}
	return out, nil
}

func (e *interaction) deliver(d *datadriven.TestData) error {
	which, err := e.match(d)
	if err != nil {
		return err
	}
	var parcels []parcel
	for _, i := range which {
		parcels = append(parcels, e.queue[i])
	}
	if !has(d, "dup") {
		for _, i := range slices.Backward(which) {
			e.queue = slices.Delete(e.queue, i, i+1)
		}
	}
	if has(d, "drop") {
		for _, p := range parcels {
			e.drops++
			e.printf("lost %s\n", e.describe(p))
		}
		return nil
	}
	if has(d, "reverse") {
		slices.Reverse(parcels)
	}
	for _, p := range parcels {
		if err := e.hand(p); err != nil {
			return err
		}
	}
	return nil
}

// hand gives a message to whom it is for.
func (e *interaction) hand(p parcel) error {
	n := e.devices[p.to]
	if n.r == nil {
		e.printf("%s is down: lost %s\n", p.to, e.describe(p))
		return nil
	}
	if err := n.step(e.devices[p.from].id, p.gossip, p.message, e.now); err != nil {
		e.printf("%s refuses %s: %v\n", p.to, e.describe(p), err)
	}
	return e.drive(n)
}

func (e *interaction) stabilize(d *datadriven.TestData) error {
	ticks, err := number(d, "ticks", 0)
	if err != nil {
		return err
	}
	quiet := has(d, "quiet")
	before := e.trace.Len()
	for tick := 0; ; tick++ {
		for steps := 0; len(e.queue) > 0; steps++ {
			if steps == 100_000 {
				return errors.New("they go on talking")
			}
			p := e.queue[0]
			e.queue = e.queue[1:]
			if err := e.hand(p); err != nil {
				return err
			}
		}
		if tick == ticks {
			break
		}
		e.now += 100
		for _, name := range e.names() {
			if n := e.devices[name]; n.r != nil {
				n.r.Tick(e.now)
				if err := e.drive(n); err != nil {
					return err
				}
			}
		}
	}
	if quiet {
		said := strings.Count(e.trace.String()[before:], "\n")
		e.trace.Reset()
		e.printf("%d messages\n", said)
	}
	return nil
}

func (e *interaction) breakMessage(d *datadriven.TestData) error {
	which, err := e.match(d)
	if err != nil {
		return err
	}
	p := &e.queue[which[0]]
	p.message = slices.Clone(p.message)
	if arg(d, "at", "") != "sig" {
		at, err := number(d, "at", 0)
		if err != nil {
			return err
		}
		p.message[at] ^= 1
		return nil
	}
	m, err := replica.DecodeMessage(p.message)
	if err != nil {
		return err
	}
	c, ok := m.(*replica.Changes)
	if !ok {
		return errors.New("only Changes have a signature at their end")
	}
	batch := slices.Clone(c.Batch)
	batch[len(batch)-1] ^= 1
	p.message = (&replica.Changes{Batch: batch, Remaining: c.Remaining}).AppendTo(nil)
	return nil
}

func (e *interaction) crash(d *datadriven.TestData) error {
	n, err := e.device(plain(d)[0])
	if err != nil {
		return err
	}
	switch when := arg(d, "when", ""); when {
	case "before-fsync", "after-fsync":
		rd := n.r.Ready()
		e.printf("%s", rd)
		if when == "after-fsync" {
			if err := n.write(rd); err != nil {
				return err
			}
		}
	case "":
	default:
		return fmt.Errorf("crash when %q", when)
	}
	n.crash()
	for _, other := range e.names() {
		for _, l := range []link{{n.name, other}, {other, n.name}} {
			if e.links[l] {
				e.unlink(l.from, l.to)
				if m := e.devices[l.from]; m.r != nil {
					m.r.Disconnect(n.id)
				}
			}
		}
	}
	return nil
}

func (e *interaction) start(d *datadriven.TestData) error {
	n := e.devices[plain(d)[0]]
	switch arg(d, "forget", "") {
	case "peers":
		clear(n.peers)
	case "records":
		clear(n.records)
	}
	return n.start()
}
