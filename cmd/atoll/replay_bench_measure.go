package main

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// ropeName is the measurement that the times of others are compared with: the bare rope.
const ropeName = "rope"

// measurement is one row of a benchmark: the time that work takes, the difference of two such, or a size.
type measurement struct {
	name string // for programs
	what string // for people
	goal goal
	// run does the work, once, with the part that counts under the stopwatch, and checks the outcome.
	run func(w *stopwatch) error
	// afresh says that when the clock starts the process has no memory but what is in use. Decoding one large batch leaves several times what
	// decoding pieces of it does, and to merge in that would spare the one a tenth of the time, which is what it takes to get pages of memory,
	// and the other nothing.
	afresh bool
	// each is by how many operations the time is divided, 0: by none.
	each int
	// from and less name measurements before this one, the difference of whose times it is.
	from, less string
	// size returns bytes, where there is no time.
	size func() (float64, error)
}

// stopwatch adds up the parts of a run that count. The zero value goes by the clock on the wall.
type stopwatch struct {
	elapsed time.Duration
	cpu     bool // it goes by the CPU time of the process
	begun   time.Duration
}

var stopwatchEpoch = time.Now()

func (w *stopwatch) now() time.Duration {
	if w.cpu {
		if t, ok := cpuTime(); ok {
			return t
		}
	}
	return time.Since(stopwatchEpoch)
}

func (w *stopwatch) start() { w.begun = w.now() }
func (w *stopwatch) stop()  { w.elapsed += w.now() - w.begun }

// goal bounds a figure in as many ways as it has fields that are not 0.
type goal struct {
	ropes float64 // times the bare rope
	ms    float64
	ns    float64 // per operation
	bytes float64
	times float64 // times the figure named of
	of    string
	// only: it is about the session of that name. Goals in milliseconds and bytes are of the session they
	// were set for; ratios hold for all.
	only string
}

func (g goal) String() string {
	var parts []string
	add := func(v float64, format string, args ...any) {
		if v > 0 {
			parts = append(parts, fmt.Sprintf(format, append([]any{shortNumber(v)}, args...)...))
		}
	}
	add(g.ropes, "%s ropes")
	add(g.ms, "%s ms")
	add(g.ns, "%s ns each")
	add(g.bytes, "%s bytes")
	add(g.times, "%s times %s", g.of)
	return strings.Join(parts, ", ")
}

// figure is what a measurement came to.
type figure struct {
	Name  string   `json:"name"`
	What  string   `json:"what"`
	MS    *float64 `json:"ms,omitempty"`    // milliseconds, of the best round
	Ratio *float64 `json:"ratio,omitempty"` // to the bare rope of the same run
	NS    *float64 `json:"ns,omitempty"`    // nanoseconds per operation
	Bytes *float64 `json:"bytes,omitempty"`
	Goal  string   `json:"goal,omitempty"` // what each figure is at most
	Met   *bool    `json:"met,omitempty"`  // all of the goal; absent without one
}

// measure takes all measurements, several times in turns so that what disturbs the machine disturbs all
// alike, and returns the best of each. An error is the first of a run that failed.
func (a *app) measure(ctx context.Context, label string, measurements []measurement, f benchFlags) ([]figure, error) {
	rounds := f.rounds
	p := a.newProgress(label, int64(rounds*len(measurements)))
	defer p.clear()
	best := make([]time.Duration, len(measurements))
	for round := range rounds {
		for i, m := range measurements {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			p.set(int64(round*len(measurements) + i))
			if m.run == nil {
				continue
			}
			runtime.GC()
			w := stopwatch{cpu: f.cpu}
			if err := m.run(&w); err != nil {
				return nil, fmt.Errorf("%s: %w", m.name, err)
			}
			if round == 0 || w.elapsed < best[i] {
				best[i] = w.elapsed
			}
		}
	}
	figures := make([]figure, len(measurements))
	took := make(map[string]time.Duration)
	for i, m := range measurements {
		if m.from != "" {
			best[i] = took[m.from] - took[m.less]
		}
		took[m.name] = best[i]
		f, err := m.figure(best[i])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
		figures[i] = f
	}
	compareFigures(measurements, figures)
	return figures, nil
}

// figure returns what m came to, given its best time if it has one.
func (m *measurement) figure(best time.Duration) (figure, error) {
	f := figure{Name: m.name, What: m.what, Goal: m.goal.String()}
	if m.size != nil {
		n, err := m.size()
		f.Bytes = &n
		return f, err
	}
	ms := float64(best) / float64(time.Millisecond)
	f.MS = &ms
	if m.each > 0 {
		ns := float64(best.Nanoseconds()) / float64(m.each)
		f.NS = &ns
	}
	return f, nil
}

// compareFigures sets the ratios to the bare rope, and which goals are met.
func compareFigures(measurements []measurement, figures []figure) {
	of := func(name string) *float64 {
		for i := range figures {
			if figures[i].Name == name {
				return figures[i].MS
			}
		}
		return nil
	}
	rope := of(ropeName)
	for i := range figures {
		f, g := &figures[i], measurements[i].goal
		if rope != nil && f.MS != nil && f.Name != ropeName {
			f.Ratio = ratio(f.MS, rope)
		}
		if g == (goal{}) {
			continue
		}
		met := within(f.Ratio, g.ropes) && within(f.MS, g.ms) && within(f.NS, g.ns) && within(f.Bytes, g.bytes) &&
			within(ratio(f.MS, of(g.of)), g.times)
		f.Met = &met
	}
}

// ratio returns a over b, nil if one of them is not known or b is 0.
func ratio(a, b *float64) *float64 {
	if a == nil || b == nil || *b == 0 {
		return nil
	}
	r := *a / *b
	return &r
}

// within reports whether v is at most limit. A limit of 0 is none.
func within(v *float64, limit float64) bool { return limit == 0 || v != nil && *v <= limit }

// row returns f as people read it.
func (f *figure) row(s style) []string {
	number := func(v *float64) string {
		if v == nil {
			return ""
		}
		return shortNumber(*v)
	}
	met := ""
	switch {
	case f.Met != nil && *f.Met:
		met = s.green("yes")
	case f.Met != nil:
		met = s.red("NO")
	}
	return []string{f.What, number(f.MS), number(f.Ratio), number(f.NS), number(f.Bytes), f.Goal, met}
}

// shortNumber returns v to three digits, or to the unit where that is more.
func shortNumber(v float64) string {
	decimals := 0
	for limit := 100.0; decimals < 3 && math.Abs(v) < limit; limit /= 10 {
		decimals++
	}
	out := strconv.FormatFloat(v, 'f', decimals, 64)
	if strings.Contains(out, ".") {
		out = strings.TrimRight(strings.TrimRight(out, "0"), ".")
	}
	return out
}
