package crdt

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/atollsync/atoll/crdt/causal"
)

func TestTxReadsItsWrites(t *testing.T) {
	d := newDevice(0)
	d.update(t, func(tx *Tx) {
		tx.Map("m").Put("a", 1)
		if v, ok := tx.Map("m").Get("a"); !ok || v != IntValue(1) {
			t.Errorf("reads %s, %v", v, ok)
		}
		tx.List("l").Append("x", "y")
		m := tx.List("l").InsertMap(1)
		m.Put("in", "l")
		if got := tx.List("l").JSON(); got != `["x",{"in":"l"},"y"]` {
			t.Errorf("list %s", got)
		}
		tx.List("l").Delete(0, 1)
		m.Put("still", true)
		tx.Text("t").Append("abc")
		tx.Text("t").Delete(1, 1)
		if got := tx.Text("t").String(); got != "ac" {
			t.Errorf("text %q", got)
		}
		tx.Delete("t")
		if tx.Text("t").Exists() || tx.Text("t").Len() != 0 {
			t.Error("deleted text stands")
		}
		tx.Text("t").Append("new")
		tx.Counter("c").Add(2)
		tx.Counter("c").Add(tx.Counter("c").Int())
		tx.Set("s").Add(1)
		if !tx.Set("s").Has(1) {
			t.Error("set without its member")
		}
		if got := tx.State().JSON(); got != `{"c":4,"l":[{"in":"l","still":true},"y"],"m":{"a":1},"s":[1],"t":"new"}` {
			t.Errorf("state %s", got)
		}
	})
	wantJSON(t, `{"c":4,"l":[{"in":"l","still":true},"y"],"m":{"a":1},"s":[1],"t":"new"}`, d)
}

// The first bad argument sticks: later calls do nothing, Commit returns it and leaves nothing behind.
func TestTxErrorSticks(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(tx *Tx)
		is   error
		says string
	}{
		"value":           {func(tx *Tx) { tx.Map("m").Put("k", make(chan int)) }, ErrValue, "chan int"},
		"string":          {func(tx *Tx) { tx.Register("r").Put("\xff") }, ErrValue, "UTF-8"},
		"uint":            {func(tx *Tx) { tx.Register("r").Put(uint64(math.MaxUint64)) }, ErrValue, ""},
		"member":          {func(tx *Tx) { tx.Set("s").Add([]any{1}) }, nil, "scalars"},
		"insert":          {func(tx *Tx) { tx.List("l").Insert(3, 1) }, ErrRange, "3 of 2"},
		"insert below":    {func(tx *Tx) { tx.List("l").Insert(-1, 1) }, ErrRange, "l"},
		"delete":          {func(tx *Tx) { tx.List("l").Delete(1, 2) }, ErrRange, "[1, 1+2) of 2"},
		"delete overflow": {func(tx *Tx) { tx.List("l").Delete(1, math.MaxInt) }, ErrRange, ""},
		"move":            {func(tx *Tx) { tx.List("l").Move(2, 0) }, ErrRange, "from 2 to 0 of 2"},
		"move beyond":     {func(tx *Tx) { tx.List("l").Move(0, 2) }, ErrRange, "from 0 to 2 of 2"},
		"move below":      {func(tx *Tx) { tx.List("l").Move(-1, 0) }, ErrRange, ""},
		"set":             {func(tx *Tx) { tx.List("l").Set(2, 1) }, ErrRange, "element 2 of 2"},
		"element":         {func(tx *Tx) { tx.List("l").Map(2).Put("a", 1) }, ErrRange, ""},
		"new kind":        {func(tx *Tx) { tx.List("l").InsertNew(0, 99) }, ErrKind, "kind(99)"},
		"text insert":     {func(tx *Tx) { tx.Text("t").Insert(4, "x") }, ErrRange, "4 of 3"},
		"text delete":     {func(tx *Tx) { tx.Text("t").Delete(0, 4) }, ErrRange, ""},
		"text UTF-8":      {func(tx *Tx) { tx.Text("t").Insert(0, "\xff") }, nil, "UTF-8"},
		"surrogate":       {func(tx *Tx) { tx.Text("t").Append("😀"); tx.Text("t").InsertUTF16(4, "x") }, ErrRange, "surrogate"},
		"slice":           {func(tx *Tx) { tx.Map("").Put("a", 1) }, nil, "name"},
		"local slice":     {func(tx *Tx) { tx.Map("local:x").Put("a", 1) }, nil, "reserved"},
		"long slice":      {func(tx *Tx) { tx.Counter(strings.Repeat("x", 256)).Add(1) }, nil, "256"},
		"key":             {func(tx *Tx) { tx.Map("m").Put("\xff", 1) }, nil, "UTF-8"},
		"long key":        {func(tx *Tx) { tx.Map("m").Put(strings.Repeat("x", 4097), 1) }, nil, "4097"},
		"deep":            {func(tx *Tx) { deep(tx, MaxDepth).Put("x", 1) }, nil, "65 steps"},
		"path":            {func(tx *Tx) { tx.Path("t", "x").Put(1) }, ErrKind, "text"},
		"index":           {func(tx *Tx) { tx.Path("l", "x").Put(1) }, ErrRange, "no index"},
		"far index":       {func(tx *Tx) { tx.Path("l", "2").Put(1) }, ErrRange, "2 of 2"},
		"no path":         {func(tx *Tx) { tx.Path().Put(1) }, ErrKind, ""},
		"path kind":       {func(tx *Tx) { tx.Path("x").New(0) }, ErrKind, ""},
		"import":          {func(tx *Tx) { tx.Import([]byte(`[1]`)) }, nil, "object"},
		"import JSON":     {func(tx *Tx) { tx.Import([]byte(`{`)) }, ErrValue, ""},
		"too large":       {func(tx *Tx) { tx.Text("t").Append(strings.Repeat("x", MaxChangeBytes)) }, ErrInvalid, "large"},
	} {
		d := newDevice(0)
		d.update(t, func(tx *Tx) { tx.List("l").Append(1, 2); tx.Text("t").Append("abc") })
		before := d.state.describe()
		tx := d.state.Begin(d.actor, 9)
		tx.Map("good").Put("k", 1)
		c.do(&tx)
		sticks := tx.Err()
		if sticks != nil {
			tx.Map("more").Put("k", 1)
			tx.Path("l", "7").Put(1)
			tx.Text("t").InsertUTF16(99, "x")
		}
		_, _, ok, err := tx.Commit()
		if err == nil || ok || sticks != nil && err != sticks || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v", name, err)
		}
		if after := d.state.describe(); after != before {
			t.Errorf("%s: left\n%s, before it was\n%s", name, after, before)
		}
		if d.Chains.Len() != 1 {
			t.Errorf("%s: made a change", name)
		}
		d.update(t, func(tx *Tx) { tx.Map("good").Put("k", 1) })
	}
}

