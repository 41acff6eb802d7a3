package simulations

import (
	"fmt"
	"math"
	"time"
)

// generator writes for a workload: it says when who writes, and what.
type generator interface {
	// next moves to the next op and returns when it is to be made, not before the one before it, and by which device. ok is false
	// when there are no more.
	next() (at time.Duration, device int, ok bool)
	// op returns the op that next moved to, made for what d shows at that time. It is called once, or if d
	// cannot write then not at all, before next is called again. A zero Op says that the workload wrote by itself.
	op(d *Device, rng Rand) (Op, error)
}

// newGenerator returns the generator of w, a workload of s. rng says when who writes.
func (s *Scenario) newGenerator(w *Workload, rng Rand) (generator, error) {
	devices, err := s.numbers(w.Devices)
	if err != nil {
		return nil, err
	}
	from, to := w.From, w.To
	if to == 0 {
		to = s.length()
	}
	if from >= to {
		return nil, fmt.Errorf("a workload from %v to %v has no time", from, to)
	}
	p := pace{devices: devices, begin: from, at: from, end: to, left: w.Ops, rng: rng}
	if w.Rate > 0 {
		p.left = int(math.Round(w.Rate * (to - from).Hours() * float64(len(devices))))
	}
	switch {
	case w.Func != nil:
		return &funcWorkload{pace: p, write: w.Func}, nil
	case w.Session != "":
		return newSessionWorkload(w, p)
	case w.Log != "":
		return newLogWorkload(w, p)
	}
	return newRandomWorkload(w, p)
}

// length returns how long the timeline and the workloads go on.
func (s *Scenario) length() time.Duration {
	if s.For > 0 {
		return s.For
	}
	return defaultFor
}

// defaultFor is Scenario.For if nothing is said.
const defaultFor = 10 * time.Minute

// numbers returns the numbers of the devices that names name, by device or group, in order and each once. No name names all.
func (s *Scenario) numbers(names []string) ([]int, error) {
	named := make(map[string]bool, len(names))
	for _, n := range names {
		named[n] = true
	}
	var out []int
	number := 0
	found := make(map[string]bool, len(names))
	for i := range s.Devices {
		g := &s.Devices[i]
		for _, name := range g.names() {
			if len(names) == 0 || named[name] || named[g.Name] || named["all"] {
				out = append(out, number)
			}
			found[name], found[g.Name], found["all"] = true, true, true
			number++
		}
	}
	for _, n := range names {
		if !found[n] {
			return nil, fmt.Errorf("no device or group %q", n)
		}
	}
	return out, nil
}

// pace says when who writes: ops at random times, by random devices.
type pace struct {
	devices    []int
	begin, end time.Duration
	at         time.Duration // of the last op
	left       int
	rng        Rand
}

// next draws the next of the times that are left. Drawn one after the other they are as if all were drawn at once and sorted.
func (p *pace) next() (at time.Duration, device int, ok bool) {
	if p.left <= 0 {
		return 0, 0, false
	}
	gap := 1 - math.Pow(1-p.rng.Float64(), 1/float64(p.left))
	p.at += time.Duration(float64(p.end-p.at) * gap)
	p.left--
	return p.at, p.devices[p.rng.IntN(len(p.devices))], true
}

// funcWorkload is a user's own function.
type funcWorkload struct {
	pace
	write func(d *Device, rng Rand) error
}

func (f *funcWorkload) op(d *Device, rng Rand) (Op, error) { return Op{}, f.write(d, rng) }
