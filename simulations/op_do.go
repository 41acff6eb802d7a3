package simulations

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/atollsync/atoll/crdt"
)

// do does the command. What it finds nothing for is an error that wraps errNotThere; bad arguments stick to tx.
func (c *command) do(tx *crdt.Tx) error {
	if c.verb == "undo" {
		return errUndoNeedsADevice
	}
	keys, err := c.resolve(tx)
	if err != nil {
		return err
	}
	d := doing{command: c, tx: tx, keys: keys, place: tx.Path(keys...)}
	d.stands = d.place.Kind()
	switch c.verb {
	case "put":
		return d.put()
	case "touch":
		return d.touch()
	case "delete":
		return d.delete()
	case "add":
		return d.add()
	case "remove", "clear":
		return d.remove()
	case "insert":
		return d.insert()
	case "set":
		return d.set()
	case "move":
		return d.move()
	}
	return d.mark()
}

// resolve returns the keys of the command's path with indexes that are beyond the end of a list, or "end", replaced by that of its last element.
func (c *command) resolve(tx *crdt.Tx) ([]string, error) {
	keys := slices.Clone(c.keys)
	for i := 1; i < len(keys); i++ {
		place := tx.Path(keys[:i]...)
		switch kind := place.Kind(); kind {
		case crdt.List:
		case 0, crdt.Map, crdt.DeleteWinsMap:
			continue
		default:
			return nil, fmt.Errorf("%s, which is a %s and holds nothing by keys: %w", crdt.FormatPointer(keys[:i]), kind, errNotThere)
		}
		at, ok := word{text: keys[i]}.index()
		n := place.List().Len()
		if !ok || n == 0 {
			return nil, fmt.Errorf("%s: %w", crdt.FormatPointer(keys[:i+1]), errNotThere)
		}
		if at == atEnd || at >= n {
			at = n - 1
		}
		keys[i] = strconv.Itoa(at)
	}
	return keys, nil
}

// doing is a command that is done.
type doing struct {
	*command
	tx     *crdt.Tx
	keys   []string
	place  *crdt.TxPlace
	stands crdt.Kind // 0: nothing
}

// nothing says that there is nothing to do it to.
func (d *doing) nothing() error { return fmt.Errorf("%s: %w", crdt.FormatPointer(d.keys), errNotThere) }

// unfit says that what stands there is of a kind that the command is not for. That, too, is for others to have made, so it counts as nothing there.
func (d *doing) unfit(kind crdt.Kind) error {
	return fmt.Errorf("%s is a %s, which %s is not for: %w of a kind that it is for", crdt.FormatPointer(d.keys), kind, d.verb, errNotThere)
}

// into returns the kind that the command goes to: the one asked for, or the one that stands, or otherwise.
func (d *doing) into(otherwise crdt.Kind) crdt.Kind {
	switch {
	case d.kind != 0:
		return d.kind
	case d.stands != 0:
		return d.stands
	}
	return otherwise
}

// index returns an index of n places.
func (d *doing) index(i, n int) int {
	if d.at[i] == atEnd || d.at[i] > n {
		return n
	}
	return d.at[i]
}

func (d *doing) put() error {
	v := d.values[0]
	kind := d.kind
	if kind == 0 {
		kind = crdt.Register
		if _, isString := v.Str(); isString && d.stands == crdt.Text {
			kind = crdt.Text
		}
	}
	switch kind {
	case crdt.Register:
		d.place.Put(v)
		return nil
	case crdt.Counter:
		n, ok := v.Int()
		if !ok {
			return fmt.Errorf("a counter starts from an integer, not %s", v)
		}
		d.place.Counter().Add(n)
		return nil
	case crdt.Text:
		s, ok := v.Str()
		if !ok {
			return fmt.Errorf("a text is put as a string, not %s", v)
		}
		d.place.New(crdt.Text)
		d.place.Text().Set(s)
		return nil
	}
	switch x := v.Any().(type) {
	case []any:
		d.place.New(kind)
		switch kind {
		case crdt.Set:
			d.place.Set().Add(x...)
			return nil
		case crdt.RemoveWinsSet:
			d.place.RemoveWinsSet().Add(x...)
			return nil
		case crdt.List:
			d.place.List().Append(x...)
			return nil
		}
	case map[string]any:
		if kind != crdt.Map && kind != crdt.DeleteWinsMap {
			break
		}
		d.place.New(kind)
		m := d.place.Map()
		if kind == crdt.DeleteWinsMap {
			m = d.place.DeleteWinsMap()
		}
		for _, k := range slices.Sorted(maps.Keys(x)) {
			m.Put(k, x[k])
		}
		return nil
	}
	return fmt.Errorf("a %s is not made of %s", kind, v)
}

func (d *doing) touch() error {
	d.place.New(d.into(crdt.Map))
	return nil
}

