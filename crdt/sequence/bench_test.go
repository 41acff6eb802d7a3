package sequence_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/sequence"
	"github.com/atollsync/atoll/crdt/sessions"
)

// BenchmarkRope replays a recorded session on a rope, as fast as it will go: the cost of one edit.
func BenchmarkRope(b *testing.B) {
	for _, name := range []string{"automerge-paper", "rustcode", "sveltecomponent"} {
		b.Run(name, func(b *testing.B) {
			tr := loadTrace(b, filepath.Join(tracesDir(b), name+".json.gz"))
			var patches []sessions.Patch
			for _, tx := range tr.Txns {
				patches = append(patches, tx.Patches...)
			}
			b.ResetTimer()
			b.ReportAllocs()
			for range b.N {
				var rope sequence.Rope
				for _, p := range patches {
					rope.Delete(p.Pos, p.Deleted)
					rope.Insert(p.Pos, p.Inserted)
				}
				if rope.LenBytes() != len(tr.EndContent) {
					b.Fatal("wrong text")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(patches)), "ns/edit")
		})
	}
}

// BenchmarkRopeLarge loads a text of 100 MB, and edits it anywhere: an insertion and a deletion.
func BenchmarkRopeLarge(b *testing.B) {
	for _, line := range []string{"It was the best of times, it was the worst of times.\n", "Zwölf Boxkämpfer jagen Eva quer über den Sylter Deich 😀\n"} {
		name := map[bool]string{true: "ascii", false: "unicode"}[len(line) == utf8.RuneCountInString(line)]
		text := strings.Repeat(line, 100_000_000/len(line))
		b.Run("load/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				var rope sequence.Rope
				rope.Insert(0, text)
				if rope.LenBytes() != len(text) {
					b.Fatal("wrong text")
				}
			}
		})
		b.Run("edit/"+name, func(b *testing.B) {
			var rope sequence.Rope
			rope.Insert(0, text)
			r := rand.New(rand.NewPCG(1, 1))
			b.ResetTimer()
			b.ReportAllocs()
			for range b.N {
				rope.Insert(r.IntN(rope.Len()+1), "x")
				rope.Delete(r.IntN(rope.Len()), 1)
			}
		})
	}
}

// BenchmarkSnapshot takes a snapshot once in so many edits of a text of 100 kB.
func BenchmarkSnapshot(b *testing.B) {
	for _, every := range []int{1, 100, 1 << 40} {
		b.Run(fmt.Sprintf("every %d", every), func(b *testing.B) {
			var rope sequence.Rope
			rope.Insert(0, strings.Repeat("0123456789", 10000))
			b.ReportAllocs()
			for i := range b.N {
				if i%every == every-1 {
					rope.Snapshot()
				}
				rope.Insert(50000+i%100, "x")
				rope.Delete(50000+i%100, 1)
			}
		})
	}
}

// BenchmarkSequential puts the sequence's log before the rope.
func BenchmarkSequential(b *testing.B) {
	tr := loadTrace(b, filepath.Join(tracesDir(b), "automerge-paper.json.gz"))
	b.ResetTimer()
	b.ReportAllocs()
	edits := 0
	var buf []sequence.Edit
	for range b.N {
		var s sequence.Sequence
		var rope sequence.Rope
		var lv causal.LV
		edits = 0
		for _, tx := range tr.Txns {
			for _, p := range tx.Patches {
				if p.Deleted > 0 {
					buf = s.Delete(nil, causal.History{}, lv, p.Pos, p.Deleted, buf[:0])
					for _, e := range buf {
						rope.Delete(e.Pos, e.Deleted)
						lv += causal.LV(e.Deleted)
					}
				}
				if n := utf8.RuneCountInString(p.Inserted); n > 0 {
					rope.Insert(s.Insert(nil, causal.History{}, lv, p.Pos, n), p.Inserted)
					lv += causal.LV(n)
				}
				edits++
			}
		}
		if rope.LenBytes() != len(tr.EndContent) {
			b.Fatal("wrong text")
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(edits), "ns/edit")
}

// BenchmarkRest packs the log of a recorded session, and reports the memory it takes then.
func BenchmarkRest(b *testing.B) {
	tr := loadTrace(b, filepath.Join(tracesDir(b), "automerge-paper.json.gz"))
	seqs := make([]sequence.Sequence, b.N)
	for i := range seqs {
		s := &seqs[i]
		var lv causal.LV
		for _, tx := range tr.Txns {
			for _, p := range tx.Patches {
				s.Delete(nil, causal.History{}, lv, p.Pos, p.Deleted, nil)
				lv += causal.LV(p.Deleted)
				if n := utf8.RuneCountInString(p.Inserted); n > 0 {
					s.Insert(nil, causal.History{}, lv, p.Pos, n)
					lv += causal.LV(n)
				}
			}
		}
	}
	b.ResetTimer()
	for i := range seqs {
		seqs[i].Rest()
	}
	b.StopTimer()
	var with, without runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&with)
	runtime.KeepAlive(seqs)
	seqs = nil
	runtime.GC()
	runtime.ReadMemStats(&without)
	b.ReportMetric((float64(with.HeapAlloc)-float64(without.HeapAlloc))/float64(b.N), "B")
}

