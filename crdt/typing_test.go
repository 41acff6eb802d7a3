package crdt

import (
	"bytes"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt/causal"
)

// typist types as a person does, at random: runs of characters, backspaces, pastes and jumps, at all paces. It
// does not look at the text: positions beyond the end are as good as others here.
type typistAtWork struct {
	pos  int
	time int64
}

var typedPaths = []Path{
	{{Key: "notes", Kind: Text}},
	{{Key: "doc", Kind: Map}, {Key: "body", Kind: Text}},
}

// next returns the group of the next change, and moves the clock.
func (w *typistAtWork) next(t *rapid.T) Group {
	switch rapid.IntRange(0, 9).Draw(t, "pace") {
	case 0:
		w.time += rapid.Int64Range(-5, 1<<20).Draw(t, "pause")
	case 1, 2, 3:
		w.time += rapid.Int64Range(0, 300).Draw(t, "jitter")
	case 4, 5:
		w.time += 100
	}
	w.time = min(max(w.time, 0), MaxTime)
	op := Op{Code: CodeTextInsert, Len: 1, Pos: w.pos, Text: "x", Path: typedPaths[rapid.IntRange(0, 20).Draw(t, "where")/20]}
	switch rapid.IntRange(0, 11).Draw(t, "key") {
	case 0:
		w.pos = rapid.IntRange(0, 300).Draw(t, "jump")
		op.Pos = w.pos
	case 1:
		op.Text = rapid.StringMatching(`[a-zé😀]{1,20}`).Draw(t, "paste")
		op.Len = len([]rune(op.Text))
	case 2:
		op.Text = rapid.SampledFrom([]string{"é", "😀", "ab", "cd"}).Draw(t, "unicode")
		op.Len = len([]rune(op.Text))
	case 3, 4, 5:
		op.Code, op.Text = CodeTextDelete, ""
		op.Len = rapid.SampledFrom([]int{1, 1, 1, 2, 5000}).Draw(t, "deleted")
		if rapid.Bool().Draw(t, "backspace") {
			op.Pos = max(0, w.pos-op.Len)
		}
	}
	w.pos = op.Pos
	if op.Code == CodeTextInsert {
		w.pos += op.Len
	}
	return Group{Slice: op.Path[0].Key, Len: op.Len, Ops: AppendOp(nil, &op, noRefs)}
}

// typeTogether makes a history of a few actors who type, mostly alone.
func typeTogether(t *rapid.T, most int) *holder {
	h := newHolder()
	writers := make([]typistAtWork, 3)
	actor := 0
	alone := rapid.SampledFrom([]int{0, 0, most / 2}).Draw(t, "alone") // so many changes of the first one come first
	n := rapid.IntRange(1, most).Draw(t, "changes")
	for i := range max(n, alone) {
		if i >= alone && rapid.IntRange(0, 15).Draw(t, "hand over") == 0 {
			actor = rapid.IntRange(0, len(writers)-1).Draw(t, "actor")
		}
		parents := slices.Clone(h.graph.Heads())
		if last, ok := h.graph.LV(causal.Dot{Actor: actorOf(actor), Seq: h.graph.Last(actorOf(actor))}); ok && rapid.IntRange(0, 15).Draw(t, "merge") > 0 {
			parents = []causal.LV{last}
		}
		groups := []Group{writers[actor].next(t)}
		if rapid.IntRange(0, 20).Draw(t, "something else") == 0 {
			groups = append(groups, typed("zzz", 0, "y"))
		}
		a := h.authorAt(parents, actorOf(actor), writers[actor].time, groups...)
		if rapid.IntRange(0, 5).Draw(t, "signed") == 0 {
			h.sign(a)
		}
	}
	for _, tip := range h.Tips() {
		h.AddSignature(Signature{tip.Dot(), quickSign(tip.Actor.Device, SigningBytes(tip.Hash))})
	}
	return h
}

