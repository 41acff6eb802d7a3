package causal

// lvHeap is a binary max-heap of local versions.
type lvHeap []LV

func (h *lvHeap) push(lv LV) {
	*h = append(*h, lv)
	siftUp(*h, func(a, b LV) bool { return a > b })
}

func (h *lvHeap) pop() LV {
	top := (*h)[0]
	*h = siftDown(*h, func(a, b LV) bool { return a > b })
	return top
}

// flagged is a local version and the sides of a Diff whose history it is in.
type flagged struct {
	lv   LV
	flag uint8
}

// flagHeap is a binary max-heap by local version.
type flagHeap []flagged

func (h *flagHeap) push(e flagged) {
	*h = append(*h, e)
	siftUp(*h, func(a, b flagged) bool { return a.lv > b.lv })
}

func (h *flagHeap) pop() flagged {
	top := (*h)[0]
	*h = siftDown(*h, func(a, b flagged) bool { return a.lv > b.lv })
	return top
}

// siftUp restores the heap after its last item was added.
func siftUp[T any](h []T, before func(a, b T) bool) {
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !before(h[i], h[up]) {
			return
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
}

// siftDown takes the first item off the heap.
func siftDown[T any](h []T, before func(a, b T) bool) []T {
	n := len(h) - 1
	h[0] = h[n]
	h = h[:n]
	for i := 0; ; {
		c := 2*i + 1
		if c >= n {
			return h
		}
		if c+1 < n && before(h[c+1], h[c]) {
			c++
		}
		if !before(h[c], h[i]) {
			return h
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
}
