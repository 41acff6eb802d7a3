package crdt_test

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/sessions"
)

// TestCommitTo commits the same to a batch that is being made and as changes of which a batch is made afterwards, and has a reader,
// who looks everything up, take it.
func TestCommitTo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at, by, reader := newLive(), newLive(), newLive()
		for range rapid.IntRange(1, 4).Draw(t, "batches") {
			direct := new(crdt.Batch)
			var log []crdt.Accepted
			changes := 0
			actor := agent(rapid.IntRange(0, 1).Draw(t, "actor"))
			for range rapid.IntRange(1, 30).Draw(t, "commits") {
				if rapid.IntRange(0, 9).Draw(t, "other") == 0 {
					actor = agent(rapid.IntRange(0, 1).Draw(t, "actor"))
				}
				write := drawWrites(t)
				time := rapid.Int64Range(1, 50).Draw(t, "time")
				begin := (*crdt.State).BeginQuietly
				if rapid.IntRange(0, 19).Draw(t, "loud") == 0 {
					begin = (*crdt.State).Begin
				}
				tx := begin(at.state, actor, time)
				write(&tx)
				span, ok, err := tx.CommitTo(direct)
				twin := begin(by.state, actor, time)
				write(&twin)
				a, _, okToo, errToo := twin.Commit()
				if ok != okToo || fmt.Sprint(err) != fmt.Sprint(errToo) || span != a.Span {
					t.Fatalf("CommitTo: %v, %t, %v; Commit: %v, %t, %v", span, ok, err, a.Span, okToo, errToo)
				}
				if tx.Err() == nil {
					t.Fatal("the transaction goes on")
				}
				if ok {
					log = append(log, a)
					changes++
				}
			}
			if changes == 0 {
				continue
			}
			if direct.Len() != changes {
				t.Fatalf("%d changes of %d", direct.Len(), changes)
			}
			reader.read(t, direct)
			if got, want := direct.AppendTo(nil), by.chains.BatchOf(log).AppendTo(nil); !bytes.Equal(got, want) {
				t.Fatalf("got  %x\nwant %x", got, want)
			}
		}
		at.sameAs(t, by, writtenTexts...)
		at.sameAs(t, reader, writtenTexts...)
	})
}

// read takes in a batch as it travels.
func (l *live) read(t rapid.TB, batch *crdt.Batch) {
	decoded, err := crdt.DecodeBatch(batch.AppendTo(nil))
	if err != nil {
		t.Fatal(err)
	}
	checked, err := l.chains.Check(decoded, nil)
	if err != nil {
		t.Fatal(err)
	}
	l.state.ApplyAll(l.chains.Add(checked))
}

// sameAs checks that o has the same chains as l, and shows the same in some texts.
func (l *live) sameAs(t rapid.TB, o *live, texts ...string) {
	if o.chains.Digest() != l.chains.Digest() || o.chains.Len() != l.chains.Len() {
		t.Fatal("the chains differ")
	}
	for lv := range l.chains.Graph().Len() {
		if got, want := o.chains.ChangeAt(lv), l.chains.ChangeAt(lv); got != want {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	}
	for _, slice := range texts {
		if got, want := o.state.Text(slice).String(), l.state.Text(slice).String(); got != want {
			t.Fatalf("%s: got %q, want %q", slice, got, want)
		}
	}
}

// writtenTexts are where drawWrites writes. The second has a name that frames of typing do not copy as a whole.
var writtenTexts = []string{"text", "a text whose slice has a long name"}

// drawWrites returns what a transaction does: mostly a keystroke, at times more, something else or an error.
func drawWrites(t *rapid.T) func(tx *crdt.Tx) {
	slice := writtenTexts[0]
	if rapid.IntRange(0, 9).Draw(t, "elsewhere") == 0 {
		slice = writtenTexts[1]
	}
	n := 1
	if rapid.IntRange(0, 9).Draw(t, "several") == 0 {
		n = rapid.IntRange(0, 3).Draw(t, "edits")
	}
	var edits []func(text *crdt.TxText)
	for range n {
		pos := rapid.IntRange(0, 1000).Draw(t, "pos")
		s := rapid.SampledFrom([]string{"a", "b", "é", "xyz", "a line that is so long that it is hashed on its own, which few keys can do"}).Draw(t, "s")
		what := rapid.IntRange(0, 12).Draw(t, "what")
		edits = append(edits, func(text *crdt.TxText) {
			switch length := text.Len(); {
			case what < 5:
				text.Append(s)
			case what < 8:
				text.Insert(pos%(length+1), s)
			case what < 11 && length > 0:
				text.Delete(pos%length, 1)
			case what == 11:
				text.Touch()
			case what == 12 && pos > 900:
				text.Delete(length, 1)
			}
		})
	}
	return func(tx *crdt.Tx) {
		for _, edit := range edits {
			edit(tx.Text(slice))
		}
	}
}

// TestCommitToSession commits a recorded session to batches, which a fresh replica takes.
func TestCommitToSession(t *testing.T) {
	testBlocks(t, func(l *live, patches []sessions.Patch, each func(*crdt.Batch)) {
		batch := new(crdt.Batch)
		for i := range patches {
			tx := l.state.BeginQuietly(agent(0), int64(i))
			write(tx.Text("text"), &patches[i])
			if _, ok, err := tx.CommitTo(batch); !ok || err != nil {
				t.Fatal(ok, err)
			}
			if batch.Len() == 1000 || i+1 == len(patches) {
				each(batch)
				batch = new(crdt.Batch)
			}
		}
	})
}

// testBlocks has author write a session in blocks, which it gives to each, and a fresh replica take them.
func testBlocks(t *testing.T, author func(l *live, patches []sessions.Patch, each func(*crdt.Batch))) {
	session := recorded(t, "sveltecomponent")
	at, reader := newLive(), newLive()
	author(at, session.Patches(), func(block *crdt.Batch) { reader.read(t, block) })
	at.check(t, session.EndContent)
	at.sameAs(t, reader, "text")
}
