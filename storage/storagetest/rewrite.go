package storagetest

import (
	"bytes"
)

// testRewrite replaces the end of a log, of single records and of merged ones, and goes on from there.
func testRewrite(d *device) {
	for _, merged := range []bool{false, true} {
		id := Store(1)
		if merged {
			id = Store(2)
		}
		l := d.log(id)
		h, other := NewHistory(id, 3, 1), NewHistory(id, 3, 1)
		for range 40 {
			d.append(l, h.Add(20, 3))
			other.Add(20, 3)
		}
		cut := len(other.Blocks)
		for range 5 {
			d.append(l, h.Add(2, 3))
		}
		for range 3 {
			other.Add(3, 5)
		}
		for merged {
			more, err := l.Merge()
			if err != nil {
				d.Fatalf("merge: %v", err)
			}
			if !more {
				break
			}
		}
		from := l.Start(other.Blocks[cut].First)
		if from > other.Blocks[cut].First {
			d.Fatalf("the record of op %d starts at %d", other.Blocks[cut].First, from)
		}
		for cut > 0 && other.Blocks[cut].First > from {
			cut--
		}
		if err := l.Rewrite(from+1, other.Blocks[cut:]...); err == nil {
			d.Fatal("rewritten in the middle of a record")
		}
		if err := l.Rewrite(from, other.Blocks[cut+1:]...); err == nil {
			d.Fatal("rewritten with blocks that do not go on where it was cut")
		}
		d.holds(l, h)
		if err := l.Rewrite(from, other.Blocks[cut:]...); err != nil {
			d.Fatalf("rewrite: %v", err)
		}
		d.holds(l, other)
		d.restart()
		l = d.log(id)
		d.holds(l, other)
		d.append(l, other.Add(10, 1))
		if l.Start(l.Len()) != l.Len() {
			d.Fatalf("an op after the end starts at %d", l.Start(l.Len()))
		}
		if _, err := l.Merge(); err != nil {
			d.Fatalf("merge: %v", err)
		}
		d.restart()
		d.holds(d.log(id), other)
		if _, err := d.db.Verify(); err != nil {
			d.Fatal(err)
		}
	}
}

// testSelf keeps what a device knows of itself, as Flush and Append make it durable.
func testSelf(d *device) {
	l := d.log(Store(1))
	check := func(want []byte) {
		got, err := l.Self()
		if err != nil || !bytes.Equal(got, want) {
			d.Fatalf("self is %q, %v; want %q", got, err, want)
		}
	}
	check(nil)
	h := NewHistory(Store(1), 1, 1)
	for _, how := range []func() error{l.Flush, func() error { return l.Append(h.Add(1, 1)) }} {
		want := []byte{byte(len(h.Blocks)), 7}
		if err := l.PutSelf(want); err != nil {
			d.Fatal(err)
		}
		if err := how(); err != nil {
			d.Fatal(err)
		}
		check(want)
		d.restart()
		l = d.log(Store(1))
		check(want)
		if _, err := d.db.Verify(); err != nil {
			d.Fatal(err)
		}
	}
}
