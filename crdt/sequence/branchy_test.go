package sequence_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/atollsync/atoll/crdt/causal"
)

// branchy makes a history like that of a text file in a repository: commits by many authors, each of a few patches
// that replace some text, on about as many branches at once as said, most of them short, which start
// from something recent on one that goes on and are merged into it again. Commits are in the order of time.
func branchy(r *rand.Rand, commits, branches, authors, editsPerCommit int) []change {
	type branch struct {
		tip    int // change
		merged int // the tip of another that the next change here merges, -1 if none
		length int // about
		left   int // commits before it is merged into branch 0, the one that goes on
	}
	seqs := make([]causal.Seq, authors)
	wrote := make([]int, authors)
	var changes []change
	var saw [][]int // by change and author: how many of the author's changes
	live := []branch{{tip: -1, merged: -1}}
	var mainline []branch // as it was
	for len(changes) < commits {
		if len(live) < branches && len(mainline) > 0 && r.IntN(3) == 0 {
			back := min(len(mainline)-1, int(r.ExpFloat64()*6))
			b := mainline[len(mainline)-1-back]
			b.left = 1 + int(r.ExpFloat64()*8)
			live = append(live, b)
		}
		at := r.IntN(len(live))
		b := &live[at]
		if at > 0 && b.left <= 0 && live[0].merged < 0 {
			live[0].merged, live[0].length = b.tip, max(live[0].length, b.length)
			live = slices.Delete(live, at, at+1)
			continue
		}
		b.left--
		// One of the authors whose own last change is seen by this one, or a new one.
		c := change{}
		if b.tip >= 0 {
			c.parents = append(c.parents, b.tip)
		}
		if b.merged >= 0 && b.merged != b.tip {
			c.parents = append(c.parents, b.merged)
		}
		b.merged = -1
		has := make([]int, authors)
		for _, p := range c.parents {
			for a := range has {
				has[a] = max(has[a], saw[p][a])
			}
		}
		a := r.IntN(authors)
		for tries := 0; has[a] < wrote[a] && tries < 4*authors; tries++ {
			a = r.IntN(authors)
		}
		if has[a] < wrote[a] {
			continue
		}
		wrote[a]++
		has[a]++
		saw = append(saw, has)
		c.actor, c.seq = agentActor(a), seqs[a]+1
		edits := 1 + int(r.ExpFloat64()*float64(editsPerCommit))
		if len(changes) == 0 {
			edits = 2000
			c.ops = append(c.ops, textOp{text: make([]rune, edits)})
			b.length, edits = edits, 0
		}
		at = r.IntN(b.length + 1)
		for edits > 0 {
			n := 1 + int(r.ExpFloat64()*20)
			at = (at + r.IntN(400)) % (b.length + 1)
			if r.IntN(5) < 2 {
				if n = min(n, b.length-at); n > 0 {
					c.ops = append(c.ops, textOp{pos: at, n: n})
					b.length -= n
				}
			} else {
				c.ops = append(c.ops, textOp{pos: at, text: make([]rune, n)})
				b.length += n
			}
			edits -= max(n, 1)
		}
		if c.len() == 0 {
			c.ops = append(c.ops, textOp{text: make([]rune, 1)})
		}
		for _, o := range c.ops {
			for i := range o.text {
				o.text[i] = 'a' + rune(i%26)
			}
		}
		seqs[a] += causal.Seq(c.len())
		b.tip = len(changes)
		changes = append(changes, c)
		if b == &live[0] {
			mainline = append(mainline, *b)
		}
	}
	return changes
}

// BenchmarkBranchy merges histories like those of text files in repositories, from scratch. The first is about as large, as finely cut and as
// branchy as what is published of git's Makefile: 698,000 edits in 31,900 runs of ops by 299 authors, on six branches at once, with hardly a version
// that all that follows has seen. The second has the size of node.cc's, 947,000 edits in 53,600 runs, but many times its branches.
func BenchmarkBranchy(b *testing.B) {
	for _, test := range []struct {
		name                             string
		commits, branches, authors, size int
	}{
		{"700k edits 2400 commits", 2400, 8, 300, 280},
		{"950k edits 12000 commits", 12000, 4, 200, 72},
		{"many branches", 20000, 10, 300, 3},
	} {
		b.Run(test.name, func(b *testing.B) {
			changes := branchy(rand.New(rand.NewPCG(1, 1)), test.commits, test.branches, test.authors, test.size)
			want := mergedLen(b, changes)
			if !testing.Short() {
				b.Run("as made", func(b *testing.B) { benchmarkDocument(b, changes, ascending(len(changes)), want) })
			}
			b.Run("ordered", func(b *testing.B) { benchmarkDocument(b, changes, ordered(changes), want) })
		})
	}
}

// ordered returns the order of changes that causal.Order gives.
func ordered(changes []change) []int {
	var ends, parents []int32
	for _, c := range changes {
		for _, p := range c.parents {
			parents = append(parents, int32(p))
		}
		ends = append(ends, int32(len(parents)))
	}
	var out []int
	for _, i := range causal.Order(ends, parents, func(i int) int { return changes[i].len() }) {
		out = append(out, int(i))
	}
	return out
}

// mergedLen returns the length of the text that changes make.
func mergedLen(b *testing.B, changes []change) int {
	d := newDocument()
	for _, i := range ordered(changes) {
		lv, h, err := d.add(changes, i)
		if err != nil {
			b.Fatal(err)
		}
		for _, o := range changes[i].ops {
			d.feed(h, lv, o)
			lv += causal.LV(o.len())
		}
	}
	return d.seq.Len()
}

// BenchmarkManyAtOnePlace merges inserts by many actors at one place, none of whom saw another's.
func BenchmarkManyAtOnePlace(b *testing.B) {
	for _, n := range []int{1000, 10000} {
		b.Run(map[int]string{1000: "1000", 10000: "10000"}[n], func(b *testing.B) {
			changes := []change{{actor: agentActor(n), seq: 1, ops: []textOp{{text: []rune("ab")}}}}
			for _, a := range rand.New(rand.NewPCG(1, 1)).Perm(n) {
				changes = append(changes, change{actor: agentActor(a), seq: 1, parents: []int{0}, ops: []textOp{{pos: 1, text: []rune{'x'}}}})
			}
			benchmarkDocument(b, changes, ascending(len(changes)), n+2)
		})
	}
}
