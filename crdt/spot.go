package crdt

// spot is the text that the last op went to, below maps of which none is a DeleteWinsMap: the next one mostly
// goes there too, and then need not be led there from the root. The zero value is nowhere.
//
// Invariant: every entry of the spot is in place, and if shown is set, none stands that would take its place for an author
// at the State's version. So the spot is left when an op of another kind goes to its slice.
type spot struct {
	path    Path
	entries []*entry // along path
	text    *textContent
	shown   bool // an author who addresses the text by keys and kinds means this one
}

// isTyping reports whether op is one of those that are applied at a spot.
func (op *Op) isTyping() bool { return op.Code == CodeTextInsert || op.Code == CodeTextDelete }

// is reports whether path leads to the spot.
func (sp *spot) is(path Path) bool {
	if sp.text == nil || len(path) != len(sp.path) {
		return false
	}
	if &path[0] == &sp.path[0] {
		return true
	}
	for i := range path {
		if path[i] != sp.path[i] {
			return false
		}
	}
	return true
}

// at reports whether an author means the spot by a.
func (sp *spot) at(a *address) bool {
	if !sp.shown {
		return false
	}
	for i := len(sp.path) - 1; i >= 0; i-- {
		if a == nil || a.key != sp.path[i].Key || a.kind != sp.path[i].Kind {
			return false
		}
		a = a.parent
	}
	return a == nil
}

// leave forgets the spot if op may put something else in its place.
func (sp *spot) leave(op *Op) {
	if sp.text != nil && len(op.Path) > 0 && op.Path[0].Key == sp.path[0].Key {
		*sp = spot{}
	}
}

// move moves the spot to the text that path leads to, and reports whether it can be there.
func (sp *spot) move(s *State, path Path) bool {
	*sp = spot{path: path, entries: sp.entries[:0]}
	var c content = s.root
	for _, step := range path {
		m, ok := c.(*mapContent)
		if !ok || m.deletesWin {
			return false
		}
		e := m.places[step.Key].find(step.Kind, step.Birth)
		sp.entries = append(sp.entries, e)
		c = e.content
	}
	sp.text, _ = c.(*textContent)
	return sp.text != nil
}
