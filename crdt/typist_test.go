package crdt_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/sessions"
)

// TestTypist has typists write what transactions write too, each a change, with other transactions in between, and has a reader, who looks
// everything up, take it.
func TestTypist(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at, by, reader := newLive(), newLive(), newLive()
		for range rapid.IntRange(1, 4).Draw(t, "batches") {
			direct := new(crdt.Batch)
			var log []crdt.Accepted
			commit := func(actor crdt.Actor, time int64, write func(*crdt.Tx)) error {
				tx := by.state.BeginQuietly(actor, time)
				write(&tx)
				a, _, ok, err := tx.Commit()
				if ok {
					log = append(log, a)
				}
				return err
			}
			for range rapid.IntRange(1, 4).Draw(t, "turns") {
				actor := agent(rapid.IntRange(0, 1).Draw(t, "actor"))
				if rapid.IntRange(0, 3).Draw(t, "other") == 0 {
					write, time := drawWrites(t), rapid.Int64Range(1, 50).Draw(t, "time")
					tx := at.state.BeginQuietly(actor, time)
					write(&tx)
					_, _, err := tx.CommitTo(direct)
					if twin := commit(actor, time, write); fmt.Sprint(err) != fmt.Sprint(twin) {
						t.Fatalf("%v, not %v", err, twin)
					}
					continue
				}
				from := at.chains.Graph().Len()
				slice := rapid.SampledFrom(writtenTexts).Draw(t, "slice")
				typist := at.state.Text(slice).Type(direct, actor)
				for range rapid.IntRange(0, 30).Draw(t, "edits") {
					e := drawTyped(t)
					err := e.typist(typist, at.state.Text(slice).Len())
					twin := commit(actor, e.time, func(tx *crdt.Tx) { e.write(tx.Text(slice)) })
					if fmt.Sprint(err) != fmt.Sprint(twin) {
						t.Fatalf("%v, not %v", err, twin)
					}
					if got, want := at.state.Text(slice).String(), by.state.Text(slice).String(); got != want {
						t.Fatalf("%q is shown, not %q", got, want)
					}
					if rapid.IntRange(0, 9).Draw(t, "commit") == 0 {
						typist.Commit()
					}
				}
				span := typist.Commit()
				if span.Start != from || span.End != by.chains.Graph().Len() {
					t.Fatalf("committed %v, from %d on", span, from)
				}
			}
			if direct.Len() != len(log) {
				t.Fatalf("%d changes of %d", direct.Len(), len(log))
			}
			if len(log) == 0 {
				continue
			}
			if got, want := direct.AppendTo(nil), by.chains.BatchOf(log).AppendTo(nil); !bytes.Equal(got, want) {
				t.Fatalf("got  %x\nwant %x", got, want)
			}
			reader.read(t, direct)
		}
		at.sameAs(t, by, writtenTexts...)
		at.sameAs(t, reader, writtenTexts...)
	})
}

// typedEdit is an edit, or several that are one change.
type typedEdit struct {
	time     int64
	pos, del int // pos is taken modulo what there is, unless it is negative
	ins      string
	wrong    bool
}

func drawTyped(t *rapid.T) typedEdit {
	e := typedEdit{
		time:  rapid.SampledFrom([]int64{0, 1, 2, 2, 2, 5, 50, 51, 1 << 40, crdt.MaxTime, crdt.MaxTime + 1, -1}).Draw(t, "time"),
		pos:   rapid.IntRange(0, 1000).Draw(t, "pos"),
		wrong: rapid.IntRange(0, 19).Draw(t, "wrong") == 0,
	}
	if e.time <= crdt.MaxTime && e.time > 50 && rapid.Bool().Draw(t, "sane") {
		e.time = 3
	}
	if what := rapid.IntRange(0, 9).Draw(t, "what"); what < 6 {
		e.ins = rapid.SampledFrom([]string{"a", "b", "é", "𝄞", "xyz", "", "\xff", "a line that is so long that it is hashed on its own, which few keys can do"}).Draw(t, "ins")
	} else if e.del = rapid.IntRange(0, 2).Draw(t, "del"); what == 9 {
		e.ins = "y"
	}
	if rapid.Bool().Draw(t, "on") {
		e.pos = 1000 // behind the last
	}
	return e
}

// place returns where e is in a text of n code points, and how much it deletes.
func (e *typedEdit) place(n int) (pos, del int) {
	switch {
	case e.wrong:
		return n + 1, e.del
	case e.pos == 1000:
		return n - min(e.del, n), e.del
	}
	return e.pos % (n + 1), e.del
}

