package crdt

import (
	"slices"

	"github.com/atollsync/atoll/crdt/causal"
)

// place is where entries stand: a key of a map, or an element of a list.
type place struct {
	entries []*entry
	// hidden of the entries, the first ones, do not stand: those who delete and write anew leave many.
	hidden int
	// deletes are the maximal deletes of this place: none is in another's history.
	deletes []causal.LV
}

// entry is a container at a place. It is never emptied, only hidden, by having no write alive.
type entry struct {
	kind    Kind
	birth   causal.Dot
	alive   []causal.LV // the maximal surviving writes to it or anything below it
	content content
}

// content is what an entry holds, one type per kind.
type content interface {
	// appendValue appends what is shown, as a canonical msgpack value.
	appendValue(s *State, buf []byte) []byte
	// appendDigest appends all that later ops can bring to light, the same on every replica that
	// applied the same changes.
	appendDigest(s *State, buf []byte) []byte
}

func newContent(k Kind) content {
	switch k {
	case Register:
		return new(registerContent)
	case Counter:
		return new(counterContent)
	case Set:
		return &setContent{members: make(map[Value][]causal.LV)}
	case RemoveWinsSet:
		return &rwSetContent{members: make(map[Value]*rwMember)}
	case Map, DeleteWinsMap:
		return &mapContent{places: make(map[string]*place), deletesWin: k == DeleteWinsMap}
	case List:
		return &listContent{places: make(map[causal.LV]*place)}
	case Text:
		return new(textContent)
	}
	panic("crdt: content of unknown " + k.String())
}

// find returns the entry of that name, standing or not, nil if nothing ever named it.
func (p *place) find(kind Kind, birth causal.Dot) *entry {
	if i := p.index(kind, birth); i >= 0 {
		return p.entries[i]
	}
	return nil
}

// index returns where in p.entries the entry of that name is, -1 if it is not there. The one that was born last is asked for most.
func (p *place) index(kind Kind, birth causal.Dot) int {
	for i, e := range slices.Backward(p.entries) {
		if e.birth.Seq == birth.Seq && e.kind == kind && e.birth == birth {
			return i
		}
	}
	return -1
}

// entry returns the entry of that name, which it makes if nothing named it before, to be written to.
func (p *place) entry(ps *pass, kind Kind, birth causal.Dot) *entry {
	if i := p.index(kind, birth); i >= 0 {
		p.hidden = min(p.hidden, i)
		return p.entries[i]
	}
	e := &entry{kind: kind, birth: birth, content: newContent(kind)}
	n := len(p.entries)
	p.entries = append(p.entries, e)
	if ps.undoable() {
		ps.undo(func() { p.entries = p.entries[:n] })
	}
	return e
}

// shown returns the entry that is shown here: of those that stand the one with
// the latest surviving write, nil if none stands.
func (p *place) shown(s *State) *entry { return p.latest(s, 0) }

// stands reports whether any entry stands here.
func (p *place) stands() bool {
	return slices.ContainsFunc(p.entries[p.hidden:], func(e *entry) bool { return len(e.alive) > 0 })
}

// latest returns the standing entry with the latest surviving write among those of
// a kind, or of all kinds if it is 0.
func (p *place) latest(s *State, kind Kind) *entry {
	var best *entry
	var at causal.LV
	for _, e := range p.entries[p.hidden:] {
		if len(e.alive) == 0 || kind != 0 && e.kind != kind {
			continue
		}
		if lv := s.latest(e.alive); best == nil || s.later(lv, at) {
			best, at = e, lv
		}
	}
	return best
}

// standing returns the entries that stand, the shown one first, then by latest write.
func (p *place) standing(s *State) []*entry {
	var out []*entry
	for _, e := range p.entries[p.hidden:] {
		if len(e.alive) > 0 {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b *entry) int { return s.byLatest(s.latest(a.alive), s.latest(b.alive)) })
	return out
}

// birth returns what an entry started here by one who saw s is born of: the latest delete,
// zero if there was none.
func (p *place) birth(s *State) causal.Dot {
	if len(p.deletes) == 0 {
		return causal.Dot{}
	}
	return s.dot(s.latest(p.deletes))
}

// admits reports whether a write by the op that ps is at survives here: always, unless deletes win,
// and then only if it saw every delete.
func (p *place) admits(ps *pass, deletesWin bool) bool {
	if deletesWin {
		for _, d := range p.deletes {
			if !ps.saw(d) {
				return false
			}
		}
	}
	return true
}

// delete hides what stands here: the writes that the delete saw, or all of them if deletes win.
func (p *place) delete(ps *pass, deletesWin bool) {
	before := p.hidden
	for i, e := range p.entries[before:] {
		ps.drop(&e.alive, deletesWin)
		if r, ok := e.content.(*registerContent); ok {
			r.drop(ps, deletesWin)
		}
		if len(e.alive) == 0 && p.hidden == before+i {
			p.hidden++
		}
	}
	if ps.undoable() {
		ps.undo(func() { p.hidden = before })
	}
	ps.supersede(&p.deletes, ps.lv)
}

// appendDigest appends all entries in an order of their own, and the deletes.
func (p *place) appendDigest(s *State, buf []byte) []byte {
	entries := p.entries
	if len(entries) > 1 {
		entries = slices.Clone(entries)
		slices.SortFunc(entries, func(a, b *entry) int {
			if a.kind != b.kind {
				return int(a.kind) - int(b.kind)
			}
			return a.birth.Compare(b.birth)
		})
	}
	buf = appendArrayHead(buf, len(entries))
	for _, e := range entries {
		buf = appendUint(buf, uint64(e.kind))
		buf = appendWholeDot(buf, e.birth)
		buf = s.appendDots(buf, e.alive)
		buf = e.content.appendDigest(s, buf)
	}
	return s.appendDots(buf, p.deletes)
}
