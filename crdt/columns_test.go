package crdt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

// timesOf returns the Times column of some numbers.
func timesOf(unit uint64, tokens ...uint64) []byte {
	buf := binary.AppendUvarint(nil, unit)
	for _, v := range tokens {
		buf = binary.AppendUvarint(buf, v)
	}
	return buf
}

// Times of Columns are accepted in their one form only, and if they are in range, whether the changes are typed or not.
func TestColumnsTimes(t *testing.T) {
	columns, single := newHolder(), newHolder()
	for i := range 6 {
		columns.author(actorOf(0), int64(1000*i), typed("s", i, "x"))
		single.author(actorOf(0), int64(1000*i), noOps(i))
	}
	const again = 2*4 - 1 // the difference before it, 4 times more
	for name, h := range map[string]*holder{"in columns": columns, "one by one": single} {
		c := h.BatchOf(h.log).Columns()
		if want := timesOf(1000, 0, 2*zigzag(1), again); string(c.Times) != string(want) {
			t.Fatalf("%s: times %x, want %x", name, c.Times, want)
		}
		for _, times := range [][]byte{
			c.Times,
			timesOf(MaxTime, 0, 2*zigzag(1), 2*zigzag(0), 2*3-1),
			timesOf(3, 2*zigzag(5), 2*zigzag(-1), again),
		} {
			c.Times = times
			b, err := c.DecodeBatch()
			if err != nil {
				t.Fatalf("%s: times %x: %v", name, times, err)
			}
			if got := b.Columns().Times; string(got) != string(times) {
				t.Fatalf("%s: times %x come out as %x", name, times, got)
			}
		}
		for what, times := range map[string][]byte{
			"nothing":                           nil,
			"no unit":                           timesOf(0, 0, 2*zigzag(1), again),
			"a unit beyond all":                 timesOf(MaxTime+1, 0, 2*zigzag(1), again),
			"half the unit":                     timesOf(500, 0, 2*zigzag(2), again),
			"a unit for nothing":                timesOf(2, 0, 2*5-1),
			"a repetition of nothing":           timesOf(1000, 2*6-1),
			"a repetition twice":                timesOf(1000, 0, 2*zigzag(1), 2*2-1, 2*2-1),
			"the same again":                    timesOf(1000, 0, 2*zigzag(1), 2*zigzag(1), 2*3-1),
			"too few":                           timesOf(1000, 0, 2*zigzag(1), 2*3-1),
			"too many of one":                   timesOf(1000, 0, 2*zigzag(1), 2*5-1),
			"too many":                          timesOf(1000, 0, 2*zigzag(1), again, 0),
			"times below 0":                     timesOf(1000, 0, 2*zigzag(-1), again),
			"times beyond all":                  timesOf(MaxTime/4, 0, 2*zigzag(1), again),
			"a difference beyond all":           timesOf(2, 2*zigzag(MaxTime/2+1), 2*zigzag(-1), again),
			"times that go around":              timesOf(1, 0, 2*zigzag(MaxTime), 2<<18-1),
			"a number that is not its shortest": append(timesOf(1000, 0, 2*zigzag(1)), 0x87, 0x00),
		} {
			c.Times = times
			if b, err := c.DecodeBatch(); err == nil {
				t.Errorf("%s: %s is accepted, as %x", name, what, b.Columns().Times)
			}
		}
	}
}

// A time in the frame of Columns, which have them all elsewhere, is refused.
func TestColumnsTimeInFrame(t *testing.T) {
	for _, c := range []struct {
		group  func(i int) Group
		before []byte // the time of a change
	}{
		{func(i int) Group { return typed("s", i, "x") }, []byte{mpFixStr | 1, 's', mpFixArr}},
		{noOps, []byte{mpBin8, 6 * leastChange, mpFixArr}},
	} {
		h := newHolder()
		for i := range 6 {
			h.author(actorOf(0), int64(i), c.group(i))
		}
		columns := h.BatchOf(h.log).Columns()
		at := bytes.Index(columns.Frame, c.before) + len(c.before)
		if columns.Frame[at] != 0 {
			t.Fatalf("%x has no time at %d", columns.Frame, at)
		}
		columns.Frame[at] = 1
		if _, err := columns.DecodeBatch(); !errors.Is(err, ErrFormat) {
			t.Errorf("%x is accepted: %v", columns.Frame, err)
		}
	}
}

// noOps is what is smallest in a change.
func noOps(int) Group { return Group{Len: 1} }