// Columns give back the changes that went in, to the byte and the hash, whatever is typed and however it
// is cut, and have one encoding.
func TestKeystrokesRoundTrip(t *testing.T) {
	inColumns := 0
	rapid.Check(t, func(t *rapid.T) {
		h := typeTogether(t, 200)
		b := h.BatchOf(h.log)
		enc := b.AppendTo(nil)
		got, err := DecodeBatch(enc)
		if err != nil {
			t.Fatal(err)
		}
		if again := got.AppendTo(nil); !bytes.Equal(again, enc) {
			t.Fatalf("%x decodes and encodes to %x", enc, again)
		}
		columns := b.Columns()
		apart, err := columns.DecodeBatch()
		if err != nil {
			t.Fatal(err)
		}
		if again := apart.AppendTo(nil); !bytes.Equal(again, enc) || columns.Len() > len(enc)+2*b.Len()+16 {
			t.Fatalf("columns of %d bytes make %x, want %x", columns.Len(), again, enc)
		}
		i, ops := 0, 0
		for ch := range got.All {
			if !reflect.DeepEqual(ch, h.log[i].Change) {
				t.Fatalf("change %d is %+v, want %+v", i, ch, h.log[i].Change)
			}
			ops += ch.Len()
			i++
		}
		if i != len(h.log) || got.Len() != i || got.Ops() != ops {
			t.Fatalf("%d changes, %d ops, want %d: Len %d, Ops %d", i, ops, len(h.log), got.Len(), got.Ops())
		}
		for i := range got.parts {
			if s := got.parts[i].typing; s != nil {
				inColumns += s.n
			}
		}
		// In two batches, the second of which overlaps the first.
		o := newHolder()
		first := rapid.IntRange(1, len(h.log)).Draw(t, "first")
		if k, err := o.Check(h.BatchOf(h.log[:first]), nil); err != nil {
			t.Fatal(err)
		} else {
			o.log = slices.AppendSeq(o.log, o.Add(k).All)
		}
		k, err := o.Check(got, quickVerify)
		if err != nil {
			t.Fatal(err)
		}
		added := o.Add(k)
		if added.Len() != len(h.log)-first {
			t.Fatalf("%d of %d changes are new, %d were held", added.Len(), len(h.log), first)
		}
		o.log = slices.AppendSeq(o.log, added.All)
		if !reflect.DeepEqual(o.log, h.log) {
			for i := range o.log {
				if !reflect.DeepEqual(o.log[i], h.log[i]) {
					t.Fatalf("change %d: %+v, want %+v", i, o.log[i], h.log[i])
				}
			}
			t.Fatalf("%d changes, want %d", len(o.log), len(h.log))
		}
		if o.Digest() != h.Digest() {
			t.Fatal("digests differ")
		}
		for _, a := range h.log {
			for lv := a.Span.Start; lv < min(a.Span.End, a.Span.Start+2); lv++ {
				got, want := o.ChangeAt(lv), h.ChangeAt(lv)
				got.Signed = want.Signed // signatures of the first part were not all sent
				if got != want {
					t.Fatalf("ChangeAt(%d) is %+v, want %+v", lv, got, want)
				}
			}
		}
	})
	if inColumns == 0 {
		t.Error("nothing was put in columns")
	}
}

