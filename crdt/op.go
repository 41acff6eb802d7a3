package crdt

import (
	"fmt"

	"github.com/atollsync/atoll/crdt/causal"
)

// Class says what an op does to the entries on its path, so that a version that does
// not know the op's kind still knows that much.
type Class uint8

const (
	ClassNeither Class = 0 // changes content, makes nothing stand: remove, clear, delete in a sequence
	ClassWrite   Class = 1 // makes every entry on its path stand
	ClassDelete  Class = 2 // hides what stands at the place it names
)

// Code names what an op does: a number, and its Class in the low two bits. The
// numbers are part of the format.
type Code uint32

const (
	CodePut         = Code(1<<2 | ClassWrite)    // Register: Value
	CodeTouch       = Code(2<<2 | ClassWrite)    // any kind: Kind; makes the entry stand
	CodeDelete      = Code(3<<2 | ClassDelete)   // a place: what stands there is hidden
	CodeAdd         = Code(4<<2 | ClassWrite)    // Counter: Delta
	CodeSetAdd      = Code(5<<2 | ClassWrite)    // Set: Value
	CodeSetRemove   = Code(6<<2 | ClassNeither)  // Set: Value
	CodeSetClear    = Code(7<<2 | ClassNeither)  // Set
	CodeRWSetAdd    = Code(8<<2 | ClassWrite)    // RemoveWinsSet: Value
	CodeRWSetRemove = Code(9<<2 | ClassNeither)  // RemoveWinsSet: Value
	CodeRWSetClear  = Code(10<<2 | ClassNeither) // RemoveWinsSet
	CodeListInsert  = Code(11<<2 | ClassWrite)   // List: Pos, Values; one dot per element, each element a Register
	CodeListNew     = Code(12<<2 | ClassWrite)   // List: Pos, Kind; Len elements, each an empty container of Kind
	CodeListDelete  = Code(13<<2 | ClassNeither) // List: Pos; Len elements
	CodeTextInsert  = Code(14<<2 | ClassWrite)   // Text: Pos, Text; one dot per code point
	CodeTextDelete  = Code(15<<2 | ClassNeither) // Text: Pos; Len code points
	CodeListMove    = Code(16<<2 | ClassWrite)   // List: Elem; Pos, counted without the element
	CodeTextMark    = Code(17<<2 | ClassWrite)   // Text: Pos, Count, Name, Value, Growth
	CodeTextUnmark  = Code(18<<2 | ClassWrite)   // Text: Pos, Count, Name, Growth
)

// Class returns what c does to the entries on its path.
func (c Code) Class() Class { return Class(c & 3) }

// kind returns the kind of the container c applies to, 0 if the op says it itself
// (CodeTouch), names a place instead (CodeDelete) or is unknown.
func (c Code) kind() Kind {
	switch c {
	case CodePut:
		return Register
	case CodeAdd:
		return Counter
	case CodeSetAdd, CodeSetRemove, CodeSetClear:
		return Set
	case CodeRWSetAdd, CodeRWSetRemove, CodeRWSetClear:
		return RemoveWinsSet
	case CodeListInsert, CodeListNew, CodeListDelete, CodeListMove:
		return List
	case CodeTextInsert, CodeTextDelete, CodeTextMark, CodeTextUnmark:
		return Text
	}
	return 0
}

// Step is one step of a Path: a place in the parent, and which entry there.
type Step struct {
	// Key names the place under a Map, and the slice in the first step.
	Key string
	// Elem names the place under a List: the dot that inserted the element. Zero elsewhere.
	Elem causal.Dot
	// Branch names the branch that Elem is of, if its actor's log is forked: the change it leads to. nil: it is the one op with that dot in
	// the change's causal history, and nothing if there are several.
	Branch *Tip
	// Kind and Birth name the entry at the place. Kind is 0 in the last step of
	// a CodeDelete, which names a place.
	Kind  Kind
	Birth causal.Dot // zero: a first entry
}

// Path leads from the store's root to a container, through the slice (its first step).
type Path []Step

// Op is one op as decoded from a change. Which fields hold something follows from Code.
type Op struct {
	Code Code
	// Void: malformed, out of range, over a limit or of unknown meaning. It keeps its dots and has no effect.
	Void bool
	// Unknown: a Void op that is well formed but of a kind or code this version does not know.
	Unknown bool
	Len     int // dots
	Path    Path
	Value   Value
	Values  []Value
	Delta   int64
	Pos     int
	Elem    causal.Dot // an element, named by the dot that inserted it
	Branch  *Tip       // that Elem is of, as in a Step
	Text    string
	Count   int    // code points marked or unmarked from Pos on; what lies outside the text is cut off
	Name    string // of a mark: not empty, at most MaxKeyBytes
	Kind    Kind
	Growth  Growth
}

// String renders o on one line, for logs, golden traces and `atoll log`.
func (o Op) String() string {
	if o.Void {
		return fmt.Sprintf("void(%d dots)", o.Len)
	}
	s := o.Code.String() + " " + o.Path.String()
	switch o.Code {
	case CodePut, CodeSetAdd, CodeSetRemove, CodeRWSetAdd, CodeRWSetRemove:
		s += " " + o.Value.String()
	case CodeTouch:
		s += " " + o.Kind.String()
	case CodeAdd:
		s += fmt.Sprintf(" %+d", o.Delta)
	case CodeListInsert:
		s += fmt.Sprintf(" at %d %v", o.Pos, o.Values)
	case CodeListNew:
		s += fmt.Sprintf(" at %d %d×%s", o.Pos, o.Len, o.Kind)
	case CodeListDelete, CodeTextDelete:
		s += fmt.Sprintf(" at %d len %d", o.Pos, o.Len)
	case CodeListMove:
		s += fmt.Sprintf(" [%s] to %d", o.Elem, o.Pos)
	case CodeTextInsert:
		s += fmt.Sprintf(" at %d %q", o.Pos, o.Text)
	case CodeTextMark:
		s += fmt.Sprintf(" at %d len %d %q %v, %v", o.Pos, o.Count, o.Name, o.Value, o.Growth)
	case CodeTextUnmark:
		s += fmt.Sprintf(" at %d len %d %q, %v", o.Pos, o.Count, o.Name, o.Growth)
	}
	return s
}

var codeNames = map[Code]string{CodePut: "put", CodeTouch: "touch", CodeDelete: "delete", CodeAdd: "add",
	CodeSetAdd: "add", CodeSetRemove: "remove", CodeSetClear: "clear",
	CodeRWSetAdd: "add", CodeRWSetRemove: "remove", CodeRWSetClear: "clear",
	CodeListInsert: "insert", CodeListNew: "insert", CodeListDelete: "delete", CodeListMove: "move",
	CodeTextInsert: "insert", CodeTextDelete: "delete", CodeTextMark: "mark", CodeTextUnmark: "unmark"}

// String returns the verb c stands for.
func (c Code) String() string {
	if s, ok := codeNames[c]; ok {
		return s
	}
	return fmt.Sprintf("code(%d)", uint32(c))
}

// String renders p as keys joined by slashes; an element of a list as [actor:seq].
func (p Path) String() string {
	s := ""
	for i, st := range p {
		if i > 0 {
			s += "/"
		}
		if !st.Elem.IsZero() {
			s += "[" + st.Elem.String() + "]"
		} else {
			s += escapeKey(st.Key)
		}
	}
	return s
}