func (e *typedEdit) typist(t *crdt.Typist, n int) error {
	switch pos, del := e.place(n); {
	case del > 0 && e.ins != "":
		return t.Update(e.time, e.write)
	case e.ins != "" || del == 0:
		return t.Insert(e.time, pos, e.ins)
	default:
		return t.Delete(e.time, pos, del)
	}
}

func (e *typedEdit) write(text *crdt.TxText) {
	pos, del := e.place(text.Len())
	if del > 0 {
		text.Delete(pos, del)
	}
	if e.ins != "" || del == 0 {
		text.Insert(pos, e.ins)
	}
}

// TestTypistSession types a recorded session in blocks, which a fresh replica takes.
func TestTypistSession(t *testing.T) {
	testBlocks(t, func(l *live, patches []sessions.Patch, each func(*crdt.Batch)) { l.typeBlocks(t, patches, each) })
}

// typeBlocks types patches, in blocks of a thousand changes or what is left.
func (l *live) typeBlocks(t testing.TB, patches []sessions.Patch, each func(*crdt.Batch)) {
	now := int64(0)
	for block := range slices.Chunk(patches, 1000) {
		batch := new(crdt.Batch)
		typist := l.state.Text("text").Type(batch, agent(0))
		for i := range block {
			var err error
			switch p := &block[i]; {
			case p.Deleted == 0:
				err = typist.Insert(now, p.Pos, p.Inserted)
			case p.Inserted == "":
				err = typist.Delete(now, p.Pos, p.Deleted)
			default:
				err = typist.Update(now, func(text *crdt.TxText) { write(text, p) })
			}
			if err != nil {
				t.Fatal(err)
			}
			now++
		}
		typist.Commit()
		each(batch)
	}
}

