package simulations

import "time"

// happening is something that will happen at a time. Those at one time happen in the order in which they were put in the queue.
type happening struct {
	at     time.Duration
	number uint64
	do     func()     // or, for what happens most:
	parcel *parcel    // it arrives
	device *Device    // its time to tick or to work has come
	what   deviceWork // which of these
	life   int        // of the device, if what is no more once it was down
}

// deviceWork is what a device does when its time has come.
type deviceWork uint8

const (
	tick deviceWork = iota
	synced
	resume
)

// queue holds what will happen, ordered by (at, number): a heap of four branches, which takes fewer steps than one of two.
type queue struct {
	heap   []happening
	number uint64
}

func (q *queue) len() int { return len(q.heap) }

func before(a, b *happening) bool { return a.at < b.at || a.at == b.at && a.number < b.number }

// push puts h in the queue, behind all others at its time.
func (q *queue) push(h happening) {
	q.number++
	h.number = q.number
	q.heap = append(q.heap, h)
	i := len(q.heap) - 1
	for i > 0 {
		up := (i - 1) / 4
		if !before(&h, &q.heap[up]) {
			break
		}
		q.heap[i] = q.heap[up]
		i = up
	}
	q.heap[i] = h
}

// pop takes out what happens next. There must be something.
func (q *queue) pop() happening {
	top := q.heap[0]
	n := len(q.heap) - 1
	last := q.heap[n]
	q.heap[n] = happening{}
	q.heap = q.heap[:n]
	if n == 0 {
		return top
	}
	i := 0
	for {
		child := 4*i + 1
		if child >= n {
			break
		}
		least := child
		for c := child + 1; c < min(child+4, n); c++ {
			if before(&q.heap[c], &q.heap[least]) {
				least = c
			}
		}
		if !before(&q.heap[least], &last) {
			break
		}
		q.heap[i] = q.heap[least]
		i = least
	}
	q.heap[i] = last
	return top
}
