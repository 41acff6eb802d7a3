package simulations

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Units of time in scenario files, from the longest on.
var timeUnits = []struct {
	name string
	is   time.Duration
}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}, {"us", time.Microsecond}, {"ns", 1}}

// maxSpan bounds every time in a scenario.
const maxSpan = 10 * 366 * 24 * time.Hour

// ParseSpan reads a length of time as scenario files write it: numbers with units, such as 90s, 1h30m, 3d or 2w, with a minus sign before them if
// it is one back. Units are w, d, h, m, s, ms, us and ns. 0 needs none.
func ParseSpan(s string) (time.Duration, error) {
	rest, negative := strings.CutPrefix(strings.TrimSpace(s), "-")
	if rest == "0" {
		return 0, nil
	}
	var sum float64
	var whole time.Duration
	if rest == "" {
		return 0, fmt.Errorf("%q is no length of time: say it like 90s, 1h30m or 3d", clip(s, maxShownInText))
	}
	for rest != "" {
		digits := strings.IndexFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
		if digits < 0 {
			return 0, fmt.Errorf("%q lacks a unit: say %ss, %sm, %sh or %sd", clip(s, maxShownInText), rest, rest, rest, rest)
		}
		end := digits + strings.IndexFunc(rest[digits:]+"0", func(r rune) bool { return r >= '0' && r <= '9' || r == '.' || r == ' ' })
		number, unit := rest[:digits], rest[digits:end]
		f, err := strconv.ParseFloat(number, 64)
		is := time.Duration(0)
		for _, u := range timeUnits {
			if u.name == unit {
				is = u.is
			}
		}
		if err != nil || is == 0 {
			return 0, fmt.Errorf("%q is no length of time: say it like 90s, 1h30m or 3d (w, d, h, m, s, ms, us, ns)", clip(s, maxShownInText))
		}
		if sum += f * float64(is); sum > float64(maxSpan) {
			return 0, fmt.Errorf("%q is too long: at most ten years", clip(s, maxShownInText))
		}
		if n, err := strconv.ParseInt(number, 10, 64); err == nil {
			whole += time.Duration(n) * is
		} else {
			whole += time.Duration(math.Round(f * float64(is)))
		}
		rest = strings.TrimLeft(rest[end:], " ")
	}
	if negative {
		whole = -whole
	}
	return whole, nil
}

// FormatSpan writes a length of time as ParseSpan reads it: 1d12h.
func FormatSpan(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	var b strings.Builder
	if d < 0 {
		b.WriteByte('-')
		d = -d
	}
	for _, u := range timeUnits {
		if n := d / u.is; n > 0 && u.name != "w" {
			b.WriteString(strconv.FormatInt(int64(n), 10))
			b.WriteString(u.name)
			d -= n * u.is
		}
	}
	return b.String()
}

// sizeUnits are units of bytes, from the largest on.
var sizeUnits = []struct {
	name string
	is   int
}{{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

const maxSize = 1 << 40

// parseSize reads a number of bytes: 500kB, 2MiB.
func parseSize(s string) (int, error) {
	digits := strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if digits > 0 {
		unit := strings.TrimSpace(s[digits:])
		for _, u := range sizeUnits {
			if f, err := strconv.ParseFloat(s[:digits], 64); err == nil && strings.EqualFold(u.name, unit) {
				if f*float64(u.is) > maxSize {
					return 0, fmt.Errorf("%q is too much: at most 1 TiB", clip(s, maxShownInText))
				}
				return int(math.Round(f * float64(u.is))), nil
			}
		}
	}
	return 0, fmt.Errorf("%q is no number of bytes: say it like 500kB or 2MiB", clip(s, maxShownInText))
}

// formatSize writes a number of bytes exactly, in the largest unit that does.
func formatSize(n int) string {
	for _, u := range sizeUnits {
		if n%u.is == 0 && n >= u.is {
			return strconv.Itoa(n/u.is) + u.name
		}
	}
	return "0B"
}

// parsePercent reads 5% as 5.
func parsePercent(s string) (float64, error) {
	number, is := strings.CutSuffix(s, "%")
	f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !is || !(f >= 0 && f <= 100) {
		return 0, fmt.Errorf("%q is no share: say it like 5%% or 0.5%%, up to 100%%", clip(s, maxShownInText))
	}
	return f, nil
}

// formatPercent writes 5 as 5%.
func formatPercent(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) + "%" }

// parseWindow reads 1h..2h, or 1h alone, which is a moment.
func parseWindow(s string) (Window, error) {
	from, to, isRange := strings.Cut(s, "..")
	var w Window
	var err error
	if w.From, err = ParseSpan(from); err != nil {
		return w, err
	}
	w.To = w.From
	if isRange {
		if w.To, err = ParseSpan(to); err != nil {
			return w, err
		}
	}
	if w.From < 0 || w.To < w.From {
		return w, fmt.Errorf("%q ends before it begins", clip(s, maxShownInText))
	}
	return w, nil
}

// formatWindow writes a span as parseWindow reads it.
func formatWindow(w Window) string {
	if w.From == w.To {
		return FormatSpan(w.From)
	}
	return FormatSpan(w.From) + ".." + FormatSpan(w.To)
}
