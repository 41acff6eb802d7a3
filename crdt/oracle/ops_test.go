package oracle_test

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// at reads a path as the tests write it: steps KEY:KIND, separated by "/", KEY in brackets for the
// dot of an element, "@" and a dot for a birth: "s:list/[A1]:map@B2/k:register". A place, which a
// delete names, has no kind in its last step.
func at(s string) crdt.Path {
	var path crdt.Path
	for part := range strings.SplitSeq(s, "/") {
		part, birth, born := strings.Cut(part, "@")
		key, kind, _ := strings.Cut(part, ":")
		step := crdt.Step{Key: key}
		if kind != "" {
			k, err := crdt.ParseKind(kind)
			if err != nil {
				panic(err)
			}
			step.Kind = k
		}
		if born {
			step.Birth = parseDot(birth)
		}
		if elem, ok := strings.CutPrefix(key, "["); ok {
			step.Key, step.Elem = "", parseDot(strings.TrimSuffix(elem, "]"))
		}
		path = append(path, step)
	}
	return path
}

// parseDot reads what brief writes.
func parseDot(s string) causal.Dot {
	seq, err := strconv.Atoi(s[1:])
	if err != nil || s[0] < 'A' || s[0] > 'Z' {
		panic(fmt.Sprintf("no dot: %q", s))
	}
	return dot(int(s[0]-'A'), causal.Seq(seq))
}

func value(v any) crdt.Value {
	out, err := crdt.ValueOf(v)
	if err != nil {
		panic(err)
	}
	return out
}

func put(path string, v any) crdt.Op {
	return crdt.Op{Code: crdt.CodePut, Len: 1, Path: at(path), Value: value(v)}
}

func touch(path string) crdt.Op {
	p := at(path)
	return crdt.Op{Code: crdt.CodeTouch, Len: 1, Path: p, Kind: p[len(p)-1].Kind}
}

func remove(path string) crdt.Op { return crdt.Op{Code: crdt.CodeDelete, Len: 1, Path: at(path)} }

func add(path string, n int64) crdt.Op {
	return crdt.Op{Code: crdt.CodeAdd, Len: 1, Path: at(path), Delta: n}
}

// inSet is any op of the set kinds.
func inSet(code crdt.Code, path string, v any) crdt.Op {
	return crdt.Op{Code: code, Len: 1, Path: at(path), Value: value(v)}
}

func insert(path string, pos int, values ...any) crdt.Op {
	op := crdt.Op{Code: crdt.CodeListInsert, Len: len(values), Path: at(path), Pos: pos}
	for _, v := range values {
		op.Values = append(op.Values, value(v))
	}
	return op
}

func insertNew(path string, pos, n int, kind crdt.Kind) crdt.Op {
	return crdt.Op{Code: crdt.CodeListNew, Len: n, Path: at(path), Pos: pos, Kind: kind}
}

func cut(path string, pos, n int) crdt.Op {
	return crdt.Op{Code: crdt.CodeListDelete, Len: n, Path: at(path), Pos: pos}
}

// move moves the element that elem inserted.
func move(path, elem string, pos int) crdt.Op {
	return crdt.Op{Code: crdt.CodeListMove, Len: 1, Path: at(path), Elem: parseDot(elem), Pos: pos}
}

func typed(path string, pos int, text string) crdt.Op {
	return crdt.Op{Code: crdt.CodeTextInsert, Len: utf8.RuneCountInString(text), Path: at(path), Pos: pos, Text: text}
}

// marked marks n code points with a value, unmarked takes marks of the name from them.
func marked(path string, pos, n int, name string, v any, growth crdt.Growth) crdt.Op {
	return crdt.Op{Code: crdt.CodeTextMark, Len: 1, Path: at(path), Pos: pos, Count: n, Name: name, Value: value(v), Growth: growth}
}

func unmarked(path string, pos, n int, name string, growth crdt.Growth) crdt.Op {
	return crdt.Op{Code: crdt.CodeTextUnmark, Len: 1, Path: at(path), Pos: pos, Count: n, Name: name, Growth: growth}
}

func erased(path string, pos, n int) crdt.Op {
	return crdt.Op{Code: crdt.CodeTextDelete, Len: n, Path: at(path), Pos: pos}
}
