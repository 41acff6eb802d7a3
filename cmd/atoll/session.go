package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
	"unicode/utf8"

	"github.com/atollsync/atoll/crdt"
)

// Bounds on what a recorded session may hold, checked while it is read.
const (
	maxSessionBytes  = 1 << 30 // decompressed
	maxSessionAgents = 1 << 16
	maxSessionTxns   = 1 << 24
)

// session is a recorded editing session: the transactions of one or more agents on
// one text, and the text they recorded at the end.
type session struct {
	Concurrent bool
	Agents     int
	End        string
	Txns       []transaction
}

// transaction is what one agent did at once.
type transaction struct {
	Agent int
	// Parents are the transactions whose merge its author saw. In a
	// sequential session nil: the one before.
	Parents []int
	Time    int64 // unix milliseconds, 0 if not recorded
	Patches []patch
}

// patch deletes Deleted code points at Pos and inserts Inserted there.
type patch struct {
	Pos, Deleted int
	Inserted     string
}

// UnmarshalJSON reads [position, deleted, inserted].
func (p *patch) UnmarshalJSON(b []byte) error {
	fields := []any{&p.Pos, &p.Deleted, &p.Inserted}
	n := len(fields)
	if err := json.Unmarshal(b, &fields); err != nil {
		return err
	}
	if len(fields) != n || p.Pos < 0 || p.Deleted < 0 || p.Pos > crdt.MaxPosition || p.Deleted > crdt.MaxPosition {
		return fmt.Errorf("a patch is [position, deleted, inserted], not %.60s", b)
	}
	return nil
}

// ops returns how many ops p takes: a deletion, an insertion or both.
func (p patch) ops() int {
	n := 0
	if p.Deleted > 0 {
		n++
	}
	if p.Inserted != "" {
		n++
	}
	return n
}

// readSession reads a recorded session, sequential or concurrent, plain or gzipped.
func readSession(path string) (*session, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s, err := decodeSession(f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return s, nil
}

func decodeSession(r io.Reader) (*session, error) {
	in := bufio.NewReader(r)
	if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, err
		}
		defer z.Close()
		in = bufio.NewReader(z)
	}
	limited := &io.LimitedReader{R: in, N: maxSessionBytes}
	var file struct {
		Kind         string  `json:"kind"`
		NumAgents    int     `json:"numAgents"`
		StartContent string  `json:"startContent"`
		EndContent   *string `json:"endContent"`
		Txns         []struct {
			Parents []int   `json:"parents"`
			Agent   int     `json:"agent"`
			Time    any     `json:"time"`
			Patches []patch `json:"patches"`
		} `json:"txns"`
	}
	if err := json.NewDecoder(limited).Decode(&file); err != nil {
		if limited.N <= 0 {
			return nil, fmt.Errorf("a session holds at most %d bytes", maxSessionBytes)
		}
		return nil, err
	}
	if file.EndContent == nil {
		return nil, errors.New("not a recorded session: it has no endContent")
	}
	if len(file.Txns) > maxSessionTxns {
		return nil, fmt.Errorf("%d transactions: at most %d", len(file.Txns), maxSessionTxns)
	}
	s := &session{Agents: 1, End: *file.EndContent}
	switch file.Kind {
	case "":
		if file.StartContent != "" {
			s.Txns = append(s.Txns, transaction{Patches: []patch{{Inserted: file.StartContent}}})
		}
	case "concurrent":
		s.Concurrent, s.Agents = true, file.NumAgents
		if s.Agents < 1 || s.Agents > maxSessionAgents {
			return nil, fmt.Errorf("%d agents: from 1 to %d", s.Agents, maxSessionAgents)
		}
		if file.StartContent != "" {
			return nil, errors.New("a concurrent session starts from nothing")
		}
	default:
		return nil, fmt.Errorf("session of kind %q: this version knows sequential ones and \"concurrent\"", file.Kind)
	}
	for i, t := range file.Txns {
		txn := transaction{Agent: t.Agent, Parents: t.Parents, Time: unixMilli(t.Time), Patches: t.Patches}
		if !s.Concurrent {
			txn.Parents = nil
		} else if txn.Parents == nil {
			txn.Parents = []int{}
		}
		if txn.Agent < 0 || txn.Agent >= s.Agents {
			return nil, fmt.Errorf("transaction %d: agent %d of %d", i, txn.Agent, s.Agents)
		}
		for _, p := range txn.Parents {
			if p < 0 || p >= i {
				return nil, fmt.Errorf("transaction %d: parent %d is not an earlier one", i, p)
			}
		}
		s.Txns = append(s.Txns, txn)
	}
	return s, nil
}

// unixMilli reads the time of a transaction as recorded: RFC 3339, or nothing.
func unixMilli(v any) int64 {
	s, _ := v.(string)
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return 0
	}
	return max(0, t.UnixMilli())
}

// ops returns how many ops the session's patches take.
func (s *session) ops() int {
	n := 0
	for _, t := range s.Txns {
		for _, p := range t.Patches {
			n += p.ops()
		}
	}
	return n
}

// difference says where got and want first differ, with some of the text
// around it. It is "" if they are equal.
func difference(got, want string) string {
	if got == want {
		return ""
	}
	const around = 32 // code points on each side
	a, b := []rune(got), []rune(want)
	at, line, column := 0, 1, 1
	for at < len(a) && at < len(b) && a[at] == b[at] {
		if a[at] == '\n' {
			line, column = line+1, 0
		}
		at, column = at+1, column+1
	}
	if at == len(a) && at == len(b) {
		return fmt.Sprintf("the texts differ in bytes that are not UTF-8 (valid: got %t, want %t)",
			utf8.ValidString(got), utf8.ValidString(want))
	}
	excerpt := func(r []rune) string {
		before := r[max(0, at-around):at]
		after := r[at:min(len(r), at+around)]
		if len(after) == 0 {
			return fmt.Sprintf("%q then the end", string(before))
		}
		return fmt.Sprintf("%q then %q", string(before), string(after))
	}
	return fmt.Sprintf("first difference at code point %d (line %d, column %d) of %d, recorded %d\n  got      %s\n  recorded %s",
		at, line, column, len(a), len(b), excerpt(a), excerpt(b))
}
