package simulations

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"time"

	"github.com/atollsync/atoll/crdt"
)

// trace is all that happened, as a hash, and for those who ask as lines of text. The hash is of short records, so that a run
// does not pay for lines that nobody reads; it is the same with and without them.
type trace struct {
	hash  hash.Hash
	buf   []byte
	write func(line string) // nil: nobody reads
}

// mark is the kind of a record of the trace.
type mark byte

const (
	markSend mark = iota + 1
	markArrive
	markLost
	markCommit
	markSynced
	markStart
	markStop
	markConnect
	markDisconnect
	markAction
	markRefused
	markFailure
	markRewritten
	markEnd
	markLie
	markReadOnly
)

// note puts a record into the trace. Its numbers say what happened; line, which is asked for only if somebody reads, says it in words.
func (t *trace) note(at time.Duration, m mark, a, b, c int, line func() string) {
	if t.hash == nil {
		t.hash = sha256.New()
	}
	t.buf = append(t.buf, byte(m))
	t.buf = binary.AppendVarint(t.buf, int64(at))
	t.buf = binary.AppendVarint(t.buf, int64(a))
	t.buf = binary.AppendVarint(t.buf, int64(b))
	t.buf = binary.AppendVarint(t.buf, int64(c))
	if len(t.buf) > 32<<10 {
		t.hash.Write(t.buf)
		t.buf = t.buf[:0]
	}
	if t.write != nil && line != nil {
		t.write(fmt.Sprintf("%-14s %s", at, line()))
	}
}

// bytes puts what cannot be said in numbers into the hash.
func (t *trace) bytes(b []byte) { t.buf = append(t.buf, b...) }

// sum returns the hash of the trace so far.
func (t *trace) sum() crdt.Hash {
	if t.hash == nil {
		t.hash = sha256.New()
	}
	t.hash.Write(t.buf)
	t.buf = t.buf[:0]
	return crdt.Hash(t.hash.Sum(nil))
}
