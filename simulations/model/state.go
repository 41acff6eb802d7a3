package model

import "math/bits"

// Sizes that no Bounds may exceed.
const (
	MaxDevices = 3
	MaxChanges = 4
	MaxQueue   = 4
	maxLinks   = MaxDevices * (MaxDevices - 1) / 2
	maxEnds    = 2 * maxLinks
	maxWaiting = 2 // batches a device keeps pending; the oldest goes
)

// Set is a set of changes, one bit each. Changes are numbered by author, then in the order of their seqs.
type Set uint8

func (s Set) has(c int) bool { return s>>c&1 != 0 }

// first returns the lowest change of s, alone.
func (s Set) first() Set { return s & -s }

// within reports whether all of s is in t.
func (s Set) within(t Set) bool { return s&^t == 0 }

// disjoint reports whether s and t have nothing in common.
func (s Set) disjoint(t Set) bool { return s&t == 0 }

func (s Set) len() int { return bits.OnesCount8(uint8(s)) }

// kind says what a message is.
type kind uint8

const (
	noMessage kind = iota
	have
	haveAsk
	changes
	ack
	digest
	digestAsk
)

var kindNames = [...]string{have: "Have", haveAsk: "Have, asking", changes: "Changes", ack: "Ack", digest: "Digest", digestAsk: "Digest, asking"}

// message is one message: for Have and Digest set is all its sender holds, for Ack the tips that grew and what they imply,
// for Changes the batch.
type message struct {
	kind kind
	set  Set
}

// queue is what is on its way from one end of a stream to the other, in order.
type queue struct {
	n   uint8
	msg [MaxQueue]message
}

func (q *queue) push(m message) {
	q.msg[q.n] = m
	q.n++
}

// take removes and returns the i-th message.
func (q *queue) take(i int) message {
	m := q.msg[i]
	copy(q.msg[i:], q.msg[i+1:])
	q.n--
	q.msg[q.n] = message{}
	return m
}

// changes returns all changes under way in q.
func (q *queue) changes() Set {
	var s Set
	for i := range q.n {
		if q.msg[i].kind == changes {
			s |= q.msg[i].set
		}
	}
	return s
}

// due is what a busy device will say over one end.
type due uint8

const (
	dueHave due = 1 << iota
	dueHaveAsk
	dueDigest
	dueAck     // the peer sent changes and gets an answer, new or not
	dueChanges // what the peer lacks may go now
)

// end is one device's end of a stream.
type end struct {
	open     bool
	heard    bool // the peer said what it holds
	known    Set  // what the peer is thought to hold
	inFlight Set  // sent, and not acknowledged
	tell     Set  // durable and not acknowledged to the peer yet
	due      due  // zero unless the device is busy
}

// State is one state of the whole network. The zero State is devices that have met nobody and
// written nothing. States are values and can be compared.
type State struct {
	past    [MaxChanges]Set // of each change: what it builds on, and itself; 0 while it was not made
	durable [MaxDevices]Set
	waiting [MaxDevices][maxWaiting]Set // batches that came across a gap, oldest first

	busy uint8 // 1 + the device that has something to make durable or to send; 0: none
	held Set   // what that device holds, durable or not

	ends  [maxEnds]end   // ends 2l and 2l+1 belong to link l
	queue [maxEnds]queue // queue i leads from end i to end i^1

	promised Set // acknowledged to its author, and not lost with the author's disk
	fresh    Set // made under the second actor of a device that lost its disk
	wiped    uint8
	dropped  uint8 // faults so far, of those that Bounds bounds
	doubled  uint8
	overtook uint8
}

// holds returns what device d holds, durable or not.
func (s *State) holds(d int) Set {
	if int(s.busy) == d+1 {
		return s.held
	}
	return s.durable[d]
}

// made returns the changes that were made.
func (s *State) made() Set {
	var m Set
	for c, p := range s.past {
		if p != 0 {
			m |= 1 << c
		}
	}
	return m
}

// closed reports whether batch builds on nothing but itself and what is in base.
func (s *State) closed(batch, base Set) bool {
	for c := range MaxChanges {
		if batch.has(c) && !s.past[c].within(base|batch) {
			return false
		}
	}
	return true
}

// seen reports whether change c is known anywhere but at device d.
func (s *State) seen(c, d int, m *Model) bool {
	for o := range m.bounds.devices() {
		if o != d && (s.durable[o].has(c) || s.waiting[o][0].has(c) || s.waiting[o][1].has(c)) {
			return true
		}
	}
	for i := range m.ends() {
		q := &s.queue[i]
		if q.changes().has(c) {
			return true
		}
	}
	return false
}

// underWay reports whether any message is.
func (s *State) underWay() bool {
	for i := range s.queue {
		if s.queue[i].n > 0 {
			return true
		}
	}
	return false
}
