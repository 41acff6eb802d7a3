package storage_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"testing/iotest"
	"time"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/crdt/sessions"
	"github.com/atollsync/atoll/storage"
	"github.com/atollsync/atoll/storage/storagetest"
)

// memorySource is a Source in memory.
type memorySource []crdt.Accepted

func (s memorySource) Changes(span causal.Span, yield func(crdt.Accepted) bool) error {
	for _, a := range s {
		if a.Span.Start < span.End && a.Span.End > span.Start && !yield(a) {
			break
		}
	}
	return nil
}

// readArchive checks an archive, signatures included, and returns its changes.
func readArchive(t *testing.T, store crdt.StoreID, r io.Reader) (*crdt.Chains, []crdt.Accepted, error) {
	t.Helper()
	in, err := storage.NewArchiveReader(r)
	if err != nil {
		t.Fatal(err)
	}
	chains := crdt.NewChains(store)
	var out []crdt.Accepted
	for {
		b, err := in.Next()
		if err == io.EOF {
			if _, err := in.Next(); err != io.EOF {
				t.Fatalf("after the end: %v", err)
			}
			return chains, out, nil
		}
		if err != nil {
			return chains, out, err
		}
		k, err := chains.Check(b, crdt.VerifyEd25519)
		if err != nil {
			return chains, out, err
		}
		for a := range chains.Add(k).All {
			out = append(out, a)
		}
	}
}

// typist writes n keystrokes by one device, signed at the end, into chains that hold others' changes.
func typist(h *storagetest.History, n int) []crdt.Accepted {
	key := storagetest.Key(7)
	actor := causal.Actor{Device: storagetest.DeviceOf(key)}
	var out []crdt.Accepted
	for i := range n {
		ops := crdt.AppendOp(nil, &crdt.Op{Code: crdt.CodeTextInsert, Len: 1, Path: crdt.Path{{Key: "notes", Kind: crdt.Text}}, Pos: i, Text: "x"}, nil)
		ch := &crdt.Change{Actor: actor, Seq: causal.Seq(i + 1), Time: int64(1000 + i*i%300), Groups: []crdt.Group{{Slice: "notes", Len: 1, Ops: ops}}}
		var parents []causal.LV
		if i > 0 {
			parents = []causal.LV{out[i-1].Span.End - 1}
		}
		out = append(out, h.Chains.Author(ch, parents))
	}
	last := out[n-1]
	h.Chains.AddSignature(crdt.Signature{Dot: last.Dot(), Sig: [64]byte(ed25519.Sign(key, crdt.SigningBytes(last.Hash)))})
	return out
}

func TestArchive(t *testing.T) {
	h := storagetest.NewHistory(storagetest.Store(1), 3, 1)
	for range 30 {
		h.Add(5, 7)
	}
	all := append(memorySource(h.Changes), typist(h, 3000)...)
	for _, effort := range []storage.ArchiveEffort{storage.DefaultEffort, storage.BestEffort} {
		var buf bytes.Buffer
		if err := storage.WriteArchive(&buf, h.Chains, all, effort); err != nil {
			t.Fatal(err)
		}
		if max := 30*5*40 + 3000*3 + 1000; buf.Len() > max {
			t.Errorf("%d bytes, want at most %d", buf.Len(), max)
		}
		chains, got, err := readArchive(t, storagetest.Store(1), iotest.OneByteReader(bytes.NewReader(buf.Bytes())))
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(all) || chains.Digest() != h.Chains.Digest() {
			t.Fatalf("%d changes, want %d", len(got), len(all))
		}
		for i := range got {
			if !reflect.DeepEqual(got[i], all[i]) {
				t.Fatalf("change %d: %+v, want %+v", i, got[i], all[i])
			}
		}
		// Another store's archive is not this one's.
		if _, _, err := readArchive(t, storagetest.Store(2), &buf); !errors.Is(err, crdt.ErrSignature) {
			t.Errorf("the archive of another store: %v", err)
		}
	}
}

