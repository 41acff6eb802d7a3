package crdt

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"

	"github.com/atollsync/atoll/crdt/causal"
)

// The change of these tests: actor 0 is its own, 1 and 2 are refs.
func opChange(groups ...Group) *Change {
	refs := []causal.Dot{{Actor: actorOf(1), Seq: 4}, {Actor: actorOf(2)}}
	if refs[0].Compare(refs[1]) > 0 {
		refs[0].Actor, refs[1].Actor = refs[1].Actor, refs[0].Actor
	}
	return &Change{Actor: actorOf(0), Seq: 10, Refs: refs, Groups: groups}
}

func opsOf(c *Change) (ops []*Op) {
	c.Ops(func(_ causal.Seq, _ string, op *Op) bool {
		ops = append(ops, op)
		return true
	})
	return ops
}

func mustValue(t testing.TB, x any) Value {
	t.Helper()
	v, err := ValueOf(x)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Golden bytes: the format. A change here breaks every log there is.
func TestOpGolden(t *testing.T) {
	c := opChange()
	own, other := causal.Dot{Actor: c.Actor, Seq: 3}, causal.Dot{Actor: c.Refs[1].Actor, Seq: 200}
	index := indexIn([]causal.Actor{c.Actor, c.Refs[0].Actor, c.Refs[1].Actor})
	at := func(k Kind) Path { return Path{{Key: "s", Kind: k}} }
	for _, tt := range []struct {
		op  Op
		hex string
	}{
		{Op{Code: CodePut, Len: 1, Path: at(Register), Value: mustValue(t, []any{1, 1.0})}, "94050190" + "9201cb3ff0000000000000"},
		{Op{Code: CodeTouch, Len: 1, Path: at(Map), Kind: Map}, "94090190" + "05"},
		{Op{Code: CodeDelete, Len: 1, Path: Path{{Key: "s"}}}, "930e0190"},
		{Op{Code: CodeDelete, Len: 1, Path: Path{{Key: "s", Kind: Map}, {Key: "k"}}}, "930e01" + "9205a16b"},
		{Op{Code: CodeAdd, Len: 1, Path: at(Counter), Delta: -1}, "94110190" + "ff"},
		{Op{Code: CodeSetAdd, Len: 1, Path: at(Set), Value: mustValue(t, "x")}, "94150190" + "a178"},
		{Op{Code: CodeSetRemove, Len: 1, Path: at(Set)}, "94180190" + "c0"},
		{Op{Code: CodeSetClear, Len: 1, Path: at(Set)}, "931c0190"},
		{Op{Code: CodeRWSetAdd, Len: 1, Path: at(RemoveWinsSet), Value: mustValue(t, true)}, "94210190" + "c3"},
		{Op{Code: CodeRWSetRemove, Len: 1, Path: at(RemoveWinsSet), Value: mustValue(t, 7)}, "94240190" + "07"},
		{Op{Code: CodeRWSetClear, Len: 1, Path: at(RemoveWinsSet)}, "93280190"},
		{Op{Code: CodeListInsert, Len: 2, Path: at(List), Pos: 300, Values: []Value{Nil, mustValue(t, "v")}}, "952d0290" + "cd012c" + "92c0a176"},
		{Op{Code: CodeListNew, Len: 3, Path: at(List), Pos: 0, Kind: Text}, "95310390" + "0008"},
		{Op{Code: CodeListDelete, Len: 200, Path: at(List), Pos: 5}, "9434ccc890" + "05"},
		{Op{Code: CodeListMove, Len: 1, Path: at(List), Pos: 3, Elem: other}, "95410190" + "03" + "9202ccc8"},
		{Op{Code: CodeTextInsert, Len: 2, Path: at(Text), Pos: 0, Text: "aé"}, "95390290" + "00a361c3a9"},
		{Op{Code: CodeTextDelete, Len: 1, Path: at(Text), Pos: 1}, "943c0190" + "01"},
		{Op{Code: CodeTextMark, Len: 1, Path: at(Text), Pos: 1, Count: 200, Name: "link", Value: mustValue(t, "u"), Growth: GrowBoth},
			"98450190" + "01ccc8" + "a46c696e6b" + "a175" + "03"},
		{Op{Code: CodeTextUnmark, Len: 1, Path: at(Text), Pos: 0, Count: 1, Name: "b"}, "97490190" + "0001" + "a162" + "00"},
		{Op{Code: CodePut, Len: 1, Value: Nil, Path: Path{{Key: "s", Kind: Map, Birth: own}, {Key: "todos", Kind: List},
			{Elem: other, Kind: DeleteWinsMap, Birth: other}, {Key: "", Kind: Register, Birth: own}}},
			"940501" + "97" + "93050003" + "a5746f646f73" + "07" + "9202ccc8" + "930602ccc8" + "a0" + "920003" + "c0"},
	} {
		enc := AppendOp(nil, &tt.op, index)
		if got := hex.EncodeToString(enc); got != tt.hex {
			t.Errorf("%v: %s, want %s", tt.op, got, tt.hex)
			continue
		}
		ops := opsOf(opChange(Group{Slice: "s", Len: tt.op.Len, Ops: enc}))
		if len(ops) != 1 || !reflect.DeepEqual(*ops[0], tt.op) {
			t.Errorf("%s decodes to %v, want %v", tt.hex, ops, tt.op)
		}
	}
}

// opTree is op as a tree of Go values, for msgpack's own Encoder: a second reading of the format.
func opTree(op *Op, index func(causal.Actor, *Tip) int) []any {
	dot := func(d causal.Dot) []any { return []any{index(d.Actor, nil), uint64(d.Seq)} }
	path := []any{}
	for i, st := range op.Path {
		if i > 0 {
			if op.Path[i-1].Kind == List {
				path = append(path, dot(st.Elem))
			} else {
				path = append(path, st.Key)
			}
		}
		if i == len(op.Path)-1 {
			if !st.Birth.IsZero() {
				path = append(path, dot(st.Birth))
			}
		} else if st.Birth.IsZero() {
			path = append(path, int(st.Kind))
		} else {
			path = append(path, append([]any{int(st.Kind)}, dot(st.Birth)...))
		}
	}
	out := []any{uint32(op.Code), op.Len, path}
	switch op.Code {
	case CodePut, CodeSetAdd, CodeSetRemove, CodeRWSetAdd, CodeRWSetRemove:
		out = append(out, op.Value.Any())
	case CodeTouch:
		out = append(out, int(op.Kind))
	case CodeAdd:
		out = append(out, op.Delta)
	case CodeListInsert:
		values := []any{}
		for _, v := range op.Values {
			values = append(values, v.Any())
		}
		out = append(out, op.Pos, values)
	case CodeListNew:
		out = append(out, op.Pos, int(op.Kind))
	case CodeListDelete, CodeTextDelete:
		out = append(out, op.Pos)
	case CodeListMove:
		out = append(out, op.Pos, dot(op.Elem))
	case CodeTextInsert:
		out = append(out, op.Pos, op.Text)
	case CodeTextMark:
		out = append(out, op.Pos, op.Count, op.Name, op.Value.Any(), int(op.Growth))
	case CodeTextUnmark:
		out = append(out, op.Pos, op.Count, op.Name, int(op.Growth))
	}
	return out
}

func encoded(t interface{ Fatal(...any) }, x any) []byte {
	var buf bytes.Buffer
	e := msgpack.NewEncoder(&buf)
	e.UseCompactInts(true)
	e.SetSortMapKeys(true)
	if err := e.Encode(x); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestOpEqualsEncoder(t *testing.T) {
	c := opChange()
	actors := []causal.Actor{c.Actor, c.Refs[0].Actor, c.Refs[1].Actor}
	index := indexIn(actors)
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(genOp("s", actors), 1, 5).Draw(t, "ops")
		g := Group{Slice: "s"}
		for _, op := range want {
			from := len(g.Ops)
			g.Ops = AppendOp(g.Ops, op, index)
			g.Len += op.Len
			if tree := encoded(t, opTree(op, index)); !bytes.Equal(g.Ops[from:], tree) {
				t.Fatalf("%v: %x, msgpack's Encoder writes %x", op, g.Ops[from:], tree)
			}
		}
		got := opsOf(opChange(g))
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%x decodes to %v, want %v", g.Ops, got, want)
		}
		// Cut anywhere, the last op and those behind it are void, and every dot is covered.
		cut := rapid.IntRange(0, len(g.Ops)-1).Draw(t, "cut")
		left := g.Len
		for i, op := range opsOf(opChange(Group{Slice: "s", Len: g.Len, Ops: g.Ops[:cut]})) {
			left -= op.Len
			if !op.Void && !reflect.DeepEqual(op, want[i]) || left == 0 && !op.Void {
				t.Fatalf("cut at %d: op %d is %v", cut, i, op)
			}
		}
		if left != 0 {
			t.Fatalf("cut at %d: %d dots are not covered", cut, left)
		}
	})
}

