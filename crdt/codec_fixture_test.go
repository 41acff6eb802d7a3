package crdt

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt/causal"
)

// keyOf returns device i's key.
func keyOf(i int) ed25519.PrivateKey {
	seed := sha256.Sum256(fmt.Appendf(nil, "device %d", i))
	return ed25519.NewKeyFromSeed(seed[:])
}

var fixtureActors = map[int]causal.Actor{} // deriving a key takes long

// actorOf returns device i's actor.
func actorOf(i int) causal.Actor {
	if a, ok := fixtureActors[i]; ok {
		return a
	}
	var a causal.Actor
	copy(a.Device[:], keyOf(i).Public().(ed25519.PublicKey))
	copy(a.Nonce[:], "nonce...")
	fixtureActors[i] = a
	return a
}

var fixtureStore = StoreID{1, 2, 3}

// quickSign and quickVerify stand for ed25519 where a test makes thousands of signatures.
func quickSign(d causal.Device, msg []byte) (sig [64]byte) {
	sum := sha256.Sum256(append(d[:], msg...))
	copy(sig[:], sum[:])
	return sig
}

func quickVerify(d causal.Device, msg, sig []byte) bool {
	want := quickSign(d, msg)
	return string(want[:]) == string(sig)
}

// holder is a replica as far as this package's codec goes: chains, and a log in memory.
type holder struct {
	*Chains
	log []Accepted
}

func newHolder() *holder { return &holder{Chains: NewChains(fixtureStore)} }

func (h *holder) Changes(span causal.Span, yield func(Accepted) bool) error {
	for _, a := range h.log {
		if a.Span.Start < span.End && a.Span.End > span.Start && !yield(a) {
			break
		}
	}
	return nil
}

// author makes a change by actor at the heads, unsigned.
func (h *holder) author(actor causal.Actor, time int64, groups ...Group) Accepted {
	return h.authorAt(h.graph.Heads(), actor, time, groups...)
}

func (h *holder) authorAt(parents []causal.LV, actor causal.Actor, time int64, groups ...Group) Accepted {
	ch := &Change{Actor: actor, Seq: h.graph.Last(actor) + 1, Time: time, Groups: groups}
	for _, d := range h.graph.Version(parents) {
		if d.Actor != actor {
			ch.Refs = append(ch.Refs, d)
		}
	}
	a := h.Author(ch, append([]causal.LV(nil), parents...))
	h.log = append(h.log, a)
	return a
}

func (h *holder) sign(a Accepted) {
	h.AddSignature(Signature{a.Dot(), quickSign(a.Actor.Device, SigningBytes(a.Hash))})
}

// commit authors a change that types one character, and signs it.
func (h *holder) commit(actor causal.Actor, time int64) Accepted {
	a := h.author(actor, time, typed("notes", int(h.graph.Last(actor)), "x"))
	h.sign(a)
	return a
}

// receive takes b from the wire.
func (h *holder) receive(b *Batch) error {
	decoded, err := DecodeBatch(b.AppendTo(nil))
	if err != nil {
		return err
	}
	k, err := h.Check(decoded, quickVerify)
	if err != nil {
		return err
	}
	h.log = slices.AppendSeq(h.log, h.Add(k).All)
	return nil
}

// missing returns what h holds and o does not.
func (h *holder) missing(o *holder) []causal.Span { return h.graph.Missing(o.graph.VersionVector()) }

// pull brings h all that o holds, and returns the number of batches.
func (h *holder) pull(t interface{ Fatalf(string, ...any) }, o *holder, maxBytes, maxChanges int) int {
	n := 0
	for missing := o.missing(h); len(missing) > 0; n++ {
		b, rest, err := o.Cut(o, missing, maxBytes, maxChanges)
		if err != nil || b == nil {
			t.Fatalf("cut %v: %v, %v", missing, b, err)
		}
		if err := h.receive(b); err != nil {
			t.Fatalf("batch %d: %v", n, err)
		}
		missing = rest
	}
	return n
}

// fingerprint is everything about a Chains that a failed Check must leave alone.
func (c *Chains) fingerprint() string {
	s := fmt.Sprintln(c.Tips(), c.graph.Len(), c.graph.Heads(), c.infos.len, c.Graph().ByName())
	for _, k := range c.infos.chunks {
		s += fmt.Sprintln(*k)
	}
	for i := range c.chains {
		s += fmt.Sprintln(c.chains[i])
	}
	return s
}

func noRefs(causal.Actor, *Tip) int { return 0 }

// typed is a group that inserts s.
func typed(slice string, pos int, s string) Group {
	n := len([]rune(s))
	op := Op{Code: CodeTextInsert, Len: n, Path: Path{{Key: slice, Kind: Text}}, Pos: pos, Text: s}
	return Group{Slice: slice, Len: n, Ops: AppendOp(nil, &op, noRefs)}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wantIs(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("got error %v, want one wrapping %q", err, target)
	}
}

// Generators.

var genKey = rapid.OneOf(rapid.StringMatching(`[a-z]{0,3}`), rapid.StringN(0, 40, 60))

func genValue(depth int) *rapid.Generator[Value] {
	return rapid.Custom(func(t *rapid.T) Value {
		v, err := ValueOf(genAny(t, depth))
		if err != nil {
			t.Fatalf("ValueOf: %v", err)
		}
		return v
	})
}

