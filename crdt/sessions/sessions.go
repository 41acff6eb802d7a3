// Package sessions reads recorded editing sessions: what people typed into one text, key by key, alone or
// several at once. Tests and benchmarks replay them, and a plain Text beside what they test.
package sessions

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// Session is a recorded session. It is trusted: nothing in it is checked.
type Session struct {
	// Kind is "concurrent" if the transactions name their parents, else each follows the one before.
	Kind      string
	NumAgents int
	// StartContent is the text that a sequential session starts from.
	StartContent string
	Txns         []Txn
	// EndContent is the text that all transactions give.
	EndContent string
}

// Txn is what one agent did at once.
type Txn struct {
	Agent int
	// Parents are the transactions whose merge the agent saw, in a concurrent session.
	Parents []int
	Patches []Patch
}

// Patch deletes Deleted code points at Pos and inserts Inserted there.
type Patch struct {
	Pos, Deleted int
	Inserted     string
}

// UnmarshalJSON reads [position, deleted, inserted].
func (p *Patch) UnmarshalJSON(b []byte) error {
	return json.Unmarshal(b, &[]any{&p.Pos, &p.Deleted, &p.Inserted})
}

// Patches returns the patches of all transactions, one after the other.
func (s *Session) Patches() []Patch {
	var out []Patch
	for i := range s.Txns {
		out = append(out, s.Txns[i].Patches...)
	}
	return out
}

// Read reads a session from a JSON file, gzipped if its name ends in .gz.
func Read(path string) (*Session, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var in io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		z, err := gzip.NewReader(f)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		defer z.Close()
		in = z
	}
	s := new(Session)
	if err := json.NewDecoder(in).Decode(s); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return s, nil
}
