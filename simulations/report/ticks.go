package report

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"gonum.org/v1/plot"
)

// timeTicks marks an axis of seconds at round times.
type timeTicks struct{}

// steps are the round times between two marks.
var steps = []time.Duration{
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	24 * time.Hour, 2 * 24 * time.Hour, 7 * 24 * time.Hour, 14 * 24 * time.Hour, 28 * 24 * time.Hour, 91 * 24 * time.Hour, 364 * 24 * time.Hour,
}

// roundStep returns the time between marks that puts at most n of them on a span.
func roundStep(span time.Duration, n int) time.Duration {
	for _, s := range steps {
		if span/s <= time.Duration(n) {
			return s
		}
	}
	return span/time.Duration(n) + 1
}

// Ticks implements plot.Ticker.
func (timeTicks) Ticks(lo, hi float64) []plot.Tick {
	step := roundStep(time.Duration((hi-lo)*float64(time.Second)), 7)
	var out []plot.Tick
	for at := time.Duration(0); at.Seconds() <= hi; at += step {
		if at.Seconds() >= lo {
			out = append(out, plot.Tick{Value: at.Seconds(), Label: formatSpan(at)})
		}
	}
	return out
}

// roundTicks marks an axis at a few round numbers.
type roundTicks struct{}

// Ticks implements plot.Ticker.
func (roundTicks) Ticks(lo, hi float64) []plot.Tick {
	step := math.Pow(10, math.Floor(math.Log10(max(hi-lo, 1e-9))))
	for _, by := range []float64{0.1, 0.2, 0.25, 0.5, 1, 2} {
		if (hi-lo)/(step*by) <= 5 {
			step *= by
			break
		}
	}
	if hi-lo >= 3 {
		step = max(1, math.Ceil(step)) // most of what is counted is whole
	}
	var out []plot.Tick
	for i := 0; i < 50; i++ {
		v := lo + float64(i)*step
		if v > hi {
			break
		}
		out = append(out, plot.Tick{Value: v, Label: shortNumber(v)})
	}
	return out
}

// shortNumber writes a number in little room.
func shortNumber(v float64) string {
	switch {
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', 3, 64) + "M"
	case v >= 1e4:
		return strconv.FormatFloat(v/1e3, 'g', 3, 64) + "k"
	}
	return fmt.Sprintf("%.4g", v)
}