// What nobody has signed yet is left out.
func TestArchiveUnsigned(t *testing.T) {
	h := storagetest.NewHistory(storagetest.Store(1), 1, 1)
	h.Add(5, 7)
	all := append(memorySource(h.Changes), typist(h, 20)...)
	ch := *all[24].Change
	ch.Seq, ch.Time = ch.Seq+1, ch.Time+1
	h.Chains.Author(&ch, []causal.LV{all[24].Span.End - 1})
	var buf bytes.Buffer
	if err := storage.WriteArchive(&buf, h.Chains, append(all, crdt.Accepted{Change: &ch, Span: causal.Span{Start: all[24].Span.End, End: all[24].Span.End + 1}}), 0); err != nil {
		t.Fatal(err)
	}
	if _, got, err := readArchive(t, storagetest.Store(1), &buf); err != nil || len(got) != 25 {
		t.Errorf("%d changes, %v", len(got), err)
	}
	var empty bytes.Buffer
	if err := storage.WriteArchive(&empty, crdt.NewChains(storagetest.Store(1)), memorySource(nil), 0); err != nil {
		t.Fatal(err)
	}
	if _, got, err := readArchive(t, storagetest.Store(1), &empty); err != nil || len(got) != 0 {
		t.Errorf("of nothing: %d changes, %v", len(got), err)
	}
}

// Wherever an archive is cut or damaged, reading says so: no change comes out of it that did not go in.
func TestArchiveDamaged(t *testing.T) {
	h := storagetest.NewHistory(storagetest.Store(1), 2, 1)
	h.Add(5, 7)
	all := append(memorySource(h.Changes), typist(h, 300)...)
	var buf bytes.Buffer
	if err := storage.WriteArchive(&buf, h.Chains, all, 0); err != nil {
		t.Fatal(err)
	}
	whole := buf.Bytes()
	for n := range whole {
		if _, _, err := readArchive(t, storagetest.Store(1), bytes.NewReader(whole[:n])); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut at %d of %d: %v", n, len(whole), err)
		}
		for _, bits := range []byte{1, 0x80} {
			damaged := bytes.Clone(whole)
			damaged[n] ^= bits
			_, got, err := readArchive(t, storagetest.Store(1), bytes.NewReader(damaged))
			if err == nil && fmt.Sprint(len(got)) != fmt.Sprint(len(all)) {
				t.Fatalf("byte %d of %d changed: %d changes and no error", n, len(whole), len(got))
			}
		}
	}
}

func FuzzArchive(f *testing.F) {
	h := storagetest.NewHistory(storagetest.Store(1), 2, 1)
	h.Add(5, 7)
	all := append(memorySource(h.Changes), typist(h, 30)...)
	var buf bytes.Buffer
	if err := storage.WriteArchive(&buf, h.Chains, all, 0); err != nil {
		f.Fatal(err)
	}
	f.Add(buf.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		in, err := storage.NewArchiveReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := in.Next(); err != nil {
				return
			}
		}
	})
}

// recordedPaper authors the session automerge-paper with the times that were recorded, and returns its batch and text.
func recordedPaper(b *testing.B) (*crdt.Chains, *crdt.Batch, string) {
	dir := os.Getenv("ATOLL_TRACES")
	if dir == "" {
		b.Skip("set ATOLL_TRACES to the directory of recorded editing sessions")
	}
	s, err := sessions.Read(filepath.Join(dir, "automerge-paper.json.gz"))
	if err != nil {
		b.Fatal(err)
	}
	chains := crdt.NewChains(crdt.StoreID{})
	state := crdt.NewState(chains)
	batch := new(crdt.Batch)
	begun := time.Date(2021, 4, 19, 6, 6, 58, 0, time.UTC).UnixMilli()
	for i, p := range s.Patches() {
		tx := state.BeginQuietly(crdt.Actor{Nonce: [8]byte{1}}, begun+int64(i/1800)*60_000) // 143 times in all, as recorded
		text := tx.Text("text")
		text.Delete(p.Pos, p.Deleted)
		text.Insert(p.Pos, p.Inserted)
		a, _, _, err := tx.Commit()
		if err != nil {
			b.Fatal(err)
		}
		batch.Append(a.Change)
	}
	return chains, batch, s.EndContent
}

// BenchmarkArchive opens the archive of a recorded session to its text.
func BenchmarkArchive(b *testing.B) {
	_, batch, want := recordedPaper(b)
	for name, effort := range map[string]storage.ArchiveEffort{"default": storage.DefaultEffort, "best": storage.BestEffort} {
		b.Run(name, func(b *testing.B) {
			var buf bytes.Buffer
			w, err := storage.NewArchiveWriter(&buf, effort)
			if err != nil {
				b.Fatal(err)
			}
			if err := errors.Join(w.Write(batch), w.Close()); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				state, err := storage.OpenArchive(crdt.StoreID{}, bytes.NewReader(buf.Bytes()))
				if err != nil || state.Text("text").String() != want {
					b.Fatal("wrong text", err)
				}
			}
			b.ReportMetric(float64(buf.Len()), "bytes")
		})
	}
}
