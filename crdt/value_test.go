package crdt

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"
)

func TestValueEncoding(t *testing.T) {
	for _, tt := range []struct {
		in   any
		enc  string
		json string
	}{
		{nil, "c0", "null"},
		{false, "c2", "false"},
		{true, "c3", "true"},
		{0, "00", "0"},
		{127, "7f", "127"},
		{128, "cc80", "128"},
		{-1, "ff", "-1"},
		{-32, "e0", "-32"},
		{-33, "d0df", "-33"},
		{math.MaxInt64, "cf7fffffffffffffff", "9223372036854775807"},
		{math.MinInt64, "d38000000000000000", "-9223372036854775808"},
		{1.0, "cb3ff0000000000000", "1.0"},
		{-0.5, "cbbfe0000000000000", "-0.5"},
		{math.Copysign(0, -1), "cb0000000000000000", "0.0"},
		{math.NaN(), "cb7ff8000000000000", "null"},
		{math.Inf(1), "cb7ff0000000000000", "null"},
		{1e21, "cb444b1ae4d6e2ef50", "1e+21"},
		{1e-7, "cb3e7ad7f29abcaf48", "1e-07"},
		{"", "a0", `""`},
		{"a\"\\\n\x01\x7fé\u2028", "ab61225c0a017fc3a9e280a8", `"a\"\\\n\u0001\u007fé` + "\u2028" + `"`},
		{[]byte{}, "c400", `""`},
		{[]byte{1, 0xff}, "c40201ff", `"Af8="`},
		{[]any{1, "x", nil}, "9301a178c0", `[1,"x",null]`},
		{map[string]any{"b": 1, "a": []any{}, "ab": true}, "83a16190a26162c3a16201", `{"a":[],"ab":true,"b":1}`},
		{json.Number("10"), "0a", "10"},
		{json.Number("1e1"), "cb4024000000000000", "10.0"},
	} {
		v, err := ValueOf(tt.in)
		if err != nil {
			t.Fatalf("ValueOf(%v): %v", tt.in, err)
		}
		want := unhex(t, tt.enc)
		if got := v.AppendTo(nil); !bytes.Equal(got, want) {
			t.Errorf("ValueOf(%v) = %x, want %x", tt.in, got, want)
		}
		if got := v.String(); got != tt.json {
			t.Errorf("ValueOf(%v) prints %s, want %s", tt.in, got, tt.json)
		}
		back, rest, err := DecodeValue(append(want, 0xaa))
		if err != nil || back != v || !bytes.Equal(rest, []byte{0xaa}) {
			t.Errorf("DecodeValue(%x) = %v, %x, %v", want, back, rest, err)
		}
	}
}

func TestDecodeValueRefuses(t *testing.T) {
	deep := strings.Repeat("91", MaxDepth) + "c0"
	if _, _, err := DecodeValue(unhex(t, deep)); err != nil {
		t.Errorf("%d lists: %v", MaxDepth, err)
	}
	for name, enc := range map[string]string{
		"empty":                  "",
		"uint8 of 127":           "cc7f",
		"uint16 of 255":          "cd00ff",
		"uint32 of 65535":        "ce0000ffff",
		"uint64 of 2^32-1":       "cf00000000ffffffff",
		"more than an int64":     "cf8000000000000000",
		"int8 of 5":              "d005",
		"int8 of -32":            "d0e0",
		"int16 of -128":          "d1ff80",
		"int32 of -32768":        "d2ffff8000",
		"int64 of -2^31":         "d3ffffffff80000000",
		"int64 of 5":             "d30000000000000005",
		"float32":                "ca3f800000",
		"-0":                     "cb8000000000000000",
		"another NaN":            "cb7ff8000000000001",
		"negative NaN":           "cbfff8000000000000",
		"str8 of 1":              "d90161",
		"str16 of 1":             "da000161",
		"str32 of 1":             "db0000000161",
		"bin16 of 1":             "c5000161",
		"bin32 of 1":             "c60000000161",
		"array16 of 1":           "dc0001c0",
		"array32 of 1":           "dd00000001c0",
		"map16 of 0":             "de0000",
		"not UTF-8":              "a1ff",
		"a surrogate":            "a3eda080",
		"keys not sorted":        "82a162c0a161c0",
		"a key twice":            "82a161c0a161c0",
		"a key that is a number": "8101c0",
		"ext":                    "d40000",
		"a code never used":      "c1",
		"array of 4 Gi":          "ddffffffff",
		"map of 4 Gi":            "dfffffffff",
		"str of 4 Gi":            "dbffffffff",
		"bin of 4 Gi":            "c6ffffffff",
		"too deep":               "91" + deep,
		"maps too deep":          strings.Repeat("81a161", MaxDepth+1) + "c0",
	} {
		if v, _, err := DecodeValue(unhex(t, enc)); err == nil {
			t.Errorf("%s: accepted as %v", name, v)
		} else {
			wantIs(t, err, ErrValue)
		}
	}
	whole := map[string]any{"k": []any{1, 300, 70000, -5.5, "text", []byte("bytes"), strings.Repeat("s", 300), nil, true}}
	v, err := ValueOf(whole)
	if err != nil {
		t.Fatal(err)
	}
	enc := v.AppendTo(nil)
	for n := range enc {
		if _, _, err := DecodeValue(enc[:n]); err == nil {
			t.Errorf("accepted %d of %d bytes", n, len(enc))
		}
	}
	if got := v.Any(); !reflect.DeepEqual(got, map[string]any{"k": []any{int64(1), int64(300), int64(70000), -5.5, "text",
		[]byte("bytes"), strings.Repeat("s", 300), nil, true}}) {
		t.Errorf("Any gives %#v", got)
	}
}

