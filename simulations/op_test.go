package simulations

import (
	"errors"
	"strings"
	"testing"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
	"github.com/atollsync/atoll/peer/replica"
)

// writer is one device's replica, for ops to be done in.
type writer struct {
	r     *replica.Replica
	state *crdt.State
	now   int64
}

func newWriter() *writer {
	d := causal.Device{1}
	r, err := replica.New(replica.Config{Store: crdt.StoreID{1}, Device: d, Actor: causal.Actor{Device: d}, Log: newDisk(causal.Actor{Device: d}, new(common)),
		Sign: func([]byte) []byte { return make([]byte, 64) }})
	if err != nil {
		panic(err)
	}
	return &writer{r: r, state: r.State()}
}

// do does an op in a transaction of its own.
func (w *writer) do(op Op) error {
	w.now++
	_, err := w.r.Commit(w.now, op.do)
	return err
}

func TestOps(t *testing.T) {
	tests := []struct {
		ops  string // one a line
		want string // the state; or after "error: ", what the last op's error holds
	}{
		{`put title "Week 12"`, `{"title":"Week 12"}`},
		{`put todos/1/title milk`, `{"todos":{"1":{"title":"milk"}}}`},
		{`put a~1b/c 1.5`, `{"a/b":{"c":1.5}}`},
		{`put "a b/c" {"x":[1,2]}`, `{"a b":{"c":{"x":[1,2]}}}`},
		{"touch m\ntouch l --kind list\ntouch t --kind text", `{"l":[],"m":{},"t":""}`},
		{"add n\nadd n 5\nadd n -2", `{"n":4}`},
		{"add tags x y\nremove tags x", `{"tags":["y"]}`},
		{"add tags x y --kind rwset\nclear tags", `{"tags":[]}`},
		{"insert notes 0 \"héllo\" --kind text\ninsert notes 99 !\ninsert notes end ?\ndelete notes 1", `{"notes":"hllo!?"}`},
		{"insert notes 0 hello\ndelete notes 99 5\ndelete notes 3 99", `{"notes":"hel"}`},
		{"insert notes 0 hello\nput notes help", `{"notes":"help"}`},
		{"insert steps 0 1 2 3\nmove steps/0 end\nset steps 99 9\ndelete steps 0", `{"steps":[3,9]}`},
		{"insert steps 0 --new map\nput steps/77/title x\nput steps/end/done true", `{"steps":[{"done":true,"title":"x"}]}`},
		{"insert steps 0 1 2 3\nmove steps/end 0\ndelete steps/99", `{"steps":[3,1]}`},
		{"put r 1\nadd r x --kind set", `{"r":["x"]}`},
		{"put a [1,2] --kind list ; put b {\"x\":1} --kind map ; put c [1] --kind set ; put d -3 --kind counter", `{"a":[1,2],"b":{"x":1},"c":[1],"d":-3}`},
		{"put a 1 ; delete zzz", `{"a":1}`},
		{"insert t 0 hello\nmark t 0 2 bold\nunmark t 1 99 bold\nmark t 4 end link https://x.org --grow none", `{"t":"hello"}`},
		{"delete nothing", "error: nothing is there"},
		{"put r 1\nput r/x 2", "error: nothing is there"},
		{"add r x\ninsert r 0 y", "error: nothing is there of a kind"},
		{"touch l --kind list\nset l 0 x", "error: l: nothing is there"},
		{"touch l --kind list\nput l/0/x 1", "error: l/0: nothing is there"},
		{"insert l 0 1 2\nput l/x 1", "error: nothing is there"},
		{"put x 1.5 --kind counter", "error: a counter starts"},
		{"undo", "error: undo is done by a device"},
	}
	for _, tt := range tests {
		w := newWriter()
		var err error
		for line := range strings.Lines(tt.ops) {
			op, perr := ParseOp(strings.TrimSpace(line))
			if perr != nil {
				t.Fatalf("%s: %v", tt.ops, perr)
			}
			if err != nil {
				t.Fatalf("%s: %v", tt.ops, err)
			}
			err = w.do(op)
		}
		want, wantsError := strings.CutPrefix(tt.want, "error: ")
		switch {
		case wantsError && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: error %v, want %s", tt.ops, err, want)
		case !wantsError && err != nil:
			t.Errorf("%s: %v", tt.ops, err)
		case !wantsError && w.state.JSON() != want:
			t.Errorf("%s: state %s, want %s", tt.ops, w.state.JSON(), want)
		}
	}
}

