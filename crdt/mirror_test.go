package crdt

import (
	"fmt"
	"slices"
	"strconv"
)

// mirror is a copy of what a state shows that is kept up by events alone, as a user
// interface would: objects as map[string]any, lists and sets as []any, all else as Value.
type mirror struct {
	root any
}

func newMirror() *mirror { return &mirror{root: map[string]any{}} }

// unfold returns v as a tree that can be edited.
func unfold(v Value) any {
	switch v.Type() {
	case ObjectType:
		out := map[string]any{}
		v.eachField(func(key string, field Value) { out[key] = unfold(field) })
		return out
	case ListType:
		out := []any{}
		for _, item := range v.parts() {
			out = append(out, unfold(item))
		}
		return out
	}
	return v
}

func fold(x any) Value {
	v, err := ValueOf(x)
	if err != nil {
		panic(err)
	}
	return v
}

// apply plays the edits of ev and returns what is wrong with them.
func (m *mirror) apply(ev Event) error {
	for _, e := range ev.Edits {
		var problem error
		m.root, problem = editNode(m.root, e.Path, e)
		if problem != nil {
			return fmt.Errorf("edit %+v: %w", e, problem)
		}
	}
	return nil
}

// editNode returns node with the edit at path done, and nil if nothing is left.
func editNode(node any, path []string, e Edit) (any, error) {
	if len(path) == 0 {
		return editHere(node, e)
	}
	switch n := node.(type) {
	case map[string]any:
		child, err := editNode(n[path[0]], path[1:], e)
		if err != nil {
			return nil, err
		}
		if child == nil {
			delete(n, path[0])
		} else {
			n[path[0]] = child
		}
		return n, nil
	case []any:
		i, err := strconv.Atoi(path[0])
		if err != nil || i >= len(n) {
			return nil, fmt.Errorf("no element %q of %d", path[0], len(n))
		}
		child, err := editNode(n[i], path[1:], e)
		if err != nil {
			return nil, err
		}
		if child == nil {
			child = Nil // an element where nothing stands
		}
		n[i] = child
		return n, nil
	}
	return nil, fmt.Errorf("%q leads through %v", e.Path, node)
}

func editHere(node any, e Edit) (any, error) {
	says := 0
	for _, some := range []bool{e.replaces(), len(e.Splices)+len(e.Marks) > 0, len(e.Added)+len(e.Removed) > 0} {
		if some {
			says++
		}
	}
	if says != 1 {
		return nil, fmt.Errorf("it says %d things", says)
	}
	if e.replaces() {
		switch {
		case e.Old == nil && node != nil && node != any(Nil):
			return nil, fmt.Errorf("it says nothing was there, but there was %v", fold(node))
		case e.Old != nil && (node == nil || fold(node) != *e.Old):
			return nil, fmt.Errorf("what was there is %v", node)
		case e.New == nil:
			return nil, nil
		}
		return unfold(*e.New), nil
	}
	for _, s := range e.Splices {
		switch n := node.(type) {
		case []any:
			if s.Pos+s.Deleted > len(n) || len(s.Values) != s.Inserted || s.Text != "" {
				return nil, fmt.Errorf("splice %+v of %d elements", s, len(n))
			}
			var fresh []any
			for _, v := range s.Values {
				fresh = append(fresh, unfold(v))
			}
			node = slices.Replace(n, s.Pos, s.Pos+s.Deleted, fresh...)
		case Value:
			text, ok := n.Str()
			runes := []rune(text)
			if !ok || s.Pos+s.Deleted > len(runes) || len([]rune(s.Text)) != s.Inserted || len(s.Values) > 0 {
				return nil, fmt.Errorf("splice %+v of %s", s, n)
			}
			node = fold(string(slices.Replace(runes, s.Pos, s.Pos+s.Deleted, []rune(s.Text)...)))
		default:
			return nil, fmt.Errorf("splices of %v", node)
		}
	}
	if len(e.Marks) > 0 {
		n, ok := node.(Value)
		text, isText := n.Str()
		for _, m := range e.Marks {
			if !ok || !isText || m.From < 0 || m.From >= m.To || m.To > len([]rune(text)) || m.Name == "" {
				return nil, fmt.Errorf("mark %+v of %v", m, node)
			}
		}
	}
	if len(e.Added)+len(e.Removed) > 0 {
		n, ok := node.([]any)
		if !ok {
			return nil, fmt.Errorf("members of %v", node)
		}
		for _, v := range e.Removed {
			i := slices.Index(n, any(v))
			if i < 0 {
				return nil, fmt.Errorf("%s was no member", v)
			}
			n = slices.Delete(n, i, i+1)
		}
		for _, v := range e.Added {
			if slices.Contains(n, any(v)) {
				return nil, fmt.Errorf("%s was a member", v)
			}
			n = append(n, any(v))
		}
		slices.SortFunc(n, func(a, b any) int { return a.(Value).Compare(b.(Value)) })
		node = n
	}
	return node, nil
}
