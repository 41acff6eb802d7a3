package crdt_test

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// standIn signs and verifies with a hash in place of a signature.
func standIn(d crdt.Device, msg []byte) (sig [64]byte) {
	sum := sha256.Sum256(append(bytes.Clone(msg), d[:]...))
	copy(sig[:], sum[:])
	return sig
}

func verifyStandIn(d crdt.Device, msg, sig []byte) bool {
	want := standIn(d, msg)
	return bytes.Equal(want[:], sig)
}

// takeEncoded takes in an encoded batch as a Batch.
func (l *live) takeEncoded(encoded []byte, verify crdt.Verify) error {
	decoded, err := crdt.DecodeBatch(encoded)
	if err != nil {
		return err
	}
	checked, err := l.chains.Check(decoded, verify)
	if err != nil {
		return err
	}
	l.state.ApplyAll(l.chains.Add(checked))
	return nil
}

// differs says in what l and other are not the same, if they are not.
func (l *live) differs(other *live) string {
	switch {
	case l.chains.Digest() != other.chains.Digest() || l.chains.Len() != other.chains.Len() || l.chains.Graph().Len() != other.chains.Graph().Len():
		return "the chains"
	case l.state.Digest() != other.state.Digest():
		return "the states"
	}
	for lv := range l.chains.Graph().Len() {
		at := l.chains.ChangeAt(lv)
		if at != other.chains.ChangeAt(lv) {
			return "what is known of a change"
		}
		hash, ok := l.chains.HashAt(at.Dot)
		if hashToo, okToo := other.chains.HashAt(at.Dot); hash != hashToo || ok != okToo {
			return "a hash"
		}
		sig, ok := l.chains.SignatureAt(at.Span.End - 1)
		if sigToo, okToo := other.chains.SignatureAt(at.Span.End - 1); sig != sigToo || ok != okToo {
			return "a signature"
		}
	}
	return ""
}

// TestTakeKeystroke takes in what two people type, each change a batch, some of them damaged, repeated or not signed: as Batches,
// and with TakeKeystroke wherever it will.
func TestTakeKeystroke(t *testing.T) {
	taken, refused, forged := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		writers := [2]*live{newLive(), newLive()}
		short, long := newLive(), newLive()
		var verify crdt.Verify
		if rapid.Bool().Draw(t, "verified") {
			verify = verifyStandIn
		}
		take := func(encoded []byte) bool {
			before := short.chains.Len()
			ok := short.state.TakeKeystroke(encoded, verify)
			if !ok {
				if short.chains.Len() != before {
					t.Fatal("what was not taken is held")
				}
				refused++
				ok = short.takeEncoded(encoded, verify) == nil
			} else {
				taken++
			}
			if err := long.takeEncoded(encoded, verify); ok != (err == nil) {
				t.Fatalf("%x is taken: %t; but as a batch: %v", encoded, ok, err)
			}
			return ok
		}
		who := 0
		for i := range rapid.IntRange(1, 60).Draw(t, "changes") {
			if rapid.IntRange(0, 9).Draw(t, "other") == 0 {
				who = 1 - who
			}
			w := writers[who]
			tx := w.state.BeginQuietly(agent(who), rapid.Int64Range(1, 500).Draw(t, "time")+int64(i))
			drawWrites(t)(&tx)
			a, _, ok, err := tx.Commit()
			if !ok || err != nil {
				continue
			}
			if rapid.IntRange(0, 9).Draw(t, "unsigned") > 0 {
				w.chains.AddSignature(crdt.Signature{Dot: a.Dot(), Sig: standIn(a.Actor.Device, crdt.SigningBytes(a.Hash))})
			}
			encoded := w.chains.BatchOf([]crdt.Accepted{a}).AppendTo(nil)
			if rapid.IntRange(0, 2).Draw(t, "damage") == 0 {
				bad := bytes.Clone(encoded)
				bad[rapid.IntRange(0, len(bad)-1).Draw(t, "at")] += byte(rapid.IntRange(1, 255).Draw(t, "by"))
				if take(bad) {
					forged++ // a change that nobody made, but a good one; what follows does not go on from it
					break
				}
			}
			if !take(encoded) {
				break // not signed
			}
			if rapid.IntRange(0, 9).Draw(t, "again") == 0 {
				take(encoded)
			}
			if rapid.IntRange(0, 5).Draw(t, "meet") == 0 {
				encoded := w.chains.BatchOf([]crdt.Accepted{a}).AppendTo(nil)
				_ = writers[1-who].takeEncoded(encoded, nil) // it may lack what came before
			}
		}
		if what := short.differs(long); what != "" {
			t.Fatalf("%s differ", what)
		}
	})
	if !t.Failed() && (taken == 0 || refused == 0 || forged == 0) {
		t.Errorf("%d batches were taken, %d not, %d were forged", taken, refused, forged)
	}
}