// Columns that are cut or damaged are refused, or make a batch that has just those columns.
func TestColumnsDamaged(t *testing.T) {
	refused := 0
	rapid.Check(t, func(t *rapid.T) {
		h := typeTogether(t, 40)
		c := h.BatchOf(h.log).Columns()
		column := rapid.SampledFrom([]*[]byte{&c.Frame, &c.Runs, &c.Positions, &c.Times, &c.Text}).Draw(t, "column")
		switch n := len(*column); {
		case rapid.Bool().Draw(t, "longer") || n == 0:
			*column = append(*column, 0)
		case rapid.Bool().Draw(t, "shorter"):
			*column = (*column)[:n-1]
		default:
			(*column)[rapid.IntRange(0, n-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		}
		b, err := c.DecodeBatch()
		if err != nil {
			refused++
			return
		}
		if again := b.Columns(); !reflect.DeepEqual(again, c) {
			t.Fatalf("%+v, has columns %+v", c, again)
		}
	})
	if refused == 0 {
		t.Error("nothing is refused")
	}
}

// A byte changed anywhere in a batch in columns is refused, or makes another batch that has that one encoding.
func TestKeystrokesDamaged(t *testing.T) {
	h := newHolder()
	rapid.Check(t, func(t *rapid.T) {
		h = typeTogether(t, 40)
		enc := h.BatchOf(h.log).AppendTo(nil)
		i := rapid.IntRange(0, len(enc)-1).Draw(t, "at")
		enc[i] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		b, err := DecodeBatch(enc)
		if err != nil {
			return
		}
		if again := b.AppendTo(nil); !bytes.Equal(again, enc) {
			t.Fatalf("%x decodes and encodes to %x", enc, again)
		}
		if again := NewBatch(b.Context, slices.Collect(b.All), b.Sigs).AppendTo(nil); !bytes.Equal(again, enc) {
			t.Fatalf("%x, its changes encode to %x", enc, again)
		}
		_, _ = h.Check(b, quickVerify)
	})
}

// Chains without hashes hold what others hold, but for the hashes, and show the same.
func TestAddUnhashed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := typeTogether(t, 150)
		c := NewChains(fixtureStore)
		bare, want := NewState(c), NewState(h.Chains)
		for rest := h.log; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "batch")
			b, err := DecodeBatch(h.BatchOf(rest[:n]).AppendTo(nil))
			if err != nil {
				t.Fatal(err)
			}
			added, err := c.AddUnhashed(b)
			if err != nil {
				t.Fatal(err)
			}
			i := 0
			for a := range added.All {
				want := rest[i]
				want.Hash = Hash{}
				if !reflect.DeepEqual(a, want) {
					t.Fatalf("%+v, want %+v", a, want)
				}
				i++
			}
			bare.ApplyAll(added)
			for _, a := range rest[:n] {
				want.ApplyQuietly(a)
			}
			if bare.Digest() != want.Digest() {
				t.Fatalf("%q, want %q", bare.Text("notes").String(), want.Text("notes").String())
			}
			rest = rest[n:]
		}
		for i, a := range h.log {
			lv := a.Span.End - 1
			got, want := c.ChangeAt(lv), h.ChangeAt(lv)
			want.Signed, got.Signed = false, false
			if got != want {
				t.Fatalf("ChangeAt(%d) is %+v, want %+v", lv, got, want)
			}
			if other := h.log[(i*7)%len(h.log)].Span.Start; c.Later(lv, other) != h.Later(lv, other) {
				t.Fatalf("Later(%d, %d) differs", lv, other)
			}
		}
		if b := h.BatchOf(h.log[len(h.log)-1:]); h.log[len(h.log)-1].Seq > 1 {
			if _, err := NewChains(fixtureStore).AddUnhashed(b); err == nil {
				t.Fatal("a batch that builds on what is not there is added")
			}
		}
	})
}

