package model

// key is a State in as few bits as there are. Two states within the same bounds have the same key exactly if they are equal.
type key [4]uint64

// bitWriter appends numbers to a key.
type bitWriter struct {
	key key
	at  uint
}

func (w *bitWriter) put(v uint64, width uint) {
	word, off := w.at>>6, w.at&63
	w.key[word] |= v << off
	if off+width > 64 {
		w.key[word+1] |= v >> (64 - off)
	}
	w.at += width
}

// bitReader takes them back.
type bitReader struct {
	key *key
	at  uint
}

func (r *bitReader) get(width uint) uint64 {
	word, off := r.at>>6, r.at&63
	v := r.key[word] >> off
	if off+width > 64 {
		v |= r.key[word+1] << (64 - off)
	}
	r.at += width
	return v & (1<<width - 1)
}

const (
	dueBits  = 5
	kindBits = 3
)

// keyBits returns how many bits a state takes.
func (m *Model) keyBits() int {
	n, c, e := m.bounds.devices(), m.bounds.changes(), m.ends()
	return c*c + n*c*(1+maxWaiting) + 2 + c + (n-1)*dueBits + e*(2+3*c) + e*m.bounds.Queue*(kindBits+c) + 2*c + 2 + 3*2
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// pack returns the key of s.
func (m *Model) pack(s *State) key {
	var w bitWriter
	n, nc := m.bounds.devices(), m.bounds.changes()
	c := uint(nc)
	for i := range nc {
		w.put(uint64(s.past[i]), c)
	}
	for d := range n {
		w.put(uint64(s.durable[d]), c)
		w.put(uint64(s.waiting[d][0]), c)
		w.put(uint64(s.waiting[d][1]), c)
	}
	w.put(uint64(s.busy), 2)
	w.put(uint64(s.held), c)
	w.put(uint64(s.promised), c)
	w.put(uint64(s.fresh), c)
	w.put(uint64(s.wiped), 2)
	w.put(uint64(s.dropped), 2)
	w.put(uint64(s.doubled), 2)
	w.put(uint64(s.overtook), 2)
	for i := range m.ends() {
		e, q := &s.ends[i], &s.queue[i]
		w.put(bit(e.open)|bit(e.heard)<<1|uint64(e.known)<<2|uint64(e.inFlight)<<(2+c)|uint64(e.tell)<<(2+2*c), 2+3*c)
		for k := range m.bounds.Queue {
			w.put(uint64(q.msg[k].kind)|uint64(q.msg[k].set)<<kindBits, kindBits+c)
		}
		if m.device(i)+1 == int(s.busy) {
			w.put(uint64(e.due), dueBits)
		}
	}
	return w.key
}

// unpack makes s the state that k is the key of.
func (m *Model) unpack(k *key, s *State) {
	*s = State{}
	r := bitReader{key: k}
	n, nc := m.bounds.devices(), m.bounds.changes()
	c := uint(nc)
	for i := range nc {
		s.past[i] = Set(r.get(c))
	}
	for d := range n {
		s.durable[d] = Set(r.get(c))
		s.waiting[d][0] = Set(r.get(c))
		s.waiting[d][1] = Set(r.get(c))
	}
	s.busy = uint8(r.get(2))
	s.held = Set(r.get(c))
	s.promised = Set(r.get(c))
	s.fresh = Set(r.get(c))
	s.wiped = uint8(r.get(2))
	s.dropped = uint8(r.get(2))
	s.doubled = uint8(r.get(2))
	s.overtook = uint8(r.get(2))
	all := uint64(1)<<c - 1
	for i := range m.ends() {
		e, q := &s.ends[i], &s.queue[i]
		v := r.get(2 + 3*c)
		e.open, e.heard = v&1 != 0, v&2 != 0
		e.known, e.inFlight, e.tell = Set(v>>2&all), Set(v>>(2+c)&all), Set(v>>(2+2*c)&all)
		for k := range m.bounds.Queue {
			v := r.get(kindBits + c)
			if v != 0 {
				q.msg[k] = message{kind(v & (1<<kindBits - 1)), Set(v >> kindBits)}
				q.n++
			}
		}
		if m.device(i)+1 == int(s.busy) {
			e.due = due(r.get(dueBits))
		}
	}
}

// less orders keys.
func (k *key) less(o *key) bool {
	for i := range k {
		if k[i] != o[i] {
			return k[i] < o[i]
		}
	}
	return false
}

// hash mixes k.
func (k *key) hash() uint64 {
	h := uint64(0x9e3779b97f4a7c15)
	for _, w := range k {
		h ^= w
		h *= 0xff51afd7ed558ccd
		h ^= h >> 32
	}
	return h
}
