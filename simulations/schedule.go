package simulations

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

const day = 24 * time.Hour

// offline returns when a device with schedule s has no network in a run of the given length that starts at start, in unix ms: in
// order, without overlaps.
func (s Schedule) offline(start int64, length time.Duration, rng *rand.Rand) []Window {
	spans := slices.Clone(s.Offline)
	shift := func(d time.Duration) time.Duration {
		return d + time.Duration(rng.Int64N(int64(time.Hour))) - 30*time.Minute
	}
	daily := func(workdays bool, from, to time.Duration) {
		eachDay(start, length, func(at time.Duration, weekday time.Weekday) {
			if weekend := weekday == time.Saturday || weekday == time.Sunday; !workdays || !weekend {
				spans = append(spans, Window{shift(at + from), shift(at + to)})
			}
		})
	}
	switch s.Preset {
	case "commuter":
		daily(true, 7*time.Hour+30*time.Minute, 8*time.Hour+45*time.Minute)
		daily(true, 17*time.Hour+45*time.Minute, 19*time.Hour)
		daily(false, 23*time.Hour, 30*time.Hour+30*time.Minute)
	case "office":
		eachDay(start, length, func(at time.Duration, weekday time.Weekday) {
			if weekday == time.Saturday || weekday == time.Sunday {
				spans = append(spans, Window{at - time.Hour, at + day})
				return
			}
			spans = append(spans, Window{at - time.Hour, shift(at + 9*time.Hour)}, Window{shift(at + 17*time.Hour), at + day})
		})
	case "weekend":
		eachDay(start, length, func(at time.Duration, weekday time.Weekday) {
			if weekday == time.Friday {
				spans = append(spans, Window{shift(at + 18*time.Hour), shift(at + 3*day + 8*time.Hour)})
			}
		})
	case "evenings":
		eachDay(start, length, func(at time.Duration, _ time.Weekday) {
			spans = append(spans, Window{at - 3*time.Hour, shift(at + 19*time.Hour)}, Window{shift(at + 22*time.Hour), at + day + time.Hour})
		})
	case "three-weeks":
		spans = append(spans, Window{2 * time.Hour, 2*time.Hour + 21*day})
	case "flaky":
		span := func() time.Duration { return time.Minute + time.Duration(rng.Int64N(int64(9*time.Minute))) }
		for at := span(); at < length; {
			to := at + span()
			spans = append(spans, Window{at, to})
			at = to + span()
		}
	case "never":
		spans = append(spans, Window{0, length})
	}
	return joined(spans, length)
}

// eachDay calls f for the days of a run, from the one before it starts on, with when each begins.
func eachDay(start int64, length time.Duration, f func(at time.Duration, weekday time.Weekday)) {
	begin := time.UnixMilli(start).UTC()
	midnight := begin.Truncate(day).Add(-4 * day)
	for d := midnight; d.Before(begin.Add(length)); d = d.Add(day) {
		f(d.Sub(begin), d.Weekday())
	}
}

// joined returns spans in order, within [0, length), those that touch as one.
func joined(spans []Window, length time.Duration) []Window {
	slices.SortFunc(spans, func(a, b Window) int { return cmp.Compare(a.From, b.From) })
	var out []Window
	for _, s := range spans {
		s.From, s.To = max(s.From, 0), min(s.To, length)
		switch n := len(out); {
		case s.From >= s.To:
		case n > 0 && s.From <= out[n-1].To:
			out[n-1].To = max(out[n-1].To, s.To)
		default:
			out = append(out, s)
		}
	}
	return out
}
