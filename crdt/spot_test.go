package crdt

import (
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt/causal"
)

// A change to a text that was just edited is read and applied in a way of its own. Whatever is wrong with its bytes, that comes to what
// the long way comes to, and the event says the same.
func TestKeystrokesAsReceived(t *testing.T) {
	sentence := strings.Repeat("é", 200)
	applied, told := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		h := newHolder()
		short, shortTold, long := NewState(h.Chains), NewState(h.Chains), NewState(h.Chains)
		actors := []causal.Actor{actorOf(0), actorOf(1)}
		for i := range rapid.IntRange(2, 30).Draw(t, "changes") {
			g := Group{Slice: rapid.SampledFrom([]string{"notes", "notes", "other"}).Draw(t, "slice")}
			for range rapid.SampledFrom([]int{1, 1, 2, 3}).Draw(t, "ops") {
				op := Op{Code: CodeTextInsert, Pos: rapid.IntRange(0, 12).Draw(t, "pos"), Text: rapid.SampledFrom([]string{"a", "é", "xyz", "😀b", sentence}).Draw(t, "text")}
				op.Len = len([]rune(op.Text))
				if rapid.IntRange(0, 7).Draw(t, "miscounted") == 0 {
					op.Len = len(op.Text)
				}
				if i > 0 && rapid.IntRange(0, 2).Draw(t, "delete") == 0 {
					op = Op{Code: CodeTextDelete, Pos: op.Pos, Len: rapid.SampledFrom([]int{1, 2, 3, 200}).Draw(t, "n")}
				}
				op.Path = Path{{Key: "notes", Kind: Text}}
				if rapid.IntRange(0, 7).Draw(t, "below") == 0 {
					op.Path = Path{{Key: "notes", Kind: Map}, {Key: "body", Kind: Text}}
				}
				g.Len, g.Ops = g.Len+op.Len, AppendOp(g.Ops, &op, noRefs)
			}
			if i > 0 && rapid.IntRange(0, 3).Draw(t, "damaged") == 0 {
				g.Ops[rapid.IntRange(0, len(g.Ops)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
			}
			if rapid.IntRange(0, 9).Draw(t, "length") == 0 {
				g.Len = rapid.IntRange(1, 2*g.Len).Draw(t, "len")
			}
			parents := h.graph.Heads()
			if rapid.IntRange(0, 3).Draw(t, "concurrent") == 0 {
				parents = nil
			}
			a := h.authorAt(parents, rapid.SampledFrom(actors).Draw(t, "actor"), 1, g)
			if short.spot.text != nil {
				applied++
			}
			short.ApplyQuietly(a)
			long.spot = spot{}
			want := long.Apply(a)
			if got, want := short.describe(), long.describe(); got != want {
				t.Fatalf("change %d, %x of %d:\n%s, the long way\n%s", i, g.Ops, g.Len, got, want)
			}
			if shortTold.spot.isPlain(shortTold) {
				told++
			}
			if ev := shortTold.Apply(a); !reflect.DeepEqual(ev, want) {
				t.Fatalf("change %d, %x of %d: the event\n%+v, the long way\n%+v", i, g.Ops, g.Len, ev, want)
			}
			if got, want := shortTold.describe(), long.describe(); got != want {
				t.Fatalf("change %d, %x of %d:\n%s, the long way\n%s", i, g.Ops, g.Len, got, want)
			}
		}
	})
	if applied == 0 || told == 0 {
		t.Errorf("%d changes came while there was a spot, %d while it was plain", applied, told)
	}
}

