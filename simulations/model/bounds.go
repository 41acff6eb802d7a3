package model

import (
	"errors"
	"fmt"
)

// Bounds says which part of the protocol's states is looked at.
type Bounds struct {
	// Quota is how many changes each device may make, and so how many devices there are: 2 or 3, and at most four
	// changes between them. A device need not use it up.
	Quota []int
	// Links is how many streams may be open at once (default: as many as there are pairs of devices).
	Links int
	// Queue is how many messages may be on their way in one direction of a stream (default 2).
	Queue int
	// Split sends changes one to a message, and not all that are lacking in one.
	Split bool
	// Pace says when the steps that time brings may be taken.
	Pace Pace
	// Impatient gives up what is in flight at every summary, as if it had been sent long ago, and sends it again.
	Impatient bool
	// Group lets a busy device take in and commit more before it makes all of it durable at once.
	Group bool
	// Crashes and Cuts let devices crash and streams break at any moment, any number of times.
	Crashes, Cuts bool
	// Drops, Doubles and Overtakings bound how many messages are lost, delivered twice or delivered before the one sent
	// ahead of them while their stream lives (at most 3 each).
	Drops, Doubles, Overtakings int
	// Wipe lets one device lose its disk, once, and go on under a new actor.
	Wipe bool
	// MaxStates ends an exploration that finds more (default 1<<31 - 1).
	MaxStates int
}

// Pace says when a step may be taken that is neither an answer to a message nor a fault nor the user's: connecting, a tick's acknowledging
// and forwarding, and comparing digests.
type Pace uint8

const (
	// Steady: at any time, but digests of two devices are compared while nothing is on its way between them.
	Steady Pace = iota
	// Calm: while nothing is on its way anywhere, as if timers were slow and links fast.
	Calm
	// Hasty: at any time.
	Hasty
)

func (b Bounds) devices() int { return len(b.Quota) }

// changes returns how many changes there can be.
func (b Bounds) changes() int {
	n := 0
	for _, q := range b.Quota {
		n += q
	}
	return n
}

const maxStates = 1<<31 - 1 // states are numbered by int32

func (b Bounds) withDefaults() (Bounds, error) {
	var errs []error
	n := b.devices()
	if n < 2 || n > MaxDevices {
		errs = append(errs, fmt.Errorf("model: Bounds.Quota names %d devices, not 2 or 3", n))
	}
	for _, q := range b.Quota {
		if q < 0 {
			errs = append(errs, errors.New("model: a quota is negative"))
		}
	}
	if c := b.changes(); c > MaxChanges {
		errs = append(errs, fmt.Errorf("model: Bounds.Quota is %d changes, more than %d", c, MaxChanges))
	}
	if b.Links == 0 {
		b.Links = n * (n - 1) / 2
	}
	if b.Queue == 0 {
		b.Queue = 2
	}
	if b.Queue < 1 || b.Queue > MaxQueue {
		errs = append(errs, fmt.Errorf("model: Bounds.Queue is %d, not 1 to %d", b.Queue, MaxQueue))
	}
	for _, k := range []int{b.Drops, b.Doubles, b.Overtakings} {
		if k < 0 || k > 3 {
			errs = append(errs, errors.New("model: Bounds.Drops, Doubles and Overtakings are 0 to 3"))
		}
	}
	if b.MaxStates == 0 {
		b.MaxStates = maxStates
	}
	return b, errors.Join(errs...)
}

// Mutation is a fault planted in the protocol, to see that the exploration finds it.
type Mutation string

// The mutations.
const (
	// SendBeforeFsync sends what is not durable yet.
	SendBeforeFsync Mutation = "send before fsync"
	// AckBeforeFsync acknowledges to a peer what is not durable yet.
	AckBeforeFsync Mutation = "ack before fsync"
	// AnswerBeforeFsync tells the author that a change is safe before it is.
	AnswerBeforeFsync Mutation = "answer before fsync"
	// ReissueAfterWipe goes on under the old actor after the disk was lost.
	ReissueAfterWipe Mutation = "reissue after wipe"
	// SkipOnResume leaves out one change when a catch-up goes on after what the peer already had.
	SkipOnResume Mutation = "resumed catch-up skips one"
	// DigestIgnoresTip compares digests that leave out the last device's changes.
	DigestIgnoresTip Mutation = "digest ignores a tip"
	// LosePendingRetry never looks at pending changes again.
	LosePendingRetry Mutation = "lost pending retry"
	// TrustThePast takes what a peer once had for what it has.
	TrustThePast Mutation = "what it once had, not what it says"
	// NeverGiveUp waits for ever for what is in flight.
	NeverGiveUp Mutation = "in flight for ever"
	// NeverCompare compares no digests.
	NeverCompare Mutation = "never compares"
)

// Model is the protocol within bounds. It is immutable and may be shared.
type Model struct {
	bounds   Bounds
	mutation Mutation
	links    [][2]int // the two devices of each
	author   [MaxChanges]int
	own      [MaxDevices]Set
	symmetry []permutation // all but the identity
}

// New returns the protocol within bounds, with a mutation or "" for the protocol as it is.
func New(bounds Bounds, mutation Mutation) (*Model, error) {
	b, err := bounds.withDefaults()
	if err != nil {
		return nil, err
	}
	m := &Model{bounds: b, mutation: mutation}
	for i := range b.devices() {
		for j := i + 1; j < b.devices(); j++ {
			m.links = append(m.links, [2]int{i, j})
		}
	}
	c := 0
	for d, q := range b.Quota {
		for range q {
			m.author[c] = d
			m.own[d] |= 1 << c
			c++
		}
	}
	if bits := m.keyBits(); bits > 64*len(key{}) {
		return nil, fmt.Errorf("model: a state within these bounds takes %d bits, more than %d: lower Queue", bits, 64*len(key{}))
	}
	m.findSymmetry()
	return m, nil
}

// ends returns the number of ends of streams.
func (m *Model) ends() int { return 2 * len(m.links) }

// device returns whose end i is.
func (m *Model) device(i int) int { return m.links[i/2][i%2] }

// log returns the changes of c's actor up to c: what a tip at c stands for.
func (m *Model) log(s *State, c int) Set {
	fresh := s.fresh.has(c)
	var out Set
	for b := range c + 1 {
		if m.author[b] == m.author[c] && s.fresh.has(b) == fresh {
			out |= 1 << b
		}
	}
	return out & s.made()
}

// tips returns what a message that names the tips of the actors of some changes says, of a device that holds held.
func (m *Model) tips(s *State, some, held Set) Set {
	var out Set
	for c := m.bounds.changes() - 1; c >= 0; c-- {
		if !held.has(c) || out.has(c) {
			continue
		}
		if log := m.log(s, c); !some.disjoint(m.actorOf(s, c)) {
			out |= log
		}
	}
	return out
}

// actorOf returns all changes of c's actor.
func (m *Model) actorOf(s *State, c int) Set {
	if s.fresh.has(c) {
		return m.own[m.author[c]] & s.fresh
	}
	return m.own[m.author[c]] &^ s.fresh
}
