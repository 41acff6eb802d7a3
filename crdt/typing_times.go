package crdt

import "encoding/binary"

// timeColumn holds the differences between the Times of changes, one after another, as they travel: each a
// varint that says
//
//	2*zigzag(d)    d, in milliseconds, which is not the difference before it
//	2*k-1          k more like the one before
//
// so that a keystroke by a person costs two bytes, and what a program writes at a steady pace next to nothing.
type timeColumn struct {
	enc []byte
	// For appending.
	last   int64 // the Time of the change last added
	delta  int64 // the last difference
	token  int   // where the last repetition starts in enc
	repeat uint64
}

// add adds the difference to time.
func (c *timeColumn) add(time int64) {
	delta := time - c.last
	c.last = time
	if len(c.enc) > 0 && delta == c.delta {
		c.again(1)
		return
	}
	c.delta, c.repeat = delta, 0
	c.enc = binary.AppendUvarint(c.enc, 2*zigzag(delta))
}

// again adds n more like the last difference, but for last.
func (c *timeColumn) again(n uint64) {
	if c.repeat == 0 {
		c.token = len(c.enc)
	}
	c.repeat += n
	c.enc = binary.AppendUvarint(c.enc[:c.token], 2*c.repeat-1)
}

func (c *timeColumn) reader() timeReader { return timeReader{enc: c.enc} }

// readerFrom returns a reader of what was added to c since it was as in m.
func (c *timeColumn) readerFrom(m *timeColumn) timeReader {
	r := timeReader{enc: c.enc[len(m.enc):], delta: m.delta}
	if m.repeat > 0 { // there may be more to what was a repetition then
		v, n := binary.Uvarint(c.enc[m.token:])
		r.enc, r.repeat = c.enc[m.token+n:], (v+1)/2-m.repeat
	}
	return r
}

// timeReader reads the differences of a timeColumn that was checked.
type timeReader struct {
	enc    []byte
	delta  int64
	repeat uint64
}

func (r *timeReader) next() int64 {
	if r.repeat > 0 {
		r.repeat--
		return r.delta
	}
	v, n := binary.Uvarint(r.enc)
	r.enc = r.enc[n:]
	if v&1 == 1 {
		r.repeat = v / 2
		return r.delta
	}
	r.delta = unzigzag(v / 2)
	return r.delta
}

// readTimes checks that enc is a timeColumn of n differences, in its one form, and that the Times that start at
// time and follow from it are in range.
func readTimes(enc []byte, time int64, n int) (timeColumn, bool) {
	c := timeColumn{enc: enc, last: time}
	left := uint64(n)
	for b := enc; len(b) > 0; {
		v, rest, ok := readUvarint(b)
		if !ok {
			return c, false
		}
		if v&1 == 0 {
			delta := unzigzag(v / 2)
			if left < 1 || delta < -MaxTime || delta > MaxTime || len(b) < len(enc) && delta == c.delta {
				return c, false
			}
			left--
			c.last += delta
			c.delta, c.repeat = delta, 0
		} else {
			k := v/2 + 1
			if len(b) == len(enc) || c.repeat > 0 || k > left || max(c.delta, -c.delta) > MaxTime/int64(k) {
				return c, false
			}
			left -= k
			c.last += int64(k) * c.delta
			c.token, c.repeat = len(enc)-len(b), k
		}
		if c.last < 0 || c.last > MaxTime {
			return c, false
		}
		b = rest
	}
	return c, left == 0
}

// readUvarint reads a varint in its shortest form.
func readUvarint(b []byte) (v uint64, rest []byte, ok bool) {
	v, n := binary.Uvarint(b)
	if n <= 0 || n > 1 && b[n-1] == 0 {
		return 0, nil, false
	}
	return v, b[n:], true
}

func zigzag(v int64) uint64   { return uint64(v)<<1 ^ uint64(v>>63) }
func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }

// timeOf returns the Time of change i of a row, the first of which is made at time; r has the differences.
func timeOf(time int64, r timeReader, i int) int64 {
	for ; i > 0; i-- {
		time += r.next()
	}
	return time
}

// effectiveAt returns the effective time of change i of a row that depends on nothing else, the first of which is made at time and has
// the effective time first; r has the differences.
func effectiveAt(time int64, r timeReader, first EffectiveTime, i int) EffectiveTime {
	after := first
	for i > 0 {
		delta := r.next()
		i--
		time += delta
		after = effectiveOf(time, after, false)
		// While the pace stays the same, a step is like the one before.
		n := min(r.repeat, uint64(i))
		switch {
		case delta <= 0:
			time += int64(n) * delta
			after += EffectiveTime(n)
		case after == EffectiveTime(time)<<16:
			time += int64(n) * delta
			after = EffectiveTime(time) << 16
		default:
			continue
		}
		r.repeat -= n
		i -= int(n)
	}
	return after
}
