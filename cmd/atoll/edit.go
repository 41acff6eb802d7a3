package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/atollsync/atoll/crdt"
)

// edit asks for one change at one place: what put, add, remove, insert, delete, move, mark and unmark send.
type edit struct {
	Do     string            `json:"do"`
	Path   string            `json:"path"`
	Kind   string            `json:"kind,omitempty"` // where nothing stands yet; put: what to make of it
	Values []json.RawMessage `json:"values,omitempty"`
	// Index and Count are a place in a list or text. Index -1 is the end.
	Index *int `json:"index,omitempty"`
	Count int  `json:"count,omitempty"`
	All   bool `json:"all,omitempty"` // remove: every element
	// To ends the part of a text that begins at Index, and Name is that of the mark it is to bear or lose. Growth is a crdt.Growth.
	To     *int   `json:"to,omitempty"`
	Name   string `json:"name,omitempty"`
	Growth uint8  `json:"growth,omitempty"`
}

// edited is the answer: the dot of the change, "" if nothing had to change.
type edited struct {
	Store string `json:"store"`
	Path  string `json:"path"`
	Dot   string `json:"dot"`
}

// sendEdit sends e and prints its dot.
func (a *app) sendEdit(cmd *cobra.Command, store string, e edit) error {
	if e.Path == "" {
		return usagef("an empty PATH: say which slice")
	}
	return a.with(cmd.Context(), func(c *client) error {
		var out edited
		if err := c.call(cmd.Context(), http.MethodPost, storePath(store, "edit"), e, &out); err != nil {
			return err
		}
		return a.print(out, func(w io.Writer) {
			if out.Dot == "" {
				fmt.Fprintln(w, "nothing to change")
			}
		})
	})
}

// kindFlag adds --kind to a command.
func kindFlag(cmd *cobra.Command, kind *string, what string) {
	cmd.Flags().StringVar(kind, "kind", "", what)
	cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(
		[]string{"register", "counter", "set", "rwset", "map", "dwmap", "list", "text"}, cobra.ShellCompDirectiveNoFileComp))
}

func (c *control) edit(r *http.Request) (any, error) {
	s, err := c.store(r)
	if err != nil {
		return nil, err
	}
	var in edit
	if err := read(r, &in); err != nil {
		return nil, err
	}
	keys, err := parsePath(in.Path)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, badRequest("an empty PATH: say which slice")
	}
	var kind crdt.Kind
	if in.Kind != "" {
		if kind, err = crdt.ParseKind(in.Kind); err != nil {
			return nil, badRequest("%v", err)
		}
	}
	values := make([]crdt.Value, len(in.Values))
	for i, v := range in.Values {
		if values[i], err = crdt.ParseJSON(v); err != nil {
			return nil, badRequest("value %s: %v", v, err)
		}
	}
	w := &writer{keys: keys, asked: kind, values: values, edit: in}
	dot, err := s.Update(r.Context(), func(tx *crdt.Tx) error {
		w.place, w.state = tx.Path(keys...), tx.State()
		switch in.Do {
		case "put":
			return w.put()
		case "add":
			return w.add()
		case "remove":
			return w.remove()
		case "insert":
			return w.insert()
		case "delete":
			return w.delete()
		case "move":
			return w.move(tx)
		case "mark", "unmark":
			return w.mark()
		}
		return badRequest("edit %q is none of put, add, remove, insert, delete, move, mark, unmark", in.Do)
	})
	if err != nil {
		return nil, err
	}
	out := edited{Store: s.Name(), Path: in.Path}
	if !dot.IsZero() {
		out.Dot = dot.Text()
	}
	return out, nil
}

// writer carries out an edit within a transaction. What it does depends on what stands at the place.
type writer struct {
	edit   edit
	keys   []string
	place  *crdt.TxPlace
	state  *crdt.State
	asked  crdt.Kind // --kind, 0 if not given
	values []crdt.Value
}

func (w *writer) path() string { return crdt.FormatPointer(w.keys) }