// What is malformed is void with its own dots; what cannot be framed takes all dots that are left.
func TestVoidOps(t *testing.T) {
	const good = "95390190" + "00a178" // inserts "x"
	deepValue := func(n int) string { return strings.Repeat("91", n) + "c0" }
	longPath := func(steps int) string { // puts nil at a path of so many steps
		count := 2 * (steps - 1)
		head := hex.EncodeToString(appendArrayHead(nil, count))
		return "940501" + head + strings.Repeat("05a0", steps-1) + "c0"
	}
	key := func(n int) string {
		return "930e0192" + "05" + hex.EncodeToString(appendStr(nil, strings.Repeat("k", n)))
	}
	name := func(n int) string { return hex.EncodeToString(appendStr(nil, strings.Repeat("n", n))) }
	for _, tt := range []struct {
		name, ops string
		len       int
		want      string // of each op its length, and v for void, u for unknown
	}{
		{"good", good, 1, "1"},
		{"two good ones", good + good, 2, "1 1"},
		{"no bytes", "", 5, "5v"},
		{"bytes run out", good, 3, "1 2v"},
		{"too many ops", good + good, 1, "1"},
		{"length beyond the group", "943c0590" + "01", 3, "3v"},
		{"an op behind one beyond the group", "943c0590" + "01" + good, 3, "3v"},
		{"not an array", "01" + good, 2, "2v"},
		{"array of 1", "9105" + good, 2, "2v"},
		{"code not shortest", "95cc390190" + "00a178" + good, 2, "2v"},
		{"code of 33 bits", "93cf000000010000000001c0" + good, 2, "2v"},
		{"array16 of 5", "dc0005390190" + "00a178" + good, 2, "2v"},
		{"length 0", "94390090" + "00" + good, 2, "2v"},
		{"length not an integer", "9439a090" + "00" + good, 2, "2v"},
		{"length of 33 bits", "9439cf000000020000000090" + good, 2, "2v"},
		{"unknown code", "93ccc80390" + good, 4, "3u 1"},
		{"unknown code, odd bytes inside", "94ccc803ca3f800000d40000" + good, 4, "3u 1"},
		{"unknown code beyond the group", "93ccc80990" + good, 4, "4u"},
		{"unknown code, truncated inside", "93ccc803a5" + good[:4], 4, "4v"},
		{"unknown kind on the path", "940501" + "9263a16b" + "c0" + good, 2, "1u 1"},
		{"unknown kind of touch", "94090190" + "63" + good, 2, "1u 1"},
		{"unknown kind of element", "95310390" + "0063" + good, 4, "3u 1"},
		{"kind 0", "94090190" + "00" + good, 2, "1v 1"},
		{"kind 256", "94090190" + "cd0100" + good, 2, "1v 1"},
		{"a text with places", "940501" + "9208a16b" + "c0" + good, 2, "1v 1"},
		{"too few items", "93050190" + good, 2, "1v 1"},
		{"too many items", "95050190c0c0" + good, 2, "1v 1"},
		{"a put of 2 dots", "94050290c0" + good, 3, "2v 1"},
		{"path not an array", "94050105c0" + good, 2, "1v 1"},
		{"a key under a list", "940501" + "9207a16b" + "c0" + good, 2, "1v 1"},
		{"an element under a map", "940501" + "92059200" + "01" + "c0" + good, 2, "1v 1"},
		{"ref out of range", "940501" + "92079203" + "01" + "c0" + good, 2, "1v 1"},
		{"seq 0", "940501" + "92079201" + "00" + "c0" + good, 2, "1v 1"},
		{"seq too large", "940501" + "92079201" + "cf0020000000000001" + "c0" + good, 2, "1v 1"},
		{"delete with a birth", "930e01" + "91920001" + good, 2, "1v 1"},
		{"put of a list", "940501" + "90" + "90", 1, "1"},
		{"set of a list", "941501" + "90" + "90" + good, 2, "1v 1"},
		{"set of an object", "942101" + "90" + "80" + good, 2, "1v 1"},
		{"float32", "940501" + "90" + "ca3f800000" + good, 2, "1v 1"},
		{"delta too large", "941101" + "90" + "cf8000000000000000" + good, 2, "1v 1"},
		{"delta a float", "941101" + "90" + "cb3ff0000000000000" + good, 2, "1v 1"},
		{"position too large", "943c0190" + "cf0020000000000000" + good, 2, "1v 1"},
		{"position negative", "943c0190" + "ff" + good, 2, "1v 1"},
		{"greatest position", "943c0190" + "cf001fffffffffffff" + good, 2, "1 1"},
		{"more text than dots", "95390190" + "00a27878" + good, 2, "1v 1"},
		{"less text than dots", "95390390" + "00a27878" + good, 4, "3v 1"},
		{"no text", "95390190" + "00a0" + good, 2, "1v 1"},
		{"text not UTF-8", "95390190" + "00a1ff" + good, 2, "1v 1"},
		{"values and dots differ", "952d0290" + "0091c0" + good, 3, "2v 1"},
		{"a move of 2 dots", "95410290" + "00" + "920001" + good, 3, "2v 1"},
		{"a move without an element", "94410190" + "00" + good, 2, "1v 1"},
		{"a move of a key", "95410190" + "00" + "a16b" + good, 2, "1v 1"},
		{"a move by a ref out of range", "95410190" + "00" + "920301" + good, 2, "1v 1"},
		{"mark", "98450190" + "0001a162c000" + good, 2, "1 1"},
		{"mark of no code points", "98450190" + "0000a162c000" + good, 2, "1v 1"},
		{"mark of too many", "98450190" + "00cf0020000000000000a162c000" + good, 2, "1v 1"},
		{"mark without a name", "98450190" + "0001a0c000" + good, 2, "1v 1"},
		{"name not UTF-8", "98450190" + "0001a1ffc000" + good, 2, "1v 1"},
		{"longest name", "98450190" + "0001" + name(MaxKeyBytes) + "c000" + good, 2, "1 1"},
		{"name too long", "98450190" + "0001" + name(MaxKeyBytes+1) + "c000" + good, 2, "1v 1"},
		{"mark of a list", "98450190" + "0001a1629000" + good, 2, "1 1"},
		{"mark of float32", "98450190" + "0001a162ca3f80000000" + good, 2, "1v 1"},
		{"unknown growth", "98450190" + "0001a162c004" + good, 2, "1v 1"},
		{"growth not an integer", "98450190" + "0001a162c0c0" + good, 2, "1v 1"},
		{"mark of 2 dots", "98450290" + "0001a162c000" + good, 3, "2v 1"},
		{"mark without a value", "97450190" + "0001a16200" + good, 2, "1v 1"},
		{"unmark", "97490190" + "0001a16203" + good, 2, "1 1"},
		{"unmark with a value", "98490190" + "0001a162c003" + good, 2, "1v 1"},
		{"unmark of no code points", "97490190" + "0000a16203" + good, 2, "1v 1"},
		{"value deep enough", "94050190" + deepValue(MaxDepth) + good, 2, "1 1"},
		{"value too deep", "94050190" + deepValue(MaxDepth+1) + good, 2, "1v 1"},
		{"too deep to frame", "94050190" + deepValue(maxNesting) + good, 2, "2v"},
		{"longest path", longPath(MaxDepth) + good, 2, "1 1"},
		{"path too long", longPath(MaxDepth+1) + good, 2, "1v 1"},
		{"longest key", key(MaxKeyBytes) + good, 2, "1 1"},
		{"key too long", key(MaxKeyBytes+1) + good, 2, "1v 1"},
	} {
		c := opChange(Group{Slice: "a", Len: tt.len, Ops: unhex(t, tt.ops)}, Group{Slice: "b", Len: 1, Ops: unhex(t, good)})
		var got []string
		next := c.Seq
		c.Ops(func(seq causal.Seq, slice string, op *Op) bool {
			if seq != next {
				t.Errorf("%s: op at %d, want %d", tt.name, seq, next)
			}
			next += causal.Seq(op.Len)
			s := hex.EncodeToString([]byte{byte(op.Len)})
			s = strings.TrimPrefix(s, "0")
			switch {
			case op.Unknown && op.Void:
				s += "u"
			case op.Void:
				s += "v"
			}
			if slice == "a" {
				got = append(got, s)
			} else if op.Void {
				t.Errorf("%s: the next group is void", tt.name)
			}
			return true
		})
		if got := strings.Join(got, " "); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// Nothing makes the decoder use more stack or memory than its input.
func TestHostileOps(t *testing.T) {
	for _, b := range [][]byte{
		bytes.Repeat([]byte{0x91}, 16<<20),
		bytes.Repeat([]byte{0x81}, 16<<20),
		unhex(t, "ddffffffff"),
		unhex(t, "940501ddfffffffe"),
		unhex(t, "952d0190"+"00ddffffffff"),
		unhex(t, "94050190"+"c6ffffffff"),
		unhex(t, "94ccc80190"+"dfffffffff"),
		unhex(t, "94ccc80190"+"c9ffffffff00"),
	} {
		ops := opsOf(opChange(Group{Slice: "s", Len: 7, Ops: b}))
		if len(ops) != 1 || !ops[0].Void || ops[0].Len != 7 {
			t.Errorf("%.20x...: %v", b, ops)
		}
		if _, ok := skipValue(b); ok {
			t.Errorf("%.20x...: skipped", b)
		}
		if _, _, err := DecodeValue(b); err == nil {
			t.Errorf("%.20x...: a value", b)
		}
		if _, err := DecodeBatch(b); err == nil {
			t.Errorf("%.20x...: a batch", b)
		}
	}
}

func TestSkipValue(t *testing.T) {
	for _, enc := range []string{"00", "e0", "c0", "cc01", "cd0001", "ce00000001", "cf0000000000000001", "d001", "d10001", "d200000001",
		"d30000000000000001", "ca00000000", "cb0000000000000000", "a161", "d90161", "da000161", "db0000000161", "c40161", "c5000161",
		"c60000000161", "91c0", "dc0001c0", "dd00000001c0", "81c0c0", "de0001c0c0", "df00000001c0c0", "d401aa", "d501aaaa",
		"d601aaaaaaaa", "d701aaaaaaaaaaaaaaaa", "d801" + strings.Repeat("aa", 16), "c70201aaaa", "c8000201aaaa", "c90000000201aaaa",
		strings.Repeat("91", maxNesting) + "c0", "9392c0c090c3"} {
		b := unhex(t, enc)
		if rest, ok := skipValue(append(b, 0x05)); !ok || len(rest) != 1 {
			t.Errorf("%s: %x, %v", enc, rest, ok)
		}
		for n := range b {
			if rest, ok := skipValue(b[:n]); ok {
				t.Errorf("%s cut to %d bytes: skipped to %x", enc, n, rest)
			}
		}
	}
	for _, enc := range []string{"c1", strings.Repeat("91", maxNesting+1) + "c0"} {
		if _, ok := skipValue(unhex(t, enc)); ok {
			t.Errorf("%s: skipped", enc)
		}
	}
}

// Whatever the bytes, ops cover the dots, and ops that are not void encode to bytes that decode to them.
func FuzzOps(f *testing.F) {
	f.Add(unhex(f, "9539019000a178"), 1)
	f.Add(unhex(f, "940501"+"97"+"93050003"+"a5746f646f73"+"07"+"9202ccc8"+"930602ccc8"+"a0"+"920003"+"c0"), 3)
	f.Add(unhex(f, "98450190"+"0001"+"a162"+"c3"+"02"+"97490190"+"0001"+"a162"+"00"), 2)
	f.Add(unhex(f, "93ccc803c0952d029000"+"92c0a176"), 9)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		if n < 1 || n > MaxChangeLen {
			return
		}
		c := opChange(Group{Slice: "s", Len: n, Ops: b})
		index := indexIn([]causal.Actor{c.Actor, c.Refs[0].Actor, c.Refs[1].Actor})
		next := c.Seq
		var again []byte
		voids := false
		c.Ops(func(seq causal.Seq, slice string, op *Op) bool {
			if seq != next || op.Len < 1 {
				t.Fatalf("%v at %d, want %d", op, seq, next)
			}
			next += causal.Seq(op.Len)
			_ = op.String()
			if op.Void {
				voids = true
				return true
			}
			enc := AppendOp(nil, op, index)
			back := opsOf(opChange(Group{Slice: "s", Len: op.Len, Ops: enc}))
			if len(back) != 1 || !reflect.DeepEqual(back[0], op) {
				t.Fatalf("%v encodes to %x, which decodes to %v", op, enc, back)
			}
			if !voids {
				again = append(again, enc...)
			}
			return true
		})
		if next != c.Seq+causal.Seq(n) {
			t.Fatalf("ops cover %d of %d dots", next-c.Seq, n)
		}
		if !bytes.HasPrefix(b, again) {
			t.Fatalf("%x is read as %x", b, again)
		}
	})
}

func BenchmarkOps(b *testing.B) {
	c := opChange(typed("notes", 12345, "x"))
	b.ReportAllocs()
	for b.Loop() {
		c.Ops(func(causal.Seq, string, *Op) bool { return true })
	}
}
