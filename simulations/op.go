package simulations

import (
	"errors"
	"fmt"
	"strings"

	"github.com/atollsync/atoll/crdt"
)

// Op is something that a user does, as a line of text that can be done in any state: indexes beyond the end are taken as the end.
// It becomes one change. See ParseOp for what it may be.
type Op struct {
	// Text is what ParseOp reads.
	Text string
	do   func(tx *crdt.Tx) error
	// undo says that the op takes back the device's own last change, which the device has to do: do only says so.
	undo bool
}

// String returns the line that ParseOp reads.
func (o Op) String() string { return o.Text }

// maxOpText is how many bytes the text of an op may have.
const maxOpText = 1 << 20

// errNotThere is wrapped by what an op says that finds nothing to work on. Nothing is wrong then: another device was first.
var errNotThere = errors.New("nothing is there")

var errUndoNeedsADevice = errors.New("undo is done by a device, not in a transaction")

// ParseOp reads an op: one of these commands, which mean what those of the command line mean, or several with " ; " between
// them, which are done as one change.
//
//	put PATH VALUE [--kind KIND]          a register; of a text that stands it makes VALUE
//	touch PATH [--kind KIND]              an empty one (default: what stands, or a map)
//	delete PATH [INDEX [COUNT]]           what stands there, or a part of a list or text
//	add PATH [VALUE...] [--kind KIND]     to a counter (default 1) or a set
//	remove PATH VALUE... [--kind KIND]    from a set
//	clear PATH [--kind KIND]              every element of a set
//	insert PATH INDEX VALUE... [--kind KIND]   into a list or a text
//	insert PATH INDEX --new KIND          a container into a list
//	set PATH INDEX VALUE                  an element of a list
//	move PATH INDEX                       PATH leads to an element of a list
//	mark PATH FROM TO NAME [VALUE] [--grow none|start|end|both]
//	unmark PATH FROM TO NAME [--grow none|start|end|both]
//	undo                                  the device's own last change; again: redo
//
// PATH is like todos/7/title, VALUE is JSON, and a bare word is a string. Either is quoted as a JSON string if it holds white space or begins with
// one of `"{[-`. INDEX counts elements or code points from 0; end, and all that is beyond it, is behind the last, or the last
// where one must be there. With --kind what stands there as another kind is replaced; without, the op goes to what stands, and what it is decides.
//
// The Text of the Op is in canonical form, so ParseOp gives it back from its own text.
func ParseOp(line string) (Op, error) {
	commands, err := parseCommands(line)
	if err != nil {
		return Op{}, fmt.Errorf("op %q: %w", clip(line, 80), err)
	}
	return opOf(commands...), nil
}

// opOf returns the op that does commands, one after the other.
func opOf(commands ...*command) Op {
	texts := make([]string, len(commands))
	for i, c := range commands {
		texts[i] = c.String()
	}
	o := Op{Text: strings.Join(texts, " ; "), undo: len(commands) == 1 && commands[0].verb == "undo"}
	o.do = func(tx *crdt.Tx) error {
		done := 0
		var skipped error
		for _, c := range commands {
			switch err := c.do(tx); {
			case err == nil:
				done++
			case errors.Is(err, errNotThere):
				skipped = err
			default:
				return err
			}
			if err := tx.Err(); err != nil {
				return err
			}
		}
		if done == 0 {
			return skipped
		}
		return nil
	}
	return o
}

// clip returns s, cut off if it is longer than n bytes.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "..."
}
