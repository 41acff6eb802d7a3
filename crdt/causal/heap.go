package causal

// met is an op met on a walk down a graph: its stretch, and what is known of it.
type met struct {
	lv      LV
	stretch int32
	flags   uint8
}

// metHeap is a binary heap of what is still to be visited, the greatest op on top. Its methods return the heap as
// it is afterwards, as append does, which lets small ones live on the stack.
type metHeap []met

func (h metHeap) push(m met) metHeap {
	h = append(h, m)
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 2
		if h[up].lv >= m.lv {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = m
	return h
}

// pop takes the top off, which h[0] is until then.
func (h metHeap) pop() metHeap {
	n := len(h) - 1
	m := h[n]
	h = h[:n]
	if n == 0 {
		return h
	}
	i := 0
	for {
		c := 2*i + 1
		if c >= n {
			break
		}
		if c+1 < n && h[c+1].lv > h[c].lv {
			c++
		}
		if h[c].lv <= m.lv {
			break
		}
		h[i] = h[c]
		i = c
	}
	h[i] = m
	return h
}

// skip takes out what lies in the stretch that starts with run i, which is on top.
func (h metHeap) skip(i int32) metHeap {
	for len(h) > 0 && h[0].stretch == i {
		h = h.pop()
	}
	return h
}
