package crdt

import (
	"strings"
	"testing"

	"github.com/atollsync/atoll/crdt/causal"
)

func TestOpString(t *testing.T) {
	elem := causal.Dot{Actor: actorOf(0), Seq: 9}
	at := func(k Kind) Path { return Path{{Key: "s", Kind: k}} }
	for _, tt := range []struct {
		op   Op
		want string
	}{
		{Op{Void: true, Len: 3}, "void(3 dots)"},
		{Op{Code: CodePut, Path: Path{{Key: "a/b", Kind: List}, {Elem: elem, Kind: Map}, {Key: "k"}}, Value: IntValue(1)}, "put a~1b/[" + elem.String() + "]/k 1"},
		{Op{Code: CodeTouch, Path: at(Map), Kind: Map}, "touch s map"},
		{Op{Code: CodeDelete, Path: at(0)}, "delete s"},
		{Op{Code: CodeAdd, Path: at(Counter), Delta: 2}, "add s +2"},
		{Op{Code: CodeRWSetRemove, Path: at(RemoveWinsSet), Value: BoolValue(true)}, "remove s true"},
		{Op{Code: CodeListInsert, Path: at(List), Pos: 4, Values: []Value{Nil, IntValue(2)}}, "insert s at 4 [null 2]"},
		{Op{Code: CodeListNew, Path: at(List), Len: 2, Kind: Text}, "insert s at 0 2×text"},
		{Op{Code: CodeListMove, Path: at(List), Pos: 7, Elem: elem}, "move s [" + elem.String() + "] to 7"},
		{Op{Code: CodeTextDelete, Path: at(Text), Pos: 1, Len: 5}, "delete s at 1 len 5"},
		{Op{Code: CodeTextInsert, Path: at(Text), Pos: 1, Text: "é\n"}, `insert s at 1 "é\n"`},
		{Op{Code: CodeTextMark, Path: at(Text), Pos: 1, Count: 4, Name: "link", Value: mustValue(t, "u")}, `mark s at 1 len 4 "link" "u", not growing`},
		{Op{Code: CodeTextUnmark, Path: at(Text), Pos: 1, Count: 4, Name: "bold", Growth: GrowEnd}, `unmark s at 1 len 4 "bold", growing at its end`},
		{Op{Code: 1 << 20, Path: at(0)}, "code(1048576) s"},
	} {
		if got := tt.op.String(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

func TestCodeClass(t *testing.T) {
	for c, want := range map[Code]Class{
		CodePut: ClassWrite, CodeTouch: ClassWrite, CodeDelete: ClassDelete, CodeAdd: ClassWrite,
		CodeSetAdd: ClassWrite, CodeSetRemove: ClassNeither, CodeSetClear: ClassNeither,
		CodeRWSetAdd: ClassWrite, CodeRWSetRemove: ClassNeither, CodeRWSetClear: ClassNeither,
		CodeListInsert: ClassWrite, CodeListNew: ClassWrite, CodeListDelete: ClassNeither,
		CodeListMove: ClassWrite, CodeTextInsert: ClassWrite, CodeTextDelete: ClassNeither,
		CodeTextMark: ClassWrite, CodeTextUnmark: ClassWrite,
	} {
		if c.Class() != want {
			t.Errorf("%v (%d) has class %d, want %d", c, uint32(c), c.Class(), want)
		}
	}
}

func TestKindNames(t *testing.T) {
	for k := Register; k <= Text; k++ {
		if got, err := ParseKind(k.String()); err != nil || got != k || !k.Known() {
			t.Errorf("%d: %v reads back as %v, %v", uint8(k), k, got, err)
		}
	}
	for _, s := range []string{"", "kind(9)", "Map"} {
		if k, err := ParseKind(s); err == nil || !strings.Contains(err.Error(), "register, counter") {
			t.Errorf("ParseKind(%q) = %v, %v", s, k, err)
		}
	}
	if Kind(0).Known() || Kind(9).Known() || Kind(9).String() != "kind(9)" {
		t.Error("kinds 0 and 9 are known")
	}
}
