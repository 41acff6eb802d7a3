package simulations

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/storage"
)

// logWorkload is what was once done in a real store, done again by the devices of a simulation: each author is one of them, in
// turn, and the time that it took is stretched or pressed into that of the workload.
//
// What a change did to what its store showed becomes an op that does the same, by paths and indexes, to what the
// device shows. A change that did nothing there, since a concurrent one had won, is left out.
type logWorkload struct {
	pace
	ops  []loggedOp
	done int
}

// loggedOp is what one change of a log did.
type loggedOp struct {
	author   int // in the order in which they first wrote
	time     int64
	commands []*command
}

func newLogWorkload(w *Workload, p pace) (*logWorkload, error) {
	most := MaxRecorded
	if w.Ops > 0 {
		most = min(most, w.Ops)
	}
	ops, err := readLog(w.Log, w.Store, most)
	if err != nil {
		return nil, fmt.Errorf("log %s: %w", w.Log, err)
	}
	return &logWorkload{pace: p, ops: ops}, nil
}

func (l *logWorkload) next() (time.Duration, int, bool) {
	if l.done == len(l.ops) {
		return 0, 0, false
	}
	op := l.ops[l.done]
	first, last := l.ops[0].time, l.ops[0].time
	if n := len(l.ops); l.ops[n-1].time > first {
		last = l.ops[n-1].time
	}
	if last > first && op.time > first {
		share := min(float64(op.time-first)/float64(last-first+1), 1)
		l.at = max(l.at, l.end-time.Duration(float64(l.end-l.begin)*(1-share)))
	}
	l.done++
	return l.at, l.devices[op.author%len(l.devices)], true
}

func (l *logWorkload) op(*Device, Rand) (Op, error) { return opOf(l.ops[l.done-1].commands...), nil }

var errEnough = errors.New("enough")

// readLog reads what at most so many changes did: of an archive, or of a store of a data directory, such as atoll backup writes.
func readLog(path, store string, most int) ([]loggedOp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	r := logReader{chains: crdt.NewChains(crdt.StoreID{}), authors: make(map[crdt.Actor]int), most: most}
	r.state = crdt.NewState(r.chains)
	if info.IsDir() {
		err = r.directory(path, store)
	} else {
		err = r.archive(path)
	}
	if err != nil && err != errEnough {
		return nil, err
	}
	return r.ops, nil
}

// logReader follows a log and notes what its changes do.
type logReader struct {
	chains  *crdt.Chains
	state   *crdt.State
	authors map[crdt.Actor]int
	ops     []loggedOp
	most    int
}

func (r *logReader) archive(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	in, err := storage.NewArchiveReader(bufio.NewReader(f))
	if err != nil {
		return err
	}
	for {
		b, err := in.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := r.batch(b); err != nil {
			return err
		}
	}
}

func (r *logReader) directory(path, name string) error {
	db, err := storage.Open(path)
	if err != nil {
		return err
	}
	defer db.Close()
	stores, err := db.Stores()
	if err != nil {
		return err
	}
	var names []string
	for _, s := range stores {
		names = append(names, s.Name)
	}
	i := slices.Index(names, name)
	if name == "" && len(stores) == 1 {
		i = 0
	}
	if i < 0 {
		return fmt.Errorf("store %q is none of %q, which are there: say which with store", name, names)
	}
	log, err := db.Log(stores[i].ID)
	if err != nil {
		return err
	}
	return log.Load(func(_ uint64, raw []byte) error {
		b, err := crdt.DecodeBatch(raw)
		if err != nil {
			return err
		}
		return r.batch(b)
	})
}

func (r *logReader) batch(b *crdt.Batch) error {
	added, err := r.chains.AddUnhashed(b)
	if err != nil {
		return err
	}
	for a := range added.All {
		ev := r.state.Apply(a)
		var commands []*command
		for i := range ev.Edits {
			commands = append(commands, r.redo(&ev.Edits[i])...)
		}
		if len(commands) == 0 {
			continue
		}
		author, known := r.authors[a.Actor]
		if !known {
			author = len(r.authors)
			r.authors[a.Actor] = author
		}
		r.ops = append(r.ops, loggedOp{author: author, time: a.Effective.Millis(), commands: commands})
		if len(r.ops) == r.most {
			return errEnough
		}
	}
	return nil
}

// redo returns commands that do what an edit did.
func (r *logReader) redo(e *crdt.Edit) []*command {
	var out []*command
	add := func(c command) { c.keys = slices.Clone(e.Path); out = append(out, &c) }
	switch {
	case len(e.Splices)+len(e.Marks) > 0:
		for _, s := range e.Splices {
			if s.Deleted > 0 {
				add(command{verb: "delete", at: []int{s.Pos, s.Deleted}})
			}
			switch {
			case s.Text != "":
				add(command{verb: "insert", at: []int{s.Pos}, values: []crdt.Value{text(s.Text)}, kind: crdt.Text})
			default:
				for i, v := range s.Values {
					out = append(out, r.element(e.Path, s.Pos+i, v)...)
				}
			}
		}
		for _, m := range e.Marks {
			if m.Value == nil {
				add(command{verb: "unmark", at: []int{m.From, m.To}, name: m.Name})
			} else {
				add(command{verb: "mark", at: []int{m.From, m.To}, name: m.Name, values: []crdt.Value{*m.Value}})
			}
		}
	case len(e.Removed)+len(e.Added) > 0:
		if len(e.Removed) > 0 {
			add(command{verb: "remove", values: e.Removed, kind: e.Kind})
		}
		if len(e.Added) > 0 {
			add(command{verb: "add", values: e.Added, kind: e.Kind})
		}
	case e.New == nil:
		add(command{verb: "delete"})
	case e.Kind == crdt.Counter && e.Old != nil:
		before, _ := e.Old.Int()
		after, _ := e.New.Int()
		add(command{verb: "add", values: []crdt.Value{crdt.IntValue(after - before)}, kind: crdt.Counter})
	default:
		return r.build(e.Path)
	}
	return out
}

// element returns commands that insert an element as it is shown.
func (r *logReader) element(list []string, at int, v crdt.Value) []*command {
	path := append(slices.Clone(list), strconv.Itoa(at))
	place := r.state.Path(path...)
	kind := place.Kind()
	if kind == 0 || kind == crdt.Register || place.Value() != v {
		return []*command{{verb: "insert", keys: list, at: []int{at}, values: []crdt.Value{v}, kind: crdt.List}}
	}
	return append([]*command{{verb: "insert", keys: list, at: []int{at}, kind: kind, isNew: true}}, r.build(path)...)
}

// build returns commands that make what stands at path.
func (r *logReader) build(path []string) []*command {
	place := r.state.Path(path...)
	kind := place.Kind()
	switch kind {
	case 0:
		return nil
	case crdt.Map, crdt.DeleteWinsMap:
		out := []*command{{verb: "touch", keys: path, kind: kind}}
		for _, k := range place.Keys() {
			out = append(out, r.build(append(slices.Clone(path), k))...)
		}
		return out
	case crdt.List:
		out := []*command{{verb: "touch", keys: path, kind: kind}}
		list := place.List()
		for i := range list.Len() {
			v, _ := list.Get(i)
			out = append(out, r.element(path, i, v)...)
		}
		return out
	}
	return []*command{{verb: "put", keys: path, values: []crdt.Value{place.Value()}, kind: kind}}
}
