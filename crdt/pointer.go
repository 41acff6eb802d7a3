package crdt

import (
	"errors"
	"strings"
)

// ErrPointer is returned by ParsePointer for a text with a stray tilde.
var ErrPointer = errors.New(`crdt: in a path, "~" is written "~0" and "/" within a key "~1"`)

// ParsePointer splits a path such as "todos/7/title" into its keys. In a key, "~1" stands for
// "/" and "~0" for "~" (RFC 6901). A leading slash may be given; "" and "/" differ: no
// key, and one empty key.
func ParsePointer(s string) ([]string, error) {
	if s == "" {
		return nil, nil
	}
	keys := strings.Split(strings.TrimPrefix(s, "/"), "/")
	for i, k := range keys {
		if !strings.Contains(k, "~") {
			continue
		}
		var b strings.Builder
		for j := 0; j < len(k); j++ {
			if k[j] != '~' {
				b.WriteByte(k[j])
				continue
			}
			j++
			switch {
			case j < len(k) && k[j] == '0':
				b.WriteByte('~')
			case j < len(k) && k[j] == '1':
				b.WriteByte('/')
			default:
				return nil, ErrPointer
			}
		}
		keys[i] = b.String()
	}
	return keys, nil
}

// FormatPointer returns the path that ParsePointer splits into keys: without a leading
// slash, unless the first key is empty.
func FormatPointer(keys []string) string {
	if len(keys) == 0 {
		return ""
	}
	var b strings.Builder
	for i, k := range keys {
		if i > 0 || k == "" {
			b.WriteByte('/')
		}
		b.WriteString(escapeKey(k))
	}
	return b.String()
}

// escapeKey writes a key as one step of a path.
func escapeKey(k string) string {
	if !strings.ContainsAny(k, "~/") {
		return k
	}
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(k)
}