func genAny(t *rapid.T, depth int) any {
	top := 8
	if depth == 0 {
		top = 6
	}
	switch rapid.IntRange(0, top).Draw(t, "type") {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2:
		return rapid.Int64().Draw(t, "int")
	case 3:
		return rapid.Int64Range(-200, 70000).Draw(t, "small")
	case 4:
		return rapid.Float64().Draw(t, "float")
	case 5:
		return genKey.Draw(t, "string")
	case 6:
		return rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "bytes")
	case 7:
		out := []any{}
		for range rapid.IntRange(0, 18).Draw(t, "items") {
			out = append(out, genAny(t, depth-1))
		}
		return out
	}
	out := map[string]any{}
	for range rapid.IntRange(0, 18).Draw(t, "fields") {
		out[genKey.Draw(t, "key")] = genAny(t, depth-1)
	}
	return out
}

// genOp makes an op of a change that refers to refs[1:]; refs[0] is its own actor.
func genOp(slice string, refs []causal.Actor) *rapid.Generator[*Op] {
	genDot := rapid.Custom(func(t *rapid.T) causal.Dot {
		return causal.Dot{
			Actor: rapid.SampledFrom(refs).Draw(t, "actor"),
			Seq:   causal.Seq(rapid.OneOf(rapid.Uint64Range(1, 300), rapid.Uint64Range(1, MaxSeq)).Draw(t, "seq")),
		}
	})
	return rapid.Custom(func(t *rapid.T) *Op {
		codes := []Code{CodePut, CodeTouch, CodeDelete, CodeAdd, CodeSetAdd, CodeSetRemove, CodeSetClear, CodeRWSetAdd,
			CodeRWSetRemove, CodeRWSetClear, CodeListInsert, CodeListNew, CodeListDelete, CodeListMove, CodeTextInsert, CodeTextDelete,
			CodeTextMark, CodeTextUnmark}
		op := &Op{Code: rapid.SampledFrom(codes).Draw(t, "code"), Len: 1}
		steps := rapid.IntRange(1, 4).Draw(t, "steps")
		op.Path = make(Path, steps)
		op.Path[0].Key = slice
		for i := range op.Path {
			if i < steps-1 {
				op.Path[i].Kind = rapid.SampledFrom([]Kind{Map, DeleteWinsMap, List}).Draw(t, "kind")
			}
			if (i < steps-1 || op.Code != CodeDelete) && rapid.Bool().Draw(t, "born") {
				op.Path[i].Birth = genDot.Draw(t, "birth")
			}
			if i == 0 {
				continue
			}
			if op.Path[i-1].Kind == List {
				op.Path[i].Elem = genDot.Draw(t, "element")
			} else {
				op.Path[i].Key = genKey.Draw(t, "key")
			}
		}
		end := &op.Path[steps-1]
		end.Kind = op.Code.kind()
		pos := rapid.IntRange(0, 70000)
		switch op.Code {
		case CodePut:
			op.Value = genValue(2).Draw(t, "value")
		case CodeSetAdd, CodeSetRemove, CodeRWSetAdd, CodeRWSetRemove:
			op.Value = genValue(0).Draw(t, "value")
		case CodeTouch:
			op.Kind = Kind(rapid.IntRange(1, 8).Draw(t, "kind"))
			end.Kind = op.Kind
		case CodeAdd:
			op.Delta = rapid.Int64().Draw(t, "delta")
		case CodeListInsert:
			op.Pos = pos.Draw(t, "pos")
			op.Values = rapid.SliceOfN(genValue(1), 1, 20).Draw(t, "values")
			op.Len = len(op.Values)
		case CodeListNew:
			op.Pos = pos.Draw(t, "pos")
			op.Kind = Kind(rapid.IntRange(1, 8).Draw(t, "kind"))
			op.Len = rapid.IntRange(1, 1000).Draw(t, "len")
		case CodeListDelete, CodeTextDelete:
			op.Pos = pos.Draw(t, "pos")
			op.Len = rapid.IntRange(1, 1000).Draw(t, "len")
		case CodeListMove:
			op.Pos = pos.Draw(t, "pos")
			op.Elem = genDot.Draw(t, "elem")
		case CodeTextInsert:
			op.Pos = pos.Draw(t, "pos")
			op.Text = rapid.StringN(1, 50, 200).Draw(t, "text")
			op.Len = len([]rune(op.Text))
		case CodeTextMark, CodeTextUnmark:
			op.Pos, op.Count = pos.Draw(t, "pos"), 1+pos.Draw(t, "count")
			op.Name = "m" + genKey.Draw(t, "name")
			op.Growth = Growth(rapid.IntRange(0, 3).Draw(t, "growth"))
			if op.Code == CodeTextMark {
				op.Value = genValue(2).Draw(t, "value")
			}
		}
		return op
	})
}

// indexIn returns the number by which a change with these actors, its own first, names each.
func indexIn(refs []causal.Actor) func(causal.Actor, *Tip) int {
	return func(a causal.Actor, _ *Tip) int {
		for i, r := range refs {
			if r == a {
				return i
			}
		}
		panic("actor is not among the refs")
	}
}