// deep returns a map n steps down.
func deep(tx *Tx, n int) *TxMap {
	m := tx.Map("deep")
	for range n - 1 {
		m = m.Map("x")
	}
	return m
}

func TestTxDeep(t *testing.T) {
	all := start(t, 2, func(tx *Tx) { deep(tx, MaxDepth-1).Put("x", 1) })
	if got := all[1].state.Stats(); got.Void != 0 || strings.Count(all[1].state.JSON(), "{") != MaxDepth {
		t.Errorf("shows %s", all[1].state.JSON())
	}
}

func TestTxEnds(t *testing.T) {
	d := newDevice(0)
	tx := d.state.Begin(d.actor, 1)
	tx.Counter("c").Add(1)
	second := d.state.Begin(d.actor, 1)
	second.Counter("c").Add(10)
	if _, _, ok, err := second.Commit(); ok || err == nil || !strings.Contains(err.Error(), "under way") {
		t.Errorf("a second transaction: %v", err)
	}
	second.Rollback()
	a, ev, ok, err := tx.Commit()
	if err != nil || !ok {
		t.Fatalf("commit: %v", err)
	}
	d.committed(a, ev)
	tx.Counter("c").Add(100)
	tx.Rollback()
	if _, _, ok, err := tx.Commit(); ok || !errors.Is(err, ErrTx) {
		t.Errorf("a second commit: %v", err)
	}
	wantJSON(t, `{"c":1}`, d)
	third := d.state.Begin(d.actor, 1)
	for name, over := range map[string]*Tx{"the first": &tx, "the second, which never began": &second} {
		over.Counter("c").Add(1000)
		over.Rollback()
		if _, _, ok, err := over.Commit(); ok || err == nil || over.Err() != err {
			t.Errorf("%s transaction committed during the third: %v, %v", name, ok, err)
		}
	}
	copied := third
	copied.Counter("c").Add(2)
	if a, ev, ok, err = third.Commit(); err != nil || !ok {
		t.Fatalf("commit of a transaction that was written to by a copy of its handle: %v", err)
	}
	d.committed(a, ev)
	if _, _, ok, err := copied.Commit(); ok || !errors.Is(err, ErrTx) {
		t.Errorf("commit by a copy of the handle: %v", err)
	}
	wantJSON(t, `{"c":3}`, d)
	empty := d.state.Begin(d.actor, 1)
	if _, _, ok, err := empty.Commit(); ok || err != nil || d.Chains.Len() != 2 {
		t.Errorf("an empty transaction: %v, %v", ok, err)
	}
	for _, time := range []int64{-1, MaxTime + 1} {
		tx := d.state.Begin(d.actor, time)
		tx.Counter("c").Add(1)
		if _, _, _, err := tx.Commit(); err == nil {
			t.Errorf("time %d is accepted", time)
		}
	}
}