func (d *doing) delete() error {
	if d.stands == 0 {
		return d.nothing()
	}
	if len(d.at) == 0 {
		d.place.Delete()
		return nil
	}
	var n int
	switch d.stands {
	case crdt.List:
		n = d.place.List().Len()
	case crdt.Text:
		n = d.place.Text().Len()
	default:
		return d.unfit(d.stands)
	}
	if n == 0 {
		return d.nothing()
	}
	at, count := min(d.index(0, n), n-1), 1
	if len(d.at) > 1 {
		count = min(d.at[1], n-at)
	}
	if d.stands == crdt.List {
		d.place.List().Delete(at, count)
	} else {
		d.place.Text().Delete(at, count)
	}
	return nil
}

func (d *doing) add() error {
	otherwise := crdt.Set
	if len(d.values) == 0 {
		otherwise = crdt.Counter
	} else if _, isInt := d.values[0].Int(); isInt && len(d.values) == 1 {
		otherwise = crdt.Counter
	}
	switch kind := d.into(otherwise); kind {
	case crdt.Counter:
		if len(d.values) == 0 {
			d.place.Counter().Add(1)
		}
		for _, v := range d.values {
			n, ok := v.Int()
			if !ok {
				return d.unfit(kind)
			}
			d.place.Counter().Add(n)
		}
	case crdt.Set:
		d.place.Set().Add(d.members()...)
	case crdt.RemoveWinsSet:
		d.place.RemoveWinsSet().Add(d.members()...)
	default:
		return d.unfit(kind)
	}
	return nil
}

// members returns the values as Tx methods take them: 1 if there are none.
func (d *doing) members() []any {
	if len(d.values) == 0 {
		return []any{1}
	}
	out := make([]any, len(d.values))
	for i, v := range d.values {
		out[i] = v
	}
	return out
}

func (d *doing) remove() error {
	kind := d.into(0)
	var set *crdt.TxSet
	switch kind {
	case 0:
		return d.nothing()
	case crdt.Set:
		set = d.place.Set()
	case crdt.RemoveWinsSet:
		set = d.place.RemoveWinsSet()
	default:
		return d.unfit(kind)
	}
	if d.verb == "clear" {
		set.Clear()
	} else {
		set.Remove(d.members()...)
	}
	return nil
}

func (d *doing) insert() error {
	otherwise := crdt.List
	if d.isNew {
		if d.stands != 0 && d.stands != crdt.List {
			return d.unfit(d.stands)
		}
		l := d.place.List()
		l.InsertNew(d.index(0, l.Len()), d.kind)
		return nil
	}
	if _, isString := d.values[0].Str(); isString && len(d.values) == 1 {
		otherwise = crdt.Text
	}
	switch kind := d.into(otherwise); kind {
	case crdt.List:
		l := d.place.List()
		l.Insert(d.index(0, l.Len()), d.members()...)
	case crdt.Text:
		t := d.place.Text()
		at := d.index(0, t.Len())
		for _, v := range d.values {
			s, ok := v.Str()
			if !ok {
				s = v.String()
			}
			t.Insert(at, s)
			at += len([]rune(s))
		}
	default:
		return d.unfit(kind)
	}
	return nil
}

func (d *doing) set() error {
	if d.stands != crdt.List {
		if d.stands == 0 {
			return d.nothing()
		}
		return d.unfit(d.stands)
	}
	l := d.place.List()
	n := l.Len()
	if n == 0 {
		return d.nothing()
	}
	l.Set(min(d.index(0, n), n-1), d.values[0])
	return nil
}

func (d *doing) move() error {
	last := len(d.keys) - 1
	if last == 0 || d.stands == 0 {
		return d.nothing()
	}
	of := d.tx.Path(d.keys[:last]...)
	if of.Kind() != crdt.List {
		return d.unfit(of.Kind())
	}
	from, err := strconv.Atoi(d.keys[last])
	if err != nil {
		return err // resolve made it a number
	}
	l := of.List()
	l.Move(from, d.index(0, l.Len()-1))
	return nil
}

func (d *doing) mark() error {
	switch d.stands {
	case 0:
		return d.nothing()
	case crdt.Text:
	default:
		return d.unfit(d.stands)
	}
	t := d.place.Text()
	n := t.Len()
	from, to := d.index(0, n), d.index(1, n)
	if from >= to {
		return d.nothing()
	}
	growth := crdt.GrowEnd
	if _, isComment := crdt.CommentID(d.name); isComment || d.name == crdt.MarkLink || d.name == crdt.MarkCode {
		growth = crdt.GrowNone
	}
	if d.growth != "" {
		growth = growths[d.growth]
	}
	if d.verb == "unmark" {
		t.Unmark(from, to, d.name, growth)
		return nil
	}
	value := crdt.BoolValue(true)
	if len(d.values) > 0 {
		value = d.values[0]
	}
	t.Mark(from, to, d.name, value, growth)
	return nil
}
