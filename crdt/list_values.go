package crdt

// packedValues holds values one after the other, as they are encoded: a garbage collector that meets a long list is to find a few pieces of memory
// there, not one per value.
//
// Invariant: size counts the bytes of enc that are not forgotten.
type packedValues struct {
	enc  []byte
	ends []uint32 // where each value ends in enc, and whether it is forgotten
	size int
}

const (
	forgotten   = 1 << 31       // of an end
	maxPacked   = forgotten - 1 // bytes
	smallPacked = 1 << 8        // bytes of enc from which on those forgotten are worth being taken out
)

// packValues returns values packed.
func packValues(values []Value) packedValues {
	size := 0
	for _, v := range values {
		size += len(v.enc)
	}
	p := packedValues{enc: make([]byte, 0, size), ends: make([]uint32, 0, len(values))}
	p.append(values)
	return p
}

// append adds values, for which hasRoom has been asked unless p is empty: an op is not that large.
func (p *packedValues) append(values []Value) {
	for _, v := range values {
		p.enc = append(p.enc, v.enc...)
		p.ends = append(p.ends, uint32(len(p.enc)))
		p.size += len(v.enc)
	}
}

// packedRoom is the number of values beyond which packedValues do not grow: to copy more at once than that, again and again, costs more
// than to look for a run among many.
const packedRoom = 1 << 10

// hasRoom reports whether values can be added to p.
func (p *packedValues) hasRoom(values []Value) bool {
	size := len(p.enc)
	for _, v := range values {
		size += len(v.enc)
	}
	return len(p.ends)+len(values) <= max(cap(p.ends), packedRoom) && size <= maxPacked
}

// bounds returns where value i lies in enc, nowhere if it is forgotten.
func (p *packedValues) bounds(i int) (from, to int) {
	if p.ends[i]&forgotten != 0 {
		return 0, 0
	}
	if i > 0 {
		from = int(p.ends[i-1] &^ forgotten)
	}
	return from, int(p.ends[i])
}

// at returns value i, nil if it is forgotten.
func (p *packedValues) at(i int) Value {
	from, to := p.bounds(i)
	return Value{string(p.enc[from:to])}
}

// appendTo appends the encoding of value i.
func (p *packedValues) appendTo(buf []byte, i int) []byte {
	from, to := p.bounds(i)
	if from == to {
		return Value{}.AppendTo(buf)
	}
	return append(buf, p.enc[from:to]...)
}

// truncate keeps n values.
func (p *packedValues) truncate(n int) {
	for i := n; i < len(p.ends); i++ {
		from, to := p.bounds(i)
		p.size -= to - from
	}
	p.ends = p.ends[:n]
	last := 0
	if n > 0 {
		last = int(p.ends[n-1] &^ forgotten)
	}
	p.enc = p.enc[:last]
}

// forget forgets the values from one on up to another. Their memory is only free after free.
func (p *packedValues) forget(from, to int) {
	for i := from; i < to; i++ {
		from, to := p.bounds(i)
		p.size -= to - from
		p.ends[i] |= forgotten
	}
}

// recall undoes forget, before free.
func (p *packedValues) recall(from, to int) {
	for i := from; i < to; i++ {
		p.ends[i] &^= forgotten
		from, to := p.bounds(i)
		p.size += to - from
	}
}

// free frees what the forgotten values take, if that is much.
func (p *packedValues) free() {
	if n := len(p.enc); n == 0 || 2*p.size > n || p.size > 0 && n < smallPacked {
		return
	}
	enc := make([]byte, 0, p.size)
	from := uint32(0)
	for i, end := range p.ends {
		to := end &^ forgotten
		if to == end {
			enc = append(enc, p.enc[from:to]...)
		}
		p.ends[i] = uint32(len(enc)) | end&forgotten
		from = to
	}
	p.enc = enc
}