// What each column must be, one violation at a time.
func TestReadKeystrokesRefuses(t *testing.T) {
	var long []Group
	for i := range 6 {
		long = append(long, typed("s", i, "x"))
	}
	h := newHolder()
	for i, g := range long {
		h.author(actorOf(0), int64(1000+i*i), g)
	}
	enc := h.BatchOf(h.log).parts[0].typing.appendTo(nil, 0)
	// slice s, the path, 1000, one run of 6, at 0, 1 3 5 7 9 ms, the text
	const good = "97" + "a173" + "90" + "cd03e8" + "c40128" + "c40100" + "c405" + "040c141c24" + "a6787878787878"
	if want := unhex(t, good); !bytes.Equal(enc, want) {
		t.Fatalf("%x, want %x", enc, want)
	}
	read := func(hex string, n int, seq causal.Seq) bool {
		s, rest, ok := readKeystrokes(unhex(t, hex), nil, actorOf(0), seq, 0, n)
		return ok && len(rest) == 0 && bytes.Equal(s.appendTo(nil, 0), unhex(t, hex))
	}
	if !read(good, 6, 1) {
		t.Fatal("the good one is refused")
	}
	with := func(runs, positions, times, text string) string {
		bin := func(s string) string {
			return "c4" + string("0123456789abcdef"[len(s)/32]) + string("0123456789abcdef"[len(s)/2%16]) + s
		}
		return "97a17390cd03e8" + bin(runs) + bin(positions) + bin(times) + text
	}
	times, text := "040c141c24", "a6787878787878"
	if !read(with("28", "00", times, text), 6, 1) {
		t.Fatal("with does not make the good one")
	}
	for name, hex := range map[string]string{
		"6 items":                       "96" + good[2:],
		"a path on a place":             "97a173" + "9101" + good[8:],
		"a time out of range":           "97a17390" + "cf0000400000000000" + good[14:],
		"no run":                        with("", "", times, text),
		"too few changes":               with("20", "00", times, text),
		"too many changes":              with("30", "00", times, text),
		"an unknown kind":               with("2b", "00", times, text),
		"a head not shortest":           with("a800", "00", times, text),
		"a size of 1 spelt out":         with("2cff", "00", times, text),
		"fewer positions":               with("1010", "00", times, text),
		"more positions":                with("28", "0000", times, text),
		"a position below 0":            with("28", "01", times, text),
		"a backspace below 0":           with("2a", "06", times, "a0"),
		"two runs that are one":         with("1010", "0000", times, text),
		"a single backspace":            with("200209", "0000", times, "a5"+"7878787878"),
		"a delete and a backspace":      with("0019"+"0102", "000800", times, "a478787878"),
		"fewer times":                   with("28", "00", "040c141c", text),
		"more times":                    with("28", "00", "040c141c2430", text),
		"a time twice":                  with("28", "00", "040c141c1c", text),
		"a repetition of nothing":       with("28", "00", "0904", text),
		"two repetitions":               with("28", "00", "04030304", text),
		"too many repetitions":          with("28", "00", "04ff01", text),
		"times below 0":                 with("28", "00", "feff010c141c24", text),
		"text too short":                with("28", "00", times, "a57878787878"),
		"text too long":                 with("28", "00", times, "a778787878787878"),
		"text not UTF-8":                with("28", "00", times, "a67878787878ff"),
		"a bin for text":                with("28", "00", times, "c406787878787878"),
		"a paste too large for columns": with("2c"+"3a", "00", times, "da0168"+string(bytes.Repeat([]byte("78"), 360))),
	} {
		if read(hex, 6, 1) {
			t.Errorf("%s: accepted", name)
		}
	}
	if read(good, 6, MaxSeq-4) {
		t.Error("a seq beyond the last is accepted")
	}
	if read(with("10", "00", "040c", "a3787878"), 3, 1) {
		t.Error("too few for columns are accepted")
	}
}

// ApplyAll comes to the state that applying change by change does, whatever is typed concurrently, and goes
// on from there.
func TestApplyAll(t *testing.T) {
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		h := typeTogether(t, 250)
		c := NewChains(fixtureStore)
		bulk, each, single := NewState(c), NewState(c), NewState(c)
		for rest := h.log; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "batch")
			b, err := DecodeBatch(h.BatchOf(rest[:n]).AppendTo(nil))
			if err != nil {
				t.Fatal(err)
			}
			k, err := c.Check(b, nil)
			if err != nil {
				t.Fatal(err)
			}
			added := c.Add(k)
			for i := range added.parts {
				if added.parts[i].typing != nil {
					runs += len(added.parts[i].typing.runs)
				}
			}
			bulk.ApplyAll(added)
			changes := slices.Collect(added.All)
			for span := range each.ApplyEach(added) {
				a := changes[0]
				changes = changes[1:]
				single.ApplyQuietly(a)
				if span != a.Span || !slices.Equal(each.Heads(), single.Heads()) {
					t.Fatalf("%v was applied, not %v; heads are %v, not %v", span, a.Span, each.Heads(), single.Heads())
				}
				if got, want := each.Text("notes").String(), single.Text("notes").String(); got != want {
					t.Fatalf("after %v: %q, want %q", span, got, want)
				}
			}
			if got, want := each.Digest(), single.Digest(); got != want || len(changes) > 0 || each.Stats() != single.Stats() {
				t.Fatalf("digest %v, want %v: %+v, want %+v", got, want, each.Stats(), single.Stats())
			}
			if got, want := bulk.Digest(), single.Digest(); got != want {
				t.Fatalf("digest %v, want %v: text %q, want %q", got, want, bulk.Text("notes").String(), single.Text("notes").String())
			}
			if bulk.Stats() != single.Stats() {
				t.Fatalf("%+v, want %+v", bulk.Stats(), single.Stats())
			}
			rest = rest[n:]
		}
	})
	if runs == 0 {
		t.Error("nothing was applied in runs")
	}
}

