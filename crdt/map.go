package crdt

// parentContent is content with places below it.
type parentContent interface {
	content
	// place returns the place that step leads to, made if need be. A step into a list is one that inserted admits.
	place(ps *pass, step Step) *place
	// deletesWins reports whether a delete of a place prevails over concurrent writes.
	deletesWins() bool
}

// mapContent is what a Map or DeleteWinsMap holds, and the root of a State.
type mapContent struct {
	places     map[string]*place
	deletesWin bool
}

func (c *mapContent) place(ps *pass, step Step) *place {
	p := c.places[step.Key]
	if p == nil {
		p = new(place)
		c.places[step.Key] = p
		if ps.undoable() {
			ps.undo(func() { delete(c.places, step.Key) })
		}
	}
	return p
}

func (c *mapContent) deletesWins() bool { return c.deletesWin }

// keys returns the keys where something stands, in order.
func (c *mapContent) keys() []string {
	keys := sortedKeys(c.places)
	out := keys[:0]
	for _, k := range keys {
		if c.places[k].stands() {
			out = append(out, k)
		}
	}
	return out
}

func (c *mapContent) appendValue(s *State, buf []byte) []byte {
	keys := c.keys()
	buf = appendMapHead(buf, len(keys))
	for _, k := range keys {
		buf = c.places[k].shown(s).content.appendValue(s, appendStr(buf, k))
	}
	return buf
}

func (c *mapContent) appendDigest(s *State, buf []byte) []byte {
	buf = appendMapHead(buf, len(c.places))
	for _, k := range sortedKeys(c.places) {
		buf = c.places[k].appendDigest(s, appendStr(buf, k))
	}
	return buf
}

// MapView reads a Map or DeleteWinsMap.
type MapView struct{ view }

func (v *MapView) content() *mapContent {
	if e := v.entry(); e != nil {
		return e.content.(*mapContent)
	}
	return nil
}

// Get returns what is shown at key, and false if nothing stands there. A container is given whole, as
// an object, list, string or number.
func (v *MapView) Get(key string) (Value, bool) {
	if c := v.content(); c != nil {
		if p := c.places[key]; p != nil {
			if e := p.shown(v.s); e != nil {
				return v.s.valueOf(e), true
			}
		}
	}
	return Value{}, false
}

// Has reports whether anything stands at key.
func (v *MapView) Has(key string) bool {
	c := v.content()
	if c == nil {
		return false
	}
	p := c.places[key]
	return p != nil && p.stands()
}

// Keys returns the keys where something stands, in order of their bytes.
func (v *MapView) Keys() []string {
	if c := v.content(); c != nil {
		return c.keys()
	}
	return nil
}

// Len returns the number of keys where something stands.
func (v *MapView) Len() int { return len(v.Keys()) }

// Kind returns the kind of what is shown at key, 0 if nothing stands there.
func (v *MapView) Kind(key string) Kind {
	if c := v.content(); c != nil {
		if p := c.places[key]; p != nil {
			if e := p.shown(v.s); e != nil {
				return e.kind
			}
		}
	}
	return 0
}

// Map returns the Map at key. Like all views it is empty if none stands there.
func (v *MapView) Map(key string) *MapView { return &MapView{v.child(key, Map)} }

// DeleteWinsMap returns the DeleteWinsMap at key.
func (v *MapView) DeleteWinsMap(key string) *MapView { return &MapView{v.child(key, DeleteWinsMap)} }

// List returns the List at key.
func (v *MapView) List(key string) *ListView { return &ListView{v.child(key, List)} }

// Text returns the Text at key.
func (v *MapView) Text(key string) *TextView { return &TextView{v.child(key, Text)} }

// Counter returns the Counter at key.
func (v *MapView) Counter(key string) *CounterView { return &CounterView{v.child(key, Counter)} }

// Set returns the Set at key.
func (v *MapView) Set(key string) *SetView { return &SetView{v.child(key, Set)} }

// RemoveWinsSet returns the RemoveWinsSet at key.
func (v *MapView) RemoveWinsSet(key string) *SetView { return &SetView{v.child(key, RemoveWinsSet)} }

// Register returns the Register at key.
func (v *MapView) Register(key string) *RegisterView { return &RegisterView{v.child(key, Register)} }

// TxMap is a Map or DeleteWinsMap in a transaction. The containers below it need not exist: writing
// makes them stand.
type TxMap struct {
	MapView
	tx *Tx
}

// Put sets the Register at key, as TxRegister.Put does. What stood there as another kind is deleted.
func (m *TxMap) Put(key string, value any) { m.Register(key).Put(value) }

// Delete deletes what stands at key, whatever its kind. In a Map it does nothing if nothing stands, and a write
// elsewhere that has not seen it prevails; in a DeleteWinsMap it prevails.
func (m *TxMap) Delete(key string) { m.tx.delete(m.child(key, 0).at) }

// Touch makes the map stand, empty if nothing stands in it.
func (m *TxMap) Touch() { m.tx.touch(m.at) }

// Map returns the Map at key.
func (m *TxMap) Map(key string) *TxMap { return &TxMap{MapView{m.child(key, Map)}, m.tx} }

// DeleteWinsMap returns the DeleteWinsMap at key.
func (m *TxMap) DeleteWinsMap(key string) *TxMap {
	return &TxMap{MapView{m.child(key, DeleteWinsMap)}, m.tx}
}

// List returns the List at key.
func (m *TxMap) List(key string) *TxList { return &TxList{ListView{m.child(key, List)}, m.tx} }

// Text returns the Text at key.
func (m *TxMap) Text(key string) *TxText { return &TxText{TextView{m.child(key, Text)}, m.tx} }

// Counter returns the Counter at key.
func (m *TxMap) Counter(key string) *TxCounter {
	return &TxCounter{CounterView{m.child(key, Counter)}, m.tx}
}

// Set returns the Set at key.
func (m *TxMap) Set(key string) *TxSet { return &TxSet{SetView{m.child(key, Set)}, m.tx} }

// RemoveWinsSet returns the RemoveWinsSet at key.
func (m *TxMap) RemoveWinsSet(key string) *TxSet {
	return &TxSet{SetView{m.child(key, RemoveWinsSet)}, m.tx}
}

// Register returns the Register at key.
func (m *TxMap) Register(key string) *TxRegister {
	return &TxRegister{RegisterView{m.child(key, Register)}, m.tx}
}