func TestValueOfRefuses(t *testing.T) {
	deep := any(1)
	for range MaxDepth + 1 {
		deep = []any{deep}
	}
	half, err := ValueOf(deep.([]any)[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		in   any
		text string
	}{
		{struct{ X int }{}, "struct { X int }"},
		{[]any{1, map[string]any{"k": make(chan int)}}, "chan int"},
		{map[int]string{}, "map[int]string"},
		{"\xff", "UTF-8"},
		{map[string]any{"\xff": 1}, "UTF-8"},
		{uint64(math.MaxUint64), "int64"},
		{json.Number("9223372036854775808"), "int64"},
		{json.Number("1e999"), "float64"},
		{deep, "64 deep"},
		{[]any{half}, "64 deep"},
	} {
		_, err := ValueOf(tt.in)
		wantIs(t, err, ErrValue)
		if !strings.Contains(err.Error(), tt.text) {
			t.Errorf("error %q does not say %q", err, tt.text)
		}
	}
}

func TestValueAccessors(t *testing.T) {
	long := strings.Repeat("é", 40000)
	s, err := StringValue(long)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := s.Str(); !ok || got != long {
		t.Error("Str does not give back a long string")
	}
	if got, ok := BytesValue([]byte(long)).Bytes(); !ok || string(got) != long {
		t.Error("Bytes does not give back long bytes")
	}
	for i, v := range []Value{Nil, BoolValue(true), IntValue(-7), FloatValue(2), s, BytesValue(nil)} {
		if v.Type() != ValueType(i) || !v.IsScalar() {
			t.Errorf("%v has type %v, want %v", v, v.Type(), ValueType(i))
		}
		_, b := v.Bool()
		_, n := v.Int()
		_, f := v.Float()
		_, st := v.Str()
		_, by := v.Bytes()
		if got := []bool{v.IsNil(), b, n, f, st, by}; !got[i] || slices.Index(got, true) != i || slices.Contains(got[i+1:], true) {
			t.Errorf("%v answers to %v", v.Type(), got)
		}
	}
}

// Order by type, then value. The list is in order; each pair is compared both ways.
func TestValueCompare(t *testing.T) {
	var vs []Value
	for _, x := range []any{nil, false, true, math.MinInt64, -33, -1, 0, 1, 128, 256, 70000, math.MaxInt64,
		math.NaN(), math.Inf(-1), -1.5, 0.0, 1.0, math.Inf(1), "", "a", "ab", "b", strings.Repeat("c", 40), []byte{}, []byte{0}, []byte{1},
		[]any{}, []any{nil}, []any{1}, []any{1, 2}, []any{2}, map[string]any{}, map[string]any{"a": 1}, map[string]any{"a": 1, "b": 1}, map[string]any{"a": 2}} {
		v, err := ValueOf(x)
		if err != nil {
			t.Fatal(err)
		}
		vs = append(vs, v)
	}
	for i, v := range vs {
		for j, w := range vs {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := v.Compare(w); got != want {
				t.Errorf("%v.Compare(%v) = %d, want %d", v, w, got, want)
			}
		}
	}
}

func TestParseJSON(t *testing.T) {
	for text, want := range map[string]string{
		` {"b":[1,2.0,-0,1e2],"a":"\u00e9\ud83d\ude00","b2":{}} `: `{"a":"é😀","b":[1,2.0,0,100.0],"b2":{}}`,
		`{"k":1,"k":2}`: `{"k":2}`,
		`-0.0`:          `0.0`,
	} {
		v, err := ParseJSON([]byte(text))
		if err != nil || v.String() != want {
			t.Errorf("ParseJSON(%s) = %v, %v, want %s", text, v, err, want)
		}
	}
	for _, text := range []string{"", "1 2", "{", "nul", `"` + "\xff" + `"`, "9223372036854775808", "1e999",
		strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1), strings.Repeat("[", 1<<20)} {
		if v, err := ParseJSON([]byte(text)); err == nil {
			t.Errorf("ParseJSON(%.40q) = %v", text, v)
		} else {
			wantIs(t, err, ErrValue)
		}
	}
}