// A typist writes into texts that take more thought than most as a transaction does.
func TestTypistElsewhere(t *testing.T) {
	long := strings.Repeat("key", 20) // changes are hashed, and travel, in another form
	for _, c := range []struct {
		name string
		make func(tx *crdt.Tx)
		in   func(tx *crdt.Tx) *crdt.TxText
		view func(s *crdt.State) *crdt.TextView
	}{
		{
			"none yet",
			func(tx *crdt.Tx) { tx.Counter("other").Add(1) },
			func(tx *crdt.Tx) *crdt.TxText { return tx.Text("text") },
			func(s *crdt.State) *crdt.TextView { return s.Text("text") },
		}, {
			"below maps",
			func(tx *crdt.Tx) { tx.Map("a").Map("b").Text("c").Append("made") },
			func(tx *crdt.Tx) *crdt.TxText { return tx.Map("a").Map("b").Text("c") },
			func(s *crdt.State) *crdt.TextView { return s.Map("a").Map("b").Text("c") },
		}, {
			"below a long key",
			func(tx *crdt.Tx) { tx.Map("a").Text(long).Append("made") },
			func(tx *crdt.Tx) *crdt.TxText { return tx.Map("a").Text(long) },
			func(s *crdt.State) *crdt.TextView { return s.Map("a").Text(long) },
		}, {
			"in a map whose deletes win",
			func(tx *crdt.Tx) { tx.DeleteWinsMap("a").Text("b").Append("made") },
			func(tx *crdt.Tx) *crdt.TxText { return tx.DeleteWinsMap("a").Text("b") },
			func(s *crdt.State) *crdt.TextView { return s.DeleteWinsMap("a").Text("b") },
		}, {
			"marked",
			func(tx *crdt.Tx) {
				tx.Text("text").Append("made bold")
				tx.Text("text").Mark(0, 9, "bold", true, crdt.GrowEnd)
			},
			func(tx *crdt.Tx) *crdt.TxText { return tx.Text("text") },
			func(s *crdt.State) *crdt.TextView { return s.Text("text") },
		}, {
			"deleted once",
			func(tx *crdt.Tx) {
				tx.Text("text").Append("gone")
				tx.Delete("text")
			},
			func(tx *crdt.Tx) *crdt.TxText { return tx.Text("text") },
			func(s *crdt.State) *crdt.TextView { return s.Text("text") },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			at, by, reader := newLive(), newLive(), newLive()
			block := new(crdt.Batch)
			tx := at.state.BeginQuietly(agent(0), 1)
			c.make(&tx)
			if _, ok, err := tx.CommitTo(block); !ok || err != nil {
				t.Fatal(ok, err)
			}
			var log []crdt.Accepted
			commit := func(write func(*crdt.Tx)) {
				tx := by.state.BeginQuietly(agent(0), 1)
				write(&tx)
				a, _, ok, err := tx.Commit()
				if !ok || err != nil {
					t.Fatal(ok, err)
				}
				log = append(log, a)
			}
			commit(c.make)
			read := func() {
				if got, want := block.AppendTo(nil), by.chains.BatchOf(log).AppendTo(nil); !bytes.Equal(got, want) {
					t.Fatalf("got  %x\nwant %x", got, want)
				}
				reader.read(t, block)
				at.sameAs(t, by)
				block, log = new(crdt.Batch), nil
			}
			typist := c.view(at.state).Type(block, agent(0))
			for i := range 60 {
				if i == 31 { // the next block begins with a deletion
					typist.Commit()
					read()
					typist = c.view(at.state).Type(block, agent(0))
				}
				var err error
				if i%8 == 7 {
					err = typist.Delete(1, 0, 1)
					commit(func(tx *crdt.Tx) { c.in(tx).Delete(0, 1) })
				} else {
					end := c.view(at.state).Len()
					err = typist.Insert(1, end, "é")
					commit(func(tx *crdt.Tx) { c.in(tx).Append("é") })
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			typist.Commit()
			read()
			if got, want := fmt.Sprint(c.view(at.state).Spans()), fmt.Sprint(c.view(reader.state).Spans()); got != want {
				t.Fatalf("%s, not %s", got, want)
			}
		})
	}
}

// What is typed keeps the text, and all it is in, from a delete by somebody who has not seen it.
func TestTypistKeepsAlive(t *testing.T) {
	at, other := newLive(), newLive()
	block := new(crdt.Batch)
	tx := at.state.BeginQuietly(agent(0), 1)
	tx.Map("m").Text("t").Append("made")
	tx.Map("m").Text("t").Append("and typed into")
	tx.CommitTo(block)
	other.read(t, block)

	block = new(crdt.Batch)
	typist := at.state.Map("m").Text("t").Type(block, agent(0))
	for range 10 {
		if err := typist.Insert(3, 0, "x"); err != nil {
			t.Fatal(err)
		}
	}
	if err := typist.Delete(3, 0, 1); err != nil {
		t.Fatal(err)
	}
	typist.Commit()

	deletion := new(crdt.Batch)
	tx = other.state.BeginQuietly(agent(1), 5)
	tx.Map("m").Delete("t")
	tx.Delete("m")
	if _, ok, err := tx.CommitTo(deletion); !ok || err != nil {
		t.Fatal(ok, err)
	}
	at.read(t, deletion)
	other.read(t, block)
	if got, want := at.state.Map("m").JSON(), other.state.Map("m").JSON(); got != want || !strings.Contains(got, "xmade") {
		t.Fatalf("%s and %s", got, want)
	}
}

// Nothing else can be begun while somebody types.
func TestTypistUnderWay(t *testing.T) {
	l := newLive()
	block := new(crdt.Batch)
	typist := l.state.Text("text").Type(block, agent(0))
	for i := range 10 {
		if err := typist.Insert(1, i, "x"); err != nil {
			t.Fatal(err)
		}
	}
	tx := l.state.BeginQuietly(agent(0), 1)
	if _, _, err := tx.CommitTo(block); err == nil {
		t.Fatal("a transaction was begun")
	}
	typist.Commit()
	tx = l.state.BeginQuietly(agent(0), 1)
	if tx.Err() != nil {
		t.Fatal(tx.Err())
	}
	if err := typist.Insert(1, 0, "x"); err == nil {
		t.Fatal("typed during a transaction")
	}
	tx.Rollback()
	if err := typist.Insert(1, 0, "x"); err != nil {
		t.Fatal(err)
	}
}

// An edit that panics has done nothing, and typing goes on.
func TestTypistPanic(t *testing.T) {
	l := newLive()
	block := new(crdt.Batch)
	typist := l.state.Text("text").Type(block, agent(0))
	for i := range 10 {
		if err := typist.Insert(1, i, "x"); err != nil {
			t.Fatal(err)
		}
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Fatal("it does not panic")
			}
		}()
		typist.Update(1, func(text *crdt.TxText) {
			text.Insert(0, "gone")
			text.Slice(0, 1000)
		})
	}()
	if err := typist.Insert(1, 10, "y"); err != nil {
		t.Fatal(err)
	}
	typist.Commit()
	if got := l.state.Text("text").String(); got != "xxxxxxxxxxy" || block.Len() != 11 {
		t.Fatalf("%q in %d changes", got, block.Len())
	}
	other := newLive()
	other.read(t, block)
	l.sameAs(t, other, "text")
}
