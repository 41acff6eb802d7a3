package crdt_test

import (
	"testing"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/sessions"
)

// session is a recorded session as a fresh replica gets it.
type session struct {
	*sessions.Session
	written *live
}

func authored(b *testing.B, name string) session {
	s := recorded(b, name)
	if name == "friendsforever" {
		return session{s, replay(b, s, sendObjects)}
	}
	return session{s, typed(b, s.Patches(), (*crdt.State).BeginQuietly)}
}

// encode returns the session in batches of at most n changes.
func (s *session) encode(n int) (out [][]byte) {
	for rest := s.written.log; len(rest) > 0; rest = rest[min(n, len(rest)):] {
		out = append(out, s.written.chains.BatchOf(rest[:min(n, len(rest))]).AppendTo(nil))
	}
	return out
}

// BenchmarkFresh brings a recorded session to a replica that has nothing: what was decoded and checked in one batch, from bytes
// in one batch, and change by change.
func BenchmarkFresh(b *testing.B) {
	for _, name := range []string{"automerge-paper", "friendsforever"} {
		s := authored(b, name)
		whole, single := s.encode(crdt.MaxBatchChanges), s.encode(1)
		edits := len(s.written.log)
		check := func(b *testing.B, d *crdt.BatchDecoder, enc []byte, c *crdt.Chains) *crdt.Checked {
			batch, err := d.Decode(enc)
			if err != nil {
				b.Fatal(err)
			}
			k, err := c.Check(batch, nil)
			if err != nil {
				b.Fatal(err)
			}
			return k
		}
		b.Run(name+"/checked", func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				b.StopTimer()
				c := crdt.NewChains(crdt.StoreID{})
				k := check(b, new(crdt.BatchDecoder), whole[0], c)
				b.StartTimer()
				l := live{state: crdt.NewState(c)}
				l.state.ApplyAll(c.Add(k))
				l.check(b, s.EndContent)
			}
			perEdit(b, edits)
		})
		run := func(what string, batches [][]byte) {
			b.Run(name+"/"+what, func(b *testing.B) {
				b.ReportAllocs()
				for range b.N {
					c := crdt.NewChains(crdt.StoreID{})
					l := live{state: crdt.NewState(c)}
					d := crdt.BatchDecoder{Passing: true}
					for _, enc := range batches {
						l.state.ApplyAll(c.Add(check(b, &d, enc, c)))
					}
					l.check(b, s.EndContent)
				}
				perEdit(b, edits)
			})
		}
		run("bytes", whole)
		run("bytes-by-change", single)
		b.Run(name+"/encode", func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				s.encode(1000)
			}
			perEdit(b, edits)
		})
	}
}
