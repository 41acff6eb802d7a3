package crdt

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestParsePointer(t *testing.T) {
	for text, want := range map[string][]string{
		"":               nil,
		"/":              {""},
		"todos":          {"todos"},
		"/todos/7/title": {"todos", "7", "title"},
		"todos/7/":       {"todos", "7", ""},
		"a~1b/~0~01":     {"a/b", "~~1"},
		"//":             {"", ""},
	} {
		if got, err := ParsePointer(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("ParsePointer(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"~", "a~", "a~2b", "x/~~0"} {
		_, err := ParsePointer(text)
		wantIs(t, err, ErrPointer)
	}
}

func TestPointerRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOf(rapid.StringMatching(`[a~/01]{0,4}`)).Draw(t, "keys")
		text := FormatPointer(keys)
		if got, err := ParsePointer(text); err != nil || !slices.Equal(got, keys) {
			t.Fatalf("%q is written %q, which reads %q, %v", keys, text, got, err)
		}
	})
}