// Keystrokes in an element that nobody ever inserted are void, each of them; in an opaque slice they are not looked at; where
// deletes win, they do not bring back what they had not seen deleted.
func TestApplyAllNowhere(t *testing.T) {
	a, b := actorOf(0), actorOf(1)
	element := Path{{Key: "list", Kind: List}, {Elem: causal.Dot{Actor: a, Seq: 900}, Kind: Text}}
	hidden := Path{{Key: "wins", Kind: DeleteWinsMap}, {Key: "k", Kind: Text}}
	h := newHolder()
	group := func(slice string, op Op) Group {
		return Group{Slice: slice, Len: op.Len, Ops: AppendOp(nil, &op, noRefs)}
	}
	h.author(b, 1, group("wins", Op{Code: CodeDelete, Len: 1, Path: Path{hidden[0], {Key: "k"}}}))
	h.author(b, 1, Group{Slice: "opaque", Len: 1, Ops: unhex(t, "93cd0fa10190")})
	before := h.graph.Len()
	for _, path := range []Path{element, hidden, {{Key: "opaque", Kind: Text}}} {
		for i := range 2 * leastTyping {
			h.authorAt(nil, a, 1, group(path[0].Key, Op{Code: CodeTextInsert, Len: 1, Path: path, Pos: i, Text: "x"}))
		}
	}
	if got := h.BatchOf(h.log[before:]); len(got.single) > 0 || len(got.parts) != 3 {
		t.Fatalf("%d parts, %d changes not in columns", len(got.parts), len(got.single))
	}
	c := NewChains(fixtureStore)
	k, err := c.Check(h.BatchOf(h.log), nil)
	if err != nil {
		t.Fatal(err)
	}
	added := c.Add(k)
	bulk, each, single := NewState(c), NewState(c), NewState(c)
	bulk.ApplyAll(added)
	for range each.ApplyEach(added) {
	}
	for a := range added.All {
		single.ApplyQuietly(a)
	}
	if each.Stats() != single.Stats() || each.Digest() != single.Digest() {
		t.Errorf("each: %+v, one by one %+v", each.Stats(), single.Stats())
	}
	if bulk.Stats() != single.Stats() || bulk.Stats().Void != 2*leastTyping+1 {
		t.Errorf("%+v, one by one %+v", bulk.Stats(), single.Stats())
	}
	if bulk.Digest() != single.Digest() || bulk.Map("wins").Has("k") {
		t.Errorf("%s, one by one %s", bulk.DeleteWinsMap("wins").JSON(), single.DeleteWinsMap("wins").JSON())
	}
}

// TestShortestOpTyped puts the shortest op there is in columns: a delete near the start of a text that is a slice.
func TestShortestOpTyped(t *testing.T) {
	var changes []*Change
	for i := range 6 {
		ops := []byte{mpFixArr | 5, byte(CodeTextInsert), 1, mpFixArr, byte(i), mpFixStr | 1, 'x'}
		if i%2 == 1 {
			ops = []byte{mpFixArr | 4, byte(CodeTextDelete), 1, mpFixArr, 0}
		}
		changes = append(changes, &Change{Actor: Actor{Nonce: [8]byte{1}}, Seq: causal.Seq(i + 1), Groups: []Group{{Slice: "s", Len: 1, Ops: ops}}})
	}
	b := NewBatch(nil, changes, nil)
	if len(b.parts) != 1 || b.parts[0].typing == nil {
		t.Fatal("a keystroke is not in columns")
	}
}