// refuse says that an edit does not fit what stands at its place.
func (w *writer) refuse(hint, format string, args ...any) error {
	return &failure{Status: http.StatusConflict, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// kind returns the kind that the edit goes to: the one that stands, or else the one asked for, or else otherwise.
func (w *writer) kind(otherwise crdt.Kind) (crdt.Kind, error) {
	stands := w.place.Kind()
	switch {
	case stands != 0 && w.asked != 0 && stands != w.asked:
		return 0, w.refuse("--kind is for where nothing stands yet; atoll delete it first to make something else of it",
			"%s is a %s, not a %s", w.path(), stands, w.asked)
	case stands != 0:
		return stands, nil
	case w.asked != 0:
		return w.asked, nil
	}
	return otherwise, nil
}

// put makes the value stand at the place: in a register, unless --kind or what stands there says otherwise.
func (w *writer) put() error {
	v := w.values[0]
	stands := w.place.Kind()
	kind := w.asked
	if kind == 0 {
		kind = crdt.Register
		if stands == crdt.Text {
			kind = crdt.Text
		}
	}
	switch kind {
	case crdt.Register:
		if w.asked == 0 && stands != 0 && stands != crdt.Register {
			return w.refuse(fmt.Sprintf("use %s; or put it with --kind register, which deletes the %s", verbsFor(stands), stands),
				"%s is a %s", w.path(), stands)
		}
		w.place.Put(v)
		return nil
	case crdt.Text:
		s, ok := v.Str()
		if !ok {
			return w.refuse("", "%s is a text: put takes a string, not %s", w.path(), v)
		}
		w.place.New(crdt.Text)
		w.place.Text().Set(s)
		return nil
	}
	if stands != 0 {
		return w.refuse("use "+verbsFor(stands), "%s is a %s already", w.path(), stands)
	}
	switch kind {
	case crdt.Counter:
		n, ok := v.Int()
		if !ok {
			return badRequest("a counter starts from an integer, not %s", v)
		}
		w.place.Counter().Add(n)
	case crdt.Set, crdt.RemoveWinsSet:
		items, ok := itemsOf(v)
		if !ok {
			return badRequest("a %s starts from an array, not %s", kind, v)
		}
		w.place.New(kind)
		w.addAll(kind, items)
	case crdt.List:
		items, ok := itemsOf(v)
		if !ok {
			return badRequest("a list starts from an array, not %s", v)
		}
		w.place.New(kind)
		if len(items) > 0 {
			w.place.List().Insert(0, anys(items)...)
		}
	case crdt.Map, crdt.DeleteWinsMap:
		fields, ok := v.Any().(map[string]any)
		if !ok {
			return badRequest("a %s starts from an object, not %s", kind, v)
		}
		w.place.New(kind)
		for _, k := range slices.Sorted(maps.Keys(fields)) {
			if kind == crdt.Map {
				w.place.Map().Put(k, fields[k])
			} else {
				w.place.DeleteWinsMap().Put(k, fields[k])
			}
		}
	}
	return nil
}

// add adds to a counter or a set.
func (w *writer) add() error {
	otherwise := crdt.Set
	if _, isInt := w.values[0].Int(); isInt && len(w.values) == 1 {
		otherwise = crdt.Counter
	}
	kind, err := w.kind(otherwise)
	if err != nil {
		return err
	}
	switch kind {
	case crdt.Counter:
		for _, v := range w.values {
			n, ok := v.Int()
			if !ok {
				return w.refuse("", "%s is a counter: add takes an integer, not %s", w.path(), v)
			}
			w.place.Counter().Add(n)
		}
	case crdt.Set, crdt.RemoveWinsSet:
		w.addAll(kind, w.values)
	default:
		return w.refuse("use "+verbsFor(kind), "%s is a %s: add is for counters and sets", w.path(), kind)
	}
	return nil
}

func (w *writer) addAll(kind crdt.Kind, values []crdt.Value) {
	for _, v := range values {
		if kind == crdt.Set {
			w.place.Set().Add(v)
		} else {
			w.place.RemoveWinsSet().Add(v)
		}
	}
}

// remove removes elements from a set.
func (w *writer) remove() error {
	kind, err := w.kind(0)
	if err != nil {
		return err
	}
	switch kind {
	case crdt.Set:
		if w.edit.All {
			w.place.Set().Clear()
		}
		for _, v := range w.values {
			w.place.Set().Remove(v)
		}
	case crdt.RemoveWinsSet:
		if w.edit.All {
			w.place.RemoveWinsSet().Clear()
		}
		for _, v := range w.values {
			w.place.RemoveWinsSet().Remove(v)
		}
	case 0:
		return w.refuse("--kind rwset removes from a set that nobody has added to yet", "nothing at %s", w.path())
	default:
		return w.refuse("use "+verbsFor(kind), "%s is a %s: remove is for sets", w.path(), kind)
	}
	return nil
}

// insert inserts into a list or text.
func (w *writer) insert() error {
	kind, err := w.kind(0)
	if err != nil {
		return err
	}
	switch kind {
	case crdt.List:
		l := w.place.List()
		at, err := w.index(l.Len(), "element")
		if err != nil {
			return err
		}
		l.Insert(at, anys(w.values)...)
	case crdt.Text:
		t := w.place.Text()
		at, err := w.index(t.Len(), "code point")
		if err != nil {
			return err
		}
		for _, v := range w.values {
			s, ok := v.Str()
			if !ok {
				s = v.String() // 42 typed into a text is the characters 4 and 2
			}
			t.Insert(at, s)
			at += len([]rune(s))
		}
	case 0:
		return w.refuse("say --kind list or --kind text", "nothing at %s yet", w.path())
	default:
		return w.refuse("use "+verbsFor(kind), "%s is a %s: insert is for lists and texts", w.path(), kind)
	}
	return nil
}

// index returns where to insert into a sequence of n units.
func (w *writer) index(n int, unit string) (int, error) {
	if w.edit.Index == nil {
		return 0, badRequest("insert takes an INDEX")
	}
	at := *w.edit.Index
	if at == -1 {
		at = n
	}
	if at < 0 || at > n {
		return 0, w.refuse("", "%s has %s: no place %d to insert at", w.path(), plural(n, unit), at)
	}
	return at, nil
}

// delete deletes what stands at the place, or a range of a list or text.
func (w *writer) delete() error {
	kind := w.place.Kind()
	if kind == 0 {
		return nothingAt(w.state, w.keys)
	}
	if w.edit.Index == nil {
		w.place.Delete()
		return nil
	}
	at, count := *w.edit.Index, w.edit.Count
	n, unit := 0, "element"
	switch kind {
	case crdt.List:
		n = w.place.List().Len()
	case crdt.Text:
		n, unit = w.place.Text().Len(), "code point"
	default:
		return w.refuse("atoll delete STORE PATH deletes what stands at PATH", "%s is a %s: only lists and texts have an INDEX", w.path(), kind)
	}
	if at < 0 || count < 1 || at+count > n {
		return w.refuse("", "%s has %s: cannot delete %d at %d", w.path(), plural(n, unit), count, at)
	}
	if kind == crdt.List {
		w.place.List().Delete(at, count)
	} else {
		w.place.Text().Delete(at, count)
	}
	return nil
}

// move moves the list element at the place.
func (w *writer) move(tx *crdt.Tx) error {
	last := len(w.keys) - 1
	switch of := tx.Path(w.keys[:last]...); {
	case w.place.Kind() == 0:
		return nothingAt(w.state, w.keys)
	case last == 0 || of.Kind() != crdt.List:
		return w.refuse("PATH leads to a list and ends in an index, like steps/3", "%s is no element of a list", w.path())
	case w.edit.Index == nil:
		return badRequest("move takes an INDEX")
	default:
		from, err := strconv.Atoi(w.keys[last])
		if err != nil {
			return err // something stands there, so it is an index
		}
		others, to := of.List().Len()-1, *w.edit.Index
		if to == -1 {
			to = others
		}
		if to < 0 || to > others {
			return w.refuse("", "%s has %s beside that one: no place %d", crdt.FormatPointer(w.keys[:last]), plural(others, "element"), to)
		}
		of.List().Move(from, to)
		return nil
	}
}

// verbsFor names the commands that edit a kind.
func verbsFor(k crdt.Kind) string {
	switch k {
	case crdt.Counter:
		return "atoll add"
	case crdt.Set, crdt.RemoveWinsSet:
		return "atoll add and atoll remove"
	case crdt.List, crdt.Text:
		return "atoll insert and atoll delete"
	case crdt.Map, crdt.DeleteWinsMap:
		return "a PATH to one of its keys"
	}
	return "atoll put"
}

// anys returns values as Tx methods take them.
func anys(values []crdt.Value) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = v
	}
	return out
}