// What is committed quietly, keystrokes in a short way of their own, is what is committed with an event, byte by byte: so are the
// change, its place in the chain and the state. With an event there are two ways, too, and the event is the same.
func TestQuietCommitsAreTheSame(t *testing.T) {
	keystrokes, told := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		loud, short, quiet, other := newDevice(0), newDevice(0), newDevice(0), newDevice(1)
		for range rapid.IntRange(1, 40).Draw(t, "changes") {
			if rapid.IntRange(0, 9).Draw(t, "other") == 0 {
				other.update(t, func(tx *Tx) { tx.Text("a").Insert(tx.Text("a").Len()/2, "other") })
				for _, d := range []*device{loud, short, quiet} {
					d.take(t, other)
				}
			}
			edits := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) [3]int {
				return [3]int{rapid.IntRange(0, 10).Draw(t, "what"), rapid.IntRange(0, 99).Draw(t, "where"), rapid.IntRange(1, 3).Draw(t, "n")}
			}), 1, 4).Draw(t, "edits")
			if rapid.IntRange(0, 3).Draw(t, "one") > 0 {
				edits = edits[:1]
			}
			edit := func(tx *Tx) {
				for _, e := range edits {
					text := tx.Text("a")
					list := tx.List([]string{"a", "l"}[e[1]%2])
					switch e[0] {
					case 0:
						text = tx.Map("m").Text("b")
					case 1:
						tx.Map("m").Put("c", e[1])
					case 2:
						tx.Delete("a")
					case 8:
						list.Insert(e[1]%(list.Len()+1), e[1])
						continue
					case 9, 10:
						if n := list.Len(); n > 0 && e[0] == 9 {
							list.Move(e[1]%n, e[2]%n)
						} else if n > 0 {
							list.Delete(e[1]%n, 1)
						}
						list.Insert(0, e[2])
						continue
					}
					pos := e[1] % (text.Len() + 1)
					if n := min(e[2], text.Len()-pos); e[0] < 5 && n > 0 {
						text.Delete(pos, n)
					} else {
						text.Insert(pos, "héy"[:e[2]+min(e[2]-1, 1)])
					}
				}
			}
			write := func(d *device, tx Tx) Accepted {
				edit(&tx)
				switch {
				case d == loud:
					tx.s.play() // so it goes the long way
				case !tx.s.draft.isTyping(tx.s):
				case d == quiet:
					keystrokes++
				default:
					told++
				}
				a, ev, ok, err := tx.Commit()
				if err != nil || !ok {
					t.Fatalf("commit: %v, %v", ok, err)
				}
				d.committed(a, ev)
				return a
			}
			loud.clock++
			if rapid.Bool().Draw(t, "not yet") {
				before := quiet.state.describe()
				tx := quiet.state.BeginQuietly(quiet.actor, loud.clock)
				edit(&tx)
				tx.Rollback()
				if after := quiet.state.describe(); after != before {
					t.Fatalf("given up, it left\n%s, before it was\n%s", after, before)
				}
			}
			a := write(loud, loud.state.Begin(loud.actor, loud.clock))
			b := write(quiet, quiet.state.BeginQuietly(quiet.actor, loud.clock))
			write(short, short.state.Begin(short.actor, loud.clock))
			if !reflect.DeepEqual(short.last, loud.last) {
				t.Fatalf("the event\n%+v, the long way\n%+v", short.last, loud.last)
			}
			if got, want := short.state.describe(), loud.state.describe(); got != want {
				t.Fatalf("in a short way\n%s, else\n%s", got, want)
			}
			if a.Hash != b.Hash || a.Span != b.Span || a.Effective != b.Effective {
				t.Fatalf("%v %v %v, quietly %v %v %v", a.Hash, a.Span, a.Effective, b.Hash, b.Span, b.Effective)
			}
			if got, want := quiet.state.describe(), loud.state.describe(); got != want {
				t.Fatalf("quietly\n%s, else\n%s", got, want)
			}
			if got, want := quiet.fingerprint(), loud.fingerprint(); got != want {
				t.Fatalf("chains, quietly\n%s, else\n%s", got, want)
			}
		}
		quiet.state = NewState(quiet.Chains)
		for _, a := range quiet.log {
			quiet.state.ApplyQuietly(a)
		}
		if got, want := quiet.state.describe(), loud.state.describe(); got != want {
			t.Fatalf("applied anew\n%s, else\n%s", got, want)
		}
	})
	if keystrokes == 0 || told == 0 {
		t.Errorf("%d commits in the short way, %d with an event", keystrokes, told)
	}
}
