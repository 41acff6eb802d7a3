package crdt_test

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/sessions"
)

// recorded returns a recorded session.
func recorded(t testing.TB, name string) *sessions.Session {
	dir := os.Getenv("ATOLL_TRACES")
	if dir == "" {
		t.Skip("set ATOLL_TRACES to the directory of recorded editing sessions")
	}
	s, err := sessions.Read(filepath.Join(dir, name+".json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// agent returns the n-th smallest actor.
func agent(n int) (a crdt.Actor) {
	binary.BigEndian.PutUint64(a.Nonce[:], uint64(n+1))
	return a
}

// write makes a patch on a text.
func write(text *crdt.TxText, p *sessions.Patch) {
	if p.Deleted > 0 {
		text.Delete(p.Pos, p.Deleted)
	}
	if p.Inserted != "" {
		text.Insert(p.Pos, p.Inserted)
	}
}

// cpu returns the processor time that this process has taken.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// perEdit reports the time that one of edits took.
func perEdit(b *testing.B, edits int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(edits), "ns/edit")
}

// measure calls run b.N times and reports what one of its edits took: on the clock; and of processors, at best, which
// counts collecting garbage and not what else the machine does.
func measure(b *testing.B, edits int, run func()) {
	b.ReportAllocs()
	b.ResetTimer()
	best := time.Duration(math.MaxInt64)
	for range b.N {
		from := cpu()
		run()
		best = min(best, cpu()-from)
	}
	perEdit(b, edits)
	b.ReportMetric(float64(best.Nanoseconds())/float64(edits), "cpu-ns/edit")
}

// live is a replica as far as package crdt goes.
type live struct {
	chains *crdt.Chains
	state  *crdt.State
	log    []crdt.Accepted // all it holds
	own    []crdt.Accepted // what it wrote
}

func newLive() *live {
	c := crdt.NewChains(crdt.StoreID{})
	return &live{chains: c, state: crdt.NewState(c)}
}

// begins is how a transaction begins.
type begins func(s *crdt.State, a causal.Actor, time int64) crdt.Tx

// commit commits patches as one change.
func (l *live) commit(b *testing.B, begin begins, a crdt.Actor, time int64, patches []sessions.Patch) crdt.Accepted {
	tx := begin(l.state, a, time)
	text := tx.Text("text")
	for i := range patches {
		write(text, &patches[i])
	}
	acc, _, ok, err := tx.Commit()
	if err != nil || !ok {
		b.Fatal(ok, err)
	}
	return acc
}

// check checks the text.
func (l *live) check(b testing.TB, want string) {
	if l.state.Text("text").String() != want {
		b.Fatal("wrong text")
	}
}

// typed returns a replica that has committed the patches of a session one by one.
func typed(b *testing.B, patches []sessions.Patch, begin begins) *live {
	l := newLive()
	l.log = make([]crdt.Accepted, 0, len(patches))
	for i := range patches {
		l.log = append(l.log, l.commit(b, begin, agent(0), int64(i), patches[i:i+1]))
	}
	return l
}

// BenchmarkCommitTyped authors a recorded session, each edit a change, and encodes it in blocks as a log takes them.
func BenchmarkCommitTyped(b *testing.B) {
	session := recorded(b, "automerge-paper")
	patches := session.Patches()
	run := func(name string, begin begins, encode bool) {
		b.Run(name, func(b *testing.B) {
			log := make([]crdt.Accepted, 0, 1000)
			measure(b, len(patches), func() {
				l := newLive()
				log = log[:0]
				for i := range patches {
					if len(log) == 1000 {
						if encode {
							l.chains.BatchOf(log).AppendTo(nil)
						}
						log = log[:0]
					}
					log = append(log, l.commit(b, begin, agent(0), int64(i), patches[i:i+1]))
				}
				l.check(b, session.EndContent)
			})
		})
	}
	run("quietly", (*crdt.State).BeginQuietly, false)
	run("encoded", (*crdt.State).BeginQuietly, true)
	run("events", (*crdt.State).Begin, false)
	b.Run("typist", func(b *testing.B) {
		measure(b, len(patches), func() {
			l := newLive()
			l.typeBlocks(b, patches, func(batch *crdt.Batch) { batch.AppendTo(nil) })
			l.check(b, session.EndContent)
		})
	})
}

// BenchmarkTransaction authors a recorded session as one change.
func BenchmarkTransaction(b *testing.B) {
	session := recorded(b, "automerge-paper")
	patches := session.Patches()
	measure(b, len(patches), func() {
		l := newLive()
		l.commit(b, (*crdt.State).BeginQuietly, agent(0), 1, patches)
		l.check(b, session.EndContent)
	})
}

// BenchmarkApplyTyped applies a recorded session, each edit a change, to a fresh replica that holds it
// decoded and checked.
func BenchmarkApplyTyped(b *testing.B) {
	session := recorded(b, "automerge-paper")
	written := typed(b, session.Patches(), (*crdt.State).BeginQuietly)
	run := func(name string, apply func(s *crdt.State, a crdt.Accepted)) {
		b.Run(name, func(b *testing.B) {
			measure(b, len(written.log), func() {
				l := live{state: crdt.NewState(written.chains)}
				for i := range written.log {
					apply(l.state, written.log[i])
				}
				l.check(b, session.EndContent)
			})
		})
	}
	run("quietly", (*crdt.State).ApplyQuietly)
	run("events", func(s *crdt.State, a crdt.Accepted) { s.Apply(a) })
	b.Run("columns", func(b *testing.B) {
		chains := crdt.NewChains(crdt.StoreID{})
		checked, err := chains.Check(written.chains.BatchOf(written.log), nil)
		if err != nil {
			b.Fatal(err)
		}
		added := chains.Add(checked)
		measure(b, len(written.log), func() {
			l := live{state: crdt.NewState(chains)}
			for range l.state.ApplyEach(added) {
			}
			l.check(b, session.EndContent)
		})
	})
}

// BenchmarkLive replays a session of two writers on a replica for each, which takes what the other wrote
// when its own writer saw that.
func BenchmarkLive(b *testing.B) {
	session := recorded(b, "friendsforever")
	run := func(name string, send func(b *testing.B, from, to *live, changes []crdt.Accepted)) {
		b.Run(name, func(b *testing.B) {
			measure(b, len(session.Txns), func() {
				replay(b, session, send).check(b, session.EndContent)
			})
		})
	}
	run("objects", sendObjects)
	run("changes", func(b *testing.B, from, to *live, changes []crdt.Accepted) {
		for i := range changes {
			if !to.state.TakeChange(changes[i].Change, changes[i].Hash) {
				to.take(b, from.chains.BatchOf(changes[i:i+1]))
			}
		}
	})
	var decoder crdt.BatchDecoder
	run("encoded", func(b *testing.B, from, to *live, changes []crdt.Accepted) {
		for i := range changes {
			encoded := from.chains.AppendBatch(nil, changes[i:i+1])
			if to.state.TakeKeystroke(encoded, nil) {
				continue
			}
			batch, err := decoder.Decode(encoded)
			if err != nil {
				b.Fatal(err)
			}
			to.take(b, batch)
		}
	})
}

// sendObjects sends each change as a batch that is not encoded.
func sendObjects(b *testing.B, from, to *live, changes []crdt.Accepted) {
	for i := range changes {
		to.take(b, from.chains.BatchOf(changes[i:i+1]))
	}
}

// take applies a batch that another replica sent.
func (l *live) take(b *testing.B, batch *crdt.Batch) {
	checked, err := l.chains.Check(batch, nil)
	if err != nil {
		b.Fatal(err)
	}
	for a := range l.chains.Add(checked).All {
		l.state.ApplyQuietly(a)
		l.log = append(l.log, a)
	}
}

// replay replays a session of two writers on two live replicas and returns one that has all of it.
func replay(b *testing.B, session *sessions.Session, send func(b *testing.B, from, to *live, changes []crdt.Accepted)) *live {
	var replicas [2]*live
	var sent [2]int // of each one's own changes
	for i := range replicas {
		replicas[i] = newLive()
		replicas[i].log = make([]crdt.Accepted, 0, len(session.Txns))
		replicas[i].own = make([]crdt.Accepted, 0, len(session.Txns))
	}
	written := make([]int, len(session.Txns)) // by its writer, with this transaction
	deliver := func(from, upTo int) {
		f := replicas[from]
		if upTo > sent[from] {
			send(b, f, replicas[1-from], f.own[sent[from]:upTo])
			sent[from] = upTo
		}
	}
	for i := range session.Txns {
		txn := &session.Txns[i]
		for _, p := range txn.Parents {
			if by := session.Txns[p].Agent; by != txn.Agent {
				deliver(by, written[p])
			}
		}
		l := replicas[txn.Agent]
		a := l.commit(b, (*crdt.State).BeginQuietly, agent(txn.Agent), int64(i), txn.Patches)
		l.log, l.own = append(l.log, a), append(l.own, a)
		written[i] = len(l.own)
	}
	deliver(1, len(replicas[1].own))
	return replicas[0]
}

// BenchmarkApplyConcurrent applies a session of two writers change by change to a fresh replica that holds
// it decoded and checked.
func BenchmarkApplyConcurrent(b *testing.B) {
	session := recorded(b, "friendsforever")
	written := replay(b, session, sendObjects)
	measure(b, len(written.log), func() {
		l := live{state: crdt.NewState(written.chains)}
		for i := range written.log {
			l.state.ApplyQuietly(written.log[i])
		}
		l.check(b, session.EndContent)
	})
}