// Hand-written bytes and msgpack's own Encoder agree on every value, and all ways
// back give the value.
func TestValueEqualsEncoder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := genValue(3).Draw(t, "value")
		enc := v.AppendTo(nil)
		var buf bytes.Buffer
		e := msgpack.NewEncoder(&buf)
		e.UseCompactInts(true)
		e.SetSortMapKeys(true)
		if err := e.Encode(v.Any()); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(enc, buf.Bytes()) {
			t.Fatalf("%v: %x, msgpack's Encoder writes %x", v, enc, buf.Bytes())
		}
		back, rest, err := DecodeValue(enc)
		if err != nil || back != v || len(rest) > 0 {
			t.Fatalf("DecodeValue(%x) = %v, %x, %v", enc, back, rest, err)
		}
		if rest, ok := skipValue(enc); !ok || len(rest) > 0 {
			t.Fatalf("skipValue(%x) = %x, %v", enc, rest, ok)
		}
		if again, err := ValueOf(v.Any()); err != nil || again != v {
			t.Fatalf("ValueOf(Any) = %v, %v", again, err)
		}
		text, _ := v.MarshalJSON()
		if !json.Valid(text) {
			t.Fatalf("JSON %s", text)
		}
		parsed, err := ParseJSON(text)
		if err != nil {
			t.Fatalf("ParseJSON(%s): %v", text, err)
		}
		if got := parsed.String(); got != string(text) {
			t.Fatalf("JSON %s comes back as %s", text, got)
		}
	})
}

func FuzzDecodeValue(f *testing.F) {
	f.Add(unhex(f, "83a16190a26162c3a16201"))
	f.Add(unhex(f, "cb7ff8000000000000"))
	f.Add(bytes.Repeat([]byte{0x91}, 200))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, rest, err := DecodeValue(b)
		skipped, ok := skipValue(b)
		if err != nil {
			return
		}
		enc := v.AppendTo(nil)
		if !bytes.Equal(append(enc, rest...), b) {
			t.Fatalf("%x decodes to %v, which encodes to %x", b, v, enc)
		}
		if !ok || len(skipped) != len(rest) {
			t.Fatalf("skipValue leaves %d bytes of %x", len(skipped), b)
		}
		if w, err := ValueOf(v.Any()); err != nil || w != v || v.Compare(w) != 0 {
			t.Fatalf("%v comes back as %v, %v", v, w, err)
		}
		if !json.Valid(v.AppendJSON(nil)) {
			t.Fatalf("JSON %s", v)
		}
	})
}

func FuzzParseJSON(f *testing.F) {
	f.Add([]byte(`{"b":[1,2.0,-0,1e2,1E-400],"a":"\u00e9\ud800","b2":{}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := ParseJSON(text)
		if err != nil {
			return
		}
		if !json.Valid(text) {
			t.Fatalf("accepted %q", text)
		}
		again, err := ParseJSON(v.AppendJSON(nil))
		if err != nil || again != v {
			t.Fatalf("%s gives %v, then %v, %v", text, v, again, err)
		}
	})
}