// Ops on several slices in any order are grouped by slice; dots of the same change that they refer to follow.
func TestTxRegroups(t *testing.T) {
	all := newDevices(2)
	a := all[0].update(t, func(tx *Tx) {
		tx.Text("z").Append("abc")
		l := tx.List("y")
		l.Append(1, 2, 3)
		tx.Counter("a").Add(1)
		l.Map(1).Put("k", "v") // deletes the register of an own element, and is born of that
		tx.Map("b").Put("x", 1)
		l.InsertList(0).Append("in")
		tx.Map("b").Delete("x")
		tx.Counter("a").Add(1)
		tx.Map("b").Put("x", 2) // born of an own delete
		tx.Text("z").Insert(1, "-")
	})
	wantJSON(t, `{"a":2,"b":{"x":2},"y":[["in"],1,{"k":"v"},3],"z":"a-bc"}`, all[0])
	meet(t, all...)
	var slices []string
	for _, g := range a.Groups {
		slices = append(slices, g.Slice)
	}
	if got := strings.Join(slices, " "); got != "a b y z" {
		t.Errorf("groups %s", got)
	}
	births := map[string]causal.Seq{}
	deletes := map[string]causal.Seq{}
	a.Ops(func(seq causal.Seq, slice string, op *Op) bool {
		if op.Code == CodeDelete {
			deletes[slice] = seq
		}
		for _, step := range op.Path {
			if !step.Birth.IsZero() {
				births[slice] = step.Birth.Seq
			}
		}
		return true
	})
	for _, slice := range []string{"b", "y"} {
		if births[slice] == 0 || births[slice] != deletes[slice] {
			t.Errorf("slice %s: an entry born of %d, the delete is %d", slice, births[slice], deletes[slice])
		}
	}
}

// A handle leads to the place, not to the container it found there first.
func TestTxHandles(t *testing.T) {
	d := newDevice(0)
	d.update(t, func(tx *Tx) {
		m := tx.Map("m").Map("k")
		m.Put("a", 1)
		tx.Map("m").Delete("k")
		m.Put("b", 2)
		l := tx.List("l")
		l.Append(1)
		e := l.InsertMap(0)
		e.Put("x", 1)
		l.Delete(0, 1)
		if e.Exists() || e.Has("x") {
			t.Error("a deleted element stands")
		}
	})
	wantJSON(t, `{"l":[1],"m":{"k":{"b":2}}}`, d)
	tx := d.state.Begin(d.actor, 1)
	e := tx.List("l").Register(0)
	tx.List("l").Delete(0, 1)
	e.Put(2)
	if _, _, _, err := tx.Commit(); err == nil || !strings.Contains(err.Error(), "l/[*]") {
		t.Errorf("a write to a deleted element: %v", err)
	}
}

