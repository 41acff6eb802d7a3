package simulations

import (
	"strconv"
	"time"
)

// count returns how many devices g is.
func (g *Group) count() int { return max(1, g.Count) }

// names returns the names of the group's devices.
func (g *Group) names() []string {
	if g.count() == 1 {
		return []string{g.Name}
	}
	out := make([]string, g.count())
	for i := range out {
		out[i] = g.Name + "-" + strconv.Itoa(i+1)
	}
	return out
}

// deviceNames returns the names of all devices, in order.
func (s *Scenario) deviceNames() []string {
	var out []string
	for i := range s.Devices {
		out = append(out, s.Devices[i].names()...)
	}
	return out
}

// at returns when the i-th of n things that are spread over w happens.
func (w Window) at(i, n int) time.Duration {
	return w.From + time.Duration(float64(w.To-w.From)*float64(i)/float64(n))
}
