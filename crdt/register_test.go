package crdt

import (
	"math"
	"testing"
)

func TestRegister(t *testing.T) {
	all := start(t, 3, func(tx *Tx) { tx.Register("r").Put("first") })
	all[0].clock, all[1].clock, all[2].clock = 5000, 6000, 4000
	concurrently(t, all,
		func(tx *Tx) { tx.Register("r").Put(map[string]any{"b": 1, "a": []any{nil}}) },
		func(tx *Tx) { tx.Register("r").Put(1.0) },
		func(tx *Tx) { tx.Register("r").Put([]byte("x")) },
	)
	wantJSON(t, `{"r":1.0}`, all...)
	var got []string
	for _, c := range all[2].state.Path("r").Conflicts() {
		got = append(got, c.Value.String())
		if c.Kind != Register || c.Actor != c.Dot.Actor || c.Shown != (len(got) == 1) {
			t.Errorf("conflict %+v", c)
		}
	}
	if len(got) != 3 || got[0] != "1.0" || got[1] != `{"a":[null],"b":1}` || got[2] != `"eA=="` {
		t.Errorf("conflicts %q", got)
	}
	// A write that saw them all settles it, whatever its clock.
	all[2].clock = 0
	all[2].update(t, func(tx *Tx) { tx.Register("r").Put(nil) })
	meet(t, all...)
	wantJSON(t, `{"r":null}`, all...)
	if c := all[0].state.Path("r").Conflicts(); len(c) != 1 || !c[0].Value.IsNil() {
		t.Errorf("conflicts %+v", c)
	}
}

// Equal clocks are decided by the actor, so that all devices agree.
func TestRegisterTie(t *testing.T) {
	all := newDevices(3)
	concurrently(t, all,
		func(tx *Tx) { tx.Register("r").Put(0) },
		func(tx *Tx) { tx.Register("r").Put(1) },
		func(tx *Tx) { tx.Register("r").Put(2) },
	)
	wantJSON(t, `{"r":2}`, all...)
}

// A delete hides the writes it saw and no others.
func TestRegisterDelete(t *testing.T) {
	all := start(t, 3, func(tx *Tx) { tx.Register("r").Put("old") })
	all[2].clock = 1 // its write is the earliest
	concurrently(t, all,
		func(tx *Tx) { tx.Register("r").Put("a"); tx.Delete("r") },
		func(tx *Tx) { tx.Delete("r") },
		func(tx *Tx) { tx.Register("r").Put("c") },
	)
	wantJSON(t, `{"r":"c"}`, all...)
	// A touch that no delete saw makes it stand, but brings back no value that one did.
	concurrently(t, all,
		func(tx *Tx) { tx.Delete("r") },
		func(tx *Tx) { tx.Register("r").Touch() },
	)
	wantJSON(t, `{"r":null}`, all...)
}

func TestCounter(t *testing.T) {
	all := start(t, 3, func(tx *Tx) { tx.Counter("c").Add(10) })
	concurrently(t, all,
		func(tx *Tx) { tx.Counter("c").Add(1); tx.Counter("c").Add(-3) },
		func(tx *Tx) { tx.Counter("c").Add(5) },
		func(tx *Tx) { tx.Delete("c") },
	)
	// Entries are never emptied: the delete hid it, the adds made it stand again, whole.
	wantJSON(t, `{"c":13}`, all...)
	all[0].update(t, func(tx *Tx) { tx.Delete("c") })
	meet(t, all...)
	all[1].update(t, func(tx *Tx) { tx.Counter("c").Add(1) })
	meet(t, all...)
	wantJSON(t, `{"c":1}`, all...)
	all[1].update(t, func(tx *Tx) { tx.Counter("c").Add(math.MaxInt64) })
	meet(t, all...)
	if got := all[2].state.Counter("c").Int(); got != math.MinInt64 {
		t.Errorf("a counter wraps: got %d", got)
	}
}

func TestSet(t *testing.T) {
	all := start(t, 3, func(tx *Tx) { tx.Set("s").Add("a", "b", 1, 1.0, nil, true, []byte("z")) })
	wantJSON(t, `{"s":[null,true,1,1.0,"a","b","eg=="]}`, all...)
	concurrently(t, all,
		func(tx *Tx) { tx.Set("s").Remove("a", 1); tx.Set("s").Add("c") },
		func(tx *Tx) { tx.Set("s").Add("a") },
		func(tx *Tx) { tx.Set("s").Clear(); tx.Set("s").Add("d") },
	)
	// Only adds that the remove or clear saw are gone.
	wantJSON(t, `{"s":["a","c","d"]}`, all...)
	s := all[0].state.Set("s")
	if !s.Has("a") || s.Has(1) || s.Has([]any{}) || s.Has(make(chan int)) || s.Len() != 3 {
		t.Errorf("members %v", s.Elements())
	}
	// Removing what is not there makes no op.
	if a := all[0].update(t, func(tx *Tx) { tx.Set("s").Remove("zz"); tx.Set("none").Clear() }); a.Change != nil {
		t.Errorf("made %+v", a.Change)
	}
}

func TestRemoveWinsSet(t *testing.T) {
	all := start(t, 3, func(tx *Tx) { tx.RemoveWinsSet("s").Add("a", "b", "c") })
	concurrently(t, all,
		func(tx *Tx) { tx.RemoveWinsSet("s").Remove("a") },
		func(tx *Tx) { tx.RemoveWinsSet("s").Add("a") },
		func(tx *Tx) { tx.RemoveWinsSet("s").Remove("unknown"); tx.RemoveWinsSet("s").Add("d") },
	)
	wantJSON(t, `{"s":["b","c","d"]}`, all...)
	concurrently(t, all,
		func(tx *Tx) { tx.RemoveWinsSet("s").Add("unknown", "a") }, // it saw the removes
		func(tx *Tx) { tx.RemoveWinsSet("s").Clear(); tx.RemoveWinsSet("s").Add("e") },
	)
	wantJSON(t, `{"s":["e"]}`, all...)
	// Adds that each saw only one of two removes do not add up to one that saw both.
	concurrently(t, all,
		func(tx *Tx) { tx.RemoveWinsSet("s").Remove("x"); tx.RemoveWinsSet("s").Add("x") },
		func(tx *Tx) { tx.RemoveWinsSet("s").Remove("x"); tx.RemoveWinsSet("s").Add("x") },
	)
	wantJSON(t, `{"s":["e"]}`, all...)
	all[0].update(t, func(tx *Tx) { tx.RemoveWinsSet("s").Add("x") })
	meet(t, all...)
	wantJSON(t, `{"s":["e","x"]}`, all...)
}