// benchmarkDocument merges changes in order: the walker alone, given the histories, and
// all that a change costs, the graph included.
func benchmarkDocument(b *testing.B, changes []change, order []int, want int) {
	type fed struct {
		lv causal.LV
		h  causal.History
	}
	texts := make([][]string, len(changes)) // of their ops
	for i, c := range changes {
		for _, o := range c.ops {
			texts[i] = append(texts[i], string(o.text))
		}
	}
	text := func(rope *sequence.Rope, edits []sequence.Edit, text string) {
		for _, e := range edits {
			rope.Delete(e.Pos, e.Deleted)
			if e.Inserted > 0 {
				rope.Insert(e.Pos, text)
			}
		}
	}
	b.Run("walker", func(b *testing.B) {
		whole := newDocument()
		feed := make([]fed, len(changes))
		for _, i := range order {
			lv, h, err := whole.add(changes, i)
			if err != nil {
				b.Fatal(err)
			}
			feed[i] = fed{lv, h}
		}
		b.ResetTimer()
		b.ReportAllocs()
		for range b.N {
			d := document{g: whole.g}
			for _, i := range order {
				lv := feed[i].lv
				for k := range changes[i].ops {
					o := &changes[i].ops[k]
					text(&d.rope, d.feed(feed[i].h, lv, *o), texts[i][k])
					lv += causal.LV(o.len())
				}
			}
			if d.rope.Len() != want {
				b.Fatalf("a text of %d, want %d", d.rope.Len(), want)
			}
		}
	})
	b.Run("changes", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			d := newDocument()
			for _, i := range order {
				lv, h, err := d.add(changes, i)
				if err != nil {
					b.Fatal(err)
				}
				for k := range changes[i].ops {
					o := &changes[i].ops[k]
					text(&d.rope, d.feed(h, lv, *o), texts[i][k])
					lv += causal.LV(o.len())
				}
			}
			if d.rope.Len() != want {
				b.Fatalf("a text of %d, want %d", d.rope.Len(), want)
			}
		}
	})
}

func BenchmarkFriendsforever(b *testing.B) {
	tr := loadTrace(b, filepath.Join(tracesDir(b), "friendsforever.json.gz"))
	changes := tr.changes()
	benchmarkDocument(b, changes, ascending(len(changes)), utf8.RuneCountInString(tr.EndContent))
}

// BenchmarkTwoBranches merges two branches of 50,000 edits at random places of a text of 100,000: one after the other, the
// second in 100 pieces, each of which is asked about alone, and both in 100 pieces by turns.
func BenchmarkTwoBranches(b *testing.B) {
	const edits, pieces = 50000, 100
	r := rand.New(rand.NewPCG(1, 1))
	base := make([]rune, 100000)
	for i := range base {
		base[i] = rune('a' + i%26)
	}
	changes := []change{{actor: agentActor(9), seq: 1, ops: []textOp{{text: base}}}}
	for a := range 2 {
		length := len(base)
		for i := range edits {
			c := change{actor: agentActor(a), seq: causal.Seq(i + 1), parents: []int{0}}
			if i > 0 {
				c.parents = []int{len(changes) - 1}
			}
			if r.IntN(4) == 0 {
				c.ops = []textOp{{pos: r.IntN(length), n: 1}}
				length--
			} else {
				c.ops = []textOp{{pos: r.IntN(length + 1), text: []rune{'x'}}}
				length++
			}
			changes = append(changes, c)
		}
	}
	want := mergedLen(b, changes)
	b.Run("whole", func(b *testing.B) { benchmarkDocument(b, changes, ascending(len(changes)), want) })
	turns := []int{0}
	for p := range 2 * pieces {
		for i := range edits / pieces {
			turns = append(turns, 1+p%2*edits+p/2*(edits/pieces)+i)
		}
	}
	b.Run("by turns", func(b *testing.B) { benchmarkDocument(b, changes, turns, want) })
}

// BenchmarkElements edits a list of 100,000 elements at random places: one of as many runs, as when each was
// inserted for itself, and one that was a single run.
func BenchmarkElements(b *testing.B) {
	const size = 100000
	for _, whole := range []bool{false, true} {
		r := rand.New(rand.NewPCG(1, 1))
		fill := func() *sequence.Elements {
			e := new(sequence.Elements)
			if whole {
				e.Insert(0, 0, size)
				return e
			}
			for lv := range causal.LV(size) {
				e.Insert(r.IntN(e.Len()+1), lv, 1)
			}
			return e
		}
		name := map[bool]string{true: "one run", false: "single"}[whole]
		b.Run("insert and delete/"+name, func(b *testing.B) {
			e := fill()
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				e.Insert(r.IntN(e.Len()+1), causal.LV(size+2*i), 1)
				e.Delete(r.IntN(e.Len()), 1, nil)
			}
		})
		b.Run("move/"+name, func(b *testing.B) {
			e := fill()
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				s := e.Delete(r.IntN(e.Len()), 1, nil)[0]
				e.Insert(r.IntN(e.Len()+1), s.Start, 1)
			}
		})
		b.Run("index/"+name, func(b *testing.B) {
			e := fill()
			b.ResetTimer()
			for range b.N {
				if at, ok := e.Index(causal.LV(r.IntN(size))); !ok || at >= size {
					b.Fatal("not there")
				}
			}
		})
	}
}

// BenchmarkPrepends merges two branches of 5,000 characters, each typed before the one typed last: what is
// concurrent at one place must not be looked through anew for every character.
func BenchmarkPrepends(b *testing.B) {
	const n = 5000
	g := new(causal.Graph)
	var parents []causal.LV
	for i := range 2 * n {
		if i == n {
			parents = nil
		}
		span, err := g.Add(agentActor(i/n), causal.Seq(i%n+1), 1, parents)
		if err != nil {
			b.Fatal(err)
		}
		parents = []causal.LV{span.Start}
	}
	behind := g.HistoryAmong([]causal.LV{n - 1}, nil)
	b.ResetTimer()
	for range b.N {
		var s sequence.Sequence
		for lv := range causal.LV(2 * n) {
			h := causal.History{}
			if lv >= n {
				h = behind
			}
			s.Insert(g, h, lv, 0, 1)
		}
		if s.Len() != 2*n {
			b.Fatal("wrong length")
		}
	}
}
