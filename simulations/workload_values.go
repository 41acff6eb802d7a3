package simulations

import (
	"fmt"

	"github.com/atollsync/atoll/crdt"
)

// phrases are what people type: also in other scripts, from right to left, beyond 16 bits, with combining marks and joiners.
var phrases = []string{"milk", "call mum", "the quick brown fox ", "\n\n", "naïve café", "Grüße", "привет", "שלום", "你好，世界", "e\u0301", "👩‍👩‍👧", "🏳️‍🌈", "😀", "\u202e", "x", "\t- ", "**not bold**", "\U0001F9EA\U00020BB7"}

// letters are what is typed one by one.
var letters = []rune("eeeettaaooiinnsshhrrdlu   .,\né😀ß漢")

func phrase(rng Rand) string { return phrases[rng.IntN(len(phrases))] }

func letter(rng Rand) string { return string(letters[rng.IntN(len(letters))]) }

// text returns s, which is valid UTF-8, as a value.
func text(s string) crdt.Value {
	v, err := crdt.StringValue(s)
	if err != nil {
		panic(fmt.Sprintf("a string of this package is no value: %v", err))
	}
	return v
}

// scalar returns one of few scalars.
func scalar(rng Rand) crdt.Value {
	switch rng.IntN(6) {
	case 0:
		return crdt.IntValue(int64(rng.IntN(4)))
	case 1:
		return crdt.FloatValue(float64(rng.IntN(3)) / 2)
	case 2:
		return crdt.BoolValue(rng.IntN(2) == 0)
	case 3:
		return crdt.Value{}
	}
	return text(phrase(rng))
}

// value returns a scalar, or now and then an opaque list or object.
func value(rng Rand) crdt.Value {
	if rng.IntN(8) > 0 {
		return scalar(rng)
	}
	return valueOf([]any{[]any{1, phrase(rng)}, map[string]any{"x": rng.IntN(3), "y": nil}}[rng.IntN(2)])
}

// valueOf returns x, which is a part of a value or made here, as a value.
func valueOf(x any) crdt.Value {
	v, err := crdt.ValueOf(x)
	if err != nil {
		panic(fmt.Sprintf("a value of this package is none: %v", err))
	}
	return v
}