func TestTxPath(t *testing.T) {
	all := start(t, 2, func(tx *Tx) {
		tx.Path("todos", "7", "title").Put("milk")
		tx.Path("todos", "7", "tags").Set().Add("a")
		tx.Path("todos", "list").List().Append(1)
		tx.Path("todos", "list").List().InsertMap(1)
		tx.Path("todos", "list", "1", "x").Put(true)
		tx.Path("todos", "list", "0").Put(2)
		tx.Path("new").New(Text)
		tx.Path("new").New(Text) // stands already
		tx.Path("new").Text().Append("abc")
		tx.Path("dw").DeleteWinsMap().Put("a", 1)
		tx.Path("dw", "b").Counter().Add(1)
		tx.Path("dw", "a").Delete()
		tx.Path("rw").RemoveWinsSet().Add(1)
		tx.Path("none", "deeper").Delete()
	})
	wantJSON(t, `{"dw":{"b":1},"new":"abc","rw":[1],"todos":{"7":{"tags":["a"],"title":"milk"},"list":[2,{"x":true}]}}`, all...)
	all[1].update(t, func(tx *Tx) {
		p := tx.Path("todos", "list", "1")
		if p.Kind() != Map || !p.Exists() || p.JSON() != `{"x":true}` || tx.Path("todos", "list", "5").Exists() {
			t.Errorf("reads %s", p.JSON())
		}
		tx.Path("todos", "list", "0").Delete()
		tx.Path("todos", "7").Delete()
	})
	meet(t, all...)
	wantJSON(t, `{"dw":{"b":1},"new":"abc","rw":[1],"todos":{"list":[{"x":true}]}}`, all...)
	s := all[0].state
	for _, c := range []struct {
		keys   []string
		exists bool
		kind   Kind
		json   string
		below  string
	}{
		{nil, true, Map, `{"dw":{"b":1},"new":"abc","rw":[1],"todos":{"list":[{"x":true}]}}`, "dw new rw todos"},
		{[]string{"todos", "list"}, true, List, `[{"x":true}]`, "0"},
		{[]string{"todos", "list", "0", "x"}, true, Register, `true`, ""},
		{[]string{"todos", "list", "00", "x"}, false, 0, `null`, ""},
		{[]string{"todos", "list", "-1"}, false, 0, `null`, ""},
		{[]string{"dw"}, true, DeleteWinsMap, `{"b":1}`, "b"},
		{[]string{"dw", "a"}, false, 0, `null`, ""},
		{[]string{"new", "x"}, false, 0, `null`, ""},
	} {
		p := s.Path(c.keys...)
		if text, list := p.Text(), p.List(); text.Exists() != (c.kind == Text) || list.Exists() != (c.kind == List) ||
			text.Exists() && text.JSON() != c.json || list.Exists() && list.JSON() != c.json {
			t.Errorf("%q: as a text %s, as a list %s", c.keys, text.JSON(), list.JSON())
		}
		if p.Exists() != c.exists || p.Kind() != c.kind || p.JSON() != c.json || strings.Join(p.Keys(), " ") != c.below {
			t.Errorf("%q: %v %s %s %q", c.keys, p.Exists(), p.Kind(), p.JSON(), p.Keys())
		}
	}
}

// A transaction begun quietly does the same and says nothing of it.
func TestBeginQuietly(t *testing.T) {
	loud, quiet := newDevice(0), newDevice(0)
	for _, slices := range [][]string{{"a"}, {"b", "a"}} { // in order, and not
		write := func(tx Tx) (Accepted, Event) {
			for _, s := range slices {
				tx.Text(s).Append("x")
			}
			a, ev, ok, err := tx.Commit()
			if err != nil || !ok {
				t.Fatalf("commit: %v, %v", ok, err)
			}
			return a, ev
		}
		a, ev := write(loud.state.Begin(loud.actor, 1))
		b, none := write(quiet.state.BeginQuietly(quiet.actor, 1))
		if ev.IsZero() || !none.IsZero() || len(none.Edits) > 0 {
			t.Errorf("events %+v and %+v", ev, none)
		}
		if a.Hash != b.Hash || loud.state.JSON() != quiet.state.JSON() || !loud.state.Version().Equal(quiet.state.Version()) {
			t.Errorf("%s %s, quietly %s %s", a.Hash, loud.state.JSON(), b.Hash, quiet.state.JSON())
		}
	}
}

// A change that turns out too large leaves nothing behind, also of the ops that were applied before it was known.
func TestTooLargeQuietly(t *testing.T) {
	d := newDevice(0)
	before := d.state.describe()
	tx := d.state.BeginQuietly(d.actor, 1)
	tx.Text("t").Append("stands")
	tx.Text("t").Append(strings.Repeat("x", MaxChangeBytes))
	if _, _, ok, err := tx.Commit(); ok || !errors.Is(err, ErrInvalid) {
		t.Errorf("commit: %v, %v", ok, err)
	}
	if after := d.state.describe(); after != before {
		t.Errorf("it left\n%s, before it was\n%s", after, before)
	}
	if !errors.Is(tx.Err(), ErrTx) {
		t.Errorf("afterwards: %v", tx.Err())
	}
	d.update(t, func(tx *Tx) { tx.Text("t").Append("goes on") })
	wantJSON(t, `{"t":"goes on"}`, d)
}

// A transaction, its views and the text they are given take no memory, as long as nothing keeps them.
func TestTxTakesNoMemory(t *testing.T) {
	d := newDevice(0)
	d.update(t, func(tx *Tx) { tx.Text("t").Append("stands") })
	for name, begin := range map[string]func(*State, Actor, int64) Tx{"quietly": (*State).BeginQuietly, "aloud": (*State).Begin} {
		allocs := testing.AllocsPerRun(100, func() {
			tx := begin(d.state, d.actor, 1)
			text := tx.Text("t")
			text.Insert(text.Len(), "a longer string")
			text.Delete(0, 1)
			tx.Rollback()
		})
		if allocs != 0 {
			t.Errorf("begun %s, %v allocations", name, allocs)
		}
	}
}