// TestTakeChange has two people who meet at times write, and a third take in what they do, some of it too early, repeated or altered on the
// way: as Batches, and with TakeChange wherever it will.
func TestTakeChange(t *testing.T) {
	taken, merged, refused, altered := 0, 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		writers := [2]*live{newLive(), newLive()}
		short, long := newLive(), newLive()
		var log []crdt.Accepted // as its writer has it
		var by []*live
		take := func(i int) {
			a := log[i]
			encoded := by[i].chains.BatchOf([]crdt.Accepted{a}).AppendTo(nil)
			before := short.chains.Len()
			ok := short.state.TakeChange(a.Change, a.Hash)
			switch {
			case ok && len(a.Refs) > 0:
				merged++
			case ok:
				taken++
			case short.chains.Len() != before:
				t.Fatal("what was not taken is held")
			default:
				refused++
				ok = short.takeEncoded(encoded, nil) == nil
			}
			if err := long.takeEncoded(encoded, nil); ok != (err == nil) {
				t.Fatalf("%x is taken: %t; but as a batch: %v", encoded, ok, err)
			}
		}
		next, who := 0, 0 // of log
		for i := range rapid.IntRange(1, 60).Draw(t, "changes") {
			if rapid.IntRange(0, 5).Draw(t, "other") == 0 {
				who = 1 - who
			}
			w := writers[who]
			tx := w.state.BeginQuietly(agent(who), rapid.Int64Range(1, 500).Draw(t, "time")+int64(i))
			drawWrites(t)(&tx)
			a, _, ok, err := tx.Commit()
			if !ok || err != nil {
				continue
			}
			log, by = append(log, a), append(by, w)
			if rapid.IntRange(0, 3).Draw(t, "meet") == 0 {
				for j := range log {
					// It may be held, or build on what is not.
					_ = writers[1-who].takeEncoded(by[j].chains.BatchOf(log[j:j+1]).AppendTo(nil), nil)
				}
			}
			if rapid.IntRange(0, 3).Draw(t, "alter") == 0 {
				ch, hash := *a.Change, a.Hash
				switch rapid.IntRange(0, 5).Draw(t, "what") {
				case 0:
					hash[rapid.IntRange(0, len(hash)-1).Draw(t, "at")]++
				case 1:
					ch.Time++
				case 2:
					ch.Seq++
				case 3:
					ch.Actor = agent(2)
				case 4:
					ch.Groups = slices.Clone(ch.Groups)
					ch.Groups[0].Ops = bytes.Clone(ch.Groups[0].Ops)
					ch.Groups[0].Ops[len(ch.Groups[0].Ops)-1]++
				case 5:
					ch.Refs = []causal.Dot{{Actor: agent(1 - who), Seq: 1}}
					if slices.Equal(ch.Refs, a.Refs) {
						ch.Refs = nil
					}
				}
				if short.state.TakeChange(&ch, hash) {
					t.Fatalf("%+v is taken as %v", ch, hash)
				}
				altered++
			}
			switch rapid.IntRange(0, 5).Draw(t, "take") {
			case 0: // later
			case 1:
				take(rapid.IntRange(0, len(log)-1).Draw(t, "which"))
			default:
				for ; next < len(log); next++ {
					take(next)
				}
			}
		}
		if what := short.differs(long); what != "" {
			t.Fatalf("%s differ", what)
		}
	})
	if !t.Failed() && (taken == 0 || merged == 0 || refused == 0 || altered == 0) {
		t.Errorf("%d changes were taken, %d that merge too, %d not, %d were altered", taken, merged, refused, altered)
	}
}

// TestTakeKeystrokeSession takes in a recorded session: nearly all of it is keystrokes.
func TestTakeKeystrokeSession(t *testing.T) {
	session := recorded(t, "automerge-paper")
	author, short, long := newLive(), newLive(), newLive()
	refused := 0
	patches := session.Patches()[:20_000]
	for i, p := range patches {
		tx := author.state.BeginQuietly(agent(0), int64(i))
		write(tx.Text("text"), &p)
		a, _, _, err := tx.Commit()
		if err != nil {
			t.Fatal(err)
		}
		encoded := author.chains.BatchOf([]crdt.Accepted{a}).AppendTo(nil)
		if !short.state.TakeKeystroke(encoded, nil) {
			refused++
			if err := short.takeEncoded(encoded, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := long.takeEncoded(encoded, nil); err != nil {
			t.Fatal(err)
		}
	}
	if what := short.differs(long); what != "" {
		t.Fatalf("%s differ", what)
	}
	if refused > 10 {
		t.Errorf("%d of %d keystrokes were not taken", refused, len(patches))
	}
}

// BenchmarkTakeKeystroke takes in a recorded session, each edit a batch.
func BenchmarkTakeKeystroke(b *testing.B) {
	session := recorded(b, "automerge-paper")
	written := typed(b, session.Patches(), (*crdt.State).BeginQuietly)
	var all []byte
	ends := make([]int, 0, len(written.log))
	for i := range written.log {
		all = written.chains.BatchOf(written.log[i : i+1]).AppendTo(all)
		ends = append(ends, len(all))
	}
	measure(b, len(ends), func() {
		l := newLive()
		from := 0
		for _, to := range ends {
			encoded := all[from:to]
			from = to
			if !l.state.TakeKeystroke(encoded, nil) {
				if err := l.takeEncoded(encoded, nil); err != nil {
					b.Fatal(err)
				}
			}
		}
		l.check(b, session.EndContent)
	})
}