func TestOpMarks(t *testing.T) {
	w := newWriter()
	for _, line := range []string{"insert t 0 hello", "mark t 0 2 bold", "mark t 3 end comment:1 {\"by\":\"ana\"}"} {
		op, err := ParseOp(line)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.do(op); err != nil {
			t.Fatal(err)
		}
	}
	marks := w.state.Text("t").Marks()
	if len(marks) != 2 || marks[0].Name != "bold" || marks[0].To != 2 || marks[1].Name != "comment:1" || marks[1].From != 3 {
		t.Errorf("marks %+v", marks)
	}
}

func TestParseOpErrors(t *testing.T) {
	for line, want := range map[string]string{
		"":                                "no command",
		"putt a 1":                        `did you mean "put"`,
		"put":                             "takes a PATH",
		`put "" 1`:                        "an empty PATH",
		"put a":                           "takes a VALUE",
		"put a 1 2":                       "2 is more than put takes",
		"put a 99999999999999999999":      "does not fit",
		`put a "x`:                        "is no JSON",
		`put a "x"y`:                      "comes no space",
		"put a~ 1":                        "~0",
		"put a 1 --kind toxt":             "no kind",
		"put a 1 --grow end":              "takes no --grow",
		"put a 1 --kind":                  "takes a word",
		"insert a x y":                    "x is no index",
		"insert a -1 y":                   "-1 is no index",
		"insert a 0":                      "takes a VALUE",
		"insert a 0 x --new map":          "not both",
		"insert a 0 --new map --kind set": "more than one kind",
		"delete a 0 0":                    "COUNT of 1",
		"mark t 0":                        "takes an INDEX after its PATH, and one more",
		"mark t 0 1":                      "takes the NAME",
		"mark t 0 1 link":                 "URL",
		"undo x":                          "no arguments",
		"undo ; put a 1":                  "stands alone",
		"put a 1 ;":                       "no command",
		"put a \xff":                      "UTF-8",
		`put a "\ud800"`:                  "surrogate",
		"put a " + strings.Repeat("x", maxOpText): "longer than",
	} {
		if _, err := ParseOp(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", clip(line, 60), err, want)
		}
	}
}

// Whatever is an op is one again from its own text, and doing it never ends in anything but an op done, nothing there, or an error that leaves
// the state as it was.
func FuzzParseOp(f *testing.F) {
	for _, line := range []string{"put a 1", "put \"a b\" [1,{\"x\":null}] --kind list", "insert t end \"x y\" --kind text ; mark t 0 end bold", "move l/3 0",
		"insert l 0 --new dwmap", "delete t 0 5", "clear s --kind rwset", "add s 1 \"2\" 3.0", "unmark t 0 end \"my mark\" --grow both", "touch a/b/c --kind set", "undo", "set l 3 [[]]", `put \u003b ";"`} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		op, err := ParseOp(line)
		if err != nil {
			return
		}
		again, err := ParseOp(op.String())
		if err != nil || again.Text != op.Text {
			t.Fatalf("%q became %q, that %q: %v", line, op.Text, again.Text, err)
		}
		w := newWriter()
		for _, line := range []string{"insert l 0 1 2 3 --kind list", "insert t 0 hello --kind text", "add s 1 2 --kind set", "put m/x 1"} {
			seed, err := ParseOp(line)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.do(seed); err != nil {
				t.Fatal(err)
			}
		}
		before := w.state.JSON()
		if err := w.do(op); err != nil && w.state.JSON() != before {
			t.Fatalf("%q failed (%v, nothing there: %v) and left %s of %s", line, err, errors.Is(err, errNotThere), w.state.JSON(), before)
		}
	})
}
