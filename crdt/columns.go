package crdt

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// Columns are a batch in a form for archives, which compress each column on its own: what AppendTo gives, with the
// columns of all that is typed taken out and put one after another, and all times.
type Columns struct {
	Frame     []byte // all else; times there are those of the changes before
	Runs      []byte
	Positions []byte
	Times     []byte // see timeRuns
	Text      []byte // UTF-8

	runs timeRuns // Times, while they are made
}

// Columns returns b in columns.
func (b *Batch) Columns() *Columns {
	c := new(Columns)
	c.Frame = b.appendTo(nil, c)
	c.Times, c.runs = c.runs.appendTo(nil), nil
	return c
}

// Len returns the size of c in bytes.
func (c *Columns) Len() int {
	return len(c.Frame) + len(c.Runs) + len(c.Positions) + len(c.Times) + len(c.Text)
}

// DecodeBatch reads the batch that c, which it leaves as it is, is the columns of. It refers to c; all else is as for the function.
func (c *Columns) DecodeBatch() (*Batch, error) {
	r := columnsReader{left: *c}
	if !r.begin() {
		return nil, fmt.Errorf("%w: times do not begin with their unit", ErrFormat)
	}
	b, err := new(BatchDecoder).decode(c.Frame, &r)
	if err == nil && (r.left.Len() > len(c.Frame) || r.run.n > 0 || !r.canonical()) {
		return nil, fmt.Errorf("%w: columns go on after the end, or times have another unit", ErrFormat)
	}
	return b, err
}

// appendColumns appends the columns of t to columns, and what else there is to t, lengths of columns included, to buf. before is the Time
// of the actor's previous change.
func (t *keystrokes) appendColumns(buf []byte, before int64, columns *Columns) []byte {
	buf = t.appendHead(buf, 0)
	column := func(c *[]byte, grown []byte) {
		buf = appendUint(buf, uint64(len(grown)-len(*c)))
		*c = grown
	}
	column(&columns.Runs, t.appendRuns(columns.Runs))
	column(&columns.Positions, t.appendPositions(columns.Positions))
	column(&columns.Text, append(columns.Text, t.text...))
	columns.runs.add(t.time-before, 1)
	r := t.times.reader()
	for left := t.n - 1; left > 0; {
		delta := r.next()
		n := 1 + r.repeat
		columns.runs.add(delta, n)
		r.repeat, left = 0, left-int(n)
	}
	return buf
}

// columnsReader reads Columns while the frame is.
type columnsReader struct {
	left Columns // what is to be read
	unit int64
	run  timeRun // what is left of the last one read
	last int64   // the difference it is of, in units
	gcd  int64   // of those read, in units
	read bool    // some were
}

// begin reads what is before all else.
func (r *columnsReader) begin() bool {
	unit, rest, ok := readUvarint(r.left.Times)
	r.unit, r.left.Times = int64(unit), rest
	return ok && 0 < unit && unit <= MaxTime
}

// canonical reports whether the unit of what was read is the one there is to it.
func (r *columnsReader) canonical() bool { return r.gcd == 1 || r.gcd == 0 && r.unit == 1 }

// more reads a run if nothing is left of the last.
func (r *columnsReader) more() bool {
	if r.run.n > 0 {
		return true
	}
	v, rest, ok := readUvarint(r.left.Times)
	if !ok || v&1 == 1 {
		return false
	}
	d := unzigzag(v / 2)
	if most := MaxTime / r.unit; d < -most || d > most || r.read && d == r.last {
		return false
	}
	r.run, r.last, r.gcd, r.read = timeRun{d * r.unit, 1}, d, gcd(r.gcd, d), true
	if v, after, ok := readUvarint(rest); ok && v&1 == 1 {
		r.run.n, rest = 2+v/2, after
	}
	r.left.Times = rest
	return true
}

// time returns the next difference. In the frame it is inFrame.
func (r *columnsReader) time(inFrame int64) (delta int64, ok bool) {
	if inFrame != 0 || !r.more() {
		return 0, false
	}
	r.run.n--
	return r.run.delta, true
}

// times returns the next n differences, which are to the Times of changes that follow one made at time.
func (r *columnsReader) times(time int64, n int) (c timeColumn, ok bool) {
	c.last = time
	for left := uint64(n); left > 0; {
		if !r.more() {
			return c, false
		}
		k, d := min(r.run.n, left), r.run.delta
		r.run.n, left = r.run.n-k, left-k
		if max(d, -d) > MaxTime/int64(k) {
			return c, false
		}
		c.add(c.last + d)
		if k > 1 {
			c.again(k - 1)
			c.last += int64(k-1) * d
		}
		if c.last < 0 || c.last > MaxTime {
			return c, false
		}
	}
	return c, true
}

// take takes the columns of one typing, the lengths of which b starts with, from those of several.
func (c *Columns) take(b []byte, from *Columns) (rest []byte, ok bool) {
	column := func(to, from *[]byte) {
		var n uint64
		if ok {
			n, b, ok = readUint(b)
		}
		if ok = ok && n <= uint64(len(*from)); ok {
			*to, *from = (*from)[:n:n], (*from)[n:]
		}
	}
	ok = true
	column(&c.Runs, &from.Runs)
	column(&c.Positions, &from.Positions)
	column(&c.Text, &from.Text)
	return b, ok && utf8.Valid(c.Text)
}

// timeRun is n like differences between Times.
type timeRun struct {
	delta int64
	n     uint64
}

// timeRuns are the differences between the Time of each change of a batch, in their order, and that of its actor's change before. In Columns they are
// varints: first the greatest number of milliseconds of which all are multiples, 1 if all are 0, since many clocks tell less than milliseconds; then
// those of a timeColumn, in that unit.
type timeRuns []timeRun

func (t *timeRuns) add(delta int64, n uint64) {
	if last := len(*t) - 1; last >= 0 && (*t)[last].delta == delta {
		(*t)[last].n += n
		return
	}
	*t = append(*t, timeRun{delta, n})
}

func (t timeRuns) appendTo(buf []byte) []byte {
	unit := int64(0)
	for i := range t {
		if unit = gcd(unit, t[i].delta); unit == 1 {
			break
		}
	}
	unit = max(unit, 1)
	buf = binary.AppendUvarint(buf, uint64(unit))
	for _, r := range t {
		buf = binary.AppendUvarint(buf, 2*zigzag(r.delta/unit))
		if r.n > 1 {
			buf = binary.AppendUvarint(buf, 2*(r.n-1)-1)
		}
	}
	return buf
}

// gcd returns the greatest common divisor of two numbers, that of 0 and another being the other.
func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return max(a, -a)
}
