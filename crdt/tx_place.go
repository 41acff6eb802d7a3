package crdt

import (
	"fmt"
)

// TxPlace is a place in a transaction, named by keys, whatever kind of container is or will be there.
type TxPlace struct {
	tx   *Tx
	keys []string
}

// Path returns the place that keys lead to: keys of maps and indexes of list elements in decimal, as
// State.Path reads them. Maps on the way that do not exist are made when something is written. The first key is the slice.
func (tx *Tx) Path(keys ...string) *TxPlace { return &TxPlace{tx, keys} }

func (p *TxPlace) view() *PlaceView { return p.tx.s.Path(p.keys...) }

// Exists reports whether anything stands there.
func (p *TxPlace) Exists() bool { return p.view().Exists() }

// Kind returns the kind of what is shown there, 0 if nothing stands.
func (p *TxPlace) Kind() Kind { return p.view().Kind() }

// Value returns what is shown there, nil if nothing stands.
func (p *TxPlace) Value() Value { return p.view().Value() }

// JSON returns Value as JSON.
func (p *TxPlace) JSON() string { return p.view().JSON() }

// at returns the view of a kind there. If there is no such place it fails the transaction.
func (p *TxPlace) at(kind Kind) view {
	v, err := p.tx.s.resolve(p.keys, kind)
	if err != nil {
		p.tx.fail(err)
		return p.tx.root("", kind) // where nothing is, and nothing can be written any more
	}
	return v
}

// resolve returns the view of a kind at the place that keys lead to.
func (s *State) resolve(keys []string, kind Kind) (view, error) {
	if len(keys) == 0 {
		return view{}, fmt.Errorf("%w: an empty path: the store itself is not to be written, only its slices", ErrKind)
	}
	v := s.view(keys[0], 0)
	for i, key := range keys[1:] {
		// What is shown at the keys so far is the parent, or a Map if nothing is.
		v.at.kind = Map
		if at := s.place(v.at); at != nil {
			if e := at.shown(s); e != nil {
				v.at.kind = e.kind
			}
		}
		switch {
		case v.at.kind.isMap():
			v = v.child(key, 0)
		case v.at.kind == List:
			l := ListView{v}
			index, ok := parseIndex(key)
			if !ok {
				return view{}, fmt.Errorf("%w: %s is a list: %q is no index", ErrRange, FormatPointer(keys[:i+1]), key)
			}
			elem, ok := l.elementAt(index)
			if !ok {
				return view{}, fmt.Errorf("%w: %s: element %d of %d", ErrRange, FormatPointer(keys[:i+1]), index, l.Len())
			}
			v = v.element(elem, 0)
		default:
			return view{}, fmt.Errorf("%w: %s is a %s and has no %q", ErrKind, FormatPointer(keys[:i+1]), v.at.kind, key)
		}
	}
	v.at.kind = kind
	return v, nil
}

// Put sets the Register there. What stood there as another kind is deleted.
func (p *TxPlace) Put(value any) { p.Register().Put(value) }

// Delete deletes what stands there: an element of a list with its index, anything else as TxMap.Delete does. Where
// nothing is, nothing happens.
func (p *TxPlace) Delete() {
	if p.tx.over() {
		return
	}
	v, err := p.tx.s.resolve(p.keys, 0)
	switch {
	case err != nil:
		p.tx.fail(err)
	case v.at.inList():
		l := ListView{view{v.s, v.at.parent}}
		if i, ok := l.content().elements.Index(v.at.elem); ok {
			(&TxList{l, p.tx}).Delete(i, 1)
		}
	default:
		p.tx.delete(v.at)
	}
}

// New makes an empty container of a kind stand there. If one stands nothing happens; what stood there as another
// kind is deleted.
func (p *TxPlace) New(kind Kind) {
	if !kind.Known() {
		p.tx.fail(fmt.Errorf("%w: new at %s: %s", ErrKind, FormatPointer(p.keys), kind))
		return
	}
	if v := p.at(kind); !v.Exists() {
		p.tx.touch(v.at)
	}
}

// Map returns the Map there.
func (p *TxPlace) Map() *TxMap { return &TxMap{MapView{p.at(Map)}, p.tx} }

// DeleteWinsMap returns the DeleteWinsMap there.
func (p *TxPlace) DeleteWinsMap() *TxMap { return &TxMap{MapView{p.at(DeleteWinsMap)}, p.tx} }

// List returns the List there.
func (p *TxPlace) List() *TxList { return &TxList{ListView{p.at(List)}, p.tx} }

// Text returns the Text there.
func (p *TxPlace) Text() *TxText { return &TxText{TextView{p.at(Text)}, p.tx} }

// Counter returns the Counter there.
func (p *TxPlace) Counter() *TxCounter { return &TxCounter{CounterView{p.at(Counter)}, p.tx} }

// Set returns the Set there.
func (p *TxPlace) Set() *TxSet { return &TxSet{SetView{p.at(Set)}, p.tx} }

// RemoveWinsSet returns the RemoveWinsSet there.
func (p *TxPlace) RemoveWinsSet() *TxSet { return &TxSet{SetView{p.at(RemoveWinsSet)}, p.tx} }

// Register returns the Register there.
func (p *TxPlace) Register() *TxRegister { return &TxRegister{RegisterView{p.at(Register)}, p.tx} }
