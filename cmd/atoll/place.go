package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/atollsync/atoll/crdt"
)

// parsePath reads a PATH. "" is the whole store.
func parsePath(path string) ([]string, error) {
	keys, err := crdt.ParsePointer(path)
	if err != nil {
		return nil, badRequest("path %q: %v", path, err)
	}
	return keys, nil
}

// parseValue reads a VALUE: JSON, or a bare word, which is a string.
func parseValue(arg string) (json.RawMessage, error) {
	doc := strings.TrimSpace(arg)
	_, err := crdt.ParseJSON([]byte(doc))
	if err == nil {
		return json.RawMessage(doc), nil
	}
	if doc != "" && strings.ContainsRune(`{["`, rune(doc[0])) {
		return nil, usagef("%s looks like JSON, but is not: %v (for the string itself, quote it as JSON)", strconv.Quote(arg), err)
	}
	if json.Valid([]byte(doc)) {
		return nil, usagef("%s: %v", arg, err) // a number beyond what a value holds
	}
	return json.Marshal(arg)
}

// parseValues reads several VALUEs.
func parseValues(args []string) ([]json.RawMessage, error) {
	out := make([]json.RawMessage, len(args))
	for i, arg := range args {
		v, err := parseValue(arg)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

// itemsOf returns the items of a list, and false if v is none.
func itemsOf(v crdt.Value) ([]crdt.Value, bool) {
	items, ok := v.Any().([]any)
	out := make([]crdt.Value, len(items))
	for i, item := range items {
		var err error
		if out[i], err = crdt.ValueOf(item); err != nil {
			panic(fmt.Sprintf("an item of a value is none: %v", err))
		}
	}
	return out, ok
}

// nothingAt says that nothing stands at a path, and what stands nearby.
func nothingAt(s *crdt.State, keys []string) error {
	f := &failure{Status: http.StatusNotFound, Message: fmt.Sprintf("nothing at %s", crdt.FormatPointer(keys))}
	for n := len(keys) - 1; n >= 0; n-- {
		parent, names := "the store", []string(nil)
		if n == 0 {
			for _, slice := range s.Slices() {
				names = append(names, crdt.FormatPointer([]string{slice.Name}))
			}
		} else {
			p := s.Path(keys[:n]...)
			if !p.Exists() {
				continue
			}
			parent = crdt.FormatPointer(keys[:n])
			switch p.Kind() {
			case crdt.Map, crdt.DeleteWinsMap:
				for _, k := range p.Keys() {
					names = append(names, crdt.FormatPointer([]string{k}))
				}
			case crdt.List:
				f.Hint = fmt.Sprintf("%s is a list of %s", parent, plural(len(p.Keys()), "element"))
				return f
			default:
				f.Hint = fmt.Sprintf("%s is a %s", parent, p.Kind())
				return f
			}
		}
		const most = 12
		if len(names) == 0 {
			f.Hint = parent + " is empty"
		} else if len(names) > most {
			f.Hint = fmt.Sprintf("%s has %s and %d more", parent, strings.Join(names[:most], ", "), len(names)-most)
		} else {
			f.Hint = fmt.Sprintf("%s has %s", parent, strings.Join(names, ", "))
		}
		return f
	}
	return f
}
