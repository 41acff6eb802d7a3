package simulations

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// fileFields says how the fields of an object are read.
type fileFields map[string]func(*yamlNode)

// object reads the fields of an object; what is what the object is called.
func (r *fileReader) object(n *yamlNode, what string, f fileFields) {
	if n.kind != yamlObject {
		r.bad(n, "%s is made of fields (%s), not %s", what, strings.Join(slices.Sorted(maps.Keys(f)), ", "), n.describe())
		return
	}
	for i, key := range n.keys {
		read, ok := f[key.text]
		if !ok {
			names := slices.Sorted(maps.Keys(f))
			hint := didYouMean(key.text, names)
			if hint == "" {
				hint = ": it has " + strings.Join(names, ", ")
			}
			r.bad(key, "%s has no field %q%s", what, clip(key.text, maxShownInText), hint)
			continue
		}
		read(n.items[i])
	}
}

// list reads the items of a list.
func (r *fileReader) list(n *yamlNode, what string, item func(*yamlNode)) {
	if n.kind != yamlList {
		r.bad(n, "%s are a list, not %s", what, n.describe())
		return
	}
	for _, v := range n.items {
		item(v)
	}
}

// scalar returns what a scalar says.
func (r *fileReader) scalar(n *yamlNode, what string) (string, bool) {
	if n.kind == yamlList || n.kind == yamlObject || n.kind == yamlNull {
		r.bad(n, "%s is expected, not %s", what, n.describe())
		return "", false
	}
	return n.text, true
}

// parsed returns a reader of a scalar that parse reads.
func parsed[T any](r *fileReader, what string, into *T, parse func(string) (T, error)) func(*yamlNode) {
	return func(n *yamlNode) {
		s, ok := r.scalar(n, what)
		if !ok {
			return
		}
		v, err := parse(s)
		if err != nil {
			r.bad(n, "%v", err)
			return
		}
		*into = v
	}
}

func (r *fileReader) text(into *string) func(*yamlNode) {
	return parsed(r, "a text", into, func(s string) (string, error) { return s, nil })
}

// span reads a length of time of at least least.
func (r *fileReader) span(into *time.Duration, least time.Duration) func(*yamlNode) {
	return parsed(r, "a length of time", into, func(s string) (time.Duration, error) {
		d, err := ParseSpan(s)
		switch {
		case err != nil:
		case d < 0 && least >= 0:
			err = fmt.Errorf("%q is less than nothing", clip(s, maxShownInText))
		case d < least:
			err = fmt.Errorf("%q is too short: at least %s", clip(s, maxShownInText), FormatSpan(least))
		}
		return d, err
	})
}

func (r *fileReader) window(into *Window) func(*yamlNode) {
	return parsed(r, "a span such as 1h..2h", into, parseWindow)
}

func (r *fileReader) percent(into *float64) func(*yamlNode) {
	return parsed(r, "a share such as 5%", into, parsePercent)
}

func (r *fileReader) bool(into *bool) func(*yamlNode) {
	return func(n *yamlNode) {
		if n.kind != yamlBool {
			r.bad(n, "true or false is expected, not %s", n.describe())
			return
		}
		*into = n.text == "true"
	}
}

// int reads an integer within bounds.
func (r *fileReader) int(into *int, least, most int) func(*yamlNode) {
	return parsed(r, "a number", into, func(s string) (int, error) {
		n, err := strconv.Atoi(strings.ReplaceAll(s, "_", ""))
		if err != nil {
			return 0, fmt.Errorf("%q is no whole number", clip(s, maxShownInText))
		}
		if n < least || n > most {
			return 0, fmt.Errorf("%d is not between %d and %d", n, least, most)
		}
		return n, nil
	})
}

// intOrAny reads an integer from 0 on, or "any", which is -1.
func (r *fileReader) intOrAny(into *int) func(*yamlNode) {
	number := r.int(into, 0, 1<<30)
	return func(n *yamlNode) {
		if n.kind == yamlString && n.text == "any" {
			*into = -1
			return
		}
		number(n)
	}
}

// size reads a number of bytes, with a suffix such as "/s".
func (r *fileReader) size(into *int, suffix string) func(*yamlNode) {
	return parsed(r, "a number of bytes such as 500kB"+suffix, into, func(s string) (int, error) {
		number, ok := strings.CutSuffix(s, suffix)
		if !ok {
			return 0, fmt.Errorf("%q: say it like 500kB%s", clip(s, maxShownInText), suffix)
		}
		return parseSize(strings.TrimSpace(number))
	})
}

// oneOf reads a word that is one of names.
func oneOf[T ~string](r *fileReader, what string, into *T, names []string) func(*yamlNode) {
	return func(n *yamlNode) {
		s, ok := r.scalar(n, what)
		if !ok {
			return
		}
		if !slices.Contains(names, s) {
			r.bad(n, "%q is no %s%s: one of %s", clip(s, maxShownInText), what, didYouMean(s, names), strings.Join(names, ", "))
			return
		}
		*into = T(s)
	}
}

// deviceName is what a device or group may be called.
var deviceName = regexp.MustCompile(`^[\pL\pN][\pL\pN_.-]{0,63}$`)

// name reads a new name of a device or group.
func (r *fileReader) name(into *string) func(*yamlNode) {
	return parsed(r, "a name", into, func(s string) (string, error) {
		if !deviceName.MatchString(s) || s == "all" {
			return "", fmt.Errorf("%q cannot be a name: it is made of letters, digits, and within it '-', '_' and '.', and it is not all", clip(s, maxShownInText))
		}
		return s, nil
	})
}

// names reads names of devices or groups: one, or a list.
func (r *fileReader) names(into *[]string, noted *[]*yamlNode) func(*yamlNode) {
	one := func(n *yamlNode) {
		if s, ok := r.scalar(n, "the name of a device or group"); ok {
			*into = append(*into, s)
			*noted = append(*noted, n)
		}
	}
	return func(n *yamlNode) {
		if n.kind != yamlList {
			one(n)
			return
		}
		if len(n.items) == 0 {
			r.bad(n, "no device is named")
		}
		for _, v := range n.items {
			one(v)
		}
	}
}
