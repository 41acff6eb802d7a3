package model

// states is a set of keys that numbers them in the order they came in, with the state that each was first reached from.
type states struct {
	chunks [][]key
	from   [][]uint32
	n      int
	table  []uint32 // open addressing; 1 + number
}

const chunk = 1 << 16

func newStates() *states { return &states{table: make([]uint32, 1<<12)} }

// at returns the i-th key.
func (t *states) at(i int) *key { return &t.chunks[i/chunk][i%chunk] }

// origin returns the state that the i-th was reached from.
func (t *states) origin(i int) int { return int(t.from[i/chunk][i%chunk]) }

// add returns the number of k, and whether it is new.
func (t *states) add(k *key, from int) (int, bool) {
	mask := uint64(len(t.table) - 1)
	h := k.hash() & mask
	for ; t.table[h] != 0; h = (h + 1) & mask {
		if i := int(t.table[h] - 1); *t.at(i) == *k {
			return i, false
		}
	}
	i := t.n
	if i%chunk == 0 {
		t.chunks = append(t.chunks, make([]key, chunk))
		t.from = append(t.from, make([]uint32, chunk))
	}
	*t.at(i) = *k
	t.from[i/chunk][i%chunk] = uint32(from)
	t.n++
	t.table[h] = uint32(t.n)
	if t.n > len(t.table)/4*3 {
		t.grow()
	}
	return i, true
}

// find returns the number of k, or -1.
func (t *states) find(k *key) int {
	mask := uint64(len(t.table) - 1)
	for h := k.hash() & mask; t.table[h] != 0; h = (h + 1) & mask {
		if i := int(t.table[h] - 1); *t.at(i) == *k {
			return i
		}
	}
	return -1
}

func (t *states) grow() {
	t.table = make([]uint32, 2*len(t.table))
	mask := uint64(len(t.table) - 1)
	for i := range t.n {
		h := t.at(i).hash() & mask
		for t.table[h] != 0 {
			h = (h + 1) & mask
		}
		t.table[h] = uint32(i + 1)
	}
}
